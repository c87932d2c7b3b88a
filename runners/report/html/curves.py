"""Forgetting curves in the report: a panel per cell, in which tasks, and lines of single seeds, can be switched."""

from collections.abc import Sequence

import numpy as np

from runners.report.figures.curves import BORDERS, CurvesData, CurvesPanel, Trace
from runners.report.html.cells import shown_by, titles_of
from runners.report.html.columns import Cell, Columns
from runners.report.html.figure import Drawn, Key, Panel, line_mark
from runners.report.html.markup import Markup, tag
from runners.report.html.plot import Box, Scale, band, floored, number, path, span_of, task_colours
from runners.report.numbers import short
from runners.report.thinning import evenly, ticks
from runners.results.entry import Entry

TOLD = 8
"""Tasks whose scores at the end are told to those who do not see a panel."""


def draw(name: str, data: CurvesData, entries: Sequence[Entry], room: int) -> Drawn:
    """Return the figure.

    Args:
        name: of its files.
        data: what is drawn.
        entries: the cells of its panels.
        room: points that lines of single seeds may have, all panels together; with more, some seeds have a line.
    """
    logarithmic = data.axis.logarithmic
    values = [part for panel in data.panels for trace in panel.traces for part in (trace.scores.low, trace.scores.high)]
    ends = span_of([*values, *([panel.null] for panel in data.panels)], logarithmic)
    points = sum(trace.seeds[0].size for panel in data.panels for trace in panel.traces)
    most = max(len(trace.seeds) for panel in data.panels for trace in panel.traces)
    each = min(most, room // max(points, 1))
    panels = tuple(
        Panel(title, _panel(panel, ends, data, each), shown_by(entry))
        for title, panel, entry in zip(titles_of(entries), data.panels, entries, strict=True)
    )
    fewer = f"{each} of up to {most} seeds have a line of their own" if 0 < each < most else ""
    first, colours = data.panels[0], task_colours(data.panels[0].tasks)
    legend = tuple(Key(trace.name, colours[trace.task], line_mark(), trace.task) for trace in first.traces)
    legend = (*legend, Key("best constant predictor", "", tag("path", d="M0 6H18", class_="null")))
    notes = (*data.heading[1:], fewer)
    return Drawn(
        name,
        data.heading[0],
        notes,
        panels,
        _columns(data, entries),
        legend,
        "test score on task",
        data.columns,
        seeds=each > 0,
    )


def _panel(panel: CurvesPanel, ends: tuple[float, float], data: CurvesData, each: int) -> Markup:
    box = Box()
    x, y = box.x(0, panel.tasks), box.y(*ends, data.axis.logarithmic)
    numbered = [(place - 0.5, str(place)) for place in ticks(panel.tasks)]
    along = "tasks trained so far" if panel.at_ends else "task in training (steps within it on a log scale)"
    parts: list[object] = [box.axes(x, y, along, data.axis.label, numbered)]
    if panel.tasks <= BORDERS:
        borders = "".join(f"M{number(x(task))} {number(y.start)}V{number(y.end)}" for task in range(1, panel.tasks))
        parts.append(tag("path", d=borders, class_="border"))
    parts += [tag("path", d=path(x(at), y(floored(values, y))), class_="quiet") for at, values in panel.quiet]
    level = number(y(panel.null))
    parts.append(tag("line", class_="null", x1=x.start, x2=x.end, y1=level, y2=level))
    colours = task_colours(panel.tasks)
    parts += [_trace(trace, colours[trace.task], x, y, each) for trace in panel.traces]
    if panel.diverged:
        parts.append(tag("text", "every seed diverged", x=box.width / 2, y=box.height / 2 - 10, class_="centre"))
    across = f"{number(x.start)} {number(x.end)} {x.low} {x.high}"
    return box.svg(*parts, label=_said(panel, data.axis.label), data_across=across, tabindex=0, class_="curves")


def _trace(trace: Trace, colour: str, x: Scale, y: Scale, each: int) -> Markup:
    scores = trace.scores
    at, low, middle, high = x(scores.x), *(y(floored(part, y)) for part in (scores.low, scores.middle, scores.high))
    shown = evenly(len(trace.seeds), each) if each else []
    own = [tag("path", d=path(at, y(floored(trace.seeds[seed], y))), class_="seed") for seed in shown]
    return tag(
        "g",
        tag("path", d=band(at, low, high), class_="area"),
        *own,
        tag("path", d=path(at, middle), class_="line"),
        style=colour,
        data_task=trace.task,
    )


def _said(panel: CurvesPanel, score: str) -> str:
    """Return a panel in words: the scores at the end of training."""
    if panel.diverged:
        return f"{score}: every seed diverged"
    shown = [panel.traces[place] for place in evenly(len(panel.traces), TOLD)]
    told = ", ".join(f"{trace.name} {short(float(trace.scores.middle[-1]))}" for trace in shown)
    return f"{score} on every task over training; median at the end: {told}"


def _columns(data: CurvesData, entries: Sequence[Entry]) -> Columns:
    rows: list[dict[str, Cell]] = []
    for place, (panel, entry) in enumerate(zip(data.panels, entries, strict=True), 1):
        labels = {part: entry.labels[part] for part in ("architecture", "strategy", "policy")}
        for trace in panel.traces:
            scores = trace.scores
            named: dict[str, Cell] = {"panel": place, **labels, "task": trace.task + 1, "task_name": trace.name}
            columns = np.stack([scores.x, scores.low, scores.middle, scores.high], axis=1).tolist()
            rows += [{**named, "phase": at, "low": low, "median": middle, "high": high} for at, low, middle, high in columns]
    return Columns.of(rows)


def rooms(counts: Sequence[int], whole: int) -> list[int]:
    """Return how many of ``whole`` points each figure may have that needs so many: what a small one leaves goes to the others.

    >>> rooms([10, 100, 100], 150)
    [10, 70, 70]
    """
    found = [0] * len(counts)
    order = sorted(range(len(counts)), key=lambda place: counts[place])
    for done, place in enumerate(order):
        found[place] = min(counts[place], whole // (len(counts) - done))
        whole -= found[place]
    return found
