"""Experiment files: TOML with the names of the command line's options. They may come from anybody, so they are read with care.

tomllib follows every bracket with a call of its own, and takes the square of a dotted name's length in time and memory: size,
brackets and dots are counted before it sees a file.
"""

import os
import re
import stat
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from kancl.errors import InputError
from kancl.options import parse_spec
from runners.config.axes import Asked
from runners.config.faults import Fault, told
from runners.config.pairs import parse_pair
from runners.config.request import Request
from runners.config.tables import read_table

LARGEST = 2**20
"""Bytes of a file at most."""
DEEPEST = 10
"""Brackets within brackets, and parts of a dotted name, at most; two and one are of use."""
TOKENS = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*+"{3,5}' r"|'''(?:[^']|'(?!''))*+'{3,5}" r'|"(?:[^"\\\n]|\\.)*+"' r"|'[^'\n]*+'"
    r"|\#[^\n]*+" r"|[\[\]{}.,=\n]",
    re.DOTALL,
)  # fmt: skip
"""Texts and comments whole, and of all else what is counted."""


@dataclass(frozen=True)
class Read:
    """An experiment file: what its blocks ask for, as far as it can be read, and all that is wrong with it."""

    blocks: list[Asked]
    faults: list[Fault]


def read_file(path: Path) -> list[Request]:
    """Read an experiment file: TOML with the keys of a request, and any number of ``[[block]]`` tables that override them.

    Each block is a request of its own, or several where settings have several values; without blocks the file is one.

    Raises:
        InputError: the file cannot be read, is no such file, is larger or deeper than one could be, or all that is wrong in it.
    """
    read = read_blocks(path)
    requests, faults = [], list(read.faults)
    for block in read.blocks:
        try:
            requests += block.requests()
        except InputError as error:
            faults.append(block.fault(error))
    if faults:
        raise InputError(told(faults))
    return requests


def read_blocks(path: Path) -> Read:
    """Read an experiment file as :func:`read_file` does, without making requests of it.

    Raises:
        InputError: the file cannot be read, is no such file, or is larger or deeper than one could be.
    """
    text = _text_of(path)
    _check_depth(text, path)
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"experiment file {path} is not valid TOML: {error}") from error
    several, blocks = "block" in content, content.pop("block", [{}])
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise InputError(f"{path}: block must be an array of tables, written [[block]]")
    lines, faults = lines_of(text), list[Fault]()
    shared = read_table(content, f"{path}", lines[0], faults)
    found = []
    for number, block in enumerate(blocks, 1):
        place = f"{path}, block {number}" if several else f"{path}"
        own = read_table(block, place, lines[number] if number < len(lines) else {}, faults)
        try:
            found.append(own.over(replace(shared, place=place)))
        except InputError as error:
            faults.append(Fault("", str(error)))
    return Read(found, faults)


def code_named(requests: Sequence[Request]) -> list[str]:
    """Return the functions of files, ``path.py:name``, that requests name: reading them runs what is in the files."""
    found: dict[str, None] = {}
    for request in requests:
        parts = (request.scenarios, request.architectures, request.strategies, (request.to,) if request.to else None)
        texts = [text for part in parts for text in part or ()]
        for cell in request.cells or ():
            with suppress(InputError):
                texts += parse_pair(cell)
        for text in (text for text in texts if ".py:" in text):
            with suppress(InputError):  # refused where it is used
                name = parse_spec(text).name
                if ".py:" in name:
                    found[name] = None
    return list(found)


def _text_of(path: Path) -> str:
    """Return a file's text: of a regular file that is not too large, so that nothing is waited for and memory is bounded."""
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise InputError(f"experiment file {path} is a pipe or a device; write what it holds to a file first")
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise InputError(f"experiment file {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"experiment file {str(path)!r} cannot be read: {error}") from error
    if len(content) > LARGEST:
        raise InputError(f"experiment file {path} has {status.st_size:,} bytes, more than the {LARGEST:,} that are read")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"experiment file {path} is not valid TOML: line {line} is no UTF-8; save it as UTF-8") from error


def _check_depth(text: str, path: Path) -> None:
    depth = dots = 0
    for match in TOKENS.finditer(text):
        token = match[0]
        if token == ".":
            dots += 1
        elif token in "[{":
            depth, dots = depth + 1, 0
        elif token in "]}":
            depth, dots = depth - 1, 0
        elif token in ",=\n":
            dots = 0
        if depth > DEEPEST or dots > DEEPEST:
            what = "brackets are nested" if depth > DEEPEST else "names are joined by dots"
            line = text.count("\n", 0, match.start()) + 1
            raise InputError(f"experiment file {path}, line {line}: {what} more than {DEEPEST} deep; nothing in such a file is")


HEADER, KEY = re.compile(r"[ \t]*\[\[[ \t]*block[ \t]*\]\]"), re.compile(r"[ \t]*[\"']?([\w-]+)[\"']?[ \t]*=")


def lines_of(text: str) -> list[dict[str, int]]:
    """Return the line of each key of a file's top, and of each of its blocks; only where statements begin, not in texts.

    >>> lines_of("lr = 1\\n[[block]]\\nsteps = [\\n  3]\\n")
    [{'lr': 1}, {'steps': 3}]
    """
    starts, depth = [0], 0
    for match in TOKENS.finditer(text):
        depth += (match[0] in ("[", "{")) - (match[0] in ("]", "}"))
        if match[0] == "\n" and depth == 0:
            starts.append(match.end())
    found: list[dict[str, int]] = [{}]
    line, before = 1, 0
    for start in starts:
        line, before = line + text.count("\n", before, start), start
        if HEADER.match(text, start):
            found.append({})
        elif match_ := KEY.match(text, start):
            found[-1].setdefault(match_[1], line)
    return found
