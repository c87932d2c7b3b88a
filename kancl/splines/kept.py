"""Where compiled kernels are kept, and whether what lies there may be run.

A library is code, so it is loaded only from where nobody but this user and root can put one: the folder and all above it
belong to the two, and others can write to none of them (to a folder above it they may if it is sticky, as ``/tmp`` is: they
cannot replace what is not theirs there). Nobody else can then change anything between a look at a file and its use.

The cache is ``$KANCL_CACHE``, else ``$XDG_CACHE_HOME/kancl``, else ``~/.cache/kancl``. It may be deleted at any time.
"""

import errno
import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

LARGEST = 2**26
"""Bytes of a kernel at most, which has some 100,000."""
LINKS = 40
"""Symbolic links on the way to a folder at most, as the system has it."""
OTHERS = stat.S_IWGRP | stat.S_IWOTH
HALF = ".build-"
"""How the names of folders begin in which a kernel is being compiled."""


class UnusableError(Exception):
    """The cache cannot be used; the message says why, and what to do, in one line."""


class UntrustedError(Exception):
    """Others can change what lies in a folder; the message says how, in one line."""


def named() -> Path:
    """Return the folder that the environment names, whether it is there or not.

    Raises:
        UnusableError: it names none.
    """
    if own := os.environ.get("KANCL_CACHE"):
        return Path(own).absolute()  # without a folder in its name, a library is looked for elsewhere
    # The specification of the variable wants a relative path ignored: it would be another folder wherever one is.
    if os.path.isabs(shared := os.environ.get("XDG_CACHE_HOME", "")):
        return Path(shared) / "kancl"
    try:
        home = Path(os.environ["HOME"]) if "HOME" in os.environ else Path.home()
    except RuntimeError:
        raise UnusableError("no place for compiled kernels, since this user has no home: name one in KANCL_CACHE") from None
    if not home.is_absolute():
        raise UnusableError(f"no place for compiled kernels, since HOME is no folder ({str(home)!r}): name one in KANCL_CACHE")
    return home / ".cache" / "kancl"


def folder() -> Path:
    """Return the folder of compiled kernels, made for this user alone if it is not there.

    Raises:
        UnusableError: it cannot be made, or others could put a library there.
    """
    path = Path(os.environ.get("KANCL_CACHE") or ".cache")
    try:
        path = named()
        for missing in _missing(path):
            _make(missing)
        os.close(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))  # it is a folder, and may be read
        check(path)
    except OSError as error:
        raise UnusableError(
            f"the cache {path} cannot be used ({error.strerror}); name another folder in KANCL_CACHE"
        ) from error
    except UntrustedError as error:
        raise UnusableError(f"the cache {path} is not used, since {error}; name another folder in KANCL_CACHE") from error
    return path


def check(path: Path) -> None:
    """See that only this user and root can change what lies in a folder, or lead elsewhere on the way to it.

    Raises:
        UntrustedError: others can.
        OSError: there is no such folder.
    """
    for place in _way(path):
        _check_one(place, stat.S_ISVTX)
    _check_one(path.resolve(), 0)


def _check_one(place: Path, excuse: int) -> None:
    """Refuse a folder or link that others can change; ``excuse`` is the mode with which they may write to it."""
    facts = place.lstat()
    if not _is_trusted(facts.st_uid):
        raise UntrustedError(f"{place} belongs to user {facts.st_uid}")
    if not stat.S_ISLNK(facts.st_mode) and facts.st_mode & OTHERS and not facts.st_mode & excuse:
        raise UntrustedError(f"others can write to {place} (mode {stat.S_IMODE(facts.st_mode):o}; chmod go-w undoes it)")


def _is_trusted(user: int) -> bool:
    return user in (0, os.geteuid())


def _way(path: Path) -> Iterator[Path]:
    """Return every folder and symbolic link that one comes through on the way to a path, itself included.

    Raises:
        OSError: one is not there or cannot be looked at, or the links go round in a circle.
    """
    here, left, links = Path(path.anchor), list(path.parts[1:])[::-1], 0
    yield here
    while left:
        part = left.pop()
        if part == "..":
            here = here.parent
            continue
        here /= part
        yield here
        if stat.S_ISLNK(here.lstat().st_mode):
            links += 1
            if links > LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            target = Path(os.readlink(here))
            here = Path(target.anchor) if target.is_absolute() else here.parent
            left += reversed(target.parts[1:] if target.is_absolute() else target.parts)


