"""Stored results as tidy pandas frames."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from kancl.errors import InputError
from kancl.metrics import INTRANSIGENCE, METRICS, intransigence
from kancl.statistics import mean_interval
from runners.config import Cell
from runners.contents import same_content
from runners.locality import Locality
from runners.locality_frames import drift_frame, ledger_frame, occupancy_frame, overlap_frame
from runners.result import Result
from runners.store import Store

COSTS = ("parameters", "active", "flops", "step_flops", "step_seconds")
"""What a cell costs per network, as :class:`runners.result.Result` names it."""

LABELS = ["scenario", "architecture", "strategy", "policy"]


@dataclass(frozen=True)
class Entry:
    """A finished cell with its result; ``labels`` tell it from every other cell of its experiment."""

    cell: Cell
    result: Result
    labels: dict[str, str]

    @property
    def alive(self) -> np.ndarray:
        """Which seeds never gave a value that is not finite."""
        return self.result.diverged_at < 0

    @property
    def strategy(self) -> str:
        """The strategy's label with the remarks on its result, e.g. ``avalanche:mir (equals naive)``."""
        return " ".join([self.labels["strategy"], *(f"({remark})" for remark in self.result.remarks)])

    def metrics(self) -> dict[str, np.ndarray]:
        """Return every metric of the main score per seed; NaN for diverged seeds, and where the strategy gives it no sense."""
        result = self.result
        nothing = np.full(len(result.seeds), np.nan)
        values = {key: result.metric(key) if key in result.metrics else nothing for key in METRICS}
        return {key: np.where(self.alive, v, np.nan) for key, v in values.items()}


