"""Seals: a stored file says which file it is, with a checksum over all of it, so that nothing else passes for it.

A JSON file begins with ``sha256``, over everything after that line, ``of``, the file's own name, and ``format``, the number of
its format (:mod:`runners.store.formats`). An archive (npz, or torch's) ends in a comment, ``kancl <name> format <number>
sha256 <checksum>``, over everything before the checksum, headers included. Both stay what they are for other programs. Files of
versions before there were seals have none; :func:`read_sealed` and :func:`check_seal` tell them from files whose seal is
damaged.
"""

import hashlib
import json
import os
import re
from pathlib import Path
from typing import IO, Any

from runners.store.files import DamageError, open_stored, write_atomically
from runners.store.formats import check_format, format_of

HEAD = b'{\n "sha256": "'
HEX = 64
"""Digits of a checksum."""
REST = len(HEAD) + HEX + len(b'",\n')

SEAL = re.compile(rb"kancl ([^\x00]{1,600}?)(?: format (\d{1,9}))? sha256 ([0-9a-f]{64})\Z", re.DOTALL)
LONGEST = 720
END_OF_ARCHIVE, END_SIZE = b"PK\x05\x06", 22
"""How the last record of a zip archive begins, and its size without a comment."""

MOST_JSON = 1 << 26
"""Bytes of a JSON file: more than any experiment needs, and read in a few seconds."""

DIFFERS = "is not as it was written (its checksum does not match)"


def write_sealed(path: Path, name: str, content: dict[str, Any]) -> None:
    """Write JSON with a seal, whole or not at all.

    Args:
        path: of the file.
        name: what the file says it is.
        content: plain values.

    Raises:
        StorageError: it cannot be written.
    """
    number = format_of(_last(name))
    said = {"of": name} if number is None else {"of": name, "format": number}
    text = json.dumps({**said, **content}, indent=1) + "\n"
    rest = text.encode()[len(b"{\n") :]
    data = HEAD + hashlib.sha256(rest).hexdigest().encode() + b'",\n' + rest
    write_atomically(path, lambda file: file.write(data))


def read_sealed(path: Path, root: Path, name: str) -> tuple[dict[str, Any], bool]:
    """Return what :func:`write_sealed` wrote, and whether it has a seal.

    Args:
        path: of the file.
        root: the experiment's folder, which it must lie in.
        name: what the file must say it is.

    Raises:
        FileNotFoundError: there is no file.
        DamageError: it is not what was written, or another file. Anything that is no JSON raises as :mod:`json` does.
    """
    with open_stored(path, root, MOST_JSON) as file:
        return unsealed(file.read(MOST_JSON + 1), name)


def unsealed(data: bytes, name: str) -> tuple[dict[str, Any], bool]:
    """Return the contents of a JSON file, and whether it has a seal; see :func:`read_sealed`."""
    sealed = data.startswith(HEAD)
    if sealed and hashlib.sha256(data[REST:]).hexdigest().encode() + b'",\n' != data[len(HEAD) : REST]:
        raise DamageError(DIFFERS)
    content = json.loads(data.decode())
    if not isinstance(content, dict):
        raise DamageError(f"holds no JSON object, but a {type(content).__name__}")
    if sealed and content.get("of") != name:
        raise DamageError(f"is another file ({content.get('of')})")
    if not sealed and ("of" in content or "sha256" in content):  # not one of before there were seals
        raise DamageError(DIFFERS)
    if "format" in content:
        check_format(_last(name), content["format"])
    return {key: value for key, value in content.items() if key not in ("of", "sha256")}, sealed


def seal(file: IO[bytes], name: str) -> None:
    """Add the seal to an archive that was just written; the file must be open for reading as well."""
    size = file.seek(0, os.SEEK_END)
    file.seek(size - END_SIZE)
    end = file.read()
    assert end.startswith(END_OF_ARCHIVE), "no archive without a comment"
    number = format_of(_last(name))
    said = f"kancl {name}{'' if number is None else f' format {number}'} sha256 ".encode()
    file.seek(size - 2)
    file.write((len(said) + HEX).to_bytes(2, "little") + said)  # the length of the comment, and the comment
    file.flush()
    file.write(_digest(file, size + len(said)))


def check_seal(file: IO[bytes], name: str) -> bool:
    """Return whether an archive has a seal; it is then whole, and the one that it should be. Leaves the file at its beginning.

    Raises:
        DamageError: it is not what was written, or another file.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - LONGEST))
    tail = file.read()
    found = SEAL.search(tail)
    if found is not None:
        if _digest(file, size - HEX) != found[3]:
            raise DamageError(DIFFERS)
        if found[1] != name.encode():
            raise DamageError(f"is another file ({found[1].decode(errors='replace')})")
        if found[2] is not None:
            check_format(_last(name), int(found[2]))
    elif not tail[-END_SIZE:].startswith(END_OF_ARCHIVE) or tail[-2:] != b"\0\0":
        raise DamageError("is not as it was written (no whole archive)")
    file.seek(0)
    return found is not None


def _last(name: str) -> str:
    """Return the name of a file without that of its folder."""
    return name.rpartition("/")[2]


def _digest(file: IO[bytes], size: int) -> bytes:
    """Return the checksum of the first ``size`` bytes, and leave the file behind them."""
    digest, left = hashlib.sha256(), size
    file.seek(0)
    while left:
        part = file.read(min(left, 1 << 20))
        if not part:
            raise DamageError("ends before its end")
        digest.update(part)
        left -= len(part)
    return digest.hexdigest().encode()
