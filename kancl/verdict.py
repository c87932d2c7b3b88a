"""Who retains more: the verdict on two learners, with the numbers behind it.

A verdict compares retention (:func:`kancl.metrics.retention`) seed by seed. It is refused where it would mean nothing: a
learner that never learned cannot forget, and learners that learned to different degrees have different things to lose. All
verdicts that are shown together are one family: p-values are Holm's over all of them.

A verdict's error is that of the whole procedure, so two things count that seeds alone do not show. Seeds whose rate was chosen
together are one observation (:mod:`kancl.blocks`), and seeds that one side lost may have been anything: p is the largest
that any retention between 0 and 1 in their place would give.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from kancl.blocks import blocks_of, bounds, effect_over, interval_over, largest_p, p_over
from kancl.errors import InputError
from kancl.metrics import RETENTION_FLOOR, PerSeed
from kancl.statistics import (
    Interval,
    Pairs,
    holm,
    pair,
    seed_warning,
)


class Outcome(StrEnum):
    """What a verdict can say of the first of two learners."""

    MORE = "retains more"
    LESS = "retains less"
    SAME = "no difference at this budget"
    EQUIVALENT = "equivalent"
    INCOMPARABLE = "not comparable"


@dataclass(frozen=True)
class Rules:
    """The bounds that a verdict keeps to.

    Args:
        margin: learning scores may differ by this share of the gap between the null score (the best constant predictor's) and
            the perfect score. At equal final scores a difference of m in what was learned moves a retention by a factor of 1 +
            m where almost all was learned and of 1 + 2 m where only just enough was: 0.1 lets in a tenth, at worst a fifth.
        learned: the share of tasks, over seeds, that each side must have learned (:func:`kancl.metrics.learned`). Retention is
            over learned tasks only; with 0.8 the tasks left out can move it by a fifth, no more than the margin can.
        alpha: bound of p after Holm's correction.
        equivalence: call two learners equivalent if the 95 % interval of the difference of retention lies within plus or minus
            this; None: never. The interval is not corrected for the number of comparisons.

    Raises:
        InputError: a bound that makes no sense.
    """

    margin: float = 0.1
    learned: float = 0.8
    alpha: float = 0.05
    equivalence: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.margin < math.inf or not 0 < self.learned <= 1 or not 0 < self.alpha < 1:
            got = f"got {self.margin:g}, {self.learned:g} and {self.alpha:g}"
            raise InputError(f"a verdict needs a finite margin > 0, 0 < learned <= 1 and 0 < alpha < 1, {got}")
        if self.equivalence is not None and not 0 < self.equivalence < math.inf:
            raise InputError(f"a verdict needs a finite equivalence margin > 0, got {self.equivalence:g}")


@dataclass(frozen=True, eq=False)
class Learner:
    """What was measured of one side of a comparison, one value per seed.

    Args:
        name: how reasons name it.
        seeds: the seeds, all different.
        learning: learning score in its own unit; NaN for a seed that diverged or did not finish, here and below.
        learned: share of tasks learned, 0 to 1.
        retention: retention; NaN also where nothing but the last task was learned.
        forgetting: forgetting; positive is a loss.
        choices: for each seed the number of the choice (of a rate, say) that it rests on; None where nothing was chosen.
    """

    name: str
    seeds: tuple[int, ...]
    learning: PerSeed
    learned: PerSeed
    retention: PerSeed
    forgetting: PerSeed
    choices: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Verdict:
    """The outcome for the first of two learners against the second, and the numbers behind it.

    Args:
        outcome, reason: what is said, and in one sentence why.
        learning: learning scores of the two, over the seeds in which neither diverged.
        learned: share of tasks learned by the two, over each one's own seeds that did not diverge; NaN if all did.
        learning_difference: paired difference of the learning scores (first minus second), as a share of the gap between the
            null score and the perfect score.
        retention, forgetting: of the two, over the seeds of the differences that follow.
        difference: paired difference of retention (first minus second); its ``n`` counts the pairs.
        forgetting_difference: paired difference of forgetting.
        blocks: independent blocks that the pairs form: as many as pairs, unless seeds share a choice.
        p, p_holm: sign-flip test of ``difference`` over blocks, with every lost seed counted against it (the largest p that
            any retention from 0 to 1 in its place would give), alone and after Holm's correction over all verdicts made
            together. NaN where all seeds rest on one choice.
        p_left: of the same test, as if the lost seeds had never been run.
        effect_size: Hedges' g_z of ``difference``.
        lost: of each side, the seeds in which it has no retention and which the other side ran too.
        diverged: seeds of both that were dropped because a side diverged or did not finish.
        undefined: further seeds that were dropped because a side learned nothing that it could retain.
        unpaired: seeds that only one of the two ran.
        explanation: where the damage came from, if instruments measured it.
    """

    outcome: Outcome
    reason: str
    learning: tuple[Interval, Interval]
    learned: tuple[float, float]
    learning_difference: Interval
    retention: tuple[Interval, Interval]
    forgetting: tuple[Interval, Interval]
    difference: Interval
    forgetting_difference: Interval
    blocks: int
    p: float
    p_holm: float
    p_left: float
    effect_size: float
    lost: tuple[tuple[int, ...], tuple[int, ...]]
    diverged: tuple[int, ...]
    undefined: tuple[int, ...]
    unpaired: tuple[int, ...]
    explanation: str | None = None


def judge(comparisons: Sequence[tuple[Learner, Learner, float]], rules: Rules | None = None) -> list[Verdict]:
    """Return a verdict for each comparison, p-values corrected over all of them.

    Args:
        comparisons: two learners on the same tasks, and the gap between the null score and the perfect score there (mean over
            tasks and seeds), which scales the difference of learning scores.
        rules: the bounds; the defaults if None.

    The outcome is ``not comparable`` if a side did not learn, if learning scores differ too much, or if there are too few seeds
    for any outcome to reach alpha; else more or less if p after Holm is at most alpha and the interval of the difference leaves
    out 0 (on skewed values the two may disagree); else equivalent, if asked for and the interval says so; else no difference,
    which is no proof that there is none: the interval tells how large it may be. It is ``not comparable``, too, if all seeds
    rest on one choice, or if the seeds that are left would differ and those lost could turn it.
    """
    rules = rules or Rules()
    measured = [_measure(*comparison) for comparison in comparisons]
    corrected = holm(np.array([verdict.p for verdict in measured]))
    family = int(np.isfinite(corrected).sum())
    verdicts = []
    for verdict, p_holm, (first, second, _) in zip(measured, corrected, comparisons, strict=True):
        whole = replace(verdict, p_holm=float(p_holm))
        obstacle = _obstacle(whole, (first.name, second.name), family, rules)
        outcome, reason = (Outcome.INCOMPARABLE, obstacle) if obstacle else _decide(whole, (first.name, second.name), rules)
        verdicts.append(replace(whole, outcome=outcome, reason=reason))
    return verdicts


def _measure(first: Learner, second: Learner, gap: float) -> Verdict:
    """Return the numbers of a verdict; the outcome is open until all p-values are known."""

    def paired(metric: str) -> Pairs:
        return pair(first.seeds, getattr(first, metric), second.seeds, getattr(second, metric))

    choices = [None if side.choices is None else dict(zip(side.seeds, side.choices, strict=True)) for side in (first, second)]

    def over(pairs: Pairs, values: PerSeed) -> Interval:
        return interval_over(values, blocks_of([*map(int, pairs.seeds)], *choices))

    def sides(pairs: Pairs) -> tuple[Interval, Interval]:
        return over(pairs, pairs.first), over(pairs, pairs.second)

    learning, retention, forgetting = paired("learning"), paired("retention"), paired("forgetting")
    block = blocks_of([*map(int, retention.seeds)], *choices)
    both = sorted({*map(int, retention.seeds), *retention.dropped})
    kept = [dict(zip(side.seeds, map(float, side.retention), strict=True)) for side in (first, second)]
    values = [np.array([own[seed] for seed in both]) for own in kept]
    lost = [tuple(seed for seed, value in zip(both, own, strict=True) if not math.isfinite(value)) for own in values]
    return Verdict(
        outcome=Outcome.INCOMPARABLE,
        reason="",
        learning=sides(learning),
        learned=(_mean(first.learned), _mean(second.learned)),
        learning_difference=over(learning, learning.differences / gap if gap > 0 else np.full(len(learning.seeds), math.nan)),
        retention=sides(retention),
        forgetting=sides(forgetting),
        difference=over(retention, retention.differences),
        forgetting_difference=over(forgetting, forgetting.differences),
        blocks=int(block.max(initial=-1)) + 1,
        p=largest_p(*bounds(*values), blocks_of(both, *choices)) if len(block) else math.nan,
        p_holm=math.nan,
        p_left=p_over(retention.differences, block),
        effect_size=effect_over(retention.differences, block),
        lost=(lost[0], lost[1]),
        diverged=learning.dropped,
        undefined=tuple(seed for seed in retention.dropped if seed not in learning.dropped),
        unpaired=retention.unpaired,
    )


def _obstacle(verdict: Verdict, names: tuple[str, str], family: int, rules: Rules) -> str | None:
    """Return why the two cannot be compared, or None."""
    for name, share in zip(names, verdict.learned, strict=True):
        if math.isnan(share):
            return f"every seed of {name} diverged"
        if share < rules.learned:
            return f"{name} learned {100 * share:.3g} % of its tasks, less than {100 * rules.learned:g} %"
    apart = verdict.learning_difference
    if abs(apart.mean) > rules.margin:
        found, allowed = f"{100 * abs(apart.mean):.3g} %", f"{100 * rules.margin:g} %"
        return f"learning scores differ by {found} of the gap from null to perfect, more than {allowed}"
    if verdict.difference.n == 0:
        return "no seed has a value on both sides"
    if verdict.p_holm <= rules.alpha:  # late in Holm's order, fewer seeds can do
        return None
    if verdict.blocks == 1 < verdict.difference.n:
        return (
            f"all {verdict.difference.n} seeds rest on values that were chosen once, on a few other seeds, and might have been "
            "chosen otherwise, of which no p of theirs could tell; tune again"
        )
    unit = "seed" if verdict.blocks == verdict.difference.n else "tuning"
    if few := seed_warning(verdict.blocks, rules.alpha, family, unit):
        return few
    if verdict.p_left <= rules.alpha and verdict.p > rules.alpha:
        mean, low, high, left = verdict.difference
        return (
            f"the {left} seeds that are left differ by {mean:+.2g} [{low:.2g}, {high:.2g}], which the lost ones could turn: "
            f"{_lost(verdict, names)}"
        )
    return None


def _lost(verdict: Verdict, names: tuple[str, str]) -> str:
    """Return in words which side lost seeds; empty if none did."""
    run = verdict.difference.n + len({*verdict.lost[0], *verdict.lost[1]})
    told = []
    for name, seeds in zip(names, verdict.lost, strict=True):
        broken = len(set(seeds) & set(verdict.diverged))
        parts = {"diverged or did not finish": broken, "learned nothing to retain": len(seeds) - broken}
        told += [f"{name} {what} in {count} of {run} seeds" for what, count in parts.items() if count]
    return ", ".join(told)


def _decide(verdict: Verdict, names: tuple[str, str], rules: Rules) -> tuple[Outcome, str]:
    """Return the outcome for two that can be compared."""
    mean, low, high, _ = verdict.difference
    lost = _lost(verdict, names)
    if verdict.p_holm <= rules.alpha and not low <= 0 <= high:
        reason = f"retention differs by {mean:+.2g} [{low:.2g}, {high:.2g}], p {verdict.p_holm:.2g} after Holm"
        against = f", whatever was lost had retained ({lost})" if lost else ""
        return (Outcome.MORE if mean > 0 else Outcome.LESS), reason + against
    if rules.equivalence is not None and max(-low, high) <= rules.equivalence and not lost:
        outcome, reason = Outcome.EQUIVALENT, f"the 95 % interval of the difference lies within ±{rules.equivalence:g}"
    elif low == high == 0:
        outcome, reason = Outcome.SAME, "the two are equal in every seed"
    else:
        outcome, reason = Outcome.SAME, f"a difference from {low:.2g} to {high:.2g} remains possible (95 % interval)"
    if all(side.high <= RETENTION_FLOOR for side in verdict.retention):
        reason = "neither retains anything, so retention cannot tell them apart"
    return outcome, f"{reason}, of the seeds that are left ({lost})" if lost else reason


def _mean(values: PerSeed) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else math.nan
