"""Differences of retention matrices: on which task, and when, one network of a comparison does better than the other."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from kancl.text import counted
from runners.report.figures.data import median, score_label, score_name
from runners.report.thinning import ROWS, evenly
from runners.results.entry import Entry
from runners.results.verdicts import Comparison

MOST = 12
"""Comparisons of a scenario that are drawn."""


@dataclass(frozen=True, eq=False)
class Difference:
    """One comparison.

    Args:
        first, second: what the two are called.
        strategy: of both, with what is remarked on it.
        asked: the strategy as it was asked for.
        values: median over the seeds that live in both of first minus second, of errors by their logarithm, its sign such that
            positive means that the first is the better.
        seeds: how many these are.
    """

    first: str
    second: str
    strategy: str
    asked: str
    values: Float[np.ndarray, "T1 T"]
    seeds: int


@dataclass(frozen=True, eq=False)
class DifferencesData:
    """The comparisons of one scenario.

    Args:
        heading: lines over the figure.
        label: of the scale.
        tasks: how many the scenario has; of very many, some have rows and columns.
        limit: the scale goes from minus this to this.
        matrices: one per comparison.
    """

    heading: tuple[str, ...]
    label: str
    tasks: int
    limit: float
    matrices: tuple[Difference, ...]


def differences(scenario: str, comparisons: Sequence[Comparison]) -> DifferencesData | None:
    """Return the differences of a scenario's comparisons that have seeds in common; None where none has."""
    found = [own for own in map(_difference, comparisons[:MOST]) if own is not None]
    if not found:
        return None
    first = comparisons[0].first
    tasks, up = len(first.result.tasks), first.result.higher_is_better[first.result.score]
    finite = np.concatenate([own.values[np.isfinite(own.values)] for own in found])
    more = len(comparisons) - MOST
    notes = (
        "positive: the first is the better; median over the seeds of both",
        f"{len(evenly(tasks, ROWS))} of {tasks:,} tasks" if tasks > ROWS else "",
        f"{counted(more, 'further comparison')} not drawn" if more > 0 else "",
    )
    label = score_label(first) if up else f"log10 of {score_name(first.result.score)}, second over first"
    limit = float(np.abs(finite).max()) if finite.size else 0.0
    return DifferencesData((f"{scenario}: where the two differ", *notes), label, tasks, limit or 1.0, tuple(found))


def _difference(comparison: Comparison) -> Difference | None:
    first, second = comparison.first, comparison.second
    seeds = sorted(_living(first) & _living(second))
    if not seeds or first.result.tasks != second.result.tasks:
        return None
    own, other = (_matrix(entry, seeds) for entry in (first, second))
    if first.result.higher_is_better[first.result.score]:
        values = own - other
    else:
        values = np.log10(np.maximum(other, 1e-12)) - np.log10(np.maximum(own, 1e-12))
    names = [entry.labels["architecture"] for entry in (first, second)]
    return Difference(names[0], names[1], first.strategy, first.labels["strategy"], median(values), len(seeds))


def _living(entry: Entry) -> set[int]:
    return {seed for seed, alive in zip(entry.cell.seeds, entry.alive, strict=True) if alive}


def _matrix(entry: Entry, seeds: Sequence[int]) -> Float[np.ndarray, "S T1 T"]:
    result = entry.result
    kept = evenly(len(result.tasks), ROWS)
    places = [result.seeds.index(seed) for seed in seeds]
    rows = [0, *(number + 1 for number in kept)]
    return result.R[result.score][places][:, rows][:, :, kept]
