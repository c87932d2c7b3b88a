"""``kancl run``: train what was asked for, or go on where an earlier run stopped."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from runners.cli.execution import Execution
from runners.cli.signals import Signals
from runners.config.axes import said
from runners.config.cell import Cell
from runners.config.request import Request, Said, with_axes

if TYPE_CHECKING:
    from runners.cli.asked import Wanted
    from runners.cli.progress import Screen
    from runners.experiment.sweep import Outcomes
    from runners.stream.cache import StreamCache

LISTED = 20
"""Folders of cells that are named at the end."""


@dataclass(frozen=True)
@with_axes
class Run(Execution, Request):
    """Train every combination of scenarios, architectures, strategies and values of settings, all seeds at once.

    An option with ... takes several values, and each is combined with each of the others.
    The same command continues a run that was stopped and skips what is done. Options not given come from --file, then from
    the scenario's advice, then from the defaults; kancl list shows the names and what each can be set to.
    """

    scenarios: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="SCENARIO ...", help_behavior_hint="")
    ] = ()
    """Scenarios, before the options, each NAME, NAME:option=value,... or path/to/file.py:function."""
    zip: Annotated[tuple[str, ...] | None, tyro.conf.arg(metavar="NAME,NAME ...", help_behavior_hint="")] = None
    """Settings whose values go together, the first with the first, instead of each with each: --zip lr,steps."""
    dry_run: bool = False
    """Print the cells, what they cost, about how long they take and how much memory, and what is there; write nothing."""
    file: Said[Path] = None
    """Experiment file: TOML with these options down to tune_range, and zip; [[block]] tables are variations."""
    out: Said[Path] = None
    """Folder for the results; runs/<scenarios>-<hash> if not given."""
    report: Annotated[tyro.conf.FlagCreatePairsOff[bool], tyro.conf.arg(help_behavior_hint="")] = False
    """Write a report at the end, report.html in the results' folder, on all that is stored there; see kancl report."""
    track: tuple[str, ...] = ()
    """Tools that are told what is measured while it is: tensorboard, wandb (offline unless WANDB_MODE says otherwise), mlflow
    (a file unless MLFLOW_TRACKING_URI names a server). Their files go to tracking/<tool> in the results' folder."""

    threads: int = 1
    """Threads of torch. Stacks of small networks gain little from more, and lose much where the cores are busy."""

    device: Literal["cpu", "cuda"] = "cpu"
    """Where to train. Data, initial weights and orders are the same on both; results agree up to rounding."""

    command: tyro.conf.Suppress[str] = ""
    """The whole command, as it was typed."""

    def requests(self) -> list[Request]:
        """Return what is asked for: the command line put over each block of the experiment file, if there is one."""
        return self.wanted().requests

    def wanted(self) -> "Wanted":
        """Return the requests with what they were made from."""
        from runners.cli.asked import wanted

        names = {own.name: getattr(self, own.name) for own in fields(Request)} | {"scenarios": self.scenarios or None}
        return wanted(said(names, self.zip, "the command line" if self.file is not None else ""), self.file)

    def execute(self, signals: Signals | None = None) -> int:
        """Run and return the exit code.

        Args:
            signals: that the process hears; the first one that comes while cells are trained is waited for to be asked.
        """
        asked = self.wanted()
        if self.emit:
            return self.print_script(self.command, asked.requests, self.threads)
        if not self.dry_run:
            self.warm_up(asked.requests)
        import torch

        from runners.cli.progress import Screen
        from runners.experiment.prepare import prepare
        from runners.experiment.sweep import run
        from runners.store.environment import check_device, check_threads
        from runners.store.experiment import Store
        from runners.stream.cache import StreamCache
        from runners.trackers import Tracking, make_trackers
        from scenarios.data.files import at_home

        terms = self.terms(self.threads)
        check_threads(self.threads)
        check_device(self.device)
        torch.set_num_threads(self.threads)
        trackers = make_trackers(self.track)
        screen, streams = Screen(self.quiet), StreamCache()
        if self.dry_run:
            return self._look(asked, screen, streams)
        with screen:
            where = self.out and at_home(self.out)
            with asked.placed():
                cells, out = prepare(asked.requests, where, screen, screen.say, self.device, streams, terms, self.part_of())
            if not cells:
                screen.say(f"--part {self.part} has no cell: there are fewer cells than parts")
                return 0
            for line in (*data_files(cells), *streams.remarks):
                screen.say(line)
            tracking = Tracking(trackers, out, screen.say)
            signals = signals or Signals()
            pauses = self.pauses(signals.asked)
            with signals.patiently():
                store = Store(out, screen.say)
                outcome = run(
                    cells, store, screen, self.device, streams, tracking, screen.say, terms, pauses, self.command,
                    self.keep_networks,
                )  # fmt: skip
        undrawn: list[str] = []
        written = self._report(out, undrawn) if self.report and outcome.results else None
        if not self.quiet:
            self._print_results(screen, outcome, out, tracking.hints(), written)
        for key, message in outcome.failures.items():
            screen.console.print(f"failed: {key}: {message} (traceback in {out / 'cells' / key / 'status.json'})", style="red")
        for line in undrawn:
            screen.console.print(line, style="red")
        return 1 if outcome.failures or undrawn else 0

    def _print_results(
        self, screen: "Screen", outcome: "Outcomes", out: Path, hints: Sequence[str], report: Path | None
    ) -> None:
        """Print tables of what is stored, and where it is."""
        from runners.experiment.keeping import left_out_line
        from runners.report.evaluation_time import evaluation_line
        from runners.report.tables import summary_tables
        from runners.report.words import answers
        from runners.results.results import load
        from runners.results.verdicts import compare
        from runners.store.experiment import Store

        if outcome.results:
            results = load(out)
            for answer in answers(compare(results)):
                screen.console.print(answer, style="bold")
            screen.console.print()
            for table in summary_tables(results, screen.console.width):
                screen.console.print(table)
            slow = evaluation_line(results.entries)
            if slow is not None:
                screen.console.print(slow)
        screen.console.print("Cells, each a folder with config, status, checkpoint and arrays:")
        for cell in outcome.cells[:LISTED]:
            screen.console.print(f"  {out / 'cells' / cell.key}", soft_wrap=True)
        if len(outcome.cells) > LISTED:
            screen.console.print(f"  and {len(outcome.cells) - LISTED:,} more")
        screen.console.print(f"Results: {out}", soft_wrap=True)
        screen.console.print(f"  kancl compare {shlex.quote(str(out))}  (verdicts and figures)", soft_wrap=True)
        screen.console.print(f"  runners.load({str(out)!r})  (frames, in Python)", soft_wrap=True)
        if self.keep_networks != "off" and (left_out := left_out_line(outcome.cells, Store(out))):
            screen.console.print(left_out)
        if report is not None:
            screen.console.print(f"Report:  {report}", soft_wrap=True)
        for hint in hints:
            screen.console.print(f"Tracked: {hint}", soft_wrap=True)

    def _report(self, out: Path, lost: list[str]) -> Path:
        """Write the report on what is stored, and return its path; ``lost`` is given a line for each figure left out."""
        from runners.cli.report import Report

        report = Report((out,))
        return report.write(report.results("report"), lost)

    def _look(self, asked: "Wanted", screen: "Screen", streams: "StreamCache") -> int:
        """Print what a run would do."""
        from runners.cli.dry_run import show
        from runners.experiment.dry_run import dry_run
        from scenarios.data.files import at_home

        with asked.placed():
            where = self.out and at_home(self.out)
            found = dry_run(asked.requests, where, screen, screen.say, self.device, streams, self.part_of())
        show(found, screen.console)
        return 0


def data_files(cells: Sequence[Cell]) -> list[str]:
    """Return a line for each data file that the cells depend on."""
    # Two data sets may have files of the same name, and each is said.
    found = dict.fromkeys(file for cell in cells for file in cell.sources.items() if not file[0].endswith(".py"))
    return [f"data {name}: SHA-256 {digest}" for name, digest in found]
