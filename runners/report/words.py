"""Verdicts in words: one sentence that says who did better and by how much, for somebody who knows no statistics."""

import math
from collections import Counter
from collections.abc import Sequence

from kancl.contest import MetricName
from kancl.text import counted
from kancl.verdict import Outcome, Verdict
from runners.report.numbers import fixed, four_digits, two_digits
from runners.results.entry import grouped
from runners.results.verdicts import Comparison

MOST = 6
"""Comparisons that are told one by one; more are counted."""
PAIRS = 6
"""Pairs of architectures that have a line of their own where comparisons are counted."""
SMALL = 0.001
"""A p below is called so: nobody needs its digits in a sentence."""

ACCURACIES: dict[MetricName, str] = {
    "retention": "{first} keeps {a} % of what it learned, {second} {b} %",
    "final": "{first} ends with {a} % {score} over all tasks, {second} with {b} %",
    "forgetting": "{first} loses {a} points of {score} on earlier tasks, {second} {b}",
    "learning": "{first} learns its tasks to {a} % {score}, {second} to {b} %",
}
ERRORS: dict[MetricName, str] = {
    "retention": ACCURACIES["retention"],
    "final": "{first} ends with {score} {a} over all tasks, {second} with {b}",
    "forgetting": "{score} on earlier tasks grows by {a} in {first}, by {b} in {second}",
    "learning": "{first} learns its tasks to {score} {a}, {second} to {b}",
}


def in_words(comparison: Comparison) -> str:
    """Return what a verdict says, in one sentence without its stop.

    For example ``kan keeps 100 % of what it learned, mlp 0 %; 8 seeds, p 0.016``. Numbers are means over the seeds of the
    verdict's difference, p is Holm's.

    Args:
        comparison: with its verdict.
    """
    verdict = comparison.verdict
    first, second = (side.labels["architecture"] for side in (comparison.first, comparison.second))
    if verdict.outcome in (Outcome.NOT_LEARNED, Outcome.UNLIKE, Outcome.INCOMPARABLE):
        return f"no answer on {first} and {second}: {_obstacle(comparison, first, second)}"
    how = "" if comparison.same_policy or comparison.own_rates else "; they were trained differently"
    return f"{_claim(comparison, first, second)}{_found(verdict)}; {_evidence(verdict)}{how}"


def answers(comparisons: Sequence[Comparison]) -> list[str]:
    """Return what stands at the top of a comparison: a line for each verdict, or for each pair of networks.

    Args:
        comparisons: all that are shown, one family.
    """
    if len(comparisons) <= MOST:
        return [f"{_place(comparison)}: {in_words(comparison)}." for comparison in comparisons]
    pairs = grouped(comparisons, lambda comparison: (_name(comparison.first.labels), _name(comparison.second.labels)))
    lines = [_counted(f"{first} against {second}", own) for (first, second), own in pairs.items()]
    more = [f"and {counted(len(lines) - PAIRS, 'more pair')} of architectures."] if len(lines) > PAIRS else []
    return lines[:PAIRS] + more


def _counted(pair: str, comparisons: Sequence[Comparison]) -> str:
    outcomes = Counter(str(comparison.verdict.outcome) for comparison in comparisons)
    (most, count), *others = outcomes.most_common()
    rest = "".join(f", {outcome} in {number}" for outcome, number in others)
    return f"{pair}: {most} in {count} of {counted(len(comparisons), 'comparison')}{rest}."


def _name(labels: dict[str, str]) -> str:
    return labels["architecture"]


def _place(comparison: Comparison) -> str:
    labels = comparison.first.labels
    return f"{labels['scenario']}, {labels['strategy']}"


def _claim(comparison: Comparison, first: str, second: str) -> str:
    """Return what the two reached."""
    verdict, result = comparison.verdict, comparison.first.result
    accuracy = result.higher_is_better[result.score]
    values = [side.mean for side in verdict.sides]
    if verdict.metric == "retention" and _nothing_kept(verdict):
        return f"neither {first} nor {second} keeps anything of what it learned, in any seed"
    write = _shares if accuracy or verdict.metric == "retention" else _sizes
    a, b = write(values) if verdict.outcome.favours else (write([value])[0] for value in values)
    text = (ACCURACIES if accuracy else ERRORS)[verdict.metric]
    return text.format(first=first, second=second, a=a, b=b, score=result.score)


def _found(verdict: Verdict) -> str:
    """Return what is made of it; nothing where the numbers say it."""
    if verdict.outcome.favours:
        return ""
    if verdict.outcome is Outcome.TOO_FEW:
        return f", but these are {verdict.said} to tell that from chance"
    if verdict.outcome is Outcome.EQUIVALENT:
        return ": equivalent"
    if _nothing_kept(verdict) and verdict.metric in ("final", "retention"):
        return ": neither keeps anything of earlier tasks" if verdict.metric == "final" else ""
    if verdict.difference.low == verdict.difference.high == 0:
        return ", the same in every seed"
    return ": no difference that could be told from chance"


def _nothing_kept(verdict: Verdict) -> bool:
    return all(side.mean == 0 for side in verdict.retention)


def _evidence(verdict: Verdict) -> str:
    """Return what a claim rests on: no p where there is nothing to tell from chance."""
    pairs = counted(verdict.difference.n, "seed")
    if verdict.blocks != verdict.difference.n:
        pairs += f" in {counted(verdict.blocks, 'tuning')}"
    if gone := len({*verdict.lost[0], *verdict.lost[1]}):
        pairs += f" and {gone} lost"
    p = verdict.p_holm
    if math.isnan(p) or verdict.difference.low == verdict.difference.high == 0:
        return pairs
    return f"{pairs}, p below {SMALL:g}" if p < SMALL else f"{pairs}, p {two_digits(p)}"


def _obstacle(comparison: Comparison, first: str, second: str) -> str:
    """Return why there is no answer."""
    verdict, result = comparison.verdict, comparison.first.result
    if verdict.outcome is Outcome.NOT_LEARNED and all(map(math.isfinite, verdict.learned)):
        return f"{verdict.reason}, and what was not learned cannot be forgotten"
    if verdict.outcome is Outcome.UNLIKE:
        apart = verdict.learning_difference.mean
        better = (apart > 0) == result.higher_is_better[result.score]
        much = f"by {_shares([abs(apart)])[0]} % of what there was to learn"
        return f"{first} learned {'better' if better else 'worse'} than {second}, {much}, so they had different things to lose"
    return verdict.reason


def _shares(values: Sequence[float]) -> list[str]:
    """Write shares in hundredths, with decimals only where the numbers would look the same."""
    for decimals in range(3):
        texts = [fixed(100 * value, decimals) for value in values]
        if len(set(texts)) == len(set(values)):
            return texts
    return [fixed(100 * value, 0) for value in values]


def _sizes(values: Sequence[float]) -> list[str]:
    """Write errors with two digits, or four where the numbers would look the same."""
    texts = [two_digits(value) for value in values]
    return texts if len(set(texts)) == len(set(values)) else [four_digits(value) for value in values]
