"""What a running cell has measured so far, in one file that is only appended to.

Saving it costs what came since the last time, however long the run has been. A block is written for every checkpoint: arrays
in numpy's format, one after another, namely where the block belongs (first seed, first evaluation), the tasks and steps of its
evaluations, each score (evaluations, seeds, tasks) and, if there are any, the functions at the ends of tasks. The checkpoint
holds a mark: how many bytes count, and their checksum. What lies behind them, of a run that was killed in between, is cut off
before the next block is written.
"""

import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kancl.errors import StorageError
from runners.measure.record import Record
from runners.store.files import DamageError, open_stored, open_to_append, reason_of

Row = dict[str, np.ndarray]


@dataclass(frozen=True)
class Written:
    """How much of a history is in the file: seeds, evaluations, bytes, and the state of their checksum."""

    seeds: int = 0
    evaluations: int = 0
    size: int = 0
    digest: Any = None

    def after(self, block: bytes, seeds: int, evaluations: int) -> "Written":
        """Return what is there with one more block."""
        digest = hashlib.sha256() if self.digest is None else self.digest.copy()
        digest.update(block)
        return Written(seeds, evaluations, self.size + len(block), digest)


class History:
    """The file of one cell.

    Args:
        path: the file.
        root: the experiment's folder, which it must lie in.
    """

    def __init__(self, path: Path, root: Path) -> None:
        self.path, self.root, self.written = path, root, Written()

    @property
    def digest(self) -> str:
        """What tells the end of a task that was written or read last from all others; empty where there is none."""
        return "" if self.written.digest is None else self.written.digest.hexdigest()

    def append(self, record: Record) -> dict[str, Any]:
        """Write what a record holds and the file does not, and return the mark for the checkpoint.

        A record goes on from the one that was written or read last, by evaluations or, where seeds come one after another, by
        seeds; else the file begins anew.

        Raises:
            StorageError: the disk does not take it.
        """
        assert record.diverged_at is not None
        seeds, evaluations, known = len(record.diverged_at), len(record.place), self.written
        try:
            with open_to_append(self.path) as file:
                further = known.seeds == seeds and known.evaluations <= evaluations
                further |= known.seeds <= seeds and known.evaluations == evaluations
                if not further or os.fstat(file.fileno()).st_size < known.size:
                    known = Written()
                file.truncate(known.size)
                if (known.seeds, known.evaluations) != (seeds, evaluations):
                    block = _block(record, known)
                    file.seek(known.size)
                    file.write(block)
                    known = known.after(block, seeds, evaluations)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(f"{self.path} cannot be written: {reason_of(error)}") from error
        self.written = known
        return {
            "bytes": known.size,
            "sha256": known.digest.hexdigest(),
            "scores": list(record.curve[0]),
            "functions": bool(record.functions),
        }

    def read(self, mark: dict[str, Any], record: Record) -> None:
        """Put the evaluations that a mark tells of into a record; what is appended later goes on from there.

        Raises:
            DamageError: they are not there, or not as they were written.
        """
        try:
            with open_stored(self.path, self.root) as file:
                if not 0 < mark["bytes"] <= os.fstat(file.fileno()).st_size:
                    raise DamageError("is shorter than it was")
                data = file.read(mark["bytes"])
        except FileNotFoundError as error:
            raise DamageError(f"needs {self.path.name} beside it, and there is none") from error
        except DamageError as error:
            raise DamageError(f"needs {self.path.name} beside it, which {error}") from error
        if hashlib.sha256(data).hexdigest() != mark["sha256"]:
            raise DamageError(f"needs {self.path.name} beside it, which is not as it was written (its checksum does not match)")
        _fill(record, data, list(mark["scores"]), bool(mark["functions"]))
        seeds = next(iter(record.curve[0].values())).shape[0]
        self.written = Written().after(data, seeds, len(record.place))


def ends(place: list[tuple[int, int]]) -> list[int]:
    """Return the numbers of the evaluations at the ends of tasks, the rows of R: the last of every task.

    >>> ends([(0, 0), (1, 1), (1, 9), (2, 1), (2, 9)])
    [0, 2, 4]
    """
    return [number for number, (task, _) in enumerate(place) if number + 1 == len(place) or place[number + 1][0] != task]


def _block(record: Record, known: Written) -> bytes:
    """Return what a record holds beyond what is known: further evaluations of the same seeds, or all of further seeds."""
    last = ends(record.place)
    assert len(last) == len(record.rows)
    seed, first = (known.seeds, 0) if known.evaluations == len(record.place) else (0, known.evaluations)
    file = io.BytesIO()

    def put(values: Any) -> None:
        np.lib.format.write_array(file, np.ascontiguousarray(values), allow_pickle=False)

    put(np.array([seed, first], dtype=np.int64))
    put(np.array(record.place[first:], dtype=np.int64))
    for name in record.curve[0]:
        put(np.stack([row[name][seed:] for row in record.curve[first:]]))
    if record.functions:
        put(np.stack([values[seed:] for values, end in zip(record.functions, last, strict=True) if end >= first]))
    return file.getvalue()


def _fill(record: Record, data: bytes, names: list[str], functions: bool) -> None:
    """Read the blocks, and put those of the same seeds one after another and those of further seeds side by side."""
    file = io.BytesIO(data)

    def take() -> np.ndarray:
        return np.lib.format.read_array(file, allow_pickle=False)

    by_seeds: list[list[Row]] = []
    places: list[np.ndarray] = []
    while file.tell() < len(data):
        seed, first = take().tolist()
        place, block = take(), {name: take() for name in names}
        if functions:
            block["/functions"] = take()  # a name that no score has
        if first:
            by_seeds[-1].append(block)
        else:
            by_seeds.append([block])
        if not seed:
            places.append(place)
    whole = {
        name: np.concatenate([np.concatenate([block[name] for block in blocks]) for blocks in by_seeds], axis=1)
        for name in by_seeds[0][0]
    }
    record.place = [(task, step) for task, step in np.concatenate(places).tolist()]
    record.functions = list(whole.pop("/functions", ()))
    record.curve = [{name: whole[name][number] for name in names} for number in range(len(record.place))]
    record.rows = [record.curve[number] for number in ends(record.place)]
