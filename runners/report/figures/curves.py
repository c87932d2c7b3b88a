"""Forgetting curves: every task's score over the course of training, a panel per cell."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from runners.report.figures.data import (
    BAND_TOLD,
    Band,
    ScoreAxis,
    band,
    living,
    median,
    null_of,
    panel_titles,
    score_label,
    seeds_told,
    short_name,
)
from runners.report.figures.look import PLAIN, Look
from runners.report.palette import task_colours
from runners.report.thinning import HIGHLIGHTED, MOMENTS, QUIET, evenly, moments, ticks
from runners.results.entry import Entry

if TYPE_CHECKING:
    from runners.report.drawing import Axes, Figure

ALL_TASKS = 12
"""Tasks up to which every one has a colour."""
BORDERS = 20
"""Tasks up to which a line stands between any two."""


@dataclass(frozen=True, eq=False)
class Trace:
    """One task's score while all are learned.

    Args:
        task: its number, from 0.
        name: as a legend has room for it.
        scores: over the phases of training: task t is in training from t to t + 1.
        seeds: the score of each living seed at the same places; a row of NaN if every one diverged.
    """

    task: int
    name: str
    scores: Band
    seeds: Float[np.ndarray, "A E"]


@dataclass(frozen=True, eq=False)
class CurvesPanel:
    """One cell.

    Args:
        title: what it is called, in lines.
        tasks: how many it has.
        traces: the tasks in colour.
        quiet: of further ones the places and the median alone.
        null: what the best constant predictor reaches.
        diverged: whether every seed did.
        at_ends: whether evaluations at the ends of tasks alone are there.
    """

    title: str
    tasks: int
    traces: tuple[Trace, ...]
    quiet: tuple[tuple[np.ndarray, np.ndarray], ...]
    null: float
    diverged: bool
    at_ends: bool


@dataclass(frozen=True, eq=False)
class CurvesData:
    """Forgetting curves of cells of one scenario.

    Args:
        heading: lines over the figure.
        columns: panels side by side.
        axis: of the score.
        panels: one per cell.
    """

    heading: tuple[str, ...]
    columns: int
    axis: ScoreAxis
    panels: tuple[CurvesPanel, ...]


def curves(scenario: str, entries: list[Entry], note: str = "") -> CurvesData:
    """Return every task's score over the course of training: median over seeds, band from 10 % to 90 %.

    Args:
        scenario: what the heading calls it.
        entries: its cells, a panel each; of many tasks some are in colour and some more in grey, at the ends of tasks.
        note: what else the heading says.
    """
    first = entries[0]
    what = f"{scenario}: every task while the next ones are learned"
    titles, policy = panel_titles(entries)
    lines = (what, f"{seeds_told(entries)}; {BAND_TOLD}", policy, _thinned(first), note)
    axis = ScoreAxis(score_label(first), not first.result.higher_is_better[first.result.score])
    return CurvesData(lines, _columns(entries), axis, tuple(map(_panel, entries, titles)))


def _columns(entries: list[Entry]) -> int:
    strategies = len({entry.labels["strategy"] for entry in entries})
    return strategies if 1 < strategies <= 4 and len(entries) % strategies == 0 else min(3, len(entries))


def _highlighted(tasks: int) -> list[int]:
    return list(range(tasks)) if tasks <= ALL_TASKS else evenly(tasks, HIGHLIGHTED)


def _thinned(entry: Entry) -> str:
    """Say what of a cell's tasks and evaluations is not in its panel."""
    result = entry.result
    tasks, shown = len(result.tasks), _highlighted(len(result.tasks))
    if tasks == len(shown):
        return ""
    quiet = len(set(evenly(tasks, QUIET)) - set(shown))
    told = f"in colour {len(shown)} of {tasks:,} tasks, in grey {quiet} more, each from its own training on"
    return told if result.curve_task.shape[-1] <= MOMENTS else f"{told}, at the ends of tasks"


