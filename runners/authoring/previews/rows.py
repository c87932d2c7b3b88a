"""Several inputs of which only a few combinations occur: each task's table of targets."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from runners.authoring.previews.common import Shown, seen_part, shown_tasks
from runners.report.numbers import two_digits
from scenarios import Scenario

if TYPE_CHECKING:
    from runners.authoring.previews.looks import Scale
    from runners.report.drawing import Axes, Figure

MOST = 64
"""Different samples up to which each has a column."""
VALUES = 12
"""Values that one input may take: a table of measurements takes more."""
PANELS = 4
"""Outputs that are drawn, each in a panel of its own."""
WRITTEN = 12
"""Columns up to which targets are written into the table."""


@dataclass(frozen=True, eq=False)
class RowsData:
    """Targets of T tasks at R different inputs.

    Args:
        tasks: what they are called.
        inputs: the inputs in words, and how many there are.
        titles: one for each output that is drawn.
        tables: the mean target of each task at each input, NaN where it has none, by output.
        low, high: the ends of all targets.
    """

    tasks: tuple[str, ...]
    inputs: tuple[str, ...]
    count: int
    titles: tuple[str, ...]
    tables: Float[np.ndarray, "O T R"]
    low: float
    high: float


def has_few_rows(scenario: Scenario) -> bool:
    """Tell whether a regression is a table: few different samples, more than one of them, of inputs with few values."""
    if scenario.loss != "mse" or scenario.operator is not None:
        return False
    rows = _rows(shown_tasks(scenario))
    return 1 < len(rows) <= MOST and all(len(np.unique(column)) <= VALUES for column in rows.T)


def rows_data(scenario: Scenario) -> RowsData:
    """Return a table for each output: tasks down, different inputs across."""
    tasks = shown_tasks(scenario)
    rows = _rows(tasks)
    outputs = range(1, min(scenario.outputs or 1, PANELS) + 1)
    tables = np.stack([_table(scenario, tasks, rows, output - 1) for output in outputs])
    return RowsData(
        tasks=tuple(shown.label.replace("\n", " ") for shown in tasks),
        inputs=tuple(" ".join(map(two_digits, row)) for row in rows),
        count=scenario.inputs,
        titles=tuple("target" if scenario.outputs == 1 else f"target, output {o} of {scenario.outputs}" for o in outputs),
        tables=tables,
        low=float(np.nanmin(tables)),
        high=float(np.nanmax(tables)),
    )


def _rows(tasks: list[Shown]) -> np.ndarray:
    """Return the different inputs (R, I) of all tasks, in order."""
    return np.unique(np.concatenate([shown.task.train[0].numpy() for shown in tasks]), axis=0)


def _table(scenario: Scenario, tasks: list[Shown], rows: np.ndarray, output: int) -> np.ndarray:
    """Return the mean target (T, R) of each task at each input, NaN where it has none."""
    table = np.full((len(tasks), len(rows)), np.nan)
    for number, shown in enumerate(tasks):
        x, y = seen_part(scenario, shown.task)
        if shown.task.active is None or output in shown.task.active:
            for place, row in enumerate(rows):
                same = (x == row).all(1)
                if same.any():
                    table[number, place] = y[same, output].mean()
    return table


def draw_rows(data: RowsData) -> "Figure":
    """Draw a panel for each output, coloured by the target; white where a task has no such sample."""
    from runners.authoring.previews.looks import TARGETS, Scale
    from runners.report.drawing import Figure, Normalize

    panels, columns = len(data.tables), len(data.inputs)
    figure = Figure(figsize=(10.5, 1.4 + panels * (0.7 + 0.3 * len(data.tasks))), layout="constrained")
    axes = figure.subplots(panels, 1, squeeze=False, sharex=True)[:, 0]
    scale = Scale(TARGETS, Normalize(data.low, data.high), "target")
    for ax, table, title in zip(axes, data.tables, data.titles, strict=True):
        _draw_table(ax, table, scale)
        ax.set_yticks(range(len(data.tasks)), list(data.tasks))
        ax.set_title(title)
    axes[-1].set_xticks(range(columns), list(data.inputs), rotation=0 if columns <= WRITTEN else 90)
    axes[-1].set_xlabel(f"inputs 1 to {data.count} of the training samples; white: the task has no such sample")
    scale.add_bar(figure, list(axes))
    return figure


def _draw_table(ax: "Axes", table: np.ndarray, scale: "Scale") -> None:
    ax.imshow(table, cmap=scale.colours, norm=scale.norm, aspect="auto", interpolation="nearest")
    ax.spines[:].set_visible(False)
    for edge in np.arange(table.shape[1] - 1) + 0.5:
        ax.axvline(edge, color="w", linewidth=1.0)
    for edge in np.arange(table.shape[0] - 1) + 0.5:
        ax.axhline(edge, color="w", linewidth=1.0)
    if table.shape[1] <= WRITTEN:
        for (row, column), value in np.ndenumerate(table):
            if np.isfinite(value):
                ink = "k" if scale.norm(value) > 0.7 else "w"
                ax.text(column, row, two_digits(value), ha="center", va="center", fontsize=8, color=ink)
