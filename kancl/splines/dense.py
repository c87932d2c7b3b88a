"""The dense backend: the definition of kancl's spline, which every other backend has to agree with."""

from jaxtyping import Float
from torch import Tensor

from kancl.splines.grid import Grid


def basis_matrix(x: Float[Tensor, "S B I"], grid: Grid) -> Float[Tensor, "S B I C"]:
    """Return the values of all C basis functions at each point; all but K + 1 of them are exactly 0."""
    index, values = grid.basis(x)
    return values.new_zeros(*x.shape, grid.coefficients).scatter_add(-1, index, values)


def evaluate(x: Float[Tensor, "S B I"], coef: Float[Tensor, "S I C O"], grid: Grid) -> Float[Tensor, "S B O"]:
    """Return y[s,b,o] = sum over i and c of coef[s,i,c,o] B_c(x[s,b,i]), as one matrix product per seed."""
    return basis_matrix(x, grid).flatten(2) @ coef.flatten(1, 2)
