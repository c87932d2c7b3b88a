"""Joint: all tasks at once, the upper bound of what one network can hold."""

from dataclasses import dataclass

from runners.strategies.registry import strategies
from runners.strategies.strategy import Strategy


@strategies.register("joint")
@dataclass(frozen=True)
class Joint(Strategy):
    """Train on the samples of all tasks together in every phase (upper bound).

    Phases, steps per phase and batch size are those of the sequential strategies, so that over the whole run every sample is
    seen equally often. There is no order of tasks, so only final scores are reported.
    """

    metrics = ("final_score",)

    def data_of(self, phase: int, tasks: int) -> range:
        """Return all tasks."""
        return range(tasks)
