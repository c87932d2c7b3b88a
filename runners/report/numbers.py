"""The one rule for numbers that people read, in tables, in labels of figures and in previews.

A mean has the digits that its interval supports, and both have the same ones; very small and very large numbers have their
power of ten taken out; zeros have no sign; thousands are set apart where things are counted; where no number is stands a dash.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from kancl.statistics import Interval, mean_interval
from kancl.text import counted

MISSING = "–"
LISTED = 8
"""Seeds that are named one by one."""


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds.

    Args:
        mean: NaN where no seed has a value.
        half: half of the interval; None below two seeds with a value.
        n: the seeds with a value.
        of: all seeds; where some lack a value, it is said how many have one.
    """

    mean: float
    half: float | None
    n: int
    of: int

    def __str__(self) -> str:
        text = everywhere(self.mean) if self.half == 0 and self.n > 1 else with_error(self.mean, self.half)
        return text if self.n in (0, self.of) else f"{text} (n={self.n})"


def estimate(values: Float[np.ndarray, "S"]) -> Estimate:
    """Return the mean of one value per seed with half of its 95 % interval; see :func:`kancl.statistics.mean_interval`.

    >>> str(estimate(np.array([1.0, 3.0, np.nan]))), str(estimate(np.array([0.0, 0.0])))
    ('2 ± 13 (n=2)', '0 in every seed')
    """
    mean, low, high, n = mean_interval(values)
    half = (high - low) / 2 if n > 1 else None
    return Estimate(mean, 0.0 if half is not None and is_rounding(half, mean) else half, n, len(values))


def is_rounding(half: float, mean: float) -> bool:
    """Tell whether half of an interval is nothing but the rounding of equal values."""
    return half <= 1e-12 * abs(mean)


def everywhere(value: float) -> str:
    """Write what all seeds have.

    >>> everywhere(-0.0), everywhere(0.25)
    ('0 in every seed', '0.2500 in every seed')
    """
    return f"{with_error(value, None)} in every seed"


def with_error(mean: float, half: float | None) -> str:
    """Write a mean and its half width with as many decimals as the half width supports.

    >>> with_error(0.99017, 0.00342), with_error(4.954e-6, 1.3e-6), with_error(1234.5, 800.0), with_error(1.0, 0.0)
    ('0.9902 ± 0.0034', '(5.0 ± 1.3)e-06', '1234 ± 800', '1 ± 0')
    >>> with_error(-0.00001, 0.25), with_error(float("nan"), None)
    ('0.00 ± 0.25', '–')
    """
    if not math.isfinite(mean):
        return MISSING
    half = half if half is None or math.isfinite(half) else None
    half_shown = half or 0.0
    largest = max(abs(mean), half_shown)
    if largest == 0:
        return "0" if half is None else "0 ± 0"
    scale, power = _power(largest)
    finest = half_shown if half_shown > 1e-4 * largest else largest * 1e-2
    decimals = _decimals(finest / scale)
    if half_shown == 0 and mean / scale == round(mean / scale):
        decimals = 0
    if half is None:
        return f"{fixed(mean / scale, decimals)}{power}"
    text = f"{fixed(mean / scale, decimals)} ± {fixed(half_shown / scale, decimals if half else 0)}"
    return f"({text}){power}" if power else text


def with_interval(interval: Interval) -> str:
    """Write a mean and its interval with as many decimals as the interval's width supports.

    >>> with_interval(Interval(0.5, 0.41, 0.63, 8)), with_interval(Interval(-4.9e-6, -6.2e-6, -3.6e-6, 8))
    ('0.50 [0.41, 0.63]', '(-4.9 [-6.2, -3.6])e-06')
    >>> with_interval(Interval(0.0, 0.0, 0.0, 8))
    '0 in every seed'
    """
    mean, low, high, n = interval
    if n < 2 or not np.isfinite(high - low):
        return with_error(mean, None) if n else MISSING
    largest = max(abs(mean), abs(low), abs(high))
    if is_rounding((high - low) / 2, mean):
        return everywhere(mean)
    scale, power = _power(largest)
    decimals = _decimals(max((high - low) / 2, 1e-4 * largest) / scale)
    mean_shown, low_shown, high_shown = (fixed(value / scale, decimals) for value in (mean, low, high))
    text = f"{mean_shown} [{low_shown}, {high_shown}]"
    return f"({text}){power}" if power else text


def _power(largest: float) -> tuple[float, str]:
    """Return the power of ten that is taken out, and how it is written: none from 0.001 to below 100,000."""
    exponent = int(np.floor(np.log10(largest)))
    return (1.0, "") if -3 <= exponent <= 4 else (10.0**exponent, f"e{exponent:+03d}")


