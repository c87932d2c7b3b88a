"""One input: the points of every task over the line, and the function that they are drawn from."""

import torch

from runners.authoring.previews.common import Shown, shown_tasks, some, target_name, task_legend
from runners.report.drawing import Axes, Figure, Line2D
from scenarios import Scenario

PANELS = 4
"""Outputs that are drawn, each in a panel of its own."""
CURVE = 1000


def line_figure(scenario: Scenario) -> Figure:
    """Targets over the only input, a panel for each output; what an operator gives apart from what the network gives."""
    tasks = shown_tasks(scenario)
    panels: list[tuple[str, tuple[str, ...], int | None]] = []  # None: the task's own output
    if scenario.loss == "cross-entropy":
        panels.append(("class (tasks side by side)", ("train", "test"), 0))
    elif scenario.setting == "task":
        panels.append((target_name(scenario), ("train", "test"), None))
    elif scenario.operator is None:
        panels += [(name, ("train", "test"), column) for column, name in _columns("target", scenario.outputs or 1)]
    else:
        trained = scenario.tasks[0].train[1].shape[1]
        panels += [(name, ("train",), column) for column, name in _columns("trained: operator", trained)]
        panels += [(name, ("test",), column) for column, name in _columns("tested: output", scenario.outputs or 1)]
    figure = Figure(figsize=(8.5, 1.0 + 2.8 * len(panels)), layout="constrained")
    axes = figure.subplots(len(panels), 1, squeeze=False, sharex=True)[:, 0]
    curve = False
    for ax, (name, parts, column) in zip(axes, panels, strict=True):
        if "test" in parts and column is not None:
            curve |= _draw_target(ax, scenario, column)
        for place, shown in enumerate(tasks):
            for part in parts:
                if part == "train" or not scenario.test_is_train or len(parts) == 1:
                    _draw_points(ax, scenario, shown, part, column, place / max(1, len(tasks) - 1) - 0.5)
        ax.set_ylabel(name)
        if scenario.loss == "cross-entropy":
            ax.set_yticks(range(scenario.outputs or 1))
    axes[-1].set_xlabel("input x")
    task_legend(figure, tasks, _key(scenario, curve))
    return figure


def _columns(name: str, count: int) -> list[tuple[int, str]]:
    return [(column, name if count == 1 else f"{name} {column + 1} of {count}") for column in range(min(count, PANELS))]


def _draw_target(ax: Axes, scenario: Scenario, column: int) -> bool:
    if scenario.target is None or scenario.loss != "mse":
        return False
    low, high = scenario.input_range()
    x = torch.linspace(low.item(), high.item(), CURVE)[:, None]
    ax.plot(x[:, 0], scenario.target(x)[:, column], color="0.75", linewidth=2.5, zorder=0)
    return True


def _draw_points(ax: Axes, scenario: Scenario, shown: Shown, part: str, column: int | None, offset: float) -> None:
    x, y = some(*getattr(shown.task, part))
    height = y + 0.5 * offset if scenario.loss == "cross-entropy" else y[:, shown.column if column is None else column]
    if part == "train":
        ax.scatter(x[:, 0], height, s=10, color=shown.colour, linewidths=0)
    else:
        ax.scatter(x[:, 0], height, s=14, color=shown.colour, marker="+", linewidths=0.6, alpha=0.7)


def _key(scenario: Scenario, curve: bool) -> list[Line2D]:
    grey = "0.4"
    key = [Line2D([], [], color=grey, marker="o", linestyle="", markersize=3, label="training samples")]
    if not scenario.test_is_train or scenario.operator is not None:
        key.append(Line2D([], [], color=grey, marker="+", linestyle="", markersize=4, label="test samples"))
    if curve:
        key.append(Line2D([], [], color="0.75", linewidth=2.5, label="target function"))
    return key
