"""What a network costs: parameters, active parameters and floating-point operations, of what is really stored and computed.

These are not the formulas of the literature, which count another implementation: those stand in ``kanbefair.py``. The fourth
cost, seconds per step, depends on the machine and is measured where networks are trained.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from kancl.models.architecture import BACKWARD, Network, parameters_per_seed


@dataclass(frozen=True)
class Cost:
    """The cost of one network of a stack.

    Args:
        parameters: trained numbers.
        active: those of them that can bear on the output at one sample; see :func:`active_parameters`.
        flops: operations of one forward pass of one sample; see :func:`count_flops`.
        step_flops: the same for forward and backward.
    """

    parameters: int
    active: int
    flops: float
    step_flops: float


@runtime_checkable
class Sparse(Protocol):
    """A module that knows how many of its trained numbers, per network, can bear on its output at one sample."""

    def active_parameters(self) -> int:
        """Return that number for the module and everything inside it."""


def cost_of(network: Network, x: Float[Tensor, "S B I"]) -> Cost:
    """Return the cost of one of the S networks on samples like x.

    Args:
        network: S networks; left as they are.
        x: a few samples, on the networks' device.
    """
    flops, step_flops = count_flops(network, x)
    return Cost(parameters_per_seed(network), active_parameters(network), flops, step_flops)


def active_parameters(network: nn.Module) -> int:
    """Return how many trained numbers of one network can bear on its output at one sample, at most.

    A B-spline of degree K reads K + 1 of its G + K coefficients at a point; the others may take any value there. A layer of
    which only a part is read says so by a method ``active_parameters`` (see :class:`Sparse`); of any other module every
    trained number counts. It is a property of the layer, not of the sample, and therefore declared, not measured: the
    non-zero entries of a gradient would miss the weights into a ReLU that happens to be off, or under a Gaussian that
    underflows, and off the grid all coefficients. At no sample can more entries than this be non-zero.

    Args:
        network: S networks, or a part of them.
    """
    return _active(network, set())


def _active(module: nn.Module, seen: set[nn.Module | nn.Parameter]) -> int:
    if module in seen:
        return 0
    seen.add(module)
    if isinstance(module, Sparse):
        return module.active_parameters()
    own = [p for p in module.parameters(recurse=False) if p.requires_grad and p not in seen]
    seen.update(own)
    return sum(p[0].numel() for p in own) + sum(_active(child, seen) for child in module.children())


def count_flops(network: Network, x: Float[Tensor, "S B I"]) -> tuple[float, float]:
    """Return the floating-point operations per sample and network: of a forward pass, and of one with its backward pass.

    Counted as torch's ``FlopCounterMode`` does: a multiplication and an addition are two, and only matrix products and
    operators with a registered formula count (``torch.ops.kancl.spline`` has one: K + 1 products per edge, and one for the
    base branch). Products that torch computes by other means (``vecdot``, ``embedding_bag``) are counted like the matrix
    products that they are. What is done once per unit or number is left out: activations, basis functions, the optimiser.

    Args:
        network: left as it is, gradients included.
        x: a few samples; what does not depend on their number is divided by it.
    """
    parameters = [p for p in network.parameters() if p.requires_grad]
    samples = x.shape[0] * x.shape[1]
    with torch.enable_grad(), FlopCounterMode(display=False) as counter, _AsMatrixProducts():
        outputs = network(x)
        forward = counter.get_total_flops()
        if outputs.requires_grad:
            with BACKWARD:
                torch.autograd.grad(outputs, parameters, torch.ones_like(outputs), allow_unused=True)
        both = counter.get_total_flops()
    return forward / samples, both / samples


class _AsMatrixProducts(TorchFunctionMode):
    """Sees to it that sums of products are computed as matrix products, which torch can count."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if func is torch.linalg.vecdot and given.get("dim", -1) == -1:
            one, other = args
            return (one.unsqueeze(-2) @ other.unsqueeze(-1)).squeeze(-1).squeeze(-1)
        if func is torch.baddbmm and all(len(tensor) > 1 and tensor.stride(0) == 0 for tensor in args[1:]):
            return func(*(tensor[:1] for tensor in args)).expand(len(args[1]), -1, -1)  # copies of one product
        if func is functional.embedding_bag and given.get("mode") == "sum" and args[0].ndim == 2:
            rows = args[1][args[0]]  # (M, L, O)
            weights = given.get("per_sample_weights")
            weights = torch.ones_like(rows[..., 0]) if weights is None else weights
            return (weights.unsqueeze(-2) @ rows).squeeze(-2)
        return func(*args, **given)
