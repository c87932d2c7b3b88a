"""Cumulative: all tasks so far, again at every task."""

from dataclasses import dataclass

from runners.strategies.registry import strategies
from runners.strategies.strategy import Strategy


@strategies.register("cumulative")
@dataclass(frozen=True)
class Cumulative(Strategy):
    """Train on the samples of all tasks so far in every phase, going on with the same network.

    It throws nothing away, so it is the upper bound for strategies that learn the tasks in their order: as replay of
    everything, but with no samples of the new task set apart in every batch. Phases begin as for the other sequential
    strategies: the optimiser is reset if the policy says so, and a network that looks at a task's inputs looks at those of
    all tasks so far.

    A phase takes the steps that the policy gives for the task that is new in it, with its batch size; so a run takes as many
    optimiser steps as naive, and mini-batches see each sample of a union of t tasks 1/t as often in phase t. ``joint`` has
    all tasks from the first step on and no phases. avalanche's Cumulative runs its epochs over the whole union, so its phase t
    takes t times the steps for tasks of equal size; --steps or --epochs can be raised to the same sum.
    """

    def data_of(self, phase: int, tasks: int) -> range:
        """Return the tasks up to this phase's."""
        return range(phase + 1)
