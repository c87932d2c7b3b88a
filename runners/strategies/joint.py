"""Joint: all tasks at once, the upper bound of what one network can hold."""

from dataclasses import dataclass

from runners.strategies.registry import strategies
from runners.strategies.strategy import Strategy


@strategies.register("joint")
@dataclass(frozen=True)
class Joint(Strategy):
    """Train on the samples of all tasks together in every phase (upper bound).

    Steps and batch size are those of the sequential strategies, so a run takes as many optimiser steps; with mini-batches it
    sees each sample as often as they do, with full batches, which hold all tasks, T times as often. There are no task
    boundaries: the optimiser's state is never reset. There is no order of tasks either, so only final scores are reported.
    """

    metrics = ("final_score",)
    boundaries = False

    def data_of(self, phase: int, tasks: int) -> range:
        """Return all tasks."""
        return range(tasks)
