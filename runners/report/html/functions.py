"""Learned functions in the report: a row per cell, and in it the function after every task over the target."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from runners.report.figures.data import Band
from runners.report.figures.functions import FunctionsData, Learned
from runners.report.html.cells import shown_by, titles_of
from runners.report.html.columns import Cell, Columns
from runners.report.html.figure import Drawn, Key, Panel, area_mark, line_mark
from runners.report.html.markup import Markup, tag, together
from runners.report.html.plot import Scale, band, number, path, style_colours
from runners.report.numbers import short
from runners.report.palette import Style, style_of
from runners.report.thinning import evenly
from runners.results.entry import Entry

HEIGHT, GAP, LEFT, TOP = 104, 12, 34, 16
"""Of one drawing, between two, and of the room for numbers and names."""
WIDEST, WHOLE = 210, 1136
"""Of one drawing, and of all that stand side by side."""
POINTS = 160
"""Along a drawing, about as many as it is wide."""


def draw(name: str, data: FunctionsData, entries: Sequence[Entry]) -> Drawn:
    """Return the figure; of many points along it, some."""
    data = replace(data, cells=tuple(map(_thinned, data.cells)))
    titles = [title.split("\n") for title in data.titles]
    panels = tuple(
        Panel(title, _row(cell, titles, style_of(cell.architecture)), shown_by(entry))
        for title, cell, entry in zip(titles_of(entries), data.cells, entries, strict=True)
    )
    plain = "--c:var(--ink)"
    legend = (
        Key("target", plain, tag("path", d="M0 6H18", class_="target")),
        Key("learned: median", plain, line_mark()),
        Key("and band", plain, area_mark()),
    )
    return Drawn(name, data.heading[0], data.heading[1:], panels, _columns(data, entries), legend, columns=1, layout="rows")


def _thinned(cell: Learned) -> Learned:
    kept = evenly(len(cell.x), POINTS)
    after = tuple(Band(*(part[kept] for part in (own.x, own.low, own.middle, own.high))) for own in cell.after)
    return Learned(cell.title, cell.architecture, cell.x[kept], cell.target[kept], after)


def _row(cell: Learned, titles: Sequence[Sequence[str]], style: Style) -> Markup:
    wide = min(WIDEST, (WHOLE - LEFT) // len(titles) - GAP)
    width = LEFT + len(titles) * (wide + GAP)
    height = TOP + HEIGHT + 32
    span = float(np.ptp(cell.target)) or 1.0
    x = Scale(float(cell.x.min()), float(cell.x.max()), 0, wide)
    y = Scale(float(cell.target.min()) - 0.5 * span, float(cell.target.max()) + 0.5 * span, TOP + HEIGHT, TOP)
    parts = [_one(cell, place, title, (x, y)) for place, title in enumerate(titles)]
    marks = [mark for mark in y.ticks() if cell.target.min() <= mark[0] <= cell.target.max()]
    marks = list(dict.fromkeys([*marks[:1], *marks[-1:]]))
    ticks = together(tag("text", text, x=LEFT - 5, y=number(y(value)), class_="tick end middle") for value, text in marks)
    far = float(np.nanmax(np.abs(cell.after[-1].middle - cell.target))) if np.isfinite(cell.after[-1].middle).any() else np.nan
    label = f"learned functions after {len(titles)} tasks; after the last, the median is at most {short(far)} from the target"
    size = f"width:{width}px;max-width:none"
    return tag(
        "svg",
        ticks,
        *parts,
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_label=label,
        style=f"{size};{style_colours(style)}",
    )


def _one(cell: Learned, place: int, title: Sequence[str], scales: tuple[Scale, Scale]) -> Markup:
    x, y = scales
    after, bottom, wide = cell.after[place], TOP + HEIGHT, x.end
    at = x(cell.x)
    low, high = (y(np.clip(part, y.low, y.high)) for part in (after.low, after.high))
    middle = y(np.where((after.middle >= y.low) & (after.middle <= y.high), after.middle, np.nan))
    frame = tag("path", d=f"M0 {TOP}V{bottom}H{wide}", class_="axis", fill="none")
    lines = tag(
        "g",
        tag("path", d=path(at, y(cell.target)), class_="target"),
        tag("path", d=band(at, low, high), class_="area"),
        tag("path", d=path(at, middle), class_="line"),
    )
    ends = [tag("text", text, x=number(x(value)), y=bottom + 12, class_="tick centre") for value, text in x.ticks()[::2]]
    names = [tag("text", title[0], x=wide / 2, y=10, class_="small centre")]
    names += [tag("text", line, x=wide / 2, y=bottom + 26, class_="small centre") for line in title[1:]]
    return tag("g", frame, lines, *ends, *names, transform=f"translate({LEFT + place * (wide + GAP)} 0)")


def _columns(data: FunctionsData, entries: Sequence[Entry]) -> Columns:
    rows: list[dict[str, Cell]] = []
    for cell, entry in zip(data.cells, entries, strict=True):
        labels = {part: entry.labels[part] for part in ("architecture", "strategy", "policy")}
        for title, after in zip(data.titles, cell.after, strict=True):
            numbers = np.stack([cell.x, cell.target, after.low, after.middle, after.high], axis=1).tolist()
            named: dict[str, Cell] = {**labels, "after": title.split("\n")[0].removeprefix("after ")}
            rows += [{**named, **dict(zip(("x", "target", "low", "median", "high"), own, strict=True))} for own in numbers]
    return Columns.of(rows)
