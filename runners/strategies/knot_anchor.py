"""Knot anchor: coefficients of local bases are held where old tasks had inputs."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from kancl.errors import InputError
from kancl.models import Network
from kancl.models.tunable import tunable
from runners.config.policy import Policy
from runners.strategies.registry import strategies
from runners.strategies.strategy import State, Step, Strategy
from runners.strategies.tools.anchors import add_anchor, check_parameters_stay, check_strength, quadratic_penalty, trained
from runners.strategies.tools.gradients import choose, fisher, remember_stream
from runners.strategies.tools.local_bases import check_local, masses
from runners.stream.samples import Samples
from runners.stream.stream import Stream


@strategies.register("knot-anchor")
@tunable(strength=(1e-2, 1e3))
@dataclass(frozen=True)
class KnotAnchor(Strategy):
    """Hold each spline coefficient by how much of the old tasks' inputs lies on its basis function.

    L(theta) + strength / 2 * sum_t sum_c m_tc (theta_c - theta*_tc)^2, one term for every old task t; m_tc is the mean over t's
    samples of |B_c(x)|, the input of the layer being what it is at t's end. Coefficients that no old task reached are free.
    The idea of an importance per knot is that of KAN-CL (Cheon 2026, arXiv 2605.12306); this is its plainest form, without that
    paper's regulariser of a backbone, and no replay of its numbers.

    It needs a layer whose basis functions are local: those of `kan`, `kan-rbf`, `mlp-bspline` and `lookup` are.

    Args:
        strength: of the penalty, >= 0.
        weight: what holds a coefficient: its ``mass`` m alone, or ``mass-fisher``, m times the exact Fisher information as
            ``ewc`` has it, which tells outputs apart.
        others: base branches, scales, biases and linear layers, which every input uses: ``anchored`` holds each of them as a
            coefficient on which all samples of every old task lie (m = 1, with the Fisher information if that is asked for);
            ``free`` leaves them to the present task.
    """

    strength: float = 1.0
    weight: Literal["mass", "mass-fisher"] = "mass"
    others: Literal["anchored", "free"] = "anchored"

    def __post_init__(self) -> None:
        check_strength(strength=self.strength)

    def check(self, network: Network, stream: Stream, policy: Policy) -> None:
        """Refuse networks without local bases, and those whose parameters change their meaning."""
        check_parameters_stay(network, stream)
        check_local(network, stream)
        if self.weight == "mass-fisher" and stream.operator is not None:
            raise InputError("weight=mass-fisher is of the outputs' loss, and the scenario trains an operator; use weight=mass")

    def start(self, network: Network, stream: Stream) -> State:
        """Remember seeds and heads."""
        return remember_stream(stream)

    def penalty(self, state: State, step: Step) -> Float[Tensor, "S"] | None:
        """Return the penalty; there is none in the first task."""
        return quadratic_penalty(state, step.network, self.strength)

    def end_task(self, state: State, network: Network, samples: Samples, phase: int) -> State:
        """Add the task's masses, and its parameters as an anchor."""
        held, parameters = masses(network, samples.x), trained(network)
        if self.others == "anchored":
            held = {name: held.get(name, torch.ones_like(parameter)) for name, parameter in parameters.items()}
        if self.weight == "mass-fisher":
            information = fisher(network, choose(state, samples, None, phase), "exact", state, phase)
            held = {name: share * information[name] for name, share in held.items()}
        return add_anchor(state, network, {name: share.expand_as(parameters[name]).clone() for name, share in held.items()})
