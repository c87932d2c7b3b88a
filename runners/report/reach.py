"""What a score can be, and which intervals reach beyond that: Student's is symmetric, whatever the score's range is."""

import math
from collections.abc import Iterable, Iterator

from kancl.contest import Reach

ACCURACIES: dict[str, Reach] = {
    "learning_score": (0.0, 1.0), "final_score": (0.0, 1.0), "forgetting": (-1.0, 1.0), "backward_transfer": (-1.0, 1.0),
}  # fmt: skip
ERRORS: dict[str, Reach] = {"learning_score": (0.0, math.inf), "final_score": (0.0, math.inf)}
WHATEVER: dict[str, Reach] = {"retention": (0.0, math.inf), "learned": (0.0, 1.0)}
"""Of both; a retention above 1 is a task that got better later."""


def reach_of(metric: str, higher_is_better: bool) -> Reach:
    """Return the least and the largest value of a metric.

    Args:
        metric: as :data:`kancl.metrics.METRICS` names it.
        higher_is_better: whether the score is an accuracy; else it is an error.
    """
    return (WHATEVER | (ACCURACIES if higher_is_better else ERRORS)).get(metric, (-math.inf, math.inf))


def beyond(low: float, high: float, reach: Reach) -> list[str]:
    """Return the ends of a range beyond which an interval reaches, in words; NaN reaches nowhere.

    >>> beyond(-0.1, 0.5, (0.0, 1.0)), beyond(0.0, 1.0, (0.0, 1.0))
    (['below 0'], [])
    """
    least, most = reach
    return [f"below {least:g}"] * (low < least) + [f"above {most:g}"] * (high > most)


def remark(found: Iterable[tuple[str, list[str]]]) -> Iterator[str]:
    """Yield a line on intervals that reach beyond what their score can be, if there are any.

    Args:
        found: what each interval is of, and :func:`beyond` what it reaches.
    """
    told = [f"{name} {' and '.join(ends)}" for name, ends in found if ends]
    if told:
        more = f" and {len(told) - MOST} more" if len(told) > MOST else ""
        yield f"intervals that reach beyond what can be, since few seeds give symmetric ones: {', '.join(told[:MOST])}{more}"


MOST = 4
"""Intervals that are named one by one."""
