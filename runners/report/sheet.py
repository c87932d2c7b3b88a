"""A table before it is drawn, and what it is drawn as: for a terminal, for a document (Markdown), for a program (CSV).

Whoever makes a table makes a :class:`Sheet` of plain cells; how numbers are written is said in :mod:`runners.report.numbers`.
"""

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kancl.statistics import Interval
from runners.report.numbers import KINDS, MISSING, Estimate, with_interval

WIDE = 140
"""Columns of a terminal from which a sheet is drawn in one piece; on a narrower one it is split, so that no number is cut."""
LEAST = 12
"""Letters that a folded text has beside the numbers, if it is that long: a sheet is split further for that."""

Tone = Literal["plain", "strong", "good", "bad", "doubtful", "quiet"]
STYLES: dict[Tone, str] = {
    "plain": "",
    "strong": "bold",
    "good": "green",
    "bad": "red",
    "doubtful": "yellow",
    "quiet": "dim",
}  # fmt: skip


@dataclass(frozen=True)
class Words:
    """A text that is said in a certain tone; a ``str`` is said in none."""

    text: str
    tone: Tone = "plain"
    strong: bool = False

    def __str__(self) -> str:
        return self.text

    def drawn(self) -> Text:
        """Return the text for a terminal."""
        return Text(self.text, f"{'bold ' * self.strong}{STYLES[self.tone]}".strip())


Value = str | Words | int | float | Estimate | Interval | None
"""What stands in a place of a sheet; None and NaN where there is nothing to tell."""
Kind = Literal["text", "count", "number", "share", "hundredths", "two digits", "four digits", "estimate", "interval"]


@dataclass(frozen=True)
class Column:
    """What the cells of a column have in common.

    Args:
        head: its name.
        kind: how its numbers are written, see :data:`runners.report.numbers.KINDS`; CSV gives an ``estimate`` three columns
            (mean, half of the interval, n) and an ``interval`` four (mean, low, high, n).
        align: where its cells stand.
        fold: whether its texts may be broken into lines on a terminal.
    """

    head: str
    kind: Kind = "text"
    align: Literal["left", "right"] = "left"
    fold: bool = True


def figures(head: str, kind: Kind = "text") -> Column:
    """Return a column of numbers for a terminal: on the right and on one line."""
    return Column(head, kind, "right", fold=False)


@dataclass(frozen=True)
class Sheet:
    """A table as plain data.

    Args:
        title: what stands over it; may be empty.
        columns: C of them.
        rows: C cells each.
        notes: what has to be known beside it, a line each.
        keys: the leading columns that name a row, which stand in every part of a sheet that is split.
        first: how many of the other columns the first part has; None where the sheet is never split.
        section: so many rows belong together, with a line after them on a terminal; 0 where none do.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    notes: tuple[str | Words, ...] = ()
    keys: int = 1
    first: int | None = None
    section: int = 0

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.columns) for row in self.rows)

    def texts(self) -> list[list[str]]:
        """Return the cells as people read them."""
        return [[text_of(cell, column) for cell, column in zip(row, self.columns, strict=True)] for row in self.rows]

    def only(self, places: Sequence[int]) -> "Sheet":
        """Return the columns at some places."""
        rows = tuple(tuple(row[place] for place in places) for row in self.rows)
        return replace(self, columns=tuple(self.columns[place] for place in places), rows=rows)


def text_of(cell: Value, column: Column) -> str:
    """Return a cell as people read it, its numbers written as the column's kind has them."""
    if isinstance(cell, Interval):
        return with_interval(cell)
    if cell is None:
        return MISSING
    return KINDS[column.kind](cell) if isinstance(cell, int | float) else str(cell)


