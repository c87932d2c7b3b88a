"""The list of an experiment's cells, ``experiment.json``: which cells are meant now, and what became of those before them.

A cell's key holds what its numbers depend on, so that changed data or code are another cell. Where the same is asked for, the
new cell takes the old one's place in the list; the old one's folder stays, and the list notes it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from runners.config.cell import FORMAT, Cell
from runners.store.contents import changed, recorded
from runners.store.files import DamageError


class Stored(Protocol):
    """The files of one cell, as :class:`runners.store.cell.CellStore` has them."""

    folder: Path

    def load_cell(self) -> Cell | None:
        """Return the configuration, or None if it cannot be read."""

    def load_result(self) -> object | None:
        """Return the result, or None if there is none that can be read."""


@dataclass(frozen=True)
class Listing:
    """What ``experiment.json`` holds.

    Args:
        cells: key and words of every cell that is meant now, in order.
        records: by key, what the cell depends on (``contents``), what was asked for (``request``) and the day (``since``); a
            cell that was stored before contents were recorded has in ``taken_for`` the key that it would have today.
        superseded: the cells that were meant before: ``cell``, ``by``, ``on`` which day, ``changed`` in words.
    """

    cells: Mapping[str, str] = field(default_factory=dict)
    records: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    superseded: Sequence[Mapping[str, str]] = ()

    @staticmethod
    def from_json(content: Any) -> "Listing":
        """Read what :meth:`to_json` gave, or the list of a folder that has no records.

        Raises:
            DamageError: no such list.
        """
        cells, records, superseded = content.get("cells"), content.get("records", {}), content.get("superseded", [])
        if not _is_texts(cells):
            raise DamageError("holds no list of cells")
        for key in cells:
            if not key or key in (".", "..") or "/" in key or "\0" in key:
                raise DamageError(f"names the cell {key[:80]!r}, which can have no folder")
        if not isinstance(records, dict) or not all(_is_record(record) for record in records.values()):
            raise DamageError("holds records that are none")
        if not isinstance(superseded, list) or not all(_is_texts(cell) for cell in superseded):
            raise DamageError("holds no list of earlier cells")
        return Listing(cells, records, tuple(superseded))

    @staticmethod
    def of(cells: Mapping[str, Cell], words: Callable[[Cell], str]) -> "Listing":
        """Return the list that cells make up whose own list was lost; ``words`` describes one."""
        records = {key: {"request": cell.request, "contents": recorded(cell)} for key, cell in cells.items() if cell.content}
        return Listing({key: words(cell) for key, cell in cells.items()}, records)

    def to_json(self) -> dict[str, Any]:
        """Return the list as plain values."""
        return {"format": FORMAT, "cells": self.cells, "records": self.records, "superseded": list(self.superseded)}


def _is_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _is_record(value: Any) -> bool:
    own = isinstance(value, dict) and _is_texts({key: text for key, text in value.items() if key != "contents"})
    return own and _is_texts(value.get("contents"))


class Earlier:
    """Finds the stored cell that was asked for like another one, and had other contents, or none recorded.

    Args:
        listing: the stored cells.
        keys: those of them that are not meant any more as they are; each is found once.
        of: gives the files of a cell by its key.
    """

    def __init__(self, listing: Listing, keys: Collection[str], of: Callable[[str], Stored]) -> None:
        self.left, self.of = dict.fromkeys(key for key in listing.cells if key in keys), of
        self.by_request: dict[str, list[str]] = {}  # of what was tuned there may be several, by what was chosen
        for key in self.left:
            if key in listing.records:
                self.by_request.setdefault(str(listing.records[key].get("request")), []).append(key)
        self.unrecorded = [key for key in self.left if key not in listing.records]

    def take(self, cell: Cell) -> str | None:
        """Return the key of the earlier cell, or None if there is none."""
        same_request = self.by_request.get(cell.request, []) if cell.request else []
        for key in (cell.old_key, *same_request, *self._by_asked.get(cell.asked_key, ())):
            if key in self.left:
                del self.left[key]
                return key
        return None

    @cached_property
    def _by_asked(self) -> dict[str, list[str]]:
        """Of cells without a record: they are compared by all that stands in their configurations beside contents."""
        found: dict[str, list[str]] = {}
        for key in self.unrecorded:
            cell = self.of(key).load_cell()
            if cell is not None:
                found.setdefault(cell.asked_key, []).append(key)
        return found


@dataclass(frozen=True)
class Compared:
    """What is asked for beside what is stored.

    Args:
        cells: to run, under the keys that they are stored by.
        listing: to store.
        lines: to say.
        only_here, only_there: cells and keys without a counterpart: the folder holds another experiment if there are any.
    """

    cells: list[Cell]
    listing: Listing
    lines: list[str]
    only_here: list[Cell]
    only_there: list[str]

    def without_list(self, requests: Collection[str], found: Listing) -> "Compared":
        """Return the same where the list was lost, and only the cells that have files were ``found``.

        Others may have been asked for, and among them are those whose place others took.
        """
        there = [key for key in self.only_there if found.records.get(key, {}).get("request") not in requests]
        return replace(self, only_here=[], only_there=there)


def compare(listing: Listing, cells: Sequence[Cell], words: Callable[[Cell], str], of: Callable[[str], Stored]) -> Compared:
    """Return what becomes of a list of cells where these are asked for.

    Args:
        listing: what is stored; empty for a new experiment.
        cells: what is asked for.
        words: describes a cell.
        of: gives the files of a cell by its key.
    """
    earlier, told = Earlier(listing, set(listing.cells) - {cell.key for cell in cells}, of), _Told()
    found: list[Cell] = []
    only_here: list[Cell] = []
    superseded = list(listing.superseded)
    records: dict[str, Mapping[str, Any]] = {}
    requests = {record.get("request") for record in listing.records.values()} - {"", None}
    for cell in cells:
        record = {"request": cell.request, "since": f"{date.today()}", "contents": recorded(cell)}
        key = None if cell.key in listing.cells else earlier.take(cell)
        if key is None:
            if listing.cells and cell.key not in listing.cells and cell.request not in requests:
                only_here.append(cell)
            known = listing.records.get(cell.key, {})
            records[cell.key] = {**record, "since": known.get("since", record["since"])}
            found.append(cell)
            continue
        known = listing.records.get(key, {})
        unrecorded = key == cell.old_key and known.get("taken_for", cell.key) == cell.key
        if unrecorded and of(key).load_result() is not None:
            told.unrecorded += 1
            records[key] = {**record, **known, "taken_for": cell.key}
            found.append(replace(cell, content={}))
            continue
        since = str(known.get("since") or _day(of(key).folder / "config.json"))
        what = UNFINISHED if unrecorded else changed(cell, known.get("contents") or _contents(of(key)))
        told.change(what, since, again=of(cell.key).load_result() is not None)
        superseded.append({"cell": key, "by": cell.key, "on": f"{date.today()}", "changed": what})
        records[cell.key] = record
        found.append(cell)
    heirs = {cell.request: cell.key for cell in cells if cell.request}
    for key in list(earlier.left):  # tuned anew, seeds may fall into fewer cells
        if heir := heirs.get(listing.records.get(key, {}).get("request", "")):
            del earlier.left[key]
            superseded.append({"cell": key, "by": heir, "on": f"{date.today()}", "changed": "what was chosen"})
    listed = Listing({cell.key: words(cell) for cell in found}, records, tuple(superseded))
    return Compared(found, listed, told.lines(), only_here, list(earlier.left))


UNFINISHED = "unfinished, and stored before contents were recorded"


class _Told:
    """Collects what is said: one line for all cells of which the same changed."""

    def __init__(self) -> None:
        self.unrecorded = 0
        self.changes: dict[tuple[str, str, bool], int] = {}

    def change(self, what: str, since: str, again: bool) -> None:
        self.changes[what, since, again] = self.changes.get((what, since, again), 0) + 1

    def lines(self) -> list[str]:
        lines = []
        for (what, since, again), count in self.changes.items():
            counted = f"{count} cell{'s' * (count != 1)}"
            if what == UNFINISHED:
                lines.append(
                    f"{counted} stood half-finished since before contents were recorded: whether data changed cannot be told; "
                    "training anew"
                )
                continue
            ending = "they are those of an earlier run, which counts" if again else f"training anew ({counted})"
            lines.append(f"{what} changed since {since}; {ending}")
        if self.unrecorded:
            one = self.unrecorded == 1
            lines.append(
                f"{self.unrecorded} cell{' was' if one else 's were'} stored before contents were recorded: whether "
                f"{'its' if one else 'their'} data changed since cannot be told"
            )
        return lines


def _contents(files: Stored) -> dict[str, str]:
    cell = files.load_cell()
    return {} if cell is None else recorded(cell)


def _day(file: Path) -> str:
    try:
        return f"{datetime.fromtimestamp(file.stat().st_mtime).date()}"
    except OSError:
        return "it was first asked for"
