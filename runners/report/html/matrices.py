"""Retention matrices, and their differences, in the report: fields with numbers, of many tasks a picture."""

from collections.abc import Sequence

import numpy as np

from kancl.text import counted
from runners.report.figures.differences import DifferencesData
from runners.report.figures.matrices import NUMBERED, MatricesData
from runners.report.html.cells import shown_by, titles_of
from runners.report.html.columns import Cell, Columns
from runners.report.html.figure import Drawn, Panel
from runners.report.html.markup import Markup, tag
from runners.report.html.pictures import Colours, coloured, diverging, picture, scale, sequential
from runners.report.html.plot import Box, hexadecimal, number
from runners.report.numbers import alike, short
from runners.report.thinning import ROWS, evenly, ticks
from runners.results.entry import Entry

LEFT, TOP = 54, 4
"""Room for the numbers of the rows, and above."""


def draw(name: str, data: MatricesData, entries: Sequence[Entry]) -> Drawn:
    """Return the matrices of cells, all on one scale."""
    colours, low, high = sequential(not data.up), data.low, data.high
    texts = _texts([matrix.values for matrix in data.matrices], data.up)
    panels = []
    for title, entry, matrix, own in zip(titles_of(entries), entries, data.matrices, texts, strict=True):
        shares = (matrix.shades - low) / max(high - low, 1e-9)
        label = f"{data.heading[0]}: after the last task {_row_told(matrix.values[-1])}"
        panels.append(Panel(title, _matrix(own, shares, colours, data.tasks, label), shown_by(entry)))
    least, most = (short(10**end if data.logarithmic else end) for end in (low, high))
    legend = scale(colours, least, most, data.label.replace("\n", ", "))
    rows: list[dict[str, Cell]] = []
    for entry, matrix in zip(entries, data.matrices, strict=True):
        labels: dict[str, Cell] = {part: entry.labels[part] for part in ("architecture", "strategy", "policy")}
        rows += [{**labels, **own} for own in _fields(matrix.values, data.tasks)]
    return Drawn(name, data.heading[0], data.heading[1:], tuple(panels), Columns.of(rows), columns=4, scale=legend)


def draw_differences(name: str, data: DifferencesData) -> Drawn:
    """Return the differences of comparisons, all on one scale."""
    panels, colours = [], diverging()
    texts = _texts([own.values for own in data.matrices], shares=True)
    for own, written in zip(data.matrices, texts, strict=True):
        shares = own.values / data.limit / 2 + 0.5
        title = (f"{own.first} − {own.second}", f"{own.strategy}, {counted(own.seeds, 'seed')}")
        label = f"{title[0]}, {title[1]}: after the last task {_row_told(own.values[-1])}"
        panels.append(Panel(title, _matrix(written, shares, colours, data.tasks, label), {"strategy": own.asked}))
    legend = scale(colours, short(-data.limit), short(data.limit), data.label)
    rows: list[dict[str, Cell]] = []
    for own in data.matrices:
        labels: dict[str, Cell] = {"architecture": own.first, "against": own.second, "strategy": own.strategy}
        rows += [{**labels, **field} for field in _fields(own.values, data.tasks)]
    return Drawn(name, data.heading[0], data.heading[1:], tuple(panels), Columns.of(rows), columns=4, scale=legend)


def _texts(matrices: Sequence[np.ndarray], shares: bool) -> list[list[list[str]]]:
    """Return the numbers of matrices, all written alike."""
    texts = iter(alike(np.concatenate([values.ravel() for values in matrices]).tolist(), shares=shares))
    return [[[next(texts).replace("-", "−") for _ in row] for row in values] for values in matrices]


def _row_told(values: np.ndarray) -> str:
    told = ", ".join(short(float(value)) for value in values[:8])
    return told + (", ..." if len(values) > 8 else "")


def _matrix(texts: Sequence[Sequence[str]], shares: np.ndarray, colours: Colours, tasks: int, label: str) -> Markup:
    """Return one matrix; ``shares`` are the places of its values on the scale of colours, from 0 to 1."""
    rows, columns = shares.shape
    field = min(40.0, 286 / columns)
    tall = min(26.0, field) if tasks <= NUMBERED else field * columns / rows
    box = Box(width=LEFT + field * columns + 8, height=TOP + tall * rows + 36, left=LEFT, top=TOP)
    painted = coloured(shares, colours)
    if tasks <= NUMBERED:
        parts: list[object] = [
            _field(i, j, painted[i, j], texts[i][j], (field, tall)) for i in range(rows) for j in range(columns)
        ]
    else:
        parts = [picture(painted, LEFT, TOP, field * columns, tall * rows)]
    numbered = ticks(tasks)
    places = [(task - 1) * (columns - 1) / max(tasks - 1, 1) for task in numbered]
    below = TOP + tall * rows
    for place, text in zip(places, numbered, strict=True):
        parts.append(tag("text", text, x=number(LEFT + (place + 0.5) * field), y=below + 13, class_="tick centre"))
        parts.append(tag("text", text, x=LEFT - 5, y=number(TOP + (place + 1.5) * tall), class_="tick end middle"))
    parts.append(tag("text", "none", x=LEFT - 5, y=number(TOP + tall / 2), class_="tick end middle"))
    parts.append(tag("text", "score on task", x=number(LEFT + field * columns / 2), y=below + 28, class_="name centre"))
    turn = f"translate(9 {number(TOP + tall * rows / 2)}) rotate(-90)"
    parts.append(tag("text", "after training on task", transform=turn, class_="name centre"))
    return box.svg(*parts, label=label, style=f"max-width:{number(1.25 * box.width)}px")


def _field(i: int, j: int, colour: np.ndarray, text: str, size: tuple[float, float]) -> Markup:
    field, tall = size
    x, y = LEFT + j * field, TOP + i * tall
    light = colour @ (0.299, 0.587, 0.114) > 0.55
    shape = tag(
        "rect", x=number(x), y=number(y), width=number(field - 1), height=number(tall - 1), fill=hexadecimal(colour.tolist())
    )
    ink = "#000000" if light else "#ffffff"
    at = {"x": number(x + field / 2 - 0.5), "y": number(y + tall / 2)}
    own = tag("text", text, style=f"fill:{ink}", class_="in-field", **at)
    return tag("g", shape, own)


def _fields(values: np.ndarray, tasks: int) -> list[dict[str, Cell]]:
    """Return a row for each field; of very many tasks some have fields."""
    kept = [number + 1 for number in evenly(tasks, ROWS)]
    rows = [0, *kept]
    return [{"after_task": rows[i], "task": kept[j], "value": float(value)} for (i, j), value in np.ndenumerate(values)]
