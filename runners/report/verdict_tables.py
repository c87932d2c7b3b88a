"""Verdicts as tables for people, and as Markdown for documents."""

import re
from collections.abc import Iterator, Sequence

import numpy as np
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kancl.statistics import BOOTSTRAP_FROM, EXACT_UP_TO, Interval
from kancl.verdict import Outcome, Rules, Verdict
from runners.report.tables import WIDE, with_error
from runners.results.entry import Entry
from runners.results.verdicts import Comparison

STYLES = {Outcome.MORE: "green", Outcome.LESS: "red", Outcome.INCOMPARABLE: "yellow"}
NOTHING = (
    "No verdict: nothing to compare. It takes one scenario with two architectures under the same strategy, one that learns the"
    " tasks one after another (joint and independent training have no retention)."
)


def verdict_tables(comparisons: Sequence[Comparison], rules: Rules, width: int = WIDE) -> Iterator[RenderableType]:
    """Yield the tables of each scenario, strategy and policy with their notes, then the method in a sentence."""
    if not comparisons:
        yield Text(NOTHING, style="yellow")
        return
    groups: dict[str, list[Comparison]] = {}
    for comparison in comparisons:
        groups.setdefault(_title(comparison), []).append(comparison)
    for title, group in groups.items():
        if width >= WIDE:
            yield _table(title, group, ("learning", "learned", "forgetting", "retention", "verdict"))
        else:
            yield _table(title, group, ("learning", "learned", "forgetting"))
            yield _table("", group, ("retention", "verdict"))
        yield Group(*(note for comparison in group for note in _notes(comparison)), Text())
    yield Text(method(comparisons, rules), style="dim")


def method(comparisons: Sequence[Comparison], rules: Rules) -> str:
    """Return in a line how the verdicts were reached."""
    tests = sum(bool(np.isfinite(comparison.verdict.p)) for comparison in comparisons)
    family = f"{tests} test{'' if tests == 1 else 's'} at {100 * rules.alpha:g} %"
    within = f"Equivalent: interval within ±{rules.equivalence:g}. " if rules.equivalence is not None else ""
    return (
        "Verdicts: retention paired by seed, first minus second; [95 % interval], uncorrected (Student's t, from"
        f" {BOOTSTRAP_FROM} seeds on BCa bootstrap); sign-flip test (exact up to {EXACT_UP_TO} seeds), Holm over {family};"
        f" g: Hedges' g_z. Not comparable: under {100 * rules.learned:g} % of tasks learned, learning scores over"
        f" {100 * rules.margin:g} % of the gap from null to perfect apart, or too few seeds. Seeds that a side lost count in p"
        f" as if they had gone against the difference. {within}No difference does not mean equal: read the interval."
    )


