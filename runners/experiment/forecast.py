"""The memory that a cell will take, before it is run: found by a rehearsal, which is the cell with a few steps and seeds."""

from collections.abc import Iterable
from dataclasses import replace

from runners.config.cell import Cell
from runners.measure.allocations import Allocations
from runners.run import RUNNERS
from runners.stream.samples import Samples
from runners.stream.stream import Stream

STEPS, SEARCHING_STEPS = 3, 12
"""Steps per task of a rehearsal; an optimiser that searches remembers ten."""
BUILDING = 4
"""While a stack is built, two seeds are beside it, in double precision."""
SLACK, GROUND = 1.5, 1 << 24
"""What a process takes for the tensors that it holds: so many times their bytes, since the gaps that freed ones leave are not
all filled again, and so many bytes in any case. Of ten cells of 40 to 600 MB the estimates were 0.8 to 1.6 times the peak."""


def memory_of(cell: Cell, stream: Stream) -> int:
    """Return the bytes that a cell takes at most, beside what its process holds before: its data, and all that training holds.

    Parameters, gradients, the optimiser's state, what a step keeps for its backward pass, evaluations, what the strategy
    remembers: whatever the cell holds is counted in a rehearsal of one seed, and in one of two seeds, so that what grows
    with the seeds is known. Nothing is written, and nothing is changed.

    Args:
        cell: its seeds are those that train at once.
        stream: its scenario in main memory, of these seeds, or of some of them: two are enough.
    """
    if not stream.groups:
        return round(data_bytes(stream, len(cell.seeds)) + SLACK * _held(cell, stream)) + GROUND
    data = sum(data_bytes(group, len(group.seeds)) for group in stream.groups)
    return round(data + SLACK * max(_held(replace(cell, seeds=group.seeds), group) for group in stream.groups)) + GROUND


def data_bytes(stream: Stream, seeds: int) -> int:
    """Return the bytes of so many seeds' samples; what all seeds share is there once.

    Args:
        stream: without groups; of any seeds.
        seeds: how many are asked for.
    """
    parts: Iterable[Samples] = (*stream.train, *stream.test, *(() if stream.pretrain is None else (stream.pretrain,)))
    sizes: dict[int, int] = {}
    for tensor in (tensor for part in parts for tensor in (part.x, part.y)):
        sizes[tensor.data_ptr()] = tensor[:1].nbytes * (1 if tensor.stride(0) == 0 else seeds)
    return sum(sizes.values())


def _held(cell: Cell, stream: Stream) -> int:
    """Return the bytes that are held beside the data at most: while the stack is built, or while it is trained on."""
    counts = range(1, 1 + min(2, len(cell.seeds), len(stream.seeds)))
    peaks = [_rehearsed(cell, stream.of_places(slice(count))) for count in counts]
    more = max(0, peaks[-1] - peaks[0]) if len(peaks) > 1 else peaks[0]
    return max(peaks[0] + more * (len(cell.seeds) - 1), BUILDING * data_bytes(stream, 1))


def _rehearsed(cell: Cell, stream: Stream) -> int:
    """Return the peak of what a run of a few steps holds, on all tasks."""
    with Allocations() as seen:
        RUNNERS[cell.runner].run(shortened(cell, stream), stream)
    return seen.peak


def shortened(cell: Cell, stream: Stream) -> Cell:
    """Return a cell of the stream's seeds that takes a few steps on every task, and is evaluated twice in each."""
    least = min(cell.policy.steps_per_task(samples.x.shape[1]) for samples in stream.train)
    steps = min(least, SEARCHING_STEPS if cell.policy.row.searches else STEPS)
    return replace(cell, seeds=stream.seeds, evaluations=2, policy=replace(cell.policy, steps=steps, epochs=None))
