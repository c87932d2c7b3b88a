"""What every architecture is: a network whose parameters and buffers carry the seed axis first.

A builder makes one for a :class:`Problem`; its other parameters are the architecture's options. Output heads, masks and
losses are no business of an architecture: they are handled once, by whoever trains it.
"""

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kancl.errors import Foreign, InputError, mark_hooks
from kancl.seeding import generator

PART = "architecture"
FORWARD, BACKWARD = Foreign(PART, "its forward pass"), Foreign(PART, "its backward pass")
"""Whose fault an error is; see :class:`kancl.errors.Foreign`."""


@dataclass(frozen=True, eq=False)
class Problem:
    """What a network is built for.

    Args:
        inputs, outputs: I and O, the widths of the first and the last layer.
        seeds: S of them; one network is made for each, and a seed gives the same weights whatever the others are.
        low, high: the range of each input, in the inputs' units, for architectures with a grid.
        stream: what else names the random stream of the weights; a second value gives a second, independent network.
        dtype: of the parameters.

    >>> problem = Problem(2, 1, (0, 7), low=-torch.ones(2, 2), high=torch.ones(2, 2))
    >>> stacked(problem.generators(), uniform(2, 1, bound=0.5, dtype=problem.dtype)).shape
    torch.Size([2, 2, 1])
    """

    inputs: int
    outputs: int
    seeds: tuple[int, ...]
    low: Float[Tensor, "S I"]
    high: Float[Tensor, "S I"]
    stream: int = 0
    dtype: torch.dtype = torch.float32

    def generators(self) -> list[torch.Generator]:
        """Return the stream of initial weights of every seed."""
        return [generator(seed, "weights", self.stream) for seed in self.seeds]


class Network(nn.Module, ABC):
    """A stack of S networks of one architecture; every parameter and buffer has shape (S, ...).

    Network s must depend on the seed s alone: its initial weights, outputs and gradients are the same alone and in a stack.
    Random numbers in training come from :class:`kancl.models.Draws`. :func:`kancl.models.check_architecture` sees to it.

    >>> class Linear(Network):
    ...     def __init__(self, problem: Problem) -> None:
    ...         super().__init__()
    ...         draw = uniform(problem.inputs, problem.outputs, bound=1.0, dtype=problem.dtype)
    ...         self.weight = stacked(problem.generators(), draw)  # (S, I, O)
    ...
    ...     def forward(self, x):
    ...         return x @ self.weight
    >>> ends = torch.ones(2, 3)
    >>> Linear(Problem(3, 1, (0, 1), low=-ends, high=ends))(torch.zeros(2, 5, 3)).shape
    torch.Size([2, 5, 1])
    """

    grows: bool = False
    """Whether :meth:`begin_task` may give parameters another shape; whoever trains them then needs a new optimiser."""

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        mark_hooks(cls, PART, {hook: f"its {hook}" for hook in ("penalty", "begin_task", "make_room")})

    def __call__(self, *arguments: Any, **more: Any) -> Any:
        """Call :meth:`forward`, whoever it is called by, so that an error in it is known to be this network's."""
        if torch.compiler.is_compiling():  # a compiler tells of its own errors, and follows no context of ours
            return super().__call__(*arguments, **more)
        with FORWARD:
            return super().__call__(*arguments, **more)

    @abstractmethod
    def forward(self, x: Float[Tensor, "S B I"]) -> Float[Tensor, "S B O"]:
        """Evaluate network s on batch s.

        Args:
            x: S batches of B samples of I inputs; batches of any size, that of one sample included.
        """

    def penalty(self) -> Float[Tensor, "S"] | None:
        """Return what the architecture adds to each seed's loss, differentiable in its parameters, or None.

        Called once for each forward pass in training, after it; what network s adds must depend on network s alone.
        """
        return None

    @torch.no_grad()
    def begin_task(self, x: Float[Tensor, "S N I"]) -> None:
        """Look at the inputs of a task that is about to be learned; most architectures ignore them.

        May change parameters and buffers in place; :attr:`grows` says that it may also give them another shape.

        Args:
            x: the N training samples of each seed.
        """
        return

    def make_room(self, state: Mapping[str, Tensor]) -> None:
        """Take the shapes that a saved state needs; called before it is loaded, for architectures that grow.

        Args:
            state: parameters and buffers by name, as ``state_dict`` gave them.
        """
        return


LARGEST = 2**26
"""Numbers of one parameter of one network at most; Adam keeps three of each."""
MOST = 2**30
"""Numbers of one parameter at most, of all networks of a stack together."""


def stacked(generators: list[torch.Generator], draw: Callable[[torch.Generator], Tensor]) -> nn.Parameter:
    """Return one parameter (S, ...) whose slice s was drawn from generator s.

    Args:
        generators: one for each seed, of :meth:`Problem.generators`.
        draw: makes the numbers (...) of one network.

    Raises:
        InputError: it would be too large.
    """
    drawn = [draw(generators[0])]
    if drawn[0].numel() * len(generators) > MOST:
        raise InputError(
            f"a parameter of {' x '.join(map(str, drawn[0].shape))} numbers for each of {len(generators):,} seeds holds "
            f"more than the {MOST:,} of the largest; take a smaller network or fewer seeds"
        )
    return nn.Parameter(torch.stack(drawn + [draw(g) for g in generators[1:]]))


def uniform(*shape: int, bound: float, dtype: torch.dtype) -> Callable[[torch.Generator], Tensor]:
    """Return a draw from U(-bound, bound).

    Args:
        shape: of the numbers of one network.
        bound: of their size.
        dtype: of the numbers.

    Raises:
        InputError: it would be too large.
    """
    if math.prod(shape) > LARGEST:
        raise InputError(
            f"a parameter of {' x '.join(map(str, shape))} numbers holds more than the {LARGEST:,} of the largest; take a "
            "smaller network"
        )
    return lambda g: torch.rand(*shape, generator=g, dtype=dtype).mul_(2).sub_(1).mul_(bound)


def parameters_per_seed(network: Network) -> int:
    """Return how many numbers one of the S networks trains.

    Args:
        network: S networks.
    """
    return sum(parameter[0].numel() for parameter in network.parameters() if parameter.requires_grad)


def take_seed(network: Network, s: int) -> Network:
    """Return a copy of network s alone, as a stack of one.

    Args:
        network: S networks; left as they are.
        s: the seed's place in the stack.
    """
    single = copy.deepcopy(network)
    for module in single.modules():
        for name, parameter in module.named_parameters(recurse=False):
            setattr(module, name, nn.Parameter(parameter.detach()[s : s + 1].clone(), parameter.requires_grad))
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, buffer[s : s + 1].clone())
    return single


@torch.no_grad()
def copy_seed(source: Network, i: int, target: Network, j: int) -> None:
    """Copy network i of one stack over network j of another, buffers included.

    Args:
        source: the stack that is read.
        i: a place in it.
        target: the stack that is changed, of the same architecture.
        j: a place in it.
    """
    ours = target.state_dict()
    for name, tensor in source.state_dict().items():
        ours[name][j].copy_(tensor[i])
