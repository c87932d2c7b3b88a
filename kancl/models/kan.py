"""Kolmogorov-Arnold networks: a learnable B-spline on every edge (Liu et al., arXiv 2404.19756)."""

from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from kancl.errors import InputError
from kancl.models.architecture import Network, Problem
from kancl.models.layers import SplineLayer
from kancl.models.registry import architectures
from kancl.splines import Backend


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
    grid: Literal["fixed", "each-task"] = "fixed",
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
        grid: ``each-task`` moves every grid to the inputs of each new task, as pykan does on request.
        layernorm: standardise the inputs of every layer but the first.
        regularization: weight of the mean absolute spline coefficient, summed over the edges.
        backend: what evaluates the splines; ``kancl bench --explain`` tells what ``auto`` takes. All agree up to rounding.
    """
    if any(width < 1 for width in hidden):
        raise InputError(f"hidden widths must be positive, got {list(hidden)}")
    if noise < 0 or regularization < 0:
        raise InputError(f"noise and regularization must not be negative, got {noise} and {regularization}")
    generators = problem.generators()
    seeds, widths = len(problem.seeds), (problem.inputs, *hidden, problem.outputs)
    layers = []
    for number, (inputs, outputs) in enumerate(pairwise(widths)):
        low, high = problem.low.to(problem.dtype), problem.high.to(problem.dtype)
        given = range if number == 0 else hidden_range
        if given is not None:
            low, high = (torch.full((seeds, inputs), end, dtype=problem.dtype) for end in given)
        layers.append(
            SplineLayer(
                low, high, outputs, generators, intervals=intervals, degree=degree, noise=noise,
                base=base == "silu", scales=scales == "trainable", bias=bias,
                movable=grid == "each-task", backend=backend,
            )
        )  # fmt: skip
    return KAN(layers, follow_tasks=grid == "each-task", layernorm=layernorm, regularization=regularization)


class KAN(Network):
    """S Kolmogorov-Arnold networks; see :func:`kan`."""

    def __init__(self, layers: list[SplineLayer], *, follow_tasks: bool, layernorm: bool, regularization: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.follow_tasks = follow_tasks
        self.layernorm = layernorm
        self.regularization = regularization

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
        """Move the grids to the new task's inputs if the option asks for it."""
        if not self.follow_tasks:
            return
        for number, layer in enumerate(self.layers):
            x = self._normalised(x, number)
            layer.refit_grid(x)  # type: ignore[operator]
            x = layer(x)

    def _normalised(self, x: Tensor, number: int) -> Tensor:
        return functional.layer_norm(x, x.shape[-1:]) if self.layernorm and number else x
