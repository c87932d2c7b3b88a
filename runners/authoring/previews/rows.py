"""Several inputs of which only a few combinations occur: each task's table of targets."""

import numpy as np

from runners.authoring.previews.common import TARGETS, Scale, Shown, seen_part, shown_tasks
from runners.report.drawing import Axes, Figure, Normalize
from scenarios import Scenario

MOST = 64
"""Different samples up to which each has a column."""
VALUES = 12
"""Values that one input may take: a table of measurements takes more."""
PANELS = 4
"""Outputs that are drawn, each in a panel of its own."""
WRITTEN = 12
"""Columns up to which targets are written into the table."""


def has_few_rows(scenario: Scenario) -> bool:
    """Tell whether a regression is a table: few different samples, more than one of them, of inputs with few values."""
    if scenario.loss != "mse" or scenario.operator is not None:
        return False
    rows = _rows(shown_tasks(scenario))
    return 1 < len(rows) <= MOST and all(len(np.unique(column)) <= VALUES for column in rows.T)


def rows_figure(scenario: Scenario) -> Figure:
    """A panel for each output: tasks down, different inputs across, coloured by the target; white where a task has no such
    sample."""
    tasks = shown_tasks(scenario)
    rows = _rows(tasks)
    outputs = min(scenario.outputs or 1, PANELS)
    figure = Figure(figsize=(10.5, 1.4 + outputs * (0.7 + 0.3 * len(tasks))), layout="constrained")
    axes = figure.subplots(outputs, 1, squeeze=False, sharex=True)[:, 0]
    tables = [_table(scenario, tasks, rows, output) for output in range(outputs)]
    norm = Normalize(float(np.nanmin(tables)), float(np.nanmax(tables)))
    for output, (ax, table) in enumerate(zip(axes, tables, strict=True), 1):
        _draw(ax, tasks, table, norm)
        ax.set_title("target" if scenario.outputs == 1 else f"target, output {output} of {scenario.outputs}")
    axes[-1].set_xticks(range(len(rows)), [_named(row) for row in rows], rotation=0 if len(rows) <= WRITTEN else 90)
    axes[-1].set_xlabel(f"inputs 1 to {scenario.inputs} of the training samples; white: the task has no such sample")
    Scale(TARGETS, norm, "target").add_bar(figure, list(axes))
    return figure


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


def _draw(ax: Axes, tasks: list[Shown], table: np.ndarray, norm: Normalize) -> None:
    ax.imshow(table, cmap=TARGETS, norm=norm, aspect="auto", interpolation="nearest")
    ax.set_yticks(range(len(tasks)), [shown.label.replace("\n", " ") for shown in tasks])
    ax.spines[:].set_visible(False)
    for edge in np.arange(table.shape[1] - 1) + 0.5:
        ax.axvline(edge, color="w", linewidth=1.0)
    for edge in np.arange(len(tasks) - 1) + 0.5:
        ax.axhline(edge, color="w", linewidth=1.0)
    if table.shape[1] <= WRITTEN:
        for (row, column), value in np.ndenumerate(table):
            if np.isfinite(value):
                ink = "k" if norm(value) > 0.7 else "w"
                ax.text(column, row, f"{value:.2g}", ha="center", va="center", fontsize=8, color=ink)


def _named(row: np.ndarray) -> str:
    return " ".join(f"{value:.2g}" for value in row)
