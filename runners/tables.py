"""Results as tables for people, and as CSV, JSON and Markdown for programs and documents."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kancl.metrics import METRICS
from kancl.statistics import t_interval
from runners.results import LABELS, Entry, Results

SHOWN = ("learning_score", "final_score", "forgetting", "backward_transfer", "retention", "learned")


def summary_tables(results: Results) -> Iterator[RenderableType]:
    """Yield one table per scenario, then the formulas."""
    for scenario in dict.fromkeys(entry.cell.asked["scenario"] for entry in results.entries):
        entries = [entry for entry in results.entries if entry.cell.asked["scenario"] == scenario]
        yield Group(_table(scenario, entries), *_notes(entries), Text())
    yield Text("\n".join(formulas()), style="dim")


def formulas() -> list[str]:
    """Return the definition of every column."""
    return [
        "mean ± half of the 95 % t-interval over seeds. R[i,j]: score on task j after training task i of T.",
        *(f"{METRICS[key].title.format(score='score')}: {METRICS[key].formula}" for key in SHOWN),
    ]


def _table(scenario: str, entries: list[Entry]) -> Table:
    first = entries[0].result
    direction = "higher is better" if first.higher_is_better[first.score] else "lower is better"
    seeds = sorted({len(entry.cell.seeds) for entry in entries})
    table = Table(
        title=f"{scenario}   {len(first.tasks)} tasks, {first.score} ({direction}), {' or '.join(map(str, seeds))} seeds",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for label in ("architecture", "strategy", "policy"):
        table.add_column(label, overflow="fold")
    table.add_column("parameters", justify="right")
    for key in SHOWN:
        table.add_column(METRICS[key].title.format(score=first.score), justify="right")
    for entry in entries:
        values = entry.metrics()
        cells = [_number(values[key]) for key in SHOWN]
        labels = entry.labels
        table.add_row(labels["architecture"], labels["strategy"], labels["policy"], f"{entry.result.parameters:,}", *cells)
    return table


def _notes(entries: list[Entry]) -> Iterator[Text]:
    for entry in entries:
        name = " / ".join(entry.labels[label] for label in ("architecture", "strategy"))
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
    interval = t_interval(values)
    if interval.n == 0:
        return "–"
    return with_error(interval.mean, None if interval.n == 1 else interval.high - interval.mean)


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
    if half_shown == 0 and mean == round(mean):
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
    return results.summary.to_json(orient="records", indent=1)


def as_markdown(results: Results) -> str:
    """Return the summary as one Markdown table, for documents."""
    rows = []
    for entry in results.entries:
        values = entry.metrics()
        shown = {METRICS[key].title.format(score="score"): _number(values[key]) for key in SHOWN}
        lost = int((~entry.alive).sum())
        rows.append({**{label: entry.labels[label] for label in LABELS}, **shown, "diverged": f"{lost}/{len(entry.alive)}"})
    frame = pd.DataFrame(rows)
    lines = [list(frame.columns), ["---"] * len(frame.columns), *frame.astype(str).to_numpy().tolist()]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
