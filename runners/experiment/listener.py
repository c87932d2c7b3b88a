"""Who hears what a sweep does, and how it is kept from costing a result."""

from collections.abc import Callable
from typing import Protocol

from kancl.errors import is_interrupt
from runners.config.cell import Cell
from runners.measure.record import Progress


class Listener(Protocol):
    """Hears what a sweep does; the command line draws it."""

    def begin_cell(self, cell: Cell, number: int, count: int) -> None:
        """A cell is about to run.

        Args:
            cell: which.
            number: its place in the sweep, from 1.
            count: how many cells the sweep has.
        """

    def progress(self, cell: Cell, progress: Progress) -> None:
        """A cell got further.

        Args:
            cell: one that runs; several may.
            progress: how far it is.
        """

    def end_cell(self, cell: Cell, outcome: str) -> None:
        """A cell ended.

        Args:
            cell: one that ran.
            outcome: in a line: done, stored (it had been done before), or what went wrong.
        """


class Heard:
    """A listener that may fail: after its first error it is told nothing any more, and the sweep goes on.

    What cannot be shown, on a full disk or to a terminal that is gone, is no reason to lose what was trained.
    """

    def __init__(self, listener: Listener) -> None:
        self.listener: Listener | None = listener

    def begin_cell(self, cell: Cell, number: int, count: int) -> None:
        """See :class:`Listener`."""
        self._tell(lambda listener: listener.begin_cell(cell, number, count))

    def progress(self, cell: Cell, progress: Progress) -> None:
        """See :class:`Listener`."""
        self._tell(lambda listener: listener.progress(cell, progress))

    def end_cell(self, cell: Cell, outcome: str) -> None:
        """See :class:`Listener`."""
        self._tell(lambda listener: listener.end_cell(cell, outcome))

    def _tell(self, act: Callable[[Listener], None]) -> None:
        if self.listener is None:
            return
        try:
            act(self.listener)
        except BaseException as error:  # rich leaves by SystemExit where a pipe is closed
            if is_interrupt(error):
                raise
            self.listener = None
