"""The store: files are the truth, and one writer owns them.

``<out>/experiment.json`` names the cells; each has a folder ``<out>/cells/<key>/`` (:mod:`runners.store.cell`). Every write but
the history's, which is appended to, goes to a temporary file, is synced, and takes its name by ``os.replace``, so a file is
either whole or absent. Nothing outside of the folder is read.
"""

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kancl.errors import InputError
from runners.config.cell import Cell
from runners.store.cell import CellStore
from runners.store.claims import Claim, claim
from runners.store.files import Tell, is_temporary, once, read_or_tell, remove_temporaries
from runners.store.formats import refuse_newer
from runners.store.listing import Compared, Listing, compare
from runners.store.seals import read_sealed, write_sealed

BEFORE_CELLS = ("cells", ".lock", "matching.json", "tuning.json")
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

    def cell(self, key: str) -> CellStore:
        """Return the store of one cell."""
        return CellStore(self.out / "cells" / key, self.out, self.tell)

    def claim(self, key: str) -> Claim | None:
        """Claim a cell for this process; None if one that lives holds it."""
        return claim(self.out / "cells" / key, self.out)

    def keys(self) -> list[str]:
        """Return the cells' keys in the order in which they were asked for."""
        return list(self.listing().cells)

    def was_asked(self, cells: Iterable[Cell]) -> bool:
        """Tell whether all these were asked for before, in the same words, whatever their contents were then."""
        known = {record.get("request") for record in self.listing().records.values()}
        return all(cell.request in known for cell in cells)

    def listing(self) -> Listing:
        """Return the list of the experiment's cells; if it cannot be read, of those that have files, and empty without any."""
        listed = self._listed()
        return self._found() if listed is None else listed

    def _listed(self) -> Listing | None:
        path = self.out / "experiment.json"
        refuse_newer(path)
        return read_or_tell(path, lambda: Listing.from_json(read_sealed(path, self.out, path.name)[0]), self.tell)

    def _found(self) -> Listing:
        try:
            folders = sorted(path for path in (self.out / "cells").iterdir() if path.is_dir())
        except OSError:
            return Listing()
        cells = {folder.name: self.cell(folder.name).load_cell() for folder in folders}
        return Listing.of({key: cell for key, cell in cells.items() if cell is not None}, describe)

    @contextmanager
    def opened(self, cells: Sequence[Cell], tell: Callable[[object], None] = lambda line: None) -> Iterator[list[Cell]]:
        """Own the folder for one experiment: made if absent, refused if it holds another, locked against a second writer.

        Where contents changed, other cells take the place of those that are stored; see :mod:`runners.store.listing`.

        Args:
            cells: what is asked for.
            tell: hears in a line what changed, and what is not known of older cells.

        Yields:
            The cells under the keys by which they are stored.

        Raises:
            InputError: the folder holds something else, cannot be written, or is being written by another process.
        """
        self._compared(cells)
        with self.locked():
            compared = self._compared(cells)  # again, now that nobody else can write
            if compared.listing != self._listed():
                write_sealed(self.out / "experiment.json", "experiment.json", compared.listing.to_json())
            for line in compared.lines:
                tell(line)
            yield compared.cells

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Own the folder: made if absent, locked against a second writer.

        Raises:
            InputError: the folder holds something else, cannot be written, or is being written by another process.
        """
        self._refuse_strangers()
        try:
            (self.out / "cells").mkdir(parents=True, exist_ok=True)
            # Never through a link, and without waiting if it is a pipe.
            number = os.open(self.out / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise InputError(f"--out {self.out} cannot be written ({error.strerror}); choose another folder") from error
        with os.fdopen(number, "rb+", buffering=0) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise InputError(f"another kancl run is writing to {self.out}; wait for it or choose another --out") from error
            for folder in (self.out, *(found for below in FOLDERS for found in self.out.glob(below))):
                remove_temporaries(folder)
            yield

    def _refuse_strangers(self) -> None:
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
        if strangers == ["experiment.json"] and self.out / "cells" in found:
            return  # damaged, and no cell has begun
        if strangers:
            raise InputError(f"--out {self.out} holds files that are no kancl experiment ({strangers[0]}, ...); choose another")

    def _compared(self, cells: Sequence[Cell]) -> Compared:
        self._refuse_strangers()
        compared = compare(self.listing(), cells, describe, self.cell)
        if self._listed() is None:
            compared = compared.without_list({cell.request for cell in cells}, self.listing())
        if compared.only_here or compared.only_there:
            there, here = compared.only_there, compared.only_here
            difference = [f"{len(there)} of its cells are not asked for now (such as {there[0]})"] if there else []
            difference += [f"{len(here)} asked for now are not in it (such as {describe(here[0])})"] if here else []
            raise InputError(
                f"--out {self.out} holds a different experiment: {', and '.join(difference)}; choose another --out, or repeat "
                "the command that made it"
            )
        return compared


def describe(cell: Cell) -> str:
    """Return a cell in words."""
    labels = [cell.labels.get(part, "") for part in ("scenario", "architecture", "strategy")]
    return f"{' / '.join(labels)} / {cell.policy.label} / {len(cell.seeds)} seeds"
