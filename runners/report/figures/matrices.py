"""Retention matrices side by side: the score on every task after every task."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from runners.report.figures.data import living, median, panel_title, score_label, seeds_told
from runners.report.numbers import in_little_room
from runners.report.thinning import ROWS, evenly, ticks
from runners.results.entry import Entry

if TYPE_CHECKING:
    from runners.report.drawing import Axes, Figure

NUMBERED = 12
"""Tasks up to which a matrix shows its numbers."""


@dataclass(frozen=True, eq=False)
class Matrix:
    """One cell: its scores, median over seeds, and what is shown of them as shades: errors by their logarithm."""

    title: str
    values: Float[np.ndarray, "T1 T"]
    shades: Float[np.ndarray, "T1 T"]


@dataclass(frozen=True, eq=False)
class MatricesData:
    """Matrices of cells of one scenario.

    Args:
        heading: lines over the figure.
        label: of the scale.
        tasks: how many the scenario has; of very many, some have rows and columns.
        up: whether more is better.
        low, high: the ends of the scale.
        matrices: one per cell.
    """

    heading: tuple[str, ...]
    label: str
    tasks: int
    up: bool
    low: float
    high: float
    matrices: tuple[Matrix, ...]


def matrices(scenario: str, entries: list[Entry], note: str = "") -> MatricesData:
    """Return the retention matrices, median over seeds; of very many tasks some, evenly spaced."""
    result = entries[0].result
    score, tasks = result.score, len(result.tasks)
    up = result.higher_is_better[score]
    kept = evenly(tasks, ROWS)
    rows = np.array([0, *(number + 1 for number in kept)])
    medians = [median(living(entry, entry.result.R[score][:, rows][:, :, kept])) for entry in entries]
    shades = [values if up else np.log10(np.maximum(values, 1e-12)) for values in medians]
    finite = np.concatenate([shade[np.isfinite(shade)] for shade in shades])
    finite = finite if finite.size else np.zeros(1)
    low, high = (0.0, 1.0) if up and score == "accuracy" else (float(finite.min()), float(finite.max()))
    some = f"{len(kept)} of {tasks:,} tasks" if len(kept) < tasks else ""
    return MatricesData(
        heading=(f"{scenario}: {score} after each task, median of {seeds_told(entries)}", some, note),
        label=score_label(entries[0]) if up else f"log10 of {score}, lower is better",
        tasks=tasks,
        up=up,
        low=low,
        high=high,
        matrices=tuple(Matrix(panel_title(e), *pair) for e, *pair in zip(entries, medians, shades, strict=True)),
    )


def draw_matrices(data: MatricesData) -> "Figure":
    """Draw the matrices on one scale; those of few tasks with their numbers."""
    from runners.report.drawing import Figure
    from runners.report.figures.panels import heading, panels

    count = len(data.matrices)
    columns = min(4, count)
    rows = -(-count // columns)
    size = max(2.4, 0.52 * data.tasks) if data.tasks <= NUMBERED else 4.2
    figure = Figure(figsize=(max(size * columns + 1.2, 6.0), (size + 0.8) * rows + 0.7), layout="constrained")
    axes = panels(figure, rows, columns, count)
    for matrix, ax in zip(data.matrices, axes, strict=True):
        _draw_matrix(ax, matrix, data)
    figure.colorbar(axes[-1].images[0], ax=axes, label=data.label, shrink=0.8)
    heading(figure, data.heading)
    return figure


def _draw_matrix(ax: "Axes", matrix: Matrix, data: MatricesData) -> None:
    low, high = data.low, max(data.high, data.low + 1e-9)
    ax.imshow(matrix.shades, cmap="viridis" if data.up else "viridis_r", vmin=low, vmax=high, aspect="auto")
    if data.tasks <= NUMBERED:
        for (i, j), value in np.ndenumerate(matrix.values):
            relative = (matrix.shades[i, j] - data.low) / max(data.high - data.low, 1e-9)
            light = relative > 0.6 if data.up else relative < 0.4
            colour = "black" if light or np.isnan(relative) else "white"
            ax.text(j, i, in_little_room(value), ha="center", va="center", fontsize=7, color=colour)
    numbered = ticks(data.tasks)
    places = [(number - 1) * (matrix.values.shape[1] - 1) / max(data.tasks - 1, 1) for number in numbered]
    ax.set_xticks(places, list(map(str, numbered)))
    ax.set_yticks([0, *(place + 1 for place in places)], ["start", *map(str, numbered)])
    ax.set_xlabel("score on task")
    ax.set_ylabel("after task")
    ax.set_title(matrix.title)
    ax.spines[:].set_visible(False)
