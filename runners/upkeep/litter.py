"""What a folder of results can do without: what finished cells would have gone on from, and files that were never finished."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kancl.errors import StorageError
from kancl.text import counted
from runners.store.claims import holder
from runners.store.files import is_temporary, reason_of
from runners.store.within import WITHIN
from runners.upkeep.remove import refuse_linked, size_of
from runners.upkeep.survey import inner, opened

RESUMED = ("checkpoint.pt", "history.bin", WITHIN)
"""What an unfinished cell goes on from."""
OLD = 600.0
"""Seconds without a write after which nobody is writing a temporary file any more."""


@dataclass(frozen=True)
class Litter:
    """What can go.

    Args:
        path: the experiment's folder.
        resumed: checkpoints and histories of finished cells.
        temporary: what was being written when a process ended.
        size: bytes of all of it.
        cells: how many cells ``resumed`` is of.
        held: keys of cells on which a living process works; they are left alone.
    """

    path: Path
    resumed: tuple[Path, ...]
    temporary: tuple[Path, ...]
    size: int
    cells: int
    held: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"checkpoints and histories of {counted(self.cells, 'finished cell')} ({counted(len(self.resumed), 'file')}) and "
            f"{counted(len(self.temporary), 'old temporary file')}: {counted(self.size, 'byte')}"
        )


def litter(path: Path) -> Litter:
    """Return what can go; nothing is changed.

    A cell is finished if its result and its configuration are whole; all numbers are read for that.

    Raises:
        InputError: there is no experiment at ``path``, or its cells lie elsewhere.
    """
    store, _ = opened(path)
    refuse_linked(path)
    resumed: list[Path] = []
    held, cells = [], 0
    for folder in inner(path / "cells"):
        owner = holder(folder)
        if owner is not None and owner.lives:
            held.append(folder.name)
            continue
        own = [file for file in _resumed(folder) if file.is_file() and not file.is_symlink()]
        if own and store.cell(folder.name).load() is not None:
            resumed += own
            cells += 1
    temporary = [entry for entry in _places(path, set(held)) if is_temporary(entry) and _is_old(entry)]
    size = sum(map(size_of, (*resumed, *temporary)))
    return Litter(path, tuple(resumed), tuple(temporary), size, cells, tuple(held))


def sweep(found: Litter) -> None:
    """Remove what was found.

    Raises:
        StorageError: the disk does not take it.
    """
    try:
        for entry in (*found.resumed, *found.temporary):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{found.path} does not let files be removed: {reason_of(error)}") from error


def _resumed(folder: Path) -> Iterator[Path]:
    """Yield where a cell and its blocks have what they would go on from."""
    for own in (folder, *inner(folder / "blocks")):
        yield from (own / name for name in RESUMED)


def _places(path: Path, held: set[str]) -> Iterator[Path]:
    """Yield what stands in all folders in which kancl writes, but for those of cells that are held."""
    cells = [folder for folder in inner(path / "cells") if folder.name not in held]
    blocks = [block for cell in cells for block in inner(cell / "blocks")]
    for folder in (path, path / "cells", *cells, *blocks, *inner(path / "tracking")):
        try:
            yield from sorted(folder.iterdir())
        except OSError:
            continue


def _is_old(entry: Path) -> bool:
    try:
        return time.time() - entry.lstat().st_mtime > OLD
    except OSError:
        return False
