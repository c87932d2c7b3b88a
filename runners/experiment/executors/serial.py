"""One job after another, in this process."""

import time
from functools import partial
from types import TracebackType
from typing import Self

from runners.experiment.executors.executor import Ears, Terms
from runners.experiment.executors.job import Desk, Job, Receipt, do


class Serial:
    """Does a job when its receipt is asked for; see :class:`runners.experiment.executors.executor.Executor`."""

    here = True

    def __init__(self, terms: Terms, ears: Ears, desk: Desk) -> None:
        self.ears, self.desk = ears, desk
        self.job: Job | None = None

    @property
    def room(self) -> bool:
        """Whether no job waits."""
        return self.job is None

    @property
    def busy(self) -> bool:
        """Whether a job waits."""
        return self.job is not None

    def begin(self, job: Job) -> None:
        """Note a job."""
        self.job = job

    def ended(self, patience: float) -> list[Receipt]:
        """Do the job that waits."""
        job, self.job = self.job, None
        if job is None:
            time.sleep(patience)
            return []
        return [do(job, self.desk, partial(self.ears.progress, job), self.ears.say)]

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Nothing runs."""
