"""Multi-layer perceptrons: the global opponent."""

from collections.abc import Callable
from itertools import pairwise
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from kancl.errors import InputError
from kancl.models.architecture import Network, Problem
from kancl.models.layers import StackedLinear
from kancl.models.registry import architectures

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "silu": functional.silu,
    "gelu": functional.gelu,
    "tanh": functional.tanh,
}


@architectures.register("mlp")
def mlp(
    problem: Problem,
    *,
    hidden: tuple[int, ...] = (64,),
    activation: Literal["relu", "silu", "gelu", "tanh"] = "relu",
) -> Network:
    """Multi-layer perceptron: linear layers and one fixed activation; every weight matters everywhere.

    Args:
        hidden: widths of the hidden layers.
        activation: applied after every layer but the last.
    """
    if any(width < 1 for width in hidden):
        raise InputError(f"hidden widths must be positive, got {list(hidden)}")
    generators, widths = problem.generators(), (problem.inputs, *hidden, problem.outputs)
    layers = [StackedLinear(i, o, generators, problem.dtype) for i, o in pairwise(widths)]
    return MLP(layers, activation)


class MLP(Network):
    """S multi-layer perceptrons; see :func:`mlp`."""

    def __init__(self, layers: list[StackedLinear], activation: str) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: Float[Tensor, "S B I"]) -> Float[Tensor, "S B O"]:
        """Evaluate network s on batch s."""
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        return self.layers[-1](x)
