"""What stored files must hold to be believed: they may be damaged, belong elsewhere, or come from a stranger.

A seal (:mod:`runners.store.seals`) shows that a file is as it was written; here its contents are checked against what a cell, a
result or a checkpoint can be, so that whoever reads them later meets no surprise. Nothing is unpickled, and nothing unpacks to
much more than its file has.
"""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, get_args, get_type_hints

import numpy as np

from kancl.errors import InputError
from kancl.options import parse_spec
from runners.config.cell import Cell, cell_from_json
from runners.measure.locality import Locality
from runners.measure.result import Result
from runners.store.files import DamageError, open_stored
from runners.store.seals import check_seal

if TYPE_CHECKING:
    from pydantic import TypeAdapter

SPECS = ("scenario", "architecture", "strategy")
LARGEST_SEED = (1 << 63) - 1

ROOM, RATIO = 1 << 28, 100
"""An archive may unpack to ``ROOM`` bytes and ``RATIO`` times its size; one that would need more is written unpacked."""

KINDS = {
    "seeds": ("iu", 1), "tasks": ("U", 1), "setting": ("U", 0), "metrics": ("U", 1), "scores": ("U", 1), "remarks": ("U", 1),
    "higher_is_better": ("b", 1), "parameters": ("iu", 0), "active": ("iu", 0), "steps": ("iu", 0), "seconds": ("iuf", 0),
    "flops": ("iuf", 0), "step_flops": ("iuf", 0), "step_seconds": ("iuf", 0), "evaluation_seconds": ("iuf", 0),
    "locality/layers": ("U", 1), "locality/causes": ("U", 1),
}  # fmt: skip
"""Of arrays that hold no measured tables, what kind they are and how many axes they have."""


def checked_cell(config: Mapping[str, Any]) -> Cell:
    """Return a stored configuration.

    Raises:
        DamageError: it is none that could have been written.
    """
    from pydantic import ValidationError  # on use: slow to import

    try:
        _cells().validate_json(json.dumps({key: value for key, value in config.items() if key != "format"}), strict=True)
        cell = cell_from_json(config)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        raise DamageError(f"holds no configuration of a cell ({place}: {fault['msg'][:200]})") from error
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise DamageError(f"holds no configuration of a cell ({str(error)[:200]})") from error
    if set(cell.asked) != set(SPECS):
        raise DamageError(f"holds no configuration of a cell (asked must name {', '.join(SPECS)})")
    try:
        for text in cell.asked.values():
            parse_spec(text)
    except InputError as error:
        raise DamageError(f"holds no configuration of a cell ({str(error)[:200]})") from error
    if not cell.seeds or len(set(cell.seeds)) < len(cell.seeds) or not 0 <= min(cell.seeds) <= max(cell.seeds) <= LARGEST_SEED:
        raise DamageError("holds no configuration of a cell (seeds must be at least one, all different and not negative)")
    if cell.evaluations < 2:
        raise DamageError("holds no configuration of a cell (evaluations must be at least 2)")
    return cell


@cache
def _cells() -> "TypeAdapter[Cell]":
    from pydantic import TypeAdapter  # on use: slow to import

    return TypeAdapter(Cell)


def write_arrays(file: IO[bytes], arrays: dict[str, np.ndarray]) -> None:
    """Write an npz file, packed unless it would unpack to more than :func:`read_arrays` allows."""
    # As numpy.savez_compressed does, at the level that takes a quarter of the time for a twentieth of the size.
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(values), allow_pickle=False)
    if sum(values.nbytes for values in arrays.values()) > ROOM + RATIO * file.tell():
        file.seek(0)
        file.truncate()
        np.savez(file, **arrays)  # type: ignore[arg-type]


def read_arrays(path: Path, root: Path, name: str) -> tuple[dict[str, np.ndarray], bool]:
    """Return the arrays of an npz file, and whether it has a seal.

    Args:
        path: the file.
        root: the experiment's folder.
        name: what the file says it is.

    Raises:
        DamageError: it is not what was written. Broken archives raise as :mod:`zipfile` does.
    """
    with open_stored(path, root) as file:
        sealed = check_seal(file, name)
        most = ROOM + RATIO * file.seek(0, io.SEEK_END)
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if sum(max(0, member.file_size) for member in members) > most:
                raise DamageError(f"would unpack to more than {most:,} bytes")
            arrays = {}
            for member in members:
                known = member.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
                if not known or not member.filename.endswith(".npy") or member.filename[:-4] in arrays:
                    raise DamageError(f"holds {member.filename[:80]!r}, which no result has")
                arrays[member.filename[:-4]] = _array(archive.read(member))  # whole, so that its checksum is looked at
    return arrays, sealed


