"""The files of one cell: read with care, and each whole or absent.

``config.json``, ``status.json``, ``checkpoint.pt`` and ``history.bin`` (the end of the last finished task, and what was
measured until then), ``within.pt`` (a place inside the task after it), ``networks.bin`` (the networks after each task, to be
looked at) and ``arrays.npz`` (the result). Seeds that are trained in blocks have these in folders of their own, ``blocks/``.
Every file says whose it is and has a checksum over all of it (:mod:`runners.store.seals`). One that cannot be read, or is not
what was written, counts as absent, and that is said in a line.
Nothing here is ever unpickled.
"""

import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from kancl.errors import StorageError
from runners.config.cell import Cell
from runners.measure.record import Checkpoint, Saved, Within
from runners.measure.result import Result
from runners.store.checkpoints import read_checkpoint, read_tensors, write_checkpoint
from runners.store.environment import environment
from runners.store.files import DamageError, Tell, read_or_tell, reason_of, write_atomically
from runners.store.formats import refuse_newer
from runners.store.history import History
from runners.store.networks import NETWORKS, Networks, State
from runners.store.seals import read_sealed, seal, write_sealed
from runners.store.stored import checked_cell, checked_result, read_arrays, write_arrays
from runners.store.within import WITHIN, within_of, write_within

NO_SEAL = "holds no checksum, and config.json beside it does: it is not of the same run"
NOBODY = "holds no checksum, and no config.json says whose it is"

BLOCKS = "blocks"
"""Below a cell's folder: a folder for each block of its seeds, with the files of a cell."""


