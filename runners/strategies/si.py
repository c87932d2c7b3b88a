"""Synaptic intelligence: parameters that brought the old tasks' losses down are held."""

from dataclasses import dataclass

import torch
from torch import Tensor

from kancl.errors import InputError
from kancl.models import Network
from kancl.models.tunable import tunable
from runners.config.policy import Policy
from runners.strategies.registry import strategies
from runners.strategies.strategy import State, Step, Strategy
from runners.strategies.tools.anchors import (
    ANCHOR,
    IMPORTANCE,
    check_parameters_stay,
    check_strength,
    move_anchor,
    named,
    snapshot,
    trained,
)
from runners.stream.samples import Samples
from runners.stream.stream import Stream

PATH, GRADIENT, LAST = "path/", "gradient/", "last/"


@strategies.register("si")
@tunable(strength=(0.01, 1e2))
@dataclass(frozen=True)
class SI(Strategy):
    """Hold parameters by what they did for the old tasks' losses while these were learned (synaptic intelligence).

    L(theta) + strength / 2 * sum_i Omega_i (theta_i - theta*_i)^2, with theta* at the end of the latest task and

        Omega_i = sum over old tasks of omega_i / (Delta_i^2 + xi),   omega_i = - sum over steps of g_i (change of theta_i),

    Delta_i being the parameter's change over the task. Zenke, Poole and Ganguli 2017 (arXiv 1703.04200), equations 3 to 5; the
    paper's c is strength / 2. g is the gradient of the loss at the beginning of the step, with what the architecture itself
    adds to it and without this penalty: the penalty's gradient, strength Omega (theta - theta*), is added by hand after g was
    read and before clipping. The change is whatever the optimiser did, Adam's moments and decay included, as in the paper.

    L-BFGS is refused: it searches along the gradient of the loss alone, and takes no added ones.

    Args:
        strength: of the penalty, >= 0.
        xi: damping of the division, > 0, in units of a squared parameter.
        clamp: count a negative omega of a task as 0. The paper's definition keeps it: a parameter that worked against the loss
            on balance is then pushed away from its old value, and at large strengths training can run away.
    """

    strength: float = 1.0
    xi: float = 0.1
    clamp: bool = False

    def __post_init__(self) -> None:
        check_strength(strength=self.strength)
        if not self.xi > 0:
            raise InputError(f"xi must be > 0, got {self.xi}")

    def check(self, network: Network, stream: Stream, policy: Policy) -> None:
        """Refuse networks whose parameters change their meaning."""
        check_parameters_stay(network, stream)

    def begin_task(self, state: State, network: Network, samples: Samples, phase: int) -> State:
        """Begin a path at the present parameters, which the last task ended with."""
        held = state or move_anchor(state, network, _zeros(network))  # in the first task there is no state
        own = {**named(PATH, _zeros(network)), **named(GRADIENT, _zeros(network)), **named(LAST, snapshot(network))}
        return {**held, **own}

    @torch.no_grad()
    def correct(self, state: State, step: Step) -> None:
        """Note the gradient of the loss, then add the penalty's."""
        for name, parameter in trained(step.network).items():
            gradient = state[GRADIENT + name]
            if parameter.grad is None:
                gradient.zero_()
                continue
            gradient.copy_(parameter.grad)
            pull = state[IMPORTANCE + name] * (parameter - state[ANCHOR + name])
            parameter.grad.add_(pull, alpha=self.strength)

    @torch.no_grad()
    def after_step(self, state: State, step: Step) -> None:
        """Go on with the path."""
        for name, parameter in trained(step.network).items():
            last: Tensor = state[LAST + name]
            state[PATH + name].addcmul_(state[GRADIENT + name], parameter - last, value=-1.0)
            last.copy_(parameter)

    def end_task(self, state: State, network: Network, samples: Samples, phase: int) -> State:
        """Add the task's importance, move the anchor to the present parameters, and drop the path."""
        found = {}
        for name, value in snapshot(network).items():
            change, path = value - state[ANCHOR + name], state[PATH + name]
            path = path.clamp(min=0.0) if self.clamp else path
            found[name] = state[IMPORTANCE + name] + path / (change.square() + self.xi)
        kept = {key: tensor for key, tensor in state.items() if not key.startswith((PATH, GRADIENT, LAST))}
        return move_anchor(kept, network, found)


def _zeros(network: Network) -> dict[str, Tensor]:
    return {name: torch.zeros_like(parameter) for name, parameter in trained(network).items()}
