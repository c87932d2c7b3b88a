"""Every file of an experiment, read and compared with its checksum; nothing is written."""

import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kancl.text import counted
from runners.choices.file import Choices
from runners.store import claims, locks
from runners.store.cell import CellStore
from runners.store.experiment import Store
from runners.store.files import ABSENT, DamageError, is_temporary, once, open_stored, read_or_tell
from runners.store.networks import NETWORKS
from runners.store.seals import HEAD, LONGEST, SEAL
from runners.store.stored import RATIO, ROOM
from runners.store.within import WITHIN
from runners.trackers.tracking import Told
from runners.upkeep.survey import inner, opened

OWN = ("experiment.json", "matching.json", "tuning.json")
OF_CELLS = ("config.json", "status.json", "arrays.npz", "checkpoint.pt", "history.bin", WITHIN, NETWORKS)
ARCHIVES = (".npz", ".pt")
REPORT = "report.html"
"""What ``kancl report`` writes; it can be made again, and nothing reads it."""
UNCHECKED = ("figures", "tracking")
"""Folders whose files can be made again, or are other tools' own: nothing tells whether they are whole."""


@dataclass(frozen=True)
class Finding:
    """Something about a file.

    Args:
        kind: ``damage``, or ``note``: nothing is wrong, but it should be known.
        file: its place in the experiment's folder.
        said: what is the matter, without its name.
    """

    kind: Literal["damage", "note"]
    file: str
    said: str

    def __str__(self) -> str:
        return f"{self.file} {self.said}".strip()


@dataclass(frozen=True)
class Verified:
    """What was found in a folder.

    Args:
        path: of the folder.
        files, size: how many files have a checksum or a format that could be checked, and their bytes together.
        findings: in the order of the files.
    """

    path: Path
    files: int
    size: int
    findings: tuple[Finding, ...]

    def of(self, kind: str) -> list[Finding]:
        """Return the findings of a kind."""
        return [finding for finding in self.findings if finding.kind == kind]

    def __str__(self) -> str:
        damaged = len({finding.file for finding in self.of("damage")})
        found = f"{counted(damaged, 'file')} damaged" if damaged else "all as they were written"
        return f"{counted(self.files, 'file')}, {counted(self.size, 'byte')}: {found}"

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        lists = {kind: [{"file": f.file, "said": f.said} for f in self.of(kind)] for kind in ("damage", "note")}
        return {"folder": str(self.path), "files": self.files, "bytes": self.size, **lists}


def verify(path: Path) -> Verified:
    """Read every file of an experiment, and return what is damaged and what is strange.

    Raises:
        InputError: there is no experiment at ``path``.
    """
    store, damaged = opened(path)
    files = list(_files(path))
    checked = [file for file in files if _is_checked(file.relative_to(path).parts) and not file.is_symlink()]
    findings = [*_of_experiment(store, damaged), *_strangers(path, files), *_unsealed(path, checked)]
    size = sum(file.lstat().st_size for file in checked)
    order = {f"{file.relative_to(path)}": place for place, file in enumerate(files)}
    findings.sort(key=lambda finding: order.get(finding.file, -1))
    return Verified(path, len(checked), size, tuple(findings))


def _files(folder: Path) -> Iterator[Path]:
    """Yield all that is no folder, links included, without following any; folders that cannot be read are passed over."""
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return
    for entry in entries:
        if entry.is_dir() and not entry.is_symlink() and not is_temporary(entry):
            yield from _files(entry)
        else:
            yield entry


def _is_checked(place: tuple[str, ...]) -> bool:
    """Tell whether a file that stands at this place of an experiment's folder is one of those that are checked."""
    match place:
        case (name,):
            return name in OWN
        case ("cells", _, name) | ("cells", _, "blocks", _, name):
            return name in OF_CELLS
        case ("tracking", _, "cells.json"):
            return True
    return False


def _is_folder(place: tuple[str, ...]) -> bool:
    """Tell whether kancl has a folder at a place."""
    match place:
        case ("cells",) | ("cells", _) | ("cells", _, "blocks") | ("cells", _, "blocks", _) | ("tracking",) | ("tracking", _):
            return True
    return False


def _of_experiment(store: Store, damaged: list[str]) -> Iterator[Finding]:
    """Yield the damage of all files that have their place, with what is missing."""
    out, listing = store.out, store.listing()
    if not (out / "experiment.json").exists():
        yield Finding("damage", "experiment.json", "is missing; the cells' own files name them")
    tell, tools = once(damaged.append), inner(out / "tracking")
    for name in ("matching.json", "tuning.json"):
        Choices(out / name, tell)
    for tool in tools:
        Told(tool, tell).is_complete("")
    yield from _damages(damaged, [*(out / name for name in OWN), *(tool / "cells.json" for tool in tools)], out)
    known = {*listing.cells, *(cell.get("cell") for cell in listing.superseded)}
    for folder in inner(out / "cells"):
        if folder.name not in known:
            yield Finding("note", f"cells/{folder.name}", "is in no list of cells")
        found = list(_of_cell(folder, out))
        owner = claims.holder(folder) if found else None
        if owner is not None and owner.lives:  # it was being written, perhaps
            found = list(_of_cell(folder, out))
        yield from found


