"""The binary version of CIFAR-10: records of one byte for the class and 3,072 for the image.

The image is the red plane, then the green and the blue one, 32 rows of 32 bytes each (Krizhevsky, "Learning multiple layers of
features from tiny images", 2009, and the page of the data set). There are six files, in a folder or in the published archive,
which is read without unpacking it. The version for Python holds pickled objects, which can run code when they are loaded; it
is never opened.
"""

import hashlib
import os
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kancl.errors import InputError
from scenarios.data.files import contents_of, find_files

FOLDER = "cifar-10-batches-bin"
ARCHIVE = "cifar-10-binary.tar.gz"
TRAIN = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST = "test_batch.bin"
PICKLED = ("cifar-10-batches-py", "cifar-10-python.tar.gz")
SOURCE = "https://www.cs.toronto.edu/~kriz/cifar.html (the binary version)"
IMAGE = (32, 32, 3)
CLASSES = 10
RECORD = 1 + 32 * 32 * 3
MOST_RECORDS = 100_000
"""In one file; the published ones have 10,000."""

Batch = tuple[np.ndarray, np.ndarray]


def read_cifar(data_root: Path) -> tuple[Batch, Batch, dict[str, str]]:
    """Return training and test images with classes, and the SHA-256 of each of the six files.

    Images are bytes (N, 3072), pixel by pixel with their three channels side by side; classes are bytes (N,).

    Raises:
        InputError: files that are missing or damaged, named with what was expected.
    """
    archive = data_root / ARCHIVE
    packed = os.path.exists(archive) and not os.path.exists(data_root / FOLDER)
    paths = {name: archive / FOLDER / name for name in (*TRAIN, TEST)} if packed else _in_folder(data_root)
    files = _members(archive) if packed else {name: contents_of(path) for name, path in paths.items()}
    batches = {name: parse_batch(files[name], path) for name, path in paths.items()}
    x, y = (np.concatenate([batches[name][side] for name in TRAIN]) for side in (0, 1))
    return (x, y), batches[TEST], {name: hashlib.sha256(files[name]).hexdigest() for name in batches}


def parse_batch(contents: bytes, path: Path) -> Batch:
    """Return the images and classes of one file; ``path`` is for messages."""
    count, rest = divmod(len(contents), RECORD)
    if rest or not 1 <= count <= MOST_RECORDS:
        raise InputError(
            f"{path} has {len(contents):,} bytes; expected records of {RECORD:,} bytes each, at least one and at most "
            f"{MOST_RECORDS:,}"
        )
    records = np.frombuffer(contents, np.uint8).reshape(count, RECORD)
    labels = records[:, 0].copy()
    if labels.max() >= CLASSES:
        place = int(np.argmax(labels >= CLASSES))
        raise InputError(f"{path}: record {place} has class {labels[place]}, expected 0 to {CLASSES - 1}")
    planes = records[:, 1:].reshape(count, 3, 32, 32)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)).reshape(count, -1), labels


def _in_folder(data_root: Path) -> dict[str, Path]:
    try:
        return find_files(data_root, (FOLDER,), (*TRAIN, TEST), ("",), "cifar10", SOURCE)
    except InputError as error:
        pickled = [name for name in PICKLED if os.path.exists(data_root / name)]
        if not pickled:
            raise InputError(f"{error}; the archive {ARCHIVE} in {data_root} will do as it is") from None
        raise InputError(
            f"{error}\n{pickled[0]} is the version for Python, which is pickled and is not read: get the binary version, "
            f"{ARCHIVE}, and put it into {data_root} as it is"
        ) from None


def _members(archive: Path) -> dict[str, bytes]:
    """Return the six files in the archive, each looked up by its exact name."""
    wanted = {f"{FOLDER}/{name}": name for name in (*TRAIN, TEST)}
    found: dict[str, bytes] = {}
    for member, contents in _regular_members(archive, set(wanted)):
        if wanted[member] in found:
            raise InputError(f"{archive} holds {member} twice; fetch it again")
        found[wanted[member]] = contents
    missing = [member for member, name in wanted.items() if name not in found]
    if missing:
        raise InputError(f"{archive} lacks {', '.join(missing)}; it is published at {SOURCE}")
    return found


def _regular_members(archive: Path, names: set[str]) -> Iterator[tuple[str, bytes]]:
    if not archive.is_file():
        raise InputError(f"{archive} must be a file, and it is {'a folder' if archive.is_dir() else 'something else'}")
    try:
        # As a stream: it is decompressed once, and no entry can send the reader back to an earlier one.
        with tarfile.open(archive, "r|gz") as stream:
            for member in stream:
                if member.name not in names:
                    continue
                if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
                    raise InputError(f"{archive}: {member.name} must be a file")
                if not 0 <= member.size <= MOST_RECORDS * RECORD:
                    raise InputError(f"{archive}: {member.name} has {member.size:,} bytes, more than {MOST_RECORDS:,} records")
                opened = stream.extractfile(member)
                assert opened is not None
                yield member.name, opened.read()
    except InputError:
        raise
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError, OverflowError, RecursionError) as error:
        raise InputError(f"{archive} is not a valid .tar.gz archive ({error}); fetch it again") from error
