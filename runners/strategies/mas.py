"""Memory aware synapses: parameters that the outputs are sensitive to are held."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kancl.errors import InputError
from kancl.models import Network
from kancl.models.tunable import tunable
from runners.config.policy import Policy
from runners.strategies.registry import strategies
from runners.strategies.strategy import State, Step, Strategy
from runners.strategies.tools.anchors import accumulated, check_parameters_stay, check_strength, move_anchor, quadratic_penalty
from runners.strategies.tools.gradients import choose, mean_over_samples, remember_stream
from runners.stream.samples import Samples
from runners.stream.stream import Stream


@strategies.register("mas")
@tunable(strength=(1e-2, 1e3))
@dataclass(frozen=True)
class MAS(Strategy):
    """Hold parameters by how much they move the outputs on old tasks' inputs (memory aware synapses).

    L(theta) + strength / 2 * sum_i Omega_i (theta_i - theta*_i)^2, with theta* at the end of the latest task and Omega_i the
    sum over old tasks of the mean over samples of |d |y|^2 / d theta_i|, y being the active outputs. Aljundi et al. 2018
    (arXiv 1711.09601), equations 2 and 3; the gradients are of single samples, and the paper's lambda is strength / 2. No
    targets are used: what is kept is the function, right or wrong.

    Args:
        strength: of the penalty, >= 0.
        samples: how many of a task's samples Omega is the mean of, drawn by the seed; all if none.
    """

    strength: float = 1.0
    samples: int | None = None

    def __post_init__(self) -> None:
        check_strength(strength=self.strength)
        if self.samples is not None and self.samples < 1:
            raise InputError(f"samples must be at least 1, got {self.samples}; leave it out for all")

    def check(self, network: Network, stream: Stream, policy: Policy) -> None:
        """Refuse networks whose parameters change their meaning."""
        check_parameters_stay(network, stream)

    def start(self, network: Network, stream: Stream) -> State:
        """Remember seeds and heads."""
        return remember_stream(stream)

    def penalty(self, state: State, step: Step) -> Float[Tensor, "S"] | None:
        """Return the penalty; there is none in the first task."""
        return quadratic_penalty(state, step.network, self.strength)

    def end_task(self, state: State, network: Network, samples: Samples, phase: int) -> State:
        """Add the task's importance, and move the anchor to the present parameters."""
        chosen = choose(state, samples, self.samples, phase)

        def cotangents(outputs: Tensor, part: slice) -> Iterable[Tensor]:
            active = outputs if chosen.mask is None else outputs.where(chosen.mask[:, part], 0.0)
            return [2 * active]

        found = mean_over_samples(network, chosen.x, cotangents, torch.abs)
        return move_anchor(state, network, accumulated(state, found))