@dataclass(frozen=True)
class Results:
    """The finished cells of one experiment, in the order in which they were asked for.

    ``missing`` names the cells that are left out; ``damaged`` says, in a line each, which files cannot be read and why.
    """

    path: Path
    entries: tuple[Entry, ...]
    missing: tuple[str, ...]
    damaged: tuple[str, ...] = ()

    @cached_property
    def retention(self) -> pd.DataFrame:
        """R in rows: scenario, architecture, strategy, policy, seed, after_task, task, task_name, score, value, cell.

        ``after_task`` counts from 0 (before any training), ``task`` from 1.
        """
        frames = []
        for entry in self.entries:
            for name, R in entry.result.R.items():
                seeds, rows, tasks = np.indices(R.shape).reshape(3, -1)
                frames.append(_frame(entry, seeds, tasks, name, R, after_task=rows))
        return _concat(frames)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """All scores at all evaluations: as ``retention``, with training_task (from 1; 0 before any) and step within it.

        Where seeds took steps of their own, each has its own rows.
        """
        frames = []
        for entry in self.entries:
            place = entry.result
            for name, curve in place.curves.items():
                seeds, rows, tasks = np.indices(curve.shape).reshape(3, -1)
                at = rows if place.curve_task.ndim == 1 else (seeds, rows)
                frame = _frame(entry, seeds, tasks, name, curve, training_task=place.curve_task[at], step=place.curve_step[at])
                frames.append(frame if place.curve_task.ndim == 1 else frame[frame["step"] >= 0])
        return _concat(frames)

    @cached_property
    def overlap(self) -> pd.DataFrame:
        """Shared mass of pairs of tasks; see :func:`runners.locality_frames.overlap_frame`."""
        return self._of_records(overlap_frame)

    @cached_property
    def occupancy(self) -> pd.DataFrame:
        """Shares off the grid and unused; see :func:`runners.locality_frames.occupancy_frame`."""
        return self._of_records(occupancy_frame)

    @cached_property
    def drift(self) -> pd.DataFrame:
        """Drift of idle coefficients and of inputs; see :func:`runners.locality_frames.drift_frame`."""
        return self._of_records(drift_frame)

    @cached_property
    def ledger(self) -> pd.DataFrame:
        """Where damage came from; see :func:`runners.locality_frames.ledger_frame`."""
        return self._of_records(ledger_frame)

    def _of_records(self, frame_of: Callable[[Locality, tuple[int, ...]], pd.DataFrame]) -> pd.DataFrame:
        """Return the frames of the cells that have a locality record, each with its labels."""
        frames = []
        for entry in self.entries:
            if entry.result.locality is not None:
                frame = frame_of(entry.result.locality, entry.result.seeds)
                for place, (label, text) in enumerate(entry.labels.items()):
                    frame.insert(place, label, text)
                frames.append(frame.assign(cell=entry.cell.key))
        return _concat(frames)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row per cell and metric: mean, low, high, median, n, diverged, score, formula, cell.

        low and high bound the 95 % interval over seeds (:func:`kancl.statistics.mean_interval`). Beside them stand the costs:
        parameters, active, flops and step_flops (per sample), step_seconds, all per network. Diverged seeds are left out of
        the mean and counted in ``diverged``; ``n`` is the number of seeds that have a value. Metrics that mean nothing under a
        strategy are left out. Intransigence is there where the joint strategy was run beside.
        """
        rows = []
        for entry in self.entries:
            result = entry.result
            costs = {name: getattr(result, name) for name in COSTS}
            fixed = {"score": result.score, **costs, "diverged": int((~entry.alive).sum())}
            values = {key: (v, METRICS[key].formula) for key, v in entry.metrics().items() if key in result.metrics}
            joint = self._joint_beside(entry)
            if joint is not None:
                values["intransigence"] = (_intransigence(entry, joint), INTRANSIGENCE)
            for key, (per_seed, formula) in values.items():
                finite = per_seed[np.isfinite(per_seed)]
                median = float(np.median(finite)) if len(finite) else np.nan
                numbers = {**mean_interval(per_seed)._asdict(), "median": median}
                rows.append({**entry.labels, "metric": key, **numbers, **fixed, "formula": formula, "cell": entry.cell.key})
        return pd.DataFrame(rows)

    def _joint_beside(self, entry: Entry) -> Entry | None:
        """Return the run of the joint strategy that is otherwise like an entry of a sequential one."""
        if "final_score" not in entry.result.metrics or entry.cell.strategy.name == "joint":
            return None
        for other in self.entries:
            if other.cell.strategy.name != "joint":
                continue
            alike = replace(other.cell, strategy=entry.cell.strategy)
            if alike.asked_key == entry.cell.asked_key and same_content(alike, entry.cell):
                return other
        return None


def load(path: str | Path) -> Results:
    """Load the finished cells of an experiment folder.

    Cells that are missing, unfinished or damaged are left out and named in ``missing``; what is damaged is said in ``damaged``.

    Raises:
        InputError: there is no experiment at ``path``.
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
            found.append(stored)
    labels = _labels([cell for cell, _ in found])
    entries = tuple(Entry(cell, result, label) for (cell, result), label in zip(found, labels, strict=True))
    return Results(Path(path), entries, tuple(missing), tuple(damaged))


def _labels(cells: list[Cell]) -> list[dict[str, str]]:
    """Name every cell by what was asked for and its policy; where two would be alike, add what else may tell them apart."""
    plain = [{**cell.labels, "policy": cell.policy.label} for cell in cells]
    labels = []
    for cell, label in zip(cells, plain, strict=True):
        if plain.count(label) > 1:
            seeds = ",".join(map(str, cell.seeds))
            label = {**label, "policy": f"{label['policy']} {cell.dtype} seeds={seeds} #{cell.key[-4:]}"}
        labels.append(label)
    return labels


def _intransigence(entry: Entry, joint: Entry) -> np.ndarray:
    name = entry.result.score
    values = intransigence(entry.result.R[name], joint.result.R[name][:, -1], entry.result.higher_is_better[name])
    return np.where(entry.alive & joint.alive, values, np.nan)


def _frame(
    entry: Entry, seeds: np.ndarray, tasks: np.ndarray, score: str, values: np.ndarray, **more: np.ndarray
) -> pd.DataFrame:
    result = entry.result
    frame = pd.DataFrame(
        {
            "seed": np.array(result.seeds)[seeds],
            **more,
            "task": tasks + 1,
            "task_name": np.array(result.tasks)[tasks],
            "score": score,
            "value": values.ravel(),
        }
    )
    for place, (label, text) in enumerate(entry.labels.items()):
        frame.insert(place, label, text)
    frame["cell"] = entry.cell.key
    return frame


def _concat(frames: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
