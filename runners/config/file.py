"""Experiment files: TOML with the names of the command line's options. They may come from anybody, so they are read with care.

tomllib follows every bracket with a call of its own, and takes the square of a dotted name's length in time and memory: size,
brackets and dots are counted before it sees a file.
"""

import os
import re
import stat
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, get_origin

from pydantic import TypeAdapter, ValidationError

from kancl.errors import InputError
from kancl.options import parse_spec
from runners.config.policy import Policy
from runners.config.request import Request

LARGEST = 2**20
"""Bytes of a file at most."""
DEEPEST = 10
"""Brackets within brackets, and parts of a dotted name, at most; two and one are of use."""
COUNTABLE = 2**63
"""Whole numbers stay below it, as TOML promises of 64 bits."""
FAULTS = 20
"""How many faults are told at most."""

SWITCHES = {own.name for own in fields(Policy) if own.type is bool}
LISTS = {own.name for own in fields(Policy) if get_origin(own.type) is tuple}
"""Settings of the policy that are true or false; and those that are lists, of which one word is one of one."""

TOKENS = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*+"{3,5}' r"|'''(?:[^']|'(?!''))*+'{3,5}" r'|"(?:[^"\\\n]|\\.)*+"' r"|'[^'\n]*+'"
    r"|\#[^\n]*+" r"|[\[\]{}.,=\n]",
    re.DOTALL,
)  # fmt: skip
"""Texts and comments whole, and of all else what is counted."""


def read_file(path: Path) -> list[Request]:
    """Read an experiment file: TOML with the keys of a request, and any number of ``[[block]]`` tables that override them.

    Each block is a request of its own; without blocks the file is one request.

    Raises:
        InputError: the file cannot be read, is no such file, or is larger or deeper than one could be.
    """
    text = _text_of(path)
    _check_depth(text, path)
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"experiment file {path} is not valid TOML: {error}") from error
    blocks = content.pop("block", [{}])
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise InputError(f"{path}: block must be an array of tables, written [[block]]")
    shared = _read_request(content, f"{path}")
    return [_read_request(block, f"{path}, block {number}").over(shared) for number, block in enumerate(blocks, 1)]


def code_named(requests: Sequence[Request]) -> list[str]:
    """Return the functions of files, ``path.py:name``, that requests name: reading them runs what is in the files."""
    found: dict[str, None] = {}
    for request in requests:
        parts = (request.scenarios, request.architectures, request.strategies, (request.to,) if request.to else None)
        for text in (text for part in parts for text in part or () if ".py:" in text):
            try:
                name = parse_spec(text).name
            except InputError:  # refused where it is used
                continue
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


def _read_request(table: dict[str, Any], where: str) -> Request:
    for key, value in table.items():
        if key == "seeds" and isinstance(value, bool):
            raise InputError(f"{where}: seeds must be a number, a range or a list, got {value}")
        if isinstance(value, bool) and key not in SWITCHES:
            raise InputError(f"{where}: {_shown(key)} takes no true or false, got {str(value).lower()}")
        if any(isinstance(number, int) and abs(number) >= COUNTABLE for number in _leaves(value)):
            raise InputError(f"{where}: {_shown(key)} holds a number of more than 64 bits")
    table = {key: [value] if key in LISTS and isinstance(value, str) else value for key, value in table.items()}
    if isinstance(table.get("seeds"), list):
        table = {**table, "seeds": ",".join(map(str, table["seeds"])) + ","}
    try:
        return _adapter().validate_python({key.replace("-", "_"): value for key, value in table.items()})
    except ValidationError as error:
        told = dict.fromkeys(f"{_shown('.'.join(map(str, fault['loc'][:1])))}: {fault['msg']}" for fault in error.errors())
        faults = list(told)[:FAULTS] + ([f"and {len(told) - FAULTS} more"] if len(told) > FAULTS else [])
        raise InputError(f"{where}:" + "".join(f"\n  - {fault}" for fault in faults)) from error


@cache
def _adapter() -> "TypeAdapter[Request]":
    return TypeAdapter(Request)


def _leaves(value: Any) -> Iterator[Any]:
    """Return what is in a value and no list or table; :func:`_check_depth` has seen how deep it can be."""
    if isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _leaves(part)
    else:
        yield value


def _shown(key: str) -> str:
    """Return a key as it can be printed on a line."""
    return key if re.fullmatch(r"[\w.-]{1,60}", key) else f"{key[:60]!r}{'...' if len(key) > 60 else ''}"
