"""Figures: forgetting curves, retention matrices, and the functions that were learned.

Colours are viridis, whose lightness rises with the task number, so figures survive greyscale and colour blindness. Every
figure is written as PNG and as SVG.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from runners.report.drawing import Axes, Drawing, Figure, Lost, colormaps, draw_each, named, warn
from runners.report.figures.summary_plots import summary_figures
from runners.report.pages import pages_of
from runners.report.thinning import HIGHLIGHTED, MOMENTS, QUIET, ROWS, evenly, fold, heading, legend_below, moments, ticks
from runners.results.entry import Entry
from runners.results.results import Results

BAND = (0.1, 0.9)
ALL_TASKS = 12
"""Tasks up to which every one has a colour."""
NUMBERED = 12
"""Tasks up to which a matrix shows its numbers."""
BORDERS = 20
"""Tasks up to which a line stands between any two."""
FUNCTIONS = 8
"""Tasks after which the learned function is shown."""


def draw_all(results: Results, folder: Path, lost: Lost = warn) -> Iterator[Path]:
    """Draw every figure that the results allow, one set per scenario, and yield the paths; see :mod:`runners.report.pages` for
    which cells have a panel.

    Args:
        results: what to draw.
        folder: for the files.
        lost: hears of figures that cannot be drawn; they take no others along.
    """
    folder.mkdir(parents=True, exist_ok=True)
    yield from draw_each(_figures(results), folder, lost)


def _figures(results: Results) -> Iterator[Drawing]:
    yield from summary_figures(results)
    for page in pages_of(results)[0]:
        number = f"-{page.number}" if page.number else ""
        yield f"{page.scenario}-curves{number}", partial(curves_figure, page.scenario, page.entries, page.note)
        yield f"{page.scenario}-retention{number}", partial(matrix_figure, page.scenario, page.entries, page.note)
        learned = [entry for entry in page.entries if entry.result.functions is not None]
        if learned:
            yield f"{page.scenario}-functions{number}", partial(function_figure, page.scenario, learned, page.note)


def curves_figure(scenario: str, entries: list[Entry], note: str = "") -> Figure:
    """Every task's score over the course of training, a panel per cell: median over seeds, band from 10 % to 90 %.

    Of many tasks some are in colour and some more in grey, at the ends of tasks; ``note`` is what else the title says.
    """
    columns = _columns(entries)
    rows = -(-len(entries) // columns)
    figure = Figure(figsize=(max(4.6 * columns, 6.0), 2.8 * rows + 1.0), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True)
    first = entries[0].result
    logarithmic = not first.higher_is_better[first.score]
    for entry, ax in zip(entries, axes.flat, strict=False):
        _curves_panel(ax, entry, logarithmic)
    for ax in axes.flat[len(entries) :]:
        ax.remove()
    for ax in axes[:, 0]:
        ax.set_ylabel(_score_label(entries[0]))
    handles, labels = axes[0, 0].get_legend_handles_labels()
    legend_below(figure, handles, labels, title="test score on task")
    what = f"{scenario}: every task while the next ones are learned"
    heading(figure, what, f"{_seeds(entries)}; {_band_label()}", _thinned(entries[0]), note)
    return figure


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


def _curves_panel(ax: Axes, entry: Entry, logarithmic: bool) -> None:
    result = entry.result
    tasks, shown = len(result.tasks), _highlighted(len(result.tasks))
    colours, (position, curve) = task_colours(tasks), _course(entry, shown)
    quiet = sorted(set(evenly(tasks, QUIET)) - set(shown)) if len(shown) < tasks else []
    for number in quiet:
        own = position >= number
        ax.plot(position[own], _median(curve[:, own, number]), color="0.8", linewidth=0.5, zorder=0.5)
    for number in shown:
        own = position >= (number if quiet else 0)
        low, middle, high = _band(curve[:, own, number])
        ax.fill_between(position[own], low, high, color=colours[number], alpha=0.25, linewidth=0)
        ax.plot(position[own], middle, color=colours[number], label=named(_short(result.tasks[number])), linewidth=1.4)
    for number in range(1, tasks) if tasks <= BORDERS else ():
        ax.axvline(number, color="0.8", linewidth=0.7, zorder=0)
    null = float(result.null[result.score].mean())
    ax.axhline(null, color="0.35", linewidth=0.8, linestyle=":", zorder=0)
    ends: dict[str, Any] = {"xytext": (-2, 2), "textcoords": "offset points", "ha": "right"}
    ends["bbox"] = {"facecolor": "white", "alpha": 0.6, "pad": 0.5, "linewidth": 0}
    ax.annotate("best constant", (tasks, null), fontsize=7, color="0.35", **ends)
    if not entry.alive.any():
        ax.text(0.5, 0.5, "every seed diverged", ha="center", transform=ax.transAxes)
    if logarithmic:
        ax.set_yscale("log")
    ax.set_xlim(0, tasks)
    ax.set_xticks([number - 0.5 for number in ticks(tasks)], list(map(str, ticks(tasks))))
    ax.tick_params(axis="x", length=0)
    at_ends = result.curve_task.shape[-1] > MOMENTS
    ax.set_xlabel("tasks trained so far" if at_ends else "phase of training, one per task (log of the step within each)")
    ax.set_title(_panel_title(entry))


def matrix_figure(scenario: str, entries: list[Entry], note: str = "") -> Figure:
    """The retention matrices side by side, median over seeds; of very many tasks some, evenly spaced."""
    columns = min(4, len(entries))
    rows = -(-len(entries) // columns)
    result = entries[0].result
    tasks = len(result.tasks)
    size = max(2.4, 0.52 * tasks) if tasks <= NUMBERED else 4.2
    figure = Figure(figsize=(max(size * columns + 1.2, 6.0), (size + 0.8) * rows + 0.7), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    up = result.higher_is_better[result.score]
    kept = evenly(tasks, ROWS)
    rows_kept = np.array([0, *(number + 1 for number in kept)])
    medians = [_median(_living(entry, entry.result.R[result.score][:, rows_kept][:, :, kept])) for entry in entries]
    shades = [median if up else np.log10(np.maximum(median, 1e-12)) for median in medians]
    finite = np.concatenate([shade[np.isfinite(shade)] for shade in shades])
    finite = finite if finite.size else np.zeros(1)
    low, high = (0.0, 1.0) if up and result.score == "accuracy" else (float(finite.min()), float(finite.max()))
    image = None
    for entry, median, shade, ax in zip(entries, medians, shades, axes.flat, strict=False):
        image = ax.imshow(shade, cmap="viridis" if up else "viridis_r", vmin=low, vmax=max(high, low + 1e-9), aspect="auto")
        if tasks <= NUMBERED:
            _matrix_numbers(ax, median, shade, low, high, up)
        places = [(number - 1) * (len(kept) - 1) / max(tasks - 1, 1) for number in ticks(tasks)]
        ax.set_xticks(places, list(map(str, ticks(tasks))))
        ax.set_yticks([0, *(place + 1 for place in places)], ["start", *map(str, ticks(tasks))])
        ax.set_xlabel("score on task")
        ax.set_ylabel("after task")
        ax.set_title(_panel_title(entry))
        ax.spines[:].set_visible(False)
    for ax in axes.flat[len(entries) :]:
        ax.remove()
    if image is not None:
        label = _score_label(entries[0]) if up else f"log10 of {result.score}, lower is better"
        figure.colorbar(image, ax=list(axes.flat[: len(entries)]), label=label, shrink=0.8)
    some = f"{len(kept)} of {tasks:,} tasks" if len(kept) < tasks else ""
    heading(figure, f"{scenario}: {result.score} after each task, median of {_seeds(entries)}", some, note)
    return figure


def _matrix_numbers(ax: Axes, median: np.ndarray, shade: np.ndarray, low: float, high: float, up: bool) -> None:
    for i, j in np.ndindex(*median.shape):
        value = median[i, j]
        text = (
            f"{value:.2f}"
            if 0.01 <= abs(value) < 100 or value == 0
            else f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
        )
        relative = (shade[i, j] - low) / max(high - low, 1e-9)
        light = relative > 0.6 if up else relative < 0.4
        ax.text(j, i, text, ha="center", va="center", fontsize=7, color="black" if light else "white")


def function_figure(scenario: str, entries: list[Entry], note: str = "") -> Figure:
    """The learned function after every task over the target: the KAN paper's figure. Of many tasks, some."""
    tasks = len(entries[0].result.tasks)
    shown = evenly(tasks, FUNCTIONS)
    figure = Figure(figsize=(max(2.3 * len(shown) + 0.8, 6.0), 1.7 * len(entries) + 1.0), layout="constrained")
    axes = figure.subplots(len(entries), len(shown), squeeze=False, sharex=True, sharey=True)
    for entry, row in zip(entries, axes, strict=True):
        result = entry.result
        assert result.functions is not None
        assert result.plot_x is not None
        assert result.plot_target is not None
        x, target = result.plot_x[:, 0], result.plot_target[:, 0]
        learned = _living(entry, result.functions[:, 1:, :, 0][:, shown])
        span = float(np.ptp(target)) or 1.0
        for place, ax in enumerate(row):
            low, middle, high = _band(learned[:, place])
            ax.plot(x, target, color="0.65", linewidth=2.5, label="target")
            ax.fill_between(x, low, high, color="C0", alpha=0.3, linewidth=0)
            ax.plot(x, middle, color="C0", linewidth=1.1, label="learned (median and band)")
            ax.set_ylim(target.min() - 0.5 * span, target.max() + 0.5 * span)
        row[0].set_ylabel(_panel_title(entry, 22), fontsize=7)
    for ax in axes[-1]:
        ax.set_xlabel("input x")
    for number, ax in zip(shown, axes[0], strict=True):
        ax.set_title(f"after task {number + 1}\n{_short(entries[0].result.tasks[number])}")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    legend_below(figure, handles, labels)
    after = "every task" if len(shown) == tasks else f"{len(shown)} of {tasks:,} tasks"
    heading(figure, f"{scenario}: the learned function after {after}", f"{_seeds(entries)}; {_band_label()}", note)
    return figure


