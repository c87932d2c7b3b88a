"""What a run shows while it works: a bar for each running cell and one for all on a terminal, plain lines elsewhere."""

import time
from dataclasses import dataclass
from types import TracebackType

from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column

from runners.cli.screen import make_console
from runners.config.cell import Cell
from runners.measure.record import Progress as CellProgress
from runners.store.experiment import describe

SILENCE = 30.0
"""Seconds after which a running cell reports its progress where there is no terminal for a bar."""
GAP = 5.0
"""Seconds between two such reports, whichever cells they are of."""
SOON = 0.2
"""Seconds of work before which no speed is told."""
MARGIN = 4
"""Lines of a terminal that no cell's bar takes."""
SHORTEST = 20
"""Columns that a cell's title has at the least."""


@dataclass
class Shown:
    """A cell that is on the screen.

    Args:
        title: its number and its name.
        bar: its line.
        began: when it began, in seconds.
        spoke: when it was last reported where there is no terminal.
        first: when its first progress came, and how many steps were done then.
        share: how much of it is done, 0 to 1.
    """

    title: str
    bar: TaskID
    began: float
    spoke: float
    first: tuple[float, int] | None = None
    share: float = 0.0


class Screen:
    """Draws the progress of a sweep; see :class:`runners.experiment.listener.Listener`.

    Args:
        quiet: show what went wrong, and nothing else.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.console = make_console()
        self.quiet = quiet
        self.bars = Progress(
            TextColumn("{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
            BarColumn(bar_width=16),
            TextColumn("{task.fields[state]}", markup=False, table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[left]}", markup=False, justify="right", table_column=Column(no_wrap=True)),
            console=self.console,
            disable=quiet or not self.console.is_terminal,
            expand=True,
        )
        self.whole: TaskID | None = None
        self.cells: dict[str, Shown] = {}
        self.count = self.over = 0
        self.worked = 0.0  # cells that were done here, not found in the store
        self.began: float | None = None
        self.spoke = 0.0

    def __enter__(self) -> "Screen":
        self.bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.bars.stop()

    def begin_cell(self, cell: Cell, number: int, count: int) -> None:
        """Add the cell's line, under the one of the whole sweep."""
        now = time.perf_counter()
        self.began = now if self.began is None else self.began
        if count != self.count or (not self.cells and self.over >= self.count):
            self._begin_sweep(count)
        title = f"[{number}/{count}] {describe(cell)}"
        room = len(self.cells) < self.console.height - MARGIN  # or the line of all cells would be pushed off a small terminal
        bar = self.bars.add_task(title, total=None, state="begins", left="", visible=room)
        self.cells[cell.key] = Shown(title, bar, now, now)
        self._move_whole()

    def _begin_sweep(self, count: int) -> None:
        """Begin to count anew: trials of tuning come before the cells themselves."""
        self.count, self.over, self.worked, self.began = count, 0, 0.0, time.perf_counter()
        if self.whole is not None:
            self.bars.remove_task(self.whole)
        self.whole = self.bars.add_task("", total=count, state="", left="") if count > 1 else None

    def progress(self, cell: Cell, progress: CellProgress) -> None:
        """Move the bars; without a terminal, say a word now and then."""
        shown, now = self.cells[cell.key], time.perf_counter()
        shown.share = progress.steps / progress.total_steps
        if shown.first is None:
            shown.first = now, progress.steps
        seconds, steps = now - shown.first[0], progress.steps - shown.first[1]
        speed = steps / seconds if seconds > SOON else 0.0
        place = f"task {progress.task}/{progress.tasks}" if progress.task else "pretraining"
        left = left_of((progress.total_steps - progress.steps) / speed) if speed else ""
        self.bars.update(shown.bar, completed=progress.steps, total=progress.total_steps, state=place, left=left)
        self._move_whole()
        quiet = self.quiet or self.console.is_terminal or not speed
        if not quiet and now - shown.spoke > SILENCE and now - self.spoke > GAP:
            self.spoke = shown.spoke = now
            self.console.print(f"{shown.title}: {place}, {speed:,.0f} steps/s, about {left}{self._of_all()}")

    def end_cell(self, cell: Cell, outcome: str) -> None:
        """Replace the line with the bar by what became of the cell."""
        shown = self.cells.pop(cell.key)
        self.bars.remove_task(shown.bar)
        left = outcome.startswith("left to")  # and come back to
        self.over += not left
        self.worked += not left and outcome != "stored"
        self._move_whole()
        took = f" in {time.perf_counter() - shown.began:.1f} s" if outcome == "done" else ""
        well = left or outcome.startswith(("done", "stored"))
        if not well:
            self.console.print(f"{shown.title}: {outcome}", style="red")
        elif not self.quiet:
            self._print_end(shown.title, f": {outcome}{took}")

    def _print_end(self, title: str, outcome: str) -> None:
        """Print a title and what became of it on one line of a terminal, if need be without the title's end."""
        room = self.console.width - len(outcome)
        whole = not self.console.is_terminal or len(title) <= room or room < SHORTEST
        self.console.print(f"{title}{outcome}" if whole else f"{title[: room - 1]}…{outcome}")

    def say(self, message: object) -> None:
        """Print a line above the bars."""
        if not self.quiet:
            self.console.print(str(message), soft_wrap=True)

    def _move_whole(self) -> None:
        if self.whole is not None:
            done = self.over + sum(shown.share for shown in self.cells.values())
            self.bars.update(
                self.whole, completed=done, description=f"all {self.count} cells", state=f"{self.over} done", left=self._left()
            )

    def _left(self) -> str:
        """Return how long all cells will take still: as long as those until now, cell by cell."""
        now, began = time.perf_counter(), self.began or 0.0
        running = sum(shown.share for shown in self.cells.values())
        worked = self.worked + running
        if not worked or now - began < SOON:
            return ""
        return left_of((self.count - self.over - running) / worked * (now - began))

    def _of_all(self) -> str:
        left = self._left()
        return f"; {self.over} of {self.count} cells done, about {left}" if self.count > 1 and left else ""


def left_of(seconds: float) -> str:
    """Return how long something will take still, in the two largest units.

    >>> [left_of(seconds) for seconds in (4.2, 125.0, 3 * 3600 + 240, 3 * 86400 + 4 * 3600)]
    ['4 s left', '2 min left', '3 h 4 min left', '3 d 4 h left']
    """
    minutes = int(seconds // 60)
    if minutes < 1:
        return f"{seconds:.0f} s left"
    if minutes < 60:
        return f"{minutes} min left"
    hours = minutes // 60
    return f"{hours} h {minutes % 60} min left" if hours < 24 else f"{hours // 24} d {hours % 24} h left"
