"""KAN with Gaussians on its edges: a nearly local basis (FastKAN, arXiv 2405.06721; KAC, arXiv 2503.21076)."""

from functools import partial
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from kancl.errors import InputError
from kancl.models.architecture import Network, Problem
from kancl.models.edge_basis import edge_network
from kancl.models.registry import architectures


@architectures.register("kan-rbf")
def kan_rbf(
    problem: Problem,
    *,
    hidden: tuple[int, ...] = (8,),
    intervals: int = 7,
    width: float = 1.0,
    base: Literal["silu", "none"] = "silu",
    bias: bool = False,
    noise: float = 0.1,
    range: tuple[float, float] | None = None,
    hidden_range: tuple[float, float] = (-1.0, 1.0),
    layernorm: bool = False,
    regularization: float = 0.0,
) -> Network:
    """KAN with Gaussians on a grid on every edge: nearly local, since a Gaussian has tails where a spline is exactly 0.

    Beyond the range the functions die away, as the KAN's splines do.

    Args:
        hidden: widths of the hidden layers; ``[]`` gives a network without any.
        intervals: G >= 1 grid intervals; an edge has G + 1 Gaussians, one at every knot.
        width: h of exp(-(d/h)^2), in grid intervals; wider Gaussians are smoother and less local.
        base: the branch w silu(x) beside each sum of Gaussians.
        bias: a constant per unit.
        noise: size of the initial coefficients, (u - 1/2) * noise / (G + 1).
        range: range of the first layer's inputs; the scenario's if not given.
        hidden_range: range of the other layers' inputs.
        layernorm: standardise the inputs of every layer but the first.
        regularization: weight of the mean absolute coefficient, summed over the edges.
    """
    if intervals < 1 or width <= 0:
        raise InputError(f"needs intervals >= 1 and width > 0, got {intervals} and {width}")
    return edge_network(
        problem, partial(gaussians, intervals=intervals, width=width), intervals + 1,
        hidden=hidden, base=base, bias=bias, noise=noise, range=range, hidden_range=hidden_range,
        layernorm=layernorm, regularization=regularization,
    )  # fmt: skip


def gaussians(u: Float[Tensor, "S B I"], intervals: int, width: float = 1.0) -> Float[Tensor, "S B I C"]:
    """Return exp(-((u - c) / h)^2) for the knots c = -1 .. 1, h = width * 2 / intervals (FastKAN's form at width 1)."""
    centres = torch.linspace(-1, 1, intervals + 1, dtype=u.dtype, device=u.device)
    return (-((u[..., None] - centres) * (intervals / (2 * width))).square()).exp()
