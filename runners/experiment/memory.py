"""Seeds that do not fit in memory together are trained in blocks: foretold before a cell is trained, and measured after."""

import resource
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from kancl.text import counted
from runners.config.cell import Cell
from runners.experiment.forecast import data_bytes, memory_of
from runners.experiment.foresight import held_memory
from runners.stream.stream import Stream
from runners.training.networks import build_network

MB = 1 << 20
SMALL = 16
"""What takes less than this part of the room by a rough guess is not rehearsed."""


@dataclass(frozen=True)
class Room:
    """The memory that a cell may take.

    Args:
        bytes: beside what its process has; None where that is not known, and nothing is split.
    """

    bytes: int | None = None

    def shared(self, jobs: int) -> "Room":
        """Return the room of each of several that work at a time."""
        return self if self.bytes is None else Room(self.bytes // jobs)


@dataclass(frozen=True)
class Fitted:
    """A cell's stream as it is trained on.

    Args:
        stream: with the seeds in groups where they do not fit together.
        expected: the bytes that were foretold; None where they were not, since there is plenty of room.
        held: bytes that this process held when that was foretold; 0 where nobody knows.
        most: the most that it held until then.
    """

    stream: Stream
    expected: int | None = None
    held: int = field(default_factory=held_memory)
    most: int = field(default_factory=lambda: peak())

    def measured(self) -> dict[str, Any]:
        """Return what the status keeps: the largest memory of this process until now, and what was foretold, in bytes."""
        found: dict[str, Any] = {"peak_memory": peak()}
        if self.expected is not None:
            found |= {"expected_memory": self.expected, "blocks": max(1, len(self.stream.groups))}
        return found

    def exceeded(self) -> str:
        """Return in a line that the cell took more memory than was foretold; empty if not, or if nobody knows.

        What stays below the most that the process held before it cannot be seen.
        """
        most, blocks = peak(), max(1, len(self.stream.groups))
        taken = most - self.held
        if self.expected is None or not self.held or most <= self.most or taken <= self.expected:
            return ""
        return (
            f"{counted(len(self.stream.seeds), 'seed')} in {counted(blocks, 'block')} took {taken / MB:,.0f} MB of memory, and "
            f"{self.expected / MB:,.0f} MB were foretold; a smaller --jobs leaves more room, should it run out"
        )


def fitted(cell: Cell, stream: Stream, room: Room) -> Fitted:
    """Return a cell's stream, its seeds divided into as few blocks as fit in memory; a seed's numbers are those of the stack.

    Args:
        cell: whose seeds train at once otherwise.
        stream: theirs.
        room: that there is.
    """
    together = cell.runner == "native" and not stream.groups and len(cell.seeds) > 1
    if room.bytes is None or not together or guessed(cell, stream) * SMALL < room.bytes:
        return Fitted(stream)
    here = stream.to("cpu")
    whole = memory_of(cell, here)
    if whole <= room.bytes:
        return Fitted(stream, whole)
    alone = memory_of(replace(cell, seeds=cell.seeds[:1]), here.of_places(slice(1)))
    each = max(1, (whole - alone) // (len(cell.seeds) - 1))
    most = min(len(cell.seeds) - 1, max(1, 1 + (room.bytes - alone) // each))
    blocks = -(-len(cell.seeds) // most)
    size = -(-len(cell.seeds) // blocks)
    groups = tuple(stream.of_places(slice(first, first + size)) for first in range(0, len(cell.seeds), size))
    return Fitted(replace(stream, groups=groups), alone + each * (size - 1))


def guessed(cell: Cell, stream: Stream) -> int:
    """Return a rough guess of a cell's bytes: data, parameters with what an optimiser keeps, a batch's product with each."""
    one = build_network(replace(cell, seeds=cell.seeds[:1]), stream.of_places(slice(1)))
    samples = max(part.x.shape[1] for part in stream.train)
    batch = cell.policy.batch_size if isinstance(cell.policy.batch_size, int) else samples
    parameters = sum(tensor.nbytes for tensor in one.parameters())
    return 3 * data_bytes(stream, len(cell.seeds)) + len(cell.seeds) * parameters * (8 + min(batch, samples))


def room_on(device: str) -> Room:
    """Return the memory that is free: of a GPU, or of this machine and of the container that this process is in.

    Args:
        device: as torch names it.
    """
    if device == "cuda":
        return Room(torch.cuda.mem_get_info()[0])
    found = [free for free in (_free_here(), _free_in_container()) if free is not None]
    return Room(min(found) if found else None)


def peak() -> int:
    """Return the largest memory of this process until now, in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _free_here() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return None


def _free_in_container(folder: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return what a container's limit leaves; files that the system keeps in memory can go."""
    try:
        most, now = ((folder / f"memory.{name}").read_text().strip() for name in ("max", "current"))
        kept = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return max(0, int(most) - int(now) + int(kept.get("inactive_file", 0))) if most.isdigit() else None
    except (OSError, ValueError):
        return None
