"""How the values of a cell are chosen from trials: which trial a few seeds choose, and what the plateau of equal trials hides.

Pure functions of what trials measured, so that a simulation can draw the seeds and choose as ``--tune`` does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

PLATEAU = 0.01
"""Trials whose scores differ by less than this share of the gap from null to perfect count as equal: a tenth of the margin
within which a verdict calls learning equal. Rates on a plateau learn alike and forget differently; taking the best of them
would let noise decide how much is forgotten."""
UNEQUAL = 0.05
"""A range of mean retention over equal trials that is told beside a verdict."""


@dataclass(frozen=True)
class Trials:
    """What the trials of one cell measured, on every seed that tuning uses.

    Args:
        rates: the learning rate of each of K trials.
        scores: what decides, larger is better; NaN for a seed that diverged.
        gap: from the null score to the perfect one.
        retention: of each trial; NaN where it was not measured, or means nothing.
    """

    rates: Float[np.ndarray, "K"]
    scores: Float[np.ndarray, "K S"]
    gap: float
    retention: Float[np.ndarray, "K S"]

    def equal(self, seeds: Int[np.ndarray, "n"]) -> Int[np.ndarray, "E"]:
        """Return the trials that the seeds cannot tell from the best, in rising order; empty if all trials failed.

        A trial in which a seed diverged counts only where every trial lost as many. Of the others the best has the best mean;
        equal to it is what comes within a standard error of its mean over the seeds (the one-standard-error rule; Breiman et
        al. 1984, section 3.4.3) or within ``PLATEAU`` of the gap, whichever is wider.
        """
        own = self.scores[:, seeds]
        known = np.isfinite(own)
        whole = np.flatnonzero(known.any(1) & (known.sum(1) == known.sum(1).max()))
        if len(whole) == 0:
            return whole
        means = np.array([own[k][known[k]].mean() for k in whole])
        best = int(means.argmax())
        values = own[whole[best]][known[whole[best]]]
        error = float(values.std(ddof=1)) / len(values) ** 0.5 if len(values) > 1 else 0.0
        return whole[means >= means[best] - max(error, PLATEAU * self.gap)]

    def choose(self, seeds: Int[np.ndarray, "n"]) -> int | None:
        """Return the trial with the smallest rate among those that the seeds cannot tell from the best; None if all failed."""
        near = self.equal(seeds)
        return int(near[self.rates[near].argmin()]) if len(near) else None

    def plateau(self) -> str | None:
        """Say where trials are equal over all seeds and yet retain differently; None if they do not."""
        near = self.equal(np.arange(self.scores.shape[1]))
        kept = [float(own[np.isfinite(own)].mean()) if np.isfinite(own).any() else np.nan for own in self.retention[near]]
        if not np.isfinite(kept).any() or np.nanmax(kept) - np.nanmin(kept) <= UNEQUAL:
            return None
        low, high = (near[int(end)] for end in (self.rates[near].argmin(), self.rates[near].argmax()))
        return (
            f"{len(near)} trials with lr={self.rates[low]:g} to {self.rates[high]:g} are equal within {100 * PLATEAU:g} % of "
            f"the gap or a standard error, and retain {np.nanmin(kept):.2g} to {np.nanmax(kept):.2g}"
        )


def trials_of(record: Mapping[str, Any]) -> Trials:
    """Return the trials of a record of ``tuning.json``; one that failed has no values."""
    trials: Sequence[Mapping[str, Any]] = record["trials"]
    count = len(record["seeds"])

    def values(trial: Mapping[str, Any], name: str) -> list[float]:
        found = trial.get(name) or [None] * count
        return [np.nan if value is None else float(value) for value in found]

    scores = np.array([values(trial, "per_seed") for trial in trials], float).reshape(len(trials), count)
    signs = np.array([1.0 if trial.get("higher_is_better", True) else -1.0 for trial in trials])
    retention = np.array([values(trial, "retained") for trial in trials], float).reshape(len(trials), count)
    rates = np.array([float(trial["lr"]) for trial in trials])
    return Trials(rates, scores * signs[:, None], float(record.get("gap") or 0.0), retention)
