"""What all previews share: which tasks are drawn, their colours, and how points and legends look."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from kancl.text import visible
from runners.report.drawing import (
    Axes,
    BoundaryNorm,
    Colormap,
    Figure,
    Line2D,
    ListedColormap,
    Normalize,
    ScalarMappable,
    SubFigure,
    colormaps,
)  # fmt: skip
from runners.report.figures.panels import task_colours
from scenarios import Scenario, Task

SHOWN = 8
"""Tasks that are drawn; colours and panels of more could not be told apart."""
POINTS = 400
"""Points drawn of each task."""
NAME_WIDTH = 26
NAME_LINES = 2
"""Width and lines of a task's name in a legend."""
TARGETS = ListedColormap(colormaps["magma"](np.linspace(0.0, 0.87, 256)), "targets")
"""Colours of target values: not those of the tasks, and none so bright that it vanishes on white."""

Colour = tuple[float, float, float, float]


@dataclass(frozen=True)
class Shown:
    """A task as it is drawn."""

    number: int
    task: Task
    colour: Colour

    @property
    def label(self) -> str:
        """The task's number and name, short enough for a legend."""
        return f"{self.number}: {shortened(self.task.name)}"

    @property
    def column(self) -> int:
        """The output whose targets are drawn where there is room for one: the first, or the first of the task's own."""
        return self.task.active[0] if self.task.active else 0


@dataclass(frozen=True)
class Scale:
    """How target values, or classes, become colours."""

    colours: Colormap
    norm: Normalize
    label: str
    ticks: Sequence[int] | None = None

    def add_bar(self, figure: Figure | SubFigure, axes: Axes | Sequence[Axes], **where: Any) -> None:
        """Draw the scale beside ``axes``."""
        beside = [axes] if isinstance(axes, Axes) else list(axes)
        bar = figure.colorbar(ScalarMappable(self.norm, self.colours), ax=beside, label=self.label, **where)
        if self.ticks is not None:
            bar.set_ticks(list(self.ticks), labels=list(map(str, self.ticks)))
            bar.minorticks_off()


def shown_tasks(scenario: Scenario) -> list[Shown]:
    """Return the first tasks, as many as can be told apart."""
    chosen = scenario.tasks[:SHOWN]
    return [Shown(number, *pair) for number, pair in enumerate(zip(chosen, task_colours(len(chosen)), strict=True), 1)]


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


def target_scale(scenario: Scenario, tasks: list[Shown]) -> Scale:
    """Return the colours of classes, or of the target values over all tasks that are drawn; see :attr:`Shown.column`."""
    if scenario.loss == "cross-entropy":
        classes = scenario.outputs or 1
        colours = ListedColormap(_class_colours(classes))
        step = -(-classes // 12)
        return Scale(colours, BoundaryNorm(np.arange(classes + 1) - 0.5, classes), "class", range(0, classes, step))
    values = np.concatenate([scalar(scenario, shown, seen_part(scenario, shown.task)[1]) for shown in tasks])
    return Scale(TARGETS, Normalize(float(values.min()), float(values.max())), target_name(scenario))


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


def _class_colours(classes: int) -> Sequence[Colour]:
    """Return colours without an order, as long as there are enough of them."""
    for name in ("tab10", "tab20"):
        colours: Sequence[Colour] = colormaps[name].colors  # type: ignore[attr-defined]
        if classes <= len(colours):
            return colours[:classes]
    return task_colours(classes)


def task_legend(figure: Figure | SubFigure, tasks: list[Shown], extra: Sequence[Line2D] = ()) -> None:
    """Name the tasks' colours to the right of all panels."""
    dots = [Line2D([], [], color=shown.colour, marker="o", linestyle="", markersize=5, label=shown.label) for shown in tasks]
    figure.legend(handles=[*dots, *extra], loc="outside right upper", title="task")
