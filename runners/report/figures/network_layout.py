"""Where the nodes and edges of a network are drawn, and which of many."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Room:
    """How many nodes there may be in a row, and how many edges between two rows."""

    nodes: int
    edges: int

    def holds(self, importance: Sequence[Float[np.ndarray, "I O"]]) -> bool:
        """Tell whether there is room for all of a network."""
        return all(table.size <= self.edges and max(table.shape) <= self.nodes for table in importance)


FOR_FUNCTIONS, FOR_WEIGHTS = (Room(8, 16), Room(6, 12)), (Room(16, 64), Room(16, 64))
"""For a whole network, and for the most important part of a larger one; a function needs a box, a weight a line."""

Pair = tuple[int, int]
"""The indices of an edge's input and output."""


@dataclass(frozen=True)
class Node:
    """A unit.

    Args:
        row: 0 for inputs, and one more for each layer.
        index: which of the row's units it is.
        x: its place in the row, 0 to 1.
        label: what is written beside it; empty for hidden units.
    """

    row: int
    index: int
    x: float
    label: str


@dataclass(frozen=True)
class Edge:
    """An edge, from a node in row ``layer`` to one in the next.

    Args:
        layer: which layer it belongs to, from 0.
        input, output: indices of the units that it joins.
        source, target: places of their nodes among all that are drawn.
        x: the place of its box between the rows, 0 to 1.
    """

    layer: int
    input: int
    output: int
    source: int
    target: int
    x: float


@dataclass(frozen=True)
class Layout:
    """Nodes row by row, edges layer by layer from left to right, and in words what is left out."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    notes: tuple[str, ...]


def lay_out(importance: Sequence[Float[np.ndarray, "I O"]], rooms: tuple[Room, Room] = FOR_FUNCTIONS) -> Layout:
    """Choose and place nodes and edges.

    From the outputs down: of the outputs those to which most leads; then, layer by layer, of each node that is drawn its most
    important edge, and of all edges to such nodes the most important ones, as long as there is room for them and their inputs.

    Args:
        importance: of every edge by layer; edges of different layers are never compared.
        rooms: that there is for a whole network, and for a part.
    """
    room = rooms[0] if rooms[0].holds(importance) else rooms[1]
    chosen: list[list[Pair]] = []
    rows = [_best(importance[-1].sum(0), room.nodes)]
    for table in reversed(importance):
        pairs = _edges(table, rows[0], room)
        chosen.insert(0, pairs)
        rows.insert(0, sorted({i for i, _ in pairs}))
    nodes: list[Node] = []
    for row, units in enumerate(rows):
        letter, count = ("x", importance[0].shape[0]) if row == 0 else ("y", importance[-1].shape[1])
        ends = row in (0, len(importance))
        for place, unit in enumerate(units):
            label = (f"{letter}{unit + 1}" if count > 1 else letter) if ends else ""
            nodes.append(Node(row, unit, (place + 0.5) / len(units), label))
    where = {(node.row, node.index): place for place, node in enumerate(nodes)}
    edges = [edge for layer, pairs in enumerate(chosen) for edge in _placed(layer, pairs, nodes, where)]
    return Layout(tuple(nodes), tuple(edges), _notes(importance, rows, chosen))


def _best(scores: np.ndarray, most: int) -> list[int]:
    """Return the indices of the largest scores, in order."""
    return sorted(np.argsort(-scores, kind="stable")[:most].tolist())


def _edges(table: np.ndarray, outputs: Sequence[int], room: Room) -> list[Pair]:
    """Return the edges (i, o) of a layer that are drawn, where these outputs are."""
    ranked = sorted(((i, o) for o in outputs for i in range(len(table))), key=lambda edge: -table[edge])
    first = {o: next(edge for edge in ranked if edge[1] == o) for o in outputs}
    found: list[Pair] = []
    for edge in (*first.values(), *ranked):
        inputs = {i for i, _ in found}
        if edge not in found and len(found) < room.edges and (edge[0] in inputs or len(inputs) < room.nodes):
            found.append(edge)
    return found


def _placed(
    layer: int, pairs: Sequence[tuple[int, int]], nodes: Sequence[Node], where: dict[tuple[int, int], int]
) -> list[Edge]:
    """Return edges from left to right, each about between its nodes, so that few lines cross."""
    ends = [(where[layer, i], where[layer + 1, o]) for i, o in pairs]
    order = sorted(range(len(pairs)), key=lambda k: (nodes[ends[k][0]].x + nodes[ends[k][1]].x, ends[k]))
    return [Edge(layer, *pairs[k], *ends[k], (place + 0.5) / len(order)) for place, k in enumerate(order)]


def _notes(
    importance: Sequence[np.ndarray], rows: Sequence[Sequence[int]], chosen: Sequence[Sequence[Pair]]
) -> tuple[str, ...]:
    counts = [len(importance[0]), *(table.shape[1] for table in importance)]
    edges = [f"{len(pairs)} of {table.size:,}" for pairs, table in zip(chosen, importance, strict=True)]
    if all(len(pairs) == table.size for pairs, table in zip(chosen, importance, strict=True)):
        return ()
    units = [f"{len(row)} of {count:,}" for row, count in zip(rows, counts, strict=True)]
    return (f"drawn are the most important edges, from the inputs up {', '.join(edges)}; of the units {', '.join(units)}",)