def parts(sheet: Sheet, width: int) -> list[Sheet]:
    """Return what a terminal of some width shows one under the other: the sheet, or its parts."""
    if width >= WIDE or sheet.first is None:
        return [sheet]
    end, count = sheet.keys + sheet.first, len(sheet.columns)
    room = width - 1 - sum(min(own, LEAST) + 2 for own in _widths(sheet)[: sheet.keys])
    groups = [*_fitting(sheet, range(sheet.keys, end), room), *_fitting(sheet, range(end, count), room)]
    found = [sheet.only([*range(sheet.keys), *group]) for group in groups]
    return [found[0], *(replace(part, title="") for part in found[1:])]


def _fitting(sheet: Sheet, places: range, room: int) -> list[range]:
    """Return columns, in halves as long as they take more room than there is."""
    if len(places) <= 1 or sum(_widths(sheet)[place] + 2 for place in places) <= room:
        return [places]
    half = -(-len(places) // 2)
    return [*_fitting(sheet, places[:half], room), *_fitting(sheet, places[half:], room)]


def _widths(sheet: Sheet) -> list[int]:
    """Return the letters of the longest text in each column."""
    lines = [[column.head for column in sheet.columns], *sheet.texts()]
    return [max(map(len, texts)) for texts in zip(*lines, strict=True)]


def tables(sheet: Sheet, width: int) -> Iterator[RenderableType]:
    """Yield the sheet, without its notes, for a terminal of so many columns."""
    for part in parts(sheet, width):
        yield framed(part)


def framed(sheet: Sheet) -> RenderableType:
    """Return the sheet for a terminal, with a line under its heads and its title over it."""
    table = _filled(Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)), sheet)
    return Group(Text(sheet.title, "bold"), table) if sheet.title else table


def plain(sheet: Sheet) -> Table:
    """Return the sheet for a terminal, with neither title nor lines; without heads too if none of them says anything."""
    return _filled(Table(box=None, pad_edge=False, show_header=any(column.head for column in sheet.columns)), sheet)


def _filled(table: Table, sheet: Sheet) -> Table:
    for column in sheet.columns:
        table.add_column(Text(column.head), justify=column.align, no_wrap=not column.fold, overflow="fold")
    for number, row in enumerate(sheet.rows, 1):
        cells = [
            cell.drawn() if isinstance(cell, Words) else Text(text_of(cell, column))
            for cell, column in zip(row, sheet.columns, strict=True)
        ]
        table.add_row(*cells, end_section=bool(sheet.section) and number % sheet.section == 0)
    return table


def note_text(note: str | Words) -> Text:
    """Return a note for a terminal."""
    return note.drawn() if isinstance(note, Words) else Text(note)


def as_markdown(sheet: Sheet) -> str:
    """Return the sheet's heads and rows as a Markdown table."""
    marks = ["---:" if column.align == "right" else "---" for column in sheet.columns]
    lines = [[column.head for column in sheet.columns], marks, *sheet.texts()]
    return "".join("| " + " | ".join(text.replace("|", "\\|") for text in line) + " |\n" for line in lines)


def as_csv(sheet: Sheet) -> str:
    """Return the sheet's heads and rows as CSV: every digit of the numbers, and nothing where there are none."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([head for column in sheet.columns for head in _heads(column)])
    for row in sheet.rows:
        writer.writerow([value for cell, column in zip(row, sheet.columns, strict=True) for value in _values(cell, column)])
    return file.getvalue()


def _heads(column: Column) -> list[str]:
    own = {"estimate": ("", " half", " n"), "interval": ("", " low", " high", " n")}
    return [f"{column.head}{part}" for part in own.get(column.kind, ("",))]


def _values(cell: Value, column: Column) -> Iterable[object]:
    """Return what a cell holds, as many values as its column has heads."""
    values: list[object] = [str(cell) if isinstance(cell, Words) else cell]
    if isinstance(cell, Estimate):
        values = [cell.mean, cell.half, cell.n]
    elif isinstance(cell, Interval):
        values = list(cell)
    known = ["" if value is None or (isinstance(value, float) and math.isnan(value)) else value for value in values]
    return known + [""] * (len(_heads(column)) - len(known))
