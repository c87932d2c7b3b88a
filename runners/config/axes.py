"""Axes: what was said, some of it with several values, becomes requests, each with one value of everything.

Lists multiply; those that ``zip`` names go together, the first value of each with the first of the others.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod
from typing import Any

from kancl.errors import InputError
from runners.config.faults import Fault, Place, SettingError
from runners.config.request import AXES, PRODUCT, Request, over

MOST_REQUESTS = 10_000
"""Requests that the axes of one block make: each has a cell at least, and one experiment has no more cells."""
LISTS = ("scenarios", *PRODUCT, "cells")
"""What is a list for one request: each of its values can be zipped with one of another setting."""


@dataclass(frozen=True)
class Asked:
    """What was said in one place, or in several that were laid over each other.

    Args:
        values: the values of every setting that was said, one or more; a list that one request has whole is one value.
        zipped: the settings that go together, in groups; None if nothing was said about it.
        places: where each setting was said, for messages.
        place: the block that it is of.
    """

    values: Mapping[str, tuple[Any, ...]]
    zipped: tuple[tuple[str, ...], ...] | None = None
    places: Mapping[str, Place] = field(default_factory=dict)
    place: str = ""

    def over(self, below: "Asked") -> "Asked":
        """Return this with what it leaves unsaid taken from below, where the block is named.

        Raises:
            InputError: single cells and a product exclude each other; see :func:`runners.config.request.over`.
        """
        zipped = below.zipped if self.zipped is None else self.zipped
        places = {**below.places, **self.places}
        try:
            return replace(below, values=over(self.values, below.values), zipped=zipped, places=places)
        except InputError as error:
            raise InputError(f"{below.place}: {error}" if below.place else str(error)) from error

    def requests(self) -> list[Request]:
        """Return a request for every combination of values; the last axis moves first.

        Raises:
            InputError: values that are to go together and cannot, too many combinations, or an empty list.
        """
        axes = list(self._axes())
        count = prod(len(axis) for axis in axes)
        if count > MOST_REQUESTS:
            several = " x ".join(str(len(axis)) for axis in axes if len(axis) > 1)
            raise InputError(f"{several} = {count:,} combinations are asked for, at most {MOST_REQUESTS:,} can be")
        return [Request(**{name: value for part in parts for name, value in part.items()}) for parts in product(*axes)]

    def fault(self, error: InputError) -> Fault:
        """Return what was refused with the place where it was said."""
        setting = error.setting if isinstance(error, SettingError) else ""
        return self.places.get(setting, Place(self.place)).fault(str(error))

    def first(self) -> Request:
        """Return the request of the first value of every setting, whatever is to go together."""
        return Request(**{name: values[0] for name, values in self.values.items() if values})

    def _axes(self) -> Iterator[list[dict[str, Any]]]:
        """Yield the values of each axis, or of all of a zipped group, by name."""
        groups = self._groups()
        first = {name: group for group in groups for name in group}
        for name, values in self.values.items():
            if not values:
                raise SettingError(name, f"{name} is an empty list; give a value, or leave it out")
            group = first.get(name, (name,))
            if group[0] != name:
                continue
            together = [self._zippable(other) for other in group] if len(group) > 1 else [values]
            yield [dict(zip(group, row, strict=True)) for row in zip(*together, strict=True)]

    def _groups(self) -> tuple[tuple[str, ...], ...]:
        """Return the zipped groups, seen to be possible."""
        groups = self.zipped or ()
        named = [name for group in groups for name in group]
        for group in groups:
            if len(group) < 2:
                raise SettingError("zip", f"zip takes two settings or more together, got {_listed(group) or 'none'} alone")
            for name in group:
                if name not in (*AXES, *LISTS):
                    known = ", ".join((*LISTS, *AXES))
                    raise SettingError("zip", f"zip: {name} is none of the settings with several values: {known}")
                if named.count(name) > 1:
                    raise SettingError("zip", f"zip: {name} is named twice; one setting goes with one group")
                if name not in self.values:
                    raise SettingError("zip", f"zip: {_listed(group)} are to go together, and {name} has no values")
            counts = {name: len(self._zippable(name)) for name in group}
            if len(set(counts.values())) > 1:
                told = _listed(f"{name} has {count} value{'s' * (count != 1)}" for name, count in counts.items())
                raise SettingError("zip", f"zip: {told}; settings that go together need as many values each")
        return groups

    def _zippable(self, name: str) -> tuple[Any, ...]:
        """Return the values of a setting, one by one also where it is a list for one request."""
        values = self.values[name]
        return tuple((value,) for value in values[0]) if name in LISTS else values


def said(request: Mapping[str, Any], zipped: Sequence[str] | None, place: str) -> Asked:
    """Return what a command line says.

    Args:
        request: by setting of a request; of an axis the tuple of its values, None for what was not said.
        zipped: groups of names, each ``lr,steps``; None if nothing was said.
        place: what the command line is called in messages.
    """
    given = {name: value for name, value in request.items() if value is not None}
    values = {name: value if name in AXES else (value,) for name, value in given.items()}
    groups = None
    if zipped is not None:
        groups = tuple(tuple(part.strip().replace("-", "_") for part in text.split(",")) for text in zipped)
    return Asked(values, groups, dict.fromkeys((*values, *(("zip",) if groups else ())), Place(place)))


def _listed(names: Any) -> str:
    return " and ".join(names)
