"""Figures: forgetting curves, retention matrices, and the functions that were learned.

Colours are viridis, whose lightness rises with the task number, so figures survive greyscale and colour blindness. Every
figure is written as PNG and as SVG.
"""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from runners.results import Entry, Results
from runners.summary_plots import summary_figures

BAND = (0.1, 0.9)
MAX_PANELS = 24
STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": 150,
    "svg.hashsalt": "kancl",
    "legend.frameon": False,
}


def draw_all(results: Results, folder: Path) -> Iterator[Path]:
    """Draw every figure that the results allow, one set per scenario, and yield the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        for name, figure in summary_figures(results):
            yield from _save(figure, folder / re.sub(r"[^\w.-]+", "_", name))
    for scenario in dict.fromkeys(entry.cell.asked["scenario"] for entry in results.entries):
        entries = [entry for entry in results.entries if entry.cell.asked["scenario"] == scenario]
        for part in range(0, len(entries), MAX_PANELS):
            shown = entries[part : part + MAX_PANELS]
            number = f"-{part // MAX_PANELS + 1}" if len(entries) > MAX_PANELS else ""
            name = re.sub(r"[^\w.-]+", "_", scenario)
            with mpl.rc_context(STYLE):
                yield from _save(curves_figure(scenario, shown), folder / f"{name}-curves{number}")
                yield from _save(matrix_figure(scenario, shown), folder / f"{name}-retention{number}")
                learned = [entry for entry in shown if entry.result.functions is not None]
                if learned:
                    yield from _save(function_figure(scenario, learned), folder / f"{name}-functions{number}")


def curves_figure(scenario: str, entries: list[Entry]) -> Figure:
    """Every task's score over the course of training, a panel per cell: median over seeds, band from 10 % to 90 %."""
    columns = _columns(entries)
    rows = -(-len(entries) // columns)
    figure = Figure(figsize=(4.6 * columns, 2.8 * rows + 1.0), layout="constrained")
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
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 8), title="test score on task")
    figure.suptitle(f"{scenario}: every task while the next ones are learned\n{_seeds(entries)}; {_band_label()}")
    return figure


def _curves_panel(ax: Axes, entry: Entry, logarithmic: bool) -> None:
    result = entry.result
    position, curve = _course(entry)
    for number, colour in enumerate(task_colours(len(result.tasks))):
        low, middle, high = _band(curve[:, :, number])
        ax.fill_between(position, low, high, color=colour, alpha=0.25, linewidth=0)
        ax.plot(position, middle, color=colour, label=_short(result.tasks[number]), linewidth=1.4)
    for number in range(1, len(result.tasks)):
        ax.axvline(number, color="0.8", linewidth=0.7, zorder=0)
    null = float(result.null[result.score].mean())
    ax.axhline(null, color="0.35", linewidth=0.8, linestyle=":", zorder=0)
    ends: dict[str, Any] = {"xytext": (-2, 2), "textcoords": "offset points", "ha": "right"}
    ax.annotate("best constant", (len(result.tasks), null), fontsize=7, color="0.35", **ends)
    if not entry.alive.any():
        ax.text(0.5, 0.5, "every seed diverged", ha="center", transform=ax.transAxes)
    if logarithmic:
        ax.set_yscale("log")
    ax.set_xlim(0, len(result.tasks))
    ax.set_xticks(np.arange(len(result.tasks)) + 0.5, [str(n + 1) for n in range(len(result.tasks))])
    ax.tick_params(axis="x", length=0)
    ax.set_xlabel("phase of training, one per task (log of the step within each)")
    ax.set_title(_panel_title(entry))


