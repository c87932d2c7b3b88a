"""A stream without borders: batches are drawn from the mixture of neighbouring tasks at their moment.

Who sees the past anyway (strategies without boundaries) sees no mixture; for the others phases are no tasks any more: nobody is
told of one, the optimiser is never reset, and a schedule of the rate runs once over all of them.
"""

from collections.abc import Iterator
from itertools import count
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kancl.seeding import generator
from runners.stream.batches import Batch
from runners.stream.stream import Stream
from scenarios.streams import share_of_later

DRAWN = 1 << 16
"""Numbers that a seed draws at a time."""


def seen_in(phase: int, stream: Stream) -> range:
    """Return the tasks that mixtures of a phase may be drawn from."""
    return range(max(0, phase - 1), min(len(stream.train), phase + 2))


def mixtures(stream: Stream, size: int | Literal["full"], phase: int, steps: int, first: int = 0) -> Iterator[Batch]:
    """Yield the batches of a phase: step k, from 0, at the position phase + (k + 1/2) / steps.

    Each sample is drawn on its own, with replacement: first its task, by the shares at that moment, then one of that task's
    training samples. A batch depends on the seed, the phase and the step alone.

    Args:
        stream: the tasks.
        size: of a batch; like in a phase of the task alone, no more than that task has samples.
        phase: from 0.
        steps: of the phase; after them the mixture stays what it is at its end.
        first: the step that the first batch is for.
    """
    samples = [part.x.shape[1] for part in stream.train]
    batch = samples[phase] if size == "full" else min(size, samples[phase])
    draws = _draws(stream.seeds, batch, phase)
    for _ in range(first):
        next(draws)
    for step in count(first):
        position = phase + min(1.0, (step + 0.5) / steps)
        border = min(max(1, round(position)), len(samples) - 1)  # the nearest; ramps do not overlap
        share = share_of_later(position, border, stream.blur) if border else 0.0
        which, where = next(draws)
        yield _batch(stream, max(0, border - 1), which < share, where)


def _batch(stream: Stream, earlier: int, later: Bool[Tensor, "S B"], where: Float[Tensor, "S B"]) -> Batch:
    """Return samples of task ``earlier`` and, where ``later``, of the next one; ``where`` in [0, 1) tells which of its own."""
    device, found = stream.device, []
    rows = torch.arange(len(stream.seeds), device=device)[:, None]
    for number, chosen in ((earlier, ~later), (earlier + 1, later)):
        if bool(chosen.any()):
            own = stream.train[number]
            place = (where * own.x.shape[1]).long().to(device)  # for the others too, so that shapes stay alike
            found.append((own.x[rows, place], own.y[rows, place]))
    later = later.to(device)
    pick = lambda one, other: torch.where(later.view(*later.shape, *[1] * (one.ndim - 2)), other, one)  # noqa: E731
    x, y = found[0] if len(found) == 1 else map(pick, *found)
    return Batch(x, y, stream.mask(earlier + later.long()))


def _draws(seeds: tuple[int, ...], batch: int, phase: int) -> Iterator[Float[Tensor, "2 S B"]]:
    """Yield for every step two numbers in [0, 1) for each sample; many steps are drawn at a time, since that is quicker."""
    generators = [generator(seed, "blur", phase) for seed in seeds]
    steps = max(1, DRAWN // (2 * batch))
    while True:
        drawn = [torch.rand(steps, 2, batch, generator=own, dtype=torch.float64) for own in generators]
        yield from torch.stack(drawn, 2)
