"""A memory of old tasks' samples: which ones are kept, and how they are drawn again.

In the state ``memory/x`` (S, M, I), ``memory/y`` (S, M, ...) and ``memory/task`` (S, M) are the samples that each seed keeps,
``memory/tag`` (S, M) the numbers that decided it; M is the same for all seeds. There are none before a task has ended.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from kancl.errors import InputError
from kancl.seeding import generator
from runners.config.policy import Policy
from runners.strategies.strategy import State
from runners.strategies.tools.anchors import named
from runners.stream.batches import Batch
from runners.stream.samples import Samples
from runners.stream.stream import Stream

MEMORY = "memory/"

AHEAD = 1024
"""Places that are drawn at once for each seed, at least: drawing them step by step would take longer than a small step."""

Balance = Literal["reservoir", "balanced"]
Replayed = int | Literal["batch", "all"]


def check_memory(memory: int, replayed: Replayed) -> None:
    """See that the sizes of a memory and of what is drawn from it are possible.

    Args:
        memory: samples that are kept for each seed.
        replayed: samples that are drawn for a batch: a number, ``batch`` or ``all``.

    Raises:
        InputError: which one is not, and what it is.
    """
    if memory < 0:
        raise InputError(f"memory must be a number of samples >= 0, got {memory}")
    if isinstance(replayed, int) and replayed < 1:
        raise InputError(f"replayed must be at least 1, batch or all, got {replayed}")


def check_draws(memory: int, replayed: Replayed, policy: Policy) -> None:
    """See that an optimiser that compares steps gets the same loss at each.

    Args:
        memory: samples that are kept for each seed.
        replayed: samples that are drawn for a batch.
        policy: names the optimiser.

    Raises:
        InputError: other samples would be replayed at each step.
    """
    if memory and policy.row.searches and replayed != "all":
        raise InputError(
            f"{policy.optimizer} compares gradients of successive steps, so all steps of a task need the same samples, and "
            f"replayed={replayed} draws others each time; use replayed=all, or another optimizer"
        )


def keep(state: State, samples: Samples, size: int, balance: Balance, phase: int, **more: Shaped[Tensor, "S N ..."]) -> State:
    """Return the state with a memory that has met the samples of a finished task.

    Each sample gets a tag when it is met, uniform in 0..1, drawn by seed and phase. ``reservoir`` keeps the samples with the
    smallest tags: a uniform sample without replacement of all that were met so far, at any time (the invariant of reservoir
    algorithms, Vitter 1985; its Algorithm R has the same law, and needs an order). ``balanced`` does so in turns, one sample
    of each group and then the next one: groups, a task for numbers and a class of a task for classes, differ by at most one
    sample, but where one has no more to give. A sample that was dropped does not return, as in a memory that is filled online.

    Args:
        state: with what :func:`runners.strategies.tools.gradients.remember_stream` gave, and the memory so far.
        samples: of the finished task, x (S, N, I).
        size: samples to keep for each seed; 0 keeps none.
        balance: which ones are kept.
        phase: from 0; names the random stream.
        more: what else is kept along with each sample, by name, (S, N, ...).
    """
    if size == 0:
        return state
    count, device = samples.x.shape[1], samples.x.device
    drawn = [
        torch.rand(count, generator=generator(seed, "memory", phase), dtype=torch.float64) for seed in state["seeds"].tolist()
    ]
    tag = torch.stack(drawn).to(device)
    met = {"x": samples.x, "y": samples.y, "task": samples.task.expand(len(tag), -1), "tag": tag, **more}
    if MEMORY + "x" in state:
        met = {name: torch.cat([state[MEMORY + name], new], 1) for name, new in met.items()}
    order = met["tag"].argsort(1) if balance == "reservoir" else in_turns(met["task"], met["y"], met["tag"])
    kept, rows = order[:, :size], torch.arange(len(tag), device=device)[:, None]
    return {**state, **named(MEMORY, {name: tensor[rows, kept] for name, tensor in met.items()})}


def in_turns(task: Int[Tensor, "S N"], y: Shaped[Tensor, "S N ..."], tag: Float[Tensor, "S N"]) -> Int[Tensor, "S N"]:
    """Return places in an order that takes one sample of every group, then the next one of each; by tag within a turn.

    Args:
        task: of every sample.
        y: targets; of classes, every class of a task is a group of its own.
        tag: the smaller, the earlier.
    """
    groups = task if y.is_floating_point() else task * (int(y.max()) + 1) + y
    by_tag = tag.argsort(1)
    order = by_tag.gather(1, groups.gather(1, by_tag).argsort(dim=1, stable=True))  # group by group, each by tag
    own, place = groups.gather(1, order), torch.arange(tag.shape[1], device=tag.device).expand_as(order)
    begins = own.diff(dim=1, prepend=own[:, :1] - 1) != 0
    turn = torch.empty_like(order).scatter_(1, order, place - place.where(begins, 0).cummax(1).values)
    return by_tag.gather(1, turn.gather(1, by_tag).argsort(dim=1, stable=True))


class Draws:
    """Places in memories of ``size`` samples: without replacement until all have been drawn, then in a new order.

    Every seed has its own order, from a random stream named by the seed and ``purpose``.

    Args:
        seeds: S of them.
        size: of every seed's memory, at least 1.
        device: of the places.
        purpose: with a seed, names its random stream.
    """

    def __init__(self, seeds: tuple[int, ...], size: int, device: torch.device, *purpose: str | int) -> None:
        self.generators = [generator(seed, *purpose) for seed in seeds]
        self.size, self.device = size, device
        self.ready = torch.empty(len(seeds), 0, dtype=torch.long, device=device)

    def take(self, count: int) -> Int[Tensor, "S count"]:
        """Return the next places, 0 to ``size - 1``.

        Args:
            count: how many for each seed.
        """
        while self.ready.shape[1] < count:
            shape = (max(1, AHEAD // self.size), self.size)
            keys = torch.stack([torch.rand(shape, generator=own, dtype=torch.float64) for own in self.generators])
            self.ready = torch.cat([self.ready, keys.argsort(-1).flatten(1).to(self.device)], 1)
        taken, self.ready = self.ready[:, :count], self.ready[:, count:]
        return taken


def recall(state: State, stream: Stream, replayed: Replayed, *purpose: str | int) -> Callable[[int], Batch] | None:
    """Return what draws a batch from the memory to go with a batch of so many samples; None where the memory is empty.

    What was kept along with the samples is in the batch's ``extra``, by name. Each sample has the mask of its own task.

    Args:
        state: with the memory that :func:`keep` made.
        stream: the tasks of all seeds.
        replayed: samples per batch, at most those in memory; ``batch`` for as many as those it goes with, ``all`` for all.
        purpose: with the seed, names the random stream.
    """
    kept = {key.removeprefix(MEMORY): tensor for key, tensor in state.items() if key.startswith(MEMORY)}
    if not kept:
        return None
    task, size, rows = kept.pop("task"), kept["x"].shape[1], torch.arange(len(kept["x"]), device=stream.device)[:, None]
    del kept["tag"]
    draws, whole = Draws(stream.seeds, size, stream.device, *purpose), torch.arange(size, device=stream.device)[None]

    def take(batch: int) -> Batch:
        wanted = replayed if isinstance(replayed, int) else {"batch": batch, "all": size}[replayed]
        places = draws.take(wanted) if wanted < size else whole
        drawn = {name: tensor[rows, places] for name, tensor in kept.items()}
        return Batch(drawn.pop("x"), drawn.pop("y"), stream.mask(task[rows, places]), drawn)

    return take


def joined(one: Batch, other: Batch) -> Batch:
    """Return two batches as one, (S, B + R, ...), that carries what the first one carried.

    Args:
        one: of B samples.
        other: of R samples; masked where ``one`` is.
    """
    mask = None if one.mask is None or other.mask is None else torch.cat([one.mask, other.mask], 1)
    return Batch(torch.cat([one.x, other.x], 1), torch.cat([one.y, other.y], 1), mask, one.extra)


def carrying(batch: Batch, name: str, other: Batch) -> Batch:
    """Return a batch that carries another one to the strategy's hooks; :func:`carried` takes it out.

    Args:
        batch: what is trained on.
        name: under which the other is carried.
        other: of any number of samples.
    """
    parts = {"x": other.x, "y": other.y, **({} if other.mask is None else {"mask": other.mask}), **other.extra}
    return replace(batch, extra={**batch.extra, **named(f"{name}/", parts)})


def carried(batch: Batch, name: str) -> Batch | None:
    """Return the batch that another one carries under a name, or None.

    Args:
        batch: as a hook gets it, ``step.batch``.
        name: as given to :func:`carrying`.
    """
    parts = {key.removeprefix(f"{name}/"): tensor for key, tensor in batch.extra.items() if key.startswith(f"{name}/")}
    return Batch(parts.pop("x"), parts.pop("y"), parts.pop("mask", None), parts) if parts else None
