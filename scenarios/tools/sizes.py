"""Architectures of about equal size, for advice: a KAN is given, and the widths of its rivals follow from closed formulas.

Trained numbers, with C basis functions on an edge (one more with a base branch): an edge network has C for each edge; an MLP
its weights and biases; an MLP with splines for activations C more for each hidden unit; a table O for each of n^I tiles.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Literal

DEGREE = 3


def rivals_of_kan(
    inputs: int,
    outputs: int,
    hidden: tuple[int, ...] = (8,),
    intervals: int = 5,
    base: Literal["silu", "none"] = "silu",
    depth: int = 1,
    activation: Literal["relu", "silu", "gelu", "tanh"] = "relu",
    interpolation: Literal["none", "linear"] = "none",
) -> dict[str, dict[str, Any]]:
    """Return options by architecture name: the KAN asked for, and its rivals with about as many trained numbers.

    Args:
        inputs, outputs: of the scenario.
        hidden, intervals, base: the KAN's; its splines are cubic.
        depth: hidden layers of the MLPs, all of one width.
        activation: of the MLP.
        interpolation: of the table. Its size comes in steps, n^I tiles; where two tiles for each input would be too many, the
            tiles are hashed and do not interpolate, which would take 2^I of them.

    >>> rivals_of_kan(64, 10, hidden=(16,))["mlp"]
    {'hidden': (142,), 'activation': 'relu'}
    """
    functions = intervals + DEGREE
    per_edge = functions + (base == "silu")
    size = per_edge * _edges((inputs, *hidden, outputs))
    edges: dict[str, Any] = {"hidden": hidden, "base": base}
    frequencies = (functions - 1) // 2  # an even number of functions leaves one over: the hidden layers are widened for it
    fourier = _scaled(hidden, per_edge / (2 * frequencies + 1 + (base == "silu")))
    entries = size / outputs
    root = math.floor(entries ** (1 / inputs))
    tiles = min((root, root + 1), key=lambda count: abs(outputs * count**inputs - size))  # whole numbers have no largest one
    table: dict[str, Any] = {"tiles": tiles, "interpolation": interpolation}
    return {
        "kan": {**edges, "intervals": intervals},
        "mlp": {"hidden": _hidden(inputs, outputs, depth, 0, size), "activation": activation},
        "kan-chebyshev": {**edges, "degree": functions - 1},
        "kan-fourier": {**edges, "hidden": fourier, "frequencies": frequencies},
        "kan-rbf": {**edges, "intervals": functions - 1},
        "mlp-bspline": {"hidden": _hidden(inputs, outputs, depth, functions, size), "intervals": intervals},
        "lookup": table if tiles > 1 else {"tiles": 2, "hashed": max(1, round(entries))},
    }


def _edges(widths: tuple[int, ...]) -> int:
    return sum(before * after for before, after in pairwise(widths))


def _scaled(hidden: tuple[int, ...], factor: float) -> tuple[int, ...]:
    return tuple(max(1, round(width * factor)) for width in hidden)


def _hidden(inputs: int, outputs: int, depth: int, per_unit: int, size: int) -> tuple[int, ...]:
    """Return ``depth`` hidden layers of one width whose network comes closest to ``size`` numbers.

    With ``per_unit`` more numbers for each hidden unit, width h has a h^2 + b h + c of them.
    """
    a, b = depth - 1, inputs + outputs + depth * (1 + per_unit)
    size_of: Callable[[int], int] = lambda width: a * width**2 + b * width + outputs  # noqa: E731
    root = (size - outputs) / b if a == 0 else (math.sqrt(b**2 + 4 * a * (size - outputs)) - b) / (2 * a)
    nearest = min((math.floor(root), math.ceil(root)), key=lambda width: abs(size_of(width) - size))
    return (max(1, nearest),) * depth