def _living(entry: Entry, values: np.ndarray) -> np.ndarray:
    """Return the values of the seeds that did not diverge; all NaN if every one did."""
    return values[entry.alive] if entry.alive.any() else np.full_like(values[:1], np.nan)


def _course(entry: Entry, shown: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return where evaluations are on the axis, and the main score there of the living seeds (S, E, T).

    Of many evaluations some, those at the ends of the tasks ``shown`` among them. Where seeds took steps of their own, each is
    drawn over its own course, at the places of the one with most evaluations.
    """
    result = entry.result
    curves = result.curves[result.score]
    if result.curve_task.ndim == 1:
        kept = moments(result.curve_task, shown)
        return _position(result.curve_task, result.curve_step)[kept], _living(entry, curves[:, kept])
    own = [task >= 0 for task in result.curve_task]
    positions = [
        _position(task[there], step[there]) for task, step, there in zip(result.curve_task, result.curve_step, own, strict=True)
    ]
    longest = max(range(len(own)), key=lambda s: own[s].sum())
    shared = positions[longest][moments(result.curve_task[longest][own[longest]], shown)]
    curves = np.stack(
        [
            np.stack([np.interp(shared, position, column) for column in curve[there].T], axis=1)
            for position, curve, there in zip(positions, curves, own, strict=True)
        ]
    )
    return shared, _living(entry, curves)


def _position(task: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Place evaluations on an axis where task t fills t - 1 .. t, logarithmically in the step within the task."""
    last = np.zeros(int(task.max(initial=0)) + 1)
    np.maximum.at(last, task, step)
    return np.where(task == 0, 0.0, task - 1 + np.log1p(step) / np.log1p(np.maximum(last[task], 1)))


def _columns(entries: list[Entry]) -> int:
    strategies = len({entry.labels["strategy"] for entry in entries})
    return strategies if 1 < strategies <= 4 and len(entries) % strategies == 0 else min(3, len(entries))


def _panel_title(entry: Entry, width: int = 34) -> str:
    labels = entry.labels
    return "\n".join(fold(text, width) for text in (f"{labels['architecture']}, {labels['strategy']}", labels["policy"]))


def _score_label(entry: Entry) -> str:
    score = entry.result.score
    unit = "share of test samples" if score == "accuracy" else "target units" if score == "rmse" else "nats"
    return f"{score} ({unit})"


def _seeds(entries: list[Entry]) -> str:
    counts = sorted({len(entry.cell.seeds) for entry in entries})
    lost = sum(int((~entry.alive).sum()) for entry in entries)
    text = f"n = {' or '.join(map(str, counts))} seeds"
    return f"{text}, {lost} diverged and left out" if lost else text


def _band(values: np.ndarray) -> np.ndarray:
    """Return the low end of the band, the median and the high end over the first axis."""
    return np.quantile(values, (BAND[0], 0.5, BAND[1]), axis=0)


def _median(values: np.ndarray) -> np.ndarray:
    """Return the line of :func:`_band` alone."""
    return np.quantile(values, 0.5, axis=0)


def _band_label() -> str:
    return f"line: median, band: {BAND[0]:.0%} to {BAND[1]:.0%} of seeds"


def task_colours(count: int) -> list[tuple[float, float, float, float]]:
    """Return a colour for each task, lighter from task to task."""
    return [colormaps["viridis"](0.9 * k / max(count - 1, 1)) for k in range(count)]


def _short(name: str) -> str:
    return name if len(name) <= 18 else name[:17] + "…"
