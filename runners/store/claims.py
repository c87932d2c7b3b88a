"""Who works on a cell: a claim in its folder, so that several processes, and machines that share a disk, never do a cell twice.

``claim.json`` names its owner: host, process, when the process and when the work began, and a token of its own. While the
owner works a thread touches the file every ``BEAT`` seconds. A claim is stale when its owner is gone: on the same machine when
there is no such process any more; seen from another machine when the file was not touched for ``STALE`` seconds, by the clock
of the disk. A stale claim is taken over. Claims are made and taken over under the folder's lock (:mod:`runners.store.locks`),
which is held for milliseconds; who only reads waits for nobody.
"""

import json
import os
import secrets
import socket
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

from kancl.errors import StorageError
from runners.store.files import lives, open_stored, reason_of, refuse_elsewhere
from runners.store.locks import locked

FILE = "claim.json"
BEAT = 15.0
"""Seconds between two signs of life."""
STALE = 120.0
"""Seconds without one after which the owner on another machine counts as gone."""
MOST = 1 << 16
"""Bytes of a claim."""


@dataclass(frozen=True)
class Holder:
    """Who works on a cell.

    Args:
        owner: the user, by number where there is no name.
        host: the machine's name.
        process: the process's number there.
        started: when the work began, in ISO 8601 (UTC).
        machine: tells apart machines, and parts of one that do not see each other's processes.
        born: when the process began, as its machine counts; empty where that is not known.
        token: of this claim alone.
        silent: seconds since the last sign of life, when it was read.
    """

    owner: str
    host: str
    process: int
    started: str
    machine: str
    born: str
    token: str
    silent: float = field(default=0.0, compare=False)

    @property
    def lives(self) -> bool:
        """Whether the owner may still work."""
        if self.machine and self.machine == _machine():
            return _born(self.process) == self.born if self.born else lives(self.process)
        return self.silent < STALE

    def __str__(self) -> str:
        return f"process {self.process} on {self.host} (since {self.started})"


def holder(folder: Path, now: float | None = None) -> Holder | None:
    """Return who claims a cell, alive or not; None if nobody does. Reads alone, and waits for nobody.

    Args:
        folder: of the cell.
        now: seconds since the epoch by the clock that stamps the files; this machine's if not given.
    """
    path, now = folder / FILE, time.time() if now is None else now
    try:
        with open_stored(path, folder, MOST) as file:
            silent = max(0.0, now - os.fstat(file.fileno()).st_mtime)
            said = json.loads(file.read(MOST))
        texts = {name: str(said[name])[:200] for name in ("owner", "host", "started", "machine", "born", "token")}
        return Holder(process=int(said["process"]), silent=silent, **texts)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception:  # damaged, or just being written: its age decides
        return _nobody(path, now)


def _nobody(path: Path, now: float) -> Holder | None:
    try:
        silent = max(0.0, now - path.lstat().st_mtime)
    except OSError:
        return None
    return Holder("somebody", "an unknown machine", 0, "an unknown time", "", "", "", silent)


def at_work_here(root: Path) -> list[Holder]:
    """Return who else works on cells of an experiment, on this machine and at this moment.

    Args:
        root: the experiment's folder.
    """
    found = [holder(path.parent) for path in sorted(root.glob(f"cells/*/{FILE}"))]
    others = [one for one in found if one is not None and one.machine == _machine() != "" and one.process != os.getpid()]
    return [one for one in others if one.lives]


def claim(folder: Path, root: Path) -> "Claim | None":
    """Claim a cell for this process; None if one that lives holds it.

    Args:
        folder: of the cell; made if it is not there.
        root: of the experiment, where the lock is.

    Raises:
        StorageError: the disk does not take the claim.
    """
    refuse_elsewhere(folder, root)
    with locked(root):
        if (folder / FILE).exists():
            known = holder(folder, _now_on_disk(folder))
            if known is not None and known.lives:
                return None
        return Claim(folder, _write(folder))


def _write(folder: Path) -> Holder:
    own = Holder(
        _owner(), socket.gethostname(), os.getpid(), datetime.now(UTC).isoformat(timespec="seconds"), _machine(),
        _born(os.getpid()), secrets.token_hex(8),
    )  # fmt: skip
    said: dict[str, Any] = {key: value for key, value in asdict(own).items() if key != "silent"}
    path = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        with path.open("x") as file:  # not through a link, and never where somebody else was quicker
            json.dump(said, file)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {reason_of(error)}") from error
    return own


class Claim:
    """A claim of this process, which lasts as long as the block.

    Args:
        folder: of the cell.
        holder: this process.
        beat: seconds between two signs of life.
    """

    def __init__(self, folder: Path, holder: Holder, beat: float = BEAT) -> None:
        self.folder, self.holder, self.beat = folder, holder, beat
        self._over = threading.Event()
        self._taken = False
        self._heart = threading.Thread(target=self._live, name="claim", daemon=True)

    @property
    def lost(self) -> bool:
        """Whether another process took it over, as happens to one that was asleep: nobody waits for what it does now."""
        return self._taken

    def __enter__(self) -> "Claim":
        self._heart.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._heart.join()
        if self._is_ours():
            with suppress(OSError):  # it is stale as soon as this process ends
                (self.folder / FILE).unlink(missing_ok=True)

    def _live(self) -> None:
        while not self._over.wait(self.beat):
            if not self._is_ours():
                self._taken = True
                return
            with suppress(OSError):  # a disk that is away for a while
                os.utime(self.folder / FILE)

    def _is_ours(self) -> bool:
        known = holder(self.folder)
        return known is not None and known.token == self.holder.token


def _now_on_disk(folder: Path) -> float:
    """Return the time by the clock that stamps the files of a folder; the machine's own where none can be written there."""
    probe = folder / f".{FILE}.{os.getpid()}.tmp"
    try:
        probe.touch()
        try:
            return probe.stat().st_mtime
        finally:
            probe.unlink()
    except OSError:
        return time.time()


def _owner() -> str:
    import getpass  # on use: a claim alone needs it

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return str(os.getuid())


@cache
def _machine() -> str:
    """Return what tells this machine, and this part of it, apart from others; empty where the system does not say it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()} {boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _born(process: int) -> str:
    """Return when a process began, as the system counts; empty if there is none, it is dead, or that is not known."""
    try:
        rest = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if rest[0] in ("Z", "X") else rest[19]
