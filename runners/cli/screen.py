"""What a run shows while it works: a bar per cell on a terminal, a line per cell elsewhere."""

import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.text import Text

from kancl.text import visible
from runners.config.cell import Cell
from runners.measure.record import Progress as CellProgress
from runners.store.experiment import describe

WIDTH = 170
"""Columns where there is no terminal to ask, so that tables in log files are not folded."""


class PlainConsole(Console):
    """A console that shows text as it is: brackets are no markup, colons no emoji, and what cannot be seen stands as an escape.

    This is the one place where text of others meets rich; whatever is printed may hold any.
    """

    def __init__(self, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False)
        if not self.is_terminal:
            self.width = WIDTH

    def render_str(self, text: str, **how: Any) -> Text:
        """Make a string a text; here already, since it is measured then."""
        return super().render_str(visible(text, LAID_OUT), **how)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render anything; texts that were made elsewhere come by here."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text, LAID_OUT))


LAID_OUT = "\n\t"
"""Controls that rich lays out."""


def make_console(stderr: bool = False) -> Console:
    """Return a console for standard output, or standard error."""
    return PlainConsole(stderr)


SILENCE = 30.0
"""Seconds after which a long cell reports its progress where there is no terminal for a bar."""


class Screen:
    """Draws the progress of a sweep; see :class:`runners.experiment.listener.Listener`."""

    def __init__(self) -> None:
        self.console = make_console()
        self.bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[state]}", markup=False),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.whole: TaskID | None = None
        self.bar: TaskID | None = None
        self.title = ""
        self.number = 0
        self.began = self.spoke = 0.0
        self.first_steps: int | None = None

    def __enter__(self) -> "Screen":
        self.bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.bars.stop()

    def begin_cell(self, cell: Cell, number: int, count: int) -> None:
        """Start the cell's bar under the one of the whole sweep."""
        if self.whole is None and count > 1:
            self.whole = self.bars.add_task("all cells", total=count, state="")
        self.title, self.number = f"[{number}/{count}] {describe(cell)}", number
        self.began = self.spoke = time.perf_counter()
        self.first_steps = None
        self.bar = self.bars.add_task(self.title, total=None, state="")
        self._move_whole(number - 1)

    def progress(self, progress: CellProgress) -> None:
        """Move the bars; without a terminal, say a word now and then."""
        assert self.bar is not None
        now = time.perf_counter()
        if self.first_steps is None:
            self.first_steps, self.began = progress.steps, now
        seconds, steps = now - self.began, progress.steps - self.first_steps
        speed = steps / seconds if seconds > 0.2 else 0.0
        place = f"task {progress.task}/{progress.tasks}" if progress.task else "pretraining"
        state = place + (f"  {speed:,.0f} steps/s" if speed else "")
        self.bars.update(self.bar, completed=progress.steps, total=progress.total_steps, state=state)
        self._move_whole(self.number - 1 + progress.steps / progress.total_steps)
        if not self.console.is_terminal and speed and now - self.spoke > SILENCE:
            self.spoke = now
            left = (progress.total_steps - progress.steps) / speed
            self.console.print(f"{self.title}: {state}, about {left:.0f} s left")

    def end_cell(self, cell: Cell, outcome: str) -> None:
        """Replace the bar by a line."""
        assert self.bar is not None
        self.bars.remove_task(self.bar)
        self._move_whole(self.number)
        took = f" in {time.perf_counter() - self.began:.1f} s" if outcome == "done" else ""
        well = outcome.startswith(("done", "stored"))
        self.console.print(f"{self.title}: {outcome}{took}", style="" if well else "red")

    def say(self, message: object) -> None:
        """Print a line above the bars."""
        self.console.print(str(message), soft_wrap=True)

    def _move_whole(self, cells: float) -> None:
        if self.whole is not None:
            self.bars.update(self.whole, completed=cells, state=f"{int(cells)} done")
