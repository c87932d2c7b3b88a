"""Guards kancl.metrics: each function against plain loops written from its formula, and against arrays computed by hand."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kancl import metrics

DIRECTIONS = pytest.mark.parametrize("up", [True, False], ids=["accuracy", "error"])
NAN = math.nan

# Two seeds, three tasks. Task 1 of seed 0 is best after task 2: first-minus-last is not max-minus-last.
HAND = np.array(
    [
        [[0.10, 0.20, 0.30], [0.80, 0.25, 0.10], [0.90, 0.70, 0.40], [0.50, 0.60, 0.95]],
        [[0.50, 0.50, 0.50], [1.00, 0.50, 0.75], [0.75, 1.00, 0.25], [0.25, 1.00, 0.50]],
    ]
)


def matrix(tasks: int, seeds: int = 4) -> np.ndarray:
    return np.random.default_rng(tasks).uniform(0.05, 0.95, (seeds, tasks + 1, tasks))


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else NAN


def better(up: bool, ours: float, theirs: float) -> float:
    """Return by how much ``ours`` is better than ``theirs``."""
    return ours - theirs if up else theirs - ours


# Loops from the formulas; r[i][j - 1] is R[i, j] with tasks numbered from 1.


def slow_average(r: Any, t: int, up: bool) -> float:
    return mean([r[t][j - 1] for j in range(1, t + 1)])


def slow_learning(r: Any, t: int, up: bool) -> float:
    return mean([r[j][j - 1] for j in range(1, t + 1)])


def slow_backward(r: Any, t: int, up: bool) -> float:
    return mean([better(up, r[t][j - 1], r[j][j - 1]) for j in range(1, t)])


def slow_forward(r: Any, t: int, up: bool) -> float:
    return mean([better(up, r[j - 1][j - 1], r[0][j - 1]) for j in range(2, t + 1)])


def slow_forgetting(r: Any, t: int, up: bool) -> float:
    best = max if up else min
    return mean([better(up, best(r[i][j - 1] for i in range(j, t)), r[t][j - 1]) for j in range(1, t)])


SLOW = {
    "average_score": (lambda R, up: metrics.average_score(R), slow_average),
    "learning_score": (lambda R, up: metrics.learning_score(R), slow_learning),
    "backward_transfer": (metrics.backward_transfer, slow_backward),
    "forward_transfer": (metrics.forward_transfer, slow_forward),
    "forgetting": (metrics.forgetting, slow_forgetting),
}


@DIRECTIONS
@pytest.mark.parametrize("tasks", [1, 2, 3, 6])
@pytest.mark.parametrize("name", SLOW)
def test_metrics_of_the_matrix_are_their_formulas(name: str, tasks: int, up: bool) -> None:
    compute, slow = SLOW[name]
    R = matrix(tasks)
    actual = compute(R, up)
    assert actual.shape == (4,)
    np.testing.assert_allclose(actual, [slow(r, tasks, up) for r in R.tolist()], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("compute", "expected"),
    [
        (lambda R: metrics.average_score(R), [(0.5 + 0.6 + 0.95) / 3, (0.25 + 1 + 0.5) / 3]),
        (lambda R: metrics.learning_score(R), [(0.8 + 0.7 + 0.95) / 3, (1 + 1 + 0.5) / 3]),
        (lambda R: metrics.backward_transfer(R, True), [(-0.3 - 0.1) / 2, (-0.75 + 0) / 2]),
        (lambda R: metrics.backward_transfer(R, False), [(0.3 + 0.1) / 2, 0.75 / 2]),
        (lambda R: metrics.forward_transfer(R, True), [(0.05 + 0.1) / 2, (0 - 0.25) / 2]),
        (lambda R: metrics.forward_transfer(R, False), [(-0.05 - 0.1) / 2, 0.25 / 2]),
        (lambda R: metrics.forgetting(R, True), [(0.4 + 0.1) / 2, (0.75 + 0) / 2]),
        (lambda R: metrics.forgetting(R, False), [(-0.3 - 0.1) / 2, (-0.5 + 0) / 2]),
    ],
)
def test_metrics_of_a_matrix_by_hand(compute: Callable[[np.ndarray], np.ndarray], expected: list[float]) -> None:
    np.testing.assert_allclose(compute(HAND), expected, rtol=1e-12)


def test_right_after_is_the_diagonal_below_the_untrained_row() -> None:
    assert metrics.right_after(HAND).tolist() == [[0.8, 0.7, 0.95], [1.0, 1.0, 0.5]]


def test_forgetting_is_maximum_minus_last_and_never_looks_past_the_task_before_the_last() -> None:
    R = np.array([[[0.9, 0.9], [0.2, 0.9], [0.6, 0.3]], [[0.0, 0.0], [0.7, 0.0], [0.1, 0.8]]])
    np.testing.assert_allclose(metrics.forgetting(R, True), [-0.4, 0.6])


def test_intransigence_is_what_the_joint_model_does_better() -> None:
    joint = np.array([[0.9, 0.9, 0.9], [0.9, 1.0, 0.75]])
    expected = np.array([(0.1 + 0.2 - 0.05) / 3, (-0.1 + 0 + 0.25) / 3])
    np.testing.assert_allclose(metrics.intransigence(HAND, joint, True), expected)
    np.testing.assert_allclose(metrics.intransigence(HAND, joint, False), -expected)
    np.testing.assert_allclose(metrics.intransigence(HAND[:, :2, :1], joint[:, :1], True), [0.1, -0.1])


# Retention


def slow_learned(r: Any, null: list[float], j: int, up: bool, margin: float) -> bool:
    gained = better(up, r[j][j - 1], null[j - 1])
    return gained > 0 and gained >= margin * abs((1.0 if up else 0.0) - null[j - 1])


def slow_retention(r: Any, null: list[float], t: int, up: bool, floor: float, margin: float) -> float:
    kept = []
    for j in range(1, t):
        if slow_learned(r, null, j, up, margin):
            kept.append(max((null[j - 1] - r[t][j - 1]) / (null[j - 1] - r[j][j - 1]), floor))
    return mean(kept)


@DIRECTIONS
@pytest.mark.parametrize(("floor", "margin"), [(0.0, 0.1), (-2.0, 0.1), (0.25, 0.6), (0.0, 0.0)])
@pytest.mark.parametrize("tasks", [1, 2, 3, 6])
def test_retention_and_learned_are_their_formulas(tasks: int, floor: float, margin: float, up: bool) -> None:
    R, null = matrix(tasks, seeds=30), np.random.default_rng(5).uniform(0.2, 0.8, (30, tasks))
    expected = [slow_retention(r, n, tasks, up, floor, margin) for r, n in zip(R.tolist(), null.tolist(), strict=True)]
    np.testing.assert_allclose(metrics.retention(R, null, up, floor, margin), expected, rtol=1e-12)
    flags = [
        [slow_learned(r, n, j, up, margin) for j in range(1, tasks + 1)] for r, n in zip(R.tolist(), null.tolist(), strict=True)
    ]
    assert metrics.learned(R, null, up, margin).tolist() == flags


@DIRECTIONS
def test_learned_fraction_counts_the_last_task_too(up: bool) -> None:
    R, null = matrix(4), np.full((4, 4), 0.5)
    expected = [mean([slow_learned(r, [0.5] * 4, j, up, metrics.LEARNED_MARGIN) for j in range(1, 5)]) for r in R.tolist()]
    np.testing.assert_allclose(metrics.learned_fraction(R, null, up), expected)


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (0.2, 0.2, 1.0),
        (0.2, 1.0, 0.0),
        (0.2, 0.6, 0.5),
        (0.2, 0.0, 1.25),
        (0.2, 900.0, 0.0),
        (0.85, 0.85, 1.0),
        (0.95, 0.5, NAN),
        (1.0, 0.0, NAN),
        (1.5, 0.0, NAN),
    ],
)
def test_retention_of_one_error_by_hand(first: float, last: float, expected: float) -> None:
    R = np.array([[[3.0, 3.0], [first, 3.0], [last, 0.1]]])
    np.testing.assert_allclose(
        metrics.retention(R, np.ones((1, 2)), higher_is_better=False, margin=0.1), [expected], atol=1e-12
    )
    mirrored = metrics.retention(1 - R, np.zeros((1, 2)), higher_is_better=True, margin=0.1)
    np.testing.assert_allclose(mirrored, [expected], atol=1e-12)


def test_retention_leaves_out_what_was_not_learned_and_never_counts_the_last_task() -> None:
    R = np.array([[[1.0, 1.0, 1.0], [0.5, 1.0, 1.0], [0.5, 0.99, 1.0], [0.75, 0.0, 0.0]]])
    null = np.ones((1, 3))
    assert metrics.retention(R, null, higher_is_better=False).tolist() == [0.5]
    assert metrics.learned(R, null, higher_is_better=False).tolist() == [[1.0, 0.0, 1.0]]
    nothing_but_the_last = np.array([[[1.0, 1.0], [1.0, 1.0], [1.0, 0.0]]])
    assert np.isnan(metrics.retention(nothing_but_the_last, np.ones((1, 2)), higher_is_better=False)).all()


def test_a_perfect_constant_predictor_leaves_nothing_to_learn() -> None:
    R = np.zeros((1, 3, 2))
    assert metrics.learned(R, np.zeros((1, 2)), higher_is_better=False).tolist() == [[0.0, 0.0]]
    assert np.isnan(metrics.retention(R, np.zeros((1, 2)), higher_is_better=False)).all()


# NaN and degenerate sequences


ALL_OF_R: dict[str, Callable[[np.ndarray, bool], np.ndarray]] = {
    **{name: compute for name, (compute, _) in SLOW.items()},
    "intransigence": lambda R, up: metrics.intransigence(R, np.full((len(R), R.shape[2]), 0.5), up),
    "retention": lambda R, up: metrics.retention(R, np.full((len(R), R.shape[2]), 0.01 if up else 0.99), up, margin=0.01),
    "learned_fraction": lambda R, up: metrics.learned_fraction(R, np.full((len(R), R.shape[2]), 0.01 if up else 0.99), up),
}


@DIRECTIONS
@pytest.mark.parametrize("name", ALL_OF_R)
def test_a_diverged_seed_stays_in_its_row(name: str, up: bool) -> None:
    compute, R = ALL_OF_R[name], matrix(4)
    expected = compute(R, up)
    assert np.isfinite(expected).all()
    R[2] = NAN
    expected[2] = NAN
    np.testing.assert_array_equal(compute(R, up), expected)
    R = matrix(4)
    R[2, 3:] = NAN
    np.testing.assert_array_equal(compute(R, up), expected)


@DIRECTIONS
@pytest.mark.parametrize(
    ("name", "i", "j"),
    [
        ("average_score", 4, 0),
        ("learning_score", 1, 0),
        ("backward_transfer", 1, 0),
        ("backward_transfer", 4, 2),
        ("forward_transfer", 0, 1),
        ("forward_transfer", 3, 3),
        ("forgetting", 2, 0),
        ("forgetting", 4, 1),
        ("intransigence", 4, 3),
        ("retention", 2, 1),
        ("retention", 4, 1),
        ("learned_fraction", 4, 3),
    ],
)
def test_one_nan_that_the_formula_reads_is_shown(name: str, i: int, j: int, up: bool) -> None:
    R = matrix(4)
    R[1, i, j] = NAN
    assert np.isnan(ALL_OF_R[name](R, up)).tolist() == [False, True, False, False]


@DIRECTIONS
@pytest.mark.parametrize("name", ["backward_transfer", "forward_transfer", "forgetting", "retention"])
def test_one_task_has_no_past(name: str, up: bool) -> None:
    assert np.isnan(ALL_OF_R[name](matrix(1), up)).all()


@DIRECTIONS
@pytest.mark.parametrize("name", metrics.METRICS)
def test_the_table_of_metrics_names_the_functions(name: str, up: bool) -> None:
    R, null = matrix(3), np.full((4, 3), 0.4)
    curves, task_of = np.repeat(R, 5, axis=1), np.repeat(np.arange(4), 5)
    metric = metrics.METRICS[name]
    expected = {
        "learning_score": metrics.learning_score(R),
        "final_score": metrics.average_score(R),
        "forgetting": metrics.forgetting(R, up),
        "backward_transfer": metrics.backward_transfer(R, up),
        "forward_transfer": metrics.forward_transfer(R, up),
        "retention": metrics.retention(R, null, up),
        "learned": metrics.learned_fraction(R, null, up),
        "min_score": metrics.min_score(curves, task_of, up),
        "worst_case_score": metrics.worst_case_score(curves, task_of, up),
        "windowed_forgetting": metrics.windowed_forgetting(curves, 10, up),
        "windowed_plasticity": metrics.windowed_plasticity(curves, 10, up),
    }
    measured = metrics.Measured(R, null, curves, task_of, up)
    np.testing.assert_array_equal(metric.compute(measured), expected[name])
    assert metric.title
    assert metric.formula


matrices = st.integers(1, 5).flatmap(
    lambda tasks: arrays(np.float64, (3, tasks + 1, tasks), elements=st.floats(0, 1) | st.just(NAN))
)


@settings(max_examples=100, deadline=None)
@given(matrices)
def test_an_accuracy_and_its_negation_have_the_same_transfer_and_forgetting(R: np.ndarray) -> None:
    for compute in (metrics.backward_transfer, metrics.forward_transfer, metrics.forgetting):
        np.testing.assert_array_equal(compute(R, True), compute(-R, False))
        np.testing.assert_allclose(compute(R, True), compute(1 - R, False), rtol=0, atol=1e-12)


@settings(max_examples=100, deadline=None)
@given(matrices)
def test_forgetting_is_at_least_the_loss_since_training(R: np.ndarray) -> None:
    forgotten, lost = metrics.forgetting(R, True), -metrics.backward_transfer(R, True)
    known = ~np.isnan(forgotten)
    assert (forgotten[known] >= lost[known] - 1e-12).all()


# The dense curves


def curves(tasks: int, each: int = 3) -> tuple[np.ndarray, np.ndarray]:
    task_of = np.array([0] + [task for task in range(1, tasks + 1) for _ in range(each)])
    return np.random.default_rng(tasks).uniform(0, 1, (4, len(task_of), tasks)), task_of


def slow_min(c: Any, task_of: list[int], tasks: int, up: bool) -> float:
    worst = min if up else max
    return mean([worst(c[e][j - 1] for e in range(len(task_of)) if task_of[e] > j) for j in range(1, tasks)])


def slow_change(c: Any, tasks: int, window: int, gain: bool, up: bool) -> float:
    largest = []
    for j in range(tasks):
        changes = [0.0]
        for e in range(len(c)):
            for later in range(e + 1, min(e + window, len(c))):
                change = better(up, c[later][j], c[e][j])
                changes.append(change if gain else -change)
        largest.append(max(changes))
    return mean(largest)


@DIRECTIONS
@pytest.mark.parametrize("tasks", [1, 2, 3, 5])
def test_worst_scores_are_their_formulas(tasks: int, up: bool) -> None:
    c, task_of = curves(tasks)
    expected = [slow_min(seed, task_of.tolist(), tasks, up) for seed in c.tolist()]
    np.testing.assert_allclose(metrics.min_score(c, task_of, up), expected, rtol=1e-12)
    rest = [0.0 if tasks == 1 else (1 - 1 / tasks) * value for value in expected]
    worst_case = [seed[-1][-1] / tasks + value for seed, value in zip(c.tolist(), rest, strict=True)]
    np.testing.assert_allclose(metrics.worst_case_score(c, task_of, up), worst_case, rtol=1e-12)


def test_worst_scores_by_hand() -> None:
    task_of = np.array([0, 1, 1, 2, 2])
    c = np.array([[[0.0, 0.0], [0.1, 0.0], [0.9, 0.0], [0.3, 0.2], [0.6, 0.8]]])
    np.testing.assert_allclose(metrics.min_score(c, task_of, True), [0.3])
    np.testing.assert_allclose(metrics.min_score(c, task_of, False), [0.6])
    np.testing.assert_allclose(metrics.worst_case_score(c, task_of, True), [0.8 / 2 + 0.3 / 2])


@DIRECTIONS
@pytest.mark.parametrize("window", [2, 3, 5, 1000])
@pytest.mark.parametrize("tasks", [1, 2, 4])
def test_windowed_changes_are_their_formulas(tasks: int, window: int, up: bool) -> None:
    c, _ = curves(tasks)
    drops = [slow_change(seed, tasks, window, gain=False, up=up) for seed in c.tolist()]
    rises = [slow_change(seed, tasks, window, gain=True, up=up) for seed in c.tolist()]
    np.testing.assert_allclose(metrics.windowed_forgetting(c, window, up), drops, rtol=1e-12)
    np.testing.assert_allclose(metrics.windowed_plasticity(c, window, up), rises, rtol=1e-12)


def test_windowed_changes_by_hand() -> None:
    c = np.array([[[0.1], [0.9], [0.7], [0.4], [0.5]], [[0.1], [0.2], [0.3], [0.4], [0.5]]])
    np.testing.assert_allclose(metrics.windowed_forgetting(c, 2, True), [0.3, 0.0])
    np.testing.assert_allclose(metrics.windowed_forgetting(c, 3, True), [0.5, 0.0])
    np.testing.assert_allclose(metrics.windowed_plasticity(c, 2, True), [0.8, 0.1])
    np.testing.assert_allclose(metrics.windowed_plasticity(c, 3, False), [0.5, 0.0])


@pytest.mark.parametrize("window", [1, 0, -3])
def test_a_window_of_one_evaluation_is_refused(window: int) -> None:
    with pytest.raises(ValueError, match=f"got {window}"):
        metrics.windowed_forgetting(curves(2)[0], window, True)


@DIRECTIONS
@pytest.mark.parametrize("name", ["min_score", "worst_case_score", "windowed_forgetting", "windowed_plasticity"])
def test_a_diverged_curve_stays_in_its_row(name: str, up: bool) -> None:
    c, task_of = curves(3)
    extra = (task_of,) if name in ("min_score", "worst_case_score") else (3,)
    expected = getattr(metrics, name)(c, *extra, up)
    c[1, 5:] = NAN
    expected[1] = NAN
    np.testing.assert_array_equal(getattr(metrics, name)(c, *extra, up), expected)


@pytest.mark.parametrize("name", ["windowed_forgetting", "windowed_plasticity"])
def test_a_single_evaluation_cannot_change(name: str) -> None:
    assert getattr(metrics, name)(np.array([[[0.5, 0.7]]]), 2, True).tolist() == [0.0]
