"""The learned function after every task over the target: the KAN paper's figure."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from runners.report.figures.data import BAND_TOLD, Band, band, living, panel_titles, seeds_told, short_name, tasks_told
from runners.report.figures.look import PLAIN, Look
from runners.report.palette import style_of
from runners.report.thinning import evenly
from runners.results.entry import Entry

if TYPE_CHECKING:
    from runners.report.drawing import Figure

FUNCTIONS = 8
"""Tasks after which the learned function is shown."""

LEAST, BESIDE = 0.95, 0.8
"""Inches of a column, at least, and of the names of the rows."""
TARGET = "0.72"


@dataclass(frozen=True, eq=False)
class Learned:
    """One cell: the target at P places, and what was learned of it after each task that is shown."""

    title: str
    architecture: str
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
    what = f"{scenario}: the learned function from task to task"
    some = "" if len(shown) == len(names) else f"after {tasks_told(len(shown), len(names))}"
    titles = tuple(f"after task {number + 1}\n{short_name(names[number])}" for number in shown)
    names_of_rows, policy = panel_titles(entries, 22)
    cells = tuple(_learned(entry, title, shown) for entry, title in zip(entries, names_of_rows, strict=True))
    return FunctionsData((what, f"{seeds_told(entries)}; {BAND_TOLD}", policy, some, note), titles, cells)


def _learned(entry: Entry, title: str, shown: list[int]) -> Learned:
    result = entry.result
    assert result.functions is not None
    assert result.plot_x is not None
    assert result.plot_target is not None
    x, values = result.plot_x[:, 0], living(entry, result.functions[:, 1:, :, 0][:, shown])
    after = tuple(band(x, values[:, place]) for place in range(len(shown)))
    return Learned(title, entry.cell.architecture.name, x, result.plot_target[:, 0], after)


def draw_functions(data: FunctionsData, look: Look = PLAIN) -> "Figure":
    """Draw a row per cell and a column per task; where not all tasks have room, some, evenly spaced."""
    from runners.report.drawing import Line2D
    from runners.report.figures.panels import arrange, fitting, heading, legend_below, lowest

    shown = evenly(len(data.titles), fitting(len(data.titles), LEAST, look, BESIDE))
    rows, columns, size = len(data.cells), len(shown), look.size
    figure, axes, _ = arrange(
        rows * columns, columns, (2.2, 1.6), LEAST, look, beside=BESIDE, above=1.1, sharex=True, sharey=True
    )
    for row, cell in enumerate(data.cells):
        own, colour = axes[row * columns : (row + 1) * columns], style_of(cell.architecture).colour
        span = float(np.ptp(cell.target)) or 1.0
        for after, ax in zip([cell.after[place] for place in shown], own, strict=True):
            ax.plot(cell.x, cell.target, color=TARGET, linewidth=2.8 * size, label="target")
            ax.fill_between(after.x, after.low, after.high, color=colour, alpha=0.25, linewidth=0)
            ax.plot(after.x, after.middle, color=colour, linewidth=1.2 * size)
            ax.set_ylim(cell.target.min() - 0.5 * span, cell.target.max() + 0.5 * span)
        own[0].set_ylabel(cell.title, fontsize="small")
    for ax in lowest(axes, columns):
        ax.set_xlabel("input x")
    for place, ax in zip(shown, axes, strict=False):
        ax.set_title(data.titles[place])
    target, _ = axes[0].get_legend_handles_labels()
    learned = {cell.architecture: style_of(cell.architecture).colour for cell in data.cells}
    marks = [Line2D([], [], color=colour, linewidth=1.2 * size) for colour in learned.values()]
    legend_below(figure, [*target, *marks], ["target", *(f"learned by {name}" for name in learned)], look=look)
    some = tasks_told(len(shown), len(data.titles))
    heading(figure, [*data.heading, "" if len(shown) == len(data.titles) else f"after {some}"], look)
    return figure
