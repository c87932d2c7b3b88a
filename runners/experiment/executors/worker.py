"""What runs in the process of one job: it does the job, and sends to its parent how it goes.

Messages are pairs of a name and what it brings: ``progress``, ``line``, and last one of ``receipt``, ``disk`` (the disk took no
file) and ``stopped``. A process that ends without a last message was killed.
"""

import io
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from kancl.errors import StorageError, is_interrupt, one_line
from kancl.plugins import load_file
from runners.experiment.executors.job import Job, Receipt, desk_for, do
from runners.measure.record import Progress

SELDOM = 0.2
"""Seconds between two messages of progress."""


@dataclass(frozen=True)
class Setting:
    """What a process takes over from its parent beside its job.

    Args:
        environment: the variables, as they are when the job begins.
        files: plug-ins that were loaded, so that what they registered is known by name.
    """

    environment: Mapping[str, str]
    files: tuple[Path, ...] = ()


@dataclass
class Line:
    """The way to the parent, for several threads."""

    connection: Connection
    lock: threading.Lock = field(default_factory=threading.Lock)
    last: float = -SELDOM

    def send(self, name: str, what: Any) -> None:
        """Send a message; nobody hears it where the parent is gone, and the work is to stop then (:func:`_watch`)."""
        with self.lock, suppress(OSError):
            self.connection.send((name, what))

    def progress(self, progress: Progress) -> None:
        """Send how far the job is, now and then."""
        now = time.monotonic()
        if now - self.last >= SELDOM:
            self.last = now
            self.send("progress", progress)

    def say(self, line: object) -> None:
        """Send a line for people."""
        self.send("line", str(line))


class Relayed(io.TextIOBase):
    """An output stream whose lines go to the parent, who knows where on the screen there is room for them."""

    def __init__(self, line: Line) -> None:
        self.line, self.rest = line, ""

    def writable(self) -> bool:
        """Anything can be written."""
        return True

    def write(self, text: str) -> int:
        """Send whole lines, and keep the rest."""
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            self.line.say(line)
        return len(text)


def main(job: Job, setting: Setting, connection: Connection) -> None:
    """Do a job and send its receipt.

    Args:
        job: which.
        setting: what this process takes over.
        connection: to the parent.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears Ctrl-C, and asks
    stops = Stops()
    signal.signal(signal.SIGTERM, stops.note)
    line = Line(connection)
    sys.stdout = sys.stderr = Relayed(line)
    threading.Thread(target=_watch, name="parent", daemon=True).start()
    try:
        os.environ.clear()
        os.environ.update(setting.environment)
        torch.set_num_threads(job.threads)
        for file in setting.files:
            load_file(file)
        line.send("receipt", do(job, desk_for(job, line.say, stops.asked), line.progress, line.say))
    except StorageError as error:
        line.send("disk", str(error))
    except BaseException as error:
        if is_interrupt(error):
            if str(error):
                line.say(f"{job.cell.key}: {error}")
            line.send("stopped", None)
        else:
            line.send("receipt", Receipt(job, "failed", one_line(error)))


@dataclass
class Stops:
    """How often the parent asked for a stop: once, and the job saves first; twice, and it stops at once."""

    count: int = 0

    def note(self, number: int, frame: FrameType | None) -> None:
        """Hear it."""
        self.count += 1
        if self.count > 1:
            raise KeyboardInterrupt

    def asked(self) -> bool:
        """Tell whether to stop."""
        return self.count > 0


def _watch() -> None:
    """Stop the work where the parent is gone: who goes on with the experiment would wait for it."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
