"""Optimiser steps: learners, which take a stack of networks through a number of them.

Two kinds: ``StackedLearner`` updates all seeds in one program; ``SeedwiseLearner`` serves L-BFGS, whose line search takes
another number of evaluations for every seed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.optim import LBFGS, Optimizer

from kancl.errors import Foreign
from kancl.models import Network, copy_seed, take_seed
from kancl.models.architecture import BACKWARD
from runners.config.policy import Policy
from runners.measure.record import never
from runners.strategies import State, Step, Strategy
from runners.stream.batches import Batch
from runners.training.optimizers import make_optimizer, set_rate
from runners.training.updates import clip_by_seed
from scenarios.objectives import Objective
from scenarios.task import Operator

LINE_SEARCH = 25
"""Evaluations that one line search may take. torch's default bounds them by the iterations asked for, so that one iteration
at a time would have no line search at all: the step would stay at 0 for good as soon as the first trial is not accepted."""


OPERATOR = Foreign("scenario", "its operator")

Ask = Callable[[], bool]
"""Tells, after a step, whether to take no more for now."""


class Learner(Protocol):
    """Takes steps, and can be saved between them.

    ``state`` is the strategy's, current for the task in training; ``rates`` gives the learning rates of the coming steps, or
    is None where they are the policy's own.
    """

    state: State
    rates: Iterator[float] | None

    def take_steps(self, source: Iterator[Batch], count: int, pause: Ask = never) -> int:
        """Take ``count`` optimiser steps on the next batches, or fewer if ``pause`` asks for it, and return how many."""

    def state_dict(self) -> Any:
        """Return the optimiser's state, as tensors and plain values."""

    def load_state_dict(self, state: Any) -> None:
        """Go on from a saved state."""


@dataclass(frozen=True, eq=False)
class Lesson:
    """How a stack of networks is taught: what stays the same from the first step of a phase to the last.

    Args:
        network: the networks, trained in place.
        policy: the optimiser and its settings.
        objective: the scenario's loss.
        strategy: whose hooks are called inside every step.
        operator: of the networks, trained instead of their outputs if given.
    """

    network: Network
    policy: Policy
    objective: Objective
    strategy: Strategy
    operator: Operator | None = None


def take_each(step: Callable[[Batch], None], source: Iterator[Batch], count: int, pause: Ask) -> int:
    """Take steps one by one, and return how many: all, or as many as were taken when a pause was due.

    Args:
        step: takes one.
        source: gives the batches.
        count: how many there are to take.
        pause: is asked after each.
    """
    for taken in range(1, count + 1):
        step(next(source))
        if pause():
            return taken
    return count


class StackedLearner:
    """Adam, AdamW or SGD on the stacked parameters.

    The loss that is differentiated is the sum over seeds of each seed's mean loss, so no seed's gradient depends on another
    seed. These optimisers act on each number alone, so one optimiser serves all seeds.
    """

    def __init__(self, lesson: Lesson, state: State) -> None:
        self.lesson, self.state = lesson, state
        self.rates: Iterator[float] | None = None
        named = lesson.network.named_parameters()
        self.optimizer = make_optimizer([(name, p) for name, p in named if p.requires_grad], lesson.policy)

    def take_steps(self, source: Iterator[Batch], count: int, pause: Ask = never) -> int:
        """Take steps for all seeds at once."""
        return take_each(self.step, source, count, pause)

    def step(self, batch: Batch) -> None:
        """Take one step."""
        if self.rates is not None:
            set_rate(self.optimizer, next(self.rates))
        network, strategy, clip = self.lesson.network, self.lesson.strategy, self.lesson.policy.clip
        self.optimizer.zero_grad()
        step, _ = _differentiate(self.lesson, network, batch, self.state)
        strategy.correct(self.state, step)
        if clip is not None:
            clip_by_seed((p.grad for p in network.parameters() if p.grad is not None), clip)
        self.optimizer.step()
        strategy.after_step(self.state, step)

    def state_dict(self) -> Any:
        """Return torch's state of the optimiser."""
        return self.optimizer.state_dict()

    def load_state_dict(self, state: Any) -> None:
        """Go on from a saved state."""
        self.optimizer.load_state_dict(state)


