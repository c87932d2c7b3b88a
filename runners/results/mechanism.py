"""Does overlap explain forgetting? One regression for all architectures of a scenario that have a locality record.

If locality protects, tasks that share little basis mass with later ones lose little, whatever the architecture. The slope can
falsify that: at 0, how much tasks share says nothing about how much of them is lost.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from kancl.metrics import retention_by_task
from kancl.statistics import Slope, seedwise_slope
from kancl.text import counted
from runners.results.entry import Entry
from runners.results.results import Results

LEAST_RANGE = 0.1
"""Overlaps have to span this much for a slope to mean anything."""


@dataclass(frozen=True, eq=False)
class Mechanism:
    """Overlap and loss of every old task, for E entries of one scenario and strategy with the same S seeds and T tasks.

    Args:
        shared: the overlap of old task j with the later task that it shares most with, at the end of training, mean over
            layers; 0 to 1.
        lost: the share of what was gained over the best constant predictor that is gone at the end; NaN if never learned.
        slope: of ``lost`` on ``shared`` over entries and tasks, seed by seed.
    """

    scenario: str
    strategy: str
    entries: tuple[Entry, ...]
    shared: Float[np.ndarray, "E S T-1"]
    lost: Float[np.ndarray, "E S T-1"]
    slope: Slope

    def sentence(self) -> str:
        """Say what the regression found."""
        mean, low, high, n = self.slope.slope
        parts = (counted(len(self.counted), "network"), counted(self.shared.shape[2], "old task"))
        where = f"{self.scenario} / {self.strategy}: {' x '.join(parts)}, {counted(n, 'seed')}"
        if not self.has_slope:
            return f"{where}: overlaps differ too little, or in too few seeds and networks, for a slope"
        rise = f"{mean:+.2f} [{low:.2f}, {high:.2f}]"
        seen = " to ".join(f"{end:.2f}" for end in self.seen)
        return (
            f"{where}: per unit of mass that a task shares with a later one (seen: {seen}), the share of its gain that is lost"
            f" changes by {rise} for these networks, {self._without_one()} without any one of them"
        )

    @property
    def has_slope(self) -> bool:
        """Whether overlaps differ enough, in enough seeds and networks, for the slope to mean anything."""
        return self.slope.slope.n > 1 and len(self.counted) > 1 and self.seen[1] - self.seen[0] >= LEAST_RANGE

    @property
    def counted(self) -> list[int]:
        """The places of the entries that contribute points."""
        return [place for place, lost in enumerate(self.lost) if np.isfinite(lost).any()]

    def _without_one(self) -> str:
        """Return the range of the mean slope when each network in turn is left out: the interval is over seeds alone."""
        slopes = []
        for left_out in self.counted:
            kept = [place for place in self.counted if place != left_out]
            slopes.append(seedwise_slope(_points(self.shared[kept]), _points(self.lost[kept])).slope.mean)
        finite = [slope for slope in slopes if np.isfinite(slope)]
        return f"{min(finite):+.2f} to {max(finite):+.2f}" if finite else "none"

    @property
    def seen(self) -> tuple[float, float]:
        """The smallest and the largest overlap among the points that count."""
        counted = self.shared[np.isfinite(self.shared) & np.isfinite(self.lost)]
        return float(counted.min()), float(counted.max())

    def to_json(self) -> dict[str, object]:
        """Return the regression as plain values."""
        slope = {name: value if np.isfinite(value) else None for name, value in self.slope.slope._asdict().items()}
        rest = {"intercept": self.slope.intercept}
        numbers = {name: value if np.isfinite(value) else None for name, value in rest.items()}
        cells = [entry.key for entry in self.entries]
        return {"scenario": self.scenario, "strategy": self.strategy, "cells": cells, "slope": slope, **numbers}


def mechanisms(results: Results) -> Iterator[Mechanism]:
    """Yield the regression of every scenario and strategy with at least two recorded entries on the same seeds and tasks."""
    for (scenario, strategy), group in results.groups("scenario", "strategy").items():
        entries = [entry for entry in group if _is_counted(entry)]
        if not entries:
            continue
        first = entries[0].result
        alike = tuple(entry for entry in entries if (entry.result.seeds, entry.result.tasks) == (first.seeds, first.tasks))
        if len(alike) < 2:
            continue
        shared, lost = (np.stack([measure(entry) for entry in alike]) for measure in (shared_mass, lost_share))
        yield Mechanism(scenario, strategy, alike, shared, lost, seedwise_slope(_points(shared), _points(lost)))


def _is_counted(entry: Entry) -> bool:
    """Tell whether an entry has a record, and old tasks to be retained."""
    result = entry.result
    return result.locality is not None and "retention" in result.metrics and len(result.tasks) > 1


def _points(values: Float[np.ndarray, "E S J"]) -> Float[np.ndarray, "S P"]:
    return values.transpose(1, 0, 2).reshape(values.shape[1], -1)


def shared_mass(entry: Entry) -> Float[np.ndarray, "S T-1"]:
    """Return for every old task its largest overlap with a later one at the end of training, mean over layers."""
    record = entry.result.locality
    assert record is not None
    overlap = record.overlap_after  # (S, L, T, T), symmetric
    later = np.triu(np.ones(overlap.shape[-2:], dtype=bool), 1)
    return np.where(later, overlap, -np.inf).max(-1)[..., :-1].mean(1)


def lost_share(entry: Entry) -> Float[np.ndarray, "S T-1"]:
    """Return 1 - retention of every old task; NaN for tasks never learned and seeds that diverged."""
    result, score = entry.result, entry.result.score
    kept = retention_by_task(result.R[score], result.null[score], result.higher_is_better[score])
    return np.where(entry.alive[:, None], 1 - kept, np.nan)