def _decimals(finest: float) -> int:
    """Return how many decimals show two digits of a number: none to four."""
    return int(np.clip(1 - np.floor(np.log10(finest)), 0, 4))


def fixed(value: float, decimals: int = 2) -> str:
    """Write a number with so many decimals.

    >>> fixed(0.456), fixed(-0.001), fixed(float("nan"))
    ('0.46', '0.00', '–')
    """
    return MISSING if math.isnan(value) else f"{value:z.{decimals}f}"


def count(number: float) -> str:
    """Write how many there are.

    >>> count(1234567), count(8.0)
    ('1,234,567', '8')
    """
    return MISSING if math.isnan(number) else f"{number:z,.0f}"


def counts(numbers: Sequence[int], thing: str) -> str:
    """Write how many of a thing there are where not all have as many.

    >>> counts([3, 3], "seed"), counts([3, 1, 3], "seed")
    ('3 seeds', '1 or 3 seeds')
    """
    *others, last = sorted(set(numbers))
    return " or ".join([*map(count, others), counted(last, thing)])


def listed(numbers: Sequence[int]) -> str:
    """Name the first of some numbers.

    >>> listed([0, 1, 2]), listed(range(100))
    ('0, 1, 2', '0, 1, 2, 3, 4, 5, 6, 7, ...')
    """
    return ", ".join(map(str, numbers[:LISTED])) + (", ..." if len(numbers) > LISTED else "")


def short(value: float) -> str:
    """Write a number with three digits, and large ones whole.

    >>> short(0.01234), short(12.345), short(45678.9), short(-0.0)
    ('0.0123', '12.3', '45,679', '0')
    """
    return MISSING if math.isnan(value) else f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:z.3g}"


def times(ratio: float) -> str:
    """Write a ratio.

    >>> times(0.00123), times(0.926), times(34.56), times(128.4)
    ('0.0012x', '0.93x', '34.6x', '128x')
    """
    if ratio < 0.1:
        return f"{ratio:.2g}x"
    return f"{ratio:.2f}x" if ratio < 10 else f"{ratio:.1f}x" if ratio < 100 else f"{ratio:,.0f}x"


def percent(share: float) -> str:
    """Write a share.

    >>> percent(0.876), percent(float("nan"))
    ('88 %', '–')
    """
    return f"{100 * share:z.0f} %" if math.isfinite(share) else MISSING


def two_digits(value: float) -> str:
    """Write a number with two digits, as p and sizes of effects are.

    >>> two_digits(0.03125), two_digits(float("nan"))
    ('0.031', '–')
    """
    return MISSING if math.isnan(value) else f"{value:z.2g}"


def four_digits(value: float) -> str:
    """Write a number with four digits.

    >>> four_digits(0.340123)
    '0.3401'
    """
    return MISSING if math.isnan(value) else f"{value:z.4g}"


def span(low: float, high: float) -> str:
    """Write a range.

    >>> span(-1.0, 0.98765), span(-0.994, -0.0)
    ('-1 to 0.988', '-0.994 to 0')
    """
    return f"{low:z.3g} to {high:z.3g}"


def in_little_room(value: float) -> str:
    """Write a number in a field of a matrix.

    >>> in_little_room(0.123), in_little_room(0.0098), in_little_room(4.2e-6), in_little_room(float("nan"))
    ('0.12', '0.01', '4e-6', '–')
    """
    if math.isnan(value):
        return MISSING
    if 0.0095 <= abs(value) < 99.5 or value == 0:
        return fixed(value)
    return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")


def alike(values: Iterable[float], shares: bool = False) -> list[str]:
    """Write numbers that stand together, as those of a matrix do, in one way: with two decimals, or with a power of ten.

    Args:
        values: numbers or NaN.
        shares: whether they are shares of 1, of which nobody needs more than hundredths.

    >>> alike([0.123, 1.0]), alike([0.42, 4.2e-6, float("nan")]), alike([0.0, 250.0]), alike([0.5, 0.004], shares=True)
    (['0.12', '1.00'], ['4.2e-1', '4.2e-6', '–'], ['0', '2.5e2'], ['0.50', '0.00'])
    """
    kept = list(values)
    sizes = [abs(value) for value in kept if math.isfinite(value) and value]
    if shares or not sizes or (max(sizes) < 99.5 and min(sizes) >= 0.0095):
        return [fixed(value) for value in kept]
    return ["0" if value == 0 else MISSING if math.isnan(value) else _with_power(value) for value in kept]


def _with_power(value: float) -> str:
    """Write a number with its power of ten in as few letters as can be."""
    return f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


KINDS: dict[str, Callable[[float], str]] = {
    "count": count,
    "number": short,
    "text": short,
    "share": percent,
    "hundredths": fixed,
    "two digits": two_digits,
    "four digits": four_digits,
}
"""How the numbers of a column are written, by its kind."""
