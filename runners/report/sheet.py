"""A table before it is drawn, and what it is drawn as: for a terminal, for a document (Markdown), for a program (CSV).

Whoever makes a table makes a :class:`Sheet` of plain cells; how numbers are written is said in :mod:`runners.report.numbers`.
"""

import csv
import io
import math
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kancl.statistics import Interval
from runners.report.numbers import KINDS, MISSING, Estimate, with_interval
from runners.report.thinning import fold

WIDE = 170
"""Columns of a terminal where nothing is known of it."""
LEAST, MOST = 12, 24
"""Letters that a folded text has beside the numbers, if it is that long: a sheet is split further for that. A longer word
stands in one piece up to the second."""

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
        first: how many of the other columns the first part has where it has to be split; None where the sheet never is.
        subtitle: what holds for all rows; may be empty.
        section: so many rows belong together, with a line after them on a terminal; 0 where none do.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    notes: tuple[str | Words, ...] = ()
    keys: int = 1
    first: int | None = None
    section: int = 0
    subtitle: str = ""

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
    """Return what a terminal of some width shows one under the other: the sheet where it fits, or its parts.

    No number is ever broken: heads are folded first, then the sheet is split, and texts that name a row are folded.
    """
    if sheet.first is None or _needs(sheet, range(len(sheet.columns))) <= width:
        return [sheet]
    sheet = _folded(sheet)
    if _needs(sheet, range(len(sheet.columns))) <= width:
        return [sheet]
    if sum(_least(sheet)[: sheet.keys]) > width / 2 and sheet.keys > 1:
        sheet = _keys_joined(sheet)
    end, count = sheet.keys + (sheet.first or 0), len(sheet.columns)
    room = width + 1 - sum(least + GAP for least in _least(sheet)[: sheet.keys])
    groups = [*_fitting(sheet, range(sheet.keys, end), room), *_fitting(sheet, range(end, count), room)]
    found = [_keys_folded(sheet.only([*range(sheet.keys), *group]), width) for group in groups]
    return [found[0], *(replace(part, title="", subtitle="") for part in found[1:])]


GAP = 2
"""Blanks between two columns."""


def _needs(sheet: Sheet, places: range) -> int:
    """Return the letters of a line with the columns at some places, no text folded."""
    widths = _widths(sheet)
    return sum(widths[place] + GAP for place in places) - 1


