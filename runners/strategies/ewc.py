"""Elastic weight consolidation: parameters that old tasks are sensitive to are held."""

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from kancl.errors import InputError
from kancl.models import Network
from kancl.models.tunable import tunable
from runners.config.policy import Policy
from runners.strategies.registry import strategies
from runners.strategies.strategy import State, Step, Strategy
from runners.strategies.tools.anchors import (
    accumulated,
    add_anchor,
    check_parameters_stay,
    check_strength,
    move_anchor,
    quadratic_penalty,
)
from runners.strategies.tools.gradients import Fisher, choose, fisher, remember_stream
from runners.stream.samples import Samples
from runners.stream.stream import Stream


@strategies.register("ewc")
@tunable(strength=(1.0, 1e5))
@dataclass(frozen=True)
class EWC(Strategy):
    """Hold parameters by the Fisher information of old tasks (elastic weight consolidation).

    L(theta) + strength / 2 * sum_t sum_i F_ti (theta_i - theta*_ti)^2, one term for every old task t, with what theta
    and F were at its end. Kirkpatrick et al. 2017 (arXiv 1612.00796), equation 3. F is the mean over samples of the squared
    gradients of single samples, never the square of a batch's mean gradient, so no batch size enters into it. (avalanche 0.6.0
    squares the mean gradient of a batch, which is the smaller the larger the batch: its strengths do not carry over.)

    In units of the loss, strength 1 makes the penalty the diagonal second-order approximation of the sum of the old tasks' mean
    cross-entropies. A mean squared error is 2 / O times the negative log-likelihood of the unit Gaussian, so there it is 2 / O.

    Args:
        strength: of the penalty, >= 0.
        fisher: ``exact`` takes the expectation over the model's own distribution of targets, one backward pass for each active
            output; ``sampled`` draws one target for each sample; ``empirical`` takes the data's, which vanishes where the
            data are fitted. Numbers have a Gaussian of unit variance.
        mode: ``separate`` sums a penalty for every old task; ``online`` holds the latest parameters alone, with
            F <- gamma F + F_t (Schwarz et al. 2018, arXiv 1805.06370, section 3.2; there the penalty carries one more factor
            gamma, here the newest task counts in full).
        gamma: what is left of old importance at the end of a task, 0..1; for ``online``.
        samples: how many of a task's samples F is the mean of, drawn by the seed; all if none.
    """

    judges_outputs = True

    strength: float = 100.0
    fisher: Fisher = "exact"
    mode: Literal["separate", "online"] = "separate"
    gamma: float = 1.0
    samples: int | None = None

    def __post_init__(self) -> None:
        check_strength(strength=self.strength)
        if not 0 <= self.gamma <= 1:
            raise InputError(f"gamma must be in 0..1, got {self.gamma}")
        if self.gamma != 1 and self.mode == "separate":
            raise InputError(f"gamma is for mode=online, where importance fades; mode is separate and gamma {self.gamma}")
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
        """Add the task's Fisher information, and its parameters as an anchor."""
        found = fisher(network, choose(state, samples, self.samples, phase), self.fisher, state, phase)
        if self.mode == "separate":
            return add_anchor(state, network, found)
        return move_anchor(state, network, accumulated(state, found, self.gamma))
