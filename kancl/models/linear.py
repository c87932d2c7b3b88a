"""One linear layer: the floor of every comparison."""

from jaxtyping import Float
from torch import Tensor

from kancl.models.architecture import Network, Problem
from kancl.models.layers import StackedLinear
from kancl.models.registry import architectures


@architectures.register("linear")
def linear(problem: Problem) -> Network:
    """One linear layer with bias: what can be learned without any curve; I O + O parameters and no options."""
    return Linear(StackedLinear(problem.inputs, problem.outputs, problem.generators(), problem.dtype))


class Linear(Network):
    """S linear models y = x W + b; see :func:`linear`."""

    def __init__(self, layer: StackedLinear) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Float[Tensor, "S B I"]) -> Float[Tensor, "S B O"]:
        """Evaluate model s on batch s."""
        return self.layer(x)
