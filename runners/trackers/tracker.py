"""What a tracker is: one tool (:class:`Tracker`), and a cell that it is being told of (:class:`Sink`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from runners.trackers.events import Evaluation

State = Literal["done", "failed", "interrupted"]
"""How the telling of a cell ended."""


@dataclass(frozen=True)
class Description:
    """A cell as a tracker gets to know it.

    Args:
        key: the cell's key.
        id: a name that no other cell of any experiment has, and that this one keeps when it is told again.
        title: the cell in words.
        experiment: the name of the experiment's folder.
        config: the labels of what was asked for, the names of the tasks, and the whole configuration; plain values.
    """

    key: str
    id: str
    title: str
    experiment: str
    config: Mapping[str, Any]

    def flat(self) -> dict[str, str | int | float | bool]:
        """Return the configuration without nesting, as tables of parameters want it: ``policy.lr``."""
        return _flattened(self.config)


class Sink(Protocol):
    """A cell in a tool. Whatever a method raises ends the tracking by this tool, never the run."""

    def log(self, evaluation: Evaluation) -> None:
        """Take the next evaluation. Those of a cell come in their order, each once, and always from the first one on.

        Args:
            evaluation: the scores of all tasks at one moment; its ``series`` and ``row`` are names and numbers for charts.
        """

    def finish(self, summary: Mapping[str, float]) -> None:
        """Take the final metrics and the cost, after the last evaluation.

        Args:
            summary: finite numbers by name, ``final/<metric>`` and ``cost/...`` (:func:`runners.trackers.events.summary`).
        """

    def close(self, state: State) -> None:
        """Let go of everything; called once, whatever happened before.

        Args:
            state: how the cell ended; ``interrupted`` and ``failed`` cells may be told again, from their first evaluation on.
        """


class Tracker(Protocol):
    """A tool.

    Made without arguments before anything runs, and then raises :class:`kancl.errors.InputError` if the tool is not installed.
    This one writes lines into a file of its own:

    >>> from kancl.registry import Registry
    >>> trackers = Registry("tracker", {})  # in a plug-in: from runners.trackers import trackers
    >>> class Lines:
    ...     def __init__(self, path):
    ...         self.file = path.open("w")
    ...     def log(self, evaluation):
    ...         print(evaluation.total_step, evaluation.series(), file=self.file)
    ...     def finish(self, summary):
    ...         print(summary, file=self.file)
    ...     def close(self, state):
    ...         self.file.close()
    >>> @trackers.register("lines")
    ... class LineTracker:
    ...     def begin(self, cell, folder):
    ...         return Lines(folder / f"{cell.id}.txt")
    ...     def hint(self, folder):
    ...         return f"see {folder}"
    """

    def begin(self, cell: Description, folder: Path) -> Sink:
        """Open a cell.

        A cell that was begun before comes with the same id and is told from its first evaluation on, with the same numbers.
        The sink sees to it that the tool shows each of them once: it replaces the earlier attempt, or skips what the tool has.

        Args:
            cell: what it is.
            folder: the tool's folder in the experiment's, which exists; for files, unless the user's environment names a place.
        """

    def hint(self, folder: Path) -> str:
        """Return how to look at what was tracked: one line, shown after the run.

        Args:
            folder: as given to :meth:`begin`.
        """


def _flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, str | int | float | bool]:
    flat: dict[str, str | int | float | bool] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flattened(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            flat[prefix + key] = ",".join(map(str, value))
        else:
            flat[prefix + key] = value if isinstance(value, str | int | float | bool) else str(value)
    return flat
