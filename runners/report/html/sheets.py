"""Sheets as tables of the page: the numbers are written as in a terminal, and CSV has every digit of them."""

import re

from runners.report.html.columns import csv_script
from runners.report.html.markup import Markup, tag
from runners.report.sheet import Column, Sheet, Value, Words, as_csv, text_of


def table(sheet: Sheet, file: str, title: str | None = None, heading: str = "h3") -> Markup:
    """Return a sheet with its title, its notes and its file.

    Args:
        sheet: what is shown.
        file: what its file of CSV is called, without ending.
        title: in place of the sheet's own.
        heading: the element of the title.
    """
    name = re.sub(r"\s{2,}", ": ", sheet.title if title is None else title)
    button = tag("button", "CSV", type="button", class_="as-csv", aria_label=f"Download as CSV: {name}")
    top = tag("div", tag(heading, name) if name else None, tag("div", button, class_="files"), class_="caption")
    head = tag("thead", tag("tr", *(tag("th", column.head, scope="col", class_=_side(column)) for column in sheet.columns)))
    bodies = [tag("tbody", *(_row(sheet, row) for row in rows)) for rows in _sections(sheet)]
    whole = tag("table", head, *bodies)
    room = tag("div", whole, class_="scroll", tabindex=0, role="region", aria_label=name or file)
    notes = [tag("p", str(note), class_=f"note {note.tone}" if isinstance(note, Words) else "note") for note in sheet.notes]
    said = [tag("p", sheet.subtitle, class_="note")] if sheet.subtitle else []
    return tag("div", top, *said, room, *notes, csv_script(file, as_csv(sheet)), class_="table", data_file=file)


def _sections(sheet: Sheet) -> list[tuple[tuple[Value, ...], ...]]:
    size = sheet.section or max(len(sheet.rows), 1)
    return [sheet.rows[first : first + size] for first in range(0, len(sheet.rows), size)]


def _row(sheet: Sheet, row: tuple[Value, ...]) -> Markup:
    cells = []
    for place, (cell, column) in enumerate(zip(row, sheet.columns, strict=True)):
        tone = f" {cell.tone}{' strong' if cell.strong else ''}" if isinstance(cell, Words) else ""
        kind, more = ("th", {"scope": "row"}) if place < sheet.keys else ("td", {})
        cells.append(tag(kind, text_of(cell, column), class_=f"{_side(column) or ''}{tone}".strip() or None, **more))
    return tag("tr", *cells)


def _side(column: Column) -> str | None:
    return "number" if column.align == "right" else None
