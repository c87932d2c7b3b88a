"""Guards the metrics that a verdict may be about: their directions, their words, their bounds, and what forbids them."""

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from kancl.contest import JUDGED, Contest, Learner, MetricName
from kancl.metrics import METRICS
from kancl.statistics import mean_interval, sign_flip_test
from kancl.verdict import DECIDED, Outcome, Rules, Verdict, judge

NAN = math.nan
ABOUT_SCORES: tuple[MetricName, ...] = ("final", "learning")


def spread(mean: float, n: int = 8) -> np.ndarray:
    return mean + 0.01 * np.linspace(-1, 1, n)


def side(name: str, n: int = 8, **given: Any) -> Learner:
    """One that learned to 0.9, ended at 0.7 and kept half; ``given`` replaces values."""
    values = {"learning": 0.9, "learned": 1.0, "retention": 0.5, "forgetting": 0.2, "final": 0.7} | given
    return Learner(
        name, tuple(range(n)), **{key: np.broadcast_to(np.asarray(own, float), n).copy() for key, own in values.items()}
    )


def rule(first: Learner, second: Learner, metric: MetricName, accuracy: bool = True, **rules: Any) -> Verdict:
    (verdict,) = judge([contest(first, second, metric, accuracy)], Rules(**rules))
    return verdict


def contest(first: Learner, second: Learner, metric: MetricName, accuracy: bool = True) -> Contest:
    return Contest(first, second, 0.5, metric, "accuracy" if accuracy else "rmse", accuracy)


@pytest.mark.parametrize("accuracy", [True, False])
@pytest.mark.parametrize("metric", JUDGED)
def test_the_better_side_is_told_in_the_words_of_the_metric(metric: MetricName, accuracy: bool) -> None:
    """By hand: which of 0.30 and 0.34 is the better."""
    large_is_better = {"retention": True, "forgetting": False, "final": accuracy, "learning": accuracy}[metric]
    words = {
        "retention": ("retains more", "retains less"), "final": ("ends better", "ends worse"),
        "forgetting": ("forgets less", "forgets more"), "learning": ("learns better", "learns worse"),
    }[metric]  # fmt: skip
    large, small = side("kan", **{metric: spread(0.34)}), side("mlp", **{metric: 0.3})
    up, down = rule(large, small, metric, accuracy), rule(small, large, metric, accuracy)
    assert (str(up.outcome), str(down.outcome)) == (words if large_is_better else words[::-1])
    assert (up.outcome.favours, down.outcome.favours) == ((1, -1) if large_is_better else (-1, 1))
    assert up.metric == metric
    assert up.difference == mean_interval(getattr(large, metric) - getattr(small, metric))
    assert up.sides == (mean_interval(getattr(large, metric)), mean_interval(getattr(small, metric)))
    title = {"final": "final ", "learning": "learning "}.get(metric, metric)
    score = ("accuracy" if accuracy else "rmse") if metric in ABOUT_SCORES else ""
    assert up.reason.startswith(f"{title}{score} differs by +0.04 [")
    assert (up.p, up.retention[0].n) == (2 / 2**8, 8)


def test_retention_and_forgetting_of_both_stay_beside_any_metric() -> None:
    first, second = side("kan", retention=spread(0.8), forgetting=spread(0.1)), side("mlp")
    for metric in JUDGED:
        verdict = rule(first, second, metric)
        assert verdict.retention == (mean_interval(first.retention), mean_interval(second.retention))
        assert verdict.forgetting == (mean_interval(first.forgetting), mean_interval(second.forgetting))


def test_outcomes_say_whom_they_favour_and_whether_there_was_a_comparison() -> None:
    decided = {outcome for pair in DECIDED.values() for outcome in pair}
    assert {outcome for outcome in Outcome if outcome.favours} == decided
    refused = {Outcome.TOO_FEW, Outcome.NOT_LEARNED, Outcome.UNLIKE, Outcome.INCOMPARABLE}
    assert {outcome for outcome in Outcome if not outcome.comparable} == refused
    assert len({str(outcome) for outcome in Outcome}) == len(Outcome)


@pytest.mark.parametrize("metric", JUDGED)
def test_what_was_learned_differently_forbids_verdicts_on_what_became_of_it_alone(metric: MetricName) -> None:
    first, second = side("kan", **{metric: spread(0.4)}), side("mlp", **{metric: 0.3})
    unlike = replace(second, learning=first.learning - 0.1) if metric != "learning" else second
    lazy = replace(second, learned=np.full(8, 0.5))
    verdicts = [rule(first, other, metric) for other in (unlike, lazy)]
    if metric in ("retention", "forgetting"):
        assert [verdict.outcome for verdict in verdicts] == [Outcome.UNLIKE, Outcome.NOT_LEARNED]
    else:
        assert {verdict.outcome for verdict in verdicts} == {DECIDED[metric][0]}
    if metric == "final":
        assert verdicts[0].reason.endswith("; learning scores differ by 20 % of the gap from null to perfect, more than 10 %")
        assert verdicts[1].reason.endswith("; mlp learned 50 % of its tasks, less than 80 %")


