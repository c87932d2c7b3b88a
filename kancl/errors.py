"""Exceptions that are told to the user in one message, and how errors of foreign code are told: whose they are, on one line.

The command line prints no traceback for an :class:`InputError` or a :class:`StorageError` and exits with 2.
"""

import inspect
from collections.abc import Mapping
from contextlib import ContextDecorator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from kancl.text import visible

LONGEST = 500
"""Letters of an error's text that are shown."""

MARK = "_kancl_foreign"
"""The attribute of an exception that holds the places it came through, the innermost first."""


class InputError(ValueError):
    """Input that was refused; the message says what was expected, what came and what to do."""


class StorageError(Exception):
    """The disk did not take a file; what was stored before is untouched."""


class Stopped(KeyboardInterrupt):
    """Work was asked to stop, and did so at a place from which it can go on; what counted until then is saved."""


class ForeignError(Exception):
    """Stands for what foreign code raised where it would steer Python itself: StopIteration, SystemExit, GeneratorExit."""


@dataclass(frozen=True)
class Foreign(ContextDecorator):
    """Code that may be anybody's: while it runs, what it raises is marked with whose it is and what it was doing.

    The exception stays what it is. Those by which Python steers become a :class:`ForeignError`, since a StopIteration would
    silently end a stream, and a SystemExit the process. Ctrl-C goes through.

    Args:
        part: whose code it is, e.g. ``architecture``.
        place: what it was doing, e.g. ``its forward pass``.
        spare: mark only what no inner place has marked: it is known better there.
    """

    part: str
    place: str
    spare: bool = False

    def __enter__(self) -> None:
        """Begin; there is nothing to prepare."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Mark the error, if there is one."""
        if error is None or is_interrupt(error):
            return
        places = places_of(error)
        if self not in places and not (self.spare and places):
            places = (*places, self)
        if isinstance(error, Exception) and not isinstance(error, StopIteration | StopAsyncIteration) and _mark(error, places):
            return
        raised = ForeignError(one_line(error))
        _mark(raised, places)
        raise raised from error


def mark_hooks(owner: type, part: str, hooks: Mapping[str, str]) -> None:
    """Let what a class's own hooks raise be marked as its; for ``__init_subclass__`` of what plug-ins derive from.

    Args:
        owner: the class.
        part: whose code it is.
        hooks: by the names of methods, what they are called in messages.

    Raises:
        InputError: a method has nearly the name of a hook: nobody would call it, and what it does would silently not be done.
    """
    _refuse_misspelt(owner, part, hooks)
    for name, place in hooks.items():
        own = vars(owner).get(name)
        if inspect.isfunction(own):
            setattr(owner, name, Foreign(part, place)(own))


def _refuse_misspelt(owner: type, part: str, hooks: Mapping[str, str]) -> None:
    """Refuse a method that is one letter away from a hook, unless the class itself has a use for it."""
    inherited = {name for base in owner.__mro__[1:] for name in vars(base)}
    own = {name: method for name, method in vars(owner).items() if inspect.isfunction(method)}
    used = {name for method in own.values() for name in method.__code__.co_names}
    for name in own:
        if name.startswith("_") or name in inherited or name in hooks or name in used:
            continue
        for hook in hooks:
            if one_letter_apart(name, hook):
                raise InputError(
                    f"{part} {owner.__name__} has a method {name}, which nobody calls; did you mean {hook}? If it is a method "
                    f"of its own, another name, e.g. _{name}, says so"
                )


def one_letter_apart(one: str, other: str) -> bool:
    """Tell whether a letter too many, too few, or another one makes one name of the other, or two that changed places.

    >>> [one_letter_apart("penalty", other) for other in ("penality", "penlty", "penalti", "peanlty", "penalties", "penalty")]
    [True, True, True, True, False, False]
    """
    start = _alike(one, other)
    one, other = one[start:], other[start:]
    end = _alike(one[::-1], other[::-1])
    one, other = one[: len(one) - end], other[: len(other) - end]
    return {len(one), len(other)} in ({0, 1}, {1}) or (len(one) == 2 and one == other[::-1])


def _alike(one: str, other: str) -> int:
    """Return how many letters two texts begin with together."""
    return next((place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def is_interrupt(error: BaseException) -> bool:
    """Tell whether an error is a Ctrl-C or a stop; exceptions that only look like it are errors like any other."""
    return type(error) in (KeyboardInterrupt, Stopped)


def places_of(error: BaseException) -> tuple[Foreign, ...]:
    """Return the foreign code that an error came from, the innermost first; empty if it is not known to be any."""
    places: Any = getattr(error, "__dict__", {}).get(MARK, ())
    return places if isinstance(places, tuple) else ()


def _mark(error: BaseException, places: tuple[Foreign, ...]) -> bool:
    """Note the places on an error, and tell whether it took them."""
    try:
        setattr(error, MARK, places)
        return places_of(error) == places
    except Exception:  # an exception's class may be anything too
        return False


def one_line(error: BaseException, first: bool = False) -> str:
    r"""Return an error as text on one line that can be printed and stored, whatever the error is made of.

    Args:
        error: any.
        first: give the first line of what it says alone; else all lines, joined.

    >>> one_line(KeyError("a")), one_line(ValueError("two\nlines \x1b[31m")), one_line(MemoryError())
    ("KeyError: 'a'", 'ValueError: two lines \\x1b[31m', 'MemoryError')
    """
    name, said = visible(type(error).__name__), _said(error, first)
    if isinstance(error, ForeignError):
        return said  # the error that it stands for
    return f"{name}: {said}" if said else name


def blamed(error: BaseException, names: Mapping[str, str] | None = None) -> str:
    """Return an error with whose it is, e.g. ``architecture ./net.py:mine failed in its forward pass: boom``.

    Args:
        error: marked by :class:`Foreign`, or not.
        names: what the parts are called, e.g. ``{"architecture": "./net.py:mine"}``.
    """
    places = places_of(error)
    if not places:
        return one_line(error)

    def named(place: Foreign) -> str:
        return visible(f"{place.part} {(names or {}).get(place.part, '')}".strip())

    inner, others = places[0], [place for place in places[1:] if place.part != places[0].part]
    within = f" (called by {named(others[0])} in {others[0].place})" if others else ""
    bare = type(error) is RuntimeError and _said(error)  # which says no more than that it failed
    return f"{named(inner)} failed in {inner.place}{within}: {bare or one_line(error)}"


def _said(error: BaseException, first: bool = False) -> str:
    """Return what an error says."""
    try:
        text = str(error)
        said = visible(" ".join(str.split(str.strip(text).partition("\n")[0] if first else text)))
    except BaseException as broken:
        if is_interrupt(broken):
            raise
        return f"(its text cannot be read: {visible(type(broken).__name__)})"
    return said if len(said) <= LONGEST else f"{said[: LONGEST - 1]}…"
