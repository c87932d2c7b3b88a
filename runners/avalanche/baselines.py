"""Avalanche's baselines: nothing done, everything seen, everything forgotten."""

from dataclasses import dataclass
from typing import Any, ClassVar

from runners.avalanche.registry import avalanche_strategies
from runners.avalanche.strategy import AvalancheStrategy


@avalanche_strategies.register("naive")
@dataclass(frozen=True)
class Naive(AvalancheStrategy):
    """Avalanche's Naive: train on each task as it comes.

    With the same batches and optimiser its weights are those of the native naive strategy, to rounding.
    """

    template: ClassVar[str] = "Naive"
    carried: ClassVar[tuple[str, ...] | None] = ()
    may_equal_naive: ClassVar[bool] = True


@avalanche_strategies.register("cumulative")
@dataclass(frozen=True)
class Cumulative(AvalancheStrategy):
    """Avalanche's Cumulative: train each task on the samples of all tasks so far.

    It takes as many steps of the same size as the others, not as many passes. Batches are drawn from all samples alike;
    avalanche's own loader would balance them over task labels.
    """

    template: ClassVar[str] = "Cumulative"
    carried: ClassVar[tuple[str, ...] | None] = ()

    def data_of(self, phase: int, tasks: int) -> range:
        """Return all tasks so far."""
        return range(phase + 1)


@avalanche_strategies.register("joint")
@dataclass(frozen=True)
class Joint(AvalancheStrategy):
    """Avalanche's JointTraining: train once on the samples of all tasks (upper bound).

    As many steps as all tasks of the others together; only final scores are reported. It is what the native joint strategy
    does, batch for batch. Avalanche's own loader would balance batches over task labels.
    """

    template: ClassVar[str] = "JointTraining"
    metrics: ClassVar[tuple[str, ...] | None] = ("final_score",)
    boundaries: ClassVar[bool] = False
    carried: ClassVar[tuple[str, ...] | None] = ()

    def data_of(self, phase: int, tasks: int) -> range:
        """Return all tasks."""
        return range(tasks)


@avalanche_strategies.register("from-scratch")
@dataclass(frozen=True)
class FromScratch(AvalancheStrategy):
    """Avalanche's FromScratchTraining: every task begins with the initial weights.

    The native independent strategy draws other initial weights for every task.
    """

    template: ClassVar[str] = "FromScratchTraining"
    carried: ClassVar[tuple[str, ...] | None] = ("FromScratchTrainingPlugin.initial_weights",)
    metrics: ClassVar[tuple[str, ...] | None] = ("learning_score", "learned")
    restarts: ClassVar[bool] = True
    holds_parameters: ClassVar[bool] = True

    def arguments(self) -> dict[str, Any]:
        """Leave the optimiser to the runner: avalanche's own reset takes no groups of parameters."""
        return {"reset_optimizer": False}
