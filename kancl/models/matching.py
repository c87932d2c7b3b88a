"""Matching: the width at which an architecture costs as much as another one.

One whole number scales an architecture: its widest hidden layer, or, where it has none, an option such as ``intervals``.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from kancl.errors import InputError
from kancl.registry import Builder

DEFAULT_OPTIONS = ("hidden", "intervals", "frequencies", "degree", "functions", "tiles")
"""The options by which an architecture is widened that says nothing else: the first of these that it has."""
LARGEST = 1 << 20
"""The width at which the search ends."""

B = TypeVar("B", bound=Builder)


def widened_by(option: str) -> Callable[[B], B]:
    """Decorate a builder: its width is this option, a whole number or a list of the hidden layers' widths.

    Without it an architecture is widened by the first of ``hidden`` (if it has an entry), ``intervals``, ``frequencies``,
    ``degree``, ``functions`` and ``tiles`` that it has as such an option.
    """

    def decorate(builder: B) -> B:
        builder.widened_by = option  # type: ignore[attr-defined]
        return builder

    return decorate


@dataclass(frozen=True)
class Width:
    """The option that widens an architecture, with its value as it was asked for."""

    option: str
    value: Any

    def at(self, width: int) -> Any:
        """Return the option's value at a width: the widest hidden layer gets it, the others in proportion, at least 1."""
        if isinstance(self.value, int):
            return width
        widest = max(self.value)
        return [max(1, math.floor(entry * width / widest + 0.5)) for entry in self.value]


def width_of(name: str, builder: Builder, options: Mapping[str, Any]) -> Width:
    """Return how an architecture with these options is widened.

    Args:
        name: of the architecture, for messages.
        builder: whose attribute ``widened_by`` names the option that sets its size; else it is looked for.
        options: all of them, spelled out.

    Raises:
        InputError: it cannot be.
    """
    declared = getattr(builder, "widened_by", None)
    for option in DEFAULT_OPTIONS if declared is None else (declared,):
        value = options.get(option)
        if _is_width(value):
            return Width(option, value)
    looked = ", ".join(DEFAULT_OPTIONS) if declared is None else declared
    raise InputError(
        f"{name} cannot be widened, so it cannot be matched: it has no hidden layer and no option that sets its size "
        f"(looked for {looked}); give it a hidden layer if it can have one, or leave it out"
    )


def _is_width(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return len(value) > 0 and all(map(_is_width, value))
    return isinstance(value, int) and not isinstance(value, bool)


def match_width(cost: Callable[[int], float], target: float, name: str, monotone: bool = True) -> tuple[int, float]:
    """Return the width from 1 on whose cost is closest to the target, and that cost; the smaller one of two equally close.

    By bisection: doubling from the smallest width until the cost reaches the target, then halving the interval.

    Args:
        cost: of a width, not falling as the width grows. A width that it refuses with an InputError is taken for too large,
            or, at the low end, for too small.
        target: the cost to meet.
        name: for the message.
        monotone: the cost is exact, so that one that does not grow will never get there; False for measured times.

    Raises:
        InputError: the cost does not depend on the width, or no width is accepted.
    """
    low, at_low = _smallest(cost)
    if at_low >= target:
        return low, at_low
    high, at_high = low, at_low
    while at_high < target:
        low, at_low, high = high, at_high, 2 * high
        at_high = _cost_or_inf(cost, high)
        if (monotone and at_high <= at_low) or high > LARGEST:
            raise InputError(
                f"{name} cannot be matched: its cost stays at {at_high:g}, however wide it is, and {target:g} is wanted; "
                "match by parameters, or give it hidden layers"
            )
    while high - low > 1:
        middle = (low + high) // 2
        at_middle = _cost_or_inf(cost, middle)
        if at_middle < target:
            low, at_low = middle, at_middle
        else:
            high, at_high = middle, at_middle
    return (low, at_low) if target - at_low <= at_high - target else (high, at_high)


def _smallest(cost: Callable[[int], float]) -> tuple[int, float]:
    """Return the first width that is accepted; a grid may need more than one interval."""
    for width in range(1, 9):
        try:
            return width, cost(width)
        except InputError as error:
            refused = error
    raise refused


def _cost_or_inf(cost: Callable[[int], float], width: int) -> float:
    try:
        return cost(width)
    except InputError:
        return math.inf