def as_markdown(comparisons: Sequence[Comparison]) -> str:
    """Return the verdicts as one Markdown table; empty if there are none."""
    lines: list[list[str]] = []
    for comparison in comparisons:
        verdict, (first, second) = comparison.verdict, (comparison.first.labels, comparison.second.labels)
        policy = first["policy"] if comparison.same_policy else f"different: {_policy(comparison)}"
        if comparison.own_rates:
            policy = f"{_without_rate(first['policy'])}, {' against '.join(_own_values(comparison))}"
        row = {
            "scenario": first["scenario"],
            "strategy": first["strategy"],
            "policy": policy,
            "architecture": first["architecture"],
            "against": second["architecture"],
            "verdict": verdict.outcome.value,
            "because": verdict.reason,
            "learning score": _against(verdict.learning),
            "learned": " against ".join(_share(share) for share in verdict.learned),
            "retention": _against(verdict.retention),
            "difference of retention": with_interval(verdict.difference),
            "difference of forgetting": with_interval(verdict.forgetting_difference),
            "p": _p(verdict.p),
            "p (Holm)": _p(verdict.p_holm),
            "g": _effect(verdict.effect_size),
            "n": _count(verdict),
            "diverged": str(len(verdict.diverged)),
        }
        if any(other.tuning for other in comparisons):
            row["tuning"] = "; ".join(comparison.tuning)
        if any(other.verdict.explanation for other in comparisons):
            row["explanation"] = verdict.explanation or ""
        lines += [list(row), ["---"] * len(row)] if not lines else []
        lines.append(list(row.values()))
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def with_interval(interval: Interval) -> str:
    """Write a mean and its interval with as many decimals as the interval's width supports.

    >>> with_interval(Interval(0.5, 0.41, 0.63, 8)), with_interval(Interval(-4.9e-6, -6.2e-6, -3.6e-6, 8))
    ('0.50 [0.41, 0.63]', '(-4.9 [-6.2, -3.6])e-06')
    """
    mean, low, high, n = interval
    if n < 2 or not np.isfinite(high - low):
        return with_error(mean, None) if n else "–"
    largest, half = max(abs(mean), abs(low), abs(high)), (high - low) / 2
    if largest == 0:
        return "0 [0, 0]"
    exponent = int(np.floor(np.log10(largest)))
    scale = 10.0**exponent if not -3 <= exponent <= 4 else 1.0
    finest = max(half, 1e-4 * largest) / scale
    decimals = int(np.clip(1 - np.floor(np.log10(finest)), 0, 4))
    mean, low, high = (float(np.round(value / scale, decimals)) + 0.0 for value in (mean, low, high))
    text = f"{mean:.{decimals}f} [{low:.{decimals}f}, {high:.{decimals}f}]"
    return text if scale == 1.0 else f"({text})e{exponent:+03d}"


def _title(comparison: Comparison) -> str:
    labels = comparison.first.labels
    trained = labels["policy"] if comparison.same_policy else "different policies"
    if comparison.own_rates:
        trained = f"{_without_rate(labels['policy'])}, each at its own rate"
    strategy = labels["strategy"] if labels["strategy"] == comparison.second.labels["strategy"] else _strategy_name(comparison)
    of_both = [remark for remark in comparison.first.result.remarks if remark in comparison.second.result.remarks]
    strategy = " ".join([strategy, *(f"({remark})" for remark in of_both)])
    return f"Verdicts   {labels['scenario']} / {strategy} / {trained}"


def _strategy_name(comparison: Comparison) -> str:
    return f"{comparison.first.cell.strategy.name}, each at its own strength"


def _own_values(comparison: Comparison) -> tuple[str, str]:
    """Return what tuning chose for either side: the rate, and the strategy where the sides have other options of it."""
    entries = (comparison.first, comparison.second)
    rates = [_rate(entry) for entry in entries]
    first, second = (entry.labels["strategy"] for entry in entries)
    if first == second:
        return rates[0], rates[1]
    return f"{rates[0]} {first}", f"{rates[1]} {second}"


def _rate(entry: Entry) -> str:
    found = re.search(r"\blr=(tuned\([^)]*\)|\S+)", entry.labels["policy"])
    return found[0] if found else f"lr={entry.cell.policy.lr:g}"