@pytest.mark.parametrize("metric", JUDGED)
def test_nobody_is_compared_with_one_that_diverged_in_every_seed(metric: MetricName) -> None:
    gone = side("mlp", learning=NAN, learned=NAN, retention=NAN, forgetting=NAN, final=NAN)
    verdict = rule(side("kan"), gone, metric)
    assert (verdict.outcome, verdict.reason) == (Outcome.NOT_LEARNED, "every seed of mlp diverged")


@pytest.mark.parametrize("accuracy", [True, False])
@pytest.mark.parametrize("metric", JUDGED)
def test_no_value_within_reach_of_the_lost_seeds_gives_a_larger_p(metric: MetricName, accuracy: bool) -> None:
    """Against corners and inner points of what the lost could have been; where there is no bound, up to very much."""
    reach = {"retention": (0, 1), "forgetting": (-1, 1) if accuracy else (-1e6, 1e6), "final": (0, 1 if accuracy else 1e6)}
    least, most = reach.get(metric, reach["final"])
    rng = np.random.default_rng(0)
    reached = []
    for turn in range(20):
        a, b = rng.uniform(0.6, 1.0, 10), rng.uniform(0.0, 0.3, 10)
        gone_a, gone_b = rng.permutation(10)[: turn % 2], rng.permutation(10)[: 1 - turn % 2]
        first, second = side("kan", 10, **{metric: a}), side("mlp", 10, **{metric: b})
        getattr(first, metric)[gone_a], getattr(second, metric)[gone_b] = NAN, NAN
        found = []
        inner = (-1e6, -1.0, -0.5, 0.0, 0.2, 0.45, 0.5, 1.0, 1e6)
        for given in (least, most, *(value for value in inner if least <= value <= most), *(a - b)):
            x, y = a.copy(), b.copy()
            x[gone_a], y[gone_b] = given, given
            found.append(sign_flip_test(x - y))
        for sides in ((first, second), (second, first)):
            verdict = rule(*sides, metric, accuracy)
            assert verdict.p >= max(found)
            reached.append(verdict.p < 1)
    bounded = accuracy or metric == "retention"
    assert any(reached) == (bounded or metric != "forgetting"), "a bound that is there is used"


def test_an_error_that_was_lost_may_have_been_anything_above_0() -> None:
    """A seed that the better side lost could turn the verdict, since an error has no upper bound; one of the worse cannot."""
    good, bad = side("kan", 9, final=spread(0.01, 9)), side("mlp", 9, final=spread(0.9, 9))
    for better, worse, decided in ((good.final.copy(), bad.final, False), (good.final, bad.final.copy(), True)):
        (worse if decided else better)[4] = NAN
        verdict = rule(replace(good, final=better), replace(bad, final=worse), "final", accuracy=False)
        assert verdict.lost == (((), (4,)) if decided else ((4,), ()))
        assert verdict.outcome == (Outcome.ENDS_BETTER if decided else Outcome.INCOMPARABLE)
        said = "whatever was lost had reached" if decided else "which the lost ones could turn (final rmse has no upper bound)"
        assert said in verdict.reason


@pytest.mark.parametrize("metric", JUDGED)
def test_equivalence_is_in_the_unit_of_the_metric(metric: MetricName) -> None:
    wobble = 0.02 * np.array([1, -1, 1, -1, 1, -1, 1, -1])
    first, second = side("kan", **{metric: 0.5 + wobble}), side("mlp", **{metric: 0.5})
    high = rule(first, second, metric).difference.high
    assert rule(first, second, metric, equivalence=0.99 * high).outcome == Outcome.SAME
    assert rule(first, second, metric, equivalence=1.01 * high).outcome == Outcome.EQUIVALENT


def test_final_scores_of_two_that_kept_nothing_are_called_what_they_are() -> None:
    verdict = rule(side("kan", retention=0.0), side("mlp", retention=0.0, final=spread(0.7)), "final")
    assert verdict.outcome == Outcome.SAME
    assert verdict.reason.startswith("neither retains anything, so this is what the last task alone gives; a difference from")


def test_one_family_may_hold_several_metrics() -> None:
    first, second = side("kan", retention=spread(0.9), final=spread(0.9)), side("mlp")
    verdicts = judge([contest(first, second, "retention"), contest(first, second, "final")])
    assert [verdict.outcome for verdict in verdicts] == [Outcome.MORE, Outcome.ENDS_BETTER]
    assert [verdict.p_holm for verdict in verdicts] == [2 * 2 / 2**8] * 2


def test_metrics_are_those_of_runs() -> None:
    assert all(judged.key in METRICS for judged in JUDGED.values())
    for judged, accuracy in itertools.product(JUDGED.values(), (True, False)):
        least, most = judged.accuracies if accuracy else judged.errors
        assert least < most
