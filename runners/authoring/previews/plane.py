"""Two inputs: the tasks as regions of the plane, together and one by one."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from runners.authoring.previews.common import Shown, Targets, labels_of, scalar, seen_part, shown_tasks, some, targets_of
from scenarios import Scenario

if TYPE_CHECKING:
    from runners.authoring.previews.looks import Scale
    from runners.report.drawing import Axes, Figure, SubFigure

ROW = 5
"""Small panels side by side."""
FEW = 120
"""Points of a task up to which they are drawn larger."""
SQUARE = 3.0
"""Ratio of the inputs' ranges up to which both are drawn to one scale."""
PICTURE = 8
"""Points along each side from which on a full grid is drawn as a picture."""


@dataclass(frozen=True, eq=False)
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


@dataclass(frozen=True, eq=False)
class Points:
    """Points of the plane and their values; ``largest`` is the number of those of one task."""

    x: Float[np.ndarray, "N 2"]
    values: np.ndarray
    largest: int


@dataclass(frozen=True, eq=False)
class PlaneData:
    """Tasks in the plane.

    Args:
        tasks: what a legend calls them.
        targets: what the values are.
        each: the points of every task.
        together: the points of all, in an order that lets no task lie on top everywhere.
        grid: the places that all points fill, where they are a picture.
        frame: the ends of the panels: along the first input, and along the second.
        square: whether both inputs are drawn to one scale.
    """

    tasks: tuple[str, ...]
    targets: Targets
    each: tuple[Points, ...]
    together: Points
    grid: Grid | None
    frame: tuple[tuple[float, float], tuple[float, float]]
    square: bool


def plane_data(scenario: Scenario) -> PlaneData:
    """Return the points of all tasks, and how the plane is framed."""
    tasks = shown_tasks(scenario)
    grid = _grid(tasks)
    each = tuple(_points(scenario, shown, everything=grid is not None) for shown in tasks)
    x, values = (np.concatenate([getattr(points, name) for points in each]) for name in ("x", "values"))
    order = np.arange(len(x)) if grid is not None else np.random.default_rng(0).permutation(len(x))
    together = Points(x[order], values[order], max(points.largest for points in each))
    low, high = scenario.input_range()
    margin = 0.03 * (high - low)
    across, up = (high - low).tolist()
    ends = [(float(low[place] - margin[place]), float(high[place] + margin[place])) for place in range(2)]
    square = 1 / SQUARE <= across / up <= SQUARE
    return PlaneData(labels_of(tasks), targets_of(scenario, tasks), each, together, grid, (ends[0], ends[1]), square)


def _points(scenario: Scenario, shown: Shown, everything: bool) -> Points:
    """Return the points that are seen; of a picture, whose test points lie between, all training and test points."""
    if everything and scenario.operator is None:
        parts = [[tensor.numpy() for tensor in part] for part in (shown.task.train, shown.task.test)]
        x, y = np.concatenate([parts[0][0], parts[1][0]]), np.concatenate([parts[0][1], parts[1][1]])
    else:
        x, y = seen_part(scenario, shown.task)
    x, y = (x, y) if everything else some(x, y)
    return Points(x, scalar(scenario, shown, y), len(x))


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


def draw_plane(data: PlaneData) -> "Figure":
    """Draw all tasks by colour, all by target, and below each task alone by target."""
    from runners.authoring.previews.looks import target_scale, task_legend, task_scale
    from runners.report.drawing import Figure

    count = len(data.tasks)
    scale, own = target_scale(data.targets), task_scale(count)
    rows = -(-count // ROW) if count > 1 else 0
    figure = Figure(figsize=(10.5, 4.2 + 2.4 * rows), layout="constrained")
    upper, *lower = figure.subfigures(1 + bool(rows), 1, height_ratios=[4.2] + [2.4 * rows] * bool(rows), squeeze=False)[:, 0]
    *by_task, by_target = upper.subplots(1, 1 + (count > 1), sharex=True, sharey=True, squeeze=False)[0]
    for ax in by_task:
        for place, points in enumerate(data.each):
            _draw(ax, Points(points.x, np.full(len(points.x), float(place)), points.largest), own, data.grid)
        ax.set_title("by task")
    _draw(by_target, data.together, scale, data.grid)
    by_target.set_title(f"by {scale.label}")
    scale.add_bar(upper, by_target)
    for ax in (*by_task, by_target):
        _frame(ax, data)
        ax.set_xlabel("input 1")
    (*by_task, by_target)[0].set_ylabel("input 2")
    for panel in lower:
        _draw_each(panel, rows, data, scale)
    task_legend(upper, data.tasks)
    return figure


def _draw_each(panel: "SubFigure", rows: int, data: PlaneData, scale: "Scale") -> None:
    """Draw every task alone, by target."""
    count = len(data.tasks)
    columns = -(-count // rows)
    axes = panel.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for points, label, ax in zip(data.each, data.tasks, axes.flat, strict=False):
        _draw(ax, points, scale, data.grid)
        ax.set_title(label, fontsize=8)
        _frame(ax, data)
    for place in range(count, rows * columns):
        axes.flat[place].set_axis_off()
        axes.flat[place - columns].tick_params(labelbottom=True)
    panel.supxlabel("input 1", fontsize=9)
    panel.supylabel("input 2", fontsize=9)


def _draw(ax: "Axes", points: Points, scale: "Scale", grid: Grid | None) -> None:
    """Draw points in the colours of their values: as a picture, or one by one."""
    looks: dict[str, Any] = {"cmap": scale.colours, "norm": scale.norm}
    if grid is not None:
        picture = grid.fill(points.x, points.values)
        ax.imshow(picture, origin="lower", extent=grid.extent, interpolation="nearest", aspect="auto", **looks)
        return
    size = 8 if points.largest > FEW else 20
    ax.scatter(points.x[:, 0], points.x[:, 1], s=size, c=points.values, linewidths=0, alpha=0.8, **looks)


def _frame(ax: "Axes", data: PlaneData) -> None:
    ax.set_aspect("equal" if data.square else "auto")
    ax.set_xlim(*data.frame[0])
    ax.set_ylim(*data.frame[1])
