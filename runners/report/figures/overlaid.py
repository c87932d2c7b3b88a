"""Forgetting curves of all architectures in one panel: of the tasks so far together, and of each task."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from runners.report.figures.curves import BORDERS, course
from runners.report.figures.data import (
    BAND_TOLD,
    Band,
    Planned,
    ScoreAxis,
    band,
    names_of,
    null_of,
    score_label,
    seeds_told,
    short_name,
    tasks_told,
)
from runners.report.figures.look import PLAIN, Look
from runners.report.numbers import count
from runners.report.palette import styles_of
from runners.report.thinning import NAMES, evenly, ticks
from runners.results.entry import Entry
from runners.results.results import Results

if TYPE_CHECKING:
    from runners.report.drawing import Figure

TASKS = 8
"""Tasks with a panel of their own."""
COLUMNS = 3
"""Panels side by side."""


@dataclass(frozen=True, eq=False)
class OverlaidPanel:
    """A score over the course of training, of each contender in order.

    Args:
        title: the task, or that it is the mean over those so far.
        courses: median and band over seeds.
    """

    title: str
    courses: tuple[Band, ...]


@dataclass(frozen=True, eq=False)
class OverlaidData:
    """The cells of one scenario and strategy.

    Args:
        heading: lines over the figure.
        axis: of the score.
        tasks: how many there are.
        contenders: the cells by name, each with its architecture.
        panels: the mean over the tasks so far, and then tasks.
        null: what the best constant predictor reaches.
    """

    heading: tuple[str, ...]
    axis: ScoreAxis
    tasks: int
    contenders: dict[str, str]
    panels: tuple[OverlaidPanel, ...]
    null: float


def overlaid_figures(results: Results) -> Iterator[Planned]:
    """Yield a figure for each scenario and strategy."""
    for (scenario, strategy), entries in results.groups("scenario", "strategy").items():
        yield Planned(f"{scenario}-{strategy}-curves", partial(overlaid, scenario, strategy, entries), draw_overlaid)


def overlaid(scenario: str, strategy: str, entries: list[Entry]) -> OverlaidData:
    """Return the scores of all cells over the course of training; of very many cells the first, of many tasks some."""
    cells = entries[:NAMES]
    result = cells[0].result
    shown = evenly(len(result.tasks), TASKS)
    courses = [course(entry, shown) for entry in cells]
    panels = [OverlaidPanel("mean of the tasks so far", tuple(band(x, _so_far(x, scores)) for x, scores in courses))]
    for number in shown:
        title = f"task {number + 1}: {short_name(result.tasks[number])}"
        panels.append(OverlaidPanel(title, tuple(band(x, scores[:, :, number]) for x, scores in courses)))
    told = f"{seeds_told(cells)}; {BAND_TOLD}"
    some = "" if len(shown) == len(result.tasks) else f"{tasks_told(len(shown), len(result.tasks))} have panels"
    more = f"the first {len(cells)} of {count(len(entries))} cells" if len(cells) < len(entries) else ""
    policies = {entry.labels["policy"] for entry in cells}
    return OverlaidData(
        heading=(f"{scenario}, {strategy}: every task while the next ones are learned", told, *_one(policies), some, more),
        axis=ScoreAxis(score_label(cells[0]), not result.higher_is_better[result.score]),
        tasks=len(result.tasks),
        contenders={name: entry.cell.architecture.name for name, entry in zip(names_of(cells), cells, strict=True)},
        panels=tuple(panels),
        null=null_of(cells[0]),
    )


def _one(texts: set[str]) -> tuple[str, ...]:
    return tuple(texts) if len(texts) == 1 else ()


def _so_far(x: Float[np.ndarray, "E"], scores: Float[np.ndarray, "S E T"]) -> Float[np.ndarray, "S E"]:
    """Return the mean score over the tasks that are or were in training; task t is from t to t + 1."""
    begun = np.maximum(np.ceil(x), 1)
    mask = np.arange(scores.shape[2]) < begun[:, None]
    return (scores * mask).sum(axis=2) / mask.sum(axis=1)


def draw_overlaid(data: OverlaidData, look: Look = PLAIN) -> "Figure":
    """Draw the panels, with one legend for the contenders."""
    from runners.report.drawing import named
    from runners.report.figures.panels import NULL, QUIET, arrange, drawn_as, heading, legend_below, lowest, null_handle

    count, size = len(data.panels), look.size
    columns = 2 if count in (2, 4) else min(COLUMNS, count)
    figure, axes, columns = arrange(count, columns, (3.4, 2.3), 2.3, look, beside=0.3, sharex=True, sharey=True)
    looks = dict(zip(data.contenders, styles_of(data.contenders.values()), strict=True))
    for panel, ax in zip(data.panels, axes, strict=True):
        for name, scores in zip(data.contenders, panel.courses, strict=True):
            style = looks[name]
            ax.fill_between(scores.x, scores.low, scores.high, color=style.colour, alpha=0.18, linewidth=0)
            marks: dict[str, Any] = {"markevery": max(1, len(scores.x) // 8), "markersize": 3.5 * size, "linewidth": 1.4 * size}
            ax.plot(scores.x, scores.middle, label=named(name), **drawn_as(style), **marks)
        for number in range(1, data.tasks) if data.tasks <= BORDERS else ():
            ax.axvline(number, color="0.85", linewidth=0.7 * size, zorder=0)
        ax.axhline(data.null, linewidth=0.8 * size, **QUIET)
        ax.set_title(panel.title)
    if data.axis.logarithmic:
        axes[0].set_yscale("log")
    axes[0].set_xlim(0, data.tasks)
    numbered = ticks(data.tasks)
    axes[0].set_xticks([number - 0.5 for number in numbered], list(map(str, numbered)))
    for ax in axes:
        ax.tick_params(axis="x", length=0)
    for ax in axes[::columns]:
        ax.set_ylabel(data.axis.label)
    for ax in lowest(axes, columns):
        ax.tick_params(axis="x", labelbottom=True)
        ax.set_xlabel("task in training")
    handles, labels = axes[0].get_legend_handles_labels()
    legend_below(figure, [*handles, null_handle(look)], [*labels, NULL], look=look)
    heading(figure, data.heading, look)
    return figure
