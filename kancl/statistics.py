"""Intervals over seeds."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats


class Interval(NamedTuple):
    """A mean over ``n`` seeds with a two-sided interval; ``low`` and ``high`` are NaN below two seeds."""

    mean: float
    low: float
    high: float
    n: int


def t_interval(values: Float[np.ndarray, "S"], confidence: float = 0.95) -> Interval:
    """Return mean -+ t_{n-1} s / sqrt(n), Student's interval; seeds without a finite value do not count.

    >>> t_interval(np.array([1.0, 2.0, 3.0, float("nan")]))
    Interval(mean=2.0, low=-0.48413771175033027, high=4.48413771175033, n=3)
    """
    finite = values[np.isfinite(values)]
    n = len(finite)
    if n == 0:
        return Interval(np.nan, np.nan, np.nan, 0)
    mean = float(finite.mean())
    if n == 1:
        return Interval(mean, np.nan, np.nan, 1)
    half = float(stats.t.ppf((1 + confidence) / 2, n - 1) * finite.std(ddof=1) / n**0.5)
    return Interval(mean, mean - half, mean + half, n)