class CellStore:
    """The files of one cell.

    Args:
        folder: its folder, named by its key, which every file repeats.
        root: the folder that nothing outside of is read: the experiment's.
        tell: hears, in a line, which file is damaged and how.
    """

    def __init__(self, folder: Path, root: Path | None = None, tell: Tell = lambda line: None) -> None:
        self.folder, self.root, self.tell = folder, root or folder, tell
        self.history = History(folder / "history.bin", self.root)
        self.networks = Networks(folder / NETWORKS, self.root, self._name(NETWORKS), tell)

    def block(self, key: str) -> "CellStore":
        """Return the files of a block of the cell's seeds."""
        return CellStore(self.folder / BLOCKS / key, self.root, self.tell)

    def begin(self, cell: Cell) -> None:
        """Make the folder and write down the configuration; refused where a newer version has written files."""
        self._make_folder()
        refuse_newer(*self.folder.iterdir())
        self._write("config.json", cell.to_json())

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not self.folder.resolve().is_relative_to(self.root.resolve()):
                raise OSError("it is a link to another place")
        except OSError as error:
            raise StorageError(f"{self.folder} cannot be made: {reason_of(error)}") from error

    def save_status(self, state: str, **more: Any) -> None:
        """Write the status: running, done or failed."""
        self._write("status.json", {"state": state, **more, "environment": environment()})

    def save_done(self, result: Result, **more: Any) -> None:
        """Write the status of a finished cell."""
        diverged = int((result.diverged_at >= 0).sum())
        counted = {"tasks_done": len(result.tasks), "seconds": result.seconds, "steps": result.steps, "diverged": diverged}
        self.save_status("done", **counted, **more)

    def save_failure(self, error: BaseException, said: str) -> None:
        """Write down why the cell failed, as it is told and in full; also where the cell never began."""
        try:
            lines = traceback.format_exception(error)
        except Exception as broken:  # it is made of what the exception's own class gives
            lines = [*traceback.format_tb(error.__traceback__), f"{said} (no more can be told: {type(broken).__name__})\n"]
        self._make_folder()
        self.save_status("failed", error=said, traceback=lines)

    def load_status(self) -> dict[str, Any] | None:
        """Return the status, or None if there is none that can be read."""
        return read_or_tell(self.folder / "status.json", lambda: self._read("status.json")[0], self.tell)

    def save_checkpoint(self, saved: Saved) -> None:
        """Write where to go on: the end of a task, or a place inside one, which is a file beside that of the last end."""
        if isinstance(saved, Within):
            self._write_archive(WITHIN, lambda file: write_within(file, saved, self.history.digest))
            return
        mark = self.history.append(saved.record)  # what was measured until then comes first
        self._write_archive("checkpoint.pt", lambda file: write_checkpoint(file, saved, mark))
        self._drop_within()

    def load_checkpoint(self) -> Saved | None:
        """Return the last place that was saved and can be read, or None if there is none."""
        ended = self._load_ended()
        path = self.folder / WITHIN

        def read() -> Within | None:
            content, sealed = read_tensors(path, self.root, self._name(WITHIN))
            if not sealed:
                raise DamageError(NO_SEAL)
            # Another end than the one that is there: a later one was written, and what is inside the task before it is over.
            return within_of(content) if content["after"] == self.history.digest else None

        within = read_or_tell(path, read, self.tell)
        return ended if within is None else replace(within, before=ended)

    def _load_ended(self) -> Checkpoint | None:
        """Return the state at the end of the last finished task, or None if there is none that can be read."""
        config, path = self._load_config(), self.folder / "checkpoint.pt"

        def read() -> Checkpoint:
            checkpoint, sealed = read_checkpoint(path, self.root, self._name(path.name), self.history)
            if not sealed and (config is None or config[1]):
                raise DamageError(NO_SEAL if config else NOBODY)
            diverged = checkpoint.record.diverged_at
            seeds = 0 if config is None else len(config[0].seeds)
            found = 0 if diverged is None else len(diverged)
            whole = checkpoint.phases_done > 0  # before, seeds may come one after another
            if seeds and (found > seeds or (found < seeds and whole) or not found):
                raise DamageError("is of another number of seeds than config.json")
            return checkpoint

        checkpoint = read_or_tell(path, read, self.tell)
        if checkpoint is None:
            self._forget()
        return checkpoint

    def discard_checkpoint(self, saved: Saved | None, why: str) -> Saved | None:
        """Let go of what was read and does not fit, say so, and return what was saved before it."""
        within = isinstance(saved, Within)
        path = self.folder / (WITHIN if within else "checkpoint.pt")
        self.tell(f"{path} {why}; it counts as absent")
        path.unlink(missing_ok=True)
        if isinstance(saved, Within):
            return saved.before
        self._forget()
        return None

    def _drop_within(self) -> None:
        """Remove the place inside a task that is over; left behind, it would not be taken for one of another."""
        with suppress(OSError):
            (self.folder / WITHIN).unlink()

    def _forget(self) -> None:
        """Begin the history anew with the next checkpoint, whatever was read."""
        self.history = History(self.history.path, self.root)

    def save_result(self, result: Result) -> None:
        """Write the result; its presence is what makes a cell done."""
        self.networks.end()
        self._write_archive("arrays.npz", lambda file: write_arrays(file, result.to_arrays()))

    def load_networks(self, seed: int) -> dict[int, State]:
        """Return the networks (1, ...) of a seed by moment, 0 before the first task; empty if none are kept.

        Raises:
            DamageError: what stands in their place is no file of the experiment's.
        """
        for files in (self, *map(self.block, self._blocks())):
            cell = files.load_cell()
            if cell is None or seed not in cell.seeds:
                continue
            with suppress(FileNotFoundError):
                return files.networks.read(cell.seeds.index(seed))
        return {}

    def networks_size(self) -> int:
        """Return the bytes of all networks that are kept, those of blocks included."""
        return sum(files.networks.size for files in (self, *map(self.block, self._blocks())))

    def _blocks(self) -> list[str]:
        try:
            return sorted(entry.name for entry in (self.folder / BLOCKS).iterdir())
        except OSError:
            return []

    def load_result(self) -> Result | None:
        """Return the result, or None if there is none that can be read."""
        return self._load_result(self._load_config())

    def load_cell(self) -> Cell | None:
        """Return the configuration, or None if it cannot be read."""
        config = self._load_config()
        return None if config is None else config[0]

    def load(self) -> tuple[Cell, Result] | None:
        """Return the configuration and the result, or None if one of them is not there or cannot be read."""
        config = self._load_config()
        result = None if config is None else self._load_result(config)
        return None if config is None or result is None else (config[0], result)

    def mend(self, cell: Cell, result: Result) -> None:
        """Write what a finished cell lacks beside its result."""
        if self.load_cell() is None:
            self.begin(cell)
        status = self.load_status()
        if status is None or status.get("state") != "done":
            self.save_done(result)

    def _load_config(self) -> tuple[Cell, bool] | None:
        """Return the configuration and whether it has a seal."""

        def read() -> tuple[Cell, bool]:
            content, sealed = self._read("config.json")
            cell = checked_cell(content)
            if not sealed and cell.key != self.folder.name:
                raise DamageError(f"is that of another cell ({cell.key})")
            return cell, sealed

        return read_or_tell(self.folder / "config.json", read, self.tell)

    def _load_result(self, config: tuple[Cell, bool] | None) -> Result | None:
        path = self.folder / "arrays.npz"

        def read() -> Result:
            arrays, sealed = read_arrays(path, self.root, self._name(path.name))
            if config is None and not sealed:
                raise DamageError(NOBODY)
            if config is not None and sealed != config[1]:
                raise DamageError("holds a checksum, and config.json beside it does not" if sealed else NO_SEAL)
            return checked_result(arrays, None if config is None else config[0])

        return read_or_tell(path, read, self.tell)

    def _name(self, file: str) -> str:
        """Return what a file of this cell says it is."""
        return f"{self.folder.name}/{file}"

    def _read(self, file: str) -> tuple[dict[str, Any], bool]:
        return read_sealed(self.folder / file, self.root, self._name(file))

    def _write(self, file: str, content: dict[str, Any]) -> None:
        write_sealed(self.folder / file, self._name(file), content)

    def _write_archive(self, name: str, write: Callable[[IO[bytes]], object]) -> None:
        def sealed(file: IO[bytes]) -> None:
            write(file)
            seal(file, self._name(name))

        write_atomically(self.folder / name, sealed)
