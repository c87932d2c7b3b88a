"""Numbers of formats: every file says which it has, so that one of a newer or older version is told from one that is damaged.

JSON files have ``format`` behind their seal, archives have it in the comment that seals them. A file without a number is of a
version that wrote none, and has the oldest.
"""

import os
import re
from pathlib import Path

from kancl.errors import InputError
from runners.config.cell import FORMAT
from runners.store.files import DamageError, FormatError, open_stored

FORMATS = {
    "experiment.json": (1, FORMAT), "config.json": (FORMAT, FORMAT), "status.json": (1, 2), "arrays.npz": (1, 2),
    "checkpoint.pt": (1, 2), "within.pt": (1, 1), "networks.bin": (1, 1), "matching.json": (1, 1), "tuning.json": (1, 1),
    "cells.json": (1, 1),
}  # fmt: skip
"""By the names of files: the oldest and the newest format that this version reads; it writes the newest. What ``history.bin``
holds is a matter of the checkpoint that tells of it."""

HEAD_OF_JSON = re.compile(rb'\{\s*(?:"(?:sha256|of)": "[^"]*",\s*)*"format": (\d{1,9})\b')
END_OF_ARCHIVE = re.compile(rb" format (\d{1,9}) sha256 [0-9a-f]{64}\Z")
LOOKED_AT = 4096
"""Bytes at the beginning or the end of a file in which its number stands."""


def format_of(name: str) -> int | None:
    """Return the format in which this version writes a file of some name; None if it has no number."""
    return FORMATS[name][1] if name in FORMATS else None


def check_format(name: str, found: object) -> None:
    """See that this version reads a file.

    Args:
        name: of the file, without its folder.
        found: the number that it holds.

    Raises:
        FormatError: it is of a newer or an older version.
        DamageError: it is no number.
    """
    if name not in FORMATS:
        return
    if not isinstance(found, int) or isinstance(found, bool):
        raise DamageError("has a format that is no number")
    oldest, newest = FORMATS[name]
    if found > newest:
        raise FormatError(f"has format {found}, this version reads up to {newest}: use a newer kancl")
    if found < oldest:
        raise FormatError(f"has format {found}, this version reads from {oldest} on: use an older kancl")


def refuse_newer(*paths: Path) -> None:
    """Refuse to go on where a file of a newer version stands: it would be written over.

    Args:
        paths: of files that this version may write; those that cannot be read are passed over.

    Raises:
        InputError: one is of a newer version.
    """
    for path in paths:
        if path.name not in FORMATS:
            continue
        try:
            with open_stored(path, path.parent) as file:
                if path.suffix == ".json":
                    match = HEAD_OF_JSON.match(file.read(LOOKED_AT))
                else:
                    file.seek(max(0, file.seek(0, os.SEEK_END) - LOOKED_AT))
                    match = END_OF_ARCHIVE.search(file.read())
        except (DamageError, OSError):
            continue
        found, newest = int(match[1]) if match else 0, FORMATS[path.name][1]
        if found > newest:
            raise InputError(f"{path} has format {found}, this version reads up to {newest}: use a newer kancl")
