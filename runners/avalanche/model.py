"""One network of a stack as avalanche sees it, and the scenario's loss."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn
from torch.nn import functional

from kancl.models import Network

INACTIVE = -torch.inf
"""The output of a unit that is not active: no share in a softmax, and told by the loss of a regression."""


class Single(nn.Module):
    """A stack of one network as a module that maps (B, I) to (B, O).

    Args:
        network: a stack of one.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Float[Tensor, "B I"]) -> Float[Tensor, "B O"]:
        """Evaluate the network."""
        outputs: Tensor = self.network(x[None])[0]
        return outputs

    @contextmanager
    def inactive_as(self, value: float) -> Iterator[None]:
        """Do nothing: all units are active."""
        yield


class Headed:
    """What :func:`headed` adds to avalanche's ``MultiTaskModule``: heads are masks of active units, by task label."""

    network: Network
    masks: Bool[Tensor, "L O"]
    inactive: float

    def forward(self, x: Float[Tensor, "B I"], task_labels: Tensor | None = None) -> Any:
        """Evaluate the network; inactive units give ``inactive``.

        Without labels the answer is what avalanche's LwF asks for: the outputs by task label. They are unmasked, since it
        chooses the units of the classes that it distils itself.
        """
        outputs: Tensor = self.network(x[None])[0]
        if task_labels is None:
            return dict.fromkeys(range(len(self.masks)), outputs)
        return outputs.masked_fill(~self.masks[task_labels.to(x.device)], self.inactive)

    def adaptation(self, experience: Any) -> None:
        """Do nothing: all units are there from the beginning."""

    @contextmanager
    def inactive_as(self, value: float) -> Iterator[None]:
        """Let inactive units give another value for a while."""
        before, self.inactive = self.inactive, value
        try:
            yield
        finally:
            self.inactive = before


@cache
def _headed_class() -> type[Any]:
    base = importlib.import_module("avalanche.models").MultiTaskModule
    return type("HeadedNetwork", (Headed, base), {})


def as_module(network: Network, masks: Bool[Tensor, "L O"] | None) -> nn.Module:
    """Return a stack of one as a module for avalanche: with task labels where tasks have heads of their own."""
    if masks is None:
        return Single(network)
    module: nn.Module = _headed_class()()
    module.network = network
    module.register_buffer("masks", masks)
    module.inactive = INACTIVE  # type: ignore[assignment]
    return module


class Criterion(nn.Module):
    """The scenario's loss for one network: cross-entropy, or the mean squared error over active units.

    ``reduction`` is looked at and set by some of avalanche's strategies.
    """

    def __init__(self, classes: bool, heads: bool) -> None:
        super().__init__()
        self.classes, self.heads, self.reduction = classes, heads, "mean"

    def forward(self, outputs: Float[Tensor, "B O"], targets: Shaped[Tensor, "B ..."]) -> Tensor:
        """Return the mean loss, or each sample's."""
        if self.classes:
            return functional.cross_entropy(outputs, targets, reduction=self.reduction)
        if not self.heads:
            return functional.mse_loss(outputs, targets, reduction=self.reduction)
        active = ~torch.isneginf(outputs)
        # Both sides are filled before they are subtracted: the gradient of an infinity that is not used would be NaN.
        squares = (outputs.where(active, 0.0) - targets.where(active, 0.0)).square()
        return squares.sum() / active.sum()
