"""B-splines for a stack of networks: one meaning, several backends.

``spline(x, coef, grid)`` evaluates, for every seed s, the edge functions of one KAN layer and sums them over the inputs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from kancl.errors import InputError
from kancl.splines import dense, local
from kancl.splines.dense import basis_matrix
from kancl.splines.grid import MAX_DEGREE, Grid, KnotGrid, UniformGrid

__all__ = [
    "BACKENDS",
    "MAX_DEGREE",
    "Backend",
    "Choice",
    "Grid",
    "KnotGrid",
    "UniformGrid",
    "basis_matrix",
    "explain",
    "spline",
]

Backend = Literal["auto", "dense", "local"]
BACKENDS: dict[str, Callable[[Tensor, Tensor, Grid], Tensor]] = {"dense": dense.evaluate, "local": local.evaluate}


@dataclass(frozen=True)
class Choice:
    """Which backend ``auto`` takes, and why."""

    backend: str
    reason: str


def spline(
    x: Float[Tensor, "S B I"], coef: Float[Tensor, "S I C O"], grid: Grid, backend: Backend = "auto"
) -> Float[Tensor, "S B O"]:
    """Evaluate y[s,b,o] = sum_i sum_c coef[s,i,c,o] B_c(x[s,b,i]).

    B_c are the B-splines of degree K on the extended knots of ``grid`` (Cox-de Boor; de Boor 1978, chapter IX). Points
    beyond the extended knots give 0, as in pykan and efficient-kan. Exactly one cell owns a point; at a knot it is the one
    to the right, up to rounding of (x - low) / step, and the last extended knot belongs to the last cell. NaN in x gives NaN.

    Args:
        x: the points, one batch per seed.
        coef: the coefficients, C = G + K per edge.
        grid: the knots, shared or per seed and input.
        backend: ``auto`` chooses by :func:`explain`; all backends agree up to rounding, gradients in x and coef included.

    Raises:
        InputError: shapes that do not fit, or an unknown backend.

    >>> import torch
    >>> grid = UniformGrid.over(-1.0, 1.0, intervals=5, degree=3)
    >>> x = torch.linspace(-1, 1, 4).view(1, 4, 1)
    >>> spline(x, torch.ones(1, 1, grid.coefficients, 1), grid).flatten()  # the basis sums to 1 on the range
    tensor([1., 1., 1., 1.])
    """
    if x.ndim != 3 or coef.ndim != 4 or coef.shape[:3] != (x.shape[0], x.shape[2], grid.coefficients):
        raise InputError(
            f"expected x (S, B, I) and coef (S, I, C, O) with C = G + K = {grid.coefficients}, "
            f"got x {tuple(x.shape)} and coef {tuple(coef.shape)}"
        )
    if not all(own in (1, size) for own, size in zip(grid.lanes, (x.shape[0], x.shape[2]), strict=True)):
        raise InputError(f"the grid has knots for {grid.lanes[0]} seeds and {grid.lanes[1]} inputs, x is {tuple(x.shape)}")
    name = explain(x, coef, grid).backend if backend == "auto" else backend
    if name not in BACKENDS:
        raise InputError(f"unknown spline backend {backend!r}; expected auto, {', '.join(BACKENDS)}")
    return BACKENDS[name](x, coef, grid)


def explain(x: Tensor, coef: Tensor, grid: Grid) -> Choice:
    """Tell which backend ``auto`` takes for these shapes, and why; see ``docs/architecture.md`` for the measurements."""
    # Per seed, so that a network takes the same backend alone and in a stack.
    outputs, work = coef.shape[-1], x.shape[1] * x.shape[2] * grid.coefficients
    if outputs == 1:
        return Choice("local", "one output: gathering single numbers beats filling and multiplying a basis matrix")
    if grid.coefficients >= 96 and work > 10_000:
        return Choice("local", f"{grid.coefficients} coefficients per edge, of which only {grid.degree + 1} matter at a point")
    return Choice(
        "dense", f"{grid.coefficients} coefficients per edge and {work:,} basis values: one matrix product is fastest"
    )
