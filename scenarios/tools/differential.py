"""Differential operators of networks, for ``Scenario.operator``: an equation is trained instead of the values of its solution.

All are pure functions of inputs x (S, B, I) that :func:`variable` made and of what was computed from them, y (S, B, O). Sample
b of seed s is a point of its own: y[s, b] must depend on no other x than x[s, b], which holds for every architecture here.
What they return can be differentiated further, in the inputs and in the network's parameters.

    def operator(u, x):
        x = variable(x)
        return laplacian(u(x), x)

An MLP of ReLU units is linear between its kinks, and a table constant or linear between its tiles: their second derivatives
are 0, so that no equation of second order can be learned by them.
"""

import torch
from jaxtyping import Float
from torch import Tensor

Inputs = Float[Tensor, "S B I"]
Values = Float[Tensor, "S B O"]


def variable(x: Inputs) -> Inputs:
    """Return the same inputs as a variable that can be differentiated in; the samples given are left as they are.

    Args:
        x: as an operator gets them.
    """
    return x.detach().requires_grad_()


def gradient(y: Values, x: Inputs) -> Float[Tensor, "S B O I"]:
    """Return the derivatives of every output in every input, 0 for what does not depend on the inputs.

    Args:
        y: computed from x.
        x: made by :func:`variable`.

    >>> x = variable(torch.tensor([[[2.0, 3.0]]]))
    >>> gradient((x[..., :1] * x[..., 1:]), x).tolist()
    [[[[3.0, 2.0]]]]
    """
    return torch.stack([_derivatives(y[..., output], x) for output in range(y.shape[-1])], dim=-2)


def derivative(y: Values, x: Inputs, along: int) -> Values:
    """Return the derivative of every output in one input.

    Args:
        y: computed from x.
        x: made by :func:`variable`.
        along: the input's number, from 0.
    """
    return gradient(y, x)[..., along]


def second_derivative(y: Values, x: Inputs, along: int) -> Values:
    """Return the second derivative of every output in one input.

    Args:
        y: computed from x.
        x: made by :func:`variable`.
        along: the input's number, from 0.
    """
    return derivative(derivative(y, x, along), x, along)


def laplacian(y: Values, x: Inputs) -> Values:
    """Return the sum over the inputs of every output's second derivatives.

    Args:
        y: computed from x.
        x: made by :func:`variable`.
    """
    slopes = gradient(y, x)
    return torch.stack([derivative(slopes[..., i], x, i) for i in range(x.shape[-1])]).sum(0)


def _derivatives(y: Float[Tensor, "S B"], x: Inputs) -> Inputs:
    if not y.requires_grad:
        return torch.zeros_like(x)
    # The sum over seeds and samples: each of its terms depends on one x alone, so nothing is mixed.
    return torch.autograd.grad(y.sum(), x, create_graph=True, materialize_grads=True)[0]
