"""Verdicts as tables for people, and as Markdown for documents."""

from collections.abc import Iterator, Sequence

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text

from kancl.contest import JUDGED, MetricName
from kancl.statistics import BOOTSTRAP_FROM, EXACT_UP_TO, Interval
from kancl.text import counted
from kancl.verdict import Outcome, Rules, Verdict
from runners.report.numbers import listed, percent, short, two_digits, with_interval
from runners.report.reach import beyond, reach_of, remark
from runners.report.sheet import WIDE, Column, Sheet, Tone, Value, Words, as_markdown, figures, note_text, tables
from runners.results.entry import grouped
from runners.results.verdicts import Comparison

TONES: dict[Outcome, Tone] = {
    outcome: "good" if outcome.favours > 0 else "bad" if outcome.favours < 0 else "plain" if outcome.comparable else "doubtful"
    for outcome in Outcome
}
BESIDE: tuple[MetricName, ...] = ("learning", "forgetting")
"""Metrics that stand beside the one that decides."""
NOTHING = (
    "No verdict: nothing to compare. It takes one scenario with two architectures under the same strategy, one that learns the"
    " tasks one after another (joint and independent training have no retention)."
)


def verdict_tables(
    comparisons: Sequence[Comparison], rules: Rules, width: int = WIDE, explain: bool = True
) -> Iterator[RenderableType]:
    """Yield the tables of each scenario, strategy and policy with their notes, then the method if asked for."""
    if not comparisons:
        yield Text(NOTHING, style="yellow")
        return
    for sheet in verdict_sheets(comparisons):
        yield from tables(sheet, width)
        yield Group(*map(note_text, sheet.notes), Text())
    if explain:
        yield Text(method(comparisons, rules), style="dim")


def verdict_sheets(comparisons: Sequence[Comparison]) -> list[Sheet]:
    """Return a sheet for each scenario, strategy and policy, with three lines for a comparison: both sides, the difference."""
    groups = grouped(comparisons, lambda comparison: (_title(comparison), comparison.verdict.metric))
    return [_sheet(title, group) for (title, _), group in groups.items()]


def _sheet(title: str, group: list[Comparison]) -> Sheet:
    score, metric = group[0].first.result.score, group[0].verdict.metric
    beside = [own for own in BESIDE if own != metric]
    columns = (
        Column("architecture"),
        figures(JUDGED[metric].title.format(score=score), "interval"),
        Column("verdict", fold=False),
        *(figures(JUDGED[own].title.format(score=score), "interval") for own in beside),
        figures("learned", "share"),
    )
    whole = all(share == 1 for comparison in group for share in comparison.verdict.learned)
    said = "every task was learned" if whole else ""
    rows = [(name, *cells) for comparison in group for name, cells in zip(_names(comparison), _lines(comparison), strict=True)]
    notes = [note for comparison in group for note in _notes(comparison)]
    notes += [Words(line, "quiet") for line in _beyond(group)]
    sheet = Sheet(title, columns, tuple(rows), tuple(notes), keys=1, first=2, section=3, subtitle=said)
    return sheet.only(range(len(columns) - whole))


def _beyond(group: Sequence[Comparison]) -> Iterator[str]:
    """Yield a line on the intervals that reach beyond what their score can be."""
    found = []
    for comparison in group:
        result, metric = comparison.first.result, comparison.verdict.metric
        for own in (metric, *(other for other in BESIDE if other != metric)):
            sides = comparison.verdict.sides if own == metric else getattr(comparison.verdict, own)
            reach = reach_of(JUDGED[own].key, result.higher_is_better[result.score])
            for side, interval in zip((comparison.first, comparison.second), sides, strict=True):
                named = f"{JUDGED[own].title.format(score=result.score)} of {side.labels['architecture']}"
                found.append((named, beyond(interval.low, interval.high, reach)))
    return remark(dict(found).items())


