"""What state the cells of an experiment are in, told from their files without reading the numbers."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from kancl.errors import InputError
from kancl.text import counted
from runners.measure.record import Within
from runners.store.cell import CellStore
from runners.store.claims import Holder, holder
from runners.store.experiment import Store
from runners.store.files import DamageError, open_stored
from runners.store.seals import check_seal
from runners.store.within import WITHIN

State = Literal["done", "running", "begun", "failed", "damaged", "absent"]
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True)
class Standing:
    """How far a cell is.

    Args:
        key: of the cell.
        words: which cell it is, as the list of the experiment has it.
        state: ``done``: its result is there and whole; ``running``: a process that lives works on it; ``begun``: it has files,
            and nobody works on it; ``failed``: it ended with an error; ``damaged``: a result is there and will not be believed;
            ``absent``: it has no files.
        said: in a line: how long it took, where it runs, how far it came, or why it failed; may be empty.
        more: the same as plain values, for programs.
    """

    key: str
    words: str
    state: State
    said: str = ""
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Survey:
    """The cells of a folder, in the order in which they were asked for.

    Args:
        path: of the folder.
        cells: those that are meant now.
        earlier: keys of folders of cells whose place others took, and of those that no list names.
        damaged: a line for each file that was looked at and is damaged.
    """

    path: Path
    cells: tuple[Standing, ...]
    earlier: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()

    def totals(self) -> dict[str, int]:
        """Return how many cells are in which state, in the order of :data:`STATES`; states that none is in are left out."""
        count = Counter(cell.state for cell in self.cells)
        return {state: count[state] for state in STATES if count[state]}

    def __str__(self) -> str:
        said = ", ".join(f"{count:,} {state}" for state, count in self.totals().items())
        earlier = f"; beside them {counted(len(self.earlier), 'earlier cell')}, not meant any more" if self.earlier else ""
        return f"{counted(len(self.cells), 'cell')}: {said}{earlier}"

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        cells = [{"key": c.key, "cell": c.words, "state": c.state, "said": c.said, **c.more} for c in self.cells]
        return {
            "folder": str(self.path), "totals": self.totals(), "cells": cells, "earlier": list(self.earlier),
            "damaged": list(self.damaged),
        }  # fmt: skip


def survey(path: Path) -> Survey:
    """Return the state of every cell of an experiment; nothing is written, and nobody is waited for.

    Raises:
        InputError: there is no experiment at ``path``.
    """
    store, damaged = opened(path)
    listed = store.listing().cells
    cells = tuple(standing(store.cell(key), key, words) for key, words in listed.items())
    return Survey(
        path, cells, tuple(folder.name for folder in inner(path / "cells") if folder.name not in listed), tuple(damaged)
    )


def opened(path: Path) -> tuple[Store, list[str]]:
    """Return the files of an experiment that is there, and the list of lines that will be told of damage.

    Raises:
        InputError: there is none.
    """
    damaged: list[str] = []
    store = Store(path, damaged.append)
    if not store.keys():
        also = "".join(f"\n  - {line}" for line in damaged)
        raise InputError(f"{path} holds no kancl experiment; expected a folder written by kancl run --out{also}")
    return store, damaged


def inner(folder: Path) -> Sequence[Path]:
    """Return the folders in a folder, none if it is a link, and without those that are links: they may lead anywhere."""
    if folder.is_symlink():
        return []
    try:
        return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.is_symlink())
    except OSError:
        return []


def standing(files: CellStore, key: str, words: str) -> Standing:
    """Return the state of a cell."""
    status = files.load_status() or {}
    if (files.folder / "arrays.npz").exists():
        if faults := _faults(files):
            return Standing(key, words, "damaged", "; ".join(faults), {"damage": faults})
        size = files.networks_size()
        more = {k: status[k] for k in ("seconds", "diverged") if k in status} | ({"networks": size} if size else {})
        return Standing(key, words, "done", _cost(status, size), more)
    owner = holder(files.folder)
    if owner is not None and owner.lives:
        said, done = _began(files)
        return Standing(key, words, "running", f"{said}{_where(owner)}", {"tasks_done": done, "holder": asdict(owner)})
    if status.get("state") == "failed":
        error = str(status.get("error", ""))
        return Standing(key, words, "failed", error, {"error": error})
    if not (files.folder / "config.json").exists() and not status:
        return Standing(key, words, "absent")
    said, done = _began(files)
    return Standing(key, words, "begun", said.removesuffix("; "), {"tasks_done": done})


def _began(files: CellStore) -> tuple[str, int]:
    """Return how far a cell is that has no result, in words and as the number of finished tasks."""
    there = any((files.folder / name).exists() for name in ("checkpoint.pt", WITHIN))
    saved = files.load_checkpoint() if there else None
    done = 0 if saved is None else saved.phases_done
    words = [f"{counted(done, 'task')} done"] if done else []
    words += [f"{counted(saved.step, 'step')} of the next"] if isinstance(saved, Within) and saved.phase >= 0 else []
    return (f"{', '.join(words)}; " if words else ""), done


def _where(owner: Holder) -> str:
    """Return where a cell is worked on, since when, and when that was last heard of."""
    said = f"process {owner.process} on {owner.host}"
    try:
        since = (datetime.now(UTC) - datetime.fromisoformat(owner.started)).total_seconds()
    except (ValueError, TypeError):  # the file of somebody else
        since = float("nan")
    began = f", for {lasting(since)}" if since >= 0 else ""
    return f"{said}{began}, last heard of {lasting(owner.silent)} ago"


def lasting(seconds: float) -> str:
    """Return a time in the unit that suits it.

    >>> [lasting(seconds) for seconds in (7, 600, 10_000, 400_000)]
    ['7 s', '10 min', '2.8 h', '4.6 days']
    """
    for unit, size in (("s", 1), ("min", 60)):
        if seconds < 100 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"


def _faults(files: CellStore) -> list[str]:
    """Return in words why a result that is there will not be believed, by the checksums of its files alone."""
    faults, name = [], f"{files.folder.name}/arrays.npz"
    try:
        with open_stored(files.folder / "arrays.npz", files.root) as file:
            check_seal(file, name)
    except (DamageError, OSError) as error:
        faults.append(f"arrays.npz {error}")
    if files.load_cell() is None:
        faults.append("config.json is damaged" if (files.folder / "config.json").exists() else "config.json is missing")
    return faults


def _cost(status: dict[str, Any], networks: int) -> str:
    """Return what the status of a finished cell tells of it, and how many bytes its networks take that are kept."""
    seconds, diverged = status.get("seconds"), status.get("diverged")
    took = [f"{seconds:,.1f} s"] if isinstance(seconds, int | float) else []
    took += [f"{counted(diverged, 'seed')} diverged"] if isinstance(diverged, int) and diverged else []
    return ", ".join(took + ([f"{networks / 1000:,.0f} kB of networks"] if networks else []))
