"""The published cost formulas of "KAN or MLP: A Fairer Comparison" (Yu et al., arXiv 2407.16674, section 3).

They describe pykan's network, with two scales per edge and a bias per unit, and a Cox-de Boor recursion that computes all basis
functions. kancl stores and computes less; for that see ``cost.py``. These are here so that published budgets can be met.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

Activation = Literal["relu", "silu", "tanh", "gelu"]
ACTIVATION_FLOPS: dict[Activation, int] = {"relu": 1, "silu": 5, "tanh": 6, "gelu": 14}
"""F, the operations that the paper counts for one value of an activation."""


def kanbefair_kan_parameters(widths: Sequence[int], intervals: int, degree: int, base: bool = True) -> int:
    """Return the sum over layers of din dout (G + K + 3) + dout; without a base branch G + K + 2.

    Args:
        widths: of all layers, inputs first.
        intervals, degree: G and K.
        base: whether there is a base branch.

    >>> kanbefair_kan_parameters([784, 2, 10], intervals=3, degree=2)
    12716
    """
    per_edge = intervals + degree + (3 if base else 2)
    return sum(i * o * per_edge + o for i, o in pairwise(widths))


def kanbefair_kan_flops(widths: Sequence[int], intervals: int, degree: int, base: Activation | None = "silu") -> float:
    """Return the sum over layers of F din + din dout (9 K (G + 1.5 K) + 2 G - 2.5 K + 3); without a base branch F = 0 and + 1.

    >>> kanbefair_kan_flops([784, 2, 10], intervals=3, degree=2)
    181786.0
    """
    per_edge = 9 * degree * (intervals + 1.5 * degree) + 2 * intervals - 2.5 * degree + (1 if base is None else 3)
    per_input = 0 if base is None else ACTIVATION_FLOPS[base]
    return sum(per_input * i + i * o * per_edge for i, o in pairwise(widths))


def kanbefair_mlp_parameters(widths: Sequence[int]) -> int:
    """Return the sum over layers of dout (din + 1).

    >>> kanbefair_mlp_parameters([784, 16, 10])
    12730
    """
    return sum(o * (i + 1) for i, o in pairwise(widths))


def kanbefair_mlp_flops(widths: Sequence[int], activation: Activation = "relu") -> int:
    """Return the sum over layers of 2 din dout + F dout; the formula has the activation after the last layer too.

    >>> kanbefair_mlp_flops([784, 16, 10])
    25434
    """
    return sum(2 * i * o + ACTIVATION_FLOPS[activation] * o for i, o in pairwise(widths))
