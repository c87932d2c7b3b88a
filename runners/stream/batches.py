"""Batches for all seeds at once, each seed in its own order.

A seed's order depends on its seed, the phase and the epoch alone: not on the stack it is in, and not on earlier phases.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from kancl.seeding import generator
from runners.stream.samples import Samples
from runners.stream.stream import Stream

PRETRAIN: Literal["pretrain"] = "pretrain"
Phase = int | Literal["pretrain"]
"""A phase of the sequence, from 0, or the one before it."""
PIECE = 1 << 20
"""Numbers (seeds x samples x inputs) that are gathered at a time: a few MB instead of a copy of the epoch."""


@dataclass(frozen=True, eq=False)
class Batch:
    """What the networks are trained on at one step.

    Args:
        x: inputs.
        y: targets: numbers (S, B, O), class numbers (S, B), or an operator's values (S, B, R).
        mask: the active output units of each sample, for tasks with heads of their own; None where all units are active.
        extra: what a strategy gives to its own hooks, by name, each (S, ...).
    """

    x: Float[Tensor, "S B I"]
    y: Shaped[Tensor, "S B ..."]
    mask: Bool[Tensor, "S B O"] | None
    extra: Mapping[str, Tensor] = field(default_factory=dict)

    def of_seed(self, s: int) -> "Batch":
        """Return the batch of one seed, as a stack of one.

        Args:
            s: the seed's place in the stack.
        """
        own = slice(s, s + 1)
        extra = {name: tensor[own] for name, tensor in self.extra.items()}
        return Batch(self.x[own], self.y[own], None if self.mask is None else self.mask[own], extra)


def batches(stream: Stream, samples: Samples, size: int | Literal["full"], phase: Phase, first: int = 0) -> Iterator[Batch]:
    """Yield batches without end, epoch after epoch; the last batch of an epoch may be smaller, so all samples are used.

    Args:
        stream: tells the seeds and the heads.
        samples: of one task or more, x (S, N, I).
        size: B, samples of each seed in a batch; ``full``, or N and more, for all of them at every step.
        phase: names the random streams; the same phase gives the same orders again.
        first: batches that are passed over; orders are drawn for them, and no samples gathered.
    """
    count = samples.x.shape[1]
    if size == "full" or size >= count:
        # Every order of a full batch is the same batch: it is made once.
        mask = stream.mask(samples.task)
        whole = Batch(samples.x, samples.y, None if mask is None else mask.expand(len(stream.seeds), -1, -1))
        while True:
            yield whole
    rows = torch.arange(len(stream.seeds), device=stream.device)[:, None]
    piece = size * max(1, PIECE // (len(stream.seeds) * size * stream.inputs))
    for drawn in epoch_orders(stream.seeds, count, phase):
        for order in drawn.to(stream.device).split(piece, 1):
            here = -(-order.shape[1] // size)
            if first >= here:
                first -= here
                continue
            x, y, mask = samples.x[rows, order], samples.y[rows, order], stream.mask(samples.task[order])
            for start in range(first * size, order.shape[1], size):
                part = slice(start, start + size)
                yield Batch(x[:, part], y[:, part], None if mask is None else mask[:, part])
            first = 0


def epoch_orders(seeds: tuple[int, ...], count: int, phase: Phase) -> Iterator[Int[Tensor, "S N"]]:
    """Yield the order in which each seed sees its samples, epoch after epoch of a phase, without end.

    Args:
        seeds: S of them.
        count: N, samples of each seed.
        phase: names the random streams.
    """
    generators = [generator(seed, "batches", phase) for seed in seeds]
    while True:
        yield torch.stack([torch.randperm(count, generator=own) for own in generators])
