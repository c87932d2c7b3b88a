"""Files that are written whole or not at all, and read with care: they may be damaged, or come from a stranger."""

import errno
import hashlib
import json
import os
import re
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, TypeVar

from kancl.errors import InputError, StorageError

T = TypeVar("T")
Tell = Callable[[str], object]
"""Hears a line."""


class DamageError(Exception):
    """A stored file is not what was written; the message says how, without the file's name."""


class FormatError(DamageError):
    """A stored file is of a version that this one does not read."""


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file whole or not at all: temporary file, sync, rename, sync of the folder.

    Args:
        path: the file.
        write: writes the contents into an open file, which can also be read.

    Raises:
        StorageError: the disk is full, read-only or gone; no temporary file is left.
    """
    temporary = _temporary(path)
    try:
        temporary.unlink(missing_ok=True)  # of a dead process that had this one's number
        with temporary.open("x+b") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except (OSError, RuntimeError) as error:  # torch reports a failed write as a RuntimeError
        _discard(temporary)
        raise StorageError(f"{path} cannot be written: {reason_of(error)}") from error
    except BaseException:
        _discard(temporary)
        raise


def write_json(path: Path, value: object) -> None:
    """Write JSON whole or not at all."""
    write_atomically(path, lambda file: file.write(json.dumps(value, indent=1).encode() + b"\n"))


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def check_writable(path: Path) -> None:
    """See that :func:`write_atomically` can write a file, without touching it.

    Raises:
        InputError: no temporary file can be made beside it.
    """
    temporary = _temporary(path)
    try:
        temporary.touch()
        temporary.unlink()
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); choose another place") from error


def remove_temporaries(folder: Path) -> None:
    """Remove the temporary files that dead processes of this machine left in a folder."""
    try:
        found = [(path, TEMPORARY.fullmatch(path.name)) for path in folder.iterdir()]
    except OSError:
        return
    for path, match in found:
        if match is None or path.is_dir() or match[2] not in (None, _machine()):
            continue
        if not lives(int(match[1])):
            _discard(path)


TEMPORARY = re.compile(r"\..+\.(\d{1,10})(?:-([0-9a-f]{8}))?\.tmp")
"""With the number of a process, and a hash of the machine's name; older versions left that out."""


@cache
def _machine() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def is_temporary(path: Path) -> bool:
    """Return whether a file has the name of one that was being written."""
    return TEMPORARY.fullmatch(path.name) is not None


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}-{_machine()}.tmp")


def _discard(path: Path) -> None:
    with suppress(OSError):  # what made the write fail is told, and this would only hide it
        path.unlink(missing_ok=True)


def lives(process: int) -> bool:
    """Tell whether this machine has a process of that number."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # another user's
        return True
    return True


def file_name(text: str, most: int = 120) -> str:
    """Return a text as a file's name, or a part of it, of so many bytes at most; one that is cut ends in a hash of the whole.

    >>> file_name("split-digits:samples=60, setting=task", most=24)
    'split-digits_sa-f8aa34c2'
    """
    name = re.sub(r"[^\w.-]+", "_", text)
    if len(name.encode()) <= most:
        return name
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{name.encode()[: most - 9].decode(errors='ignore')}-{digest}"


def open_stored(path: Path, root: Path, most: int | None = None) -> IO[bytes]:
    """Open a stored file for reading.

    Args:
        path: the file.
        root: the folder that it must lie in; links may not lead out of it.
        most: its largest size in bytes, if there is one.

    Raises:
        FileNotFoundError: there is none.
        DamageError: it is a link, no regular file, lies elsewhere, or is too large.
    """
    if not Path(os.path.realpath(path.parent)).is_relative_to(os.path.realpath(root)):  # resolve() fails on links in a circle
        raise DamageError("lies outside of the experiment's folder")
    try:  # O_NONBLOCK: a pipe that nobody writes to would be waited for
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise DamageError("is a link") from error
        raise
    file = os.fdopen(number, "rb")
    try:
        status = os.fstat(number)
        if not stat.S_ISREG(status.st_mode):
            raise DamageError("is no regular file")
        if most is not None and status.st_size > most:
            raise DamageError(f"has {status.st_size:,} bytes, and at most {most:,} are expected")
    except BaseException:
        file.close()
        raise
    return file


def open_to_append(path: Path) -> IO[bytes]:
    """Open a file for reading and for writing at its end; made if absent.

    Raises:
        OSError: it cannot be written, is a link or no regular file.
    """
    number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    file = os.fdopen(number, "r+b")
    if not stat.S_ISREG(os.fstat(number).st_mode):
        file.close()
        raise OSError("it is no regular file")
    return file


ABSENT = "; it counts as absent"
"""What is said of a file that is damaged."""


def identity(path: Path) -> tuple[int, ...] | None:
    """Return what tells a file apart from one that took its place, and from itself when it was written to; None without one."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def read_or_tell(path: Path, read: Callable[[], T], tell: Tell) -> T | None:
    """Read a stored file; if it is absent or damaged return None, and if damaged say so in a line.

    Whatever goes wrong while a damaged file is understood is one more kind of damage: every error is caught.

    Args:
        path: of the file.
        read: reads it.
        tell: hears how it is damaged.
    """
    try:
        return read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception as error:
        what = str(error) if isinstance(error, DamageError) else f"cannot be read ({reason_of(error)})"
        tell(f"{path} {what}{'' if isinstance(error, FormatError) else ABSENT}")
        return None


def refuse_elsewhere(path: Path, root: Path) -> None:
    """See that what is written to a path, or removed from it, lies in a folder: a link may lead anywhere.

    Args:
        path: to write to; it need not be there.
        root: the folder.

    Raises:
        StorageError: it lies elsewhere.
    """
    if not path.resolve().is_relative_to(root.resolve()):
        raise StorageError(f"{path} is a link to another place, out of {root}; nothing is written there")


def once(tell: Tell) -> Tell:
    """Return a listener that passes every line on the first time."""
    told: set[str] = set()

    def heard(line: str) -> None:
        if line not in told:
            told.add(line)
            tell(line)

    return heard


def reason_of(error: BaseException) -> str:
    """Return the first line of what an error says, or its kind."""
    said = getattr(error, "strerror", None) or str(error).strip().partition("\n")[0][:200]
    return said if isinstance(error, OSError) and said else f"{type(error).__name__}: {said}".removesuffix(": ")
