"""What becomes of an experiment's list where cells are asked for: it grows, and changed cells take the earlier ones' place."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from runners.config.cell import Cell
from runners.store.contents import changed, recorded
from runners.store.listing import Listing, record_of, seeds_of


class Stored(Protocol):
    """The files of one cell, as :class:`runners.store.cell.CellStore` has them."""

    folder: Path

    def load_cell(self) -> Cell | None:
        """Return the configuration, or None if it cannot be read."""

    def load_result(self) -> object | None:
        """Return the result, or None if there is none that can be read."""


class Earlier:
    """Finds the stored cells that were asked for like another one, and had other contents, or none recorded.

    Args:
        listing: the stored cells.
        keys: those of them that are not meant any more as they are; each is found once.
        of: gives the files of a cell by its key.
    """

    def __init__(self, listing: Listing, keys: Collection[str], of: Callable[[str], Stored]) -> None:
        self.left, self.of, self.records = dict.fromkeys(key for key in listing.cells if key in keys), of, listing.records
        self.by_request: dict[str, list[str]] = {}  # of what was tuned there may be several, by what was chosen
        self.by_question: dict[str, list[str]] = {}
        for key in self.left:
            if key in listing.records:
                self.by_request.setdefault(str(listing.records[key].get("request")), []).append(key)
                self.by_question.setdefault(str(listing.records[key].get("question")), []).append(key)
        self.unrecorded = [key for key in self.left if key not in listing.records]

    def take(self, cell: Cell) -> list[str]:
        """Return the keys of the earlier cells that this one takes the place of: at most one that was asked for in the same
        words, and those of some of its seeds."""
        same_request = self.by_request.get(cell.request, []) if cell.request else []
        first = [key for key in (cell.old_key, *same_request, *self._by_asked.get(cell.asked_key, ())) if key in self.left][:1]
        others = self.by_question.get(cell.question, []) if cell.question else []
        meeting = [key for key in others if self._is_part(key, cell)]
        taken = list(dict.fromkeys([*first, *meeting]))
        for key in taken:
            del self.left[key]
        return taken

    def _is_part(self, key: str, cell: Cell) -> bool:
        """Tell whether a cell that was asked for in another command has some of the same seeds."""
        record = self.records[key]
        return key in self.left and record.get("request") != cell.request and not seeds_of(record).isdisjoint(cell.seeds)

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
        listing: to store: what was there, with what is new.
        lines: to say.
    """

    cells: list[Cell]
    listing: Listing
    lines: list[str]


def compare(
    listing: Listing, cells: Sequence[Cell], words: Callable[[Cell], str], of: Callable[[str], Stored], lost: bool = False
) -> Compared:
    """Return what becomes of a list of cells where these are asked for: it grows, and what changed takes the earlier's place.

    Args:
        listing: what is stored; empty for a new experiment.
        cells: what is asked for.
        words: describes a cell.
        of: gives the files of a cell by its key.
        lost: whether the list was lost and made of the files, where there may be cells whose place others took.
    """
    earlier, told = Earlier(listing, set(listing.cells) - {cell.key for cell in cells}, of), _Told()
    found: list[Cell] = []
    superseded = list(listing.superseded)
    records: dict[str, Mapping[str, Any]] = {}
    heirs: dict[str, str] = {}
    for cell in cells:
        record, known = record_of(cell), listing.records.get(cell.key, {})
        there = cell.key in listing.cells
        olds = [] if there and not lost else earlier.take(cell)
        records[cell.key] = {**record, "since": known.get("since", record["since"])}
        if olds and not there and (own := _unrecorded(olds[0], cell, listing, of)) is not None:
            told.unrecorded += 1
            del records[cell.key]
            records[olds[0]] = own
            found.append(replace(cell, content={}))
            continue
        found.append(cell)
        for number, key in enumerate(olds):
            old = listing.records.get(key, {})
            what = UNFINISHED
            if key != cell.old_key or old.get("taken_for", cell.key) != cell.key:
                what = changed(
                    cell, old.get("contents") or _contents(of(key)), bool(seeds_of(old)) and seeds_of(old) != seeds_of(record)
                )
            if not number and not there:
                since = str(old.get("since") or _day(of(key).folder / "config.json"))
                told.change(what, since, again=of(cell.key).load_result() is not None)
            superseded.append({"cell": key, "by": cell.key, "on": f"{date.today()}", "changed": what})
            heirs[key] = cell.key
    by_request = {cell.request: cell.key for cell in cells if cell.request}
    for key in list(earlier.left):  # tuned anew, seeds may fall into fewer cells
        if heir := by_request.get(listing.records.get(key, {}).get("request", "")):
            superseded.append({"cell": key, "by": heir, "on": f"{date.today()}", "changed": "what was chosen"})
            heirs[key] = heir
    said = {**listing.cells, **{cell.key: words(cell) for cell in found}}
    order = dict.fromkeys([*(heirs.get(key, key) for key in listing.cells), *(cell.key for cell in found)])
    all_records = {**listing.records, **records}
    listed = Listing(
        {key: said[key] for key in order}, {key: all_records[key] for key in order if key in all_records}, tuple(superseded),
        listing.requests,
    )  # fmt: skip
    return Compared(found, listed, told.lines())


def _unrecorded(key: str, cell: Cell, listing: Listing, of: Callable[[str], Stored]) -> dict[str, Any] | None:
    """Return the record of a finished cell that was stored before contents were recorded, if it is this one; else None."""
    known = listing.records.get(key, {})
    if key != cell.old_key or known.get("taken_for", cell.key) != cell.key or of(key).load_result() is None:
        return None
    return {**record_of(cell), **known, "taken_for": cell.key}


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
