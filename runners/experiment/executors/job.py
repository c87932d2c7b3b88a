"""A job, which can be sent anywhere, and the receipt for it: neither holds arrays."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from runners.config.cell import Cell
from runners.experiment.keeping import Keeping
from runners.experiment.memory import Room
from runners.experiment.work import Outcome, State, StepSeconds, work
from runners.measure.record import CHECKPOINT_EVERY, Pauses, Progress, never
from runners.measure.result import Result
from runners.store.experiment import Store
from runners.stream.cache import StreamCache
from runners.trackers import Tracking, make_trackers


@dataclass(frozen=True)
class Job:
    """A cell to be done, with all that a process elsewhere has to know.

    Args:
        cell: which.
        out: the folder of its experiment; None for a trial, of which nothing is stored.
        device: where to train, as torch names it.
        threads: of torch.
        trackers: the names of the tools that are told what is measured.
        step_seconds: how long a training step takes, measured before; NaN if it was not.
        every: seconds of training after which it is saved inside a task.
        room: the memory that it may take.
        keeping: whether the networks after each task are kept beside the result.
        keep: makes of the result what the receipt brings back: plain values, and a function that can be pickled.
    """

    cell: Cell
    out: Path | None
    device: str = "cpu"
    threads: int = 1
    trackers: tuple[str, ...] = ()
    step_seconds: float = float("nan")
    every: float = CHECKPOINT_EVERY
    room: Room = Room()  # noqa: RUF009, it is frozen
    keeping: Keeping = "auto"
    keep: Callable[[Result], Any] | None = None


@dataclass(frozen=True)
class Receipt:
    """What became of a job.

    Args:
        job: which.
        state: whether there is a result now.
        said: the same in a line, with the reason where there is none.
        kept: what the job keeps of the result.
    """

    job: Job
    state: State
    said: str
    kept: Any = None


@dataclass(frozen=True)
class Desk:
    """What jobs that are done in one process share.

    Args:
        streams: the scenarios that were built before.
        tracking: the tools that are told what is measured.
        step_seconds: times the steps of a cell when it begins; None where every job brings its time.
        asked: tells whether jobs are to stop.
    """

    streams: StreamCache
    tracking: Tracking
    step_seconds: StepSeconds | None = None
    asked: Callable[[], bool] = never


def desk_for(job: Job, say: Callable[[object], None], asked: Callable[[], bool]) -> Desk:
    """Return what a process needs that does a job and nothing else.

    Args:
        job: which.
        say: hears warnings.
        asked: tells whether the job is to stop.
    """
    trackers = make_trackers(job.trackers)
    return Desk(StreamCache(), Tracking(trackers, job.out or Path(), say), asked=asked)


def do(job: Job, desk: Desk, tell: Callable[[Progress], None], say: Callable[[object], None]) -> Receipt:
    """Do a job in this process; what the cell fails with is a receipt too.

    Args:
        job: which.
        desk: what it shares with others.
        tell: hears how far it is.
        say: hears of files that are damaged.

    Raises:
        StorageError: the disk did not take a file.
        KeyboardInterrupt: somebody stopped it; what was done is kept.
    """
    store = None if job.out is None else Store(job.out, say)
    pauses = Pauses(job.every, desk.asked)
    timed = desk.step_seconds or (lambda cell, stream: job.step_seconds)
    outcome = work(job.cell, store, job.device, desk.streams, tell, desk.tracking, timed, pauses, job.room, job.keeping)
    return receipt_for(job, outcome)


def receipt_for(job: Job, outcome: Outcome) -> Receipt:
    """Return the receipt for what became of a job's cell."""
    receipt = Receipt(job, outcome.state, outcome.said)
    if outcome.result is None or job.keep is None:
        return receipt
    return replace(receipt, kept=job.keep(outcome.result))
