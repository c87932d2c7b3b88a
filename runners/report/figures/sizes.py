"""Scores against the number of parameters: does size cure forgetting?"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from kancl.models.matching import DEFAULT_OPTIONS
from kancl.options import parse_spec
from runners.report.figures.data import (
    INTERVAL_TOLD,
    Line,
    Planned,
    ScoreAxis,
    line,
    metric_axis,
    null_of,
    policy_but_rate,
    seeds_told,
)
from runners.report.figures.look import PLAIN, Look
from runners.report.palette import styles_of
from runners.results.entry import Entry, grouped
from runners.results.results import Results

if TYPE_CHECKING:
    from runners.report.drawing import Axes, Figure

METRICS = ("learning_score", "final_score", "retention")
"""Those that have a panel."""
NAME, FRAME = 0.5, 1.0
"""Inches of a size along the axis, and of what stands beside the axis."""
SIZES = 3
"""Different sizes that an architecture needs for a curve against size."""


@dataclass(frozen=True, eq=False)
class SizePanel:
    """One metric: a line per architecture and policy, and what the best constant predictor reaches, if that can be compared."""

    axis: ScoreAxis
    lines: tuple[Line, ...]
    null: float | None


@dataclass(frozen=True, eq=False)
class SizeData:
    """Metrics of one scenario and strategy against size.

    Args:
        heading: lines over the figure.
        panels: one per metric.
        ticks: sizes that are named along the axis, where these are close together; else round numbers are.
    """

    heading: tuple[str, ...]
    panels: tuple[SizePanel, ...]
    ticks: tuple[int, ...] | None


def size_figures(results: Results) -> Iterator[Planned]:
    """Yield a figure for each scenario and strategy that has cells of three sizes and more."""
    for (scenario, strategy), group in results.groups("scenario", "strategy").items():
        families = families_of(group)
        if families:
            yield Planned(f"{scenario}-{strategy}-size", partial(sizes, scenario, strategy, families), draw_sizes)


def families_of(entries: list[Entry]) -> dict[str, list[Entry]]:
    """Return the entries of each architecture and policy that come in several sizes, the small ones first."""
    kept = {}
    for name, own in grouped(entries, _family).items():
        if len({entry.result.parameters for entry in own}) >= SIZES:
            kept[name] = sorted(own, key=lambda entry: entry.result.parameters)
    return kept


def _family(entry: Entry) -> str:
    """Return what cells have in common that differ in size alone: everything but widths, numbers of functions, and the rate."""
    cell = entry.cell
    said = parse_spec(cell.asked["architecture"]).options
    rest = ",".join(f"{key}={value}" for key, value in sorted(said.items()) if key not in DEFAULT_OPTIONS)
    return f"{cell.architecture.name}{':' if rest else ''}{rest}, {policy_but_rate(entry)}"


def sizes(scenario: str, strategy: str, families: dict[str, list[Entry]]) -> SizeData:
    """Return learning score, final score and retention against the number of parameters: mean and interval over seeds."""
    everyone = [entry for entries in families.values() for entry in entries]
    first = everyone[0]
    shown = [metric for metric in METRICS if metric in first.result.metrics]
    panels = tuple(_panel(metric, families, first) for metric in shown)
    heading = (
        f"{scenario}, {strategy}: does size cure forgetting?",
        f"{seeds_told(everyone, lost=False)}; {INTERVAL_TOLD}",
    )
    return SizeData(heading, panels, _ticks([entry.result.parameters for entry in everyone]))


def _ticks(sizes: list[int]) -> tuple[int, ...] | None:
    """Return the ends and the round numbers between them; None where these are two and more, so that they are enough.

    >>> _ticks([1100, 1500, 3700]), _ticks([80, 900])
    ((1100, 2000, 3700), None)
    """
    low, high = min(sizes), max(sizes)
    between = [base * 10**power for power in range(12) for base in (1, 2, 5) if low < base * 10**power < high]
    return None if len(between) > 1 else tuple(sorted({low, *between, high}))


def _panel(metric: str, families: dict[str, list[Entry]], first: Entry) -> SizePanel:
    lines = (line(name, [float(entry.result.parameters) for entry in own], own, metric) for name, own in families.items())
    return SizePanel(metric_axis(metric, first), tuple(lines), None if metric == "retention" else null_of(first))


def draw_sizes(data: SizeData, look: Look = PLAIN) -> "Figure":
    """Draw the panels side by side, sizes on a logarithmic axis; those of scores share one scale."""
    from runners.report.figures.panels import (
        NULL,
        QUIET,
        arrange,
        draw_line,
        heading,
        legend_below,
        lowest,
        name_scores,
        null_handle,
    )

    figure, axes, columns = arrange(len(data.panels), len(data.panels), (3.6, 3.0), 2.2, look, sharex=True)
    scored = [ax for ax, panel in zip(axes, data.panels, strict=True) if panel.null is not None]
    for ax, panel in zip(axes, data.panels, strict=True):
        if panel.null is not None:
            ax.sharey(scored[0])
            ax.axhline(panel.null, linewidth=0.8 * look.size, **QUIET)
        for own, style in zip(panel.lines, styles_of(each.architecture for each in panel.lines), strict=True):
            draw_line(ax, own, style, look)
    _count_along(axes[0], data, figure.get_figwidth() / look.size / columns)
    for ax in lowest(axes, columns):
        ax.set_xlabel("trained parameters")
    for ax, panel in zip(axes, data.panels, strict=True):
        name_scores(ax, panel.axis)
    handles, labels = axes[0].get_legend_handles_labels()
    null = [(null_handle(look), NULL)] if scored else []
    legend_below(figure, [*handles, *(handle for handle, _ in null)], [*labels, *(name for _, name in null)], look=look)
    heading(figure, data.heading, look)
    return figure


def _count_along(ax: "Axes", data: SizeData, room: float) -> None:
    """Name sizes along a logarithmic axis of so many inches; matplotlib names too many where they are close together."""
    from runners.report.drawing import LogLocator, NullFormatter, StrMethodFormatter

    ax.set_xscale("log")
    if data.ticks is None:
        shown = np.concatenate([own.x for own in data.panels[0].lines])
        every = NAME * 3 * np.log10(shown.max() / shown.min()) < room - FRAME
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if every else (1.0,)))
    else:
        ax.set_xticks(data.ticks if NAME * len(data.ticks) < room - FRAME else data.ticks[:: len(data.ticks) - 1])
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
