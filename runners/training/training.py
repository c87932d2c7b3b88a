"""Networks in training, and what is carried from one phase to the next."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

from torch import Tensor

from kancl import options
from kancl.errors import InputError
from kancl.global_generators import unmoved
from kancl.models import Network
from runners.config.cell import Cell
from runners.config.policy import Policy
from runners.measure.evaluate import Answers
from runners.measure.recorder import LocalityRecorder
from runners.strategies import State, Strategy, strategies
from runners.stream.mixtures import seen_in
from runners.stream.samples import Samples, union
from runners.stream.stream import Stream
from runners.training.networks import build_network
from runners.training.steps import Learner


@dataclass
class Training:
    """Networks on their way through the phases of a stream, and what is carried from one phase to the next.

    Args:
        cell: the configuration.
        stream: the cell's scenario, on the device to train on.
        network: of all seeds.
        strategy: how they treat the past.
        state: the strategy's.
        recorder: looks at the networks at the ends of tasks, if the cell asks for it.
        done: the phases that are over.
        learner: of the last phase.
        learned: the state of an optimiser to go on with; None for a fresh one.
    """

    cell: Cell
    stream: Stream
    network: Network
    strategy: Strategy
    state: State = field(default_factory=dict)
    recorder: LocalityRecorder | None = None
    done: int = 0
    learner: Learner | None = None
    learned: Any = None
    _union: tuple[tuple[int, ...], Samples] | None = field(default=None, init=False)

    @property
    def policy(self) -> Policy:
        """How every phase is trained."""
        return self.cell.policy

    @property
    def tasks(self) -> int:
        """The number of tasks, each of which is a phase."""
        return len(self.stream.train)

    @property
    def mixed(self) -> bool:
        """Whether batches are mixtures of neighbouring tasks."""
        return is_mixed(self.strategy, self.stream)

    @property
    def boundaries(self) -> bool:
        """Whether phases are tasks: somebody is told when one begins."""
        return self.strategy.boundaries and not self.mixed

    @property
    def keeps(self) -> bool:
        """Whether the optimiser's state is carried from phase to phase."""
        return self.policy.state == "keep" or not self.boundaries

    @cached_property
    def step_counts(self) -> list[int]:
        """The steps of every phase."""
        return [self.policy.steps_per_task(samples.x.shape[1]) for samples in self.stream.train]

    def samples_of(self, tasks: Iterable[int]) -> Samples:
        """Return the training samples of some tasks as one set; those that were asked for last are kept."""
        numbers = tuple(tasks)
        if self._union is None or self._union[0] != numbers:  # joint's stay the same
            self._union = numbers, union([self.stream.train[number] for number in numbers])
        return self._union[1]

    def seen_in(self, phase: int) -> Samples:
        """Return the samples that a phase may see."""
        return self.samples_of(seen_in(phase, self.stream) if self.mixed else self.strategy.data_of(phase, self.tasks))

    def answers(self) -> Answers | None:
        """Return what gives the parameters that answer for a task; None where the networks' own always do."""
        if not self.strategy.acts_in("parameters_for"):
            return None
        return partial(self.strategy.parameters_for, self.state, self.network)


def training_of(cell: Cell, stream: Stream, network: Network | None = None, strategy: Strategy | None = None) -> Training:
    """Return the networks of a cell before their first phase.

    Args:
        cell: the configuration.
        stream: its scenario, on the device to train on.
        network: those that the cell describes if not given.
        strategy: that which the cell names if not given.
    """
    if strategy is None:
        strategy = options.build(strategies.get(cell.strategy.name), cell.strategy)
    return Training(cell, stream, build_network(cell, stream) if network is None else network, strategy)


def start(training: Training) -> None:
    """Let the strategy begin: after pretraining, before the first task."""
    with unmoved("the strategy's start"):
        training.state = checked(training.strategy.start(training.network, training.stream), training.stream)


def is_mixed(strategy: Strategy, stream: Stream) -> bool:
    """Tell whether a strategy's batches are mixtures of tasks."""
    return stream.blur > 0 and strategy.boundaries


def checked(state: State, stream: Stream) -> State:
    """Return what a hook gave as the strategy's state.

    Raises:
        InputError: it is none.
    """
    if not isinstance(state, dict):
        raise InputError(
            "a strategy's start, begin_task, expect and end_task must return its state, a dictionary, got "
            f"{type(state).__name__}"
        )
    for name, value in state.items():
        if not isinstance(value, Tensor) or value.ndim == 0 or len(value) != len(stream.seeds):
            shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise InputError(f"strategy state {name!r} must be a tensor with {len(stream.seeds)} seeds first, got {shape}")
    return state
