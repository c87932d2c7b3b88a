"""Signals while a command runs: what somebody who wants it to end sends, and what must do no harm."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

STOPPING = b"\nkancl: stopping after this step, and saving; once more stops at once\n"
ENDS = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """What came so far, and what becomes of the next one: it raises KeyboardInterrupt, or waits to be asked for.

    Only where Python hears signals (in its main thread), and only those that nobody else handles or ignores.
    """

    def __init__(self) -> None:
        self.received: list[int] = []
        self.patient = False

    def asked(self) -> bool:
        """Tell whether the command is to stop."""
        return bool(self.received)

    @property
    def code(self) -> int:
        """The exit code of a command that was stopped: 128 and the number of the signal."""
        return 128 + (self.received[0] if self.received else signal.SIGINT)

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Hear Ctrl-C."""
        with self._handled({signal.SIGINT: signal.default_int_handler}):
            yield

    @contextmanager
    def heard_in_training(self) -> Iterator[None]:
        """Hear SIGTERM as well; a terminal that closes (SIGHUP) stops nothing."""
        with self._handled({signal.SIGTERM: signal.SIG_DFL}), _ignored():
            yield

    @contextmanager
    def patiently(self) -> Iterator[None]:
        """Let the first signal be one that is asked for (:meth:`asked`), by work that stops where it can go on."""
        self.patient = True
        try:
            yield
        finally:
            self.patient = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received.append(number)
        if not self.patient or len(self.received) > 1:
            raise KeyboardInterrupt
        with suppress(OSError):  # no print: it may be what was interrupted
            os.write(2, STOPPING)

    @contextmanager
    def _handled(self, usual: dict[signal.Signals, object]) -> Iterator[None]:
        """Handle signals that have their usual handlers."""
        found = {number: signal.getsignal(number) for number in usual}
        ours = [number for number, handler in found.items() if handler is usual[number]]
        if threading.current_thread() is not threading.main_thread():
            ours = []
        for number in ours:
            signal.signal(number, self._note)
        try:
            yield
        finally:
            for number in ours:
                signal.signal(number, found[number])


@contextmanager
def _ignored() -> Iterator[None]:
    """Let a terminal close without harm; processes that are started meanwhile do as well."""
    number = getattr(signal, "SIGHUP", None)
    if (
        number is None
        or threading.current_thread() is not threading.main_thread()
        or signal.getsignal(number) != signal.SIG_DFL
    ):
        yield
        return
    signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(number, signal.SIG_DFL)
