"""Guards kancl.verdict: every outcome on constructed seeds, and the numbers behind it."""

import itertools
import math
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from kancl.errors import InputError
from kancl.statistics import holm, mean_interval, paired_effect_size, sign_flip_test
from kancl.verdict import Contest, Learner, Outcome, Rules, Verdict, judge

NAN = math.nan
GAP = 0.5


def learner(name: str = "kan", n: int = 8, **given: Any) -> Learner:
    """One that learned all tasks (score 0.9, gap 0.5) and kept about half; ``given`` replaces values, seed by seed."""
    wobble = np.random.default_rng(len(name)).normal(0.0, 0.01, (2, n))
    values = {"learning": 0.9 + wobble[0], "learned": np.ones(n), "retention": 0.5 + wobble[1], "forgetting": 0.2 - wobble[1]}
    values["final"] = 0.7 + wobble[1]
    for key, value in given.items():
        values[key] = np.broadcast_to(np.asarray(value, float), n).copy()
    return Learner(name=name, seeds=tuple(range(n)), **values)


def rule(first: Learner, second: Learner, **rules: Any) -> Verdict:
    (verdict,) = judge([Contest(first, second, GAP)], Rules(**rules))
    return verdict


def spread(n: int, mean: float) -> np.ndarray:
    return mean + 0.01 * np.linspace(-1, 1, n)


def diverged(one: Learner, *seeds: int) -> Learner:
    """As if the seeds had given NaN."""
    changed = {}
    for field in ("learning", "learned", "retention", "forgetting", "final"):
        values = getattr(one, field).copy()
        values[list(seeds)] = NAN
        changed[field] = values
    return replace(one, **changed)


def test_retains_more_and_less() -> None:
    keeps, forgets = learner("kan", retention=spread(8, 0.9)), learner("mlp", retention=spread(8, 0.3))
    more, less = rule(keeps, forgets), rule(forgets, keeps)
    assert (more.outcome, less.outcome) == (Outcome.MORE, Outcome.LESS)
    assert (str(more.outcome), str(less.outcome)) == ("retains more", "retains less")
    assert more.difference.mean == pytest.approx(0.6) == pytest.approx(-less.difference.mean)
    assert more.p == less.p == more.p_holm == 2 / 2**8
    assert more.reason.startswith("retention differs by +0.6 [")
    assert less.reason.endswith("p 0.0078 after Holm")
    assert more.explanation is None


def test_the_numbers_are_those_of_the_statistics() -> None:
    first, second = learner("kan"), learner("mlp", retention=np.random.default_rng(1).uniform(size=8))
    verdict = rule(first, second)
    difference = first.retention - second.retention
    assert verdict.difference == mean_interval(difference)
    assert verdict.forgetting_difference == mean_interval(first.forgetting - second.forgetting)
    assert verdict.learning_difference == mean_interval((first.learning - second.learning) / GAP)
    for name in ("learning", "retention", "forgetting"):
        assert getattr(verdict, name) == (mean_interval(getattr(first, name)), mean_interval(getattr(second, name)))
    assert verdict.learned == (1.0, 1.0)
    assert verdict.p == sign_flip_test(difference)
    assert verdict.effect_size == paired_effect_size(difference)
    assert (verdict.diverged, verdict.undefined, verdict.unpaired) == ((), (), ())


def test_no_difference_shows_what_remains_possible() -> None:
    first = learner("kan", retention=0.5 + 0.2 * np.array([1, -1, 1, -1, 1, -1, 1, -1]))
    verdict = rule(first, learner("mlp", retention=0.5))
    assert verdict.outcome == "no difference at this budget"
    half = verdict.difference.high
    assert f"from {-half:.2g} to {half:.2g} remains possible" in verdict.reason
    assert "equivalent" not in verdict.reason


def test_a_test_that_its_interval_does_not_bear_out_decides_nothing() -> None:
    few = np.array([0.0] * 9 + [0.001, 0.001, 0.002, 0.002, 0.003, 0.004, 0.6])
    verdict = rule(learner("kan", 16, retention=few), learner("mlp", 16, retention=0.0))
    assert verdict.p_holm < 0.05
    assert verdict.difference.low < 0
    assert verdict.outcome == Outcome.SAME


