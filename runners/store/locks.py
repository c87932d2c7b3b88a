"""The lock of an experiment's folder: held while its list or a claim is changed, which takes milliseconds."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kancl.errors import InputError

FILE = ".lock"
PATIENCE = 60.0
"""Seconds to wait for it: who holds it that long is stopped, or is a version of kancl that kept it while it ran."""


@contextmanager
def locked(root: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Own the folder against every other process that asks for it; made if it is not there.

    Args:
        root: of the experiment.
        patience: seconds to wait for another process.

    Raises:
        InputError: the folder cannot be written, or another process keeps it.
    """
    try:
        (root / "cells").mkdir(parents=True, exist_ok=True)
        # Never through a link, and without waiting if it is a pipe.
        number = os.open(root / FILE, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise InputError(f"--out {root} cannot be written ({error.strerror}); choose another folder") from error
    with os.fdopen(number, "rb+", buffering=0) as lock:
        _wait_for(lock.fileno(), root, patience)
        yield


def _wait_for(number: int, root: Path, patience: float) -> None:
    last = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if not isinstance(error, BlockingIOError):
                raise InputError(
                    f"--out {root} is on a disk without locks ({error.strerror}); choose a folder on another one"
                ) from error
            if time.monotonic() > last:
                raise InputError(
                    f"another process has kept {root} locked for {patience:g} seconds; wait for it, or choose another --out"
                ) from error
            time.sleep(0.01)
