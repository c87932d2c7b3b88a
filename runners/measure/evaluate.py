"""Scores of a stack of networks on the test samples of all tasks, in one batched forward pass."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor
from torch.func import functional_call

from kancl.models import Network
from kancl.parts import in_parts, samples_at_once
from kancl.seeding import generator
from runners.strategies.tools.memories import in_turns
from runners.stream.samples import Samples, once, union
from runners.stream.stream import Stream

Answers = Callable[[int], Mapping[str, Tensor] | None]
"""Gives the parameters that answer for a task; None where they are the network's own."""


@dataclass(frozen=True, eq=False)
class Group:
    """K tasks with n test samples each, which are scored in one call as K S seeds with one task would be.

    Args:
        tasks: their numbers, from 0.
        places: where their samples are among those of all tasks.
        y, mask: their targets, and the active output units if the scenario names any.
    """

    tasks: list[int]
    places: slice | Int[Tensor, "M"]
    y: Shaped[Tensor, "KS n ..."]
    mask: Bool[Tensor, "KS n O"] | None

    def outputs(self, of_all: Float[Tensor, "S N O"]) -> Float[Tensor, "KS n O"]:
        """Return the outputs on the group's samples."""
        own = of_all[:, self.places] if isinstance(self.places, slice) else of_all.index_select(1, self.places)
        return own.reshape(*self.y.shape[:2], -1)


class Evaluator:
    """Prepared once per run, since the test samples do not change."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.sizes = [samples.x.shape[1] for samples in stream.test]
        # All at once where that is little; else task by task, since to put them together would be to copy them.
        together = sum(self.sizes) <= samples_at_once(len(stream.seeds) * stream.inputs)
        sets = [union(stream.test)] if together else stream.test
        self.parts = [part for samples in sets for part in in_parts(samples.x)]
        self.groups = list(_groups(stream, self.sizes, together))

    @torch.no_grad()
    def scores(self, network: Network, answers: Answers | None = None) -> dict[str, Float[np.ndarray, "S T"]]:
        """Return every score of every task, by name."""
        network.eval()  # for third-party networks that behave differently in training
        outputs = torch.cat([network(part) for part in self.parts], dim=1)
        if answers is not None:
            self._answer(network, answers, outputs)
        network.train()
        seeds, scores = len(self.stream.seeds), self.stream.objective.scores
        found = {name: np.empty((seeds, len(self.sizes))) for name in scores}
        for group in self.groups:
            part = group.outputs(outputs)
            for name, score in scores.items():
                values = score.compute(part, group.y, group.mask)
                found[name][:, group.tasks] = values.double().cpu().numpy().reshape(seeds, -1)
        return found

    def _answer(self, network: Network, answers: Answers, outputs: Float[Tensor, "S N O"]) -> None:
        """Write the outputs of those tasks that have parameters of their own over the network's."""
        for task, places in enumerate(_places(self.sizes)):
            own = answers(task)
            if own is not None:
                parts = in_parts(self.stream.test[task].x)
                outputs[:, places] = torch.cat([functional_call(network, dict(own), (part,)) for part in parts], dim=1)

    @torch.no_grad()
    def function(self, network: Network) -> Float[np.ndarray, "S P O"] | None:
        """Return the outputs at the plotting points of a one-dimensional scenario."""
        x = self.stream.plot_x
        if x is None:
            return None
        network.eval()
        outputs = network(x.expand(len(self.stream.seeds), -1, -1)).cpu().numpy()
        network.train()
        return outputs


def _places(sizes: list[int]) -> list[slice]:
    """Return where each task's samples are among those of all."""
    ends = list(accumulate(sizes))
    return [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]


def _groups(stream: Stream, sizes: list[int], together: bool) -> Iterator[Group]:
    """Yield the tasks of each size as one group, or every task as its own."""
    places, seeds = _places(sizes), len(stream.seeds)
    alike: dict[int, list[int]] = {}
    for task, size in enumerate(sizes):
        alike.setdefault(size if together else -task, []).append(task)
    for tasks in alike.values():
        samples = union([stream.test[task] for task in tasks])
        n = sizes[tasks[0]]
        where: slice | Tensor = places[tasks[0]]
        if len(tasks) == len(sizes):
            where = slice(None)
        elif len(tasks) > 1:
            where = torch.cat([torch.arange(places[task].start, places[task].stop) for task in tasks]).to(stream.device)
        mask = stream.mask(samples.task)
        if mask is not None:
            mask = mask.expand(seeds, *mask.shape).reshape(seeds * len(tasks), n, -1)
        yield Group(tasks, where, samples.y.reshape(seeds * len(tasks), n, *samples.y.shape[2:]), mask)


def thinned(stream: Stream, count: int | Literal["all"]) -> Stream:
    """Return a stream with fewer test samples, for the evaluations inside tasks.

    Which ones they are follows from the task's number and, for classes, from the labels, of which as many of each are taken as
    there can be: so they are the same for all networks, whatever the stack, the strategy and the cell.

    Args:
        stream: the tasks.
        count: test samples of a task to keep at most.
    """
    if count == "all":
        return stream
    return replace(stream, test=tuple(_chosen(samples, count, task) for task, samples in enumerate(stream.test)))


def _chosen(samples: Samples, count: int, task: int) -> Samples:
    """Return some samples of each seed, in their order."""
    total, device = samples.x.shape[1], samples.x.device
    if count >= total:
        return samples
    y = once(samples.y).cpu()
    tag = torch.rand(total, generator=generator(0, "curve-samples", task), dtype=torch.float64).expand(len(y), -1)
    places = in_turns(torch.zeros(len(y), total, dtype=torch.long), y, tag)[:, :count].sort(1).values.to(device)
    if samples.y.is_floating_point() or len(y) == 1:  # the same for every seed
        x, y = (once(side)[:, places[0]] for side in (samples.x, samples.y))
        seeds = len(samples.x)
        return Samples(x.expand(seeds, *x.shape[1:]), y.expand(seeds, *y.shape[1:]), samples.task[places[0]])
    rows = torch.arange(len(places), device=device)[:, None]
    return Samples(samples.x[rows, places], samples.y[rows, places], samples.task[places[0]])


def thinned_remark(stream: Stream, count: int | Literal["all"]) -> tuple[str, ...]:
    """Return what has to be known of curves of a thinned stream; nothing where it has all samples of every task."""
    if count == "all" or all(samples.x.shape[1] <= count for samples in stream.test):
        return ()
    return (f"curves on {count} samples",)


def evaluation_steps(steps: int, count: int) -> list[int]:
    """Return about ``count`` step numbers from 1 to ``steps``, evenly spaced on a log scale, the last one included.

    >>> evaluation_steps(100, 5)
    [1, 3, 10, 32, 100]
    """
    return sorted({round(steps ** (k / max(count - 1, 1))) for k in range(count)} | {steps})
