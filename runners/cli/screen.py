"""What a run shows while it works: a bar per cell on a terminal, a line per cell elsewhere."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeRemainingColumn

from runners.config import Cell
from runners.store import describe
from runners.train import Progress as CellProgress

WIDTH = 170
"""Columns where there is no terminal to ask, so that tables in log files are not folded."""


def make_console() -> Console:
    """Return a console for standard output."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(width=WIDTH, highlight=False)


class Screen:
    """Draws the progress of a sweep; see :class:`runners.sweep.Listener`."""

    def __init__(self) -> None:
        self.console = make_console()
        self.bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[state]}"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.bar: TaskID | None = None
        self.title = ""
        self.began = 0.0
        self.first_steps: int | None = None

    def __enter__(self) -> "Screen":
        self.bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.bars.stop()

    def begin_cell(self, cell: Cell, number: int, count: int) -> None:
        """Start a bar."""
        self.title = f"[{number}/{count}] {describe(cell)}"
        self.began, self.first_steps = time.perf_counter(), None
        self.bar = self.bars.add_task(self.title.replace("[", r"\["), total=None, state="")

    def progress(self, progress: CellProgress) -> None:
        """Move the bar."""
        assert self.bar is not None
        if self.first_steps is None:
            self.first_steps, self.began = progress.steps, time.perf_counter()
        seconds = time.perf_counter() - self.began
        speed = f"{(progress.steps - self.first_steps) / seconds:,.0f} steps/s" if seconds > 0.2 else ""
        state = f"task {progress.task}/{progress.tasks}  {speed}"
        self.bars.update(self.bar, completed=progress.steps, total=progress.total_steps, state=state)

    def end_cell(self, cell: Cell, outcome: str) -> None:
        """Replace the bar by a line."""
        assert self.bar is not None
        self.bars.remove_task(self.bar)
        took = f" in {time.perf_counter() - self.began:.1f} s" if outcome == "done" else ""
        self.console.print(f"{self.title}: {outcome}{took}", markup=False, style="" if outcome in ("done", "stored") else "red")
