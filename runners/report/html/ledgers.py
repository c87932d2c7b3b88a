"""The ledger of damage in the report: a stacked bar for each cell, and the whole with its interval."""

import math

import numpy as np

from runners.report.figures.ledgers import LedgerData, Stack
from runners.report.html.columns import Cell, Columns
from runners.report.html.figure import Drawn, Key, Panel, area_mark
from runners.report.html.markup import Markup, tag
from runners.report.html.plot import Box, Scale, number, span_of, style_colours, titled
from runners.report.numbers import short, with_interval
from runners.report.palette import in_order

ROW = 42
"""Height of a cell."""


def draw(name: str, figures: list[LedgerData]) -> Drawn:
    """Return the ledgers of a scenario, a panel for each strategy."""
    first = figures[0]
    used = [
        place for place in range(len(first.causes)) if any(own.parts[place] != 0 for data in figures for own in data.stacks)
    ]
    colours = dict(zip(used, map(style_colours, in_order(len(used))), strict=True))
    legend = tuple(Key(first.causes[place], colours[place], area_mark("block")) for place in used)
    panels = tuple(
        Panel((data.strategy,), _panel(data, colours), {"strategy": data.strategy.partition(" (")[0]}) for data in figures
    )
    return Drawn(name, first.heading[0], first.heading[1:], panels, _columns(figures), legend, columns=2)


def _panel(data: LedgerData, colours: dict[int, str]) -> Markup:
    box = Box(width=480, height=ROW * len(data.stacks) + 36, left=8, right=8, top=0)
    ends = [end for own in data.stacks for end in (own.parts.clip(max=0).sum(), own.parts.clip(min=0).sum(), *own.damage[:3])]
    x = box.x(*span_of([[*ends, 0.0]]))
    bottom = box.height - box.bottom
    parts: list[object] = []
    for value, text in x.ticks():
        at = number(x(value))
        parts.append(tag("line", x1=at, x2=at, y1=0, y2=bottom, class_="grid"))
        parts.append(tag("text", text, x=at, y=bottom + 13, class_="tick centre"))
    parts.append(tag("line", x1=number(x(0)), x2=number(x(0)), y1=0, y2=bottom, class_="axis"))
    parts += [_stack(own, data, x, ROW * place, colours) for place, own in enumerate(data.stacks)]
    parts.append(
        tag("text", "added to the loss on old tasks", x=number((x.start + x.end) / 2), y=box.height - 5, class_="name centre")
    )
    told = "; ".join(f"{own.architecture}: {with_interval(own.damage)}" for own in data.stacks)
    return box.svg(*parts, label=f"{data.strategy}: damage by cause. {told}")


def _stack(own: Stack, data: LedgerData, x: Scale, top: float, colours: dict[int, str]) -> Markup:
    parts = [tag("text", f"{own.architecture}: {with_interval(own.damage)}", x=x.start, y=top + 13, class_="label")]
    ends = {True: 0.0, False: 0.0}
    for place, colour in colours.items():
        value = float(own.parts[place])
        if not math.isfinite(value) or value == 0:
            continue
        start = ends[value > 0]
        ends[value > 0] = start + value
        left, right = sorted((float(x(start)), float(x(start + value))))
        bar = tag("rect", x=number(left), y=top + 18, width=f"{right - left:.2f}", height=16, class_="block", style=colour)
        parts.append(titled(bar, f"{own.architecture}, {data.causes[place]}: {short(value)}"))
    mean, low, high, _ = own.damage
    if np.isfinite([mean, low, high]).all():
        a, b = number(x(low)), number(x(high))
        y = top + 26
        parts.append(tag("path", d=f"M{a} {y}H{b}M{a} {y - 4}V{y + 4}M{b} {y - 4}V{y + 4}", class_="bar"))
        parts.append(tag("circle", cx=number(x(mean)), cy=y, r=3.4, class_="dot"))
    return tag("g", *parts, data_architecture=own.architecture)


def _columns(figures: list[LedgerData]) -> Columns:
    rows: list[dict[str, Cell]] = []
    for data in figures:
        for own in data.stacks:
            named = {"strategy": data.strategy, "architecture": own.architecture, "policy": own.policy}
            for cause, part in zip(data.causes, own.parts, strict=True):
                rows.append({**named, "cause": cause, "part": float(part)})
            rows.append({**named, "cause": "the whole", "part": own.damage.mean})
    return Columns.of(rows)
