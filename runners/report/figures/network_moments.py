"""A network at a moment, looked at edge by edge: its functions, what moved of them, how much they matter, where data lie."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kancl.errors import InputError
from kancl.locality import Probe
from kancl.models.edges import EdgeLayer, edge_spread, edges_at
from kancl.models.layers import SplineLayer, StackedLinear
from runners.report.figures.network_layout import Edge, Layout
from runners.results.networks import Networks

MOVED = 0.05
"""Share of the span of a layer's functions, or of its largest weight, by which an edge must change to count as moved."""
POINTS = 241
"""Places at which a function is drawn."""
BINS = 40
"""Of a histogram of data."""
TAIL = 0.005
"""Share of data on each side that a box need not reach."""

Values = Float[np.ndarray, "P"]


@dataclass(frozen=True, eq=False)
class Moment:
    """What a network is at a moment, and what its layers meet.

    Args:
        number: 0 before the first task, n after task n.
        layers: its layers from the inputs up.
        inputs: by layer and task, what the layer is given on the task's data, (1, N, I).
        spread: by layer, :func:`kancl.models.edges.edge_spread` over the data of all tasks.
    """

    number: int
    layers: list[EdgeLayer]
    inputs: list[list[Tensor]]
    spread: list[Float[np.ndarray, "I O"]]

    def met(self, edge: Edge, tasks: range) -> Float[np.ndarray, "N"]:
        """Return the inputs of an edge on the data of some tasks."""
        parts = [self.inputs[edge.layer][task][0, :, edge.input] for task in tasks]
        met = torch.cat(parts).double().numpy() if parts else np.zeros(0)
        return met[np.isfinite(met)]


def moment_of(networks: Networks, number: int) -> Moment:
    """Return what a network is at a moment.

    Raises:
        InputError: its layers are no sums over edges, one after another.
    """
    probe = Probe(networks.at(number))
    layers = edge_layers(probe, networks)
    passes = [probe.run(networks.met(task)).inputs for task in range(len(networks.stream.test))]
    inputs = [[seen[name][0] for seen in passes] for name in layers]
    spread = [
        np.nan_to_num(edge_spread(layer, torch.cat(own, 1))[0].numpy())
        for layer, own in zip(layers.values(), inputs, strict=True)
    ]
    return Moment(number, list(layers.values()), inputs, spread)


def edge_layers(probe: Probe, networks: Networks) -> dict[str, EdgeLayer]:
    """Return a network's layers by name, in the order in which inputs pass through them.

    Raises:
        InputError: one is no sum over edges, or is not called once, or they have functions as well as weights.
    """
    seen = probe.run(networks.met(0)[:, :2]).inputs
    found: dict[str, EdgeLayer] = {}
    for name, calls in seen.items():
        layer: nn.Module = probe.layers[name]
        if isinstance(layer, EdgeLayer) and len(calls) == 1:
            found[name] = layer
    kinds = {isinstance(layer, StackedLinear) for layer in found.values()}
    if len(kinds) != 1 or found.keys() != probe.layers.keys():
        raise InputError(
            f"{networks.labels['architecture']} cannot be drawn: its layers are no sums of functions of single inputs. "
            "Those of kan, kan-rbf, kan-chebyshev and kan-fourier are, with a function on every edge, and those of mlp and "
            "linear, with a weight; and networks of your own that are made of the same layers"
        )
    return found


def points_of(moments: Sequence[Moment], layout: Layout) -> list[Values]:
    """Return where each edge's function is drawn: over its grid and nearly all data that it ever meets; 0 for weights."""
    found: dict[tuple[int, int], Values] = {}
    for edge in layout.edges:
        if isinstance(moments[0].layers[edge.layer], StackedLinear):
            found[edge.layer, edge.input] = np.zeros(1)
        elif (edge.layer, edge.input) not in found:
            met = np.concatenate([moment.met(edge, range(len(moment.inputs[0]))) for moment in moments])
            ends = np.array([_ends(moment.layers[edge.layer], edge.input) for moment in moments])
            low, high = ends[:, 0].min(), ends[:, 1].max()
            if len(met):
                low, high = min(low, np.quantile(met, TAIL)), max(high, np.quantile(met, 1 - TAIL))
            found[edge.layer, edge.input] = np.linspace(low, high, POINTS)
    return [found[edge.layer, edge.input] for edge in layout.edges]


