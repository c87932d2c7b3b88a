"""Figures: step time against G and against S, as PNG and SVG.

Contenders differ in line, marker and lightness, not in colour alone, so figures survive greyscale and colour blindness.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kancl.text import counted
from runners.bench.kernel import GRID_BACKWARD, GRID_STEP, STACK_STEP
from runners.measure.timing import Comparison
from runners.report.figures.data import Band
from runners.report.figures.look import PLAIN
from runners.report.palette import Style, in_order
from runners.results.entry import grouped

if TYPE_CHECKING:
    from runners.report.drawing import Axes, Figure

SWEEPS = {
    "bench-grid": ((GRID_BACKWARD, GRID_STEP), "grid intervals G", "time against G"),
    "bench-stack": ((STACK_STEP,), "networks in the stack S", "training step per network against S"),
}


@dataclass(frozen=True, eq=False)
class SweepPanel:
    """What was timed: by contender, microseconds at each value of G or S (median and quartiles)."""

    title: str
    lines: dict[str, Band]
    places: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class SweepData:
    """Times against G or S.

    Args:
        title: over the figure.
        along: what the values are.
        contenders: of all panels: each looks alike in all of them.
        panels: one for each thing that was timed.
    """

    title: str
    along: str
    contenders: tuple[str, ...]
    panels: tuple[SweepPanel, ...]


def sweeps(comparisons: Sequence[Comparison]) -> dict[str, SweepData]:
    """Return the sweeps that were measured, with the first number of threads, by the names of their figures."""
    threads = comparisons[0].threads if comparisons else 1
    points = [comparison for comparison in comparisons if comparison.threads == threads and comparison.place is not None]
    found = {}
    for name, (groups, along, title) in SWEEPS.items():
        panels = grouped((point for point in points if point.group.startswith(groups)), lambda point: point.group)
        if panels:
            own = tuple(_panel(group, of_group) for group, of_group in panels.items())
            names = dict.fromkeys(timing.name for of_group in panels.values() for c in of_group for timing in c.timings)
            found[name] = SweepData(f"{title}, {counted(threads, 'thread')}", along, tuple(names), own)
    return found


def _panel(group: str, points: list[Comparison]) -> SweepPanel:
    lines = {}
    for name in dict.fromkeys(timing.name for point in points for timing in point.timings):
        own = [(point.place or 0, timing) for point in points if (timing := point.timing(name)) is not None]
        times = np.array([(timing.low, timing.median, timing.high) for _, timing in own]).T * 1e6
        lines[name] = Band(np.array([float(place) for place, _ in own]), *times)
    places = sorted({point.place for point in points if point.place is not None})
    return SweepPanel(group.replace(": ", "\n"), lines, tuple(places))


def draw_sweeps(comparisons: Sequence[Comparison], folder: Path) -> Iterator[Path]:
    """Draw the sweeps that were measured and yield the paths."""
    from runners.report.drawing import draw_each

    folder.mkdir(parents=True, exist_ok=True)
    yield from draw_each(((name, partial(draw_sweep, data)) for name, data in sweeps(comparisons).items()), folder)


def draw_sweep(data: SweepData) -> "Figure":
    """Draw a panel for each thing that was timed, both axes logarithmic."""
    from runners.report.figures.panels import arrange, legend_below, lowest

    count = len(data.panels)
    figure, axes, columns = arrange(count, min(3, count) if count != 4 else 2, (4.2, 3.2), 2.5, PLAIN, above=0.8)
    looks = dict(zip(data.contenders, in_order(len(data.contenders)), strict=True))
    for panel, ax in zip(data.panels, axes, strict=True):
        _draw_panel(ax, panel, looks)
    for ax in lowest(axes, columns):
        ax.set_xlabel(data.along)
    for ax in axes[::columns]:
        ax.set_ylabel("µs, median and quartiles")
    handles = {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    legend_below(figure, handles.values(), list(handles))
    figure.suptitle(data.title)
    return figure


def _draw_panel(ax: "Axes", panel: SweepPanel, looks: dict[str, Style]) -> None:
    from runners.report.drawing import LogLocator, StrMethodFormatter, named
    from runners.report.figures.panels import drawn_as

    for name, style in looks.items():
        if name in panel.lines:
            band = panel.lines[name]
            ax.fill_between(band.x, band.low, band.high, color=style.colour, alpha=0.2, linewidth=0)
            ax.plot(band.x, band.middle, label=named(name), linewidth=1.4, markersize=4, **drawn_as(style))
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xticks(panel.places, list(map(str, panel.places)))
    ax.minorticks_off()
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))  # a sweep may span less than a power of ten
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.set_title(panel.title)
