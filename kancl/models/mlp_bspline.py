"""MLP with learnable B-spline activations: local curves behind global weights (Bohra et al., IEEE OJSP 2020)."""

from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kancl.errors import InputError
from kancl.models.architecture import Network, Problem, stacked, uniform
from kancl.models.layers import StackedLinear
from kancl.models.mlp import ACTIVATIONS
from kancl.models.registry import architectures
from kancl.splines import MAX_DEGREE, Backend, UniformGrid, basis_matrix, spline


@architectures.register("mlp-bspline")
def mlp_bspline(
    problem: Problem,
    *,
    hidden: tuple[int, ...] = (64,),
    intervals: int = 5,
    degree: int = 3,
    start: Literal["identity", "relu", "silu", "gelu", "tanh"] = "silu",
    noise: float = 0.1,
    hidden_range: tuple[float, float] = (-2.0, 2.0),
    backend: Backend = "auto",
) -> Network:
    """MLP whose hidden units each learn a B-spline as their activation: one curve per unit, not per edge.

    Each curve is local in its unit's input, but that input is a linear form of all inputs of the layer, whose weights matter
    everywhere.

    Args:
        hidden: widths of the hidden layers.
        intervals: G, the grid intervals of every spline.
        degree: K in 1..5; pieces of degree 0 are flat and would give the layers before them no gradient.
        start: what the splines look like at first, up to the noise and inside the grid's range.
        noise: size of the noise on the initial coefficients, (u - 1/2) * noise / G.
        hidden_range: grid range of the splines. Beyond it they fall to 0 within K intervals, as the KAN's do, and a unit
            that is out there for all samples learns no more: take a range that the linear layers do not leave.
        backend: what evaluates the splines, as for the KAN.
    """
    if any(width < 1 for width in hidden):
        raise InputError(f"hidden widths must be positive, got {list(hidden)}")
    if noise < 0:
        raise InputError(f"noise must not be negative, got {noise}")
    if degree < 1:
        raise InputError(
            f"the degree of an activation must be 1..{MAX_DEGREE}, since flat pieces have no gradient, got {degree}"
        )
    generators, widths = problem.generators(), (problem.inputs, *hidden)
    layers: list[nn.Module] = []
    for inputs, units in pairwise(widths):
        layers.append(StackedLinear(inputs, units, generators, problem.dtype))
        grid = UniformGrid.over(*hidden_range, intervals, degree, problem.dtype)
        layers.append(SplineActivation(units, generators, grid, start=start, noise=noise, backend=backend))
    layers.append(StackedLinear(widths[-1], problem.outputs, generators, problem.dtype))
    return BSplineMLP(layers)


class BSplineMLP(Network):
    """S multi-layer perceptrons with spline activations; see :func:`mlp_bspline`."""

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Float[Tensor, "S B I"]) -> Float[Tensor, "S B O"]:
        """Evaluate network s on batch s."""
        for layer in self.layers:
            x = layer(x)
        return x


class SplineActivation(nn.Module):
    """y_h = sum_c coef_hc B_c(x_h): one spline per unit, all on one grid.

    The units are folded into the spline kernel's seed axis, as S H layers with one input and one output each, so that none
    computes what the others need. Coefficients start at f(Greville abscissa), Schoenberg's approximation of f, which is
    exact for a straight line (Schoenberg 1967; de Boor 1978).

    Args:
        units: H.
        grid: of one lane, for all seeds and units.
        start: the function f.
        noise: of (u - 1/2) * noise / G on the coefficients, u from U(0, 1).
    """

    def __init__(
        self, units: int, generators: list[torch.Generator], grid: UniformGrid, *, start: str, noise: float, backend: Backend
    ) -> None:
        super().__init__()
        seeds, dtype = len(generators), grid.low.dtype
        self.intervals, self.degree, self.backend = grid.intervals, grid.degree, backend
        self.register_buffer("low", grid.low.repeat(seeds, 1))
        self.register_buffer("high", grid.high.repeat(seeds, 1))
        self.low: Tensor
        self.high: Tensor
        draw = uniform(units, grid.coefficients, bound=noise / (2 * grid.intervals), dtype=dtype)
        smooth = greville(grid) if start == "identity" else ACTIVATIONS[start](greville(grid))
        self.coef = stacked(generators, lambda g: smooth + draw(g))

    def grid(self) -> UniformGrid:
        """Return the grid, one lane for all seeds and units."""
        return UniformGrid(self.low[:1], self.high[:1], self.intervals, self.degree, check=False)

    def forward(self, x: Float[Tensor, "S B H"]) -> Float[Tensor, "S B H"]:
        """Apply unit h's spline to column h of each batch."""
        seeds, batch, units = x.shape
        columns = x.transpose(1, 2).reshape(seeds * units, batch, 1)
        y = spline(columns, self.coef.view(seeds * units, 1, -1, 1), self.grid(), self.backend)
        return y.view(seeds, units, batch).transpose(1, 2)

    def active_parameters(self) -> int:
        """Return how many trained numbers bear on one sample: K + 1 coefficients of every unit."""
        return self.coef.shape[1] * (self.degree + 1) if self.coef.requires_grad else 0

    def usage(self, x: Float[Tensor, "S B H"]) -> Float[Tensor, "S B H C"]:
        """Return the value at each point of the basis function that belongs to each coefficient; see kancl.locality."""
        return basis_matrix(x, self.grid())

    def off_grid(self, x: Float[Tensor, "S B H"]) -> Bool[Tensor, "S B H"]:
        """Tell which points lie beyond the ends of the grid, where only the extension reaches."""
        return (x < self.low[:1]) | (x > self.high[:1])


def greville(grid: UniformGrid) -> Float[Tensor, "C"]:
    """Return the means of each basis function's K inner knots."""
    return grid.knots()[0, 0, 1:-1].unfold(0, grid.degree, 1).mean(-1)
