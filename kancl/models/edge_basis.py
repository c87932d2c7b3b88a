"""Networks of edge functions in any basis: what `kan-chebyshev`, `kan-fourier` and `kan-rbf` share.

They are the KAN with another basis on its edges, so that a comparison with `kan` changes the locality of the basis alone. The
basis is a pure function of the place u of an input in its range, -1 at the lower end and 1 at the upper one, and makes a
tensor with an axis of all C coefficients: unlike a spline's, none of its functions can be skipped.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from kancl.errors import InputError
from kancl.models.architecture import Network, Problem, stacked, uniform

Basis = Callable[[Float[Tensor, "S B I"]], Float[Tensor, "S B I C"]]


class BasisLayer(nn.Module):
    """y_o = sum_i sum_c coef_ico phi_c(u(x_i)) + base_io silu(x_i), plus bias_o; the last two are optional.

    u(x) = 2 (x - low) / (high - low) - 1. Coefficients start as noise (u - 1/2) * noise / C with u from U(0, 1); for a basis
    bounded by 1 no edge function exceeds noise / 2. Base weights start at U(-1, 1)/sqrt(I), biases at 0.

    Args:
        low, high: the range per seed and input.
        basis: the functions phi_0 .. phi_{C-1}, of the place in the range.
        coefficients: C.
    """

    def __init__(
        self,
        low: Float[Tensor, "S I"],
        high: Float[Tensor, "S I"],
        outputs: int,
        generators: list[torch.Generator],
        *,
        basis: Basis,
        coefficients: int,
        noise: float,
        base: bool,
        bias: bool,
    ) -> None:
        super().__init__()
        seeds, inputs = low.shape
        dtype = low.dtype
        self.basis = basis
        self.register_buffer("low", low.clone())
        self.register_buffer("high", high.clone())
        self.low: Tensor
        self.high: Tensor
        bound = noise / (2 * coefficients)
        self.coef = stacked(generators, uniform(inputs, coefficients, outputs, bound=bound, dtype=dtype))
        base_weights = stacked(generators, uniform(inputs, outputs, bound=inputs**-0.5, dtype=dtype)) if base else None
        self.register_parameter("base", base_weights)
        self.register_parameter("bias", nn.Parameter(torch.zeros(seeds, 1, outputs, dtype=dtype)) if bias else None)
        self.base: nn.Parameter | None
        self.bias: nn.Parameter | None

    def forward(self, x: Float[Tensor, "S B I"]) -> Float[Tensor, "S B O"]:
        """Apply layer s to batch s."""
        y = _product(self.usage(x).flatten(2), self.coef.flatten(1, 2))
        if self.base is not None:
            y = y + _product(functional.silu(x), self.base)
        return y if self.bias is None else y + self.bias

    def usage(self, x: Float[Tensor, "S B I"]) -> Float[Tensor, "S B I C"]:
        """Return the value at each point of the basis function that belongs to each coefficient; see kancl.locality."""
        return self.basis(2 * (x - self.low[:, None]) / (self.high - self.low)[:, None] - 1)

    def off_grid(self, x: Float[Tensor, "S B I"]) -> Bool[Tensor, "S B I"]:
        """Tell which points lie beyond the range of the basis."""
        return (x < self.low[:, None]) | (x > self.high[:, None])


class BasisNetwork(Network):
    """S networks of edge functions in one basis; see :func:`edge_network`."""

    def __init__(self, layers: list[BasisLayer], *, layernorm: bool, regularization: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.layernorm = layernorm
        self.regularization = regularization

    def forward(self, x: Float[Tensor, "S B I"]) -> Float[Tensor, "S B O"]:
        """Evaluate network s on batch s."""
        for number, layer in enumerate(self.layers):
            x = layer(functional.layer_norm(x, x.shape[-1:]) if self.layernorm and number else x)
        return x

    def penalty(self) -> Float[Tensor, "S"] | None:
        """Return regularization * sum over edges of the mean |coefficient|, as for the KAN."""
        if not self.regularization:
            return None
        sizes = torch.stack([layer.coef.abs().mean(2).sum((1, 2)) for layer in self.layers])  # type: ignore[operator]
        return self.regularization * sizes.sum(0)


def edge_network(
    problem: Problem,
    basis: Basis,
    coefficients: int,
    *,
    hidden: tuple[int, ...],
    base: str,
    bias: bool,
    noise: float,
    range: tuple[float, float] | None,
    hidden_range: tuple[float, float],
    layernorm: bool,
    regularization: float,
) -> BasisNetwork:
    """Return a network with C coefficients on every edge.

    Args:
        problem: what it is built for.
        basis: gives the C basis functions at points (S, B, I) within the range, (S, B, I, C).
        coefficients: C.
        hidden: widths of the hidden layers.
        base, bias, noise, range, hidden_range, layernorm, regularization: options as those of :func:`kancl.models.kan.kan`.

    Raises:
        InputError: widths below 1, a negative noise or regularization, or a range without low < high.
    """
    if any(width < 1 for width in hidden):
        raise InputError(f"hidden widths must be positive, got {list(hidden)}")
    if noise < 0 or regularization < 0:
        raise InputError(f"noise and regularization must not be negative, got {noise} and {regularization}")
    generators = problem.generators()
    layers = []
    for number, (inputs, outputs) in enumerate(pairwise((problem.inputs, *hidden, problem.outputs))):
        low, high = input_range(problem, inputs, hidden_range if number else range)
        layers.append(
            BasisLayer(
                low, high, outputs, generators,
                basis=basis, coefficients=coefficients, noise=noise, base=base == "silu", bias=bias,
            )
        )  # fmt: skip
    return BasisNetwork(layers, layernorm=layernorm, regularization=regularization)


def input_range(
    problem: Problem, inputs: int, given: tuple[float, float] | None
) -> tuple[Float[Tensor, "S I"], Float[Tensor, "S I"]]:
    """Return the ends of a layer's inputs: ``given`` for all of them, or else the problem's own.

    Args:
        problem: tells the seeds, the type of numbers, and the range of the network's inputs.
        inputs: of the layer.
        given: (low, high), or None.

    Raises:
        InputError: not finite low < high.
    """
    if given is None:
        low, high = problem.low.to(problem.dtype), problem.high.to(problem.dtype)
    else:
        low, high = (torch.full((len(problem.seeds), inputs), end, dtype=problem.dtype) for end in given)
    wrong = ~((high > low) & (high - low).isfinite())
    if bool(wrong.any()):
        ends = low[wrong][0].item(), high[wrong][0].item()
        raise InputError(f"a range needs finite low < high, got low {ends[0]:g} and high {ends[1]:g}")
    return low, high


def _product(x: Float[Tensor, "S B I"], weight: Float[Tensor, "S I O"]) -> Float[Tensor, "S B O"]:
    """Return x[s] @ weight[s]; for one output, stacked matrix products take more than twice as long."""
    return torch.linalg.vecdot(x, weight.mT)[..., None] if weight.shape[2] == 1 else x @ weight
