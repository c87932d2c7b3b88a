"""KAN with truncated Fourier series on its edges: a global basis (FourierKAN; Xu et al., arXiv 2406.01034)."""

import math
from functools import partial
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from kancl.errors import InputError
from kancl.models.architecture import Network, Problem
from kancl.models.edge_basis import edge_network
from kancl.models.registry import architectures


@architectures.register("kan-fourier")
def kan_fourier(
    problem: Problem,
    *,
    hidden: tuple[int, ...] = (8,),
    frequencies: int = 4,
    period: float = 1.0,
    base: Literal["silu", "none"] = "silu",
    bias: bool = False,
    noise: float = 0.1,
    range: tuple[float, float] | None = None,
    hidden_range: tuple[float, float] = (-1.0, 1.0),
    layernorm: bool = False,
    regularization: float = 0.0,
) -> Network:
    """KAN with a truncated Fourier series on every edge: edge-wise like `kan`, but every coefficient matters everywhere.

    Beyond the range the series goes on periodically, so it stays bounded and keeps its gradient.

    Args:
        hidden: widths of the hidden layers; ``[]`` gives a network without any.
        frequencies: F >= 0; an edge has 2 F + 1 coefficients, of 1, cos(k phi) and sin(k phi) for k = 1 .. F.
        period: in lengths of the range. At 1 the functions are orthogonal on the range and take one value at both its ends;
            at 2 the ends are free.
        base: the branch w silu(x) beside each series.
        bias: a constant per unit.
        noise: size of the initial coefficients, (u - 1/2) * noise / (2 F + 1).
        range: range of the first layer's inputs; the scenario's if not given.
        hidden_range: range of the other layers' inputs.
        layernorm: standardise the inputs of every layer but the first.
        regularization: weight of the mean absolute coefficient, summed over the edges.
    """
    if frequencies < 0 or period <= 0:
        raise InputError(f"needs frequencies >= 0 and period > 0, got {frequencies} and {period}")
    return edge_network(
        problem, partial(fourier, frequencies=frequencies, period=period), 2 * frequencies + 1,
        hidden=hidden, base=base, bias=bias, noise=noise, range=range, hidden_range=hidden_range,
        layernorm=layernorm, regularization=regularization,
    )  # fmt: skip


def fourier(u: Float[Tensor, "S B I"], frequencies: int, period: float = 1.0) -> Float[Tensor, "S B I C"]:
    """Return 1, cos(k phi) and then sin(k phi) for k = 1 .. frequencies, with phi = pi (u + 1) / period."""
    phase = (math.pi / period) * (u + 1)[..., None]
    angles = phase * torch.arange(1, frequencies + 1, dtype=u.dtype, device=u.device)
    return torch.cat([torch.ones_like(phase) + 0 * phase, angles.cos(), angles.sin()], dim=-1)  # NaN must show in the 1 as well
