"""One cell's work: whoever asks for it, a sweep or a trial of tuning, and wherever it is done."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from kancl.errors import InputError, Stopped, StorageError, is_interrupt, places_of
from runners.config.cell import Cell
from runners.experiment.blame import told
from runners.experiment.blocks import run_blocks, run_in
from runners.experiment.continuation import added_later, continued
from runners.experiment.keeping import Keeping, NetworkKeeper
from runners.experiment.memory import Fitted, Room, fitted
from runners.measure.record import NEVER, Checkpoint, Pauses, Progress
from runners.measure.result import Result
from runners.run import RUNNERS, run_cell
from runners.store.claims import Claim
from runners.store.contents import DATA
from runners.store.experiment import Store
from runners.stream.cache import StreamCache
from runners.stream.stream import Stream
from runners.trackers import Tracking

StepSeconds = Callable[[Cell, Stream], float]
"""Gives the time of a cell's training steps, measured on its stream."""


State = Literal["done", "stored", "failed", "held"]
"""Of a cell: trained now, found in the store, failed, or worked on by another process at this moment."""


@dataclass(frozen=True)
class Outcome:
    """What became of a cell.

    Args:
        state: whether there is a result now.
        said: the same in a line, with the reason where there is none.
        result: what was measured, where there is something.
    """

    state: State
    said: str
    result: Result | None = None


def work(
    cell: Cell,
    store: Store | None,
    device: str = "cpu",
    streams: StreamCache | None = None,
    tell: Callable[[Progress], None] = lambda progress: None,
    tracking: Tracking | None = None,
    step_seconds: StepSeconds = lambda cell, stream: float("nan"),
    pauses: Pauses = NEVER,
    room: Room = Room(),  # noqa: B008, it is frozen
    keeping: Keeping = "auto",
) -> Outcome:
    """Do a cell: what is stored is taken, what was begun goes on, everything else is trained; a failure is an outcome.

    Args:
        cell: what to do.
        store: where the result and what is needed to go on are kept; None for a trial, of which nothing is.
        device: where to train.
        streams: the scenarios that were built before.
        tell: called with the progress.
        tracking: the tools that are told what is measured.
        step_seconds: times the cell's steps, for runners whose steps can be timed apart.
        pauses: when to save inside a task, and whether to stop.
        room: the memory that there is; seeds that do not fit together are trained in blocks.
        keeping: whether the networks after each task are kept beside the result.

    Raises:
        StorageError: the disk did not take a file of kancl's own; other cells would fare no better.
        KeyboardInterrupt: somebody stopped it; a Stopped, if ``pauses`` asked for it.
    """
    streams = StreamCache() if streams is None else streams
    try:
        if store is None:
            return Outcome("done", "done", run_cell(cell, streams.on(device, cell), tell=tell, pauses=pauses))
        tracking = tracking or Tracking()
        known = work_stored(cell, store, tracking)
        if known is not None:
            return known
    except BaseException as error:
        return _failed(error, cell, store)
    claim = store.claim(cell.key)
    if claim is None:
        return Outcome("held", f"left to {store.holder(cell.key) or 'another process'}")
    asked = pauses.asked
    with claim:
        try:
            known = work_stored(cell, store, tracking)  # another process may just have done it
            if known is not None:
                return known
            pauses = replace(pauses, asked=partial(_is_over, claim, asked))
            result = _trained(cell, store, device, streams, tell, tracking, step_seconds, pauses, room, keeping)
            return Outcome("done", "done", result)
        except Stopped:
            if claim.lost and not asked():
                return Outcome("held", f"left to {store.holder(cell.key) or 'another process'}, which took it over")
            raise
        except BaseException as error:
            return _failed(error, cell, store)


def _is_over(claim: Claim, asked: Callable[[], bool]) -> bool:
    """Tell whether to stop: it was asked for, or another process took the cell over."""
    return claim.lost or asked()


def _failed(error: BaseException, cell: Cell, store: Store | None) -> Outcome:
    """Return what became of a cell that failed, and write it down; raise what is none of its own."""
    if is_interrupt(error) or (isinstance(error, StorageError) and not places_of(error)):
        raise error
    said = told(error, cell)
    if store is not None:
        store.cell(cell.key).save_failure(error, said)
    return Outcome("failed", said)


def work_stored(cell: Cell, store: Store, tracking: Tracking) -> Outcome | None:
    """Return what is stored of a cell that was done before, with what it lacks beside its result; None if it is to be done.

    Args:
        cell: which.
        store: where its result would be.
        tracking: tools that do not have all of it are told.

    Raises:
        StorageError: the disk did not take what was lacking.
    """
    files = store.cell(cell.key)
    stored = files.load_result()
    if stored is None:
        return None
    files.mend(cell, stored)
    tracking.stored(cell, stored)
    return Outcome("stored", "stored", stored)


def _trained(
    cell: Cell,
    store: Store,
    device: str,
    streams: StreamCache,
    tell: Callable[[Progress], None],
    tracking: Tracking,
    step_seconds: StepSeconds,
    pauses: Pauses,
    room: Room,
    keeping: Keeping,
) -> Result:
    """Train a cell, with everything in its folder."""
    files = store.cell(cell.key)
    resume = files.load_checkpoint()
    if isinstance(resume, Checkpoint):
        files.save_checkpoint(resume)  # one of a version without seals gets its own
    files.begin(cell)
    stream = streams.on(device, cell)
    if cell.content.get(DATA, stream.digest) != stream.digest:
        raise InputError(f"the data of `{cell.asked['scenario']}` changed while the sweep ran; run the command again")
    apart = RUNNERS[cell.runner].times_steps
    seconds = step_seconds(cell, stream) if apart else None
    resume = resume or continued(cell, stream, store, streams)
    fit = fitted(cell, stream, room) if resume is None else Fitted(stream)  # as it was begun
    files.save_status("running", tasks_done=resume.phases_done if resume else 0)
    with tracking.cell(cell, stream.names) as tracked:
        if fit.stream.groups:
            result = run_blocks(cell, fit.stream, files, tell, pauses, keeping)
        else:
            keep = NetworkKeeper(files, cell, len(stream.names), keeping)
            result = run_in(files, cell, stream, resume, tell, tracked.measured, pauses, keep)
        result = replace(result, remarks=(*result.remarks, *added_later(result)))
        if seconds is not None:
            result = replace(result, step_seconds=seconds)
        files.save_result(result)
        files.save_done(result, **fit.measured())
        if exceeded := fit.exceeded():
            files.tell(f"{cell.key}: {exceeded}")
        tracked.finish(result)
    return result
