"""PackNet: every task gets numbers of its own, and what answers for it is not changed again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kancl.errors import InputError
from kancl.models import Network
from runners.config.policy import Policy
from runners.strategies.registry import strategies
from runners.strategies.strategy import State, Step, Strategy
from runners.strategies.tools.anchors import check_parameters_stay, named, snapshot, trained
from runners.strategies.tools.local_bases import check_local, masses
from runners.stream.batches import Batch
from runners.stream.samples import Samples
from runners.stream.stream import Stream

OWNER, REST, HELD, VALUE, USED, WEIGHT = "owner/", "rest/", "held/", "value/", "used/", "weight/"
TASK, STEPS = "task", "steps"
WITHIN = (HELD, VALUE, USED, WEIGHT, TASK, STEPS)
"""What the state holds only while a task is learned."""


@strategies.register("packnet")
@dataclass(frozen=True)
class PackNet(Strategy):
    """Give each task numbers of its own, freeze them, and free the least important ones for later tasks (PackNet).

    A task trains the numbers that no earlier task owns; those that earlier tasks own are frozen and take part. When all but the
    last ``retrain`` of its steps are done, it is pruned: of the free numbers that it trained, the share ``freed`` with the
    smallest importance is given up in every parameter tensor; the others belong to the task for good, and are retrained alone
    in the remaining steps. Every number that nobody owns goes to its rest value. A frozen number has the gradient 0 and is put
    back after every step, so neither momentum, nor decay, nor clipping moves or counts it. Mallya and Lazebnik 2018
    (arXiv 1711.05769), section 3.

    A task is answered for by its own numbers and those of earlier tasks, all others at rest: the masks of the paper. They are
    chosen by the task's name, which only setting=task gives away at test time, so other settings are refused. With the masks an
    old task's function stays what it was at its end, whatever its inputs; all forgetting is 0, the curves of old tasks are
    flat, and what later tasks lose is room to learn: they have what is free, but at least one number of every tensor that has
    a free one.

    Here as there pruning is by magnitude, layer by layer; here biases, and every head, are pruned like all else, and a number
    whose gradient was 0 throughout (another head's, or a coefficient without data) stays free whatever its size. L-BFGS is
    refused: it searches along the gradient of the loss alone.

    Args:
        freed: share of the trained free numbers that a task gives up, 0..1 without 1; the paper has 0.5 and 0.75. Of five tasks
            the last is left with (share freed)^4 of the numbers, 0.06 or 0.32 of them.
        retrain: share of a task's steps that come after pruning, 0..1 without 1.
        rest: the value of numbers that nobody owns: ``zero``, the paper's, or the ``initial`` one, for parameters such as
            scales, for which 0 is not neutral. Importance is the distance from it, |theta - rest|.
        importance: ``magnitude`` alone, or for coefficients of local bases ``mass``: times the mean over the task's samples of
            |B_c(x)| at its beginning, so that a large coefficient that hardly any sample reaches is not kept for its size.
    """

    freed: float = 0.75
    retrain: float = 0.3
    rest: Literal["zero", "initial"] = "zero"
    importance: Literal["magnitude", "mass"] = "magnitude"

    def __post_init__(self) -> None:
        for name in ("freed", "retrain"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} must be a share >= 0 and below 1, got {getattr(self, name)}")

    def check(self, network: Network, stream: Stream, policy: Policy) -> None:
        """Refuse scenarios without heads, and networks whose parameters change their meaning."""
        if stream.heads is None:
            raise InputError(
                "packnet answers for each task with that task's own numbers, so the task must be known at test time: the "
                f"scenario's setting is {stream.setting}; it needs setting=task, where each task has a head of its own"
            )
        check_parameters_stay(network, stream)
        if self.importance == "mass":
            check_local(network, stream)

    def begin_task(self, state: State, network: Network, samples: Samples, phase: int) -> State:
        """Hold what earlier tasks own."""
        values = snapshot(network)
        if OWNER + next(iter(values)) not in state:
            rest = {n: torch.zeros_like(v) for n, v in values.items()} if self.rest == "zero" else snapshot(network)
            owner = {n: torch.zeros_like(v, dtype=torch.int16) for n, v in values.items()}  # 0 is nobody, then tasks from 1
            state = {**state, **named(OWNER, owner), **named(REST, rest)}
        held = {name: state[OWNER + name] > 0 for name in values}
        used = {name: torch.zeros_like(mask) for name, mask in held.items()}
        task = torch.full((len(samples.x),), phase + 1, device=samples.x.device)
        weights = masses(network, samples.x) if self.importance == "mass" else {}
        return {
            **state, **named(HELD, held), **named(VALUE, values), **named(USED, used), **named(WEIGHT, weights), TASK: task,
        }  # fmt: skip

    def expect(self, state: State, steps: int) -> State:
        """Remember how many steps there will be."""
        return {**state, STEPS: torch.full_like(state[TASK], steps)}

    def batches(self, state: State, source: Iterator[Batch], stream: Stream, phase: int) -> Iterator[Batch]:
        """Mark the batch after which the task is pruned."""
        if STEPS not in state:
            return source
        steps = int(state[STEPS][0])
        last = max(1, steps - round(self.retrain * steps))
        mark = {"prune": torch.ones_like(state[TASK])}
        return (replace(b, extra={**b.extra, **mark}) if n == last else b for n, b in enumerate(source, 1))

    @torch.no_grad()
    def correct(self, state: State, step: Step) -> None:
        """Take away the gradients of what is held, and note what has one."""
        for name, parameter in trained(step.network).items():
            if parameter.grad is not None:
                state[USED + name].logical_or_(parameter.grad != 0)
                parameter.grad.masked_fill_(state[HELD + name], 0.0)

    @torch.no_grad()
    def after_step(self, state: State, step: Step) -> None:
        """Put back what momentum or decay moved; prune when it is time."""
        for name, parameter in trained(step.network).items():
            parameter.copy_(torch.where(state[HELD + name], state[VALUE + name], parameter))
        if "prune" in step.batch.extra:
            self._prune(state, step.network)

    def _prune(self, state: State, network: Network) -> None:
        """Give numbers to the task, put the others to rest, and hold all but the task's own; in place."""
        for name, parameter in trained(network).items():
            owner, rest = state[OWNER + name], state[REST + name]
            importance = (parameter - rest).abs()
            if WEIGHT + name in state:
                importance = importance * state[WEIGHT + name]
            kept = largest(importance, (owner == 0) & state[USED + name], 1 - self.freed)
            task = state[TASK].view(-1, *[1] * (owner.ndim - 1)).to(owner.dtype)
            owner.copy_(torch.where(kept, task, owner))
            parameter.copy_(torch.where(owner > 0, parameter, rest))
            state[HELD + name].copy_(owner != task)
            state[VALUE + name].copy_(parameter)

    def end_task(self, state: State, network: Network, samples: Samples, phase: int) -> State:
        """Keep the owners and the rest values."""
        return {key: tensor for key, tensor in state.items() if not key.startswith(WITHIN)}

    def parameters_for(self, state: State, network: Network, task: int) -> Mapping[str, Tensor] | None:
        """Return a past task's own numbers and those of earlier tasks, the others at rest."""
        if TASK not in state or task + 1 >= int(state[TASK][0]):
            return None
        found = {}
        for name, parameter in trained(network).items():
            owner = state[OWNER + name]
            found[name] = torch.where((owner > 0) & (owner <= task + 1), parameter, state[REST + name])
        return found


def largest(values: Float[Tensor, "S ..."], among: Bool[Tensor, "S ..."], share: float) -> Bool[Tensor, "S ..."]:
    """Return, for each seed, which of the chosen numbers are in the given share of largest ones, rounded up.

    Args:
        values: >= 0; of equal ones the first is taken.
        among: the chosen numbers.
        share: 0 to 1, of those that are chosen.
    """
    flat, chosen = values.flatten(1), among.flatten(1)
    order = flat.masked_fill(~chosen, -1.0).argsort(dim=1, descending=True, stable=True)
    place = torch.empty_like(order).scatter_(1, order, torch.arange(flat.shape[1], device=flat.device).expand_as(order))
    count = (share * chosen.sum(1, keepdim=True).double() - 1e-9).ceil()
    return ((place < count) & chosen).view(values.shape)
