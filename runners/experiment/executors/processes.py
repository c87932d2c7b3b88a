"""A process for every job, several at a time; one that is killed, or hangs, hurts its own job alone, which is tried again."""

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from types import TracebackType
from typing import Any, Self

from kancl.errors import InputError, StorageError, one_line
from kancl.plugins import loaded_files
from runners.experiment.executors import worker
from runners.experiment.executors.executor import Ears, Terms
from runners.experiment.executors.job import Desk, Job, Receipt
from runners.experiment.executors.server import start_server
from runners.store.experiment import Store

PAUSES = (0.1, 0.3, 1.0, 3.0)
"""Seconds before a process is started again whose server does not answer: one that is killed has its end before it, and until
then it looks alive."""
GRACE = 30.0
"""Seconds that a hung process has to end by itself when it is asked to."""


class LostError(Exception):
    """The process of a job was lost as often as it was tried."""


@dataclass(eq=False)
class Running:
    """A job in work.

    Args:
        job: which.
        process: in which.
        connection: from there.
        tries: how many processes it had, this one included.
        sign: when the last sign of progress came, in seconds.
        asked: when a process that hung was asked to end; None if it was not.
    """

    job: Job
    process: ForkServerProcess
    connection: Connection
    tries: int
    sign: float = field(default_factory=time.monotonic)
    asked: float | None = None


class Processes:
    """Starts a process for each job, from a server that has everything imported; see
    :class:`runners.experiment.executors.executor.Executor`."""

    here = False

    def __init__(self, terms: Terms, ears: Ears, desk: Desk) -> None:
        self.terms, self.ears = terms, ears
        self.running: list[Running] = []
        self.setting = worker.Setting(dict(os.environ), tuple(loaded_files()))
        self.context = start_server()

    @property
    def room(self) -> bool:
        """Whether fewer jobs run than may."""
        return len(self.running) < (self.terms.jobs or 1)

    @property
    def busy(self) -> bool:
        """Whether jobs run."""
        return bool(self.running)

    def begin(self, job: Job) -> None:
        """Start a process on a job."""
        self._start(job, 1)

    def _start(self, job: Job, tries: int) -> None:
        ours, theirs = self.context.Pipe(duplex=False)
        process = self._started(job, theirs)
        theirs.close()
        self.running.append(Running(job, process, ours, tries))

    def _started(self, job: Job, theirs: Connection) -> ForkServerProcess:
        """Start a process; again where the server of processes was killed meanwhile, since the next start begins another."""
        reasons: list[str] = []
        for pause in (*PAUSES, 0.0):
            process = self.context.Process(target=worker.main, args=(job, self.setting, theirs), name=job.cell.key)
            try:
                process.start()
                return process
            except (EOFError, OSError) as error:
                reasons.append(one_line(error))
                time.sleep(pause)
                self.context = start_server()
        raise InputError(f"no process can be started on this machine ({reasons[-1]}); try --jobs 1")

    def ended(self, patience: float) -> list[Receipt]:
        """Hear what the processes send; see to those that are lost or hang."""
        until = time.monotonic() + patience
        while True:
            heard = wait([one.connection for one in self.running], max(0.0, min(1.0, until - time.monotonic())))
            receipts = [receipt for one in list(self.running) if one.connection in heard for receipt in self._hear(one)]
            self._stop_hung()
            if receipts or not self.running or time.monotonic() >= until:
                return receipts

    def _hear(self, one: Running) -> list[Receipt]:
        """Take in a message; a receipt if it is one, or if the process is lost for good."""
        try:
            name, what = one.connection.recv()
        except (EOFError, OSError):
            return self._lost(one)
        one.sign = time.monotonic()
        if name == "progress":
            self.ears.progress(one.job, what)
        elif name == "line":
            self.ears.say(what)
        else:
            return self._last(one, name, what)
        return []

    def _last(self, one: Running, name: str, what: Any) -> list[Receipt]:
        if name == "stopped" and one.asked is not None:  # it hung, and ended when it was asked to
            return self._lost(one)
        self._leave(one)
        if name == "disk":
            raise StorageError(what)
        if name == "stopped":
            raise KeyboardInterrupt
        return [what]

    def _leave(self, one: Running) -> None:
        """Let go of a process that has ended, or is about to."""
        self.running.remove(one)
        one.connection.close()
        one.process.join()

    def _lost(self, one: Running) -> list[Receipt]:
        """Try a job again whose process is lost; a receipt if that was done often enough."""
        self._leave(one)
        why = f"gave no sign of progress for {self.terms.hang_after:g} s" if one.asked else ended_how(one.process.exitcode)
        if one.tries <= self.terms.retries:
            self.ears.say(f"{one.job.cell.key}: its process {why}; trying again ({one.tries} of {self.terms.retries})")
            self._start(one.job, one.tries + 1)
            return []
        said = f"its process {why}, as often as it was tried ({one.tries} times)"
        if one.job.out is not None:
            Store(one.job.out, self.ears.say).cell(one.job.cell.key).save_failure(LostError(said), said)
        return [Receipt(one.job, "failed", said)]

    def _stop_hung(self) -> None:
        now = time.monotonic()
        for one in self.running:
            if one.asked is None and now - one.sign > self.terms.hang_after:
                one.asked = now
                one.process.terminate()
            elif one.asked is not None and now - one.asked > GRACE:
                one.process.kill()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Ask what runs to stop, and wait until it has saved what it has; what stops that wait kills it."""
        try:
            for one in self.running:
                one.process.terminate()
            while self.running:
                for ready in wait([one.connection for one in self.running]):
                    self._drain(next(one for one in self.running if one.connection is ready))
        finally:
            for one in list(self.running):
                one.process.kill()
                self._leave(one)

    def _drain(self, one: Running) -> None:
        try:
            name, what = one.connection.recv()
        except (EOFError, OSError):
            name = "lost"
        if name == "line":
            self.ears.say(what)
        elif name != "progress":
            self._leave(one)


def ended_how(code: int | None) -> str:
    """Return how a process ended that sent no receipt.

    Args:
        code: as :attr:`multiprocessing.Process.exitcode` gives it.

    >>> ended_how(-9)
    'was killed (SIGKILL; out of memory?)'
    >>> ended_how(3)
    'ended with exit code 3'
    """
    if code is None or code >= 0:
        return f"ended with exit code {code}"
    with suppress(ValueError):
        name = signal.Signals(-code).name
        return f"was killed ({name}{'; out of memory?' if name == 'SIGKILL' else ''})"
    return f"was killed (signal {-code})"
