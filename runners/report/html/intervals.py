"""The verdicts in the report: a line per comparison, its interval, and what follows from it."""

import math

from runners.report.figures.intervals import IntervalsData, Row
from runners.report.html.columns import Columns
from runners.report.html.figure import Drawn, Panel
from runners.report.html.markup import Markup, tag
from runners.report.html.plot import Box, Scale, number, span_of
from runners.report.numbers import with_interval

LINE = 34
"""Height of a comparison."""
MOST = 40
"""Comparisons that are drawn; the tables have all."""


def draw(name: str, data: IntervalsData) -> Drawn:
    """Return the figure; of very many comparisons the first ones are drawn."""
    rows = data.rows[:MOST]
    more = len(data.rows) - len(rows)
    notes = (*data.heading[1:], f"{more:,} further comparisons are in the tables and in the file of CSV alone" if more else "")
    ends = [(row.difference.mean, row.difference.low, row.difference.high) for row in rows]
    span = span_of([*ends, [0.0]], room=0.06)
    panels = tuple(
        Panel(_title(row), _row(row, span, place == len(rows) - 1, data.metric), tone=row.tone)
        for place, row in enumerate(rows)
    )
    return Drawn(name, data.heading[0], notes, panels, _columns(data), columns=1, layout="beside")


def _title(row: Row) -> tuple[str, str]:
    return f"{row.first} − {row.second}: {row.said}", f"{row.under}; {row.tests}"


def _row(row: Row, span: tuple[float, float], last: bool, metric: str) -> Markup:
    box = Box(width=420, height=LINE + (30 if last else 0), left=12, right=12, top=0, bottom=30 if last else 0)
    x, middle = box.x(*span), LINE / 2
    zero = tag("line", x1=number(x(0)), x2=number(x(0)), y1=0, y2=LINE, class_="zero")
    axis = _axis(x, metric) if last else None
    text = f"{' '.join(_title(row))}; {with_interval(row.difference)}"
    return box.svg(zero, _interval(row, x, middle), axis, label=text)


def _interval(row: Row, x: Scale, y: float) -> Markup | None:
    mean, low, high, _ = row.difference
    if not math.isfinite(mean):
        return tag("text", "no seed has a value on both sides", x=number(x.start), y=y + 4, class_="small")
    parts = []
    if math.isfinite(low) and math.isfinite(high):
        a, b = number(x(low)), number(x(high))
        parts.append(tag("path", d=f"M{a} {y}H{b}M{a} {y - 4}V{y + 4}M{b} {y - 4}V{y + 4}", class_="bar"))
    parts.append(tag("circle", cx=number(x(mean)), cy=y, r=4.5, class_="dot"))
    return tag("g", tag("title", with_interval(row.difference)), *parts, class_=row.tone)


def _axis(x: Scale, metric: str) -> Markup:
    parts = [tag("line", x1=x.start, x2=x.end, y1=LINE, y2=LINE, class_="axis")]
    parts += [tag("text", text, x=number(x(value)), y=LINE + 13, class_="tick centre") for value, text in x.ticks()]
    parts.append(tag("text", f"difference of {metric}", x=number((x.start + x.end) / 2), y=LINE + 27, class_="name centre"))
    return tag("g", *parts)


def _columns(data: IntervalsData) -> Columns:
    return Columns.of(
        [
            {
                "architecture": row.first, "against": row.second, "under": row.under, "metric": data.metric,
                "difference": row.difference.mean, "low": row.difference.low, "high": row.difference.high,
                "n": row.difference.n, "outcome": row.said, "tests": row.tests,
            }
            for row in data.rows
        ]
    )  # fmt: skip
