"""Averaged gradient episodic memory: no step against the mean loss on stored samples."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from kancl.models import Network
from runners.strategies.registry import strategies
from runners.strategies.strategy import State, Step, Strategy
from runners.strategies.tools.anchors import trained
from runners.strategies.tools.gradients import remember_stream
from runners.strategies.tools.memories import Balance, Replayed, carried, carrying, check_memory, keep, recall
from runners.stream.batches import Batch
from runners.stream.samples import Samples
from runners.stream.stream import Stream


@strategies.register("agem")
@dataclass(frozen=True)
class AGEM(Strategy):
    """Turn each gradient so that it does not raise the mean loss on stored samples (averaged GEM).

    With g the gradient of the step and r that of the mean loss on a batch of the memory, both over all parameters of a seed:

        g <- g - (g . r) / (r . r) r   where g . r < 0,   and g as it is elsewhere.

    Chaudhry et al. 2019, "Efficient lifelong learning with A-GEM" (arXiv 1812.00420), equation 11. Each seed is turned or not
    by itself. g holds what the architecture itself adds to the loss; it is turned before clipping, and the optimiser makes of
    it what it does: under Adam, or with decay, the step that follows need not be at a right angle to r.

    The memory takes in a task when it ends, and is drawn from as by ``replay``. L-BFGS is refused: it searches along the
    gradient of the loss alone.

    Args:
        memory: samples kept for each seed, >= 0.
        balance: ``balanced`` keeps as many of every task, as the paper does, and of every class of a task; ``reservoir`` gives
            every sample of the past the same chance.
        replayed: memory samples that r is the gradient on: a number, ``batch`` for as many as the task's batch has, or ``all``;
            never more than there are.
    """

    judges_outputs = True

    memory: int = 200
    balance: Balance = "balanced"
    replayed: Replayed = "batch"

    def __post_init__(self) -> None:
        check_memory(self.memory, self.replayed)

    def start(self, network: Network, stream: Stream) -> State:
        """Remember the seeds."""
        return remember_stream(stream)

    def batches(self, state: State, source: Iterator[Batch], stream: Stream, phase: int) -> Iterator[Batch]:
        """Give a draw from the memory along with every batch."""
        take = recall(state, stream, self.replayed, "agem", phase)
        return source if take is None else (carrying(batch, "reference", take(batch.x.shape[1])) for batch in source)

    def correct(self, state: State, step: Step) -> None:
        """Turn the gradients of the seeds whose step would raise the loss on the memory."""
        reference = carried(step.batch, "reference")
        if reference is None:
            return
        parameters = [parameter for parameter in trained(step.network).values() if parameter.grad is not None]
        outputs = step.network(reference.x)
        above = step.objective.gradient(outputs.detach(), reference.y, reference.mask)
        found = torch.autograd.grad(outputs, parameters, above, materialize_grads=True)
        pairs = [(parameter.grad, r) for parameter, r in zip(parameters, found, strict=True) if parameter.grad is not None]
        with torch.no_grad():
            along = torch.stack([torch.linalg.vecdot(g.flatten(1), r.flatten(1)) for g, r in pairs]).sum(0)
            length = torch.stack([r.flatten(1).square().sum(1) for _, r in pairs]).sum(0)
            factor = torch.where(along < 0, along / length, 0.0)
            for g, r in pairs:
                g.sub_(factor.view(-1, *[1] * (g.ndim - 1)) * r)

    def end_task(self, state: State, network: Network, samples: Samples, phase: int) -> State:
        """Take in the task."""
        return keep(state, samples, self.memory, self.balance, phase)
