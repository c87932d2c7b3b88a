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
        inputs, outputs: the widths of the first and the last layer.
        seeds: one network is made for each; a seed gives the same weights whatever the others are.
        low, high: the range of each input, for architectures with a grid.
        stream: what else names the random stream of the weights; a second value gives a second, independent network.
        dtype: of the parameters.
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
    """A stack of S networks of one architecture; every parameter and buffer has shape (S, ...)."""

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
        """Evaluate network s on batch s."""

    def penalty(self) -> Float[Tensor, "S"] | None:
        """Return what the architecture adds to each seed's loss, or None."""
        return None

    @torch.no_grad()
    def begin_task(self, x: Float[Tensor, "S N I"]) -> None:
        """Look at the inputs of a task that is about to be learned; most architectures ignore them."""
        return

    def make_room(self, state: Mapping[str, Tensor]) -> None:
        """Take the shapes that a saved state needs; called before it is loaded, for architectures that grow."""
        return


LARGEST = 2**26
"""Numbers of one parameter of one network at most; Adam keeps three of each."""
MOST = 2**30
"""Numbers of one parameter at most, of all networks of a stack together."""


def stacked(generators: list[torch.Generator], draw: Callable[[torch.Generator], Tensor]) -> nn.Parameter:
    """Return one parameter whose slice s was drawn from generator s.

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

    Raises:
        InputError: it would be too large.
    """
    if math.prod(shape) > LARGEST:
        raise InputError(
            f"a parameter of {' x '.join(map(str, shape))} numbers holds more than the {LARGEST:,} of the largest; take a "
            "smaller network"
        )
    return lambda g: (2 * torch.rand(*shape, generator=g, dtype=dtype) - 1) * bound


def parameters_per_seed(network: Network) -> int:
    """Return how many numbers one of the S networks trains."""
    return sum(parameter[0].numel() for parameter in network.parameters() if parameter.requires_grad)


def take_seed(network: Network, s: int) -> Network:
    """Return a copy of network s alone, as a stack of one."""
    single = copy.deepcopy(network)
    for module in single.modules():
        for name, parameter in module.named_parameters(recurse=False):
            setattr(module, name, nn.Parameter(parameter.detach()[s : s + 1].clone(), parameter.requires_grad))
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, buffer[s : s + 1].clone())
    return single


@torch.no_grad()
def copy_seed(source: Network, i: int, target: Network, j: int) -> None:
    """Copy network i of one stack over network j of another, buffers included."""
    ours = target.state_dict()
    for name, tensor in source.state_dict().items():
        ours[name][j].copy_(tensor[i])
