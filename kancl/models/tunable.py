"""What an architecture or a strategy names as worth tuning beside the learning rate."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from kancl.registry import Builder

B = TypeVar("B", bound=Builder)
Range = tuple[float, float] | list[Any]
"""The ends of an interval that is searched on a log scale (a tuple), or the values to try (a list)."""


def tunable(**ranges: Range) -> Callable[[B], B]:
    """Decorate a builder: these of its options are tuned by ``kancl run --tune`` together with the learning rate.

    Name options that do not change what a network costs: equal budgets are solved before. An option that the user sets is not
    tuned. A strategy's are tuned by the final score alone: by the score right after learning, doing nothing would be best.

    Args:
        ranges: by option: the two ends of an interval, both above 0, or the list of values to try.

    >>> @tunable(strength=(1.0, 1e5), mode=["separate", "online"])
    ... def builder(strength: float = 100.0, mode: str = "separate") -> None: ...
    >>> sorted(tunables_of(builder))
    ['mode', 'strength']
    """

    def decorate(builder: B) -> B:
        builder.tunable = ranges  # type: ignore[attr-defined]
        return builder

    return decorate


def tunables_of(builder: Builder) -> Mapping[str, Range]:
    """Return the ranges that a builder declared, by option; none where it declared none.

    Args:
        builder: of an architecture or a strategy.
    """
    return getattr(builder, "tunable", {})
