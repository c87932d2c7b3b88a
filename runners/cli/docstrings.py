"""Docstrings as paragraphs that a screen of any width can fold."""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace

from rich.console import Console
from rich.text import Text

ITEM = re.compile(r"\*{0,2}[\w.]+(, [\w.]+)*: ")
"""How the description of an argument begins."""
BULLET = "- "
"""How an item of a list begins."""
ROLE = re.compile(r":\w+:`~?([^`]*)`")
"""A reference to a name of the code, as documentation builders read it."""


@dataclass(frozen=True)
class Paragraph:
    """Lines that belong together, joined.

    Args:
        indent: of the first line.
        text: of all lines.
        spaced: whether an empty line stands before it.
        hang: how much further the other lines are indented.
    """

    indent: int
    text: str
    spaced: bool
    hang: int = 0


def paragraphs(docstring: str) -> Iterator[Paragraph]:
    """Join the lines of each paragraph, and of each item of a list or of an ``Args:`` section with its continuation lines."""
    begun: Paragraph | None = None
    listing = spaced = False
    for line in ROLE.sub(r"`\1`", docstring).splitlines():
        text, indent = line.strip(), len(line) - len(line.lstrip())
        listing = text in ("Args:", "Raises:", "Returns:") or (listing and (not text or indent > 0))
        starts_item = listing and (ITEM.match(text) is not None and (begun is None or indent <= begun.indent))
        bullet = text.startswith(BULLET)
        after_heading = begun is not None and not begun.hang and begun.text.endswith(":") and indent > begun.indent
        if not text or begun is None or spaced or indent < begun.indent or starts_item or bullet or after_heading:
            if begun is not None and begun.text:
                yield begun
            begun = Paragraph(indent, text, spaced, 4 if starts_item else 2 * bullet) if text else None
            spaced = not text
        else:
            begun = replace(begun, text=f"{begun.text} {text}")
    if begun is not None:
        yield begun


def print_docstring(console: Console, docstring: str, indent: int = 0) -> None:
    """Print a docstring, folded to the console's width under its indentation."""
    for paragraph in paragraphs(docstring):
        if paragraph.spaced:
            console.print()
        margin = " " * (indent + paragraph.indent)
        print_folded(console, paragraph.text, margin, margin + " " * paragraph.hang)


def print_folded(console: Console, text: str, first: str, rest: str, style: str = "") -> None:
    """Print a text folded to the console's width; its first line begins with ``first``, the others with ``rest``."""
    folded = textwrap.fill(
        text, console.width, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
    console.print(Text(folded or first.rstrip(), style=style), soft_wrap=True)
