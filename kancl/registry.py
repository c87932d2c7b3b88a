"""Registries: where architectures, scenarios and strategies are found by name.

A name is looked up in this order: registered in this process, built in (its module is imported on first use), a file
``path.py:name``, and last the entry points of installed packages. Nothing is imported before it is asked for.
"""

import importlib
import os
import traceback
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from kancl.errors import InputError, is_interrupt, one_line
from kancl.plugins import PREFIX, digests, file_of, load_file, package_of
from kancl.text import near_misses

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Builder = Callable[..., Any]
F = TypeVar("F", bound=Builder)


class Registry:
    """Builders by name; a builder's signature is the schema of its options (see :mod:`kancl.options`).

    Args:
        kind: what is registered, in the singular; third parties use the entry-point group ``kancl.<plural>``.
        builtin: the module that registers each built-in name when it is imported.
    """

    def __init__(self, kind: str, builtin: Mapping[str, str]) -> None:
        self.kind = kind
        self.group = "kancl." + (kind[:-1] + "ies" if kind.endswith("y") else kind + "s")
        self._builtin = dict(builtin)
        self._entries: dict[str, Builder] = {}
        self._contents: dict[str, dict[str, str]] = {}

    def register(self, name: str) -> Callable[[F], F]:
        """Decorate a builder to make it known as ``name``; a name can be taken once.

        Args:
            name: by which it is asked for.

        Raises:
            InputError: another builder has that name already.

        >>> shapes = Registry("shape", {})
        >>> @shapes.register("square")
        ... def square(side: float = 1.0) -> float:
        ...     return side**2
        >>> shapes.get("square")(side=3.0)
        9.0
        """

        def decorate(builder: F) -> F:
            known = self._entries.get(name)
            if known is not None and known is not builder and not _is_anew(builder, known):
                raise InputError(f"{self.kind} {name!r} is already registered (by {known.__module__}); choose another name")
            self._entries[name] = builder
            return builder

        return decorate

    def get(self, name: str) -> Builder:
        """Return the builder called ``name``.

        Args:
            name: registered, built in, of an installed package, or ``path.py:name``.

        Raises:
            InputError: nothing has that name (with near misses), or what has it cannot be loaded.
        """
        if name not in self._entries and name in self._builtin:
            importlib.import_module(self._builtin[name])
        if name in self._entries:
            return self._entries[name]
        if ".py:" in name:
            return self._from_file(name)
        for point in self._entry_points():
            if point.name == name:
                return self._from_entry_point(point)
        raise InputError(self._unknown(name))

    def contents(self, name: str) -> dict[str, str]:
        """Return what ``name`` consists of, to tell whether it changed: nothing of what is built in.

        A file gives its SHA-256 and those of all files that are imported from beside it, by name; an installed package gives
        its version and a digest of its files, as ``package NAME``; a builder that was registered by hand gives its file.

        Raises:
            InputError: as :meth:`get`.
        """
        builder = self.get(name)
        if name in self._builtin:
            return {}
        if ".py:" in name and name not in self._entries:
            return digests(Path(name.rpartition(":")[0]))
        if name not in self._contents:
            point = next((point for point in self._entry_points() if point.name == name), None)
            self._contents[name] = file_of(builder) if point is None else package_of(point)
        return dict(self._contents[name])

    def names(self) -> list[str]:
        """Return every known name, those of installed packages included, in alphabetical order."""
        return sorted({*self._entries, *self._builtin, *(point.name for point in self._entry_points())})

    def is_builtin(self, name: str) -> bool:
        """Tell whether a name is one that kancl itself brings.

        Args:
            name: by which something is asked for.
        """
        return name in self._builtin

    def available(self) -> dict[str, Builder]:
        """Return every builder that loads; one that does not is warned about by name and left out."""
        found = {}
        for name in self.names():
            try:
                found[name] = self.get(name)
            except InputError as error:
                warnings.warn(str(error), stacklevel=2)
        return found

    def _entry_points(self) -> "list[EntryPoint]":
        from importlib.metadata import entry_points  # on use: slow to import

        return list(entry_points(group=self.group))

    def _from_entry_point(self, point: "EntryPoint") -> Builder:
        try:
            builder = point.load()
            if not callable(builder):
                raise TypeError(f"expected a function, found {builder!r}")
        except BaseException as error:
            if is_interrupt(error):
                raise
            package = point.dist.name if point.dist else "an installed package"
            raise InputError(f"{self.kind} {point.name!r} of {package} cannot be loaded: {one_line(error)}") from error
        self._entries.setdefault(point.name, builder)
        return self._entries[point.name]

    def _from_file(self, name: str) -> Builder:
        file, _, attribute = name.rpartition(":")
        before = dict(self._entries)
        try:
            module = _load_file(Path(file), self.kind)
        except InputError:
            self._entries = before  # what a broken file registered before it broke
            raise
        builder = getattr(module, attribute, None)
        registered = self._entries.get(attribute)
        if builder is None and registered is not None and registered.__module__ == module.__name__:
            builder = registered
        if not callable(builder):
            functions = [n for n, v in vars(module).items() if callable(v) and getattr(v, "__module__", "") == module.__name__]
            raise InputError(f"{file} has no {self.kind} {attribute!r}; it defines: {', '.join(functions) or 'no function'}")
        return builder

    def _unknown(self, name: str) -> str:
        names = self.names()
        near = near_misses(name, names)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"
        return f"unknown {self.kind} {name!r}; {hint} (your own: path/to/file.py:function)"


def _load_file(path: Path, kind: str) -> ModuleType:
    """Import a user's file once per process, together with what lies beside it."""
    if not os.path.isfile(path):  # which takes names that no file can have
        raise InputError(f"{path} is not a file; a {kind} of your own is given as path/to/file.py:function")
    try:
        return load_file(path)
    except BaseException as error:
        if is_interrupt(error):
            raise
        raise InputError(f"{path} cannot be imported: {one_line(error)}{place_of(error, path)}") from error


def _is_anew(builder: Builder, known: Builder) -> bool:
    """Tell whether a builder is the same one of an edited file, imported once more."""
    ours, theirs = ((b.__module__, getattr(b, "__qualname__", None)) for b in (builder, known))
    return ours == theirs and builder.__module__.startswith(PREFIX)


def place_of(error: BaseException, path: Path | None = None) -> str:
    """Return `` (file:line)`` of the innermost frame of an error, or of its innermost frame in ``path`` if it has one there."""
    frames = list(traceback.extract_tb(error.__traceback__))
    if path is not None:
        frames = [frame for frame in frames if Path(frame.filename).resolve() == path.resolve()]
    return f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