def test_equivalence_is_said_only_on_request_and_within_the_margin() -> None:
    first = learner("kan", retention=0.5 + 0.02 * np.array([1, -1, 1, -1, 1, -1, 1, -1]))
    second = learner("mlp", retention=0.5)
    high = rule(first, second).difference.high
    assert rule(first, second).outcome == Outcome.SAME
    assert rule(first, second, equivalence=0.99 * high).outcome == Outcome.SAME
    within = rule(first, second, equivalence=1.01 * high)
    assert within.outcome == Outcome.EQUIVALENT
    assert f"±{1.01 * high:g}" in within.reason
    surely = rule(learner("kan", retention=spread(8, 0.51)), learner("mlp", retention=spread(8, 0.5)), equivalence=0.5)
    assert surely.outcome == Outcome.MORE, "a difference that is sure is told, however small"


def test_equal_seeds_are_called_so() -> None:
    verdict = rule(learner("kan", retention=spread(8, 0.5)), learner("mlp", retention=spread(8, 0.5)))
    assert (verdict.outcome, verdict.reason) == (Outcome.SAME, "the two are equal in every seed")


@pytest.mark.parametrize("equivalence", [None, 0.1])
def test_two_that_lost_everything_cannot_be_told_apart(equivalence: float | None) -> None:
    verdict = rule(learner("kan", retention=0.0), learner("mlp", retention=0.0), equivalence=equivalence)
    assert verdict.outcome == (Outcome.SAME if equivalence is None else Outcome.EQUIVALENT)
    assert "neither retains anything" in verdict.reason
    assert (verdict.p, verdict.effect_size) == (1.0, 0.0)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.79])
@pytest.mark.parametrize("side", [0, 1])
def test_who_did_not_learn_is_not_compared(share: float, side: int) -> None:
    """Although retention and learning scores would allow it."""
    sides = [learner("kan", retention=spread(8, 0.9)), learner("mlp", retention=spread(8, 0.1))]
    sides[side] = replace(sides[side], learned=np.full(8, share))
    verdict = rule(*sides)
    assert verdict.outcome == "did not learn"
    assert f"{sides[side].name} learned {100 * share:g} % of its tasks, less than 80 %" in verdict.reason
    assert verdict.learned[side] == pytest.approx(share)
    assert rule(*sides, learned=max(share, 0.01)).outcome == (Outcome.NOT_LEARNED if share == 0 else Outcome.MORE)


def test_who_never_learned_has_no_retention_at_all() -> None:
    verdict = rule(learner("kan"), learner("mlp", retention=NAN, learned=0.0))
    assert verdict.outcome == Outcome.NOT_LEARNED
    assert "mlp learned 0 %" in verdict.reason
    assert (verdict.difference.n, verdict.undefined) == (0, tuple(range(8)))
    assert math.isnan(verdict.p)
    assert math.isnan(verdict.p_holm)


@pytest.mark.parametrize("sign", [1, -1])
def test_learning_scores_beyond_the_margin_forbid_a_verdict(sign: int) -> None:
    first, second = learner("kan", retention=spread(8, 0.9)), learner("mlp", retention=spread(8, 0.1))
    apart = 0.08  # 16 % of the gap
    first = replace(first, learning=second.learning + sign * apart)
    verdict = rule(first, second)
    assert verdict.outcome == Outcome.UNLIKE
    assert "differ by 16 % of the gap" in verdict.reason
    assert verdict.learning_difference.mean == pytest.approx(sign * 0.16)
    assert rule(first, second, margin=0.161).outcome == Outcome.MORE
    assert rule(first, second, margin=0.159).outcome == Outcome.UNLIKE


@pytest.mark.parametrize("n", [1, 2, 5, 6])
def test_too_few_seeds_forbid_a_verdict(n: int) -> None:
    verdict = rule(learner("kan", n, retention=spread(n, 0.9)), learner("mlp", n, retention=spread(n, 0.1)))
    assert verdict.outcome == (Outcome.MORE if n >= 6 else Outcome.TOO_FEW)
    assert ("6 seeds can" in verdict.reason) == (n < 6)
    assert verdict.difference.n == n
    assert verdict.said == (f"too few seeds ({n} of 6)" if n < 6 else "retains more")


def test_diverged_seeds_are_dropped_in_pairs_and_counted() -> None:
    first = diverged(learner("kan", 12, retention=spread(12, 0.95)), 1)
    second = diverged(learner("mlp", 12, retention=spread(12, 0.05)), 3)
    verdict = rule(first, second)
    kept = [0, 2, 4, 5, 6, 7, 8, 9, 10, 11]
    assert verdict.outcome == Outcome.MORE
    assert verdict.difference == mean_interval((first.retention - second.retention)[kept])
    assert verdict.learning[0] == mean_interval(first.learning[kept]), "the same seeds on both sides"
    assert (verdict.diverged, verdict.undefined, verdict.lost) == ((1, 3), (), ((1,), (3,)))
    assert verdict.p_left == 2 / 2**10
    assert verdict.p == sign_flip_test(np.array([*[0.9] * 10, 0 - second.retention[1], first.retention[3] - 1]))
    lost = "diverged or did not finish in 1 of 12 seeds"
    assert f"whatever was lost had retained (kan {lost}, mlp {lost})" in verdict.reason
    fewer = rule(diverged(first, 4, 5, 6, 7, 8), second)
    assert fewer.outcome == Outcome.TOO_FEW
    assert "5 seeds cannot reach 5 %" in fewer.reason


