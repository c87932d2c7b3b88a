"""What the parts of the soak share: kancl as a process of its own or in this one, and the numbers that a folder holds."""

import contextlib
import importlib
import io
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runners.cli.main import main
from runners.experiment.executors.server import PRELOADED
from runners.results.results import load
from scenarios.avalanche.loading import import_avalanche

TIMES = ("seconds", "step_seconds", "evaluation_seconds")
"""Arrays that hold wall times, which no two runs share."""


@dataclass(frozen=True)
class Ended:
    """How a command ended and everything that it said; ``escaped`` is what it let out instead of ending, or None."""

    code: int
    said: str
    escaped: BaseException | None = None


@dataclass
class Process:
    """A process that this one started: its number, and how it ended, negative for a signal; None while it runs."""

    pid: int
    returncode: int | None = None

    def poll(self, patience: int = os.WNOHANG) -> int | None:
        """Return how it ended, or None."""
        if self.returncode is None:
            ended, status = os.waitpid(self.pid, patience)
            self.returncode = os.waitstatus_to_exitcode(status) if ended else None
        return self.returncode

    def wait(self) -> int:
        """Wait for its end."""
        code = self.poll(0)
        assert code is not None
        return code

    def kill(self) -> None:
        """Send SIGKILL."""
        os.kill(self.pid, signal.SIGKILL)


def warm_up() -> None:
    """Import what :func:`start` needs, so that what it starts begins at once."""
    import_avalanche()
    for name in (*PRELOADED, "runners.avalanche.runner", "runners.cli.run", "runners.cli.asked", "distributed"):
        importlib.import_module(name)


def start(arguments: Sequence[object], log: Path) -> Process:
    """Start kancl in a process of its own that writes to a file: a fork of this one, which must not have trained anything."""
    pid = os.fork()
    if pid:
        return Process(pid)
    code = 70
    try:
        with log.open("ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        code = main([str(argument) for argument in arguments])
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def here(arguments: Sequence[object]) -> Ended:
    """Run kancl in this process and catch whatever comes out of it."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            return Ended(main([str(argument) for argument in arguments]), said.getvalue())
        except SystemExit as end:  # of the reader of the command line
            return Ended(end.code if isinstance(end.code, int) else 1, said.getvalue(), end)
        except BaseException as error:
            return Ended(-1, said.getvalue(), error)


def numbers(out: Path) -> dict[str, dict[str, bytes]]:
    """Return every array of every finished cell of a folder as type, shape and bytes, by cell; wall times left out."""
    return {entry.cell.key: as_bytes(entry.result.to_arrays()) for entry in load(out).entries}


def as_bytes(arrays: dict[str, np.ndarray]) -> dict[str, bytes]:
    """Return arrays in a form that is equal only if they are equal to the bit."""
    return {
        name: repr((array.dtype.str, array.shape)).encode() + np.ascontiguousarray(array).tobytes()
        for name, array in arrays.items()
        if name not in TIMES
    }
