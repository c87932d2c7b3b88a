"""Kolmogorov-Arnold networks: a learnable B-spline on every edge (Liu et al., arXiv 2404.19756)."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from kancl.errors import InputError
from kancl.models.architecture import Network, Problem
from kancl.models.edge_basis import input_range
from kancl.models.layers import SplineLayer
from kancl.models.registry import architectures
from kancl.splines import Backend

GridPolicy = Literal["fixed", "first-task", "each-task", "refine"]


@architectures.register("kan")
def kan(
    problem: Problem,
    *,
    hidden: tuple[int, ...] = (8,),
    intervals: int = 5,
    degree: int = 3,
    base: Literal["silu", "none"] = "silu",
    scales: Literal["frozen", "trainable"] = "frozen",
    bias: bool = False,
    noise: float = 0.1,
    range: tuple[float, float] | None = None,
    hidden_range: tuple[float, float] = (-1.0, 1.0),
    grid: GridPolicy = "fixed",
    layernorm: bool = False,
    regularization: float = 0.0,
    backend: Backend = "auto",
) -> Network:
    """Kolmogorov-Arnold network: a sum of learnable B-splines per unit, local in each coordinate.

    Args:
        hidden: widths of the hidden layers; ``[]`` gives a network without any.
        intervals: G, the grid intervals of every spline.
        degree: K in 0..5.
        base: the branch w silu(x) beside each spline; global, hence not local.
        scales: a factor per edge, trainable or frozen at 1.
        bias: a constant per unit.
        noise: size of the initial coefficients, (u - 1/2) * noise / G.
        range: grid range of the first layer; the scenario's input range if not given.
        hidden_range: grid range of the other layers.
        grid: what happens to the grids when a task begins. ``fixed``: nothing. ``first-task`` moves every grid to the inputs
            of the first task and then leaves it there; ``each-task`` moves it to those of each new task, as pykan does on
            request. ``refine`` halves every interval at each task but the first without changing the function (knot
            insertion): G intervals become 2 (G + K), the extension's being halved as well, and the coefficients twice as
            many plus K. They are new parameters: the optimiser begins anew, Adam's moments and momentum are lost (so the
            state cannot be kept), and a result reports the number of parameters at the end.
        layernorm: standardise the inputs of every layer but the first.
        regularization: weight of the mean absolute spline coefficient, summed over the edges.
        backend: what evaluates the splines; ``kancl bench --explain`` tells what ``auto`` takes. All agree up to rounding.
    """
    if any(width < 1 for width in hidden):
        raise InputError(f"hidden widths must be positive, got {list(hidden)}")
    if noise < 0 or regularization < 0:
        raise InputError(f"noise and regularization must not be negative, got {noise} and {regularization}")
    generators = problem.generators()
    widths = (problem.inputs, *hidden, problem.outputs)
    layers = []
    for number, (inputs, outputs) in enumerate(pairwise(widths)):
        low, high = input_range(problem, inputs, hidden_range if number else range)
        layers.append(
            SplineLayer(
                low, high, outputs, generators, intervals=intervals, degree=degree, noise=noise,
                base=base == "silu", scales=scales == "trainable", bias=bias,
                movable=grid in ("first-task", "each-task"), backend=backend,
            )
        )  # fmt: skip
    return KAN(layers, grid=grid, layernorm=layernorm, regularization=regularization)


class KAN(Network):
    """S Kolmogorov-Arnold networks; see :func:`kan`."""

    def __init__(self, layers: list[SplineLayer], *, grid: GridPolicy, layernorm: bool, regularization: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.grid_policy = grid
        self.grows = grid == "refine"
        self.layernorm = layernorm
        self.regularization = regularization
        # Saved with the network, so that one that goes on knows whether its first task is over.
        counts = grid in ("first-task", "refine")
        self.register_buffer("tasks_begun", torch.zeros(len(layers[0].coef), dtype=torch.long) if counts else None)
        self.tasks_begun: Tensor | None

    def forward(self, x: Float[Tensor, "S B I"]) -> Float[Tensor, "S B O"]:
        """Evaluate network s on batch s."""
        for number, layer in enumerate(self.layers):
            x = layer(self._normalised(x, number))
        return x

    def penalty(self) -> Float[Tensor, "S"] | None:
        """Return regularization * sum over edges of the mean |coefficient|, as in efficient-kan."""
        if not self.regularization:
            return None
        sizes = torch.stack([layer.coef.abs().mean(2).sum((1, 2)) for layer in self.layers])  # type: ignore[operator]
        return self.regularization * sizes.sum(0)

    @torch.no_grad()
    def begin_task(self, x: Float[Tensor, "S N I"]) -> None:
        """Do to the grids what the option asks for."""
        first = True
        if self.tasks_begun is not None:
            first = not bool(self.tasks_begun.any())
            self.tasks_begun += 1
        if self.grid_policy == "refine" and not first:
            for layer in self.layers:
                layer.refine_grid()  # type: ignore[operator]
        elif self.grid_policy == "each-task" or (self.grid_policy == "first-task" and first):
            for number, layer in enumerate(self.layers):
                x = self._normalised(x, number)
                layer.refit_grid(x)  # type: ignore[operator]
                x = layer(x)

    def make_room(self, state: Mapping[str, Tensor]) -> None:
        """Take the numbers of intervals that a saved state has, where refining makes them grow."""
        if self.grows:
            for number, layer in enumerate(self.layers):
                layer.resize(state[f"layers.{number}.coef"].shape[2] - layer.degree)  # type: ignore[operator]

    def _normalised(self, x: Tensor, number: int) -> Tensor:
        return functional.layer_norm(x, x.shape[-1:]) if self.layernorm and number else x
