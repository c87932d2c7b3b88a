"""What the parts of the soak share: kancl as a process of its own or in this one, and the numbers that a folder holds."""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runners.cli.main import main
from runners.results.results import load

COMMAND = "import sys\nfrom runners.cli.main import main\nsys.exit(main(sys.argv[1:]))"
TIMES = ("seconds", "step_seconds", "evaluation_seconds")
"""Arrays that hold wall times, which no two runs share."""


@dataclass(frozen=True)
class Ended:
    """How a command ended and everything that it said; ``escaped`` is what it let out instead of ending, or None."""

    code: int
    said: str
    escaped: BaseException | None = None


def start(arguments: Sequence[object], log: Path) -> "subprocess.Popen[bytes]":
    """Start kancl in a process of its own that writes to a file; with one thread, as several may run side by side."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    with log.open("ab") as file:
        return subprocess.Popen([sys.executable, "-c", COMMAND, *map(str, arguments)], stdout=file, stderr=file, env=env)


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
