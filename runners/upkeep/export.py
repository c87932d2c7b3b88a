"""Results as tidy tables in files that other programs read, with a manifest that says what they are made of."""

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import pandas as pd

import kancl
from kancl.errors import InputError
from runners.results.results import Results, load
from runners.store.environment import environment
from runners.store.files import DamageError, open_stored, write_atomically
from runners.store.seals import write_sealed
from runners.upkeep.survey import opened

Form = Literal["csv", "parquet"]
FRAMES = ("summary", "retention", "curves", "occupancy", "overlap", "drift", "ledger")
"""Of :class:`runners.results.results.Results`; those without a row are left out."""
MANIFEST = "manifest.json"
FORMAT = 1


@dataclass(frozen=True)
class Exported:
    """What was written.

    Args:
        folder: where to.
        files: name, rows and bytes of each table.
        missing, damaged: as of :class:`runners.results.results.Results`.
    """

    folder: Path
    files: tuple[tuple[str, int, int], ...]
    missing: tuple[str, ...]
    damaged: tuple[str, ...]


def export(paths: Sequence[Path], folder: Path, form: Form = "csv", command: str = "") -> Exported:
    """Write the frames of experiments, read as one, into a folder, with a manifest, which is written last.

    Args:
        paths: of the experiments.
        folder: where to; made if absent. Tables of an earlier export are written over.
        form: of the tables.
        command: how that was asked for, for the manifest.

    Raises:
        InputError: there is no experiment, none of its cells is finished, what writes the form is missing, or the folder holds
            something else.
        StorageError: the disk does not take a file.
    """
    if form == "parquet" and find_spec("pyarrow") is None:
        raise InputError(
            "--format parquet needs pyarrow, which is not installed: pip install 'kancl[parquet]', or export as csv"
        )
    results = load(*paths)
    if not results.entries:
        damage = "".join(f"\n  - {line}" for line in results.damaged)
        raise InputError(f"no cell is finished in {', '.join(map(str, paths))}; nothing can be exported{damage}")
    _make(folder)
    tables = [_written(name, frame, folder, form) for name, frame in _frames(results)]
    manifest = {
        "complete": True, "kancl": kancl.__version__, "made": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "command": command,
        "files": tables, "experiments": [made_of(path) for path in paths], "missing": list(results.missing),
        "damaged": list(results.damaged), "environment": environment(),
    }  # fmt: skip
    write_sealed(folder / MANIFEST, MANIFEST, {"format": FORMAT, **manifest})
    said = tuple((table["file"], table["rows"], table["bytes"]) for table in tables)
    return Exported(folder, said, results.missing, results.damaged)


def _frames(results: Results) -> Iterator[tuple[str, pd.DataFrame]]:
    for name in FRAMES:
        frame: pd.DataFrame = getattr(results, name)
        if len(frame):
            yield name, frame


def _make(folder: Path) -> None:
    """Make the folder, with a manifest that says that it is not complete; refuse one that holds something else."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()) and not (folder / MANIFEST).exists():
            raise InputError(f"{folder} holds files that are no export of kancl's; name another folder with --to")
    except OSError as error:
        raise InputError(f"--to {folder} cannot be written ({error.strerror}); choose another folder") from error
    write_sealed(folder / MANIFEST, MANIFEST, {"format": FORMAT, "complete": False})


def _written(name: str, frame: pd.DataFrame, folder: Path, form: Form) -> dict[str, Any]:
    """Write a table, and return what the manifest says of it."""
    data = _as_bytes(frame, form)
    path = folder / f"{name}.{form}"
    write_atomically(path, lambda file: file.write(data))
    return {
        "file": path.name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), "rows": len(frame),
        "columns": [str(column) for column in frame.columns],
    }  # fmt: skip


def _as_bytes(frame: pd.DataFrame, form: Form) -> bytes:
    """Return a table as the contents of a file; numbers have all their digits."""
    if form == "csv":
        return frame.to_csv(index=False, lineterminator="\n").encode(errors="backslashreplace")
    file = io.BytesIO()
    frame.to_parquet(file, index=False, engine="pyarrow")
    return file.getvalue()


def made_of(path: Path) -> dict[str, Any]:
    """Return what the manifest says of an experiment: what was asked for, its cells, and checksums of their files."""
    store, _ = opened(path)
    listing = store.listing()
    cells = []
    for key, words in listing.cells.items():
        folder = store.cell(key).folder
        made_with = (store.cell(key).load_status() or {}).get("environment")
        files = {name: _checksum(folder / name, path) for name in ("config.json", "arrays.npz")}
        cells.append({"key": key, "cell": words, "sha256": files, "environment": made_with})
    requests = [dict(request) for request in listing.requests]
    return {"folder": str(path), "sha256": _checksum(path / "experiment.json", path), "requests": requests, "cells": cells}


def _checksum(path: Path, root: Path) -> str | None:
    """Return a file's SHA-256; None where it is not there or cannot be read."""
    digest = hashlib.sha256()
    try:
        with open_stored(path, root) as file:
            while part := file.read(1 << 20):
                digest.update(part)
    except (DamageError, OSError):
        return None
    return digest.hexdigest()
