"""What a table of an experiment file says, setting by setting."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import cache
from typing import Any, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from kancl.errors import InputError
from kancl.text import near_misses
from runners.config.axes import Asked
from runners.config.faults import FAULTS, Fault, Place
from runners.config.policy import Policy
from runners.config.request import AXES, Request

COUNTABLE = 2**63
"""Whole numbers stay below it, as TOML promises of 64 bits."""

SWITCHES = {own.name for own in fields(Policy) if own.type is bool}
LISTS = {own.name for own in fields(Policy) if get_origin(own.type) is tuple}
"""Settings of the policy that are true or false; and those that are lists, of which one word is one of one."""


def read_table(table: Mapping[str, Any], place: str, lines: Mapping[str, int], faults: list[Fault]) -> Asked:
    """Return what a table of a file says, as far as it can be read.

    Args:
        table: as TOML has it.
        place: the file, and the block if it is one.
        lines: the line of each key, as far as they are known.
        faults: gets all that is wrong.
    """
    values: dict[str, tuple[Any, ...]] = {}
    places: dict[str, Place] = {}
    zipped = None
    for key, value in table.items():
        name = key.replace("-", "_")
        places[name] = Place(place, lines.get(key))
        try:
            if name == "zip":
                zipped = _groups(value)
            else:
                values[name] = _values(name, value, suggest=len(faults) < FAULTS)
        except InputError as error:
            faults.append(places[name].fault(f"{_shown(key)}: {error}"))
    return Asked(values, zipped, places, place)


def _values(name: str, value: Any, suggest: bool) -> tuple[Any, ...]:
    """Return the values of a setting: those of a list if it is an axis, else the one value that a request has."""
    adapters = _adapters()
    if name not in adapters:
        near = near_misses(name, [*adapters, "zip"], most=1, cutoff=0.6) if suggest and len(name) < 60 else []
        raise InputError(f"unknown setting{f'; did you mean {near[0]}?' if near else ''}")
    if isinstance(value, list) and (name in (*AXES, *SWITCHES) or (name in LISTS and all(isinstance(v, list) for v in value))):
        return tuple(_value(name, one) for one in value)
    return (_value(name, value),)


def _value(name: str, value: Any) -> Any:
    if isinstance(value, bool) and name not in SWITCHES:
        what = "must be a number, a range or a list, got" if name == "seeds" else "takes no true or false, got"
        raise InputError(f"{what} {str(value).lower()}")
    if any(isinstance(number, int) and abs(number) >= COUNTABLE for number in _leaves(value)):
        raise InputError(f"{name} holds a number of more than 64 bits")
    if name in LISTS and isinstance(value, str):
        value = [value]
    if name == "seeds" and isinstance(value, list):
        value = ",".join(map(str, value)) + ","
    try:
        return _adapters()[name].validate_python(value)
    except ValidationError as error:
        raise InputError("; ".join(dict.fromkeys(fault["msg"] for fault in error.errors()))) from error


def _groups(value: Any) -> tuple[tuple[str, ...], ...]:
    """Return the groups of settings that go together, as ``zip`` names them."""
    lists = isinstance(value, list) and all(isinstance(group, list) for group in value)
    if not lists or not all(isinstance(name, str) for group in value for name in group):
        raise InputError('must be lists of names, e.g. [["lr", "steps"]] for rates and steps that go together')
    return tuple(tuple(name.replace("-", "_") for name in group) for group in value)


@cache
def _adapters() -> "dict[str, TypeAdapter[Any]]":
    """Return what reads each setting of a request."""
    kinds = get_type_hints(Request)
    return {own.name: TypeAdapter(kinds[own.name]) for own in fields(Request)}


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
