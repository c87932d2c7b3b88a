"""How a learner treats the past: the hooks that the training loop calls, in the order in which it calls them.

State is explicit: a dictionary of tensors, each with the seed axis first, that ``start`` makes, ``begin_task`` and ``end_task``
replace, and the store saves. A strategy object itself holds only its options.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from kancl.errors import mark_hooks
from kancl.models import Network
from runners.config.policy import Policy
from runners.stream.batches import Batch
from runners.stream.samples import Samples
from runners.stream.stream import Stream
from scenarios.objectives import Objective

State = dict[str, Tensor]

PART = "strategy"
HOOKS = (
    "check", "data_of", "starts_anew", "start", "begin_task", "expect", "batches", "penalty", "correct", "after_step",
    "end_task", "parameters_for",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Step:
    """One training step, as the hooks inside it see it.

    Under L-BFGS it is that of one seed, a stack of one, and ``penalty`` is called at every trial of the line search.

    Args:
        network: the networks in training.
        batch: what they are trained on; ``batch.extra`` is what the strategy's own ``batches`` gave along.
        outputs: the networks' on the batch, with their graph; where the scenario trains an operator of them, its values.
        objective: the scenario's loss, its gradient and its scores.
    """

    network: Network
    batch: Batch
    outputs: Float[Tensor, "S B O"]
    objective: Objective


class Strategy:
    """Hooks of the training loop; the defaults make the naive strategy.

    A strategy is a frozen dataclass whose fields are its options. It overrides the hooks that it needs; everything that it
    remembers goes through the state, so that a stopped run goes on where it was. Shapes: S seeds, B samples of a batch, N of a
    task, I inputs, O outputs, T tasks. Phases and tasks are numbered from 0.

    A strategy that pulls the parameters to where the last task left them:

    >>> from dataclasses import dataclass
    >>> from runners.strategies.tools.anchors import ANCHOR, named, quadratic_penalty, snapshot
    >>> @dataclass(frozen=True)
    ... class Pull(Strategy):
    ...     strength: float = 1.0
    ...
    ...     def penalty(self, state, step):
    ...         return quadratic_penalty(state, step.network, self.strength)
    ...
    ...     def end_task(self, state, network, samples, phase):
    ...         return {**state, **named(ANCHOR, snapshot(network))}
    """

    metrics: tuple[str, ...] | None = None
    """The metrics that mean something under this strategy; None for all."""

    boundaries: bool = True
    """Whether phases are tasks: only then is the optimiser reset, and the network told, when a phase begins."""

    judges_outputs: bool = False
    """Whether it compares the networks' outputs with training targets or older outputs; where a scenario trains an operator of
    them, these are its values, and it is refused."""

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        mark_hooks(cls, PART, {hook: f"its hook {hook}" for hook in HOOKS})

    def acts_in(self, *hooks: str) -> bool:
        """Tell whether any of the hooks of these names is the strategy's own.

        Args:
            hooks: of :data:`HOOKS`.

        >>> Strategy().acts_in("penalty", "correct")
        False
        """
        return any(getattr(type(self), hook) is not getattr(Strategy, hook) for hook in hooks)

    def check(self, network: Network, stream: Stream, policy: Policy) -> None:
        """Raise an InputError if the strategy cannot be carried out here: before anything runs.

        Args:
            network: S networks with their initial weights; to be left as they are.
            stream: the tasks of all seeds.
            policy: the optimiser, its numbers and the steps.

        Raises:
            InputError: why not, and what to choose instead.
        """

    def data_of(self, phase: int, tasks: int) -> range:
        """Return the tasks whose training samples are seen in a phase; by default the one of its number.

        Args:
            phase: from 0 to ``tasks - 1``; there are as many phases as tasks.
            tasks: T.
        """
        return range(phase, phase + 1)

    def starts_anew(self, phase: int) -> bool:
        """Tell whether a phase begins with freshly initialised networks.

        Args:
            phase: from 0.
        """
        return False

    def start(self, network: Network, stream: Stream) -> State:
        """Return the state before the first task: tensors by name, each (S, ...), on the stream's device.

        Args:
            network: S networks, before their first step (after pretraining, where there is any).
            stream: the tasks of all seeds.
        """
        return {}

    def begin_task(self, state: State, network: Network, samples: Samples, phase: int) -> State:
        """Return the state for training on a phase; the network has been told of it, no step has been taken.

        Args:
            state: that of ``start``, or of the last ``end_task``; not to be changed in place.
            network: S networks, as they begin the phase.
            samples: the training samples of the phase's tasks, x (S, N, I) and y (S, N, O) or class numbers (S, N).
            phase: from 0.
        """
        return state

    def expect(self, state: State, steps: int) -> State:
        """Return the state, told how many steps the phase will take; called after ``begin_task``.

        Args:
            state: that of ``begin_task``.
            steps: optimiser steps, at least 1.
        """
        return state

    def batches(self, state: State, source: Iterator[Batch], stream: Stream, phase: int) -> Iterator[Batch]:
        """Return the batches of a phase, made from those of its samples.

        What is drawn must follow from a seed and the phase alone (:func:`kancl.seeding.generator`): then a resumed run and
        any stack see the same.

        A run that goes on inside a phase calls this again, with the state as the phase began, takes the batches of the steps
        that are over once more and throws them away; only then are the state's tensors filled, in place, with what they held.
        So what an iterator counts or draws for itself is where it was, and what it reads from the state's tensors when a batch
        is asked for is what it would have been; what it drew by numbers that changed during the phase is not.

        Args:
            state: as the phase began.
            source: batches of the phase's samples without end, x (S, B, I); to be taken from as they are needed.
            stream: the tasks of all seeds.
            phase: from 0.
        """
        return source

    def penalty(self, state: State, step: Step) -> Float[Tensor, "S"] | None:
        """Return what is added to each seed's loss at every step, (S,), differentiable in the parameters; None adds nothing.

        A number of seed s must depend on network s alone.

        Args:
            state: that of the phase.
            step: the networks, their batch and their outputs on it.
        """
        return None

    def correct(self, state: State, step: Step) -> None:
        """Change the gradients that the parameters hold, in place, before they are clipped and used; not called under L-BFGS.

        Args:
            state: that of the phase.
            step: ``step.network``'s parameters p (S, ...) hold the gradients of each seed's loss, penalty included, in p.grad.
        """

    def after_step(self, state: State, step: Step) -> None:
        """Act after every optimiser step; may change the parameters, and the state's tensors, in place.

        Args:
            state: that of the phase.
            step: the networks after the step; the outputs are those before it (under L-BFGS those after it).
        """

    def end_task(self, state: State, network: Network, samples: Samples, phase: int) -> State:
        """Return the state for the next task.

        Args:
            state: that of the phase.
            network: S networks, as the phase left them.
            samples: the training samples of the phase's tasks.
            phase: from 0.
        """
        return state

    def parameters_for(self, state: State, network: Network, task: int) -> Mapping[str, Tensor] | None:
        """Return the parameters that answer for a task, from 0, when it is evaluated; None where the network's own do.

        Choosing them by the task gives it away at test time: for strategies that accept nothing but setting=task.

        Args:
            state: as it is at the time.
            network: S networks, whose parameters' names and shapes (S, ...) those that are returned have.
            task: from 0, learned already or not.
        """
        return None
