"""The headline in the report: what each architecture kept and reached, a point per seed, with interval and verdict."""

import math

import numpy as np

from runners.report.figures.headline import ends_of
from runners.report.figures.headline_data import ROWS, Block, HeadlineData, Row, Spread
from runners.report.html.columns import Cell, Columns
from runners.report.html.figure import Drawn, Key, Panel
from runners.report.html.markup import Markup, tag
from runners.report.html.plot import Box, Scale, floored, marker, number, style_colours
from runners.report.numbers import with_interval
from runners.report.palette import Style, styles_of

LINE, HEAD = 40, 20
"""Height of a cell, and of the name of a strategy."""


def draw(name: str, data: HeadlineData) -> Drawn:
    """Return the figure: for every scenario a panel for each of its axes, with the same rows."""
    looks = dict(zip(data.contenders, styles_of(data.contenders.values()), strict=True))
    panels, rows = [], []
    for block in data.blocks:
        cut = len(block.rows) > ROWS
        for at, axis in enumerate(block.axes):
            label = axis.label.replace("\n", " ")
            title = (block.title if at == 0 else block.title.partition(": ")[0], label)
            panels.append(Panel(title, _panel(block, at, looks), tone="plain"))
            rows += _rows(block, at, label)
        if cut:
            title = (panels[-len(block.axes)].title[0], f"the first {ROWS} of {len(block.rows):,} cells")
            panels[-len(block.axes)] = Panel(title, panels[-len(block.axes)].svg)
    null = tag("path", d="M0 6H18", class_="null")
    legend = (Key("best constant predictor", "", null),) if any(n is not None for b in data.blocks for n in b.nulls) else ()
    return Drawn(name, data.heading[0], data.heading[1:], tuple(panels), Columns.of(rows), legend, columns=2)


def _panel(block: Block, at: int, looks: dict[str, Style]) -> Markup:
    items = _items(block)
    height = sum(LINE if row else HEAD for _, row in items)
    box = Box(width=520, height=height + 24, left=10, right=10, top=0, bottom=24)
    axis, null = block.axes[at], block.nulls[at]
    x = box.x(*ends_of(block, at), axis.logarithmic)
    parts: list[object] = []
    for value, text in x.ticks():
        place = number(x(value))
        parts.append(tag("line", x1=place, x2=place, y1=0, y2=height, class_="grid"))
        parts.append(tag("text", text, x=place, y=height + 14, class_="tick centre"))
    if null is not None:
        place = number(x(null))
        parts.append(tag("line", x1=place, x2=place, y1=0, y2=height, class_="null"))
    y = 0.0
    for strategy, row in items:
        if row is None:
            parts.append(tag("text", strategy, x=box.left, y=y + 15, class_="small"))
        else:
            parts.append(_row(row, at, looks[row.name], x, y))
        y += LINE if row else HEAD
    told = "; ".join(f"{strategy}, {row.name}: {_told(row.spreads[at])}" for strategy, row in items if row)
    return box.svg(*parts, label=f"{axis.label.replace(chr(10), ' ')}: {told}")


def _items(block: Block) -> list[tuple[str, Row | None]]:
    """Return the lines of a panel: the name of a strategy, then its rows."""
    found: list[tuple[str, Row | None]] = []
    for strategy, rows in block.groups.items():
        found += [(strategy, None), *((strategy, row) for row in rows)]
    kept, count = [], 0
    for strategy, row in found:
        count += row is not None
        if count <= ROWS:
            kept.append((strategy, row))
    return kept


def _row(row: Row, at: int, style: Style, x: Scale, top: float) -> Markup:
    spread, y = row.spreads[at], top + 27
    said = "; ".join(row.verdict) if at == 0 else ""
    tone = "good" if row.favours > 0 else "bad" if row.favours < 0 else "plain"
    name = tag("tspan", row.name, class_="strong")
    verdict = tag("tspan", f"  {_short(said, 78 - len(row.name))}", class_=f"said {tone}") if said else None
    parts: list[object] = [tag("text", name, verdict, x=x.start, y=top + 13, class_="label")]
    if spread.missing:
        parts.append(tag("text", spread.missing, x=x.start + 4, y=y + 4, class_="small"))
        return tag("g", *parts)
    mean, low, high, _ = spread.interval
    marks = "".join(marker(style.marker, place, y, 3.0) for place in x(floored(spread.seeds, x)))
    parts.append(tag("path", d=marks, class_="mark faint" if style.filled else "hollow faint"))
    if math.isfinite(low) and math.isfinite(high):
        a, b = (number(np.clip(x(floored(np.array(end), x)), x.start, x.end)) for end in (low, high))
        parts.append(tag("path", d=f"M{a} {y}H{b}M{a} {y - 5}V{y + 5}M{b} {y - 5}V{y + 5}", class_="bar"))
    parts.append(tag("path", d=f"M{number(x(mean))} {y - 7}V{y + 7}", class_="mean"))
    return tag("g", tag("title", f"{row.name}: {_told(spread)}"), *parts, style=style_colours(style))


def _told(spread: Spread) -> str:
    return spread.missing or with_interval(spread.interval)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _rows(block: Block, at: int, label: str) -> list[dict[str, Cell]]:
    """Return a row for each cell, with mean and interval, and for each of its seeds."""
    rows: list[dict[str, Cell]] = []
    scenario = block.title.partition(": ")[0]
    for strategy, own in block.groups.items():
        for row in own:
            named: dict[str, Cell] = {"scenario": scenario, "strategy": strategy, "architecture": row.name, "metric": label}
            mean, low, high, n = row.spreads[at].interval
            rows.append({**named, "what": "mean", "value": mean, "low": low, "high": high, "n": n})
            nothing = math.nan
            rows += [
                {**named, "what": "seed", "value": float(value), "low": nothing, "high": nothing, "n": 1}
                for value in row.spreads[at].seeds
            ]
    return rows
