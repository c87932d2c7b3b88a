"""Whose code failed: a cell's parts by name, and the errors of its plug-ins as messages."""

import inspect
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kancl.errors import InputError, StorageError, blamed, is_interrupt, one_line, places_of
from kancl.models import architectures
from kancl.options import Spec
from kancl.registry import Registry
from kancl.text import visible
from runners.config.cell import Cell
from runners.run import RUNNERS
from scenarios import scenarios

OWN = [Path(__file__).resolve().parents[2] / package for package in ("kancl", "scenarios", "runners")]
"""Where no plug-in's file lies."""


def told(error: BaseException, cell: Cell) -> str:
    """Return an error of a cell on one line, with the name of the plug-in that it is of.

    What no hook has marked (a layer that is looked into, say) is found by its traceback: the innermost file of a plug-in.
    """
    if places_of(error):
        return blamed(error, {part: spec.name for part, spec in _parts(cell).items()})
    if not isinstance(error, InputError):
        for part, spec in _parts(cell).items():
            if _comes_from(error, _registry(part, cell), spec):
                return f"{part} {visible(spec.name)} failed: {one_line(error)}"
    return one_line(error)


class PluginError(InputError):
    """A plug-in raised before anything ran."""


@contextmanager
def refusing(cell: Cell) -> Iterator[None]:
    """Turn what a plug-in raises before anything runs into a :class:`PluginError` that names it; a refusal stays one."""
    try:
        yield
    except BaseException as error:
        cause = error.__cause__ if isinstance(error, InputError) else error
        if is_interrupt(error) or isinstance(error, StorageError) or cause is None or isinstance(cause, InputError):
            raise
        if isinstance(error, InputError):
            raise PluginError(str(error)) from cause
        raise PluginError(told(error, cell)) from error


def _parts(cell: Cell) -> dict[str, Spec]:
    return {"architecture": cell.architecture, "strategy": cell.strategy, "scenario": cell.scenario}


def _registry(part: str, cell: Cell) -> Registry:
    return {"architecture": architectures, "strategy": RUNNERS[cell.runner].strategies, "scenario": scenarios}[part]


def _comes_from(error: BaseException, registry: Registry, spec: Spec) -> bool:
    """Tell whether a traceback goes through the file of a plug-in."""
    with suppress(Exception):
        file = inspect.getsourcefile(inspect.unwrap(registry.get(spec.name)))
        if file is not None and not any(folder in Path(file).resolve().parents for folder in OWN):
            names = {frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)}
            return any(Path(name).resolve() == Path(file).resolve() for name in names)
    return False
