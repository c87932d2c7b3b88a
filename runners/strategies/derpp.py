"""Dark experience replay++: stored samples are replayed with the outputs that the network once gave for them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kancl.models import Network
from kancl.models.tunable import tunable
from kancl.parts import in_parts
from runners.config.policy import Policy
from runners.strategies.registry import strategies
from runners.strategies.strategy import State, Step, Strategy
from runners.strategies.tools.anchors import check_strength
from runners.strategies.tools.gradients import remember_stream
from runners.strategies.tools.memories import Replayed, carried, carrying, check_draws, check_memory, keep, recall
from runners.stream.batches import Batch
from runners.stream.samples import Samples
from runners.stream.stream import Stream
from scenarios.objectives import mean_squared_error

ROUNDING = 16
"""Units in the last place of a seed's largest stored output, up to which an output counts as the stored one."""


@strategies.register("der++")
@tunable(alpha=(0.05, 5.0), beta=(0.05, 5.0))
@dataclass(frozen=True)
class DERpp(Strategy):
    """Replay stored samples with their labels and with the outputs once given for them (DER++).

    L(batch) + alpha * mean (f(x') - z')^2 + beta * L(x'', y''), where (x', z') and (x'', y'') are two independent draws from
    the memory and z' is what the network gave for x' when it was stored. Buzzega et al. 2020, "Dark experience for general
    continual learning" (arXiv 2004.07211), equation 6; there the difference is a squared norm, the sum over outputs, here it
    is the mean over samples and the outputs of the sample's own task. Outputs are numbers in regression as they are for
    classes, so it serves both.

    Samples are stored when their task ends, and z' are the outputs of that moment; the paper stores along the way, so that
    its z' come from all stages of training. The memory is a reservoir, as in the paper, and is drawn from as by ``replay``.
    With beta = 0 this is the paper's DER.

    Args:
        memory: samples kept for each seed, >= 0.
        alpha: weight of the stored outputs, >= 0.
        beta: weight of the stored targets, >= 0.
        replayed: memory samples per draw: a number, ``batch`` for as many as the task's batch has, or ``all``; never more than
            there are. L-BFGS needs ``all``.
    """

    judges_outputs = True

    memory: int = 200
    alpha: float = 0.5
    beta: float = 0.5
    replayed: Replayed = "batch"

    def __post_init__(self) -> None:
        check_memory(self.memory, self.replayed)
        check_strength(alpha=self.alpha, beta=self.beta)

    def check(self, network: Network, stream: Stream, policy: Policy) -> None:
        """Refuse L-BFGS on batches that change."""
        check_draws(self.memory if self.alpha or self.beta else 0, self.replayed, policy)

    def start(self, network: Network, stream: Stream) -> State:
        """Remember the seeds."""
        return remember_stream(stream)

    def batches(self, state: State, source: Iterator[Batch], stream: Stream, phase: int) -> Iterator[Batch]:
        """Give two draws from the memory along with every batch, as far as they have a weight."""
        for name, weight in (("outputs", self.alpha), ("targets", self.beta)):
            take = recall(state, stream, self.replayed, "der++", name, phase)
            if take is not None and weight:
                source = _with(source, name, take)
        return source

    def penalty(self, state: State, step: Step) -> Float[Tensor, "S"] | None:
        """Return the two terms; there are none in the first task."""
        stored, labelled = carried(step.batch, "outputs"), carried(step.batch, "targets")
        drawn = [batch for batch in (stored, labelled) if batch is not None]
        if not drawn:
            return None
        outputs = step.network(torch.cat([batch.x for batch in drawn], 1))
        parts = list(outputs.split([batch.x.shape[1] for batch in drawn], dim=1))
        terms = []
        if stored is not None:
            terms.append(self.alpha * apart(parts.pop(0), stored.extra["outputs"], stored.mask))
        if labelled is not None:
            terms.append(self.beta * step.objective.loss(parts.pop(0), labelled.y, labelled.mask))
        return torch.stack(terms).sum(0)

    def end_task(self, state: State, network: Network, samples: Samples, phase: int) -> State:
        """Take in the task, with the outputs that the network gives now."""
        return keep(state, samples, self.memory, "reservoir", phase, outputs=_outputs(network, samples.x))


def apart(
    outputs: Float[Tensor, "S B O"], stored: Float[Tensor, "S B O"], mask: Bool[Tensor, "S B O"] | None
) -> Float[Tensor, "S"]:
    """Return the mean squared error against stored outputs, where no more than rounding counts as equal.

    Outputs were stored in batches of another size, whose products may be rounded otherwise. So where the network has not
    changed since, differences of some units in the last place stand for 0, and Adam would make full steps of their gradient.

    Args:
        outputs: of samples of the memory, with their graph.
        stored: what the network once gave for them.
        mask: their active output units, or None.
    """
    with torch.no_grad():
        rounding = ROUNDING * torch.finfo(stored.dtype).eps * stored.abs().amax((1, 2), keepdim=True)
        same = (outputs - stored).abs() <= rounding
    return mean_squared_error(torch.where(same, stored, outputs), stored, mask)


def _with(source: Iterator[Batch], name: str, take: Callable[[int], Batch]) -> Iterator[Batch]:
    return (carrying(batch, name, take(batch.x.shape[1])) for batch in source)


@torch.no_grad()
def _outputs(network: Network, x: Float[Tensor, "S N I"]) -> Float[Tensor, "S N O"]:
    mode = network.training
    network.eval()
    outputs = torch.cat([network(part) for part in in_parts(x)], dim=1)
    network.train(mode)
    return outputs
