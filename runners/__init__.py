"""Runners: train networks on sequences of tasks, store what happened, and compare."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runners.results import load

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    # ``load`` needs torch and pandas, which the command line's help must not wait for.
    if name == "load":
        from runners.results import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
