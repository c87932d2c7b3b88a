"""Networks in the report, before the first task and after each: what moved is marked, and what matters little is faint."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np

from runners.report.figures.network_data import DrawnEdge, NetworkData, Picture
from runners.report.html.columns import Cell, Columns
from runners.report.html.figure import Drawn, Key, Panel, area_mark, line_mark
from runners.report.html.markup import Markup, tag
from runners.report.html.plot import Box, number, path, two_colours
from runners.report.numbers import percent
from runners.report.palette import PLACES
from runners.report.thinning import evenly

ROOM, ROW, EDGE = 20, 118, 16
"""Room beside the rows of nodes, between two of them, and above and below."""
BOX, TALL = 44, 34
"""Width and height of the box of a function, at most."""
POINTS = 48
"""Along the function of an edge."""
MOVED = two_colours(PLACES[1].colour, PLACES[1].dark)
EARLIER, HERE = two_colours("#8a929c", "#7d8692"), two_colours(PLACES[0].colour, PLACES[0].dark)


def draw(name: str, data: NetworkData, architecture: str) -> Drawn:
    """Return the figure: a panel for each moment."""
    data = _thinned(data)
    panels = tuple(Panel((own.title, _said(own)), _picture(data, own), {"architecture": architecture}) for own in data.pictures)
    legend = [Key("as before", "--c:var(--ink)", line_mark()), Key("moved since the picture before", MOVED, line_mark())]
    if data.kind == "functions":
        legend += [Key("data of earlier tasks", EARLIER, area_mark()), Key("data of the task just learned", HERE, area_mark())]
    return Drawn(name, data.heading[0], (*data.heading[1:], *data.notes), panels, _columns(data), tuple(legend), columns=3)


def _thinned(data: NetworkData) -> NetworkData:
    """Return the data with as many points of a function as its box has room for."""
    if data.kind == "weights":
        return data
    kept = evenly(len(data.points[0]), POINTS) if data.points else []

    def thin(edge: DrawnEdge) -> DrawnEdge:
        near = [edge.moved[first : last + 1].any() for first, last in pairwise([*kept, len(edge.moved)])]
        return replace(edge, values=edge.values[kept], moved=np.array(near))

    pictures = tuple(replace(own, edges=tuple(map(thin, own.edges))) for own in data.pictures)
    return replace(data, points=tuple(points[kept] for points in data.points), pictures=pictures)


def _said(picture: Picture) -> str:
    if np.isnan(picture.moved):
        return "faint: matters little"
    hit = "" if np.isnan(picture.hit) else f", where {percent(picture.hit)} of earlier tasks' data lie"
    return f"{percent(picture.moved)} moved{hit}"


def _picture(data: NetworkData, picture: Picture) -> Markup:
    rows = max(node.row for node in data.nodes)
    box = Box(width=340, height=rows * ROW + 2 * EDGE + 12, left=ROOM, right=ROOM, top=EDGE, bottom=EDGE)
    x, y = box.x(0, 1), box.y(0, max(rows, 1))
    places = [(float(x(node.x)), float(y(node.row))) for node in data.nodes]
    beside = max(sum(edge.layer == layer for edge in data.edges) for layer in range(rows))
    wide = min(BOX, 0.9 * (box.width - 2 * ROOM) / max(beside, 1))
    parts: list[object] = []
    for edge, own, points in zip(data.edges, picture.edges, data.points, strict=True):
        ends = places[edge.source], places[edge.target]
        span = data.spans[edge.layer]
        if data.kind == "weights":
            parts.append(_weight(own, ends, span))
        else:
            centre = (float(x(edge.x)), float(y(edge.layer + 0.5)))
            parts.append(_function(own, points, ends, centre, (wide, min(TALL, wide)), span))
    for node, (a, b) in zip(data.nodes, places, strict=True):
        parts.append(tag("circle", cx=number(a), cy=number(b), r=3.5, class_="node"))
        if node.label:
            below = 14 if node.row == 0 else -7
            parts.append(tag("text", node.label, x=number(a), y=number(b + below), class_="small centre"))
    return box.svg(*parts, label=f"{picture.title}: {len(data.nodes)} nodes, {len(data.edges)} edges; {_said(picture)}")


def _faint(own: DrawnEdge) -> str:
    return f"opacity:{max(0.12, math.tanh(3 * own.importance)):.2f}"


def _weight(own: DrawnEdge, ends: tuple[tuple[float, float], ...], span: tuple[float, float]) -> Markup:
    largest = max(abs(span[0]), abs(span[1])) or 1.0
    (a, b), (c, d) = ends
    colour = MOVED if own.moved.any() else "--c:var(--ink)"
    width = 0.4 + 2.6 * abs(float(own.values[0])) / largest
    dash = None if own.values[0] >= 0 else "4 3"
    style = f"{colour};{_faint(own)};stroke-width:{width:.1f}"
    return tag("path", d=path([a, c], [b, d]), class_="line", style=style, stroke_dasharray=dash)


def _function(
    own: DrawnEdge,
    points: np.ndarray,
    ends: tuple[tuple[float, float], ...],
    centre: tuple[float, float],
    size: tuple[float, float],
    span: tuple[float, float],
) -> Markup:
    (a, b), (c, d), (mx, my), (wide, tall) = *ends, centre, size
    left, bottom, low, high = mx - wide / 2, my + tall / 2, float(points.min()), float(points.max())
    x = left + wide * (points - low) / ((high - low) or 1.0)
    reach = (span[1] - span[0]) or 1.0
    y = bottom - tall * np.clip((own.values - span[0]) / reach, 0, 1)
    stem = f"{path([a, mx], [b, bottom])}{path([mx, c], [my - tall / 2, d])}"
    moved = np.where(own.moved, y, np.nan)
    return tag(
        "g",
        tag("path", d=stem, class_="border"),
        tag("rect", x=number(left), y=number(bottom - tall), width=number(wide), height=number(tall), class_="box"),
        *(tag("path", d=_mass(part, left, bottom, size), class_="area", style=colour) for part, colour in _densities(own)),
        tag("path", d=path(x, y), class_="line", style="--c:var(--ink)"),
        tag("path", d=path(x, moved), class_="line", style=MOVED),
        style=_faint(own),
    )


def _densities(own: DrawnEdge) -> list[tuple[np.ndarray, str]]:
    return [(part, colour) for part, colour in ((own.earlier, EARLIER), (own.here, HERE)) if part.any()]


def _mass(density: np.ndarray, left: float, bottom: float, size: tuple[float, float]) -> str:
    """Return a histogram along the bottom of a box, a third of it high."""
    edges = left + size[0] * np.arange(len(density) + 1) / len(density)
    x = np.concatenate([edges[:1], np.repeat(edges, 2)[1:-1], edges[-1:]])
    heights = np.concatenate([[0.0], np.repeat(density, 2), [0.0]])
    return path(x, bottom - size[1] / 3 * heights) + "Z"


def _columns(data: NetworkData) -> Columns:
    rows: list[dict[str, Cell]] = []
    for picture in data.pictures:
        for edge, own, points in zip(data.edges, picture.edges, data.points, strict=True):
            named: dict[str, Cell] = {
                "moment": picture.title,
                "layer": edge.layer + 1,
                "input": edge.input,
                "output": edge.output,
            }
            places = points if data.kind == "functions" else np.full(len(own.values), np.nan)
            rows += [
                {**named, "x": float(at), "value": float(value), "moved": int(moved), "importance": own.importance}
                for at, value, moved in zip(places, own.values, own.moved, strict=True)
            ]
    return Columns.of(rows)
