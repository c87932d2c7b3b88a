"""Inputs that are pictures: some samples of every task, with their targets."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from runners.authoring.previews.common import Shown, seen_part, shown_tasks
from runners.report.numbers import two_digits
from scenarios import Scenario

if TYPE_CHECKING:
    from runners.report.drawing import Figure

COLUMNS = 10
"""Samples of each task."""
SHORT = 12
"""Letters of a task's number and name that fit on one line."""


@dataclass(frozen=True, eq=False)
class PictureRow:
    """Some samples of a task: their pixels (N, height, width) or (N, height, width, channels), from 0 to 1, and targets."""

    label: str
    pictures: np.ndarray
    targets: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class PictureData:
    """Samples of all tasks that are shown; ``what`` says what stands over each."""

    rows: tuple[PictureRow, ...]
    what: str


def picture_data(scenario: Scenario) -> PictureData:
    """Return a row of samples for each task, classes in order; brightness is scaled alike for all that are shown."""
    tasks = shown_tasks(scenario)
    samples = [_chosen(scenario, shown) for shown in tasks]
    values = np.concatenate([x for x, _ in samples])
    low, high = float(values.min()), float(values.max())
    classes = scenario.loss == "cross-entropy"
    rows = []
    for shown, (x, y) in zip(tasks, samples, strict=True):
        label = shown.label if len(shown.label) <= SHORT else shown.label.replace(": ", "\n", 1)
        targets = tuple(str(target) if classes else two_digits(target[0]) for target in y)
        rows.append(PictureRow(label, _pixels((x - low) / ((high - low) or 1.0), scenario.image_shape or ()), targets))
    return PictureData(tuple(rows), "class number" if classes else "target")


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


def _pixels(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return samples (N, I) as pictures: in grey, or in colour where they have three or four channels."""
    pictures = x.reshape(len(x), *shape)
    return pictures[..., 0] if pictures.ndim == 4 and pictures.shape[3] not in (3, 4) else pictures


def draw_pictures(data: PictureData) -> "Figure":
    """Draw a row of pictures for each task."""
    from runners.report.drawing import Figure

    figure = Figure(figsize=(1.6 + 0.85 * COLUMNS, 0.9 + 1.05 * len(data.rows)), layout="constrained")
    axes = figure.subplots(len(data.rows), COLUMNS, squeeze=False)
    for row, places in zip(data.rows, axes, strict=True):
        for ax in places:
            ax.set_xticks([])
            ax.set_yticks([])
            ax.spines[:].set_visible(False)
        for ax, picture, target in zip(places, row.pictures, row.targets, strict=False):
            ax.imshow(picture, cmap="gray", vmin=0.0, vmax=1.0, interpolation="nearest")
            ax.set_title(target, fontsize=8, pad=2)
        places[0].set_ylabel(row.label, rotation=0, ha="right", va="center", fontsize=8)
    figure.supxlabel(f"training samples, each under its {data.what}", fontsize=8)
    return figure
