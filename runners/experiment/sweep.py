"""A sweep: stored cells are skipped, started ones continued, and the others run, by an executor."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

from runners.config.cell import Cell
from runners.experiment.executors.choose import settled
from runners.experiment.executors.executor import SERIAL, Ears, Terms
from runners.experiment.executors.job import Desk, Job, Receipt, receipt_for
from runners.experiment.executors.registry import make_executor
from runners.experiment.executors.schedule import carry_out
from runners.experiment.growth import Growth
from runners.experiment.keeping import Keeping
from runners.experiment.listener import Heard, Listener
from runners.experiment.memory import Room, room_on
from runners.experiment.step_times import StepTimes
from runners.experiment.work import work_stored
from runners.measure.record import Pauses, Progress
from runners.measure.result import Result
from runners.run import RUNNERS
from runners.store.experiment import Store
from runners.stream.cache import StreamCache
from runners.trackers import Tracking


@dataclass(frozen=True)
class StoredResults(Mapping[str, Result]):
    """Results by key, each read when it is asked for: hundreds of them need not be in memory at once."""

    store: Store
    keys_done: tuple[str, ...]

    def __getitem__(self, key: str) -> Result:
        result = self.store.cell(key).load_result() if key in self.keys_done else None
        if result is None:
            raise KeyError(key)
        return result

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys_done)

    def __len__(self) -> int:
        return len(self.keys_done)


@dataclass(frozen=True)
class Outcomes:
    """What became of the cells: results, and for those that failed why, by key."""

    results: Mapping[str, Result]
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
    terms: Terms = SERIAL,
    pauses: Pauses = Pauses(),  # noqa: B008, it is frozen
    command: str = "",
    keeping: Keeping = "auto",
) -> Outcomes:
    """Run the cells that the store does not hold yet; one that fails does not stop the others.

    Args:
        cells: what to run.
        store: where results are kept.
        listener: hears how it goes; what it raises ends its hearing, never a cell.
        device: where to train.
        streams: the scenarios that were built before.
        tracking: the tools that are told what is measured.
        tell: hears which contents changed since they were stored, what is not known of older cells, and what is odd meanwhile.
        terms: how the cells are spread over processes or machines; no number depends on it.
        pauses: when to save inside a task, and whether to stop.
        command: how the cells were asked for, which is noted in the folder.
        keeping: whether the networks after each task are kept beside the results.

    Raises:
        StorageError: the disk did not take a file of kancl's own; the other cells would fare no better.
        Stopped: ``pauses`` asked for it; what was done is kept.
    """
    streams, tracking = StreamCache() if streams is None else streams, tracking or Tracking(out=store.out)
    with store.opened(cells, tell, Growth(store, streams).settled, command) as cells:
        times = StepTimes(cells, store, tell)
        desk = Desk(streams, tracking, times.of, pauses.asked)
        heard = Numbered(Heard(listener), cells)
        stream_of = partial(streams.on, device)
        terms = settled(terms, len(times.waiting), device, partial(times.seconds, stream_of))
        seconds = times.beforehand(stream_of) if terms.executor == "processes" else {}
        with make_executor(terms, Ears(heard.progress, tell), desk) as executor:
            tools = tuple(tracking.trackers)
            room = Room() if terms.scheduler else room_on(device).shared(terms.jobs or 1)
            jobs = [
                Job(cell, store.out, device, terms.threads, tools, seconds.get(cell.key, math.nan), pauses.every, room, keeping)
                for cell in sorted(cells, key=lambda cell: -times.expected.get(cell.key, 0.0))  # the longest must not come last
            ]
            done, failures, left = list[str](), dict[str, str](), set[str]()
            begin = partial(_begin, store=store, tracking=tracking, heard=heard, left=left, tell=tell)
            for receipt in carry_out(jobs, executor, begin, partial(_is_free, store=store), pauses.asked):
                heard.end(receipt)
                if receipt.state == "failed":
                    failures[receipt.job.cell.key] = receipt.said
                elif receipt.state == "held":
                    left.add(receipt.job.cell.key)
                else:
                    done.append(receipt.job.cell.key)
    order = {cell.key: number for number, cell in enumerate(cells)}
    return Outcomes(StoredResults(store, tuple(sorted(done, key=order.__getitem__))), failures, cells)


def _begin(
    job: Job, store: Store, tracking: Tracking, heard: "Numbered", left: Collection[str], tell: Callable[[object], None]
) -> Receipt | None:
    """Tell that a cell's turn has come; a receipt if it is stored, or failed in the process that it was left to."""
    heard.begin(job)
    outcome = work_stored(job.cell, store, tracking)
    if outcome is None and job.cell.key in left:
        status = store.cell(job.cell.key).load_status() or {}
        if status.get("state") == "failed":
            return Receipt(job, "failed", str(status.get("error")))
    caution = "" if outcome else RUNNERS[job.cell.runner].caution_on(job.cell.strategy)
    if caution:
        tell(f"{job.cell.key}: {caution}")
    return None if outcome is None else receipt_for(job, outcome)


def _is_free(job: Job, store: Store) -> bool:
    """Tell whether no other process works on a cell any more."""
    held = store.holder(job.cell.key)
    return held is None or not held.lives


@dataclass(frozen=True)
class Numbered:
    """Tells a listener of jobs by their cells' places in the sweep."""

    listener: Listener
    cells: Sequence[Cell]

    def begin(self, job: Job) -> None:
        """Tell that a job's turn has come."""
        self.listener.begin_cell(job.cell, self._numbers[job.cell.key], len(self.cells))

    def progress(self, job: Job, progress: Progress) -> None:
        """Tell how far a job is."""
        self.listener.progress(job.cell, progress)

    def end(self, receipt: Receipt) -> None:
        """Tell what became of a job."""
        self.listener.end_cell(receipt.job.cell, receipt.said)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {cell.key: number for number, cell in enumerate(self.cells, 1)}
