"""A sweep: stored cells are skipped, started ones continued, and the others run, one after another."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from runners.config.cell import Cell
from runners.experiment.listener import Heard, Listener
from runners.experiment.work import work
from runners.measure.result import Result
from runners.run import RUNNERS
from runners.store.experiment import Store
from runners.stream.cache import StreamCache
from runners.stream.stream import Stream
from runners.trackers import Tracking
from runners.training.step_time import step_seconds


@dataclass(frozen=True)
class Outcomes:
    """What became of the cells: results, and for those that failed why, by key."""

    results: dict[str, Result]
    failures: dict[str, str]
    cells: Sequence[Cell] = ()
    """All of them, by the keys under which they are stored."""


def run(
    cells: Sequence[Cell],
    store: Store,
    listener: Listener,
    device: str = "cpu",
    streams: StreamCache | None = None,
    tracking: Tracking | None = None,
    tell: Callable[[object], None] = lambda line: None,
) -> Outcomes:
    """Run the cells that the store does not hold yet; one that fails does not stop the others.

    Args:
        cells: what to run.
        store: where results are kept.
        listener: hears how it goes; what it raises ends its hearing, never a cell.
        device: where to train.
        streams: the scenarios that were built before.
        tracking: the tools that are told what is measured.
        tell: hears which contents changed since they were stored, and what is not known of older cells.

    Raises:
        StorageError: the disk did not take a file of kancl's own; the other cells would fare no better.
    """
    heard, streams = Heard(listener), StreamCache() if streams is None else streams
    results: dict[str, Result] = {}
    failures: dict[str, str] = {}
    with store.opened(cells, tell) as cells:
        times = StepTimes(cells, store)
        for number, cell in enumerate(cells, 1):
            heard.begin_cell(cell, number, len(cells))
            outcome = work(cell, store, device, streams, heard.progress, tracking, times.of)
            if outcome.result is None:
                failures[cell.key] = outcome.said
            else:
                results[cell.key] = outcome.result
            heard.end_cell(cell, outcome.said)
    return Outcomes(results, failures, cells)


@dataclass
class StepTimes:
    """The times of training steps: those cells of a sweep that train on the same data take turns.

    Args:
        cells: of the sweep.
        store: tells which of them are done and need no time.
    """

    cells: Sequence[Cell]
    store: Store
    known: dict[str, float] = field(default_factory=dict)

    def of(self, cell: Cell, stream: Stream) -> float:
        """Return the seconds per step and network of a cell; at the first of its kind the others are measured with it."""
        if cell.key not in self.known:
            others = [c for c in self.cells if c.key != cell.key and data_of(c) == data_of(cell)]
            waiting = [c for c in others if RUNNERS[c.runner].times_steps and self.store.cell(c.key).load_result() is None]
            alike = [cell, *waiting]
            self.known |= dict(zip([c.key for c in alike], step_seconds(alike, stream), strict=True))
        return self.known[cell.key]


def data_of(cell: Cell) -> tuple[object, ...]:
    """Return what the cell's data depend on."""
    return cell.scenario, cell.seeds, cell.dtype, cell.data_root
