"""Inputs that are pictures: some samples of every task, with their targets."""

import numpy as np

from runners.authoring.previews.common import Shown, seen_part, shown_tasks
from runners.report.drawing import Axes, Figure
from scenarios import Scenario

COLUMNS = 10
"""Samples of each task."""
SHORT = 12
"""Letters of a task's number and name that fit on one line."""


def picture_figure(scenario: Scenario) -> Figure:
    """A row of samples for each task, classes in order; brightness is scaled alike for all that are shown."""
    tasks = shown_tasks(scenario)
    figure = Figure(figsize=(1.6 + 0.85 * COLUMNS, 0.9 + 1.05 * len(tasks)), layout="constrained")
    axes = figure.subplots(len(tasks), COLUMNS, squeeze=False)
    samples = [_chosen(scenario, shown) for shown in tasks]
    values = np.concatenate([x for x, _ in samples])
    low, high = float(values.min()), float(values.max())
    for shown, (x, y), row in zip(tasks, samples, axes, strict=True):
        for ax in row:
            _bare(ax)
        for ax, picture, target in zip(row, x, y, strict=False):
            _show(ax, (picture - low) / ((high - low) or 1.0), scenario.image_shape or ())
            ax.set_title(str(target) if scenario.loss == "cross-entropy" else f"{target[0]:.2g}", fontsize=8, pad=2)
        label = shown.label if len(shown.label) <= SHORT else shown.label.replace(": ", "\n", 1)
        row[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8)
    what = "class number" if scenario.loss == "cross-entropy" else "target"
    figure.supxlabel(f"training samples, each under its {what}", fontsize=8)
    return figure


def _chosen(scenario: Scenario, shown: Shown) -> tuple[np.ndarray, np.ndarray]:
    """Return samples of a task: of every class in turn, sorted by class; or from all over."""
    x, y = seen_part(scenario, shown.task)
    if scenario.loss == "cross-entropy":
        members = [np.flatnonzero(y == label) for label in np.unique(y)]
        turns = [rows[turn] for turn in range(COLUMNS) for rows in members if turn < len(rows)]
        chosen = np.array(sorted(turns[:COLUMNS], key=lambda row: (y[row], row)))
    else:
        chosen = np.linspace(0, len(x) - 1, min(COLUMNS, len(x))).round().astype(int)
    return x[chosen], y[chosen]


def _show(ax: Axes, picture: np.ndarray, shape: tuple[int, ...]) -> None:
    """Draw one picture (I,), its values from 0 to 1."""
    pixels = picture.reshape(shape)
    if pixels.ndim == 3 and pixels.shape[2] not in (3, 4):
        pixels = pixels[..., 0]
    ax.imshow(pixels, cmap="gray", vmin=0.0, vmax=1.0, interpolation="nearest")


def _bare(ax: Axes) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
