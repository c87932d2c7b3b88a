"""Who retains more, ends better, forgets less or learns better: the verdict on two learners, with the numbers behind it.

A verdict compares a metric seed by seed: retention (:func:`kancl.metrics.retention`) or another of :mod:`kancl.contest`. It is
refused where it would mean nothing: a learner that never learned cannot forget, and learners that learned to different degrees
have different things to lose. All verdicts that are shown together are one family: p-values are Holm's over all of them.

A verdict's error is that of the whole procedure, so two things count that seeds alone do not show. Seeds whose rate was chosen
together are one observation (:mod:`kancl.blocks`), and seeds that one side lost may have been anything: p is the largest
that any value within the metric's reach in their place would give.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from kancl.blocks import blocks_of, bounds, effect_over, interval_over, largest_p, p_over
from kancl.contest import Contest, Learner, MetricName
from kancl.errors import InputError
from kancl.metrics import RETENTION_FLOOR, PerSeed
from kancl.statistics import Interval, Pairs, holm, pair, seed_warning, seeds_needed

__all__ = ["Contest", "Learner", "Outcome", "Rules", "Verdict", "judge"]


class Outcome(StrEnum):
    """What a verdict can say of the first of two learners; the better and the worse have the words of the metric."""

    MORE = "retains more"
    LESS = "retains less"
    ENDS_BETTER = "ends better"
    ENDS_WORSE = "ends worse"
    FORGETS_LESS = "forgets less"
    FORGETS_MORE = "forgets more"
    LEARNS_BETTER = "learns better"
    LEARNS_WORSE = "learns worse"
    SAME = "no difference at this budget"
    EQUIVALENT = "equivalent"
    TOO_FEW = "too few seeds"
    NOT_LEARNED = "did not learn"
    UNLIKE = "learned differently"
    INCOMPARABLE = "not comparable"

    @property
    def favours(self) -> int:
        """1 where the first learner is the better, -1 where the second is, 0 where neither can be said to be."""
        places = [pair.index(self) for pair in DECIDED.values() if self in pair]
        return 1 - 2 * places[0] if places else 0

    @property
    def comparable(self) -> bool:
        """Whether the two could be compared, whatever came of it."""
        return self not in (Outcome.TOO_FEW, Outcome.NOT_LEARNED, Outcome.UNLIKE, Outcome.INCOMPARABLE)


DECIDED: dict[MetricName, tuple[Outcome, Outcome]] = {
    "retention": (Outcome.MORE, Outcome.LESS),
    "final": (Outcome.ENDS_BETTER, Outcome.ENDS_WORSE),
    "forgetting": (Outcome.FORGETS_LESS, Outcome.FORGETS_MORE),
    "learning": (Outcome.LEARNS_BETTER, Outcome.LEARNS_WORSE),
}
"""What is said where the first learner is the better, and where it is the worse, by the metric that decides."""


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
        equivalence: call two learners equivalent if the 95 % interval of the difference lies within plus or minus this, in the
            unit of the metric; None: never. The interval is not corrected for the number of comparisons.

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


@dataclass(frozen=True)
class Verdict:
    """The outcome for the first of two learners against the second, and the numbers behind it.

    Args:
        metric: what decided.
        outcome, reason: what is said, and in one sentence why.
        sides: the metric of the two, over the seeds of ``difference``.
        difference: paired difference of the metric (first minus second); its ``n`` counts the pairs.
        learning: learning scores of the two, over the seeds in which neither diverged.
        learned: share of tasks learned by the two, over each one's own seeds that did not diverge; NaN if all did.
        learning_difference: paired difference of the learning scores (first minus second), as a share of the gap between the
            null score and the perfect score.
        retention, forgetting: of the two, each over the seeds in which both have one.
        forgetting_difference: paired difference of forgetting.
        blocks: independent blocks that the pairs form: as many as pairs, unless seeds share a choice.
        needed: blocks from which on a verdict of this family can reach alpha after Holm's correction.
        p, p_holm: sign-flip test of ``difference`` over blocks, with every lost seed counted against it (the largest p that
            any value within the metric's reach in its place would give), alone and after Holm's correction over all verdicts
            made together. NaN where all seeds rest on one choice.
        p_left: of the same test, as if the lost seeds had never been run.
        effect_size: Hedges' g_z of ``difference``.
        lost: of each side, the seeds in which it has no value of the metric and which the other side ran too.
        diverged: seeds of both that were dropped because a side diverged or did not finish.
        undefined: further seeds that were dropped because a side learned nothing that it could retain.
        unpaired: seeds that only one of the two ran.
        explanation: where the damage came from, if instruments measured it.
    """

    metric: MetricName
    outcome: Outcome
    reason: str
    sides: tuple[Interval, Interval]
    difference: Interval
    learning: tuple[Interval, Interval]
    learned: tuple[float, float]
    learning_difference: Interval
    retention: tuple[Interval, Interval]
    forgetting: tuple[Interval, Interval]
    forgetting_difference: Interval
    blocks: int
    needed: int
    p: float
    p_holm: float
    p_left: float
    effect_size: float
    lost: tuple[tuple[int, ...], tuple[int, ...]]
    diverged: tuple[int, ...]
    undefined: tuple[int, ...]
    unpaired: tuple[int, ...]
    explanation: str | None = None

    @property
    def unit(self) -> str:
        """What one independent observation is: a seed, or a tuning that several seeds share."""
        return "seed" if self.blocks == self.difference.n else "tuning"

    @property
    def said(self) -> str:
        """The outcome; where there are too few seeds, with how many there are and how many it takes."""
        if self.outcome is Outcome.TOO_FEW:
            return f"too few {self.unit}s ({self.blocks} of {self.needed})"
        return str(self.outcome)


def judge(contests: Sequence[Contest], rules: Rules | None = None) -> list[Verdict]:
    """Return a verdict for each contest, p-values corrected over all of them.

    Args:
        contests: two learners on the same tasks each, and what is asked of them.
        rules: the bounds; the defaults if None.

    Where the metric tells what became of what was learned, the two are not compared if a side did not learn, or if learning
    scores differ too much; whatever the metric, they are not if there are too few seeds for any outcome to reach alpha, if all
    seeds rest on one choice, or if the seeds that are left would differ and those lost could turn it. Else the first is the
    better or the worse if p after Holm is at most alpha and the interval of the difference leaves out 0 (on skewed values the
    two may disagree); else the two are equivalent, if asked for and the interval says so; else there is no difference, which is
    no proof that there is none: the interval tells how large it may be.
    """
    rules = rules or Rules()
    measured = [_measure(contest) for contest in contests]
    corrected = holm(np.array([verdict.p for verdict in measured]))
    family = int(np.isfinite(corrected).sum())
    verdicts = []
    for verdict, p_holm, contest in zip(measured, corrected, contests, strict=True):
        whole = replace(verdict, p_holm=float(p_holm), needed=seeds_needed(rules.alpha, family))
        outcome, reason = _obstacle(whole, contest, family, rules) or _decide(whole, contest, rules)
        verdicts.append(replace(whole, outcome=outcome, reason=reason))
    return verdicts


def _measure(contest: Contest) -> Verdict:
    """Return the numbers of a verdict; the outcome is open until all p-values are known."""
    first, second, metric, gap = contest.first, contest.second, contest.metric, contest.gap

    def paired(name: str) -> Pairs:
        return pair(first.seeds, getattr(first, name), second.seeds, getattr(second, name))

    choices = [None if side.choices is None else dict(zip(side.seeds, side.choices, strict=True)) for side in (first, second)]

    def over(pairs: Pairs, values: PerSeed) -> Interval:
        return interval_over(values, blocks_of([*map(int, pairs.seeds)], *choices))

    def sides(pairs: Pairs) -> tuple[Interval, Interval]:
        return over(pairs, pairs.first), over(pairs, pairs.second)

    judged, learning, retention, forgetting = map(paired, (metric, "learning", "retention", "forgetting"))
    block = blocks_of([*map(int, judged.seeds)], *choices)
    both = sorted({*map(int, judged.seeds), *judged.dropped})
    kept = [dict(zip(side.seeds, map(float, getattr(side, metric)), strict=True)) for side in (first, second)]
    values = [np.array([own[seed] for seed in both]) for own in kept]
    lost = [tuple(seed for seed, value in zip(both, own, strict=True) if not math.isfinite(value)) for own in values]
    return Verdict(
        metric=metric,
        outcome=Outcome.INCOMPARABLE,
        reason="",
        sides=sides(judged),
        difference=over(judged, judged.differences),
        learning=sides(learning),
        learned=(_mean(first.learned), _mean(second.learned)),
        learning_difference=over(learning, learning.differences / gap if gap > 0 else np.full(len(learning.seeds), math.nan)),
        retention=sides(retention),
        forgetting=sides(forgetting),
        forgetting_difference=over(forgetting, forgetting.differences),
        blocks=int(block.max(initial=-1)) + 1,
        needed=0,
        p=largest_p(*bounds(values[0], values[1], contest.reach), blocks_of(both, *choices)) if len(block) else math.nan,
        p_holm=math.nan,
        p_left=p_over(judged.differences, block),
        effect_size=effect_over(judged.differences, block),
        lost=(lost[0], lost[1]),
        diverged=learning.dropped,
        undefined=tuple(seed for seed in judged.dropped if seed not in learning.dropped),
        unpaired=judged.unpaired,
    )


def _obstacle(verdict: Verdict, contest: Contest, family: int, rules: Rules) -> tuple[Outcome, str] | None:
    """Return why the two cannot be compared, or None."""
    if unlike := _unlike(verdict, contest, rules):
        return unlike
    if verdict.difference.n == 0:
        return Outcome.INCOMPARABLE, "no seed has a value on both sides"
    if verdict.p_holm <= rules.alpha:  # late in Holm's order, fewer seeds can do
        return None
    if verdict.blocks == 1 < verdict.difference.n:
        return Outcome.INCOMPARABLE, (
            f"all {verdict.difference.n} seeds rest on values that were chosen once, on a few other seeds, and might have been "
            "chosen otherwise, of which no p of theirs could tell; tune again"
        )
    if few := seed_warning(verdict.blocks, rules.alpha, family, verdict.unit):
        return Outcome.TOO_FEW, few
    if verdict.p_left <= rules.alpha and verdict.p > rules.alpha:
        mean, low, high, left = verdict.difference
        unbounded = "" if math.isfinite(contest.reach[1]) else f" ({contest.title} has no upper bound)"
        return Outcome.INCOMPARABLE, (
            f"the {left} seeds that are left differ by {mean:+.2g} [{low:.2g}, {high:.2g}], which the lost ones could turn"
            f"{unbounded}: {_lost(verdict, contest.names)}"
        )
    return None


def _unlike(verdict: Verdict, contest: Contest, rules: Rules) -> tuple[Outcome, str] | None:
    """Return why the two have nothing that could be compared, or None."""
    for name, share in zip(contest.names, verdict.learned, strict=True):
        if math.isnan(share):
            return Outcome.NOT_LEARNED, f"every seed of {name} diverged"
    return next(_differences(verdict, contest, rules), None) if contest.judged.of_what_was_learned else None


def _differences(verdict: Verdict, contest: Contest, rules: Rules) -> Iterator[tuple[Outcome, str]]:
    """Yield what tells the two apart in what they learned."""
    for name, share in zip(contest.names, verdict.learned, strict=True):
        if share < rules.learned:
            least = f"less than {100 * rules.learned:g} %"
            yield Outcome.NOT_LEARNED, f"{name} learned {100 * share:.3g} % of its tasks, {least}"
    apart = verdict.learning_difference.mean
    if abs(apart) > rules.margin:
        found, allowed = f"{100 * abs(apart):.3g} %", f"{100 * rules.margin:g} %"
        yield Outcome.UNLIKE, f"learning scores differ by {found} of the gap from null to perfect, more than {allowed}"


def _lost(verdict: Verdict, names: tuple[str, str]) -> str:
    """Return in words which side lost seeds; empty if none did."""
    run = verdict.difference.n + len({*verdict.lost[0], *verdict.lost[1]})
    told = []
    for name, seeds in zip(names, verdict.lost, strict=True):
        broken = len(set(seeds) & set(verdict.diverged))
        parts = {"diverged or did not finish": broken, "learned nothing to retain": len(seeds) - broken}
        told += [f"{name} {what} in {count} of {run} seeds" for what, count in parts.items() if count]
    return ", ".join(told)


def _decide(verdict: Verdict, contest: Contest, rules: Rules) -> tuple[Outcome, str]:
    """Return the outcome for two that can be compared."""
    mean, low, high, _ = verdict.difference
    lost = _lost(verdict, contest.names)
    if verdict.p_holm <= rules.alpha and not low <= 0 <= high:
        better, worse = DECIDED[contest.metric]
        reason = f"{contest.title} differs by {mean:+.2g} [{low:.2g}, {high:.2g}], p {verdict.p_holm:.2g} after Holm"
        against = (
            f", whatever was lost had {'retained' if contest.metric == 'retention' else 'reached'} ({lost})" if lost else ""
        )
        return (better if (mean > 0) == contest.more_is_better else worse), reason + against + _beside(verdict, contest, rules)
    if rules.equivalence is not None and max(-low, high) <= rules.equivalence and not lost:
        outcome, reason = Outcome.EQUIVALENT, f"the 95 % interval of the difference lies within ±{rules.equivalence:g}"
    elif low == high == 0:
        outcome, reason = Outcome.SAME, "the two are equal in every seed"
    else:
        outcome, reason = Outcome.SAME, f"a difference from {low:.2g} to {high:.2g} remains possible (95 % interval)"
    if all(side.high <= RETENTION_FLOOR for side in verdict.retention):
        told = {
            "retention": "neither retains anything, so retention cannot tell them apart",
            "final": f"neither retains anything, so this is what the last task alone gives; {reason}",
        }
        reason = told.get(contest.metric, reason)
    return outcome, f"{reason}, of the seeds that are left ({lost})" if lost else reason


def _beside(verdict: Verdict, contest: Contest, rules: Rules) -> str:
    """Return what was learned differently, where that is no obstacle, but may be the cause."""
    if contest.metric != "final":
        return ""
    return "".join(f"; {difference}" for _, difference in _differences(verdict, contest, rules))


def _mean(values: PerSeed) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else math.nan
