"""The file of a checkpoint: everything that the rest of a run depends on, but for the history, of which it holds the mark."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from runners.config.cell import FORMAT
from runners.measure.record import Checkpoint, Record
from runners.store.files import DamageError, open_stored
from runners.store.formats import check_format
from runners.store.history import History, ends
from runners.store.seals import check_seal


def write_checkpoint(file: IO[bytes], checkpoint: Checkpoint, mark: Mapping[str, Any]) -> None:
    """Write a checkpoint whose history was written.

    Args:
        file: where to.
        checkpoint: what to write.
        mark: what :meth:`runners.store.history.History.append` said of the history.
    """
    record = checkpoint.record
    assert record.diverged_at is not None
    content = {
        "format": FORMAT,
        "phases_done": checkpoint.phases_done,
        "network": checkpoint.network,
        "learner": checkpoint.learner,
        "state": checkpoint.state,
        "history": dict(mark),
        "diverged_at": torch.from_numpy(record.diverged_at),
        "seconds": record.seconds,
        "steps": record.steps,
        "evaluation_seconds": record.evaluation_seconds,
        "watch": checkpoint.watch,
    }
    torch.save(content, file)


def read_checkpoint(path: Path, root: Path, name: str, history: History) -> tuple[Checkpoint, bool]:
    """Return a checkpoint with its history, and whether it has a seal.

    Args:
        path: the file.
        root: the experiment's folder.
        name: what the file says it is.
        history: what was measured until then; it goes on from there.

    Raises:
        DamageError: it is not what was written. What is no file of torch raises as torch does.
    """
    content, sealed = read_tensors(path, root, name)
    check_format("checkpoint.pt", content["format"])
    record = Record(diverged_at=content["diverged_at"].numpy(), seconds=content["seconds"], steps=content["steps"])
    record.evaluation_seconds = content.get("evaluation_seconds", 0.0)
    if sealed:
        history.read(content["history"], record)
    else:
        _read_old(content, record)
    _check(content, record)
    network, learner, state, watch = (content[part] for part in ("network", "learner", "state", "watch"))
    return Checkpoint(content["phases_done"], network, learner, state, record, watch), sealed


def read_tensors(path: Path, root: Path, name: str) -> tuple[dict[str, Any], bool]:
    """Return what torch wrote, and whether it has a seal.

    Args:
        path: the file.
        root: the experiment's folder.
        name: what the file says it is.

    Raises:
        DamageError: it is not what was written. What is no file of torch raises as torch does.
    """
    with open_stored(path, root) as file:
        sealed = check_seal(file, name)
        with zipfile.ZipFile(file) as archive:
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise DamageError("is packed, which none of kancl's is")
            if not sealed and archive.testzip() is not None:  # torch does not look at the checksums that it writes
                raise DamageError("is not as it was written (its checksums do not match)")
        file.seek(0)
        return torch.load(file, weights_only=True, map_location="cpu"), sealed


def _read_old(content: Mapping[str, Any], record: Record) -> None:
    """Take the history out of a checkpoint of before it had a file of its own."""
    record.rows = [_to_arrays(row) for row in content["rows"]]
    record.curve = [_to_arrays(row) for row in content["curve"]]
    record.place = [(int(task), int(step)) for task, step in content["place"]]
    record.functions = [values.numpy() for values in content["functions"]]


def _to_arrays(row: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {name: values.numpy() for name, values in row.items()}


def _check(content: Mapping[str, Any], record: Record) -> None:
    """See that the parts of a checkpoint belong together."""
    assert record.diverged_at is not None
    shapes = {values.shape for row in (*record.curve, *record.rows) for values in row.values()}
    (shape,) = shapes or {()}
    seeds, rows, done = len(record.diverged_at), len(ends(record.place)), content["phases_done"]
    fits = len(shape) == 2 and shape[0] == seeds and len(record.curve) == len(record.place) and len(record.rows) == rows
    if not fits or len(record.functions) not in (0, rows) or any(len(values) != seeds for values in record.functions):
        raise DamageError("holds a history that is none of so many seeds and tasks")
    if isinstance(done, bool) or not isinstance(done, int) or not 0 <= done <= shape[1] or done not in (0, rows - 1):
        raise DamageError(f"holds a history of {rows - 1} tasks, and is of the end of task {done}")