def _table(title: str, group: list[Comparison], columns: tuple[str, ...]) -> Table:
    table = Table(title=Text(title, "bold"), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    result = group[0].first.result
    table.add_column("architecture", overflow="fold")
    for name in columns:
        left = name == "verdict"
        head = f"learning {result.score}" if name == "learning" else name
        table.add_column(head, justify="left" if left else "right", no_wrap=True)
    for comparison in group:
        names = _names(comparison)
        cells = _cells(comparison)
        for line in range(3):
            table.add_row(Text(names[line]), *(cells[name][line] for name in columns), end_section=line == 2)
    return table


def _names(comparison: Comparison) -> tuple[str, str, str]:
    labels = (comparison.first.labels, comparison.second.labels)
    first, second = (label["architecture"] for label in labels)
    if comparison.same_policy:
        return first, second, "difference"
    if comparison.own_rates:
        one, other = _own_values(comparison)
        return f"{first} ({one})", f"{second} ({other})", "difference"
    return f"{first} ({labels[0]['policy']})", f"{second} ({labels[1]['policy']})", "difference"


def _cells(comparison: Comparison) -> dict[str, tuple[str | Text, ...]]:
    """Return by column what stands on the lines of the first, of the second, and of their difference."""
    verdict = comparison.verdict
    gap = verdict.learning_difference.mean
    outcome = Text(verdict.outcome.value, style=f"bold {STYLES.get(verdict.outcome, '')}".strip())
    return {
        "learning": (*_both(verdict.learning), f"{100 * gap:+.1f} % of gap" if np.isfinite(gap) else "–"),
        "learned": (*map(_share, verdict.learned), ""),
        "forgetting": (*_both(verdict.forgetting), with_interval(verdict.forgetting_difference)),
        "retention": (*_both(verdict.retention), with_interval(verdict.difference)),
        "verdict": (
            outcome,
            f"p {_p(verdict.p)}, Holm {_p(verdict.p_holm)}",
            f"g {_effect(verdict.effect_size)}, n {_count(verdict)}",
        ),
    }


def _notes(comparison: Comparison) -> Iterator[Text]:
    verdict = comparison.verdict
    first, second = comparison.first.labels["architecture"], comparison.second.labels["architecture"]
    claim = f"{first} against {second}: {verdict.outcome}: {verdict.reason}"
    yield Text(claim, STYLES.get(verdict.outcome, ""))
    if not comparison.same_policy and not comparison.own_rates:
        yield Text(f"  under different policies, which may be the cause of any difference: {_policy(comparison)}", "yellow")
    dropped = {
        "a side diverged or did not finish": verdict.diverged,
        "a side learned nothing to retain": verdict.undefined,
        "only one side ran them": verdict.unpaired,
    }
    for why, seeds in dropped.items():
        if seeds:
            shown = ", ".join(map(str, seeds[:8])) + (", ..." if len(seeds) > 8 else "")
            yield Text(f"  {len(seeds)} seed{'s' if len(seeds) > 1 else ''} left out, {why}: {shown}", "yellow")
    for note in comparison.tuning:
        yield Text(f"  {note}", "" if ": tuned, " in note else "yellow")
    if verdict.explanation is not None:
        yield Text(f"  {verdict.explanation}")


def _without_rate(policy: str) -> str:
    return re.sub(r" lr=(tuned\([^)]*\)|\S+)", "", policy)


def _policy(comparison: Comparison) -> str:
    def told(entry_labels: dict[str, str], dtype: str) -> str:
        return entry_labels["policy"] if alike else f"{entry_labels['policy']} {dtype}"

    alike = comparison.first.cell.dtype == comparison.second.cell.dtype
    first, second = (told(entry.labels, entry.cell.dtype) for entry in (comparison.first, comparison.second))
    return f"{first} against {second}"


def _both(sides: tuple[Interval, Interval]) -> tuple[str, str]:
    first, second = (with_interval(side) for side in sides)
    return first, second


def _against(sides: tuple[Interval, Interval]) -> str:
    return " against ".join(_both(sides))


def _count(verdict: Verdict) -> str:
    """Return the number of pairs, and of the independent blocks that they form where these are fewer."""
    pairs = verdict.difference.n
    return f"{pairs}" if verdict.blocks == pairs else f"{pairs} in {verdict.blocks} tuning{'' if verdict.blocks == 1 else 's'}"


def _share(share: float) -> str:
    return f"{100 * share:.0f} %" if np.isfinite(share) else "–"


def _p(p: float) -> str:
    return "–" if np.isnan(p) else f"{p:.2g}"


def _effect(size: float) -> str:
    if np.isnan(size):
        return "–"
    return f"{size:.2g}" if np.isfinite(size) else f"{'-' if size < 0 else ''}infinite (no spread)"