def matrix_figure(scenario: str, entries: list[Entry]) -> Figure:
    """The retention matrices side by side, median over seeds."""
    columns = min(4, len(entries))
    rows = -(-len(entries) // columns)
    result = entries[0].result
    size = max(2.4, 0.52 * len(result.tasks))
    figure = Figure(figsize=(size * columns + 1.2, (size + 0.8) * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    up = result.higher_is_better[result.score]
    medians = [_band(_living(entry, entry.result.R[result.score]))[1] for entry in entries]
    shades = [median if up else np.log10(np.maximum(median, 1e-12)) for median in medians]
    finite = np.concatenate([shade[np.isfinite(shade)] for shade in shades])
    finite = finite if finite.size else np.zeros(1)
    low, high = (0.0, 1.0) if up and result.score == "accuracy" else (float(finite.min()), float(finite.max()))
    image = None
    for entry, median, shade, ax in zip(entries, medians, shades, axes.flat, strict=False):
        image = ax.imshow(shade, cmap="viridis" if up else "viridis_r", vmin=low, vmax=max(high, low + 1e-9), aspect="auto")
        _matrix_numbers(ax, median, shade, low, high, up)
        ax.set_xticks(range(len(entry.result.tasks)), [str(n + 1) for n in range(len(entry.result.tasks))])
        ax.set_yticks(range(len(median)), ["start", *map(str, range(1, len(median)))])
        ax.set_xlabel("score on task")
        ax.set_ylabel("after task")
        ax.set_title(_panel_title(entry))
        ax.spines[:].set_visible(False)
    for ax in axes.flat[len(entries) :]:
        ax.remove()
    if image is not None:
        label = _score_label(entries[0]) if up else f"log10 of {result.score}, lower is better"
        figure.colorbar(image, ax=list(axes.flat[: len(entries)]), label=label, shrink=0.8)
    figure.suptitle(f"{scenario}: {result.score} after each task, median of {_seeds(entries)}")
    return figure


def _matrix_numbers(ax: Axes, median: np.ndarray, shade: np.ndarray, low: float, high: float, up: bool) -> None:
    if median.shape[1] > 12:
        return
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


def function_figure(scenario: str, entries: list[Entry]) -> Figure:
    """The learned function after every task over the target: the KAN paper's figure."""
    tasks = len(entries[0].result.tasks)
    figure = Figure(figsize=(2.3 * tasks + 0.8, 1.7 * len(entries) + 1.0), layout="constrained")
    axes = figure.subplots(len(entries), tasks, squeeze=False, sharex=True, sharey=True)
    for entry, row in zip(entries, axes, strict=True):
        result = entry.result
        assert result.functions is not None
        assert result.plot_x is not None
        assert result.plot_target is not None
        x, target = result.plot_x[:, 0], result.plot_target[:, 0]
        learned = _living(entry, result.functions[..., 0])
        span = float(np.ptp(target)) or 1.0
        for number, ax in enumerate(row):
            low, middle, high = _band(learned[:, number + 1])
            ax.plot(x, target, color="0.65", linewidth=2.5, label="target")
            ax.fill_between(x, low, high, color="C0", alpha=0.3, linewidth=0)
            ax.plot(x, middle, color="C0", linewidth=1.1, label="learned (median and band)")
            ax.set_ylim(target.min() - 0.5 * span, target.max() + 0.5 * span)
        row[0].set_ylabel(_panel_title(entry), fontsize=7)
    for ax in axes[-1]:
        ax.set_xlabel("input x")
    for number, ax in enumerate(axes[0]):
        ax.set_title(f"after task {number + 1}\n{_short(entries[0].result.tasks[number])}")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    figure.suptitle(f"{scenario}: the learned function after every task\n{_seeds(entries)}; {_band_label()}")
    return figure


def _save(figure: Figure, path: Path) -> Iterator[Path]:
    FigureCanvasAgg(figure)
    for suffix in (".png", ".svg"):
        target = path.with_name(path.name + suffix)
        figure.savefig(target, metadata={"Date": None} if suffix == ".svg" else None)
        yield target


def _living(entry: Entry, values: np.ndarray) -> np.ndarray:
    """Return the values of the seeds that did not diverge; all NaN if every one did."""
    return values[entry.alive] if entry.alive.any() else np.full_like(values[:1], np.nan)


def _course(entry: Entry) -> tuple[np.ndarray, np.ndarray]:
    """Return where evaluations are on the axis, and the main score there of the living seeds (S, E, T).

    Where seeds took steps of their own, each is drawn over its own course, at the places of the one with most evaluations.
    """
    result = entry.result
    curves = result.curves[result.score]
    if result.curve_task.ndim == 1:
        return _position(result.curve_task, result.curve_step), _living(entry, curves)
    own = [task >= 0 for task in result.curve_task]
    positions = [
        _position(task[there], step[there]) for task, step, there in zip(result.curve_task, result.curve_step, own, strict=True)
    ]
    shared = max(positions, key=len)
    curves = np.stack(
        [
            np.stack([np.interp(shared, position, column) for column in curve[there].T], axis=1)
            for position, curve, there in zip(positions, curves, own, strict=True)
        ]
    )
    return shared, _living(entry, curves)


def _position(task: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Place evaluations on an axis where task t fills t - 1 .. t, logarithmically in the step within the task."""
    last = np.array([step[task == t].max() for t in task], dtype=float)
    return np.where(task == 0, 0.0, task - 1 + np.log1p(step) / np.log1p(np.maximum(last, 1)))


def _columns(entries: list[Entry]) -> int:
    strategies = len({entry.labels["strategy"] for entry in entries})
    return strategies if 1 < strategies <= 4 and len(entries) % strategies == 0 else min(3, len(entries))


def _panel_title(entry: Entry) -> str:
    labels = entry.labels
    return "\n".join(textwrap.fill(text, 34) for text in (f"{labels['architecture']}, {labels['strategy']}", labels["policy"]))


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


def _band_label() -> str:
    return f"line: median, band: {BAND[0]:.0%} to {BAND[1]:.0%} of seeds"


def task_colours(count: int) -> list[tuple[float, float, float, float]]:
    """Return a colour for each task, lighter from task to task."""
    return [mpl.colormaps["viridis"](0.9 * k / max(count - 1, 1)) for k in range(count)]


def _short(name: str) -> str:
    return name if len(name) <= 18 else name[:17] + "…"
