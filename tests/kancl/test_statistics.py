"""Guards kancl.statistics: intervals, tests and slopes against scipy, brute force, and what an interval promises."""

import itertools
import math
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from scipy import stats

from kancl.statistics import (
    BOOTSTRAP_FROM,
    EXACT_UP_TO,
    FLIPS,
    Interval,
    bootstrap_interval,
    holm,
    mean_interval,
    pair,
    paired_effect_size,
    seed_warning,
    seeds_needed,
    seedwise_slope,
    sign_flip_test,
    smallest_p,
    t_interval,
)

NAN = math.nan

FEW = 999
"""Resamples, where an interval is made hundreds of times."""


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


# The bootstrap.


def test_the_bootstrap_is_scipys_at_the_expanded_level() -> None:
    values = np.random.default_rng(1).exponential(2.0, 24)
    level = 1 - 2 * stats.norm.cdf(-math.sqrt(24 / 23) * stats.t.ppf(0.975, 23))
    assert level == pytest.approx(0.9655, abs=1e-3)
    expected = stats.bootstrap(
        (values,), np.mean, confidence_level=level, n_resamples=9999, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    found = bootstrap_interval(np.append(values, NAN))
    np.testing.assert_allclose(found, [values.mean(), expected.low, expected.high, 24], rtol=1e-9)
    assert bootstrap_interval(values) == found, "the same every time"


@pytest.mark.parametrize("factor", [1e-9, -1.0, 1e12])
@pytest.mark.parametrize("shift", [0.0, 1e3])
def test_the_bootstrap_follows_units(factor: float, shift: float) -> None:
    values = np.random.default_rng(2).exponential(1.0, 30)
    plain = bootstrap_interval(values)
    ends = sorted(factor * (end + shift) for end in (plain.low, plain.high))
    if factor > 0:  # a mirrored sample is resampled in mirrored order, so only the size of its interval can be told
        np.testing.assert_allclose(bootstrap_interval(factor * (values + shift))[1:3], ends, rtol=1e-9)
    else:
        mirrored = bootstrap_interval(factor * (values + shift))
        assert mirrored.high - mirrored.low == pytest.approx(ends[1] - ends[0], rel=0.1)


@pytest.mark.parametrize("values", [[], [3.0], [0.1] * 40])
def test_the_bootstrap_without_spread(values: list[float]) -> None:
    end = values[0] if len(values) > 1 else NAN
    expected = Interval(values[0] if values else NAN, end, end, len(values))
    np.testing.assert_array_equal(bootstrap_interval(np.array(values)), expected)


def test_student_below_twenty_values_bootstrap_from_there_on() -> None:
    values = np.random.default_rng(3).exponential(1.0, BOOTSTRAP_FROM)
    assert BOOTSTRAP_FROM == 20
    assert mean_interval(values) == bootstrap_interval(values) != t_interval(values)
    values[0] = NAN  # one seed diverged: 19 are left
    assert mean_interval(values) == t_interval(values)


def coverage(
    interval: Callable[..., Interval], draw: Callable[..., np.ndarray], mean: float, n: int, repetitions: int
) -> float:
    samples = draw(np.random.default_rng(99), (repetitions, n))
    return float(np.mean([found.low <= mean <= found.high for found in map(interval, samples)]))


def normal(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return rng.normal(2.0, 0.5, shape)


def skewed(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return rng.exponential(1.0, shape)


def errors(p: float, repetitions: int) -> float:
    """Three standard errors of a share p, from the binomial distribution."""
    return 3 * math.sqrt(p * (1 - p) / repetitions)


@pytest.mark.parametrize(("n", "repetitions"), [(6, 2000), (12, 2000), (20, 400), (32, 400)])
def test_the_interval_in_use_covers_normal_values(n: int, repetitions: int) -> None:
    assert abs(coverage(partial(mean_interval, resamples=FEW), normal, 2.0, n, repetitions) - 0.95) < errors(0.95, repetitions)


@pytest.mark.parametrize(("n", "least", "repetitions"), [(8, 0.89, 2000), (20, 0.92, 400)])
def test_the_interval_in_use_loses_little_to_skew(n: int, least: float, repetitions: int) -> None:
    """The skewness of an exponential is 2; Student's loss there is of the order skewness^2 / n."""
    found = coverage(partial(mean_interval, resamples=FEW), skewed, 1.0, n, repetitions)
    assert least - errors(least, repetitions) < found < 0.95 + errors(0.95, repetitions)


def test_a_bootstrap_would_be_too_narrow_for_six_seeds() -> None:
    """Why Student's interval is used there: even the expanded bootstrap covers 93 %, the plain one 85 %."""
    found = coverage(partial(bootstrap_interval, resamples=FEW), normal, 2.0, 6, 400)
    assert found < coverage(t_interval, normal, 2.0, 6, 400) - 0.01


# Pairing.


def test_values_are_paired_by_seed_whatever_the_order() -> None:
    pairs = pair((7, 3, 5, 9), np.array([70.0, 30.0, NAN, 90.0]), (3, 5, 7, 11), np.array([3.0, 5.0, 7.0, 11.0]))
    assert pairs.seeds.tolist() == [3, 7]
    assert (pairs.first.tolist(), pairs.second.tolist()) == ([30.0, 70.0], [3.0, 7.0])
    assert pairs.differences.tolist() == [27.0, 63.0]
    assert (pairs.dropped, pairs.unpaired) == ((5,), (9, 11))


@pytest.mark.parametrize("broken", [NAN, math.inf, -math.inf])
@pytest.mark.parametrize("side", [0, 1])
def test_a_value_that_is_not_finite_costs_the_pair(broken: float, side: int) -> None:
    sides = [np.array([1.0, 2.0, 3.0]), np.array([4.0, 6.0, 8.0])]
    sides[side][1] = broken
    pairs = pair((0, 1, 2), sides[0], (0, 1, 2), sides[1])
    assert (pairs.seeds.tolist(), pairs.differences.tolist(), pairs.dropped) == ([0, 2], [-3.0, -5.0], (1,))


def test_no_seed_in_common_is_no_pair() -> None:
    pairs = pair((0, 1), np.array([1.0, 2.0]), (2,), np.array([3.0]))
    assert (len(pairs.seeds), len(pairs.differences), pairs.unpaired) == (0, 0, (0, 1, 2))


@pytest.mark.parametrize(("seeds", "count"), [((0, 1), 3), ((0, 0), 2)])
def test_seeds_that_do_not_fit_the_values_are_refused(seeds: tuple[int, ...], count: int) -> None:
    with pytest.raises(ValueError, match="one value for each"):
        pair(seeds, np.zeros(count), (0,), np.zeros(1))


# The sign-flip test.


def brute_force(differences: np.ndarray) -> float:
    flips = np.array(list(itertools.product([1, -1], repeat=len(differences))))
    sums = np.abs(flips @ differences)
    return float((sums >= abs(differences.sum()) * (1 - 1e-12)).mean())


@pytest.mark.parametrize("n", range(1, 13))
@pytest.mark.parametrize("kind", ["real", "whole"])
def test_the_sign_flip_test_is_the_enumeration_and_scipys(n: int, kind: str) -> None:
    """Whole numbers have ties, among them zeros."""
    rng = np.random.default_rng(n)
    differences = rng.normal(0.4, 1.0, n) if kind == "real" else rng.integers(-2, 4, n).astype(float)
    found = sign_flip_test(differences)
    assert found == brute_force(differences)
    if n > 1:  # scipy would take a single value for no sample
        test = stats.permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=np.inf)
        assert found == pytest.approx(test.pvalue, abs=1e-12)


def test_ties_by_rounding_count_as_ties() -> None:
    differences = np.array([0.1, 0.2, 0.3, -0.3, 0.7, 0.6])  # 0.1 + 0.2 is not 0.3 in floating point
    assert sign_flip_test(differences) == brute_force(np.round(10 * differences))


@pytest.mark.parametrize(("values", "p"), [([], NAN), ([NAN], NAN), ([2.0], 1.0), ([0.0] * 9, 1.0), ([1.0, NAN, 2.0], 0.5)])
def test_the_sign_flip_test_at_its_edges(values: list[float], p: float) -> None:
    np.testing.assert_equal(sign_flip_test(np.array(values)), p)


@pytest.mark.parametrize("n", [3, 8, EXACT_UP_TO])
def test_the_smallest_p_is_reached_and_no_smaller_one(n: int) -> None:
    assert sign_flip_test(np.arange(1.0, n + 1)) == sign_flip_test(-np.arange(1.0, n + 1)) == smallest_p(n) == 2 / 2**n


def test_many_seeds_are_sampled_and_agree_with_the_enumeration() -> None:
    differences = np.random.default_rng(5).normal(0.45, 1.0, 20)
    exact = sign_flip_test(differences)
    sampled = sign_flip_test(differences, exact_up_to=19)
    assert sampled == sign_flip_test(differences, exact_up_to=19), "the same every time"
    assert sampled != exact
    assert abs(sampled - exact) < 2 * errors(exact / 2, FLIPS) + 2 / FLIPS
    strong = np.full(30, 1.0) + np.arange(30)
    assert sign_flip_test(strong) == pytest.approx(2 / (FLIPS + 1))


@pytest.mark.parametrize("draw", [lambda rng: rng.normal(0, 1, 8), lambda rng: rng.standard_t(2, 8)])
def test_the_sign_flip_test_errs_as_often_as_it_says(draw: Callable[[np.random.Generator], np.ndarray]) -> None:
    rng = np.random.default_rng(6)
    rejected = np.mean([sign_flip_test(draw(rng)) <= 0.05 for _ in range(3000)])
    exact = 12 / 256  # the largest p that eight seeds can give up to 5 %
    assert abs(rejected - exact) < errors(exact, 3000)


# How many seeds it takes.


@pytest.mark.parametrize(("alpha", "comparisons", "seeds"), [(0.05, 1, 6), (0.05, 2, 7), (0.05, 10, 9), (0.01, 1, 8)])
def test_seeds_needed(alpha: float, comparisons: int, seeds: int) -> None:
    assert seeds_needed(alpha, comparisons) == seeds
    assert seed_warning(seeds, alpha, comparisons) is None
    warning = seed_warning(seeds - 1, alpha, comparisons)
    assert warning is not None
    assert f"{seeds - 1} seeds cannot reach {100 * alpha:g} %" in warning
    assert f"{seeds} seeds can" in warning
    strongest = np.full(max(comparisons, 1), sign_flip_test(np.arange(1.0, seeds + 1)))
    assert holm(strongest).min() <= alpha


def test_the_smallest_p_of_few_seeds() -> None:
    assert [smallest_p(n) for n in range(5)] == [1.0, 1.0, 0.5, 0.25, 0.125]
    assert seed_warning(1) == "1 seed cannot reach 5 %: the smallest p is 1; 6 seeds can"


# Holm's correction.


def test_holm_by_hand() -> None:
    # Sorted: .001, .01, .02, .04, .5 times 5, 4, 3, 2, 1 gives .005, .04, .06, .08, .5.
    found = holm(np.array([0.04, 0.5, 0.001, 0.02, 0.01]))
    np.testing.assert_allclose(found, [0.08, 0.5, 0.005, 0.06, 0.04])


def test_holm_keeps_the_order_and_stops_at_one() -> None:
    # Times 3, 2, 1: .12, .1, .06; the later ones may not be smaller than the first.
    np.testing.assert_allclose(holm(np.array([0.05, 0.06, 0.04])), [0.12, 0.12, 0.12])
    np.testing.assert_allclose(holm(np.array([0.7, 0.6])), [1.0, 1.0])
    np.testing.assert_allclose(holm(np.array([0.03])), [0.03])


def test_holm_leaves_out_what_has_no_p() -> None:
    np.testing.assert_allclose(holm(np.array([NAN, 0.02, NAN, 0.03])), [NAN, 0.04, NAN, 0.04])
    assert len(holm(np.array([]))) == 0
    assert np.isnan(holm(np.array([NAN]))).all()


def test_holm_rejects_by_chance_as_seldom_as_it_says() -> None:
    p = np.random.default_rng(7).uniform(size=(3000, 6))
    wrong = np.mean([(holm(row) <= 0.05).any() for row in p])
    exact = 1 - (1 - 0.05 / 6) ** 6
    assert abs(wrong - exact) < errors(exact, 3000)


# Effect size.


def test_the_effect_size_by_hand() -> None:
    differences = np.array([1.0, 2.0, 3.0, 4.0, NAN])  # mean 2.5, variance 5/3; J(3) = Gamma(1.5) / (sqrt(1.5) Gamma(1))
    correction = (math.sqrt(math.pi) / 2) / math.sqrt(1.5)
    assert paired_effect_size(differences) == pytest.approx(correction * 2.5 / math.sqrt(5 / 3))
    assert paired_effect_size(-differences) == -paired_effect_size(differences)


def test_the_effect_size_is_unbiased() -> None:
    samples = np.random.default_rng(8).normal(0.8, 1.0, (3000, 5))
    found = np.array([paired_effect_size(sample) for sample in samples])
    assert abs(found.mean() - 0.8) < 3 * found.std() / math.sqrt(len(found))


@pytest.mark.parametrize(
    ("values", "size"),
    [([0.1] * 7, math.inf), ([-0.3] * 3, -math.inf), ([0.0] * 4, 0.0), ([1.0, 2.0], NAN), ([], NAN), ([1.0, NAN, 1.0], NAN)],
)
def test_the_effect_size_without_spread(values: list[float], size: float) -> None:
    np.testing.assert_equal(paired_effect_size(np.array(values)), size)


# The slope over seeds.


def test_the_slope_is_the_mean_of_the_seeds_slopes() -> None:
    rng = np.random.default_rng(9)
    x = rng.uniform(size=(7, 10))
    y = 0.5 + 2.0 * x + rng.normal(0, 0.1, x.shape)
    own = [np.polyfit(a, b, 1) for a, b in zip(x, y, strict=True)]
    found = seedwise_slope(x, y)
    expected = t_interval(np.array([slope for slope, _ in own]))
    np.testing.assert_allclose(found.slope, expected, rtol=1e-9)
    assert found.intercept == pytest.approx(np.mean([intercept for _, intercept in own]))
    assert (found.p, found.points, found.dropped_points, found.dropped_seeds) == (2 / 2**7, 70, 0, 0)


def test_levels_of_seeds_do_not_count() -> None:
    """Within each seed forgetting rises with overlap, between seeds it falls: a pooled regression would see the second."""
    x = np.array([[0.0, 0.1, 0.2], [1.0, 1.1, 1.2], [2.0, 2.1, 2.2]])
    y = x - 5.0 * np.round(x)
    assert stats.linregress(x.ravel(), y.ravel()).slope < -3
    assert seedwise_slope(x, y).slope == pytest.approx((1.0, 1.0, 1.0, 3), abs=1e-9)


def test_points_and_seeds_without_a_slope_are_dropped_and_counted() -> None:
    x = np.array([[0.0, 1.0, 2.0], [0.0, NAN, 1.0], [0.3, 0.3, 0.3], [NAN, 1.0, NAN], [0.0, 1.0, 2.0]])
    y = np.array([[0.0, 2.0, 4.0], [1.0, 9.0, 5.0], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [NAN, NAN, NAN]])
    found = seedwise_slope(x, y)
    assert found.slope[0] == pytest.approx(3.0)
    assert (found.slope.n, found.points, found.dropped_points, found.dropped_seeds) == (2, 5, 6, 3)


def test_no_seed_has_a_slope() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = seedwise_slope(np.full((4, 3), 0.1 + 0.2), np.zeros((4, 3)))
    assert (found.slope.n, found.points, found.dropped_seeds) == (0, 0, 4)
    assert all(map(math.isnan, (found.slope.mean, found.intercept, found.p)))


def test_the_slope_covers_though_points_of_a_seed_depend_on_each_other() -> None:
    """Each seed has a slope of its own; a regression that takes its 20 points for independent covers far too seldom."""
    rng, repetitions, n = np.random.default_rng(10), 250, 6
    covered = {"seeds": 0, "pooled": 0}
    x = np.tile(np.linspace(0, 1, 20), (n, 1))
    for _ in range(repetitions):
        y = rng.normal(1.5, 1.0, (n, 1)) * x + rng.normal(0, 0.05, x.shape)
        slope = seedwise_slope(x, y).slope
        covered["seeds"] += slope.low <= 1.5 <= slope.high
        pooled = stats.linregress(x.ravel(), y.ravel())
        covered["pooled"] += abs(pooled.slope - 1.5) <= stats.t.ppf(0.975, x.size - 2) * pooled.stderr
    assert abs(covered["seeds"] / repetitions - 0.95) < errors(0.95, repetitions)
    assert covered["pooled"] / repetitions < 0.7
