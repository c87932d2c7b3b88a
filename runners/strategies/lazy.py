"""Lazy: coefficients that only old tasks need stay where they are."""

from dataclasses import dataclass

import torch
from torch import Tensor

from kancl.models import Network
from runners.config.policy import Policy
from runners.strategies.registry import strategies
from runners.strategies.strategy import State, Step, Strategy
from runners.strategies.tools.anchors import ANCHOR, check_parameters_stay, check_strength, named, trained
from runners.strategies.tools.local_bases import check_local, masses
from runners.stream.samples import Samples
from runners.stream.stream import Stream

MASS, FROZEN = "mass/", "frozen/"


@strategies.register("lazy")
@dataclass(frozen=True)
class Lazy(Strategy):
    """Freeze the spline coefficients that old tasks used and that the present task has no data for, or hardly any.

    With m_tc the mean over task t's samples of |B_c(x)| and M_c the largest of the old tasks' (see ``knot-anchor``),
    coefficient c is frozen during task t if M_c > 0 and m_tc <= threshold * M_c. It keeps its value to the bit, whatever
    momentum, weight decay or a kept state would do to it; its gradient is 0, so it takes no part in clipping and builds up no
    moments. Everything else moves freely: coefficients that no old task used, base branches, scales and biases.

    The policy's option ``lazy`` is another thing: step by step, and for every parameter of every architecture, it leaves alone
    what has a gradient of exactly 0. This strategy looks at all samples of a task when it begins; so it also protects what the
    task only grazes, and a mini-batch that misses a coefficient changes nothing. Both can be used together. In hidden layers
    m_t is that of the inputs at the beginning of t, and M that at the ends of the old tasks: inputs that move during a task may
    still reach frozen coefficients, which then do not learn.

    L-BFGS is refused: it searches along the gradient of the loss alone. It needs a layer with local basis functions.

    Args:
        threshold: >= 0; 0.1 freezes what has a tenth or less of an old task's mass in the new one.
    """

    threshold: float = 0.1

    def __post_init__(self) -> None:
        check_strength(threshold=self.threshold)

    def check(self, network: Network, stream: Stream, policy: Policy) -> None:
        """Refuse networks without local bases, and those whose parameters change their meaning."""
        check_parameters_stay(network, stream)
        check_local(network, stream)

    def begin_task(self, state: State, network: Network, samples: Samples, phase: int) -> State:
        """Find out which coefficients to freeze, and where they are."""
        parameters, found = trained(network), dict(state)
        for name, present in masses(network, samples.x).items():
            parameter = parameters[name]
            old = state.get(MASS + name, torch.zeros_like(present))
            frozen = ((old > 0) & (present <= self.threshold * old)).expand_as(parameter).clone()
            found |= named(FROZEN, {name: frozen}) | named(ANCHOR, {name: parameter.detach().clone()})
        return found

    @torch.no_grad()
    def correct(self, state: State, step: Step) -> None:
        """Take away the gradients of frozen coefficients."""
        for _, frozen, parameter in _frozen(state, step.network):
            if parameter.grad is not None:
                parameter.grad.masked_fill_(frozen, 0.0)

    @torch.no_grad()
    def after_step(self, state: State, step: Step) -> None:
        """Put back what momentum, decay or old moments moved."""
        for name, frozen, parameter in _frozen(state, step.network):
            parameter.copy_(torch.where(frozen, state[ANCHOR + name], parameter))

    def end_task(self, state: State, network: Network, samples: Samples, phase: int) -> State:
        """Remember how much of the task's data lies on each coefficient."""
        kept = {key: tensor for key, tensor in state.items() if key.startswith(MASS)}
        for name, present in masses(network, samples.x).items():
            old = kept.get(MASS + name)
            kept[MASS + name] = present.clone() if old is None else torch.maximum(old, present)
        return kept


def _frozen(state: State, network: Network) -> list[tuple[str, Tensor, Tensor]]:
    """Return the name, the mask and the value of every parameter that has frozen coefficients."""
    found = trained(network).items()
    return [(name, state[FROZEN + name], parameter) for name, parameter in found if FROZEN + name in state]
