"""Cells removed: their files, and their places in the experiment's list; refused where a living process works on one."""

import os
import secrets
import shutil
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from kancl.errors import InputError, StorageError
from kancl.text import counted
from runners.store.claims import holder
from runners.store.files import reason_of, sync_folder
from runners.upkeep.selection import Selection
from runners.upkeep.survey import Standing, opened, survey


@dataclass(frozen=True)
class Removal:
    """What would be removed.

    Args:
        path: the experiment's folder.
        cells: in the order of its list; earlier ones, which are in no list, have no words.
        size: bytes of their files.
    """

    path: Path
    cells: tuple[Standing, ...]
    size: int

    def __str__(self) -> str:
        return f"{counted(len(self.cells), 'cell')} with {counted(self.size, 'byte')}"


def removal(path: Path, selection: Selection) -> Removal:
    """Return what a selection would remove; nothing is changed.

    Raises:
        InputError: there is no experiment, it lies elsewhere, the selection means nothing, or a living process holds a cell.
    """
    found = survey(path)
    refuse_linked(path)
    store, _ = opened(path)
    keys = selection.of(found, lambda key: store.cell(key).load_cell())
    known = {cell.key: cell for cell in found.cells}
    cells = tuple(known.get(key) or Standing(key, "", "begun", "an earlier cell, not meant any more") for key in keys)
    for cell in cells:
        owner = holder(path / "cells" / cell.key)
        if owner is not None and owner.lives:
            raise InputError(f"{path / 'cells' / cell.key} is being worked on by {owner}; wait for it or stop it first")
    return Removal(path, cells, sum(size_of(path / "cells" / cell.key) for cell in cells))


def remove(asked: Removal) -> None:
    """Remove cells: all of them or, where one is held by a living process meanwhile, none.

    Their folders get another name first, then the list forgets them, then the files go: whenever this is killed, every cell is
    there in full or not at all, and what is left over is removed by ``kancl runs gc``.

    Raises:
        InputError: a living process holds a cell.
        StorageError: the disk does not take it.
    """
    out = asked.path
    store, _ = opened(out)
    trash = out / f".removed-{secrets.token_hex(4)}.{os.getpid()}.tmp"
    try:
        with ExitStack() as claims:
            folders = [out / "cells" / cell.key for cell in asked.cells]
            for folder in folders:
                if not folder.is_dir() or folder.is_symlink():
                    continue
                claim = store.claim(folder.name)
                if claim is None:
                    raise InputError(f"{folder} is being worked on by {holder(folder)}; wait for it or stop it first")
                claims.enter_context(claim)
            trash.mkdir()
            try:
                for folder in folders:
                    if os.path.lexists(folder):
                        os.rename(folder, trash / folder.name)
                sync_folder(out / "cells")
                store.forget([cell.key for cell in asked.cells])
            except Exception:
                _put_back(trash, out / "cells")
                raise
        _discard(trash)
    except OSError as error:
        raise StorageError(f"{out} does not let cells be removed: {reason_of(error)}") from error


def refuse_linked(out: Path) -> None:
    """See that an experiment's files are in its folder.

    Raises:
        InputError: ``cells`` is a link to another place.
    """
    if not (out / "cells").resolve().is_relative_to(out.resolve()):
        raise InputError(f"{out / 'cells'} is a link to another place, where nothing is removed")


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder; links count nothing and are not followed."""
    if path.is_symlink():
        return 0
    if not path.is_dir():
        return path.stat().st_size if path.exists() else 0
    return sum(size_of(entry) for entry in path.iterdir())


def _put_back(trash: Path, cells: Path) -> None:
    """Undo the first half of a removal, as far as the disk lets it be done."""
    with suppress(OSError):
        for entry in trash.iterdir():
            os.rename(entry, cells / entry.name)
        trash.rmdir()


def _discard(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    folder.rmdir()
