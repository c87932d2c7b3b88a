"""The learned function after every task over the target: the KAN paper's figure."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from runners.report.figures.data import BAND_TOLD, Band, band, living, panel_title, seeds_told, short_name, tasks_told
from runners.report.thinning import evenly
from runners.results.entry import Entry

if TYPE_CHECKING:
    from runners.report.drawing import Figure

FUNCTIONS = 8
"""Tasks after which the learned function is shown."""


@dataclass(frozen=True, eq=False)
class Learned:
    """One cell: the target at P places, and what was learned of it after each task that is shown."""

    title: str
    x: Float[np.ndarray, "P"]
    target: Float[np.ndarray, "P"]
    after: tuple[Band, ...]


@dataclass(frozen=True, eq=False)
class FunctionsData:
    """Learned functions of cells of one scenario.

    Args:
        heading: lines over the figure.
        titles: what stands over each column: after which task.
        cells: a row each.
    """

    heading: tuple[str, ...]
    titles: tuple[str, ...]
    cells: tuple[Learned, ...]


def functions(scenario: str, entries: list[Entry], note: str = "") -> FunctionsData:
    """Return the learned functions of cells that have some; of many tasks, those after some."""
    names = entries[0].result.tasks
    shown = evenly(len(names), FUNCTIONS)
    what = f"{scenario}: the learned function after {tasks_told(len(shown), len(names))}"
    titles = tuple(f"after task {number + 1}\n{short_name(names[number])}" for number in shown)
    cells = tuple(_learned(entry, shown) for entry in entries)
    return FunctionsData((what, f"{seeds_told(entries)}; {BAND_TOLD}", note), titles, cells)


def _learned(entry: Entry, shown: list[int]) -> Learned:
    result = entry.result
    assert result.functions is not None
    assert result.plot_x is not None
    assert result.plot_target is not None
    x, values = result.plot_x[:, 0], living(entry, result.functions[:, 1:, :, 0][:, shown])
    after = tuple(band(x, values[:, place]) for place in range(len(shown)))
    return Learned(panel_title(entry, 22), x, result.plot_target[:, 0], after)


def draw_functions(data: FunctionsData) -> "Figure":
    """Draw a row per cell and a column per task."""
    from runners.report.drawing import Figure
    from runners.report.figures.panels import heading, legend_below

    rows, columns = len(data.cells), len(data.titles)
    figure = Figure(figsize=(max(2.3 * columns + 0.8, 6.0), 1.7 * rows + 1.0), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for cell, row in zip(data.cells, axes, strict=True):
        span = float(np.ptp(cell.target)) or 1.0
        for after, ax in zip(cell.after, row, strict=True):
            ax.plot(cell.x, cell.target, color="0.65", linewidth=2.5, label="target")
            ax.fill_between(after.x, after.low, after.high, color="C0", alpha=0.3, linewidth=0)
            ax.plot(after.x, after.middle, color="C0", linewidth=1.1, label="learned (median and band)")
            ax.set_ylim(cell.target.min() - 0.5 * span, cell.target.max() + 0.5 * span)
        row[0].set_ylabel(cell.title, fontsize=7)
    for ax in axes[-1]:
        ax.set_xlabel("input x")
    for title, ax in zip(data.titles, axes[0], strict=True):
        ax.set_title(title)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    legend_below(figure, handles, labels)
    heading(figure, data.heading)
    return figure
