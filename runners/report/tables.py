"""Results as tables for people, and as CSV, JSON and Markdown for programs and documents."""

import re
from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
import pandas as pd
from rich.console import Group, RenderableType
from rich.text import Text

from kancl.metrics import METRICS
from kancl.statistics import BOOTSTRAP_FROM
from runners.report.cost_table import COST_NOTES, SHOWN_COSTS, cost_sheet, costs
from runners.report.numbers import MISSING, counts, estimate, listed
from runners.report.reach import beyond, reach_of, remark
from runners.report.sheet import WIDE, Column, Sheet, Value, Words, as_csv, as_markdown, figures, note_text, tables
from runners.results.entry import LABELS, Entry
from runners.results.results import Results

SHOWN = ("learning_score", "final_score", "forgetting", "backward_transfer", "retention", "learned")


ON_SCREEN = ("final_score", "retention", "forgetting", "learning_score", "learned")
"""What a terminal shows; backward transfer is forgetting once more, but for tasks that got better in between."""


def summary_tables(results: Results, width: int = WIDE, explain: bool = False) -> Iterator[RenderableType]:
    """Yield the tables of each scenario for a terminal of so many columns, with notes, and the formulas if asked for."""
    for (scenario,), entries in results.groups("scenario").items():
        scores = score_sheet(scenario, entries)
        yield from tables(scores, width)
        if scores.notes:
            yield Group(*map(note_text, scores.notes), Text())
        yield from tables(cost_sheet(entries), width)
    if explain:
        yield Text("\n".join([*formulas(), *COST_NOTES, ""]), style="dim")


def score_sheet(scenario: str, entries: Sequence[Entry]) -> Sheet:
    """Return the scores of one scenario's cells, a row each; what is the same in all rows stands in the title."""
    score = entries[0].result.score
    named, shared = _named_apart(entries)
    values = [entry.metrics() for entry in entries]
    whole = all(np.nanmin(own["learned"], initial=1.0) == 1.0 for own in values)
    shown = [key for key in ON_SCREEN if key != "learned" or not whole]
    heads = [METRICS[key].title.format(score=score) for key in shown]
    keys = list(named[0])
    columns = (*map(Column, keys), *(figures(head, "estimate") for head in heads))
    rows: list[tuple[Value, ...]] = [
        (*(names[key] for key in keys), *(estimate(own[key]) for key in shown))
        for names, own in zip(named, values, strict=True)
    ]
    labels = [" / ".join(names[key] for key in keys) for names in named]
    notes = [note for label, entry in zip(labels, entries, strict=True) for note in _notes(label, entry)]
    notes += _never_learned(labels, values)
    notes += [Words(line, "quiet") for line in _beyond(labels, entries, shown)]
    learned = ["every task was learned"] if whole and any("learned" in entry.result.metrics for entry in entries) else []
    said = "; ".join([*shared, *learned])
    return Sheet(_title(scenario, entries), columns, tuple(rows), tuple(notes), keys=len(keys), first=2, subtitle=said)


def _named_apart(entries: Sequence[Entry]) -> tuple[list[dict[str, str]], list[str]]:
    """Return what tells each row from the others, and what is the same in all rows, or in all of an architecture's."""
    named = [
        {"architecture": entry.labels["architecture"], "strategy": entry.strategy, "policy": entry.labels["policy"]}
        for entry in entries
    ]
    shared = []
    for key in ("strategy", "policy"):
        if len({own[key] for own in named}) == 1:
            shared.append(named[0][key])
            named = [{other: own[other] for other in own if other != key} for own in named]
    if "policy" in named[0]:
        policies = {own["architecture"]: own["policy"] for own in named}
        if len(policies) <= FEW and all(policies[own["architecture"]] == own["policy"] for own in named):
            shared.append(", ".join(map(": ".join, policies.items())))
            named = [{key: own[key] for key in own if key != "policy"} for own in named]
        else:
            words = [WORD.findall(own["policy"]) for own in named]
            common = [word for word in words[0] if all(word in own for own in words)]
            shared += [" ".join(common)] * bool(common)
            left = [" ".join(word for word in own if word not in common) or MISSING for own in words]
            named = [{**own, "policy": policy} for own, policy in zip(named, left, strict=True)]
    return named, shared


FEW = 3
"""Architectures whose policies are told in a title where each has its own."""
WORD = re.compile(r"[^\s(]+(?:\([^)]*\))?")
"""A word of a policy's label, such as ``lr=tuned(0.003, 0.01)``."""


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


def _notes(name: str, entry: Entry) -> Iterator[Words]:
    for own in entry.result.remarks:
        yield Words(f"{name}: {own}", "doubtful")
    lost = [seed for seed, alive in zip(entry.cell.seeds, entry.alive, strict=True) if not alive]
    if lost:
        of = f"{len(lost)} of {counts([len(entry.alive)], 'seed')}"
        yield Words(f"{name}: {of} diverged and are left out of the means: {listed(lost)}", "bad")


def _never_learned(labels: Sequence[str], values: Sequence[dict[str, np.ndarray]]) -> Iterator[Words]:
    """Yield a line that names the cells in which tasks were never learned."""
    found = [label for label, own in zip(labels, values, strict=True) if np.nanmin(own["learned"], initial=1.0) < 1.0]
    if found:
        yield Words(
            f"some tasks were never learned, and what was never learned cannot be forgotten: {'; '.join(found)}", "doubtful"
        )


def _beyond(labels: Sequence[str], entries: Sequence[Entry], shown: Sequence[str]) -> Iterator[str]:
    """Yield a line on the intervals that reach beyond what their score can be."""
    found = []
    for key, (label, entry) in product(shown, zip(labels, entries, strict=True)):
        result, mean = entry.result, estimate(entry.metrics()[key])
        higher, half = result.higher_is_better[result.score], mean.half or 0.0
        ends = beyond(mean.mean - half, mean.mean + half, reach_of(key, higher))
        found.append((f"{METRICS[key].title.format(score=result.score)} of {label}", ends))
    return remark(found)


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