def _missing(path: Path) -> list[Path]:
    """Return the folders to make, from above, after a look at those that are there: others can make none of them instead."""
    missing: list[Path] = []
    while not os.path.lexists(path):
        missing.append(path)
        path = path.parent
    if missing:
        for place in _way(path):
            _check_one(place, stat.S_ISVTX)
    return missing[::-1]


def _make(path: Path) -> None:
    with suppress(FileExistsError):  # another process of ours was faster; or it is somebody else's, and refused below
        path.mkdir(0o700)
        path.chmod(0o700)  # whatever the umask leaves of it


def is_whole(path: Path) -> bool:
    """Tell whether a library is there, ours or root's, and as it was written: running half a one would end the process."""
    try:
        with open(path, "rb", opener=_opened) as file:
            facts = os.fstat(file.fileno())
            # With a second name, somebody else may have put it there when the folder was open to all.
            if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1 or facts.st_size > LARGEST:
                return False
            if not _is_trusted(facts.st_uid) or facts.st_mode & OTHERS:
                return False
            content = file.read()
    except OSError:
        return False
    size = hashlib.sha256().digest_size
    return len(content) > size and hashlib.sha256(content[:-size]).digest() == content[-size:]


def _opened(path: str, flags: int) -> int:
    """Open a file, not through a link, and without waiting for somebody to write to a pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def put(built: Path, path: Path) -> str:
    """Move a library to its place, with its checksum behind its end, where nothing is loaded from.

    Returns:
        Why it cannot be kept there, in one line; nothing if it is.
    """
    try:
        with built.open("r+b") as file:
            file.write(hashlib.file_digest(file, "sha256").digest())
            file.flush()
            os.fsync(file.fileno())
        os.replace(built, path)
    except OSError as error:
        return f"the kernel cannot be kept as {path}: {error.strerror}"
    return ""


@contextmanager
def workshop(parent: Path) -> Iterator[Path]:
    """Give a folder in the cache to compile in; several processes may do this at once.

    It is locked as long as its process lives, so that :func:`sweep` can tell it from one that a dead process left.

    Raises:
        UnusableError: the cache may be read only.
    """
    with ExitStack() as leaving:
        # Shared with others who begin, and not with the one who sweeps: no folder is seen before it is locked. Where folders
        # cannot be locked, nothing is swept either.
        with _locked(parent, fcntl.LOCK_SH, needed=False):
            try:
                place = Path(tempfile.mkdtemp(dir=parent, prefix=HALF))
            except OSError as error:
                raise UnusableError(
                    f"the cache {parent} cannot be written ({error.strerror}); name another folder in KANCL_CACHE"
                ) from error
            leaving.callback(shutil.rmtree, place, ignore_errors=True)
            place.chmod(0o700)  # whatever the umask leaves of it
            leaving.enter_context(_locked(place, fcntl.LOCK_EX, needed=False))
        yield place


def sweep(parent: Path) -> None:
    """Remove what processes left that died while they compiled; of those that live, nothing."""
    with suppress(OSError), _locked(parent, fcntl.LOCK_EX):
        for half in parent.glob(f"{HALF}*"):
            with suppress(OSError), _locked(half, fcntl.LOCK_EX):
                shutil.rmtree(half, ignore_errors=True)


@contextmanager
def private() -> Iterator[Path]:
    """Give a folder for this process alone, gone afterwards; a library that was loaded stays.

    Raises:
        OSError: there is no place for temporary files.
        UntrustedError: others could change what is compiled there.
    """
    place = Path(tempfile.mkdtemp(prefix="kancl-")).absolute()
    try:
        place.chmod(0o700)
        check(place)
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def _locked(place: Path, how: int, needed: bool = True) -> Iterator[None]:
    """Hold the lock of a folder; it goes with the process. Where it is not needed, it is waited for a second.

    Raises:
        OSError: it is needed and cannot be had at once, for example because another process holds it.
    """
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        patience = time.monotonic() + (0 if needed else 1)
        while True:
            try:
                fcntl.flock(descriptor, how | fcntl.LOCK_NB)
                break
            except OSError as error:  # held by another, or a file system that knows no locks
                if needed:
                    raise
                if not isinstance(error, BlockingIOError) or time.monotonic() > patience:
                    break
                time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)