class SeedwiseLearner:
    """L-BFGS (strong Wolfe line search, history 10), one iteration per step, seed by seed.

    torch's tolerances are switched off: they would end the toy's training at an RMSE of 4e-5, ten times the paper's.
    """

    def __init__(self, lesson: Lesson, state: State) -> None:
        self.lesson, self.state = lesson, state
        self.rates: Iterator[float] | None = None
        network, policy = lesson.network, lesson.policy
        self.singles = [take_seed(network, s) for s in range(len(next(network.parameters())))]
        self.optimizers = [
            LBFGS(
                single.parameters(), lr=policy.lr, max_iter=1, max_eval=1 + LINE_SEARCH, history_size=10,
                line_search_fn="strong_wolfe", tolerance_grad=0.0, tolerance_change=0.0,
            )
            for single in self.singles
        ]  # fmt: skip

    def take_steps(self, source: Iterator[Batch], count: int, pause: Ask = never) -> int:
        """Take each step seed by seed, and write the networks back into the stack."""
        return take_each(self.step, source, count, pause)

    def step(self, batch: Batch) -> None:
        """Take one step."""
        lesson = self.lesson
        acts = lesson.strategy.acts_in("after_step")
        for s, (single, optimizer) in enumerate(zip(self.singles, self.optimizers, strict=True)):
            # The networks may have been changed from outside since the last step, by a grid update for example.
            copy_seed(lesson.network, s, single, 0)
            own_state, own = {name: tensor[s : s + 1] for name, tensor in self.state.items()}, batch.of_seed(s)
            optimizer.step(self._closure(single, optimizer, own, own_state))
            if acts:
                step = Step(single, own, _trained(single, own, lesson.operator), lesson.objective)
                lesson.strategy.after_step(own_state, step)
            copy_seed(single, 0, lesson.network, s)

    def _closure(self, single: Network, optimizer: Optimizer, batch: Batch, state: State) -> Callable[[], Tensor]:
        def closure() -> Tensor:
            optimizer.zero_grad(set_to_none=True)
            step, extra = _differentiate(self.lesson, single, batch, state)
            total = self.lesson.objective.loss(step.outputs.detach(), batch.y, batch.mask).sum()
            return total if extra is None else total + extra

        return closure

    def state_dict(self) -> Any:
        """Return every seed's L-BFGS history."""
        return [optimizer.state_dict() for optimizer in self.optimizers]

    def load_state_dict(self, state: Any) -> None:
        """Go on from saved histories."""
        for optimizer, saved in zip(self.optimizers, state, strict=True):
            optimizer.load_state_dict(saved)


def _trained(network: Network, batch: Batch, operator: Operator | None) -> Tensor:
    """Return what is trained to meet the batch's targets: the outputs, or the operator's values."""
    if operator is None:
        return network(batch.x)
    with OPERATOR:
        return operator(network, batch.x)


def _differentiate(lesson: Lesson, network: Network, batch: Batch, state: State) -> tuple[Step, Tensor | None]:
    """Add the gradient of the sum over seeds of loss and penalties, to each seed's part of which that seed alone contributes.

    ``network`` is the lesson's, or one seed of it. Returns the step and the sum of the penalties, if there are any.
    """
    objective, strategy, operator = lesson.objective, lesson.strategy, lesson.operator
    outputs = _trained(network, batch, operator)
    step = Step(network, batch, outputs, objective)
    roots, gradients = [], []
    if operator is None or outputs.requires_grad:  # not every network bears on an operator's values: no line has a curvature
        roots, gradients = [outputs], [objective.gradient(outputs.detach(), batch.y, batch.mask)]
    penalties = [extra.sum() for extra in (network.penalty(), strategy.penalty(state, step)) if extra is not None]
    for penalty in penalties:
        if penalty.requires_grad:
            roots.append(penalty)
            gradients.append(torch.ones_like(penalty))
    if roots:
        with BACKWARD:
            torch.autograd.backward(roots, gradients)
    return step, torch.stack(penalties).sum().detach() if penalties else None
