"""What the avalanche runner knows of a strategy of avalanche's: its class, its options, what it needs, what is corrected."""

import importlib
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, ClassVar, Protocol

from torch import Tensor

from kancl.errors import InputError, mark_hooks
from kancl.models import Network
from runners.config.policy import Policy
from runners.strategies.strategy import PART
from runners.strategies.tools.anchors import check_parameters_stay
from runners.stream.stream import Stream

HOOKS = ("check", "arguments", "find_template", "prepare", "data_of", "batches", "begin_task", "go_on")

Minibatch = list[Tensor]
"""What avalanche trains on at a step: inputs (B, I), targets (B,) or (B, O), task labels (B,)."""


class TrainsSeed(Protocol):
    """What a strategy can ask of the run of one seed.

    Args:
        seed: its number.
        tasks: how many tasks it has.
        policy: how they are trained.
    """

    seed: int
    tasks: int
    policy: Policy

    def native_batches(self, tasks: range, phase: int) -> Iterator[Minibatch]:
        """Yield the batches that the native runner trains on, without end.

        Args:
            tasks: whose training samples are seen, from 0.
            phase: from 0; names the random stream.
        """


class AvalancheStrategy:
    """A strategy of avalanche's as it is: a frozen dataclass whose fields are the arguments of avalanche's class.

    Class attributes say what the runner has to know; methods are overridden where it has to step in. Phases and tasks are
    numbered from 0; each seed is trained on its own, as a stack of one.

    Avalanche's EWC without any change::

        @avalanche_strategies.register("my-ewc")
        @dataclass(frozen=True)
        class MyEWC(AvalancheStrategy):
            template = "EWC"
            ewc_lambda: float = 1.0
    """

    template: ClassVar[str]
    """The class in ``avalanche.training.supervised``."""

    metrics: ClassVar[tuple[str, ...] | None] = None
    """The metrics that mean something under this strategy; None for all."""

    boundaries: ClassVar[bool] = True
    """Whether the strategy is trained task by task; otherwise in one go on all of them."""

    restarts: ClassVar[bool] = False
    """Whether every task begins with the initial weights, so that no state of an optimiser can be kept."""

    carried: ClassVar[tuple[str, ...] | None] = None
    """What avalanche's object carries from step to step, or task to task, beside the network, the optimiser, its clock and the
    global generators: attributes by name, such as ``EWCPlugin.importances`` of a plugin of that class, or
    ``storage_policy.buffer_groups`` of the strategy itself. A run that was stopped goes on at a step with it; where it is None
    nobody knows, and the seed begins anew. What may be in them is said in :mod:`runners.avalanche.carried`."""

    corrected: ClassVar[bool] = False
    """Whether something that avalanche does otherwise is put right; the remark `corrected` on results says so."""

    holds_parameters: ClassVar[bool] = False
    """Whether a parameter has to mean at later tasks what it meant at earlier ones."""

    classes_only: ClassVar[str | None] = None
    """Why the strategy is for classification only, or None."""

    no_heads: ClassVar[str | None] = None
    """Why the strategy cannot be used in the task-incremental setting, or None."""

    may_equal_naive: ClassVar[bool] = False
    """Whether nothing is done about the past on purpose: nothing to be warned of."""

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        mark_hooks(cls, PART, {hook: f"its method {hook}" for hook in HOOKS})

    def check(self, network: Network, stream: Stream, policy: Policy) -> None:
        """Raise an InputError if the strategy cannot be carried out here: before anything runs.

        Args:
            network: S networks with their initial weights; to be left as they are.
            stream: the tasks of all seeds.
            policy: the optimiser, its numbers and the steps.

        Raises:
            InputError: why not, and what to choose instead.
        """
        targets = stream.train[0].y
        if self.classes_only is not None and targets.is_floating_point():
            raise InputError(
                f"this strategy of avalanche's is for classes, and this scenario is a regression: {self.classes_only}"
            )
        if self.no_heads is not None and stream.heads is not None:
            raise InputError(f"this strategy of avalanche's does not serve tasks with heads of their own: {self.no_heads}")
        if self.holds_parameters:
            check_parameters_stay(network, stream)

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of avalanche's class, by name: by default the fields of the dataclass."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]

    def find_template(self) -> type[Any]:
        """Return avalanche's class."""
        found: type[Any] = getattr(importlib.import_module("avalanche.training.supervised"), self.template)
        return found

    def prepare(self, strategy: Any, run: TrainsSeed) -> None:
        """Step in after avalanche's strategy was made: the small overrides.

        Args:
            strategy: of avalanche's class; it and its plugins may be changed.
            run: of the seed.
        """

    def data_of(self, phase: int, tasks: int) -> range:
        """Return the tasks whose training samples are seen in a phase; by default the one of its number.

        Args:
            phase: from 0 to ``tasks - 1``.
            tasks: how many there are.
        """
        return range(phase, phase + 1)

    def batches(self, strategy: Any, run: TrainsSeed, phase: int) -> Iterator[Minibatch]:
        """Return the batches of a phase, without end; those of the native runner where avalanche has none of its own.

        What is drawn must follow from the seed and the phase alone.

        Args:
            strategy: of avalanche's class, with its memories as they are.
            run: of the seed.
            phase: from 0.
        """
        return run.native_batches(self.data_of(phase, run.tasks), phase)

    def begin_task(self, strategy: Any, run: TrainsSeed, phase: int) -> None:
        """Step in right before the first step of a task.

        Args:
            strategy: of avalanche's class, whose network has been told of the task.
            run: of the seed.
            phase: from 0.
        """

    def go_on(self, strategy: Any, run: TrainsSeed, steps: int) -> None:
        """Step in where a task goes on that was stopped: draw what its steps had drawn beside :meth:`batches`.

        Args:
            strategy: of avalanche's class, after :meth:`begin_task`, and with all that it carries.
            run: of the seed.
            steps: of the task that were taken.
        """


def find_plugin(strategy: Any, name: str) -> Any:
    """Return a plugin of an avalanche strategy.

    Args:
        strategy: of avalanche's class.
        name: of the plugin's class.
    """
    return next(plugin for plugin in strategy.plugins if type(plugin).__name__ == name)


def check_numbers(least: float, **numbers: float) -> None:
    """See that numbers are not too small.

    Args:
        least: what they must be at least.
        numbers: options by name.

    Raises:
        InputError: which one is, and what it is.
    """
    for name, value in numbers.items():
        if not value >= least:
            raise InputError(f"{name} must be at least {least:g}, got {value}")
