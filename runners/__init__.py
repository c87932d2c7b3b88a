"""Runners: train networks on sequences of tasks, store what happened, and compare."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runners.results.results import load

__all__ = ["load"]


def _refuse_hidden() -> None:
    """Say by name what hides the packages beside this one: Python would only tell what it does not find in there."""
    for name in ("kancl", "scenarios"):
        try:
            spec = find_spec(name)
        except ValueError:  # somebody put a module of that name there that came from no file
            continue
        place = spec.origin if spec is not None else None
        if place and Path(place).parent.resolve() != Path(__file__).parent.parent.resolve() / name:
            raise ImportError(
                f"{place} hides the package {name} that belongs to kancl; rename it, or start Python in another folder"
            )


_refuse_hidden()


def __getattr__(name: str) -> Any:
    # ``load`` needs torch and pandas, which the command line's help must not wait for.
    if name == "load":
        from runners.results.results import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
