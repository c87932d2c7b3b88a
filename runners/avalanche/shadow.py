"""The shadow: naive training beside a strategy, to see whether the strategy does anything at all."""

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from kancl.errors import one_line
from runners.avalanche.strategy import Minibatch
from runners.config.policy import Policy
from runners.measure.record import MisfitError
from runners.training.optimizers import set_rate, torch_optimizer
from runners.training.updates import LazyUpdates, TakesSteps, clip_by_seed

APART = 1e-5
"""How far the weights must be from the shadow's, in parts of the way that the shadow went, to count as other ones."""


class Shadow:
    """A copy of the network that goes on naively from the second task's beginning, on the batches of naive training.

    It does what avalanche's Naive does, operation by operation, so a strategy without effect has the same weights to the
    bit. It ends at the first step at which the weights are apart, most often the second, so it costs next to nothing unless
    the strategy equals naive.
    """

    def __init__(self, module: nn.Module, policy: Policy, criterion: nn.Module) -> None:
        self.module, self.policy, self.criterion = copy.deepcopy(module), policy, criterion
        self.start = [parameter.detach().clone() for parameter in self.module.parameters()]
        self.source: Iterator[Minibatch] = iter(())
        self.optimizer: Any = None

    def begin_task(self, source: Iterator[Minibatch], state: dict[str, Any] | None) -> None:
        """Go on with a task.

        Args:
            source: the naive batches.
            state: of the strategy's optimiser, to take over when the shadow begins; None for a fresh one.
        """
        self.source = source
        if self.optimizer is None or self.policy.state == "reset":
            self._renew_optimizer()
            if state is not None:
                self.optimizer.load_state_dict(copy.deepcopy(state))

    def state(self) -> dict[str, Any]:
        """Return what it has to go on with."""
        return {
            "network": {name: tensor.clone() for name, tensor in self.module.state_dict().items()},
            "start": [values.clone() for values in self.start],
            "optimizer": copy.deepcopy(self.optimizer.state_dict()),
        }

    def go_on(self, state: dict[str, Any], steps: int = 0) -> None:
        """Put it to where it was.

        Args:
            state: as :meth:`state` gave it.
            steps: taken since the task that it trains on began.

        Raises:
            MisfitError: it is of another network.
        """
        try:
            self.module.load_state_dict(state["network"])
            self.start = [values.clone() for values in state["start"]]
            if self.optimizer is None:
                self._renew_optimizer()
            self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        except Exception as error:
            raise MisfitError(f"holds other networks than the cell's ({one_line(error)})") from error
        for _ in range(steps):
            next(self.source)

    def _renew_optimizer(self) -> None:
        self.optimizer = torch_optimizer(trained(self.module), self.policy)
        self.updates: TakesSteps = LazyUpdates(self.optimizer, self.optimizer) if self.policy.lazy else self.optimizer

    def step(self, rate: float | None) -> None:
        """Take one naive step."""
        if rate is not None:
            set_rate(self.optimizer, rate)
        x, y, labels = next(self.source)
        self.optimizer.zero_grad()
        network: Any = self.module.network
        loss = x.new_zeros(1)
        loss = loss + self.criterion(self.module(x, labels) if hasattr(self.module, "masks") else self.module(x), y)
        extra = network.penalty()
        if extra is not None:
            loss = loss + extra
        loss.backward()
        if self.policy.clip is not None:
            clip_by_seed((p.grad for p in self.module.parameters() if p.grad is not None), self.policy.clip)
        self.updates.step()

    @torch.no_grad()
    def is_apart(self, module: nn.Module) -> bool:
        """Tell whether a network's weights are other ones than the shadow's; what is not finite counts as apart."""
        own, other = list(self.module.parameters()), list(module.parameters())
        distance = _norm([a - b for a, b in zip(own, other, strict=True)])
        way = _norm([a - b for a, b in zip(own, self.start, strict=True)])
        return not bool(distance <= APART * way)


def trained(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Return the parameters that are trained, with their names."""
    return [(name, parameter) for name, parameter in module.named_parameters() if parameter.requires_grad]


def _norm(parts: list[Tensor]) -> Tensor:
    return torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(part.double()) for part in parts]))
