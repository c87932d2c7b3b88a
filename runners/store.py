"""The store: files are the truth, and one writer owns them.

``<out>/experiment.json`` names the cells; each cell has ``<out>/cells/<key>/`` with ``config.json``, ``status.json``,
``checkpoint.pt`` (the end of the last finished task) and ``arrays.npz`` (the result). Every write goes to a temporary file,
is synced, and takes its name by ``os.replace``, so a file is either whole or absent. Nothing here is ever unpickled.
"""

import fcntl
import json
import pickle
import traceback
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kancl.errors import InputError, StorageError
from runners.config import FORMAT, Cell, cell_from_json
from runners.environment import environment
from runners.files import write_atomically, write_json
from runners.listing import Compared, Listing, compare
from runners.result import Result
from runners.train import Checkpoint, Record

BEFORE_CELLS = ("cells", ".lock", "matching.json", "tuning.json")
"""What a folder may hold whose experiment has not begun."""


class CellStore:
    """The files of one cell."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, cell: Cell) -> None:
        """Make the folder and write down the configuration."""
        self._make_folder()
        write_json(self.folder / "config.json", cell.to_json())

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{self.folder} cannot be made: {error.strerror}") from error

    def save_status(self, state: str, **more: Any) -> None:
        """Write the status: running, done or failed."""
        write_json(self.folder / "status.json", {"state": state, **more, "environment": environment()})

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Write the state at the end of a task."""
        record = checkpoint.record
        assert record.diverged_at is not None
        content = {
            "format": FORMAT,
            "phases_done": checkpoint.phases_done,
            "network": checkpoint.network,
            "learner": checkpoint.learner,
            "state": checkpoint.state,
            "rows": [_to_tensors(row) for row in record.rows],
            "curve": [_to_tensors(row) for row in record.curve],
            "place": record.place,
            "functions": [torch.from_numpy(values) for values in record.functions],
            "diverged_at": torch.from_numpy(record.diverged_at),
            "seconds": record.seconds,
            "steps": record.steps,
            "watch": checkpoint.watch,
        }
        write_atomically(self.folder / "checkpoint.pt", lambda file: torch.save(content, file))

    def load_checkpoint(self) -> Checkpoint | None:
        """Return the state at the end of the last finished task, or None if there is none that can be read."""
        path = self.folder / "checkpoint.pt"
        try:
            with zipfile.ZipFile(path) as archive:
                if archive.testzip() is not None:  # torch does not verify the checksums that it writes
                    return None
            return _read_checkpoint(torch.load(path, weights_only=True, map_location="cpu"))
        except (
            OSError,
            zipfile.BadZipFile,
            pickle.UnpicklingError,
            RuntimeError,
            EOFError,
            ValueError,
            LookupError,
            TypeError,
        ):
            return None

    def save_result(self, result: Result) -> None:
        """Write the result; its presence is what makes a cell done."""
        write_atomically(self.folder / "arrays.npz", lambda file: np.savez_compressed(file, **result.to_arrays()))  # type: ignore[arg-type]

    def load_result(self) -> Result | None:
        """Return the result, or None if there is none that can be read."""
        try:
            with (self.folder / "arrays.npz").open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return Result.from_arrays(dict(arrays))
        except Exception:
            return None

    def load_cell(self) -> Cell | None:
        """Return the configuration, or None if it cannot be read."""
        try:
            return cell_from_json(json.loads((self.folder / "config.json").read_text()))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def save_failure(self, error: BaseException, said: str) -> None:
        """Write down why the cell failed, as it is told and in full; also where the cell never began."""
        try:
            lines = traceback.format_exception(error)
        except Exception as broken:  # it is made of what the exception's own class gives
            lines = [*traceback.format_tb(error.__traceback__), f"{said} (no more can be told: {type(broken).__name__})\n"]
        self._make_folder()
        self.save_status("failed", error=said, traceback=lines)


class Store:
    """The files of one experiment."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def cell(self, key: str) -> CellStore:
        """Return the store of one cell."""
        return CellStore(self.out / "cells" / key)

    def listing(self) -> Listing:
        """Return the list of the experiment's cells, an empty one if there is none that can be read."""
        try:
            return Listing.from_json(json.loads((self.out / "experiment.json").read_text()))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return Listing()

    def keys(self) -> list[str]:
        """Return the cells' keys in the order in which they were asked for."""
        return list(self.listing().cells)

    def was_asked(self, cells: Iterable[Cell]) -> bool:
        """Tell whether all these were asked for before, in the same words, whatever their contents were then."""
        known = {record.get("request") for record in self.listing().records.values()}
        return all(cell.request in known for cell in cells)

    @contextmanager
    def opened(self, cells: Sequence[Cell], tell: Callable[[object], None] = lambda line: None) -> Iterator[list[Cell]]:
        """Own the folder for one experiment: made if absent, refused if it holds another, locked against a second writer.

        Where contents changed, other cells take the place of those that are stored; see :mod:`runners.listing`.

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
            if compared.listing != self.listing():
                write_json(self.out / "experiment.json", compared.listing.to_json())
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
            lock = (self.out / ".lock").open("w")
        except OSError as error:
            raise InputError(f"--out {self.out} cannot be written ({error.strerror}); choose another folder") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise InputError(f"another kancl run is writing to {self.out}; wait for it or choose another --out") from error
            yield

    def _refuse_strangers(self) -> None:
        if not self.out.exists():
            return
        if not self.out.is_dir():
            raise InputError(f"--out {self.out} is a file; expected a folder for results")
        if self.keys():
            return
        strangers = [path.name for path in self.out.iterdir() if path.name not in BEFORE_CELLS and path.suffix != ".tmp"]
        if strangers:
            raise InputError(f"--out {self.out} holds files that are no kancl experiment ({strangers[0]}, ...); choose another")

    def _compared(self, cells: Sequence[Cell]) -> Compared:
        self._refuse_strangers()
        compared = compare(self.listing(), cells, describe, self.cell)
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


def _read_checkpoint(content: Any) -> Checkpoint | None:
    if content["format"] != FORMAT:
        return None
    record = Record(
        rows=[_to_arrays(row) for row in content["rows"]],
        curve=[_to_arrays(row) for row in content["curve"]],
        place=[tuple(place) for place in content["place"]],
        functions=[values.numpy() for values in content["functions"]],
        diverged_at=content["diverged_at"].numpy(),
        seconds=content["seconds"],
        steps=content["steps"],
    )
    network, learner, state, watch = (content[part] for part in ("network", "learner", "state", "watch"))
    return Checkpoint(content["phases_done"], network, learner, state, record, watch)


def _to_tensors(row: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(values) for name, values in row.items()}


def _to_arrays(row: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {name: values.numpy() for name, values in row.items()}
