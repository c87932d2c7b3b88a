"""What a sequence of tasks did to a learner: pure functions of the retention matrix and of the dense curves.

Notation: R[s, i, j] is the score on task j after training task i, for seed s; i = 0 is before any training, so R has T + 1
rows and T columns. Tasks are numbered from 1 in the formulas, so R[j, j] is the score right after task j was learned; in the
arrays that entry is ``R[:, j + 1, j]``. A score is an accuracy (higher is better) or an error (lower is better).

Signs: average and learning score are plain means in the score's own unit. In every other metric the sign is that of the
accuracy form whatever the score: positive backward transfer is a gain, positive forgetting and intransigence are a loss.

Every function returns one value per seed. NaN in, NaN out, for that seed alone; where a metric is undefined it is NaN.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

RETENTION_FLOOR = 0.0
LEARNED_MARGIN = 0.5

Matrix = Float[np.ndarray, "S T1 T"]
PerSeed = Float[np.ndarray, "S"]


def _sign(higher_is_better: bool) -> int:
    return 1 if higher_is_better else -1


def _mean_over_tasks(values: Float[np.ndarray, "S N"]) -> PerSeed:
    """Mean over the last axis; undefined (NaN) when there is no task to average over."""
    return values.mean(1) if values.shape[1] else np.full(len(values), np.nan)


def right_after(R: Matrix) -> Float[np.ndarray, "S T"]:
    """Return the diagonal R[j, j]: each task's score right after it was learned.

    Args:
        R: the retention matrices.
    """
    return np.diagonal(R[:, 1:], axis1=1, axis2=2)


def average_score(R: Matrix) -> PerSeed:
    """ACC, mean_j R[T, j], in the score's own unit (Lopez-Paz and Ranzato 2017, equation 2).

    Args:
        R: the retention matrices.

    >>> average_score(np.array([[[0.5, 0.5], [0.75, 0.5], [0.5, 1.0]]])).tolist()
    [0.75]
    """
    return R[:, -1].mean(1)


def learning_score(R: Matrix) -> PerSeed:
    """LA, mean_j R[j, j], in the score's own unit (Riemer et al. 2019).

    Args:
        R: the retention matrices.
    """
    return right_after(R).mean(1)


def backward_transfer(R: Matrix, higher_is_better: bool) -> PerSeed:
    """BWT, the mean over j < T of R[T, j] - R[j, j] (Lopez-Paz and Ranzato 2017, equation 3); divided by T - 1, not T.

    Args:
        R: the retention matrices.
        higher_is_better: whether the score is an accuracy; else it is an error.

    >>> backward_transfer(np.array([[[0.5, 0.5], [0.75, 0.5], [0.5, 1.0]]]), higher_is_better=True).tolist()
    [-0.25]
    """
    return _sign(higher_is_better) * _mean_over_tasks((R[:, -1] - right_after(R))[:, :-1])


def forward_transfer(R: Matrix, higher_is_better: bool) -> PerSeed:
    """FWT, the mean over j >= 2 of R[j-1, j] - R[0, j] (same, equation 4); the baseline is the seed's own untrained network.

    Args:
        R: the retention matrices.
        higher_is_better: whether the score is an accuracy; else it is an error.
    """
    before = np.diagonal(R[:, :-1], axis1=1, axis2=2)  # R[j-1, j]
    return _sign(higher_is_better) * _mean_over_tasks((before - R[:, 0])[:, 1:])


def forgetting(R: Matrix, higher_is_better: bool) -> PerSeed:
    """F, the mean over j < T of max over j <= i < T of R[i, j], minus R[T, j] (Chaudhry et al. 2018, equation 3).

    The variant of the paper: maximum minus last. Avalanche takes first minus last. A task that got better after its
    training has negative forgetting.

    Args:
        R: the retention matrices.
        higher_is_better: whether the score is an accuracy; else it is an error.
    """
    sign = _sign(higher_is_better)
    tasks = R.shape[2]
    drops = [(sign * R[:, j + 1 : tasks, j]).max(1) - sign * R[:, tasks, j] for j in range(tasks - 1)]
    return _mean_over_tasks(np.stack(drops, 1) if drops else np.empty((len(R), 0)))


def intransigence(R: Matrix, joint: Float[np.ndarray, "S T"], higher_is_better: bool) -> PerSeed:
    """I, the mean over j of the joint model's score minus R[j, j] (Chaudhry et al. 2018, equation 4).

    Args:
        R: the retention matrices.
        joint: the final scores of the joint model on every task.
        higher_is_better: whether the score is an accuracy; else it is an error.
    """
    return _sign(higher_is_better) * (joint - right_after(R)).mean(1)


def learned(
    R: Matrix, null: Float[np.ndarray, "S T"], higher_is_better: bool, margin: float = LEARNED_MARGIN
) -> Float[np.ndarray, "S T"]:
    """Tell which tasks were learned at all: 1, 0, or NaN where the score is NaN.

    A task counts as learned if its score right after training closes at least ``margin`` of the gap between the best
    constant predictor (``null``) and perfection (accuracy 1, or error 0).

    Args:
        R: the retention matrices.
        null: what each task's best constant predictor scores.
        higher_is_better: whether the score is an accuracy; else it is an error.
        margin: 0 to 1.
    """
    perfect = 1.0 if higher_is_better else 0.0
    gap, gained = np.abs(perfect - null), _sign(higher_is_better) * (right_after(R) - null)
    return np.where(np.isnan(gained), np.nan, (gained > 0) & (gained >= margin * gap))


def retention(
    R: Matrix,
    null: Float[np.ndarray, "S T"],
    higher_is_better: bool,
    floor: float = RETENTION_FLOOR,
    margin: float = LEARNED_MARGIN,
) -> PerSeed:
    """Mean over the learned tasks j < T of (null - R[T, j]) / (null - R[j, j]), clipped below at ``floor``.

    1: all that was gained over the best constant predictor is kept; 0: a constant would now do as well; above 1: the task
    improved later. The same ratio serves accuracies, where both signs cancel. Without the floor one seed whose error grew a
    thousandfold would decide every mean. Undefined (NaN) if no task but the last was learned (see :func:`learned`). This
    metric is kancl's own.

    Args:
        R: the retention matrices.
        null: what each task's best constant predictor scores.
        higher_is_better: whether the score is an accuracy; else it is an error.
        floor: the least that a task counts for.
        margin: from which on a task counts as learned.
    """
    kept = retention_by_task(R, null, higher_is_better, floor, margin)
    known = ~np.isnan(kept)
    count, total = known.sum(1), np.where(known, kept, 0.0).sum(1)
    broken = np.isnan(right_after(R)[:, :-1] + R[:, -1, :-1]).any(1)
    return np.where((count > 0) & ~broken, total / np.maximum(count, 1), np.nan)


def retention_by_task(
    R: Matrix,
    null: Float[np.ndarray, "S T"],
    higher_is_better: bool,
    floor: float = RETENTION_FLOOR,
    margin: float = LEARNED_MARGIN,
) -> Float[np.ndarray, "S T-1"]:
    """Retention of every task but the last, NaN where the task was not learned.

    Args:
        R: the retention matrices.
        null: what each task's best constant predictor scores.
        higher_is_better: whether the score is an accuracy; else it is an error.
        floor, margin: as for :func:`retention`.
    """
    known = learned(R, null, higher_is_better, margin)[:, :-1] == 1
    gained = np.where(known, (null - right_after(R))[:, :-1], 1.0)
    return np.where(known, np.maximum((null - R[:, -1])[:, :-1] / gained, floor), np.nan)


def learned_fraction(R: Matrix, null: Float[np.ndarray, "S T"], higher_is_better: bool) -> PerSeed:
    """Return the share of tasks that were learned (see :func:`learned`).

    Args:
        R: the retention matrices.
        null: what each task's best constant predictor scores.
        higher_is_better: whether the score is an accuracy; else it is an error.
    """
    return learned(R, null, higher_is_better).mean(1)


def min_score(curves: Float[np.ndarray, "S E T"], task_of: Int[np.ndarray, "E"], higher_is_better: bool) -> PerSeed:
    """min-ACC, the mean over j < T of the worst score on task j at any evaluation after task j (De Lange et al. 2023, eq. 1).

    Args:
        curves: the scores of all tasks at every evaluation.
        task_of: the task in training at each evaluation, from 1; 0 before any training. The end of a task counts to it.
        higher_is_better: for errors the worst is the largest.
    """
    sign = _sign(higher_is_better)
    worst = [sign * (sign * curves[:, task_of > j + 1, j]).min(1) for j in range(curves.shape[2] - 1)]
    return _mean_over_tasks(np.stack(worst, 1) if worst else np.empty((len(curves), 0)))


def worst_case_score(curves: Float[np.ndarray, "S E T"], task_of: Int[np.ndarray, "E"], higher_is_better: bool) -> PerSeed:
    """WC-ACC, A(T)/T + (1 - 1/T) min-ACC: the last task's final score and the others' worst (De Lange et al. 2023, eq. 2).

    Args:
        curves, task_of, higher_is_better: as for :func:`min_score`.
    """
    tasks = curves.shape[2]
    if tasks == 1:
        return curves[:, -1, 0]
    return curves[:, -1, -1] / tasks + (1 - 1 / tasks) * min_score(curves, task_of, higher_is_better)


def windowed_forgetting(curves: Float[np.ndarray, "S E T"], window: int, higher_is_better: bool) -> PerSeed:
    """WF, the mean over tasks of the largest drop of the score within ``window`` evaluations (De Lange et al. 2023, eq. 3).

    The drop is from any evaluation to a later one at most ``window - 1`` further on. Evaluations are counted, not steps.

    Args:
        curves: the scores of all tasks at every evaluation.
        window: evaluations, at least 2.
        higher_is_better: whether the score is an accuracy; else it is an error.
    """
    return _largest_change(-_sign(higher_is_better) * curves, window)


def windowed_plasticity(curves: Float[np.ndarray, "S E T"], window: int, higher_is_better: bool) -> PerSeed:
    """WP, the mean over tasks of the largest gain of the score within ``window`` evaluations (De Lange et al. 2023, eq. 4).

    Args:
        curves, window, higher_is_better: as for :func:`windowed_forgetting`.
    """
    return _largest_change(_sign(higher_is_better) * curves, window)


def _largest_change(curves: Float[np.ndarray, "S E T"], window: int) -> PerSeed:
    if window < 2:
        raise ValueError(f"a window needs at least 2 evaluations, got {window}")
    gaps = range(1, min(window, curves.shape[1]))
    rises = [(curves[:, gap:] - curves[:, :-gap]).max(1) for gap in gaps]
    return np.maximum(np.max(rises, 0), 0.0).mean(1) if rises else np.zeros(len(curves))


@dataclass(frozen=True)
class Measured:
    """What a run measured of one score: the retention matrix, the null scores, and the dense curves with their tasks."""

    R: Matrix
    null: Float[np.ndarray, "S T"]
    curves: Float[np.ndarray, "S E T"]
    curve_task: Int[np.ndarray, "E"]
    higher_is_better: bool


@dataclass(frozen=True)
class Metric:
    """A metric of a whole run as tables and frames show it: a title, the formula, and the function."""

    title: str
    formula: str
    compute: Callable[[Measured], PerSeed]


WINDOW = 10
"""Evaluations in the window of windowed forgetting and plasticity."""

METRICS = {
    "learning_score": Metric("learning {score}", "mean_j R[j,j] (Riemer 2019)", lambda m: learning_score(m.R)),
    "final_score": Metric("final {score}", "mean_j R[T,j] (Lopez-Paz & Ranzato 2017)", lambda m: average_score(m.R)),
    "forgetting": Metric(
        "forgetting",
        "mean_{j<T} max_{j<=i<T} R[i,j] - R[T,j], sign flipped for errors: positive is a loss (Chaudhry 2018)",
        lambda m: forgetting(m.R, m.higher_is_better),
    ),
    "backward_transfer": Metric(
        "BWT",
        "mean_{j<T} R[T,j] - R[j,j], sign flipped for errors: negative is a loss (Lopez-Paz & Ranzato 2017)",
        lambda m: backward_transfer(m.R, m.higher_is_better),
    ),
    "forward_transfer": Metric(
        "FWT",
        "mean_{j>=2} R[j-1,j] - R[0,j], sign flipped for errors: positive is a gain (Lopez-Paz & Ranzato 2017)",
        lambda m: forward_transfer(m.R, m.higher_is_better),
    ),
    "retention": Metric(
        "retention",
        f"mean_{{j<T, learned}} (null - R[T,j]) / (null - R[j,j]), floored at {RETENTION_FLOOR:g}; null is the best constant"
        " predictor (kancl)",
        lambda m: retention(m.R, m.null, m.higher_is_better),
    ),
    "learned": Metric(
        "learned",
        f"share of tasks with |R[j,j] - null| >= {LEARNED_MARGIN:g} |perfect - null| on the good side (kancl)",
        lambda m: learned_fraction(m.R, m.null, m.higher_is_better),
    ),
    "min_score": Metric(
        "min {score}",
        "mean_{j<T} worst score on task j at any evaluation after task j (De Lange 2023)",
        lambda m: min_score(m.curves, m.curve_task, m.higher_is_better),
    ),
    "worst_case_score": Metric(
        "worst-case {score}",
        "R[T,T] / T + (1 - 1/T) min score (De Lange 2023)",
        lambda m: worst_case_score(m.curves, m.curve_task, m.higher_is_better),
    ),
    "windowed_forgetting": Metric(
        "windowed forgetting",
        f"mean_j largest loss on task j within {WINDOW} evaluations (De Lange 2023)",
        lambda m: windowed_forgetting(m.curves, WINDOW, m.higher_is_better),
    ),
    "windowed_plasticity": Metric(
        "windowed plasticity",
        f"mean_j largest gain on task j within {WINDOW} evaluations (De Lange 2023)",
        lambda m: windowed_plasticity(m.curves, WINDOW, m.higher_is_better),
    ),
}
"""The metrics of a single run that frames report; tables show the first few."""

INTRANSIGENCE = "mean_j R_joint[T,j] - R[j,j], sign flipped for errors: positive is a loss (Chaudhry 2018)"
"""The formula of the one metric that needs a second run."""
