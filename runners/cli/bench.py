"""``kancl bench``: how fast kancl is here, beside the packages that people use otherwise."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from runners.bench import PEER_NAMES, SUITES, PeerName, Suite
from runners.config.request import Said

if TYPE_CHECKING:
    from runners.bench.plan import Plan
    from runners.bench.report import Report
    from runners.measure.timing import Comparison


@dataclass(frozen=True)
class Bench:
    """Time kancl beside other packages, as far as these are installed: layers, training steps, whole runs.

    Contenders take turns in short blocks; medians are shown, and how many times faster each is than the one named above
    its table. kernel: spline layers, sweeps, memory. step: one training step, alone and in stacks, and
    under every strategy. whole: a run of 32 seeds.
    """

    suite: tyro.conf.Positional[Literal["kernel", "step", "whole", "all"]] = "all"
    """What to time."""
    threads: tuple[int, ...] = (1,)
    """Threads of torch; with several numbers everything is timed with each."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where everything is timed."""
    quick: bool = False
    """Tiny shapes and few rounds: shows in seconds that everything runs; its figures mean nothing."""
    peers: Said[tuple[PeerName, ...]] = None
    """What to compare with; all that are installed if not given."""
    out: Said[Path] = None
    """File for the figures as JSON; benchmarks/results/SUITE.json if not given."""
    write: Said[Path] = None
    """Document to write the tables into, between its marks, as Markdown."""
    figures: Said[Path] = None
    """Folder for the figures of the sweeps over G and S, which are part of the suite kernel."""
    explain: Said[str] = None
    """Time nothing; tell which backend is taken for a spline layer such as S=1,B=256,I=64,O=32,G=20,K=3, and why."""

    def execute(self) -> int:
        """Time, print, write and return the exit code."""
        from kancl.errors import StorageError
        from runners.store.environment import check_device

        check_device(self.device)
        if self.explain is not None:
            from runners.bench.explain import explanation, parse_shape

            print("\n".join(explanation(parse_shape(self.explain), self.device)))
            return 0
        try:
            return self._measure()
        except StorageError as error:
            print(f"kancl: {error}; what was measured is in the tables above and in what was written", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print("kancl: interrupted; nothing was written", file=sys.stderr)
            return 130

    def _measure(self) -> int:
        from runners.bench.peers import find_peers
        from runners.bench.plan import FULL, QUICK
        from runners.bench.report import drawn, never_ran, sheets
        from runners.cli.screen import make_console
        from runners.store.environment import check_threads

        check_threads(*self.threads)
        out = self._checked_out()
        console, notes = make_console(), make_console(stderr=True)
        plan = (QUICK if self.quick else FULL).on(self.device)
        found, missing = find_peers(tuple(dict.fromkeys(self.peers if self.peers is not None else PEER_NAMES)))
        if missing:
            ways = "; ".join(f"{name}: {how}" for name, how in missing.items())
            notes.print(f"not installed, so left out: {ways}", style="yellow", soft_wrap=True)
        comparisons = []
        for comparison in self._comparisons(plan, tuple(found)):
            notes.print(f"timed: {comparison.group}, {comparison.case}", style="dim", soft_wrap=True)
            comparisons.append(comparison)
        report = self._report(plan, comparisons, found, missing)
        for name, reason in never_ran(report).items():
            notes.print(f"not able to run here: {name}: {reason}", style="yellow", soft_wrap=True)
        for sheet in sheets(report):
            console.print(drawn(sheet))
        for path in self._written(report, out):
            notes.print(f"wrote {path}", soft_wrap=True)
        return 0

    def _checked_out(self) -> Path:
        """Return the file for the figures, after a look at everything that is to be written: before hours of timing."""
        from kancl.errors import InputError
        from runners.bench.report import MARKS
        from runners.report.documents import check_marks
        from runners.store.files import check_writable

        if self.figures is not None and "kernel" not in self._suites():
            raise InputError(f"--figures draws the sweeps of the suite kernel, and {self.suite} has none; leave it out")
        if self.write is not None:
            check_marks(self.write, MARKS)
        out = self.out or Path("benchmarks") / "results" / f"{self.suite}{'-quick' if self.quick else ''}.json"
        for folder in [out.parent, *([] if self.figures is None else [self.figures])]:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError(f"{folder} cannot be made ({error.strerror}); choose another place") from error
        if out.is_dir():
            raise InputError(f"--out {out} is a folder; give a file for the JSON")
        for path in (out, self.write, None if self.figures is None else self.figures / "bench-grid.png"):
            if path is not None:
                check_writable(path)
        return out

    def _suites(self) -> tuple[Suite, ...]:
        return SUITES if self.suite == "all" else (self.suite,)

    def _comparisons(self, plan: "Plan", peers: tuple[PeerName, ...]) -> "Iterator[Comparison]":
        from runners.bench.anatomy import anatomy_comparisons
        from runners.bench.kernel import kernel_comparisons
        from runners.bench.step import step_comparisons
        from runners.bench.strategies import strategy_comparisons
        from runners.bench.whole import whole_comparisons

        timed = {"kernel": kernel_comparisons, "step": step_comparisons, "whole": whole_comparisons}
        for threads in dict.fromkeys(self.threads):
            for suite in self._suites():
                yield from timed[suite](plan, peers, threads)
                if suite == "step":
                    yield from anatomy_comparisons(plan, threads)
                    yield from strategy_comparisons(plan, threads)

    def _report(
        self, plan: "Plan", comparisons: "list[Comparison]", found: dict[PeerName, str], missing: dict[PeerName, str]
    ) -> "Report":
        from runners.bench.goals import goals, gpu_goals
        from runners.bench.memory import memory_peaks
        from runners.bench.report import Report
        from runners.store.environment import environment

        peaks, refused = memory_peaks(plan.memory, tuple(found)) if "kernel" in self._suites() else ([], {})
        return Report(
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            command={
                "suite": self.suite,
                "threads": list(self.threads),
                "device": self.device,
                "quick": self.quick,
                "peers": list(found),
            },
            machine={key: value for key, value in environment().items() if key != "threads"},  # it varies by comparison
            peers=found,
            missing=missing,
            comparisons=comparisons,
            peaks=peaks,
            peaks_refused=refused,
            goals=[] if self.quick else gpu_goals(comparisons) if self.device == "cuda" else goals(comparisons, peaks),
        )

    def _written(self, report: "Report", out: Path) -> Iterator[Path]:
        from runners.bench.figures import draw_sweeps
        from runners.bench.report import MARKS, markdown
        from runners.report.documents import write_between_marks
        from runners.store.files import write_json

        write_json(out, report.to_json())
        yield out
        if self.write is not None:
            write_between_marks(self.write, markdown(report), MARKS)
            yield self.write
        if self.figures is not None:
            yield from draw_sweeps(report.comparisons, self.figures)
