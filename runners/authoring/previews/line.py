"""One input: the points of every task over the line, and the function that they are drawn from."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float

from runners.authoring.previews.common import Shown, labels_of, shown_tasks, some, target_name
from runners.report.palette import task_colours
from scenarios import Scenario

if TYPE_CHECKING:
    from runners.report.drawing import Axes, Figure, Line2D

PANELS = 4
"""Outputs that are drawn, each in a panel of its own."""
CURVE = 1000
"""Places at which the target function is drawn."""


@dataclass(frozen=True, eq=False)
class Dots:
    """Some samples of a task, counted from 0; ``test`` tells which half they are of."""

    task: int
    test: bool
    x: Float[np.ndarray, "N"]
    y: Float[np.ndarray, "N"]


@dataclass(frozen=True, eq=False)
class LinePanel:
    """One output, or the class: its samples, and the function that they are drawn from, if that is known."""

    label: str
    dots: tuple[Dots, ...]
    curve: tuple[np.ndarray, np.ndarray] | None


@dataclass(frozen=True, eq=False)
class LineData:
    """Targets over the only input.

    Args:
        tasks: what a legend calls them.
        panels: one above the other.
        classes: how many there are; None where targets are numbers.
        tested: whether test samples are there beside the training samples.
    """

    tasks: tuple[str, ...]
    panels: tuple[LinePanel, ...]
    classes: int | None
    tested: bool


def line_data(scenario: Scenario) -> LineData:
    """Return the targets over the input, a panel for each output; what an operator gives apart from what the network gives."""
    tasks = shown_tasks(scenario)
    panels = tuple(_panel(scenario, tasks, *asked) for asked in _asked(scenario))
    classes = (scenario.outputs or 1) if scenario.loss == "cross-entropy" else None
    return LineData(labels_of(tasks), panels, classes, not scenario.test_is_train or scenario.operator is not None)


def _asked(scenario: Scenario) -> list[tuple[str, tuple[str, ...], int | None]]:
    """Return for each panel its label, the halves of the samples in it, and the output; None for the task's own."""
    if scenario.loss == "cross-entropy":
        return [("class (tasks side by side)", ("train", "test"), 0)]
    if scenario.setting == "task":
        return [(target_name(scenario), ("train", "test"), None)]
    if scenario.operator is None:
        return [(name, ("train", "test"), column) for column, name in _columns("target", scenario.outputs or 1)]
    trained = scenario.tasks[0].train[1].shape[1]
    return [
        *((name, ("train",), column) for column, name in _columns("trained: operator", trained)),
        *((name, ("test",), column) for column, name in _columns("tested: output", scenario.outputs or 1)),
    ]


def _columns(name: str, count: int) -> list[tuple[int, str]]:
    return [(column, name if count == 1 else f"{name} {column + 1} of {count}") for column in range(min(count, PANELS))]


def _panel(scenario: Scenario, tasks: list[Shown], label: str, parts: tuple[str, ...], column: int | None) -> LinePanel:
    curve = _curve(scenario, column) if "test" in parts and column is not None else None
    dots = [
        _dots(scenario, shown, part, column, place / max(1, len(tasks) - 1) - 0.5)
        for place, shown in enumerate(tasks)
        for part in parts
        if part == "train" or not scenario.test_is_train or len(parts) == 1
    ]
    return LinePanel(label, tuple(dots), curve)


def _dots(scenario: Scenario, shown: Shown, part: str, column: int | None, offset: float) -> Dots:
    """Return some samples of a task; of classes the tasks are set apart by ``offset``, so that none hides another."""
    x, y = some(*getattr(shown.task, part))
    height = y + 0.5 * offset if scenario.loss == "cross-entropy" else y[:, shown.column if column is None else column]
    return Dots(shown.number - 1, part == "test", x[:, 0], height)


def _curve(scenario: Scenario, column: int) -> tuple[np.ndarray, np.ndarray] | None:
    if scenario.target is None or scenario.loss != "mse":
        return None
    low, high = scenario.input_range()
    x = torch.linspace(low.item(), high.item(), CURVE)[:, None]
    return x[:, 0].numpy(), scenario.target(x)[:, column].detach().numpy()


def draw_line(data: LineData) -> "Figure":
    """Draw the panels one above the other."""
    from runners.authoring.previews.looks import task_legend
    from runners.report.drawing import Figure

    figure = Figure(figsize=(8.5, 1.0 + 2.8 * len(data.panels)), layout="constrained")
    axes = figure.subplots(len(data.panels), 1, squeeze=False, sharex=True)[:, 0]
    for ax, panel in zip(axes, data.panels, strict=True):
        _draw_panel(ax, panel, len(data.tasks))
        if data.classes is not None:
            ax.set_yticks(range(data.classes))
    axes[-1].set_xlabel("input x")
    task_legend(figure, data.tasks, _key(data))
    return figure


def _draw_panel(ax: "Axes", panel: LinePanel, tasks: int) -> None:
    colours = task_colours(tasks)
    if panel.curve is not None:
        ax.plot(*panel.curve, color="0.75", linewidth=2.5, zorder=0)
    for dots in panel.dots:
        if dots.test:
            ax.scatter(dots.x, dots.y, s=14, color=colours[dots.task], marker="+", linewidths=0.6, alpha=0.7)
        else:
            ax.scatter(dots.x, dots.y, s=10, color=colours[dots.task], linewidths=0)
    ax.set_ylabel(panel.label)


def _key(data: LineData) -> "list[Line2D]":
    from runners.report.drawing import Line2D

    grey = "0.4"
    key = [Line2D([], [], color=grey, marker="o", linestyle="", markersize=3, label="training samples")]
    if data.tested:
        key.append(Line2D([], [], color=grey, marker="+", linestyle="", markersize=4, label="test samples"))
    if any(panel.curve is not None for panel in data.panels):
        key.append(Line2D([], [], color="0.75", linewidth=2.5, label="target function"))
    return key
