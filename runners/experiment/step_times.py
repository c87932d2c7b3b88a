"""The times of training steps, measured while nothing else of the same run works: cells on the same data take turns."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from kancl.errors import is_interrupt
from runners.config.cell import Cell
from runners.run import RUNNERS
from runners.store.claims import at_work_here
from runners.store.experiment import Store
from runners.stream.stream import Stream
from runners.training.step_time import step_seconds


@dataclass
class StepTimes:
    """The times of the cells of a sweep.

    Args:
        cells: of the sweep.
        store: tells which of them are done and need no time, and who else works there.
        tell: hears that times were taken while others worked on this machine, if they were.
    """

    cells: Sequence[Cell]
    store: Store
    tell: Callable[[object], None] = lambda line: None
    known: dict[str, float] = field(default_factory=dict)
    expected: dict[str, float] = field(default_factory=dict)
    """About how many seconds the training of each cell will take, once all were timed beforehand; infinity if nobody knows."""

    @cached_property
    def waiting(self) -> dict[str, Cell]:
        """The cells that are to be done, by key."""
        return {cell.key: cell for cell in self.cells if self.store.cell(cell.key).load_result() is None}

    def of(self, cell: Cell, stream: Stream) -> float:
        """Return the seconds per step and network of a cell; at the first of its kind the others are measured with it."""
        if cell.key not in self.known:
            others = [c for c in self.waiting.values() if c.key != cell.key and data_of(c) == data_of(cell)]
            alike = [cell, *(other for other in others if RUNNERS[other.runner].times_steps)]
            say_if_disturbed("µs/step", self.store.out, self.tell)
            self.known |= dict(zip([c.key for c in alike], step_seconds(alike, stream, as_trained=True), strict=True))
        return self.known[cell.key]

    def beforehand(self, stream_of: Callable[[Cell], Stream]) -> dict[str, float]:
        """Return the times of all cells that are to be done, by key; measured here, before others work beside it.

        Args:
            stream_of: gives the stream of a cell on the device to train on; a cell for which it fails has no time.
        """
        for cell in () if self.known else self.waiting.values():
            if not RUNNERS[cell.runner].times_steps:
                self.expected[cell.key] = math.inf
                continue
            try:
                stream = stream_of(cell)
            except BaseException as error:  # the cell itself fails with it, and says so
                if is_interrupt(error):
                    raise
                continue
            steps = sum(cell.policy.steps_per_task(samples.x.shape[1]) for samples in stream.train)
            seconds = steps * self.of(cell, stream) * len(cell.seeds)
            self.expected[cell.key] = 0.0 if math.isnan(seconds) else seconds
        return self.known

    def seconds(self, stream_of: Callable[[Cell], Stream]) -> float:
        """Return about how many seconds all cells will take that are to be done, one after another; infinity if nobody knows.

        Args:
            stream_of: as of :meth:`beforehand`, which this is known by.
        """
        self.beforehand(stream_of)
        return sum(self.expected.values())


def say_if_disturbed(what: str, out: Path, tell: Callable[[object], None]) -> None:
    """Say that times are taken while another run works on the same folder, and on this machine, if one does.

    Args:
        what: the times.
        out: the folder.
        tell: hears it.
    """
    others = at_work_here(out)
    if others:
        tell(f"{what} is measured while {others[0]} works on the same folder here: times may be too long")


def data_of(cell: Cell) -> tuple[object, ...]:
    """Return what the cell's data depend on."""
    return cell.scenario, cell.seeds, cell.dtype, cell.data_root
