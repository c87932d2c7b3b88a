"""Stacked scenarios kept for the length of one command: the check, the trials and the runs need the same ones."""

from pathlib import Path

import torch

from kancl.options import Spec
from runners.config.cell import Cell
from runners.stream.samples import once
from runners.stream.stack import stack
from runners.stream.stream import Stream

LIMIT = 1 << 29
"""Bytes of samples that are kept; one stream may take more."""


class StreamCache:
    """Builds a stream when it is first asked for; forgets the oldest ones where all together would take too much memory."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self.kept: dict[str, Stream] = {}
        self.latest: tuple[tuple[str, str], Stream] | None = None  # where which stream is, and the stream there
        self.remarks: dict[str, None] = {}  # what a user has to know of the streams that were built, each once

    def of(self, cell: Cell) -> Stream:
        """Return the stream of a cell, in main memory."""
        return self.get(cell.scenario, cell.seeds, cell.dtype, cell.data_root)

    def on(self, device: str, cell: Cell) -> Stream:
        """Return the stream of a cell where it is trained; the last one that was asked for stays there."""
        wanted = device, _place(cell.scenario, cell.seeds, cell.dtype, cell.data_root)
        if self.latest is None or self.latest[0] != wanted:
            self.latest = None  # let go of it before the next one is built and moved
            self.latest = wanted, self.of(cell).to(device)
        return self.latest[1]

    def get(self, scenario: Spec, seeds: tuple[int, ...], dtype: str, data_root: str) -> Stream:
        """Return the stream of a scenario, in main memory; built by :func:`runners.stream.stack.stack` if it is not there.

        Args:
            scenario: with its options.
            seeds: of the stack.
            dtype: of the samples, as torch names it.
            data_root: the folder of data files.
        """
        place = _place(scenario, seeds, dtype, data_root)
        if place not in self.kept:
            self._forget(0)
            stream = stack(scenario, seeds, getattr(torch, dtype), Path(data_root))
            self.remarks |= dict.fromkeys(f"{scenario.label}: {remark}" for remark in stream.remarks)
            self._forget(_size(stream))
            self.kept[place] = stream
        return self.kept[place]

    def parts(self, cell: Cell, seeds: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Return seeds in parts that can be stacked: all at once if that is within the limit, else as many as the cell has."""
        count = len(cell.seeds)
        if _size(self.of(cell)) * len(seeds) <= self.limit * count:
            return [seeds]
        return [seeds[first : first + count] for first in range(0, len(seeds), count)]

    def _forget(self, more: int) -> None:
        """Let the oldest go until the others and ``more`` bytes are within the limit."""
        while self.kept and sum(map(_size, self.kept.values())) + more > self.limit:
            del self.kept[next(iter(self.kept))]


def _place(*what: object) -> str:
    return repr(what)


def _size(stream: Stream) -> int:
    pretrain = () if stream.pretrain is None else (stream.pretrain,)
    samples = (*stream.train, *stream.test, *pretrain)
    return sum(once(tensor).nbytes for part in samples for tensor in (part.x, part.y)) + sum(map(_size, stream.groups))
