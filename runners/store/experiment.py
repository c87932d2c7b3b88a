"""The store: files are the truth, and each has one writer.

``<out>/experiment.json`` names the cells; each has a folder ``<out>/cells/<key>/`` (:mod:`runners.store.cell`), which belongs
to the process that claims it (:mod:`runners.store.claims`). Every write but the history's, which is appended to, goes to a
temporary file, is synced, and takes its name by ``os.replace``, so a file is either whole or absent. Nothing outside of the
folder is read.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from kancl import __version__
from kancl.errors import InputError
from runners.config.cell import Cell
from runners.config.seeds import said_seeds
from runners.store.cell import CellStore
from runners.store.claims import Claim, Holder, claim, holder
from runners.store.compared import Compared, compare
from runners.store.files import Tell, identity, is_temporary, once, read_or_tell, remove_temporaries
from runners.store.formats import refuse_newer
from runners.store.listing import Listing
from runners.store.locks import locked
from runners.store.seals import read_sealed, write_sealed

LIST = "experiment.json"

BEFORE_CELLS = ("cells", ".lock", "matching.json", "tuning.json", "tuning")
"""What a folder may hold whose experiment has not begun."""

FOLDERS = ("cells/*/", "cells/*/blocks/*/", "tracking/*/")
"""Where files are written beside the folder itself."""


class Store:
    """The files of one experiment.

    Args:
        out: its folder.
        tell: hears once, in a line, of every file that is damaged, and how.
    """

    def __init__(self, out: Path, tell: Tell = lambda line: None) -> None:
        self.out, self.tell = out, once(tell)
        self._read: tuple[tuple[int, ...], Listing] | None = None  # which file was read last, and what it holds

    def cell(self, key: str) -> CellStore:
        """Return the store of one cell."""
        return CellStore(self.out / "cells" / key, self.out, self.tell)

    def claim(self, key: str) -> Claim | None:
        """Claim a cell for this process; None if one that lives holds it."""
        return claim(self.out / "cells" / key, self.out)

    def holder(self, key: str) -> Holder | None:
        """Return who claims a cell, alive or not; None if nobody does."""
        return holder(self.out / "cells" / key)

    def keys(self) -> list[str]:
        """Return the cells' keys in the order in which they were asked for."""
        return list(self.listing().cells)

    def listing(self) -> Listing:
        """Return the list of the experiment's cells; if it cannot be read, of those that have files, and empty without any."""
        listed = self._listed()
        return self._found() if listed is None else listed

    def _listed(self) -> Listing | None:
        path = self.out / LIST
        which = identity(path)
        if which is not None and self._read is not None and self._read[0] == which:
            return self._read[1]
        refuse_newer(path)
        listing = read_or_tell(path, lambda: Listing.from_json(read_sealed(path, self.out, path.name)[0]), self.tell)
        self._read = None if which is None or listing is None else (which, listing)
        return listing

    def _found(self) -> Listing:
        try:
            folders = sorted(path for path in (self.out / "cells").iterdir() if path.is_dir())
        except OSError:
            return Listing()
        cells = {folder.name: self.cell(folder.name).load_cell() for folder in folders}
        return Listing.of({key: cell for key, cell in cells.items() if cell is not None}, describe)

    @contextmanager
    def opened(
        self,
        cells: Sequence[Cell],
        tell: Callable[[object], None] = lambda line: None,
        settle: Callable[[Sequence[Cell]], Sequence[Cell]] = list,
        command: str = "",
    ) -> Iterator[list[Cell]]:
        """Take cells into the experiment: its folder is made if absent, and grows by what is not there yet.

        Where contents changed, other cells take the place of those that are stored; see :mod:`runners.store.compared`. Other
        processes may do the same at the same time.

        Args:
            cells: what is asked for.
            tell: hears in a line what changed, and what is not known of older cells.
            settle: gives the cells that are to be stored for those that are asked for, which depends on what is there; called
                again where another process was quicker.
            command: how it was asked for.

        Yields:
            The cells under the keys by which they are stored.

        Raises:
            InputError: the folder holds something else, or cannot be written.
        """
        self.refuse_strangers()
        while True:
            before = self._listed()
            settled = settle(cells)
            with self.locked():
                if self._listed() == before:
                    compared = self._take_in(settled, before, command)
                    break
        for line in compared.lines:
            tell(line)
        yield compared.cells

    def _take_in(self, cells: Sequence[Cell], listed: Listing | None, command: str) -> Compared:
        compared = compare(self._found() if listed is None else listed, cells, describe, self.cell, listed is None)
        listing = compared.listing.asked(command, __version__, compared.cells, f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
        if listing != listed:
            write_sealed(self.out / LIST, LIST, listing.to_json())
        return compared

    def forget(self, keys: Collection[str]) -> None:
        """Take cells off the list, as if they had never been asked for; their files are the caller's to remove."""
        with self.locked():
            write_sealed(self.out / LIST, LIST, self.listing().without(keys).to_json())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Own the folder for a moment: made if absent, and nobody else changes its list, its choices or its claims.

        Raises:
            InputError: the folder holds something else, cannot be written, or another process keeps it.
        """
        self.refuse_strangers()
        with locked(self.out):
            for folder in (self.out, *(found for below in FOLDERS for found in self.out.glob(below))):
                if folder.resolve().is_relative_to(self.out.resolve()):  # not where links lead
                    remove_temporaries(folder)
            yield

    def refuse_strangers(self) -> None:
        """Refuse a folder that holds something else, before anything is written there.

        Raises:
            InputError: it does, or cannot be read.
        """
        try:
            if not self.out.exists():
                return
            if not self.out.is_dir():
                raise InputError(f"--out {self.out} is a file; expected a folder for results")
            found = sorted(self.out.iterdir())
        except OSError as error:
            raise InputError(f"--out {self.out} cannot be read ({error.strerror}); choose another folder") from error
        if self.keys():
            return
        strangers = [path.name for path in found if path.name not in BEFORE_CELLS and not is_temporary(path)]
        if strangers == [LIST] and self.out / "cells" in found:
            return  # damaged, and no cell has begun
        if strangers:
            raise InputError(f"--out {self.out} holds files that are no kancl experiment ({strangers[0]}, ...); choose another")


def describe(cell: Cell) -> str:
    """Return a cell in words."""
    labels = [cell.labels.get(part, "") for part in ("scenario", "architecture", "strategy")]
    return f"{' / '.join(labels)} / {cell.policy.label} / {said_seeds(cell.seeds)}"
