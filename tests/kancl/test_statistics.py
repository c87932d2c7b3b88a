"""Guards kancl.statistics: Student's interval against scipy, and against what an interval promises."""

import math

import numpy as np
import pytest
from scipy import stats

from kancl.statistics import Interval, t_interval

NAN = math.nan


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize("n", [2, 3, 5, 20, 300])
def test_the_interval_is_scipys(n: int, confidence: float) -> None:
    values = np.random.default_rng(n).normal(3.0, 2.0, n)
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(confidence)
    interval = t_interval(values, confidence)
    np.testing.assert_allclose(interval[:3], [values.mean(), expected.low, expected.high], rtol=1e-10)
    assert interval.n == n


def test_the_default_is_95_percent() -> None:
    values = np.array([1.0, 2.0, 4.0])
    assert t_interval(values) == t_interval(values, 0.95)


def test_seeds_without_a_value_do_not_count() -> None:
    assert t_interval(np.array([NAN, 1.0, 2.0, NAN, 4.0])) == t_interval(np.array([1.0, 2.0, 4.0]))


def test_two_seeds_by_hand() -> None:
    half = math.tan(math.pi / 2 * 0.95)  # Student's t with one degree of freedom is Cauchy's; s / sqrt(n) = 1
    assert t_interval(np.array([4.0, 6.0])) == pytest.approx((5.0, 5.0 - half, 5.0 + half, 2))


@pytest.mark.parametrize(("values", "mean", "n"), [([], NAN, 0), ([NAN, NAN], NAN, 0), ([7.0], 7.0, 1), ([NAN, 7.0], 7.0, 1)])
def test_below_two_seeds_there_is_no_interval(values: list[float], mean: float, n: int) -> None:
    interval = t_interval(np.array(values))
    np.testing.assert_array_equal(interval, Interval(mean, NAN, NAN, n))


def test_equal_values_have_an_interval_of_no_width() -> None:
    assert t_interval(np.full(4, 0.5)) == Interval(0.5, 0.5, 0.5, 4)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_interval_covers_as_often_as_it_says(confidence: float) -> None:
    repetitions = 4000
    samples = np.random.default_rng(2024).normal(1.5, 0.7, (repetitions, 5))
    intervals = [t_interval(sample, confidence) for sample in samples]
    coverage = np.mean([interval.low <= 1.5 <= interval.high for interval in intervals])
    band = 3 * math.sqrt(confidence * (1 - confidence) / repetitions)  # three standard errors: 0.010 at 95 %
    assert abs(coverage - confidence) < band
