"""Retention matrices side by side: the score on every task after every task."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from runners.report.figures.data import living, median, panel_titles, score_label, score_name, seeds_told
from runners.report.figures.look import PLAIN, Look
from runners.report.numbers import alike
from runners.report.thinning import ROWS, evenly, ticks
from runners.results.entry import Entry

if TYPE_CHECKING:
    from runners.report.drawing import Axes, Figure

NUMBERED = 12
"""Tasks up to which a matrix shows its numbers."""
FIELD = 0.58
"""Inches of a number in a matrix."""


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
        logarithmic: whether shades are powers of ten.
        low, high: the ends of the scale.
        matrices: one per cell.
    """

    heading: tuple[str, ...]
    label: str
    tasks: int
    up: bool
    logarithmic: bool
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
    titles, policy = panel_titles(entries)
    what = f"{scenario}: {score_name(score)} on each task after each task, median of {seeds_told(entries)}"
    return MatricesData(
        heading=(what, policy, some, note),
        label=f"{score_label(entries[0])}\n{'higher' if up else 'lower'} is better",
        tasks=tasks,
        up=up,
        logarithmic=not up,
        low=low,
        high=high,
        matrices=tuple(Matrix(*each) for each in zip(titles, medians, shades, strict=True)),
    )


def draw_matrices(data: MatricesData, look: Look = PLAIN) -> "Figure":
    """Draw the matrices on one scale; those of few tasks with their numbers, all written alike."""
    from runners.report.figures.panels import arrange, heading, lowest

    count = len(data.matrices)
    side = max(2.4, FIELD * data.tasks) if data.tasks <= NUMBERED else 4.2
    least = max(1.6, 0.42 * data.tasks + 0.5) if data.tasks <= NUMBERED else 2.2
    figure, axes, columns = arrange(count, min(4, count), (side, side + 0.5), least, look, beside=1.2, above=0.8)
    texts = iter(alike(np.concatenate([matrix.values.ravel() for matrix in data.matrices]), shares=data.up))
    for matrix, ax in zip(data.matrices, axes, strict=True):
        _draw_matrix(ax, matrix, data, [next(texts) for _ in range(matrix.values.size)])
    for ax in axes[::columns]:
        ax.set_ylabel("after training on task")
    for ax in lowest(axes, columns):
        ax.set_xlabel("score on task")
    bar = figure.colorbar(axes[-1].images[0], ax=axes, label=data.label, shrink=0.8)
    if data.logarithmic:
        powers = np.arange(np.ceil(data.low), np.floor(data.high) + 1)
        places = powers if len(powers) > 2 else np.linspace(data.low, data.high, 5)
        bar.set_ticks(list(places), labels=alike(10.0**places))
    heading(figure, data.heading, look)
    return figure


def _draw_matrix(ax: "Axes", matrix: Matrix, data: MatricesData, texts: list[str]) -> None:
    low, high = data.low, max(data.high, data.low + 1e-9)
    ax.imshow(matrix.shades, cmap="viridis" if data.up else "viridis_r", vmin=low, vmax=high, aspect="auto")
    if data.tasks <= NUMBERED:
        for (i, j), text in zip(np.ndindex(matrix.values.shape), texts, strict=True):
            relative = (matrix.shades[i, j] - data.low) / max(data.high - data.low, 1e-9)
            light = relative > 0.6 if data.up else relative < 0.4
            colour = "black" if light or np.isnan(relative) else "white"
            ax.text(j, i, text, ha="center", va="center", fontsize="small", color=colour)
    numbered = ticks(data.tasks)
    places = [(number - 1) * (matrix.values.shape[1] - 1) / max(data.tasks - 1, 1) for number in numbered]
    ax.set_xticks(places, list(map(str, numbered)))
    ax.set_yticks([0, *(place + 1 for place in places)], ["none", *map(str, numbered)])
    ax.set_title(matrix.title)
    ax.spines[:].set_visible(False)
