"""Knot insertion: the same spline on a finer grid.

Every interval between extended knots is halved, those of the extension as well, so that the function stays what it was
everywhere: on the range, on the extension, and beyond, where it is 0. The first and the last extended knot stay where they
are. The range of the new grid therefore reaches half of the old extension further on both sides, and G intervals become
2 (G + K), C = G + K coefficients 2 C + K.
"""

import math
from typing import overload

import torch
from jaxtyping import Float
from torch import Tensor

from kancl.splines.grid import Grid, KnotGrid, UniformGrid


@overload
def refine(coef: Tensor, grid: UniformGrid) -> tuple[Tensor, UniformGrid]: ...
@overload
def refine(coef: Tensor, grid: KnotGrid) -> tuple[Tensor, KnotGrid]: ...
def refine(coef: Float[Tensor, "S I C O"], grid: Grid) -> tuple[Float[Tensor, "S I D O"], Grid]:
    """Return coefficients and grid, with all intervals halved, of the same function up to rounding.

    On a uniform grid by the two-scale relation B_h(x) = 2^-K sum_j binom(K + 1, j) B_{h/2}(x - j h/2), j = 0 .. K + 1 (de
    Boor 1978, chapter IX); on other knots by inserting the middle of every interval after Boehm (Inserting new knots into
    B-spline curves, 1980, equation 2).

    Args:
        coef: C = G + K coefficients per edge.
        grid: their grid.

    Returns:
        D = 2 C + K coefficients per edge, and the grid of 2 (G + K) intervals; a uniform one stays uniform.

    >>> coef, grid = refine(torch.ones(1, 1, 3, 1), UniformGrid.over(0.0, 2.0, intervals=2, degree=1))
    >>> coef.flatten().tolist(), grid.low.item(), grid.high.item(), grid.intervals
    ([0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5], -0.5, 2.5, 6)
    """
    if isinstance(grid, UniformGrid):
        return _halve_uniform(coef, grid)
    extended = grid.extended
    middles = (extended[..., :-1] + extended[..., 1:]) / 2
    for place in range(middles.shape[-1]):
        coef, extended = _insert(coef, extended, grid.degree, 2 * place, middles[..., place : place + 1])
    return coef, KnotGrid(extended, grid.degree)


def _halve_uniform(coef: Tensor, grid: UniformGrid) -> tuple[Tensor, UniformGrid]:
    degree, count = grid.degree, grid.coefficients
    fine = coef.new_zeros(*coef.shape[:2], 2 * count + degree, coef.shape[3])
    for j in range(degree + 2):
        fine[:, :, j : j + 2 * count : 2] += coef * (math.comb(degree + 1, j) / 2**degree)
    reach = degree * (grid.high - grid.low) / (2 * grid.intervals)
    return fine, UniformGrid(grid.low - reach, grid.high + reach, 2 * (grid.intervals + degree), degree)


def _insert(coef: Tensor, knots: Tensor, degree: int, span: int, knot: Tensor) -> tuple[Tensor, Tensor]:
    """Insert one knot per seed and input (S, I, 1) between extended knots number ``span`` and ``span + 1``.

    With d_i the old coefficients (0 where there is no function), the new ones are a_i d_i + (1 - a_i) d_{i-1}, where a_i is 1
    up to i = span - K, 0 beyond i = span, and (u - t_i) / (t_{i+K} - t_i) between.
    """
    count = coef.shape[2]
    share = knots.new_zeros(*knots.shape[:-1], count + 1)
    share[..., : max(0, span - degree + 1)] = 1.0
    between = slice(max(0, span - degree + 1), min(span, count) + 1)
    start, end = knots[..., between], knots[..., between.start + degree : between.stop + degree]
    share[..., between] = (knot - start) / (end - start)
    nothing = coef.new_zeros(*coef.shape[:2], 1, coef.shape[3])
    share = share[..., None]  # (S, I, C + 1, 1)
    new = share * torch.cat([coef, nothing], 2) + (1 - share) * torch.cat([nothing, coef], 2)
    return new, torch.cat([knots[..., : span + 1], knot, knots[..., span + 1 :]], -1)
