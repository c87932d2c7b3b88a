"""Learning without forgetting: on a new task's inputs the network keeps giving the answers it gave before."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.func import functional_call

from kancl.errors import InputError
from kancl.models import Network
from kancl.models.tunable import tunable
from runners.strategies.registry import strategies
from runners.strategies.strategy import State, Step, Strategy
from runners.strategies.tools.anchors import check_strength, named, snapshot, trained
from runners.strategies.tools.gradients import remember_stream
from runners.strategies.tools.written_out import with_gradient
from runners.stream.samples import Samples
from runners.stream.stream import Stream

TEACHER, GROUPS = "teacher/", "groups"


@strategies.register("lwf")
@tunable(strength=(0.1, 10.0))
@dataclass(frozen=True)
class LwF(Strategy):
    """Keep the old network's answers on the new task's inputs, without any old data (learning without forgetting).

    L(batch) + strength * sum over groups g of old units of D_g(old outputs z, present outputs y), mean over the batch's inputs:

    - classes: D_g = - T^2 sum_o softmax_g(z / T)_o log softmax_g(y / T)_o,
    - numbers: D_g = mean_o (y_o - z_o)^2, in function space as for classes, since there is nothing to soften.

    Li and Hoiem 2017 (arXiv 1606.09282), section 3; strength is the paper's lambda_o. T^2 keeps the size of the
    gradients whatever T is (Hinton et al. 2015, arXiv 1503.02531, section 2) and is not in the paper, whose lambda_o = 1 at
    T = 2 is a strength of 1/4 here. A group is the head of an old task (setting task; a head that tasks share counts once),
    the classes of all old tasks (class), or all units (domain). The old network is the one that the task begins with, after
    its grid has moved or been refined where it does so. The paper first trains a new head alone; here everything trains from
    the first step on.

    Nothing is known of old inputs, so it helps as far as the new ones tell of them. Where outputs serve all tasks (domain) the
    old answers on the new inputs can contradict the new targets: a regression whose tasks lie side by side, such as
    gaussian-peaks, is then learned less and kept no better.

    Args:
        strength: of the old answers, >= 0.
        temperature: T > 0, for classes.
    """

    judges_outputs = True

    strength: float = 1.0
    temperature: float = 2.0

    def __post_init__(self) -> None:
        check_strength(strength=self.strength)
        if not self.temperature > 0:
            raise InputError(f"temperature must be > 0, got {self.temperature}")

    def start(self, network: Network, stream: Stream) -> State:
        """Remember the heads, or, in the class setting, that no class has been seen yet."""
        state = remember_stream(stream)
        if stream.setting != "class" or stream.train[0].y.is_floating_point():
            return state
        return {**state, GROUPS: torch.zeros(len(stream.seeds), 1, stream.outputs, dtype=torch.bool, device=stream.device)}

    def begin_task(self, state: State, network: Network, samples: Samples, phase: int) -> State:
        """Take the present network as the teacher, but in the first task."""
        if not self.strength or GROUPS not in state or not bool(state[GROUPS].any()):
            return state
        return {**state, **named(TEACHER, snapshot(network))}

    def penalty(self, state: State, step: Step) -> Float[Tensor, "S"] | None:
        """Return the distance of the present answers from the teacher's; there is none in the first task."""
        # Parameters alone: buffers, such as grids, stay as they are within a task.
        teacher = {name: state[TEACHER + name] for name in trained(step.network) if TEACHER + name in state}
        if not teacher:
            return None
        with torch.no_grad():
            step.network.eval()  # the old answers are one function, without dropout
            taught = functional_call(step.network, teacher, (step.batch.x,))
            step.network.train()
        if step.batch.y.is_floating_point():
            return self.strength * numbers_apart(step.outputs, taught, state[GROUPS])
        return self.strength * classes_apart(step.outputs, taught, state[GROUPS], self.temperature)

    def end_task(self, state: State, network: Network, samples: Samples, phase: int) -> State:
        """Remember which outputs the task used, and dismiss the teacher: the next one is the present network."""
        kept = {key: tensor for key, tensor in state.items() if not key.startswith(TEACHER)}
        return {**kept, GROUPS: _groups(state, network, samples)}


def classes_apart(
    outputs: Float[Tensor, "S B O"], taught: Float[Tensor, "S B O"], groups: Bool[Tensor, "S G O"], temperature: float
) -> Float[Tensor, "S"]:
    """Return T^2 times the cross-entropy between softened outputs, mean over samples, sum over groups of units.

    Its gradient in an output is T (softmax(y / T) - softmax(z / T)) / B, summed over groups: exactly 0 where y is z.

    Args:
        outputs: y, with their graph.
        taught: z, the old network's answers on the same samples.
        groups: which output units belong to each of G groups.
        temperature: T > 0.
    """
    mask = groups[:, None]  # (S, 1, G, O)
    with torch.no_grad():
        wanted, logits = ((y / temperature)[:, :, None].masked_fill(~mask, -torch.inf) for y in (taught, outputs))
        shares, logs = wanted.softmax(-1), logits.log_softmax(-1).masked_fill(~mask, 0.0)
        value = -(temperature**2) * (shares * logs).sum((2, 3)).mean(1)
        gradient = temperature * (logits.softmax(-1) - shares).sum(2) / max(1, outputs.shape[1])
    return with_gradient(outputs, value, gradient)


def numbers_apart(
    outputs: Float[Tensor, "S B O"], taught: Float[Tensor, "S B O"], groups: Bool[Tensor, "S G O"]
) -> Float[Tensor, "S"]:
    """Return the mean squared difference over samples and a group's units, sum over groups.

    Args:
        outputs: with their graph.
        taught: the old network's answers on the same samples.
        groups: which output units belong to each of G groups.
    """
    squares = (outputs - taught).square().mean(1)
    shares = groups.to(squares.dtype) / groups.sum(2, keepdim=True)
    return (shares * squares[:, None]).sum((1, 2))


@torch.no_grad()
def _groups(state: State, network: Network, samples: Samples) -> Bool[Tensor, "S G O"]:
    """Return the groups of units that answered for the tasks so far."""
    old, seeds = state.get(GROUPS), len(samples.x)
    if "heads" in state:  # the same for every seed
        heads = state["heads"][0, samples.task.unique()]
        return (heads if old is None else torch.cat([old[0], heads])).unique(dim=0).repeat(seeds, 1, 1)
    if old is None:
        return torch.ones_like(network(samples.x[:, :1]), dtype=torch.bool)
    return old if samples.y.is_floating_point() else old | torch.zeros_like(old[:, 0]).scatter_(1, samples.y, True)[:, None]
