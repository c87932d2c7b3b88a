"""KAN with Chebyshev polynomials on its edges: a global basis (ChebyKAN; Sidharth et al., arXiv 2405.07200)."""

from functools import partial
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from kancl.errors import InputError
from kancl.models.architecture import Network, Problem
from kancl.models.edge_basis import edge_network
from kancl.models.registry import architectures


@architectures.register("kan-chebyshev")
def kan_chebyshev(
    problem: Problem,
    *,
    hidden: tuple[int, ...] = (8,),
    degree: int = 7,
    outside: Literal["clamp", "tanh"] = "clamp",
    base: Literal["silu", "none"] = "silu",
    bias: bool = False,
    noise: float = 0.1,
    range: tuple[float, float] | None = None,
    hidden_range: tuple[float, float] = (-1.0, 1.0),
    layernorm: bool = False,
    regularization: float = 0.0,
) -> Network:
    """KAN with a Chebyshev polynomial on every edge: edge-wise like `kan`, but every coefficient matters everywhere.

    Args:
        hidden: widths of the hidden layers; ``[]`` gives a network without any.
        degree: of the polynomials, at least 0; an edge has degree + 1 coefficients.
        outside: what happens beyond the range, where polynomials explode. ``clamp`` holds the value at the end: exact
            polynomials on the range, no gradient in the input beyond it. ``tanh`` squashes the whole line into the range, as
            ChebyKAN does: gradient everywhere, but even the range itself is bent (its ends come to +-0.76).
        base: the branch w silu(x) beside each polynomial.
        bias: a constant per unit.
        noise: size of the initial coefficients, (u - 1/2) * noise / (degree + 1).
        range: range of the first layer's inputs; the scenario's if not given.
        hidden_range: range of the other layers' inputs.
        layernorm: standardise the inputs of every layer but the first.
        regularization: weight of the mean absolute coefficient, summed over the edges.
    """
    if degree < 0:
        raise InputError(f"the degree of a polynomial must be at least 0, got {degree}")
    return edge_network(
        problem, partial(chebyshev, degree=degree, outside=outside), degree + 1,
        hidden=hidden, base=base, bias=bias, noise=noise, range=range, hidden_range=hidden_range,
        layernorm=layernorm, regularization=regularization,
    )  # fmt: skip


def chebyshev(u: Float[Tensor, "S B I"], degree: int, outside: str = "clamp") -> Float[Tensor, "S B I C"]:
    """Return T_0(v) .. T_degree(v), v = u held within [-1, 1] or tanh(u).

    By T_{m+j} = 2 T_m T_j - T_{m-j} (Abramowitz and Stegun, 22.7.24), which doubles the known degrees at every step. Unlike
    cos(n arccos v) it has the right gradient at the ends too, and it takes a fifth of the usual recursion's time at degree 200.
    """
    v = u.tanh() if outside == "tanh" else u.clamp(-1, 1)
    values = torch.stack([torch.ones_like(v) + 0 * v, v], dim=-1)  # not plain ones: NaN must show for degree 0 as well
    while (known := values.shape[-1]) <= degree:
        further = slice(1, min(known, degree + 2 - known))
        values = torch.cat([values, 2 * values[..., -1:] * values[..., further] - values.flip(-1)[..., further]], dim=-1)
    return values[..., : degree + 1]
