"""The verdicts drawn: the difference of each comparison with its interval, on the two sides of no difference."""

from collections.abc import Sequence
from dataclasses import dataclass

from kancl.statistics import Interval
from kancl.verdict import Outcome
from runners.report.numbers import two_digits
from runners.results.entry import grouped
from runners.results.verdicts import Comparison


@dataclass(frozen=True)
class Row:
    """One comparison.

    Args:
        first, second: the names of the two sides.
        under: strategy and policy.
        difference: first minus second.
        outcome: of the verdict.
        tests: p after Holm's correction and the number of pairs, in words.
    """

    first: str
    second: str
    under: str
    difference: Interval
    outcome: Outcome
    tests: str


@dataclass(frozen=True)
class IntervalsData:
    """The comparisons of one scenario.

    Args:
        heading: lines over the figure.
        metric: what is compared.
        rows: one per comparison.
    """

    heading: tuple[str, ...]
    metric: str
    rows: tuple[Row, ...]


def intervals(comparisons: Sequence[Comparison]) -> list[IntervalsData]:
    """Return the differences of all comparisons, those of a scenario together."""
    found = []
    for (scenario, metric), group in grouped(comparisons, _kind).items():
        what = f"{scenario}: difference of {metric}"
        told = "first minus second, mean over seeds and 95 % interval, uncorrected; right of 0 the first has more"
        found.append(IntervalsData((what, told), metric, tuple(map(_row, group))))
    return found


def _kind(comparison: Comparison) -> tuple[str, str]:
    return comparison.first.labels["scenario"], getattr(comparison.verdict, "metric", "retention")


def _row(comparison: Comparison) -> Row:
    verdict, first = comparison.verdict, comparison.first
    trained = first.labels["policy"] if comparison.same_policy else "each as it was trained"
    return Row(
        first=first.labels["architecture"],
        second=comparison.second.labels["architecture"],
        under=f"{first.strategy}, {trained}",
        difference=verdict.difference,
        outcome=verdict.outcome,
        tests=f"p {two_digits(verdict.p_holm)}, n {verdict.difference.n}",
    )