def _array(data: bytes) -> np.ndarray:
    """Return an array in numpy's format."""
    size = 10 + int.from_bytes(data[8:10], "little")
    if data[:8] != b"\x93NUMPY\x01\x00" or size > len(data):
        raise DamageError("holds something that is no array of numpy")
    shape, by_columns, kind = _header(data[8:size])
    if kind.hasobject or not all(length >= 0 for length in shape):
        raise DamageError("holds an array that is none of numbers or text")
    if 0 in shape and size == len(data):
        return np.empty(shape, kind.newbyteorder("="))
    values = np.frombuffer(data, kind, offset=size).astype(kind.newbyteorder("="))  # of this machine, whatever wrote it
    return values.reshape(shape, order="F" if by_columns else "C")


@lru_cache(1024)
def _header(data: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    shape, by_columns, kind = np.lib.format.read_array_header_1_0(io.BytesIO(data))
    return shape, by_columns, kind


def checked_result(arrays: dict[str, np.ndarray], cell: Cell | None) -> Result:
    """Return the result that arrays make up.

    Args:
        arrays: as :meth:`Result.to_arrays` gave them.
        cell: whose result it is, if that is known.

    Raises:
        DamageError: they are no result, or none of that cell.
    """
    for name, (kinds, axes) in KINDS.items():
        if name in arrays and (arrays[name].dtype.kind not in kinds or arrays[name].ndim != axes):
            raise DamageError(f"holds no result ({name} is {arrays[name].dtype} with {arrays[name].ndim} axes)")
    try:
        result = Result.from_arrays(arrays)
    except KeyError as error:
        raise DamageError(f"holds no result ({error.args[0]} is missing)") from error
    if len(result.higher_is_better) < len(arrays["scores"]):
        raise DamageError("holds no result (a score is named twice)")
    unknown = arrays.keys() - result.to_arrays().keys()
    if unknown:
        raise DamageError(f"holds {min(unknown)[:80]!r}, which no result has without more")
    _check_shapes(result)
    _check_values(result)
    if cell is not None and result.seeds != cell.seeds:
        raise DamageError(f"holds a result of the seeds {str(list(result.seeds))[:80]}, and config.json asks for others")
    if cell is not None and cell.locality != (result.locality is not None):
        raise DamageError(f"holds a result {'without' if cell.locality else 'with'} a locality record, against config.json")
    return result


def _check_shapes(result: Result) -> None:
    """See that all tables have the axes that their annotations name."""
    sizes = {"S": len(result.seeds), "T": len(result.tasks), "T1": len(result.tasks) + 1}
    if not result.seeds or len(set(result.seeds)) < len(result.seeds) or not result.tasks or not result.higher_is_better:
        raise DamageError("holds no result (of at least one seed, task and score, all different)")
    _check_axes(result, dict(sizes))
    local = result.locality
    if local is not None:
        _check_axes(local, {**sizes, "L": len(local.layers), "P": len(local.causes)})


def _check_axes(record: Result | Locality, sizes: dict[str, int]) -> None:
    for name, annotation in TABLES[type(record)]:
        value = getattr(record, name)
        for part in value.values() if isinstance(value, dict) else [] if value is None else [value]:
            axes = [axis.removeprefix("*") for axis in annotation.dim_str.split() if part.ndim > 1 or not axis.startswith("*")]
            fits = part.dtype.name in annotation.dtypes and part.ndim == len(axes)
            if not fits or any(
                size != (int(axis) if axis.isdigit() else sizes.setdefault(axis, size))
                for axis, size in zip(axes, part.shape, strict=True)
            ):
                raise DamageError(f"holds no result ({name} is {part.dtype} {part.shape}, expected {annotation.dim_str})")


def _arrays_in(hint: Any) -> Iterator[Any]:
    if hasattr(hint, "dim_str"):
        yield hint
    for part in get_args(hint):
        yield from _arrays_in(part)


TABLES = {
    kind: [(name, found) for name, hint in get_type_hints(kind).items() for found in _arrays_in(hint)]
    for kind in (Result, Locality)
}
"""The fields that hold arrays, with the annotation of the arrays."""


def _check_values(result: Result) -> None:
    """See that what counts something can be a count."""
    counts = {"parameters": result.parameters, "steps": result.steps, "active": result.active or 0}
    for name, value in {**counts, "seconds": result.seconds}.items():
        if not value >= 0:
            raise DamageError(f"holds no result ({name} is {value})")
    task, step, diverged = result.curve_task, result.curve_step, result.diverged_at
    if task.shape != step.shape:
        raise DamageError("holds no result (its evaluations are not those of one task after the other)")
    for own, steps in zip(np.atleast_2d(task), np.atleast_2d(step), strict=True):
        count = int((own >= 0).sum())  # where seeds have other steps, some have fewer evaluations
        one_by_one = set(own[:count].tolist()) == set(range(len(result.tasks) + 1)) and (np.diff(own[:count]) >= 0).all()
        if not one_by_one or (steps[:count] < 0).any():
            raise DamageError("holds no result (its evaluations are not those of one task after the other)")
    if (diverged < -1).any() or (diverged >= task.shape[-1]).any():
        raise DamageError("holds no result (seeds diverged at evaluations that there are not)")
