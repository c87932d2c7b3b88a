"""B-splines for a stack of networks: one meaning, several backends.

``spline(x, coef, grid)`` evaluates, for every seed s, the edge functions of one KAN layer and sums them over the inputs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from kancl.errors import InputError
from kancl.splines import build, dense, fused, local
from kancl.splines.dense import basis_matrix
from kancl.splines.grid import MAX_DEGREE, Grid, KnotGrid, UniformGrid
from kancl.splines.refine import refine

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
    "refine",
    "spline",
    "unavailable",
]

Backend = Literal["auto", "dense", "local", "native", "triton"]
BACKENDS: dict[str, Callable[[Tensor, Tensor, Grid, Tensor | None], Tensor]] = {
    "dense": dense.evaluate,
    "local": local.evaluate,
    "native": fused.evaluate,
    "triton": fused.evaluate,
}


@dataclass(frozen=True)
class Choice:
    """Which backend ``auto`` takes, and why.

    Args:
        backend: its name, one of :data:`BACKENDS`.
        reason: in one line.
    """

    backend: str
    reason: str


def spline(
    x: Float[Tensor, "S B I"],
    coef: Float[Tensor, "S I C O"],
    grid: Grid,
    backend: Backend = "auto",
    *,
    base: Float[Tensor, "S I O"] | None = None,
) -> Float[Tensor, "S B O"]:
    """Evaluate y[s,b,o] = sum_i ( sum_c coef[s,i,c,o] B_c(x[s,b,i]) + base[s,i,o] silu(x[s,b,i]) ).

    B_c are the B-splines of degree K on the extended knots of ``grid`` (Cox-de Boor; de Boor 1978, chapter IX). Points
    beyond the extended knots give 0, as in pykan and efficient-kan. Exactly one cell owns a point; at a knot it is the one
    to the right, up to rounding of (x - low) / step, and the last extended knot belongs to the last cell. NaN in x gives NaN.
    A coefficient or base weight that is NaN or infinite makes its output NaN at every point.

    Args:
        x: the points, one batch per seed.
        coef: the coefficients, C = G + K per edge.
        grid: the knots, shared or per seed and input.
        backend: ``auto`` chooses by :func:`explain`; all backends agree up to rounding, gradients included, and give the same
            numbers from run to run. ``native`` and ``triton`` never make a tensor with an axis of C coefficients per point,
            except for derivatives of higher order or in forward mode; gradients in the knots take ``dense`` or ``local``.
        base: weights of the branch beside the splines (KAN paper, equation 2.10), or None for splines alone.

    Raises:
        InputError: shapes, number types or devices that do not fit, or a backend that is unknown or not to be had.

    >>> import torch
    >>> grid = UniformGrid.over(-1.0, 1.0, intervals=5, degree=3)
    >>> x = torch.linspace(-1, 1, 4).view(1, 4, 1)
    >>> spline(x, torch.ones(1, 1, grid.coefficients, 1), grid).flatten()  # the basis sums to 1 on the range
    tensor([1., 1., 1., 1.])
    """
    _check(x, coef, grid, base)
    if backend == "auto":
        name = _choose(x, coef, grid)
    else:
        name = backend
        if (reason := unavailable(name, x, grid)) is not None:
            raise InputError(f"the spline backend {name!r} cannot be used here: {reason}")
    return BACKENDS[name](x, coef, grid, base)


def _check(x: Tensor, coef: Tensor, grid: Grid, base: Tensor | None) -> None:
    if x.ndim != 3 or coef.ndim != 4 or coef.shape[:3] != (x.shape[0], x.shape[2], grid.coefficients):
        raise InputError(
            f"expected x (S, B, I) and coef (S, I, C, O) with C = G + K = {grid.coefficients}, "
            f"got x {tuple(x.shape)} and coef {tuple(coef.shape)}"
        )
    if base is not None and base.shape != (*coef.shape[:2], coef.shape[3]):
        raise InputError(f"expected base (S, I, O) beside coef {tuple(coef.shape)}, got {tuple(base.shape)}")
    seeds, inputs = grid.lanes
    if seeds not in (1, x.shape[0]) or inputs not in (1, x.shape[2]):
        raise InputError(f"the grid has knots for {seeds} seeds and {inputs} inputs, x is {tuple(x.shape)}")
    table = grid.table
    for name, other in (("coef", coef), ("base", base), ("the grid", table)):
        if other is not None and (other.dtype != x.dtype or other.device != x.device):
            raise InputError(f"x is {x.dtype} on {x.device}, {name} is {other.dtype} on {other.device}: make them the same")


def unavailable(backend: str, x: Tensor, grid: Grid) -> str | None:
    """Return why a backend cannot evaluate a grid at points like x, in one line, or None if it can.

    Args:
        backend: one of :data:`BACKENDS`.
        x: any tensor of the points' type and place.
        grid: the knots.

    Raises:
        InputError: no backend has this name.
    """
    if backend not in BACKENDS:
        raise InputError(f"unknown spline backend {backend!r}; expected auto, {', '.join(BACKENDS)}")
    if backend in ("native", "triton") and grid.requires_grad and torch.is_grad_enabled():
        return "it gives no gradients in the grid's knots, and they require some; dense and local do"
    if backend == "native":
        return f"it runs on a CPU, and x is on {x.device}" if x.device.type != "cpu" else build.problem(x.dtype, grid.degree)
    if backend == "triton":
        if x.device.type != "cuda":
            return f"it runs on a CUDA device, and x is on {x.device}"
        return _without_triton()
    return None


@cache
def _without_triton() -> str | None:
    return None if find_spec("triton") else "the package triton is not installed"


def _choose(x: Tensor, coef: Tensor, grid: Grid) -> str:
    # Per seed, so that a network takes the same backend alone and in a stack.
    fastest = "native" if x.device.type == "cpu" else "triton"
    if unavailable(fastest, x, grid) is None:
        return fastest
    outputs, work = coef.shape[-1], x.shape[1] * x.shape[2] * grid.coefficients
    return "local" if outputs == 1 or (grid.coefficients >= 96 and work > 10_000) else "dense"


def explain(x: Tensor, coef: Tensor, grid: Grid) -> Choice:
    """Tell which backend ``auto`` takes for these shapes, and why; see ``docs/performance.md`` for the measurements.

    Nothing is evaluated: x and coef may be expanded from single numbers, so that asking takes no memory.

    Args:
        x: points of shape (S, B, I); their type and place matter too.
        coef: coefficients of shape (S, I, C, O).
        grid: the knots, with C = G + K.

    >>> import torch
    >>> grid = UniformGrid.over(-1.0, 1.0, intervals=100, degree=3)
    >>> points, coef = torch.zeros(1).expand(1, 9, 2), torch.zeros(1).expand(1, 2, grid.coefficients, 1)
    >>> explain(points, coef, grid).backend in ("native", "local")  # local where no compiler is to be had
    True
    """
    name = _choose(x, coef, grid)
    if name in ("native", "triton"):
        why = f"the fused kernel reads {grid.degree + 1} of {grid.coefficients} coefficients per point and edge"
        remark = build.remark(x.dtype, grid.degree) if name == "native" else ""
        return Choice(name, f"{why}; compiled for this process alone: {remark}" if remark else why)
    fastest = "native" if x.device.type == "cpu" else "triton"
    without = f"{fastest} cannot be used ({unavailable(fastest, x, grid)})"
    if coef.shape[-1] == 1:
        return Choice(name, f"{without}; one output: gathering single numbers beats filling and multiplying a basis matrix")
    if name == "local":
        return Choice(name, f"{without}; only {grid.degree + 1} of {grid.coefficients} coefficients matter at a point")
    return Choice(name, f"{without}; {grid.coefficients} coefficients per edge are few enough for one matrix product")
