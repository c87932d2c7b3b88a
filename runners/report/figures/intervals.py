"""The verdicts drawn: the difference of each comparison with its interval, on the two sides of no difference."""

from collections.abc import Sequence
from dataclasses import dataclass

from kancl.contest import JUDGED
from kancl.statistics import Interval
from runners.report.numbers import two_digits
from runners.report.sheet import Tone
from runners.report.verdict_tables import TONES
from runners.results.entry import grouped
from runners.results.verdicts import Comparison


@dataclass(frozen=True)
class Row:
    """One comparison.

    Args:
        first, second: the names of the two sides.
        under: strategy and policy.
        difference: first minus second.
        said: what the verdict says.
        tone: in which that is said.
        tests: p after Holm's correction and the number of pairs, in words.
    """

    first: str
    second: str
    under: str
    difference: Interval
    said: str
    tone: Tone
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
    groups = grouped(comparisons, lambda comparison: (comparison.first.labels["scenario"], comparison.verdict.metric))
    found = []
    for (scenario, metric), group in groups.items():
        result = group[0].first.result
        up = JUDGED[metric].higher_is_better
        better = "right" if (result.higher_is_better[result.score] if up is None else up) else "left"
        title = JUDGED[metric].title.format(score=result.score)
        told = f"first minus second, mean over seeds and 95 % interval, uncorrected; {better} of 0 the first is the better"
        found.append(IntervalsData((f"{scenario}: difference of {title}", told), title, tuple(map(_row, group))))
    return found


def _row(comparison: Comparison) -> Row:
    verdict, first = comparison.verdict, comparison.first
    trained = first.labels["policy"] if comparison.same_policy else "each as it was trained"
    return Row(
        first=first.labels["architecture"],
        second=comparison.second.labels["architecture"],
        under=f"{first.strategy}, {trained}",
        difference=verdict.difference,
        said=verdict.said,
        tone=TONES[verdict.outcome],
        tests=f"p {two_digits(verdict.p_holm)}, n {verdict.difference.n}",
    )
