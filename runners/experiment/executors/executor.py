"""The protocol of executors: jobs in, receipts out as they finish."""

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from kancl.errors import InputError
from runners.experiment.executors.job import Desk, Job, Receipt
from runners.measure.record import Progress

HANG_AFTER = 3600.0
"""Seconds without any sign of progress after which a cell counts as hung: an hour, since one step may be long."""
RETRIES = 2
"""How often a cell is tried again whose process was killed, or hung."""


@dataclass(frozen=True)
class Terms:
    """How jobs are spread.

    Args:
        executor: its name in :data:`runners.experiment.executors.registry.EXECUTORS`.
        jobs: how many are done at a time, from 1; None to choose (:mod:`runners.experiment.executors.choose`).
        threads: of torch, for each job.
        hang_after: seconds without any sign of progress after which a job is stopped and tried again.
        retries: how often a job is tried again whose process was lost.
        scheduler: the address of a scheduler of dask's; None for one of this command's own.
    """

    executor: str = "serial"
    jobs: int | None = 1
    threads: int = 1
    hang_after: float = HANG_AFTER
    retries: int = RETRIES
    scheduler: str | None = None

    def __post_init__(self) -> None:
        if self.jobs is not None and self.jobs < 1:
            raise InputError(f"--jobs must be at least 1, got {self.jobs}")
        if not self.hang_after > 0:
            raise InputError(f"--hang-after must be more than 0 seconds, got {self.hang_after:g}")


SERIAL = Terms()
"""One after another, in this process."""


@dataclass(frozen=True)
class Ears:
    """Who hears of jobs while they are done.

    Args:
        progress: how far a job is.
        say: lines about jobs: warnings, what plug-ins print, cells that are tried again.
    """

    progress: Callable[[Job, Progress], None]
    say: Callable[[object], None]


class Executor(Protocol):
    """Does jobs, in whatever processes; a context, at whose end nothing runs any more.

    Whatever leaves the context early, Ctrl-C for example, asks the jobs in work to stop, and waits for what they save.
    """

    here: bool
    """Whether jobs are done in this process, one at a time: steps can be timed, and streams be shared."""

    @property
    def room(self) -> bool:
        """Whether a job that is begun now would be worked on."""

    @property
    def busy(self) -> bool:
        """Whether a job has begun whose receipt is not out."""

    def begin(self, job: Job) -> None:
        """Take a job in, where there is room."""

    def ended(self, patience: float) -> list[Receipt]:
        """Return the receipts of jobs that ended.

        Args:
            patience: seconds to wait for the first, where none has.

        Raises:
            StorageError: the disk did not take a file; other jobs would fare no better.
            KeyboardInterrupt: somebody stopped a job.
        """

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop what is in work, and wait for it."""


class MakeExecutor(Protocol):
    """Makes an executor."""

    def __call__(self, terms: Terms, ears: Ears, desk: Desk) -> Executor:
        """Return it; ``desk`` is what is shared by jobs that are done in this process."""