def test_a_difference_that_survivors_alone_make_is_no_verdict() -> None:
    """Ten of sixteen networks diverged: the six that are left all keep more, and might be the six that could."""
    whole = learner("kan", 16, retention=spread(16, 0.6))
    first, second = diverged(whole, *range(10)), learner("mlp", 16, retention=spread(16, 0.5))
    for sides, lost in (((first, second), "kan"), ((second, first), "kan")):
        verdict = rule(*sides)
        assert verdict.p_left == pytest.approx(2 / 2**6)
        assert verdict.p == 1.0
        assert verdict.outcome == Outcome.INCOMPARABLE
        assert f"the 6 seeds that are left differ by {verdict.difference.mean:+.2g}" in verdict.reason
        assert f"the lost ones could turn: {lost} diverged or did not finish in 10 of 16 seeds" in verdict.reason
    assert rule(whole, second).outcome == Outcome.MORE
    never = replace(whole, retention=np.where(np.arange(16) < 3, NAN, whole.retention), learned=np.full(16, 0.9))
    verdict = rule(never, second)
    assert verdict.outcome == Outcome.INCOMPARABLE
    assert "kan learned nothing to retain in 3 of 16 seeds" in verdict.reason


def test_no_retention_of_the_lost_seeds_gives_a_larger_p() -> None:
    """Against every corner and many inner points of what the lost could have been, on both sides."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = rng.uniform(0.3, 1.0, 8), rng.uniform(0.0, 0.7, 8)
        gone_a, gone_b = rng.permutation(8)[:2], rng.permutation(8)[:1]
        first, second = diverged(learner("kan", retention=a), *gone_a), diverged(learner("mlp", retention=b), *gone_b)
        found = []
        for given in (*itertools.product((0.0, 1.0), repeat=3), *rng.uniform(size=(50, 3))):
            x, y = a.copy(), b.copy()
            x[gone_a], y[gone_b] = given[:2], given[2]
            found.append(sign_flip_test(x - y))
        verdict = rule(first, second)
        assert verdict.p >= max(found)
        assert verdict.p in (1.0, pytest.approx(max(found)))


def test_seeds_that_share_a_choice_are_one_observation() -> None:
    first, second = learner("kan", 12, retention=spread(12, 0.9)), learner("mlp", 12, retention=spread(12, 0.3))
    once = tuple([40] * 12)
    verdict = rule(replace(first, choices=once), second)
    assert verdict.outcome == Outcome.INCOMPARABLE
    assert "all 12 seeds rest on values that were chosen once" in verdict.reason
    assert (verdict.blocks, verdict.difference.n) == (1, 12)
    assert math.isnan(verdict.p)
    fours = tuple(k // 3 for k in range(12))
    verdict = rule(first, replace(second, choices=fours))
    assert "4 tunings cannot reach 5 %: the smallest p is 0.12; 6 tunings can" in verdict.reason
    assert (verdict.outcome, verdict.said) == (Outcome.TOO_FEW, "too few tunings (4 of 6)")
    assert verdict.p == 2 / 2**4
    pairs = tuple(k // 2 for k in range(12))
    verdict = rule(replace(first, choices=pairs), replace(second, choices=pairs))
    assert (verdict.outcome, verdict.blocks, verdict.p) == (Outcome.MORE, 6, 2 / 2**6)
    means = (first.retention - second.retention).reshape(6, 2).mean(1)
    assert verdict.difference[:3] == pytest.approx(mean_interval(means)[:3])
    assert verdict.effect_size == pytest.approx(paired_effect_size(means))
    assert verdict.p == sign_flip_test(means)
    each = tuple(range(20, 32))
    assert rule(replace(first, choices=each), replace(second, choices=each)) == rule(first, second)


def test_a_seed_lost_from_a_block_counts_against_its_block() -> None:
    pairs = tuple(k // 2 for k in range(16))
    first, second = learner("kan", 16, retention=spread(16, 0.9)), learner("mlp", 16, retention=spread(16, 0.1))
    first = diverged(first, 3)
    verdict = rule(replace(first, choices=pairs), second)
    filled = first.retention - second.retention
    filled[3] = 0 - second.retention[3]
    assert verdict.p == sign_flip_test(filled.reshape(8, 2).sum(1))
    assert (verdict.outcome, verdict.blocks, verdict.difference.n) == (Outcome.MORE, 8, 15)


def test_a_seed_that_learned_nothing_to_retain_is_told_from_a_diverged_one() -> None:
    first = diverged(learner("kan", 9, retention=spread(9, 0.9)), 8)
    second = learner("mlp", 9, retention=[NAN, *spread(8, 0.1)], learned=[0.2, *[1.0] * 8])
    verdict = rule(first, second)
    assert (verdict.diverged, verdict.undefined, verdict.difference.n) == ((8,), (0,), 7)
    assert verdict.lost == ((8,), (0,))
    assert verdict.forgetting_difference.n == 8


def test_all_seeds_of_one_side_diverged() -> None:
    verdict = rule(learner("kan"), diverged(learner("mlp"), *range(8)))
    assert verdict.outcome == Outcome.NOT_LEARNED
    assert verdict.reason == "every seed of mlp diverged"
    assert verdict.diverged == tuple(range(8))


def test_seeds_are_paired_by_name_not_by_place() -> None:
    first, second = learner("kan", retention=np.arange(8) / 10), learner("mlp", retention=np.arange(8) / 10 - 0.05)
    turned = {
        field.name: getattr(second, field.name)[::-1] for field in fields(Learner) if field.name not in ("name", "choices")
    }
    assert rule(first, Learner(name="mlp", **turned)) == rule(first, second)
    other = replace(second, seeds=tuple(range(100, 108)))
    verdict = rule(first, other)
    assert verdict.outcome == Outcome.INCOMPARABLE
    assert verdict.reason == "no seed has a value on both sides"
    assert len(verdict.unpaired) == 16


def test_p_is_corrected_over_all_comparisons() -> None:
    rng = np.random.default_rng(3)
    second = learner("mlp", 9, retention=0.5 + rng.normal(0, 0.1, 9))
    shifts = (0.3, 0.1, 0.08, 0.0)
    others = [learner(f"kan{shift}", 9, retention=0.5 + shift + rng.normal(0, 0.1, 9)) for shift in shifts]
    verdicts = judge([Contest(other, second, GAP) for other in others])
    alone = [rule(other, second) for other in others]
    assert [verdict.p for verdict in verdicts] == [verdict.p for verdict in alone]
    np.testing.assert_array_equal([v.p_holm for v in verdicts], holm(np.array([v.p for v in alone])))
    assert verdicts[0].outcome == Outcome.MORE
    lost = [a.outcome == Outcome.MORE and v.outcome == Outcome.SAME for a, v in itertools.zip_longest(alone, verdicts)]
    assert any(lost), "an outcome that stands alone falls among others"


def test_more_comparisons_take_more_seeds() -> None:
    pair = Contest(learner("kan", 8, retention=spread(8, 0.9)), learner("mlp", 8, retention=spread(8, 0.1)), GAP)
    assert {verdict.outcome for verdict in judge([pair] * 6)} == {Outcome.MORE}
    verdicts = judge([pair] * 7)
    assert {verdict.outcome for verdict in verdicts} == {Outcome.TOO_FEW}
    assert "8 seeds cannot reach 5 % over 7 comparisons: the smallest p is 0.055; 9 seeds can" in verdicts[0].reason
    assert verdicts[0].said == "too few seeds (8 of 9)"
    untested = Contest(learner("kan", retention=NAN, learned=0.0), pair.second, GAP)
    assert judge([pair] * 6 + [untested])[0].outcome == Outcome.MORE, "what has no p is not tested"


def test_a_pair_that_is_significant_is_not_refused_for_the_size_of_its_family() -> None:
    many = [Contest(learner("kan", 16, retention=spread(16, 0.6)), learner("mlp", 16, retention=0.1), GAP)] * 9
    few = Contest(learner("kan", 8, retention=spread(8, 0.6)), learner("mlp", 8, retention=0.1), GAP)
    *_, last = judge([*many, few])
    assert last.p_holm == last.p == 2 / 2**8
    assert last.outcome == Outcome.MORE


def test_nothing_to_judge() -> None:
    assert judge([]) == []


@pytest.mark.parametrize(
    "wrong", [{"margin": 0.0}, {"margin": NAN}, {"margin": math.inf}, {"learned": 1.1}, {"alpha": 1.0}, {"equivalence": -0.1}]
)
def test_bounds_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"got .*{next(iter(wrong.values())):g}"):
        Rules(**wrong)
