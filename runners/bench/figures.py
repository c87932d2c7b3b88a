"""Figures: step time against G and against S, as PNG and SVG.

Contenders differ in line, marker and lightness, not in colour alone, so figures survive greyscale and colour blindness.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from runners.bench.kernel import GRID_BACKWARD, GRID_STEP, STACK_STEP
from runners.measure.timing import Comparison
from runners.report.drawing import Axes, Drawing, Figure, LogLocator, StrMethodFormatter, draw_each, named
from runners.report.figures.panels import styles

SWEEPS = {
    "bench-grid": ((GRID_BACKWARD, GRID_STEP), "grid intervals G", "time against G"),
    "bench-stack": ((STACK_STEP,), "networks in the stack S", "training step per network against S"),
}


def draw_sweeps(comparisons: Sequence[Comparison], folder: Path) -> Iterator[Path]:
    """Draw the sweeps that were measured, with the first number of threads, and yield the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    yield from draw_each(_figures(comparisons), folder)


def _figures(comparisons: Sequence[Comparison]) -> Iterator[Drawing]:
    threads = comparisons[0].threads if comparisons else 1
    for name, (groups, along, title) in SWEEPS.items():
        panels: dict[str, list[Comparison]] = {}
        for comparison in comparisons:
            if comparison.threads == threads and comparison.place is not None and comparison.group.startswith(groups):
                panels.setdefault(comparison.group, []).append(comparison)
        if panels:
            yield name, partial(_figure, panels, along, f"{title}, {threads} thread{'s' if threads > 1 else ''}")


def _figure(panels: dict[str, list[Comparison]], along: str, title: str) -> Figure:
    columns = min(3, len(panels)) if len(panels) != 4 else 2
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(4.2 * columns, 3.2 * rows + 0.8), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    names = list(dict.fromkeys(t.name for points in panels.values() for c in points for t in c.timings))
    looks = dict(zip(names, styles(len(names)), strict=True))
    for (group, points), ax in zip(panels.items(), axes.flat, strict=False):
        _panel(ax, points, looks)
        ax.set_title(group.replace(": ", "\n"))
        ax.set_xlabel(along)
    for ax in axes.flat[len(panels) :]:
        ax.remove()
    for ax in axes[:, 0]:
        ax.set_ylabel("µs, median and quartiles")
    handles = {label: handle for ax in figure.axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=min(len(handles), 5))
    figure.suptitle(title)
    return figure


def _panel(ax: Axes, points: list[Comparison], looks: dict[str, dict[str, Any]]) -> None:
    for name, style in looks.items():
        found = [(point.place or 0, timing) for point in points if (timing := point.timing(name))]
        if not found:
            continue
        x = np.array([place for place, _ in found])
        low, middle, high = np.array([(t.low, t.median, t.high) for _, t in found]).T * 1e6
        ax.fill_between(x, low, high, color=style["color"], alpha=0.2, linewidth=0)
        ax.plot(x, middle, label=named(name), linewidth=1.4, markersize=4, **style)
    ax.set_xscale("log")
    ax.set_yscale("log")
    places = sorted({point.place for point in points if point.place is not None})
    ax.set_xticks(places, list(map(str, places)))
    ax.minorticks_off()
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))  # a sweep may span less than a power of ten
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
