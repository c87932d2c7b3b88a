"""Stored results as tidy pandas frames."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from kancl.errors import InputError
from kancl.metrics import METRICS
from kancl.options import build
from kancl.statistics import t_interval
from runners.config import Cell
from runners.result import Result
from runners.store import Store
from runners.strategies import strategies

LABELS = ["scenario", "architecture", "strategy", "policy"]


@dataclass(frozen=True)
class Entry:
    """A finished cell with its result."""

    cell: Cell
    result: Result

    @property
    def labels(self) -> dict[str, str]:
        """What identifies the cell in every frame, table and figure."""
        return {**self.cell.asked, "policy": self.cell.policy.label}

    @property
    def alive(self) -> np.ndarray:
        """Which seeds never gave a value that is not finite."""
        return self.result.diverged_at < 0

    def metrics(self, score: str | None = None) -> dict[str, np.ndarray]:
        """Return every metric that means something under the cell's strategy, one value per seed; NaN for diverged seeds."""
        name = score or self.result.score
        R, null, up = self.result.R[name], self.result.null[name], self.result.higher_is_better[name]
        meaningful = build(strategies.get(self.cell.strategy.name), self.cell.strategy).metrics or tuple(METRICS)
        nothing = np.full(len(R), np.nan)
        values = {key: m.compute(R, null, up) if key in meaningful else nothing for key, m in METRICS.items()}
        return {key: np.where(self.alive, v, np.nan) for key, v in values.items()}


@dataclass(frozen=True)
class Results:
    """The finished cells of one experiment, in the order in which they were asked for."""

    path: Path
    entries: tuple[Entry, ...]
    missing: tuple[str, ...]

    @cached_property
    def retention(self) -> pd.DataFrame:
        """R in rows: scenario, architecture, strategy, policy, seed, after_task, task, task_name, score, value.

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
        """All scores at all evaluations: as ``retention``, with training_task (from 1; 0 before any) and step within it."""
        frames = []
        for entry in self.entries:
            place = entry.result
            for name, curve in place.curves.items():
                seeds, rows, tasks = np.indices(curve.shape).reshape(3, -1)
                where = {"training_task": place.curve_task[rows], "step": place.curve_step[rows]}
                frames.append(_frame(entry, seeds, tasks, name, curve, **where))
        return _concat(frames)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row per cell and metric: mean, low, high (95 % t-interval over seeds), median, n, diverged, score.

        Diverged seeds are left out of the mean and counted in ``diverged``; ``n`` is the number of seeds that have a value.
        Metrics that mean nothing under a strategy are left out.
        """
        rows = []
        for entry in self.entries:
            result = entry.result
            fixed = {"score": result.score, "parameters": result.parameters, "diverged": int((~entry.alive).sum())}
            for key, values in entry.metrics().items():
                interval = t_interval(values)
                finite = values[np.isfinite(values)]
                if len(finite) or not entry.alive.any():
                    median = float(np.median(finite)) if len(finite) else np.nan
                    rows.append({**entry.labels, "metric": key, **interval._asdict(), "median": median, **fixed})
        return pd.DataFrame(rows)


def load(path: str | Path) -> Results:
    """Load the finished cells of an experiment folder.

    Cells that are missing, unfinished or damaged are left out and named in ``missing``.

    Raises:
        InputError: there is no experiment at ``path``.
    """
    store = Store(Path(path))
    keys = store.keys()
    if not keys:
        raise InputError(f"{path} holds no kancl experiment; expected a folder written by kancl run --out")
    entries, missing = [], []
    for key in keys:
        cell, result = store.cell(key).load_cell(), store.cell(key).load_result()
        if cell is None or result is None:
            missing.append(key)
        else:
            entries.append(Entry(cell, result))
    return Results(Path(path), tuple(entries), tuple(missing))


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
    return frame


def _concat(frames: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
