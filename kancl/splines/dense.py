"""The dense backend: the definition of kancl's spline layer, which every other backend has to agree with."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from kancl.splines.grid import Grid


def basis_matrix(x: Float[Tensor, "S B I"], grid: Grid) -> Float[Tensor, "S B I C"]:
    """Return the values of all C basis functions at each point; all but K + 1 of them are exactly 0.

    Args:
        x: points, one batch per seed.
        grid: the knots, shared or per seed and input.
    """
    index, values = grid.basis(x)
    return values.new_zeros(*x.shape, grid.coefficients).scatter_add(-1, index, values)


def evaluate(
    x: Float[Tensor, "S B I"], coef: Float[Tensor, "S I C O"], grid: Grid, base: Float[Tensor, "S I O"] | None = None
) -> Float[Tensor, "S B O"]:
    """Return y[s,b,o] = sum over i and c of coef[s,i,c,o] B_c(x[s,b,i]), as one matrix product per seed.

    With ``base``, sum_i base[s,i,o] silu(x[s,b,i]) is added, as a second one.
    """
    y = basis_matrix(x, grid).flatten(2) @ coef.flatten(1, 2)
    return spread(y if base is None else y + functional.silu(x) @ base, coef, base)


def spread(
    y: Float[Tensor, "S B O"], coef: Float[Tensor, "S I C O"], base: Float[Tensor, "S I O"] | None
) -> Float[Tensor, "S B O"]:
    """Return y with NaN at every point for the outputs of a coefficient (or base weight) that is not finite.

    In the matrix product 0 times it is NaN already where a point does not need it; an infinite one gives infinities elsewhere,
    and backends that read what a point needs would see it there alone. A network that has diverged has so everywhere.
    """
    broken = (0 * coef.detach()).sum((1, 2))
    if base is not None:
        broken = broken + (0 * base.detach()).sum(1)
    return y + broken[:, None]
