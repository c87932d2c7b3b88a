"""Replay: samples of old tasks go into every batch."""

from collections.abc import Iterator
from dataclasses import dataclass

from kancl.models import Network
from runners.config.policy import Policy
from runners.strategies.registry import strategies
from runners.strategies.strategy import State, Strategy
from runners.strategies.tools.gradients import remember_stream
from runners.strategies.tools.memories import Balance, Replayed, check_draws, check_memory, joined, keep, recall
from runners.stream.batches import Batch
from runners.stream.samples import Samples
from runners.stream.stream import Stream


@strategies.register("replay")
@dataclass(frozen=True)
class Replay(Strategy):
    """Train on each task's batches together with stored samples of old tasks (experience replay).

    The loss of a step is the mean over the joined batch, (sum over B + sum over R) / (B + R), B of the task's samples and R of
    the memory's: Chaudhry et al. 2019, "On tiny episodic memories in continual learning" (arXiv 1902.10486), algorithm 1. Each
    sample counts over the outputs of its own task. The number of steps and B are those of the policy, so a step sees more
    samples than a naive one.

    The memory takes in a task when it ends, as if all its training samples had passed once in an order drawn by the seed; in
    the paper it also holds samples of the present task, which here are in every batch anyway. Samples are drawn from it without
    replacement until all have been replayed, then in a new order.

    Args:
        memory: samples kept for each seed, >= 0.
        balance: ``reservoir`` gives every sample of the past the same chance to be kept (Vitter 1985), so a larger task has
            more; ``balanced`` keeps as many of every task, and of every class of a task.
        replayed: memory samples per step: a number, ``batch`` for as many as the task's batch has, or ``all``; never more than
            there are. L-BFGS needs ``all``.
    """

    memory: int = 200
    balance: Balance = "reservoir"
    replayed: Replayed = "batch"

    def __post_init__(self) -> None:
        check_memory(self.memory, self.replayed)

    def check(self, network: Network, stream: Stream, policy: Policy) -> None:
        """Refuse L-BFGS on batches that change."""
        check_draws(self.memory, self.replayed, policy)

    def start(self, network: Network, stream: Stream) -> State:
        """Remember the seeds."""
        return remember_stream(stream)

    def batches(self, state: State, source: Iterator[Batch], stream: Stream, phase: int) -> Iterator[Batch]:
        """Join every batch with one of the memory."""
        take = recall(state, stream, self.replayed, "replay", phase)
        return source if take is None else (joined(batch, take(batch.x.shape[1])) for batch in source)

    def end_task(self, state: State, network: Network, samples: Samples, phase: int) -> State:
        """Take in the task."""
        return keep(state, samples, self.memory, self.balance, phase)