def _fitting(sheet: Sheet, places: range, room: int) -> list[range]:
    """Return columns, in halves as long as they take more room than there is."""
    if len(places) <= 1 or _needs(sheet, places) < room:
        return [places] if places else []
    half = -(-len(places) // 2)
    return [*_fitting(sheet, places[:half], room), *_fitting(sheet, places[half:], room)]


def _folded(sheet: Sheet) -> Sheet:
    """Return the sheet with heads that are no wider than what stands below them, as far as words allow."""
    texts = sheet.texts()
    columns = []
    for place, column in enumerate(sheet.columns):
        widest = max([len(line[place]) for line in texts] + [len(word) for word in column.head.split(" ")])
        columns.append(replace(column, head="\n".join(textwrap.wrap(column.head, widest))) if column.head else column)
    return replace(sheet, columns=tuple(columns))


def _widths(sheet: Sheet) -> list[int]:
    """Return the letters of the longest line in each column."""
    lines = [[column.head for column in sheet.columns], *sheet.texts()]
    return [max(len(line) for text in texts for line in text.split("\n")) for texts in zip(*lines, strict=True)]


def _least(sheet: Sheet) -> list[int]:
    """Return the letters that each column takes where its texts are folded between words."""
    found = []
    for place, (width, column) in enumerate(zip(_widths(sheet), sheet.columns, strict=True)):
        words = " ".join([column.head, *(line[place] for line in sheet.texts())]).replace(",", ", ").split()
        found.append(min(width, max(LEAST, min(MOST, max(map(len, words), default=0)))))
    return found


def _keys_joined(sheet: Sheet) -> Sheet:
    """Return the sheet with the columns that name a row as one, which is folded better than each of them."""
    heads, others = sheet.columns[: sheet.keys], sheet.columns[sheet.keys :]
    named = Column(" / ".join(column.head for column in heads))
    texts = [" / ".join(line[: sheet.keys]) for line in sheet.texts()]
    rows = tuple((text, *row[sheet.keys :]) for text, row in zip(texts, sheet.rows, strict=True))
    return _folded(replace(sheet, columns=(named, *others), rows=rows, keys=1))


def _keys_folded(sheet: Sheet, width: int) -> Sheet:
    """Return the sheet with the texts that name a row folded at blanks and commas, as far as that is needed."""
    widths, least = _widths(sheet), _least(sheet)
    spare = width - _needs(sheet, range(sheet.keys, len(widths))) - sum(own + GAP for own in least[: sheet.keys])
    rows = [list(row) for row in sheet.rows]
    for place in range(sheet.keys):
        more = min(max(spare, 0), widths[place] - least[place])
        spare -= more
        for row in rows:
            cell, most = row[place], least[place] + more
            if isinstance(cell, str | Words) and len(str(cell)) > most:
                row[place] = replace(cell, text=fold(cell.text, most)) if isinstance(cell, Words) else fold(cell, most)
    return replace(sheet, rows=tuple(map(tuple, rows)))


def tables(sheet: Sheet, width: int) -> Iterator[RenderableType]:
    """Yield the sheet, without its notes, for a terminal of so many columns, an empty line after each part."""
    for part in parts(sheet, width):
        yield Group(framed(part), Text())


def framed(sheet: Sheet) -> RenderableType:
    """Return the sheet for a terminal, with a line under its heads and its title over it."""
    table = _filled(Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False), sheet)
    above = [Text(text, style) for text, style in ((sheet.title, "bold"), (sheet.subtitle, "dim")) if text]
    return Group(*above, table) if above else table


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


LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_",
        "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
        "|": r"\textbar{}", "±": r"$\pm$", "–": "--", "µ": r"$\mu$", "\n": " ",
    }
)  # fmt: skip
"""How what LaTeX reads otherwise is written there."""
POWER = re.compile(r"^\((.+)\)e([+-]\d+)$|^(-?[\d.]+)e([+-]\d+)$")


def latex_text(text: str) -> str:
    """Return a text, or a number as :mod:`runners.report.numbers` writes it, for LaTeX.

    >>> latex_text("kan:hidden=5_a"), latex_text("0.50 ± 0.02"), latex_text("(4.1 ± 0.2)e-06")
    ('kan:hidden=5\\\\_a', '0.50 $\\\\pm$ 0.02', '$(4.1 \\\\pm 0.2)\\\\times 10^{-6}$')
    """
    found = POWER.match(text)
    if found is None:
        return text.translate(LATEX)
    many, power, one, power_of_one = found.groups()
    number = one if many is None else f"({many})".replace("±", r"\pm")
    return f"${number}\\times 10^{{{int(power or power_of_one)}}}$"


def as_latex(sheet: Sheet) -> str:
    """Return the sheet as a LaTeX table of the package booktabs, its title the caption and its notes comments."""
    aligned = "".join("r" if column.align == "right" else "l" for column in sheet.columns)
    rows = [" & ".join(map(latex_text, line)) + r" \\" for line in sheet.texts()]
    if sheet.section:
        for end in range(len(rows) - sheet.section, 0, -sheet.section):
            rows.insert(end, r"\addlinespace")
    heads = " & ".join(latex_text(column.head) for column in sheet.columns) + r" \\"
    title = ". ".join(latex_text(re.sub(r"\s+", " ", line)) for line in (sheet.title, sheet.subtitle) if line)
    lines = [
        r"\begin{table}", r"\centering", rf"\caption{{{title}}}" if title else "", rf"\begin{{tabular}}{{{aligned}}}",
        r"\toprule", heads, r"\midrule", *rows, r"\bottomrule", r"\end{tabular}", r"\end{table}",
    ]  # fmt: skip
    notes = [f"% {line}" for note in sheet.notes for line in str(note).split("\n")]
    return "\n".join([*filter(None, lines), *notes, ""])


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
