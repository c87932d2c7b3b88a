"""Penalties on outputs whose gradient is written out.

Where two distributions are equal, or an output is inactive, the gradient is 0, and what autograd leaves there is the rounding
of sums that ought to cancel, about 1e-8 in single precision. Adam divides a gradient by its size: it makes a full step of such
a number, and of 0 it makes none.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


def with_gradient(
    outputs: Float[Tensor, "S B O"], value: Float[Tensor, "S"], gradient: Float[Tensor, "S B O"]
) -> Float[Tensor, "S"]:
    """Return ``value`` as a function of the outputs whose gradient is ``gradient``.

    Args:
        outputs: with their graph.
        value: a number for each seed.
        gradient: of the sum of ``value`` over seeds, in the outputs.
    """
    given: Tensor = _Given.apply(outputs, value.detach(), gradient.detach())
    return given


class _Given(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, outputs: Tensor, value: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(gradient)
        return value.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, above: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return above[:, None, None] * gradient, None, None
