"""Smooth functions drawn at random, for targets of which nothing is special."""

import math
from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

FEATURES = 64
"""Cosines whose sum is a target; with a few dozen of them its values are nearly normal."""


def random_function(
    random: torch.Generator, dims: int, frequency: float, form: Literal["smooth", "additive"]
) -> Callable[[Float[Tensor, "N D"]], Float[Tensor, "N 1"]]:
    """Draw sqrt(2 / F) sum over k of cos(2 pi w_k . x + b_k): mean 0 and variance 1 at every x over the draws.

    Random Fourier features of a Gaussian kernel (Rahimi and Recht 2007).

    Args:
        random: draws the normal w_k and the uniform b_k.
        dims: D.
        frequency: root mean square of |w_k|, in periods per unit of length, whatever D.
        form: ``smooth``: w_k in any direction, the covariance of two points is exp(-2 (pi frequency)^2 |x - x'|^2 / D);
            ``additive``: along one axis each, in turn.
    """
    normal = torch.randn(FEATURES, dims, generator=random, dtype=torch.float64)
    if form == "additive":
        axis = torch.arange(FEATURES)[:, None] % dims == torch.arange(dims)
        waves = frequency * torch.where(axis, normal, 0.0)
    else:
        waves = frequency / math.sqrt(dims) * normal
    phases = torch.rand(FEATURES, generator=random, dtype=torch.float64)

    def function(x: Tensor) -> Tensor:
        return math.sqrt(2 / FEATURES) * torch.cos(2 * math.pi * (x.double() @ waves.T + phases)).sum(1, keepdim=True)

    return function
