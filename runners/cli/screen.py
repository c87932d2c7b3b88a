"""The console: the one place where text of others meets the terminal."""

import os
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from kancl.text import visible

WIDTH = 170
"""Columns where there is no terminal to ask and COLUMNS says nothing, so that tables in log files are not folded."""


class PlainConsole(Console):
    """A console that shows text as it is: brackets are no markup, colons no emoji, and what cannot be seen stands as an escape.

    This is the one place where text of others meets rich; whatever is printed may hold any.
    """

    def __init__(self, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False)
        if not self.is_terminal and not os.environ.get("COLUMNS", "").isdigit():
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
