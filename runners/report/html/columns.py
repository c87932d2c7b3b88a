"""What a figure shows as plain columns: its file of CSV, and what the page's script reads values from."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from runners.report.html.markup import Markup, in_script, tag

DIGITS = 7
"""Of numbers in a figure's data, as many as a float32 has."""

Cell = str | float | int


@dataclass(frozen=True)
class Columns:
    """A table of N rows.

    Args:
        heads: of the columns.
        values: N numbers or texts of each; a number that is not there is NaN.
    """

    heads: tuple[str, ...]
    values: tuple[tuple[Cell, ...], ...]

    @staticmethod
    def of(rows: Sequence[Mapping[str, Cell]]) -> "Columns":
        """Return rows, which all have the same heads, as columns."""
        heads = tuple(rows[0]) if rows else ()
        return Columns(heads, tuple(tuple(row[head] for row in rows) for head in heads))

    def csv(self) -> str:
        """Return the table as CSV."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(self.heads)
        writer.writerows(zip(*(map(_number_or_text, column) for column in self.values), strict=True))
        return file.getvalue()

    def script(self, file: str) -> Markup:
        """Return the table for the page's script; a text that comes often is written once.

        Args:
            file: what the file of CSV is called, without ending.
        """
        columns = [_coded(column) for column in self.values]
        content = json.dumps({"file": file, "heads": self.heads, "columns": columns}, separators=(",", ":"))
        return tag("script", in_script(content), type="application/json", class_="data")


def csv_script(file: str, text: str) -> Markup:
    """Return CSV that is written already for the page's script."""
    return tag("script", in_script(json.dumps({"file": file, "csv": text})), type="application/json", class_="data")


def _number_or_text(value: Cell) -> str:
    if isinstance(value, str):
        return value
    return "" if np.isnan(value) else f"{value:.{DIGITS}g}"


def _coded(column: Sequence[Cell]) -> object:
    """Return numbers as they are, texts as a list of those that differ and a place in it for each row."""
    if column and isinstance(column[0], str):
        places: dict[Cell, int] = {}
        at = [places.setdefault(text, len(places)) for text in column]
        return {"of": list(places), "at": at}
    return [None if np.isnan(value) else float(f"{value:.{DIGITS}g}") for value in column]
