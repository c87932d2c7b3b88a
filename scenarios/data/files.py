"""Data files: found below a folder and read with care. Nothing is written, unpacked on the disk or unpickled."""

import gzip
import io
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from kancl.errors import InputError

CHUNK = 1 << 20
LARGEST = 1 << 30
"""No file of the published data sets is a third as large."""
GZIP = b"\x1f\x8b"
DATA_ROOT = Path("data")
"""The folder of data files where nothing else is said."""


def at_home(path: Path) -> Path:
    """Return a path with ``~`` spelled out, which shells leave as it is after an equals sign (``--data-root=~/data``)."""
    try:
        return path.expanduser()
    except RuntimeError:  # nobody's home
        return path


def find_files(
    data_root: Path, folders: Sequence[str], names: Sequence[str], endings: Sequence[str], data: str, source: str
) -> dict[str, Path]:
    """Return the path of every named file, all from one folder: the first of ``folders`` that holds any of them, or else
    ``data_root`` itself.

    Names are also taken as Kaggle spells them: ``train-images.idx3-ubyte``, or a folder of the file's name with it inside.

    Args:
        data_root: the folder of data files.
        folders: below it, in order of preference.
        names: of the files that are needed.
        endings: that a file's name may have besides its own, the preferred one first.
        data: the data set's name, for messages.
        source: where the published files come from, for messages.

    Raises:
        InputError: naming every file that is missing and where it was looked for.
    """
    found: dict[str, Path] = {}
    folders = (*folders, "")
    for folder in folders:
        candidates = {name: _places(data_root / folder, name, endings) for name in names}
        found = {name: path for name, paths in candidates.items() for path in reversed(paths) if os.path.exists(path)}
        if found:
            break
    missing = [name for name in names if name not in found]
    if missing:
        looked_in = [folder] if found else folders
        packed = "".join(f" (or {ending})" for ending in endings if ending)
        raise InputError(
            f"{data} needs files that are not there:"
            + "".join(f"\n  - {name}{packed}" for name in missing)
            + f"\nlooked in {', '.join(str(data_root / folder) for folder in looked_in)}; put them there, or say where the "
            f"data folder is with --data-root. They are published at {source}"
        )
    return found


def _places(folder: Path, name: str, endings: Sequence[str]) -> list[Path]:
    spellings = dict.fromkeys((name, name.replace("-idx", ".idx")))
    return [
        place
        for spelling in spellings
        for ending in endings
        for place in ([folder / spelling / spelling] if ending == "" else []) + [folder / f"{spelling}{ending}"]
    ]


def contents_of(path: Path) -> bytes:
    """Return the bytes of a file.

    Raises:
        InputError: no plain file, one larger than any that is published, or one that cannot be read.
    """
    if not path.is_file():
        raise InputError(f"{path} must be a file, and it is {'a folder' if path.is_dir() else 'something else'}")
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise InputError(f"{path} has {size:,} bytes, more than any file of a published data set ({LARGEST:,})")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def opened(contents: bytes) -> BinaryIO:
    """Return a stream of what a file holds, decompressed if its first bytes say that it is compressed, whatever its name."""
    plain = io.BytesIO(contents)
    return gzip.GzipFile(fileobj=plain) if contents.startswith(GZIP) else plain  # type: ignore[return-value]


def read_up_to(stream: BinaryIO, length: int, path: Path) -> bytearray:
    """Return the next ``length`` bytes, or fewer at the end of the stream; memory grows only with what is really there.

    Args:
        stream: of :func:`opened`.
        length: of what is wanted, in bytes.
        path: for messages.

    Raises:
        InputError: compressed data that are damaged or cut off.
    """
    read = bytearray()
    try:
        while len(read) < length and (chunk := stream.read(min(CHUNK, length - len(read)))):
            read += chunk
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} is not valid gzip data ({error}); fetch it again") from error
    return read
