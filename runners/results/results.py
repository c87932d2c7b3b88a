"""An experiment read back: its finished cells, as entries and as tidy pandas frames."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from kancl.errors import InputError
from runners.choices.tuned import labels_of_all, tunings_of
from runners.config.cell import Cell
from runners.measure.merge import merge
from runners.measure.result import Result
from runners.results.entry import Entry, grouped
from runners.results.frames import curves_frame, records_frame, retention_frame, summary_frame
from runners.results.locality_frames import drift_frame, ledger_frame, occupancy_frame, overlap_frame
from runners.run import RUNNERS
from runners.store.experiment import Store


@dataclass(frozen=True)
class Results:
    """The finished cells of one experiment, in the order in which they were asked for.

    ``missing`` names the cells that are left out; ``damaged`` says, in a line each, which files cannot be read and why.
    """

    path: Path
    entries: tuple[Entry, ...]
    missing: tuple[str, ...]
    damaged: tuple[str, ...] = ()

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


def load(path: str | Path) -> Results:
    """Load the finished cells of an experiment folder.

    Cells that are missing, unfinished or damaged are left out and named in ``missing``; what is damaged is said in ``damaged``.

    Args:
        path: a folder that was written by ``kancl run --out``.

    Raises:
        InputError: there is no experiment at ``path``.

    For example::

        results = runners.load("results/peaks")
        results.summary  # a table of pandas: a row for every cell and metric
        results.retention.query("architecture == 'kan' and seed == 0")
    """
    damaged: list[str] = []
    store = Store(Path(path), damaged.append)
    keys = store.keys()
    if not keys:
        also = "".join(f"\n  - {line}" for line in damaged)
        raise InputError(f"{path} holds no kancl experiment; expected a folder written by kancl run --out{also}")
    found: list[tuple[Cell, Result]] = []
    missing = []
    for key in keys:
        stored = store.cell(key).load()
        if stored is None:
            missing.append(key)
        else:
            cell, result = stored
            found.append((cell, _remarked(cell, result)))
    return Results(Path(path), tuple(_labelled(list(_joined(Path(path), found)))), tuple(missing), tuple(damaged))


def _remarked(cell: Cell, result: Result) -> Result:
    """Return a result with what is remarked on all of its strategy's; a result stored before that was a remark lacks it."""
    known = RUNNERS[cell.runner].remarks_on(cell.strategy.name)
    return replace(result, remarks=(*known, *(remark for remark in result.remarks if remark not in known)))


def _joined(path: Path, found: list[tuple[Cell, Result]]) -> Iterator[Entry]:
    """Yield the cells, those that one tuning made as one."""
    for tuning, places in tunings_of(path, [cell for cell, _ in found]):
        cells, results = [found[place][0] for place in places], [found[place][1] for place in places]
        plain = [{**cell.labels, "policy": cell.policy.label} for cell in cells]
        seeds = sorted(seed for cell in cells for seed in cell.seeds)
        if tuning is None or len(cells) == 1 or len(set(seeds)) < len(seeds):
            yield from (Entry(*own, label, tuning) for own, label in zip(zip(cells, results, strict=True), plain, strict=True))
            continue
        whole = replace(cells[0], seeds=tuple(seeds))
        yield Entry(whole, merge(results, seeds), labels_of_all(plain), tuning, tuple(cells))


def _labelled(entries: list[Entry]) -> Iterator[Entry]:
    """Yield the entries; where two would be named alike, the names have what else may tell them apart."""
    alike = Counter(tuple(entry.labels.values()) for entry in entries)
    for entry in entries:
        label, cell = entry.labels, entry.cell
        if alike[tuple(label.values())] > 1:
            also = (cell.dtype, f"seeds={','.join(map(str, cell.seeds))}", f"#{entry.key[-4:]}")
            label = {**label, "policy": " ".join([label["policy"], *also])}
            yield replace(entry, labels=label, also=also)
        else:
            yield entry