def method(comparisons: Sequence[Comparison], rules: Rules) -> str:
    """Return in a line how the verdicts were reached."""
    tests = sum(bool(np.isfinite(comparison.verdict.p)) for comparison in comparisons)
    family = f"{counted(tests, 'test')} at {100 * rules.alpha:g} %"
    within = f"Equivalent: interval within ±{rules.equivalence:g}. " if rules.equivalence is not None else ""
    metrics = dict.fromkeys(comparison.verdict.metric for comparison in comparisons)
    return (
        f"Verdicts: {' or '.join(metrics)} paired by seed, first minus second; [95 % interval], uncorrected (Student's t, from"
        f" {BOOTSTRAP_FROM} seeds on BCa bootstrap); sign-flip test (exact up to {EXACT_UP_TO} seeds), Holm over {family};"
        f" g: Hedges' g_z. No verdict on retention or forgetting: under {100 * rules.learned:g} % of tasks learned, or learning"
        f" scores over {100 * rules.margin:g} % of the gap from null to perfect apart. Seeds that a side lost count in p"
        f" as if they had gone against the difference. {within}No difference does not mean equal: read the interval."
    )


def verdicts_as_markdown(comparisons: Sequence[Comparison]) -> str:
    """Return the verdicts as one Markdown table; empty if there are none."""
    rows: list[dict[str, Value]] = []
    for comparison in comparisons:
        verdict, (first, second) = comparison.verdict, (comparison.first.labels, comparison.second.labels)
        policy = first["policy"] if comparison.same_policy else f"different: {_policy(comparison)}"
        if comparison.own_rates:
            policy = f"{' '.join(comparison.first.words)}, {' against '.join(_own_values(comparison))}"
        row: dict[str, Value] = {
            "scenario": first["scenario"],
            "strategy": f"{first['strategy']}{_remarks(comparison)}",
            "policy": policy,
            "architecture": first["architecture"],
            "against": second["architecture"],
            "verdict": verdict.said,
            "because": verdict.reason,
            "learning score": _against(verdict.learning),
            "learned": " against ".join(percent(share) for share in verdict.learned),
            "metric": verdict.metric,
            "value": _against(verdict.sides),
            "difference": verdict.difference,
            "difference of forgetting": verdict.forgetting_difference,
            "p": two_digits(verdict.p),
            "p (Holm)": two_digits(verdict.p_holm),
            "g": _effect(verdict.effect_size),
            "n": _count(verdict),
            "diverged": str(len(verdict.diverged)),
        }
        if any(other.tuning for other in comparisons):
            row["tuning"] = "; ".join(comparison.tuning)
        if any(other.verdict.explanation for other in comparisons):
            row["explanation"] = verdict.explanation or ""
        rows.append(row)
    if not rows:
        return ""
    return as_markdown(Sheet("", tuple(map(Column, rows[0])), tuple(tuple(row.values()) for row in rows)))


def _title(comparison: Comparison) -> str:
    labels = comparison.first.labels
    trained = labels["policy"] if comparison.same_policy else "different policies"
    if comparison.own_rates:
        trained = f"{' '.join(comparison.first.words)}, each at its own rate"
    strategy = labels["strategy"] if labels["strategy"] == comparison.second.labels["strategy"] else _strategy_name(comparison)
    return f"Verdicts   {labels['scenario']} / {strategy}{_remarks(comparison)} / {trained}"


def _remarks(comparison: Comparison) -> str:
    """Return what is remarked on both sides, to stand behind the strategy's name."""
    of_both = [remark for remark in comparison.first.result.remarks if remark in comparison.second.result.remarks]
    return "".join(f" ({remark})" for remark in of_both)


def _strategy_name(comparison: Comparison) -> str:
    return f"{comparison.first.cell.strategy.name}, each at its own strength"


def _own_values(comparison: Comparison) -> tuple[str, str]:
    """Return what tuning chose for either side: the rate, and the strategy where the sides have other options of it."""
    entries = (comparison.first, comparison.second)
    rates = [entry.rate for entry in entries]
    first, second = (entry.labels["strategy"] for entry in entries)
    if first == second:
        return rates[0], rates[1]
    return f"{rates[0]} {first}", f"{rates[1]} {second}"


