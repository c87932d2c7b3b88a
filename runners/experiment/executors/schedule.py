"""Which job is done when: in order, as there is room; those that another process works on are come back to."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from runners.experiment.executors.executor import Executor
from runners.experiment.executors.job import Job, Receipt
from runners.measure.record import Stopped, never

POLL = 1.0
"""Seconds between two looks at cells that another process works on, and at whether to stop."""


def carry_out(
    jobs: Iterable[Job],
    executor: Executor,
    begin: Callable[[Job], Receipt | None],
    is_free: Callable[[Job], bool] = lambda job: True,
    asked: Callable[[], bool] = never,
) -> Iterator[Receipt]:
    """Have jobs done, and yield the receipts as they come; the last ones of jobs that others held come last.

    Args:
        jobs: in the order in which they are begun.
        executor: does them.
        begin: hears that a job's turn has come; returns a receipt if there is nothing to do.
        is_free: tells of a job that another process had in hand whether it is worth another try.
        asked: tells whether to stop.

    Raises:
        Stopped: it was asked for.
        StorageError, KeyboardInterrupt: as :meth:`runners.experiment.executors.executor.Executor.ended`.
    """
    waiting, held = deque(jobs), list[Job]()
    while waiting or held or executor.busy:
        while waiting and executor.room:
            if asked():
                raise Stopped
            job = waiting.popleft()
            receipt = begin(job)
            if receipt is None:
                executor.begin(job)
            else:
                yield receipt
        if asked():
            raise Stopped
        for receipt in executor.ended(POLL) if executor.busy or held else ():
            if receipt.state == "held":
                held.append(receipt.job)
            yield receipt
        free = [job for job in held if is_free(job)]
        held = [job for job in held if job not in free]
        waiting.extend(free)
