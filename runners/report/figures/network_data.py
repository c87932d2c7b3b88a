"""The network as the KAN paper draws it, at the start and after each task: what of which edge moved, and where data lie.

Nodes are the units, from the inputs at the bottom to the outputs at the top. Every edge has a box with its function, or in a
linear layer a line for its weight. What moved since the picture before is marked, with the data of the task that was learned
and those of earlier tasks beneath: a local network moves where the new data lie, and a global one everywhere. Nothing here
draws: :mod:`runners.report.figures.network_drawing` does, and so can a page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from kancl.models.layers import StackedLinear
from kancl.text import counted
from runners.report.figures.data import short_name
from runners.report.figures.network_layout import FOR_FUNCTIONS, FOR_WEIGHTS, Edge, Layout, Node, lay_out
from runners.report.figures.network_moments import (
    MOVED,
    Moment,
    Values,
    densities,
    hit,
    moment_of,
    moved,
    points_of,
    spans_of,
    values_of,
)
from runners.report.numbers import percent
from runners.report.thinning import evenly
from runners.results.networks import Networks

PICTURES = 6
"""Moments in one figure, the first and the last among them."""


@dataclass(frozen=True, eq=False)
class DrawnEdge:
    """An edge at a moment; P places along its input, and D bins.

    Args:
        values: its function at the places, or its weight (P = 1).
        moved: which of them changed since the picture before by more than :data:`MOVED`; none in the first one.
        importance: the standard deviation of its output over data of all tasks (:func:`kancl.models.edges.edge_spread`),
            divided by the largest of its layer in any picture: 0 to 1.
        here: how the inputs of the edge are spread on the data of the task that was learned last; 0 in the first picture.
        earlier: the same on the data of the tasks before; of all tasks in the first picture. The larger of both peaks is 1.
    """

    values: Float[np.ndarray, "P"]
    moved: Bool[np.ndarray, "P"]
    importance: float
    here: Float[np.ndarray, "D"]
    earlier: Float[np.ndarray, "D"]


@dataclass(frozen=True, eq=False)
class Picture:
    """The network at a moment.

    Args:
        title: which moment.
        edges: in the order of the layout's.
        moved: the share of the places of all drawn edges that moved, 0 to 1; NaN in the first picture.
        hit: the share of earlier tasks' data that lie where an edge moved, mean over the drawn edges; NaN where there are none.
    """

    title: str
    edges: tuple[DrawnEdge, ...]
    moved: float
    hit: float


@dataclass(frozen=True, eq=False)
class NetworkData:
    """A network of one seed through its tasks.

    Args:
        kind: whether edges have ``functions``, or ``weights`` alone.
        heading: lines over the figure.
        notes: lines under it: what is not drawn, and how to read what is.
        nodes, edges: where everything is, the same in all pictures (:mod:`runners.report.figures.network_layout`).
        points: the P places along the input of each edge, in units of the layer's inputs.
        spans: by layer, the smallest and the largest value of what is drawn, over all pictures.
        pictures: in the order of time.
    """

    kind: Literal["functions", "weights"]
    heading: tuple[str, ...]
    notes: tuple[str, ...]
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    points: tuple[Float[np.ndarray, "P"], ...]
    spans: tuple[tuple[float, float], ...]
    pictures: tuple[Picture, ...]


def network(networks: Networks, most: int = PICTURES) -> NetworkData:
    """Return a network through its tasks.

    Of many moments some are shown, evenly spaced; of large networks the most important edges: in each layer from the top those
    with the largest spread in any picture, that lead to nodes that are drawn (:func:`.network_layout.lay_out`).

    Args:
        networks: what is kept of one seed.
        most: pictures.

    Raises:
        InputError: its layers are no sums over edges.
    """
    kept = sorted(networks.states)
    shown = [kept[place] for place in evenly(len(kept), most)]
    moments = [moment_of(networks, number) for number in shown]
    layers = range(len(moments[0].layers))
    weights = isinstance(moments[0].layers[0], StackedLinear)
    spread = [np.max([moment.spread[layer] for moment in moments], 0) for layer in layers]
    layout = lay_out(spread, FOR_WEIGHTS if weights else FOR_FUNCTIONS)
    points = points_of(moments, layout)
    values = [values_of(moment, layout, points) for moment in moments]
    spans = spans_of(values, layout)
    tops = [max(float(moment.spread[layer].max()) for moment in moments) or 1.0 for layer in layers]
    pictures = [
        _picture(networks, moment, layout, points, now, before, spans, tops)
        for moment, now, before in zip(moments, values, [None, *values], strict=False)
    ]
    kind: Literal["functions", "weights"] = "weights" if weights else "functions"
    heading, notes = _words(networks, kept, shown, kind, layout)
    return NetworkData(kind, heading, notes, layout.nodes, layout.edges, tuple(points), spans, tuple(pictures))


def _picture(
    networks: Networks, moment: Moment, layout: Layout, points: Sequence[Values], now: Sequence[Values],
    before: Sequence[Values] | None, spans: Sequence[tuple[float, float]], tops: Sequence[float],
) -> Picture:  # fmt: skip
    drawn, hits = [], []
    for number, edge in enumerate(layout.edges):
        changed = np.zeros(len(now[number]), bool)
        if before is not None:
            changed = moved(now[number], before[number], spans[edge.layer])
        if before is not None and len(changed) > 1:
            hits.append(hit(moment, edge, points[number], changed))
        importance = float(moment.spread[edge.layer][edge.input, edge.output] / tops[edge.layer])
        drawn.append(DrawnEdge(now[number], changed, importance, *densities(moment, edge, points[number])))
    share = float(np.mean(np.concatenate([one.moved for one in drawn]))) if before is not None else float("nan")
    return Picture(_title(networks, moment.number), tuple(drawn), share, float(np.mean(hits)) if hits else float("nan"))


def _title(networks: Networks, number: int) -> str:
    if number == 0:
        return "start"
    name = short_name(networks.stream.names[number - 1])
    return f"after task {number}" if name in ("", f"task {number}") else f"after task {number} ({name})"


def _words(
    networks: Networks, kept: Sequence[int], shown: Sequence[int], kind: str, layout: Layout
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the lines over a figure and those under it."""
    labels, tasks = networks.labels, len(networks.stream.names)
    heading = f"{labels['scenario']}: {labels['architecture']}, {labels['strategy']}, seed {networks.seed}"
    what = "largest weight of its layer" if kind == "weights" else "span of its layer's functions"
    notes = [f"moved: by more than {percent(MOVED)} of the {what} since the picture before"]
    if kind == "functions":
        notes[0] += "; hit: the share of earlier tasks' data that lie where a function moved, mean over the edges"
        notes.append("faint: edges whose output varies little over the data of all tasks (standard deviation s; darkness is "
                     "tanh(3 s / largest s of the layer))")  # fmt: skip
    notes += layout.notes
    if networks.answers is False:
        notes.append(f"{labels['strategy']} answers for earlier tasks with parameters that it holds beside these")
    lost = tasks + 1 - len(kept)
    if lost:
        notes.append(f"not kept: {counted(lost, 'moment')} of {tasks + 1}")
    if len(shown) < len(kept):
        notes.append(f"{len(shown)} of {len(kept)} moments are drawn")
    return (heading,), tuple(notes)
