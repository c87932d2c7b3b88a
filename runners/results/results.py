"""An experiment read back: its finished cells, as entries and as tidy pandas frames."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from kancl.errors import InputError
from kancl.options import parse_spec
from runners.config.cell import Cell
from runners.config.seeds import parse_seeds
from runners.measure.result import Result
from runners.results.blocks import Stored, entries_of
from runners.results.entry import Entry, grouped
from runners.results.frames import curves_frame, records_frame, retention_frame, summary_frame
from runners.results.locality_frames import drift_frame, ledger_frame, occupancy_frame, overlap_frame
from runners.run import RUNNERS
from runners.store.experiment import Store


@dataclass(frozen=True)
class Results:
    """The finished cells of one experiment, or of several read as one, in the order in which they were asked for.

    ``missing`` names the cells that are left out; ``damaged`` says, in a line each, which files cannot be read and why.
    """

    paths: tuple[Path, ...]
    entries: tuple[Entry, ...]
    missing: tuple[str, ...]
    damaged: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """The folders, as text."""
        return " and ".join(map(str, self.paths))

    def select(
        self,
        scenarios: Iterable[str] = (),
        architectures: Iterable[str] = (),
        strategies: Iterable[str] = (),
        seeds: int | str | Iterable[int] | None = None,
    ) -> "Results":
        """Return a part of the results.

        Args:
            scenarios, architectures, strategies: those that are wanted, as they were asked for or by their names alone, which
                means those with any options; all if none is given.
            seeds: those that are wanted, as numbers or as ``kancl run --seeds`` takes them; all if not given.

        Raises:
            InputError: there is no such scenario, architecture, strategy or seed.
        """
        entries = list(self.entries)
        for part, wanted in (("scenario", scenarios), ("architecture", architectures), ("strategy", strategies)):
            if texts := tuple(wanted):
                _refuse_unknown(part, texts, [entry.labels[part] for entry in entries])
                entries = [entry for entry in entries if any(_is_named(entry.labels[part], text) for text in texts)]
        if seeds is not None:
            chosen = set(parse_seeds(seeds) if isinstance(seeds, int | str) else seeds)
            there = sorted({seed for entry in entries for seed in entry.cell.seeds})
            if lost := sorted(chosen - set(there)):
                raise InputError(f"no cell has the seeds {', '.join(map(str, lost))}; there are {', '.join(map(str, there))}")
            entries = [entry.of_seeds(chosen) for entry in entries if not chosen.isdisjoint(entry.cell.seeds)]
        return replace(self, entries=tuple(entries))

    def groups(self, *labels: str) -> dict[tuple[str, ...], list[Entry]]:
        """Return the entries by what they were asked for, in order.

        Args:
            labels: of ``scenario``, ``architecture`` and ``strategy``, those that the entries of a group share.
        """
        return grouped(self.entries, lambda entry: tuple(entry.labels[label] for label in labels))

    @cached_property
    def retention(self) -> pd.DataFrame:
        """R in rows: scenario, architecture, strategy, policy, seed, after_task, task, task_name, score, value, cell.

        ``after_task`` counts from 0 (before any training), ``task`` from 1.
        """
        return retention_frame(self.entries)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """All scores at all evaluations: as ``retention``, with training_task (from 1; 0 before any) and step within it.

        Where seeds took steps of their own, each has its own rows.
        """
        return curves_frame(self.entries)

    @cached_property
    def overlap(self) -> pd.DataFrame:
        """Shared mass of pairs of tasks; see :func:`runners.results.locality_frames.overlap_frame`."""
        return records_frame(self.entries, overlap_frame)

    @cached_property
    def occupancy(self) -> pd.DataFrame:
        """Shares off the grid and unused; see :func:`runners.results.locality_frames.occupancy_frame`."""
        return records_frame(self.entries, occupancy_frame)

    @cached_property
    def drift(self) -> pd.DataFrame:
        """Drift of idle coefficients and of inputs; see :func:`runners.results.locality_frames.drift_frame`."""
        return records_frame(self.entries, drift_frame)

    @cached_property
    def ledger(self) -> pd.DataFrame:
        """Where damage came from; see :func:`runners.results.locality_frames.ledger_frame`."""
        return records_frame(self.entries, ledger_frame)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row per cell and metric: mean, low, high, median, n, diverged, score, formula, cell.

        low and high bound the 95 % interval over seeds (:func:`kancl.statistics.mean_interval`). Beside them stand the costs:
        parameters, active, flops and step_flops (per sample), step_seconds, all per network. Diverged seeds are left out of
        the mean and counted in ``diverged``; ``n`` is the number of seeds that have a value. Metrics that mean nothing under a
        strategy are left out. Intransigence is there where the joint strategy was run beside.
        """
        return summary_frame(self.entries)


def _is_named(label: str, text: str) -> bool:
    """Tell whether a label is meant: in full, or by its name alone."""
    return text in (label, parse_spec(label).name)


def _refuse_unknown(part: str, texts: tuple[str, ...], labels: list[str]) -> None:
    for text in texts:
        if not any(_is_named(label, text) for label in labels):
            there = ", ".join(dict.fromkeys(labels)) or "none"
            raise InputError(f"no {part} {text!r} is among the results; there are: {there}")


def load(*paths: str | Path) -> Results:
    """Load the finished cells of one experiment folder, or of several as one.

    Seeds that were trained at different times, or in different folders, are one cell where nothing but the seeds differs.
    Cells that are missing, unfinished or damaged are left out and named in ``missing``; what is damaged is said in ``damaged``.

    Args:
        paths: folders that were written by ``kancl run --out``.

    Raises:
        InputError: there is no experiment at one of them.

    For example::

        results = runners.load("results/peaks")
        results.summary  # a table of pandas: a row for every cell and metric
        results.retention.query("architecture == 'kan' and seed == 0")
        runners.load("results/peaks", "results/more").select(architectures=["kan", "mlp"]).summary
    """
    if not paths:
        raise InputError("load needs the folder of an experiment, as kancl run --out wrote it")
    damaged: list[str] = []
    missing: list[str] = []
    stored: list[Stored] = []
    for path in dict.fromkeys(Path(path) for path in paths):
        store = Store(path, damaged.append)
        keys = store.keys()
        if not keys:
            also = "".join(f"\n  - {line}" for line in damaged)
            raise InputError(f"{path} holds no kancl experiment; expected a folder written by kancl run --out{also}")
        for key in keys:
            found = store.cell(key).load()
            if found is None:
                missing.append(key if len(paths) == 1 else f"{path}/{key}")
            else:
                stored.append(Stored(path, found[0], _remarked(*found)))
    return Results(tuple(map(Path, paths)), tuple(entries_of(stored)), tuple(missing), tuple(damaged))


def _remarked(cell: Cell, result: Result) -> Result:
    """Return a result with what is remarked on all of its strategy's; a result stored before that was a remark lacks it."""
    if ".py:" in cell.strategy.name:  # results may be anybody's, and no code is run that they name
        return result
    known = RUNNERS[cell.runner].remarks_on(cell.strategy.name)
    return replace(result, remarks=(*known, *(remark for remark in result.remarks if remark not in known)))