def _panel(entry: Entry, title: str) -> CurvesPanel:
    result = entry.result
    tasks, shown = len(result.tasks), _highlighted(len(result.tasks))
    position, curve = course(entry, shown)
    quiet = sorted(set(evenly(tasks, QUIET)) - set(shown)) if len(shown) < tasks else []
    traces = []
    for number in shown:
        own = position >= (number if quiet else 0)
        values = curve[:, own, number]
        traces.append(Trace(number, short_name(result.tasks[number]), band(position[own], values), values))
    return CurvesPanel(
        title=title,
        tasks=tasks,
        traces=tuple(traces),
        quiet=tuple((position[position >= n], median(curve[:, position >= n, n])) for n in quiet),
        null=null_of(entry),
        diverged=not entry.alive.any(),
        at_ends=result.curve_task.shape[-1] > MOMENTS,
    )


def course(entry: Entry, shown: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return where evaluations are on the axis, and the main score there of the living seeds (S, E, T).

    Of many evaluations some, those at the ends of the tasks ``shown`` among them. Where seeds took steps of their own, each is
    drawn over its own course, at the places of the one with most evaluations.
    """
    result = entry.result
    scores = result.curves[result.score]
    if result.curve_task.ndim == 1:
        kept = moments(result.curve_task, shown)
        return _position(result.curve_task, result.curve_step)[kept], living(entry, scores[:, kept])
    own = [task >= 0 for task in result.curve_task]
    positions = [
        _position(task[there], step[there]) for task, step, there in zip(result.curve_task, result.curve_step, own, strict=True)
    ]
    longest = max(range(len(own)), key=lambda s: own[s].sum())
    shared = positions[longest][moments(result.curve_task[longest][own[longest]], shown)]
    scores = np.stack(
        [
            np.stack([np.interp(shared, position, column) for column in curve[there].T], axis=1)
            for position, curve, there in zip(positions, scores, own, strict=True)
        ]
    )
    return shared, living(entry, scores)


def _position(task: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Place evaluations on an axis where task t fills t - 1 .. t, logarithmically in the step within the task."""
    last = np.zeros(int(task.max(initial=0)) + 1)
    np.maximum.at(last, task, step)
    return np.where(task == 0, 0.0, task - 1 + np.log1p(step) / np.log1p(np.maximum(last[task], 1)))


def draw_curves(data: CurvesData, look: Look = PLAIN) -> "Figure":
    """Draw a panel per cell, with one legend for the tasks."""
    from runners.report.figures.panels import NULL, arrange, heading, legend_below, lowest, null_handle

    figure, axes, columns = arrange(len(data.panels), data.columns, (4.6, 2.6), 2.9, look, sharey=True)
    for panel, ax in zip(data.panels, axes, strict=True):
        _draw_panel(ax, panel, data.axis.logarithmic, look)
    for ax in axes[::columns]:
        ax.set_ylabel(data.axis.label)
    for ax, panel in zip(lowest(axes, columns), data.panels[-columns:], strict=True):
        ax.set_xlabel("tasks trained so far" if panel.at_ends else "task in training\n(steps within it on a log scale)")
    handles, labels = axes[0].get_legend_handles_labels()
    legend_below(figure, [*handles, null_handle(look)], [*labels, NULL], title="test score on", look=look)
    heading(figure, data.heading, look)
    return figure


def _draw_panel(ax: "Axes", panel: CurvesPanel, logarithmic: bool, look: Look) -> None:
    from runners.report.drawing import named
    from runners.report.figures.panels import QUIET

    colours, size = task_colours(panel.tasks), look.size
    for x, middle in panel.quiet:
        ax.plot(x, middle, color="0.8", linewidth=0.5 * size, zorder=0.5)
    for trace in panel.traces:
        colour, scores = colours[trace.task], trace.scores
        ax.fill_between(scores.x, scores.low, scores.high, color=colour, alpha=0.25, linewidth=0)
        ax.plot(scores.x, scores.middle, color=colour, label=named(trace.name), linewidth=1.5 * size)
    for number in range(1, panel.tasks) if panel.tasks <= BORDERS else ():
        ax.axvline(number, color="0.85", linewidth=0.7 * size, zorder=0)
    ax.axhline(panel.null, linewidth=0.8 * size, **QUIET)
    if panel.diverged:
        ax.text(0.5, 0.5, "every seed diverged", ha="center", transform=ax.transAxes)
    if logarithmic:
        ax.set_yscale("log")
    ax.set_xlim(0, panel.tasks)
    numbered = ticks(panel.tasks)
    ax.set_xticks([number - 0.5 for number in numbered], list(map(str, numbered)))
    ax.tick_params(axis="x", length=0)
    ax.set_title(panel.title)
