"""What the drawings of all previews share: colours of tasks and targets, scales and legends."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from runners.authoring.previews.common import Targets
from runners.report.drawing import (
    Axes,
    BoundaryNorm,
    Colormap,
    Figure,
    Line2D,
    ListedColormap,
    Normalize,
    ScalarMappable,
    SubFigure,
    colormaps,
)  # fmt: skip
from runners.report.palette import task_colours

TARGETS = ListedColormap(colormaps["magma"](np.linspace(0.0, 0.87, 256)), "targets")
"""Colours of target values: not those of the tasks, and none so bright that it vanishes on white."""
TICKS = 12
"""Classes up to which each is numbered."""

Colour = str | tuple[float, float, float]


@dataclass(frozen=True)
class Scale:
    """How values become colours."""

    colours: Colormap
    norm: Normalize
    label: str = ""
    ticks: Sequence[int] | None = None

    def add_bar(self, figure: Figure | SubFigure, axes: Axes | Sequence[Axes], **where: Any) -> None:
        """Draw the scale beside ``axes``."""
        beside = [axes] if isinstance(axes, Axes) else list(axes)
        bar = figure.colorbar(ScalarMappable(self.norm, self.colours), ax=beside, label=self.label, **where)
        if self.ticks is not None:
            bar.set_ticks(list(self.ticks), labels=list(map(str, self.ticks)))
            bar.minorticks_off()


def target_scale(targets: Targets) -> Scale:
    """Return the colours of classes, or of target values."""
    if targets.classes is None:
        return Scale(TARGETS, Normalize(targets.low, targets.high), targets.label)
    step = -(-targets.classes // TICKS)
    norm = BoundaryNorm(np.arange(targets.classes + 1) - 0.5, targets.classes)
    return Scale(ListedColormap(_class_colours(targets.classes)), norm, targets.label, range(0, targets.classes, step))


def task_scale(count: int) -> Scale:
    """Return the colours of tasks, counted from 0."""
    return Scale(ListedColormap(task_colours(count)), BoundaryNorm(np.arange(count + 1) - 0.5, count))


def _class_colours(classes: int) -> Sequence[Colour]:
    """Return colours without an order, as long as there are enough of them."""
    for name in ("tab10", "tab20"):
        colours: Sequence[Colour] = colormaps[name].colors  # type: ignore[attr-defined]
        if classes <= len(colours):
            return colours[:classes]
    return task_colours(classes)


def task_legend(figure: Figure | SubFigure, labels: Sequence[str], extra: Sequence[Line2D] = ()) -> None:
    """Name the tasks' colours to the right of all panels."""
    pairs = zip(labels, task_colours(len(labels)), strict=True)
    dots = [Line2D([], [], color=colour, marker="o", linestyle="", markersize=5, label=label) for label, colour in pairs]
    figure.legend(handles=[*dots, *extra], loc="outside right upper", title="task")
