"""The list of an experiment's cells, ``experiment.json``: what was asked for, which cells are meant by it now, and what became
of those before them.

A cell's key holds what its numbers depend on, so that changed data or code are another cell. Where the same is asked for, the
new cell takes the old one's place in the list (:mod:`runners.store.compared`); the old one's folder stays, and the list notes
it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from runners.config.cell import FORMAT, Cell
from runners.store.contents import family, kin, recorded
from runners.store.files import DamageError


@dataclass(frozen=True)
class Listing:
    """What ``experiment.json`` holds.

    Args:
        cells: key and words of every cell that is meant now, in the order in which they were first asked for.
        records: by key, what the cell depends on (``contents``), what was asked for (``request``, and ``question`` without its
            seeds), its ``seeds``, ``family`` and ``kin``, and the day (``since``); a cell that was stored before contents were
            recorded has in ``taken_for`` the key that it would have today.
        superseded: the cells that were meant before: ``cell``, ``by``, ``on`` which day, ``changed`` in words.
        requests: what was asked for, in order: ``command``, ``version``, ``date`` and its ``cells``.
    """

    cells: Mapping[str, str] = field(default_factory=dict)
    records: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    superseded: Sequence[Mapping[str, str]] = ()
    requests: Sequence[Mapping[str, Any]] = ()

    @staticmethod
    def from_json(content: Any) -> "Listing":
        """Read what :meth:`to_json` gave, or the list of a folder that has no records or no requests.

        Raises:
            DamageError: no such list.
        """
        cells, records, superseded = content.get("cells"), content.get("records", {}), content.get("superseded", [])
        requests = content.get("requests", [])
        if not _is_texts(cells):
            raise DamageError("holds no list of cells")
        for key in cells:
            if not key or key in (".", "..") or "/" in key or "\0" in key:
                raise DamageError(f"names the cell {key[:80]!r}, which can have no folder")
        if not isinstance(records, dict) or not all(_is_record(record) for record in records.values()):
            raise DamageError("holds records that are none")
        if not isinstance(superseded, list) or not all(_is_texts(cell) for cell in superseded):
            raise DamageError("holds no list of earlier cells")
        if not isinstance(requests, list) or not all(_is_request(request) for request in requests):
            raise DamageError("holds no list of requests")
        return Listing(cells, records, tuple(superseded), tuple(requests))

    @staticmethod
    def of(cells: Mapping[str, Cell], words: Callable[[Cell], str]) -> "Listing":
        """Return the list that cells make up whose own list was lost; ``words`` describes one."""
        records = {key: record_of(cell) for key, cell in cells.items() if cell.content}
        return Listing({key: words(cell) for key, cell in cells.items()}, records)

    def to_json(self) -> dict[str, Any]:
        """Return the list as plain values."""
        return {
            "format": FORMAT, "cells": self.cells, "records": self.records, "superseded": list(self.superseded),
            "requests": list(self.requests),
        }  # fmt: skip

    def asked(self, command: str, version: str, cells: Sequence[Cell], now: str) -> "Listing":
        """Return the list with a request noted, unless the same was noted before.

        Args:
            command: as it was typed; empty if it was none.
            version: of kancl.
            cells: that it means.
            now: the time, in ISO 8601.
        """
        keys = [cell.key for cell in cells]
        same = {"command": command, "version": version, "cells": keys}
        if any(same.items() <= request.items() for request in self.requests):
            return self
        return replace(self, requests=(*self.requests, {**same, "date": now}))

    def without(self, keys: Collection[str]) -> "Listing":
        """Return the list without some cells, as if they had never been asked for."""
        cells = {key: words for key, words in self.cells.items() if key not in keys}
        requests = [{**request, "cells": [key for key in request["cells"] if key not in keys]} for request in self.requests]
        records = {key: record for key, record in self.records.items() if key in cells}
        return Listing(cells, records, self.superseded, tuple(request for request in requests if request["cells"]))


def record_of(cell: Cell) -> dict[str, Any]:
    """Return what the list keeps of a cell."""
    said = {"request": cell.request, "question": cell.question, "seeds": ",".join(map(str, cell.seeds))}
    said |= {"family": family(cell), "kin": kin(cell)}
    return {**said, "since": f"{date.today()}", "contents": recorded(cell)}


def seeds_of(record: Mapping[str, Any]) -> frozenset[int]:
    """Return the seeds of a record; of older ones, which do not tell, none."""
    return frozenset(int(seed) for seed in str(record.get("seeds", "")).split(",") if seed.isdecimal())


def _is_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _is_record(value: Any) -> bool:
    own = isinstance(value, dict) and _is_texts({key: text for key, text in value.items() if key != "contents"})
    return own and _is_texts(value.get("contents"))


def _is_request(value: Any) -> bool:
    own = isinstance(value, dict) and _is_texts({key: text for key, text in value.items() if key != "cells"})
    cells = value.get("cells") if own else None
    return isinstance(cells, list) and all(isinstance(key, str) for key in cells)
