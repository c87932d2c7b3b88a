"""Results as tables for people, and as CSV, JSON and Markdown for programs and documents."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kancl.metrics import METRICS
from kancl.statistics import BOOTSTRAP_FROM, mean_interval
from runners.report.cost_table import COST_NOTES, cost_table, costs_shown
from runners.results.entry import LABELS, Entry
from runners.results.results import Results

SHOWN = ("learning_score", "final_score", "forgetting", "backward_transfer", "retention", "learned")
WIDE = 140
"""Columns from which one table holds everything; on a narrower terminal it is split in two, so that no number is cut."""


def summary_tables(results: Results, width: int = WIDE) -> Iterator[RenderableType]:
    """Yield the tables of each scenario, then the formulas."""
    for scenario in dict.fromkeys(entry.cell.asked["scenario"] for entry in results.entries):
        entries = [entry for entry in results.entries if entry.cell.asked["scenario"] == scenario]
        title = _title(scenario, entries)
        if width >= WIDE:
            yield _table(title, entries, ("policy",), SHOWN)
        else:
            yield _table(title, entries, ("policy",), SHOWN[:2])
            yield _table("", entries, ("policy",), SHOWN[2:])
        yield cost_table(entries)
        yield Group(*_notes(entries), Text())
    yield Text("\n".join([*formulas(), *COST_NOTES]), style="dim")


def formulas() -> list[str]:
    """Return the definition of every column."""
    return [
        f"mean ± half of the 95 % interval over seeds (Student's t, from {BOOTSTRAP_FROM} seeds on BCa bootstrap; n= where some"
        " seeds lack a value). R[i,j]: score on task j after training task i of T.",
        *(f"{METRICS[key].title.format(score='score')}: {METRICS[key].formula}" for key in SHOWN),
    ]


def _title(scenario: str, entries: list[Entry]) -> str:
    first = entries[0].result
    direction = "higher is better" if first.higher_is_better[first.score] else "lower is better"
    seeds = " or ".join(map(str, sorted({len(entry.cell.seeds) for entry in entries})))
    return f"{scenario}   {len(first.tasks)} tasks, {first.setting}-incremental, {first.score} ({direction}), {seeds} seeds"


def _table(title: str, entries: list[Entry], facts: tuple[str, ...], metrics: tuple[str, ...]) -> Table:
    table = Table(title=Text(title, "bold"), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    score = entries[0].result.score
    for label in ("architecture", "strategy", *facts):
        table.add_column(label, overflow="fold")
    for key in metrics:
        table.add_column(METRICS[key].title.format(score=score), justify="right", no_wrap=True)
    for entry in entries:
        values, known = entry.metrics(), {**entry.labels, "strategy": entry.strategy}
        numbers = [_number(values[key]) for key in metrics]
        table.add_row(*(Text(known[label]) for label in ("architecture", "strategy", *facts)), *numbers)
    return table


def _notes(entries: list[Entry]) -> Iterator[Text]:
    for entry in entries:
        name = " / ".join(entry.labels[label] for label in ("architecture", "strategy", "policy"))
        for remark in entry.result.remarks:
            yield Text(f"{name}: {remark}", "yellow")
        lost = [seed for seed, alive in zip(entry.cell.seeds, entry.alive, strict=True) if not alive]
        if lost:
            shown = ", ".join(map(str, lost[:8])) + (", ..." if len(lost) > 8 else "")
            yield Text(
                f"{name}: {len(lost)} of {len(entry.alive)} seeds diverged and are left out of the means: {shown}", "red"
            )
        learned = entry.metrics()["learned"]
        if np.nanmin(learned, initial=1.0) < 1.0:
            yield Text(f"{name}: some tasks were never learned; what was never learned cannot be forgotten", "yellow")


def _number(values: np.ndarray) -> str:
    interval = mean_interval(values)
    if interval.n == 0:
        return "–"
    text = with_error(interval.mean, None if interval.n == 1 else (interval.high - interval.low) / 2)
    return text if interval.n == len(values) else f"{text} (n={interval.n})"


def with_error(mean: float, half: float | None) -> str:
    """Write a mean and its half width with as many decimals as the half width supports.

    >>> with_error(0.99017, 0.00342), with_error(4.954e-6, 1.3e-6), with_error(1234.5, 800.0), with_error(1.0, 0.0)
    ('0.9902 ± 0.0034', '(5.0 ± 1.3)e-06', '1234 ± 800', '1 ± 0')
    """
    half_shown = half or 0.0
    largest = max(abs(mean), half_shown)
    if largest == 0:
        return "0" if half is None else "0 ± 0"
    exponent = int(np.floor(np.log10(largest)))
    scale = 10.0**exponent if not -3 <= exponent <= 4 else 1.0
    finest = half_shown if half_shown > 1e-4 * largest else largest * 1e-2
    decimals = int(np.clip(1 - np.floor(np.log10(finest / scale)), 0, 4))
    if half_shown == 0 and mean / scale == round(mean / scale):
        decimals = 0
    text = f"{mean / scale:.{decimals}f}" + ("" if half is None else f" ± {half_shown / scale:.{decimals if half else 0}f}")
    if scale == 1.0:
        return text
    return f"({text})e{exponent:+03d}" if half is not None else f"{text}e{exponent:+03d}"


def as_csv(results: Results) -> str:
    """Return the summary as CSV: one row per scenario, architecture, strategy, policy and metric."""
    return results.summary.to_csv(index=False)


def as_json(results: Results) -> str:
    """Return the summary as a JSON list of rows; a number that is not there is null."""
    return results.summary.to_json(orient="records", indent=1, double_precision=15)


def as_markdown(results: Results) -> str:
    """Return the summary as one Markdown table, for documents."""
    rows = []
    for entry in results.entries:
        values = entry.metrics()
        shown = {METRICS[key].title.format(score="score"): _number(values[key]) for key in SHOWN}
        lost = int((~entry.alive).sum())
        rows.append(
            {
                **{label: entry.labels[label] for label in LABELS},
                "strategy": entry.strategy,
                **shown,
                **costs_shown(entry.result),
                "diverged": f"{lost}/{len(entry.alive)}",
            }
        )
    frame = pd.DataFrame(rows)
    lines = [list(frame.columns), ["---"] * len(frame.columns), *frame.astype(str).to_numpy().tolist()]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