def _of_cell(folder: Path, out: Path) -> Iterator[Finding]:
    """Yield the damage of the files of a cell and its blocks: whatever kancl would not believe when it reads them."""
    for own in inner(folder / "blocks"):
        yield from _of_cell(own, out)
    said: list[str] = []
    files = CellStore(folder, out, once(said.append))
    status, cell = files.load_status(), files.load_cell()
    files.load_result()
    if (folder / "checkpoint.pt").exists() or (folder / WITHIN).exists():
        files.load_checkpoint()
    has_arrays = (folder / "arrays.npz").exists()
    read_or_tell(folder / NETWORKS, lambda: files.networks.check(has_arrays), said.append)
    yield from _damages(said, [folder / name for name in OF_CELLS], out)
    name = f"{folder.relative_to(out)}"
    if (status or {}).get("state") == "done" and not has_arrays:
        yield Finding("damage", f"{name}/arrays.npz", "is missing, and status.json says that the cell is done")
    if has_arrays and cell is None and not (folder / "config.json").exists():
        yield Finding("damage", f"{name}/config.json", "is missing")


def _damages(lines: Iterable[str], files: Iterable[Path], out: Path) -> Iterator[Finding]:
    """Yield what the reading of some files told, with the part of the file that is damaged if that can be told."""
    known = list(files)
    for line in lines:
        for path in known:
            if line.startswith(f"{path} "):
                said = line.removeprefix(f"{path} ").removesuffix(ABSENT)
                members = _members(path, out) if path.suffix in ARCHIVES and "not as it was written" in said else ""
                yield Finding("damage", f"{path.relative_to(out)}", f"{said}{members}")


def _members(path: Path, out: Path) -> str:
    """Return in words which members of an archive are not as they were written, by the archive's own checksums."""
    try:
        with open_stored(path, out) as file, zipfile.ZipFile(file) as archive:
            left = ROOM + RATIO * path.stat().st_size
            broken = []
            for member in archive.infolist():
                left -= member.file_size
                if left < 0 or not _is_whole(archive, member):
                    broken.append(member.filename)
    except (DamageError, OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return "; which of its members cannot be told"
    return f"; damaged in it: {_listed(broken)}" if broken else "; its members are whole, and what lies between them is not"


def _is_whole(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    try:
        with archive.open(member) as part:
            while part.read(1 << 20):
                pass
    except (OSError, ValueError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error):
        return False
    return True


def _listed(names: Iterable[str], most: int = 5) -> str:
    known = list(names)
    return ", ".join(known[:most]) + (f" and {len(known) - most} more" if len(known) > most else "")


def _strangers(out: Path, files: Iterable[Path]) -> Iterator[Finding]:
    """Yield what lies in the folder and is not kancl's, or is left over."""
    unchecked: dict[str, int] = {}
    for file in files:
        place = file.relative_to(out).parts
        known = place in ((locks.FILE,), (REPORT,)) or (place[0] == "cells" and place[2:] == (claims.FILE,))
        if _is_checked(place) or known:
            continue
        if file.is_symlink() and _is_folder(place):
            yield Finding("damage", "/".join(place), "is a link; nothing behind it is read")
        elif is_temporary(file):
            yield Finding("note", "/".join(place), "was being written when a process ended; kancl runs gc removes it")
        elif place[0] in UNCHECKED and len(place) > 1:
            unchecked[place[0]] = unchecked.get(place[0], 0) + 1
        else:
            yield Finding("note", "/".join(place), "is no file of kancl's")
    for name, count in unchecked.items():
        yield Finding("note", name, f"has {counted(count, 'file')} without checksums (figures, and files of other tools)")


def _unsealed(out: Path, files: Iterable[Path]) -> Iterator[Finding]:
    """Yield a note on files of before there were checksums, in which not every damage shows."""
    count = 0
    for path in files:
        with suppress(DamageError, OSError), open_stored(path, out) as file:
            if path.suffix == ".json":
                count += file.read(len(HEAD)) != HEAD
            elif path.suffix in ARCHIVES:
                file.seek(max(0, path.stat().st_size - LONGEST))
                count += SEAL.search(file.read()) is None
    if count:
        yield Finding("note", "", f"{counted(count, 'file')} of before there were checksums: not all damage shows")
