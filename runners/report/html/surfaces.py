"""Functions of two inputs in the report: a row per cell, and in it an image after every task beside the targets."""

import numpy as np

from runners.report.figures.surfaces import SurfacesData
from runners.report.html.cells import shown_by, titles_of
from runners.report.html.columns import Cell, Columns
from runners.report.html.figure import Drawn, Panel
from runners.report.html.markup import Markup, tag
from runners.report.html.pictures import coloured, picture, scale, sequential
from runners.report.html.plot import Scale, hexadecimal, number
from runners.report.numbers import short

SIDE, GAP, LEFT, TOP = 140, 14, 34, 16
"""Of an image, between two, and of the room for numbers and names."""


def draw(name: str, data: SurfacesData) -> Drawn:
    """Return the figure; all images have one scale, that of the targets with a little room."""
    low, high = float(data.y.min()), float(data.y.max())
    room = 0.1 * (high - low) or 0.5
    ends = low - room, high + room
    titles = titles_of([own.entry for own in data.surfaces])
    panels = tuple(
        Panel((title[0], ", ".join([*title[1:], f"seed {own.seed}"])), _row(data, own.after, ends), shown_by(own.entry))
        for title, own in zip(titles, data.surfaces, strict=True)
    )
    legend = scale(sequential(), f"{short(ends[0])} and less", f"{short(ends[1])} and more", "target, or output of the network")
    return Drawn(name, data.heading[0], data.heading[1:], panels, _columns(data), columns=1, layout="rows", scale=legend)


def _row(data: SurfacesData, images: tuple[np.ndarray, ...], ends: tuple[float, float]) -> Markup:
    width, height = LEFT + (len(images) + 1) * (SIDE + GAP), TOP + SIDE + 32
    x, y = Scale(data.low[0], data.high[0], 0, SIDE), Scale(data.low[1], data.high[1], TOP + SIDE, TOP)
    parts: list[object] = [_frame(0, ("targets", ""), x, _points(data, x, y, ends))]
    for place, (title, image) in enumerate(zip(data.titles, images, strict=True), 1):
        painted = coloured((image - ends[0]) / (ends[1] - ends[0]), sequential())
        parts.append(_frame(place, tuple(title.split("\n")), x, picture(painted, 0, TOP, SIDE, SIDE)))
    for value in (data.low[1], data.high[1]):
        parts.append(tag("text", short(value), x=LEFT - 5, y=number(y(value)), class_="tick end middle"))
    label = (
        f"the learned function of two inputs after {len(images)} tasks; after the last from {short(float(images[-1].min()))} to"
    )
    text = f"{label} {short(float(images[-1].max()))}"
    size = f"width:{width}px;max-width:none"
    return tag("svg", *parts, viewBox=f"0 0 {width} {height}", role="img", aria_label=text, style=size)


def _frame(place: int, title: tuple[str, ...], x: Scale, inner: Markup) -> Markup:
    bottom = TOP + SIDE
    ends = [
        tag("text", short(value), x=number(x(value)), y=bottom + 12, class_=f"tick {side}")
        for value, side in ((x.low, "start"), (x.high, "end"))
    ]
    names = [tag("text", title[0], x=SIDE / 2, y=10, class_="small centre")]
    names += [tag("text", line, x=SIDE / 2, y=bottom + 26, class_="small centre") for line in title[1:] if line]
    return tag("g", inner, *ends, *names, transform=f"translate({LEFT + place * (SIDE + GAP)} 0)")


def _points(data: SurfacesData, x: Scale, y: Scale, ends: tuple[float, float]) -> Markup:
    shares = (data.y - ends[0]) / (ends[1] - ends[0])
    colours = coloured(shares[None], sequential())[0].tolist()
    border = tag("rect", x=0, y=TOP, width=SIDE, height=SIDE, class_="border")
    points = [
        tag("circle", cx=number(a), cy=number(b), r=2.4, fill=hexadecimal(colour))
        for a, b, colour in zip(x(data.x[:, 0]), y(data.x[:, 1]), colours, strict=True)
    ]
    return tag("g", border, *points)


def _columns(data: SurfacesData) -> Columns:
    rows: list[dict[str, Cell]] = []
    count = len(data.surfaces[0].after[0])
    shares = (np.arange(count) + 0.5) / count
    first, second = (data.low[place] + shares * (data.high[place] - data.low[place]) for place in (0, 1))
    for own in data.surfaces:
        labels: dict[str, Cell] = {part: own.entry.labels[part] for part in ("architecture", "strategy", "policy")}
        for title, image in zip(data.titles, own.after, strict=True):
            after = title.split("\n")[0].removeprefix("after ")
            for (i, j), value in np.ndenumerate(image):
                place: dict[str, Cell] = {"x1": float(first[j]), "x2": float(second[count - 1 - i])}
                rows.append({**labels, "seed": own.seed, "after": after, **place, "output": float(value)})
    return Columns.of(rows)
