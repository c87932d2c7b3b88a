"""Results as tables for people, and as CSV, JSON and Markdown for programs and documents."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from rich.console import Group, RenderableType
from rich.text import Text

from kancl.metrics import METRICS
from kancl.statistics import BOOTSTRAP_FROM
from runners.report.cost_table import COST_NOTES, SHOWN_COSTS, cost_sheet, costs
from runners.report.numbers import counts, estimate, listed
from runners.report.sheet import WIDE, Column, Sheet, Value, Words, as_csv, as_markdown, figures, note_text, tables
from runners.results.entry import LABELS, Entry
from runners.results.results import Results

SHOWN = ("learning_score", "final_score", "forgetting", "backward_transfer", "retention", "learned")


def summary_tables(results: Results, width: int = WIDE) -> Iterator[RenderableType]:
    """Yield the tables of each scenario for a terminal of so many columns, then the formulas."""
    for (scenario,), entries in results.groups("scenario").items():
        scores = score_sheet(scenario, entries)
        yield from tables(scores, width)
        yield from tables(cost_sheet(entries), width)
        yield Group(*map(note_text, scores.notes), Text())
    yield Text("\n".join([*formulas(), *COST_NOTES]), style="dim")


def score_sheet(scenario: str, entries: Sequence[Entry]) -> Sheet:
    """Return the scores of one scenario's cells, a row each."""
    score = entries[0].result.score
    heads = [METRICS[key].title.format(score=score) for key in SHOWN]
    columns = (*map(Column, ("architecture", "strategy", "policy")), *(figures(head, "estimate") for head in heads))
    rows: list[tuple[Value, ...]] = []
    for entry in entries:
        values = entry.metrics()
        named = (entry.labels["architecture"], entry.strategy, entry.labels["policy"])
        rows.append((*named, *(estimate(values[key]) for key in SHOWN)))
    notes = tuple(note for entry in entries for note in _notes(entry))
    return Sheet(_title(scenario, entries), columns, tuple(rows), notes, keys=3, first=2)


def formulas() -> list[str]:
    """Return the definition of every column."""
    return [
        f"mean ± half of the 95 % interval over seeds (Student's t, from {BOOTSTRAP_FROM} seeds on BCa bootstrap; n= where some"
        " seeds lack a value). R[i,j]: score on task j after training task i of T.",
        *(f"{METRICS[key].title.format(score='score')}: {METRICS[key].formula}" for key in SHOWN),
    ]


def _title(scenario: str, entries: Sequence[Entry]) -> str:
    first = entries[0].result
    direction = "higher is better" if first.higher_is_better[first.score] else "lower is better"
    tasks = counts([len(first.tasks)], "task")
    seeds = counts([len(entry.cell.seeds) for entry in entries], "seed")
    return f"{scenario}   {tasks}, {first.setting}-incremental, {first.score} ({direction}), {seeds}"


def _notes(entry: Entry) -> Iterator[Words]:
    name = " / ".join(entry.labels[label] for label in ("architecture", "strategy", "policy"))
    for remark in entry.result.remarks:
        yield Words(f"{name}: {remark}", "doubtful")
    lost = [seed for seed, alive in zip(entry.cell.seeds, entry.alive, strict=True) if not alive]
    if lost:
        of = f"{len(lost)} of {counts([len(entry.alive)], 'seed')}"
        yield Words(f"{name}: {of} diverged and are left out of the means: {listed(lost)}", "bad")
    if np.nanmin(entry.metrics()["learned"], initial=1.0) < 1.0:
        yield Words(f"{name}: some tasks were never learned; what was never learned cannot be forgotten", "doubtful")


def results_as_csv(results: Results) -> str:
    """Return the summary as CSV: one row per scenario, architecture, strategy, policy and metric."""
    return frame_as_csv(results.summary)


def frame_as_csv(frame: pd.DataFrame) -> str:
    """Return a frame as CSV."""
    rows = zip(*(frame[name].tolist() for name in frame), strict=True)
    return as_csv(Sheet("", tuple(Column(str(name)) for name in frame), tuple(rows)))


def results_as_json(results: Results) -> str:
    """Return the summary as a JSON list of rows; a number that is not there is null."""
    return results.summary.to_json(orient="records", indent=1, double_precision=15)


def results_as_markdown(results: Results) -> str:
    """Return the summary as one Markdown table, for documents."""
    heads = [METRICS[key].title.format(score="score") for key in SHOWN]
    columns = (
        *map(Column, LABELS),
        *(Column(head, "estimate") for head in heads),
        *(Column(head, kind) for head, kind in SHOWN_COSTS.items()),
        Column("diverged"),
    )
    rows = []
    for entry in results.entries:
        values, labels = entry.metrics(), {**entry.labels, "strategy": entry.strategy}
        scores = (estimate(values[key]) for key in SHOWN)
        lost = f"{int((~entry.alive).sum())}/{len(entry.alive)}"
        rows.append((*(labels[label] for label in LABELS), *scores, *costs(entry.result), lost))
    return as_markdown(Sheet("", columns, tuple(rows)))
