"""Two inputs: the tasks as regions of the plane, together and one by one."""

from dataclasses import dataclass

import numpy as np

from runners.authoring.previews.common import Scale, Shown, scalar, seen_part, shown_tasks, some, target_scale, task_legend
from runners.report.drawing import Axes, BoundaryNorm, Figure, ListedColormap, SubFigure
from scenarios import Scenario

ROW = 5
"""Small panels side by side."""
FEW = 120
"""Points of a task up to which they are drawn larger."""
SQUARE = 3.0
"""Ratio of the inputs' ranges up to which both are drawn to one scale."""
PICTURE = 8
"""Points along each side from which on a full grid is drawn as a picture."""


@dataclass(frozen=True)
class Grid:
    """The places of a full grid of points: a picture."""

    across: np.ndarray
    up: np.ndarray

    def fill(self, x: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return the values (up, across) at the points x (N, 2), NaN elsewhere."""
        picture = np.full((len(self.up), len(self.across)), np.nan)
        picture[_places(self.up, x[:, 1]), _places(self.across, x[:, 0])] = values
        return picture

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """The outer edges of the picture, half a point beyond its outermost points."""
        ends = []
        for places in (self.across, self.up):
            half = (places[-1] - places[0]) / (len(places) - 1) / 2
            ends += [float(places[0] - half), float(places[-1] + half)]
        return ends[0], ends[1], ends[2], ends[3]


def plane_figure(scenario: Scenario) -> Figure:
    """All tasks by colour, all by target, and below each task alone by target."""
    tasks = shown_tasks(scenario)
    scale, grid = target_scale(scenario, tasks), _grid(tasks)
    rows = -(-len(tasks) // ROW) if len(tasks) > 1 else 0
    figure = Figure(figsize=(10.5, 4.2 + 2.4 * rows), layout="constrained")
    upper, *lower = figure.subfigures(1 + bool(rows), 1, height_ratios=[4.2] + [2.4 * rows] * bool(rows), squeeze=False)[:, 0]
    *by_task, by_target = upper.subplots(1, 1 + (len(tasks) > 1), sharex=True, sharey=True, squeeze=False)[0]
    for ax in by_task:
        _draw_regions(ax, scenario, tasks, grid)
    _draw_all(by_target, scenario, tasks, scale, grid)
    by_target.set_title(f"by {scale.label}")
    scale.add_bar(upper, by_target)
    for ax in (*by_task, by_target):
        _frame(ax, scenario)
        ax.set_xlabel("input 1")
    (*by_task, by_target)[0].set_ylabel("input 2")
    for panel in lower:
        _draw_each(panel, rows, scenario, tasks, scale, grid)
    task_legend(upper, tasks)
    return figure


def _draw_regions(ax: Axes, scenario: Scenario, tasks: list[Shown], grid: Grid | None) -> None:
    """Draw every task in its own colour."""
    own = Scale(
        ListedColormap([shown.colour for shown in tasks]), BoundaryNorm(np.arange(len(tasks) + 1) - 0.5, len(tasks)), ""
    )
    for place, shown in enumerate(tasks):
        _draw(ax, scenario, shown, own, grid, np.float64(place))
    ax.set_title("by task")


def _draw_each(panel: SubFigure, rows: int, scenario: Scenario, tasks: list[Shown], scale: Scale, grid: Grid | None) -> None:
    """Draw every task alone, by target."""
    columns = -(-len(tasks) // rows)
    axes = panel.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for shown, ax in zip(tasks, axes.flat, strict=False):
        _draw(ax, scenario, shown, scale, grid)
        ax.set_title(shown.label, fontsize=8)
        _frame(ax, scenario)
    for place in range(len(tasks), rows * columns):
        axes.flat[place].set_axis_off()
        axes.flat[place - columns].tick_params(labelbottom=True)
    panel.supxlabel("input 1", fontsize=9)
    panel.supylabel("input 2", fontsize=9)


def _draw(ax: Axes, scenario: Scenario, shown: Shown, scale: Scale, grid: Grid | None, value: np.float64 | None = None) -> None:
    """Draw one task: every point in the colour of its target, or of ``value``."""
    x, y = _points(scenario, shown, everything=grid is not None)
    values = scalar(scenario, shown, y) if value is None else np.full(len(x), value)
    if grid is not None:
        _show(ax, grid, grid.fill(x, values), scale)
    else:
        x, values = some(x, values)
        _scatter(ax, x, values, scale, of_a_task=len(x))


def _draw_all(ax: Axes, scenario: Scenario, tasks: list[Shown], scale: Scale, grid: Grid | None) -> None:
    """Draw the points of all tasks in an order that lets none lie on top everywhere."""
    points, targets = [], []
    for shown in tasks:
        x, y = _points(scenario, shown, everything=grid is not None)
        x, y = (x, y) if grid is not None else some(x, y)
        points.append(x)
        targets.append(scalar(scenario, shown, y))
    x, values = np.concatenate(points), np.concatenate(targets)
    if grid is not None:
        _show(ax, grid, grid.fill(x, values), scale)
        return
    order = np.random.default_rng(0).permutation(len(x))
    _scatter(ax, x[order], values[order], scale, of_a_task=max(map(len, points)))


def _scatter(ax: Axes, x: np.ndarray, values: np.ndarray, scale: Scale, of_a_task: int) -> None:
    size = 8 if of_a_task > FEW else 20
    ax.scatter(x[:, 0], x[:, 1], s=size, c=values, cmap=scale.colours, norm=scale.norm, linewidths=0, alpha=0.8)


def _show(ax: Axes, grid: Grid, picture: np.ndarray, scale: Scale) -> None:
    ax.imshow(
        picture, origin="lower", extent=grid.extent, cmap=scale.colours, norm=scale.norm, interpolation="nearest", aspect="auto"
    )


def _points(scenario: Scenario, shown: Shown, everything: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the points that are seen; of a picture, whose test points lie between, training and test points."""
    if not everything or scenario.operator is not None:
        return seen_part(scenario, shown.task)
    parts = [[tensor.numpy() for tensor in part] for part in (shown.task.train, shown.task.test)]
    return np.concatenate([parts[0][0], parts[1][0]]), np.concatenate([parts[0][1], parts[1][1]])


def _grid(tasks: list[Shown]) -> Grid | None:
    """Return the grid that the points of all tasks fill, no place twice, if there is one."""
    x = np.concatenate([part[0].numpy() for shown in tasks for part in (shown.task.train, shown.task.test)])
    x = np.unique(x, axis=0)
    grid = Grid(_distinct(x[:, 0]), _distinct(x[:, 1]))
    size = len(grid.across) * len(grid.up)
    large = min(len(grid.across), len(grid.up)) >= PICTURE
    return grid if large and 0.9 * size <= len(x) <= size and _once(tasks) else None


def _once(tasks: list[Shown]) -> bool:
    """Tell whether no two tasks have a point in common: their targets may differ there."""
    points = [np.unique(np.concatenate([shown.task.train[0], shown.task.test[0]]), axis=0) for shown in tasks]
    return len(np.unique(np.concatenate(points), axis=0)) == sum(map(len, points))


def _distinct(values: np.ndarray) -> np.ndarray:
    """Return the different values in order; what differs by rounding counts as the same."""
    ordered = np.unique(values.astype(np.float64))
    return ordered[np.concatenate([[True], np.diff(ordered) > 1e-6 * max(1.0, float(np.ptp(ordered)))])]


def _places(known: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.abs(np.searchsorted(known, values - 1e-5 * np.ptp(known)).clip(0, len(known) - 1))


def _frame(ax: Axes, scenario: Scenario) -> None:
    low, high = scenario.input_range()
    margin = 0.03 * (high - low)
    across, up = (high - low).tolist()
    ax.set_aspect("equal" if 1 / SQUARE <= across / up <= SQUARE else "auto")
    ax.set_xlim(float(low[0] - margin[0]), float(high[0] + margin[0]))
    ax.set_ylim(float(low[1] - margin[1]), float(high[1] + margin[1]))