def _ends(layer: EdgeLayer, unit: int) -> tuple[float, float]:
    """Return the ends of the range of a layer's basis."""
    if isinstance(layer, SplineLayer):
        knots = layer.grid().knots().expand(1, layer.coef.shape[1], -1)[0, unit]
        return float(knots[layer.degree]), float(knots[-1 - layer.degree])
    assert not isinstance(layer, StackedLinear)
    return float(layer.low[0, unit]), float(layer.high[0, unit])


def values_of(moment: Moment, layout: Layout, points: Sequence[Values]) -> list[Values]:
    """Return the function of each edge at its points, or its weight."""
    found: list[Values] = []
    for place, layer in enumerate(moment.layers):
        own = [number for number, edge in enumerate(layout.edges) if edge.layer == place]
        inputs, outputs = ([getattr(layout.edges[number], end) for number in own] for end in ("input", "output"))
        if isinstance(layer, StackedLinear):
            found += list(layer.weight[0, inputs, outputs].detach().double().numpy()[:, None])
            continue
        x = torch.zeros(1, POINTS, layer.coef.shape[1], dtype=layer.coef.dtype)
        for number, unit in zip(own, inputs, strict=True):
            x[0, :, unit] = torch.from_numpy(points[number])
        found += list(edges_at(layer, x, inputs, outputs)[0].double().numpy().T)
    return found


def spans_of(values: Sequence[Sequence[Values]], layout: Layout) -> tuple[tuple[float, float], ...]:
    """Return the smallest and the largest finite value of the drawn edges of every layer, over all moments."""
    found = []
    for place in range(1 + layout.edges[-1].layer):
        own = [number for number, edge in enumerate(layout.edges) if edge.layer == place]
        drawn = np.concatenate([moment[number] for moment in values for number in own])
        drawn = drawn[np.isfinite(drawn)]
        found.append((float(drawn.min()), float(drawn.max())) if len(drawn) else (0.0, 1.0))
    return tuple(found)


def moved(now: Values, before: Values, span: tuple[float, float]) -> Bool[np.ndarray, "P"]:
    """Tell where an edge changed: |now - before| > :data:`MOVED` (high - low); for a weight :data:`MOVED` max(|low|, |high|).

    Args:
        now, before: its function at P places, or its weight, P = 1.
        span: low and high, the ends of what its layer's edges have at all moments.
    """
    size = max(map(abs, span)) if len(now) == 1 else span[1] - span[0]
    return np.abs(now - before) > MOVED * size


def densities(moment: Moment, edge: Edge, points: Values) -> tuple[Float[np.ndarray, "D"], Float[np.ndarray, "D"]]:
    """Return how an edge's inputs are spread over its points: on the data of the last task, and on those of tasks before it.

    At the start no task is the last, and all are before. Each is a histogram of shares, divided by the larger of both peaks.
    """
    if len(points) == 1:
        return np.zeros(BINS), np.zeros(BINS)
    learned, tasks = moment.number, len(moment.inputs[0])
    found = []
    for own in (range(learned - 1, learned), range(learned - 1)) if learned else (range(0), range(tasks)):
        met = moment.met(edge, own)
        found.append(np.histogram(met, BINS, (points[0], points[-1]))[0] / max(len(met), 1))
    top = max(part.max() for part in found) or 1.0
    return found[0] / top, found[1] / top


def hit(moment: Moment, edge: Edge, points: Values, changed: Bool[np.ndarray, "P"]) -> float:
    """Return the share of the data of earlier tasks that lie where an edge's function moved; NaN without any.

    What lies beyond the points counts as not moved.
    """
    met = moment.met(edge, range(moment.number - 1))
    if not len(met):
        return float("nan")
    nearest = np.rint((met - points[0]) / (points[-1] - points[0]) * (len(points) - 1))
    inside = (nearest >= 0) & (nearest < len(points))
    return float(changed[nearest[inside].astype(int)].sum() / len(met))
