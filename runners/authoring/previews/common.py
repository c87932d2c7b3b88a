"""What the data of all previews share: which tasks and samples are shown, and what colours stand for. Nothing here draws."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from kancl.text import visible
from scenarios import Scenario, Task

SHOWN = 8
"""Tasks that are drawn; colours and panels of more could not be told apart."""
POINTS = 400
"""Points drawn of each task."""
NAME_WIDTH = 26
NAME_LINES = 2
"""Width and lines of a task's name in a legend."""


@dataclass(frozen=True)
class Shown:
    """A task that is drawn."""

    number: int
    task: Task

    @property
    def label(self) -> str:
        """The task's number and name, short enough for a legend."""
        return f"{self.number}: {shortened(self.task.name)}"

    @property
    def column(self) -> int:
        """The output whose targets are drawn where there is room for one: the first, or the first of the task's own."""
        return self.task.active[0] if self.task.active else 0


@dataclass(frozen=True)
class Targets:
    """What colours of targets stand for.

    Args:
        label: what the values are.
        low, high: the ends of the values.
        classes: how many classes there are; None where targets are numbers.
    """

    label: str
    low: float
    high: float
    classes: int | None = None


def shown_tasks(scenario: Scenario) -> list[Shown]:
    """Return the first tasks, as many as can be told apart."""
    return [Shown(number, task) for number, task in enumerate(scenario.tasks[:SHOWN], 1)]


def labels_of(tasks: Sequence[Shown]) -> tuple[str, ...]:
    """Return what a legend calls the tasks."""
    return tuple(shown.label for shown in tasks)


def shortened(name: str) -> str:
    """Return a task's name on two lines at most, cut where it is longer."""
    lines = textwrap.wrap(visible(name), NAME_WIDTH) or [""]
    if len(lines) > NAME_LINES:
        lines = [*lines[: NAME_LINES - 1], lines[NAME_LINES - 1][: NAME_WIDTH - 1] + "…"]
    return "\n".join(lines)


def seen_part(scenario: Scenario, task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs (N, I) and targets (N, ...) of the samples that show what the network is to give.

    The training samples, or, where an operator of the network is trained, the test samples: the others' targets are the
    operator's.
    """
    x, y = task.train if scenario.operator is None else task.test
    return x.numpy(), y.numpy()


def some(*arrays: Tensor | np.ndarray, count: int = POINTS) -> list[np.ndarray]:
    """Return about ``count`` rows of each array, the same ones, from all over."""
    length = len(arrays[0])
    rows = np.linspace(0, length - 1, min(count, length)).round().astype(int)
    return [np.asarray(array)[rows] for array in arrays]


def targets_of(scenario: Scenario, tasks: list[Shown]) -> Targets:
    """Return what colours stand for: classes, or the target values of all tasks that are drawn; see :attr:`Shown.column`."""
    if scenario.loss == "cross-entropy":
        classes = scenario.outputs or 1
        return Targets("class", -0.5, classes - 0.5, classes)
    values = np.concatenate([scalar(scenario, shown, seen_part(scenario, shown.task)[1]) for shown in tasks])
    return Targets(target_name(scenario), float(values.min()), float(values.max()))


def target_name(scenario: Scenario) -> str:
    """Return which targets are drawn where there is room for one output."""
    if any(task.active is not None for task in scenario.tasks):
        name = "target of the task's own output"
    else:
        name = "target" if scenario.outputs == 1 else f"target, output 1 of {scenario.outputs}"
    return name if scenario.operator is None else f"{name} (test samples)"


def scalar(scenario: Scenario, shown: Shown, y: np.ndarray) -> np.ndarray:
    """Return the number (N,) by which a task's targets are coloured."""
    return y if scenario.loss == "cross-entropy" else y[:, shown.column]