def _names(comparison: Comparison) -> tuple[str, str, str]:
    labels = (comparison.first.labels, comparison.second.labels)
    first, second = (label["architecture"] for label in labels)
    if comparison.same_policy:
        return first, second, "difference"
    if comparison.own_rates:
        one, other = _own_values(comparison)
        return f"{first} ({one})", f"{second} ({other})", "difference"
    return f"{first} ({labels[0]['policy']})", f"{second} ({labels[1]['policy']})", "difference"


def _lines(comparison: Comparison) -> Iterator[tuple[Value, ...]]:
    """Yield what stands on the lines of the first, of the second, and of their difference, but for the names."""
    verdict = comparison.verdict
    tests: tuple[Value, Value] = (
        Words(verdict.said, TONES[verdict.outcome], strong=True),
        f"p {two_digits(verdict.p)}, Holm {two_digits(verdict.p_holm)}",
    )
    beside = [(getattr(verdict, own), _apart(verdict, own)) for own in BESIDE if own != verdict.metric]
    for side, test in enumerate(tests):
        yield verdict.sides[side], test, *(sides[side] for sides, _ in beside), verdict.learned[side]
    counted_in = f"g {_effect(verdict.effect_size)}, n {_count(verdict)}"
    yield verdict.difference, counted_in, *(apart for _, apart in beside), ""


def _apart(verdict: Verdict, metric: MetricName) -> Value:
    """Return how far the two are apart in a metric that is shown beside."""
    if metric == "forgetting":
        return verdict.forgetting_difference
    gap = verdict.learning_difference.mean
    return f"{100 * gap:+z.1f} % of gap" if np.isfinite(gap) else None


def _notes(comparison: Comparison) -> Iterator[Words]:
    verdict = comparison.verdict
    first, second = comparison.first.labels["architecture"], comparison.second.labels["architecture"]
    claim = f"{first} against {second}: {verdict.said}: {verdict.reason}"
    yield Words(claim, TONES[verdict.outcome])
    if not comparison.same_policy and not comparison.own_rates:
        different = f"under different policies, which may be the cause of any difference: {_policy(comparison)}"
        yield Words(f"  {different}", "doubtful")
    dropped = {
        "a side diverged or did not finish": verdict.diverged,
        "a side learned nothing to retain": verdict.undefined,
        "only one side ran them": verdict.unpaired,
    }
    for why, seeds in dropped.items():
        if seeds:
            yield Words(f"  {counted(len(seeds), 'seed')} left out, {why}: {listed(seeds)}", "doubtful")
    for note in comparison.tuning:
        yield Words(f"  {note}", "plain" if ": tuned, " in note else "doubtful")
    if verdict.explanation is not None:
        yield Words(f"  {verdict.explanation}")


def _policy(comparison: Comparison) -> str:
    def told(entry_labels: dict[str, str], dtype: str) -> str:
        return entry_labels["policy"] if alike else f"{entry_labels['policy']} {dtype}"

    alike = comparison.first.cell.dtype == comparison.second.cell.dtype
    first, second = (told(entry.labels, entry.cell.dtype) for entry in (comparison.first, comparison.second))
    return f"{first} against {second}"


def _against(sides: tuple[Interval, Interval]) -> str:
    return " against ".join(map(with_interval, sides))


def _count(verdict: Verdict) -> str:
    """Return the number of pairs, and of the independent blocks that they form where these are fewer."""
    pairs = verdict.difference.n
    return f"{pairs}" if verdict.blocks == pairs else f"{pairs} in {counted(verdict.blocks, 'tuning')}"


def _effect(size: float) -> str:
    if np.isinf(size):
        return f"{'-' if size < 0 else ''}infinite (no spread)"
    return two_digits(size) if abs(size) < 100 else short(size)
