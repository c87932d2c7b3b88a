"""The server of processes: everything is imported there once, and a process is a fork of it, ready in milliseconds."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerContext

PRELOADED = [
    "runners.experiment.executors.worker", "runners.experiment.prepare", "torch._dynamo", "pydantic.type_adapter",
    "scipy.optimize", "sklearn.datasets",
]  # fmt: skip
"""What every cell uses, torch's optimisers and readers of data included, so that no process has to import it."""


def start_server() -> ForkServerContext:
    """Start the server, unless it runs already, and return the way to it; it imports while others work.

    It finds modules where this process does, not in the working folder, where a user's ``scenarios`` may lie.
    """
    from multiprocessing.forkserver import ensure_running  # on use: not every system has one

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    with _environment(PYTHONPATH=os.pathsep.join(path for path in sys.path if path), PYTHONSAFEPATH="1"), _deaf():
        ensure_running()
    return context


def wait_for_server() -> None:
    """Wait until the server has imported everything, so that it is quiet."""
    process = start_server().Process(target=_nothing)
    process.start()
    process.join()


def _nothing() -> None:
    """End at once."""


@contextmanager
def _deaf() -> Iterator[None]:
    """Let what is started meanwhile not hear Ctrl-C, which a terminal sends to all processes: the parent hears it, and asks."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    """Set variables for a moment."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
