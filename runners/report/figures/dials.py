"""Scores against an option of the scenario: cells whose scenarios differ in one number alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

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
    from runners.report.drawing import Figure

POSITIONS = 3
"""Different values of an option that a contender needs for a curve against it."""
COLUMNS = 4
"""Families side by side in one figure."""
LEAST, BESIDE = 1.8, 0.6
"""Inches of a family, at least, and of what stands beside all of them."""
METRICS = ("learning_score", "retention")
"""Those that are drawn, a row each."""


@dataclass(frozen=True)
class Family:
    """Cells of one scenario and strategy that differ in one numeric option of the scenario, and in what is trained on it.

    Args:
        scenario: the scenario's name.
        strategy: as it was asked for.
        option: the one that differs.
        fixed: all others.
        lines: by contender, its cells in order of the option.
    """

    scenario: str
    strategy: str
    option: str
    fixed: dict[str, object]
    lines: dict[str, list[Entry]]

    @property
    def entries(self) -> list[Entry]:
        """All cells."""
        return [entry for line in self.lines.values() for entry in line]

    def place(self, entry: Entry) -> float:
        """Return a cell's value of the option."""
        return float(entry.cell.scenario.options[self.option])


@dataclass(frozen=True, eq=False)
class DialPanel:
    """One metric of one family: a line per contender, and what the best constant predictor reaches at P places, if that can be
    compared: (x, y)."""

    lines: tuple[Line, ...]
    null: tuple[Float[np.ndarray, "P"], Float[np.ndarray, "P"]] | None


@dataclass(frozen=True, eq=False)
class DialData:
    """Metrics against an option: a row per metric, a column per family.

    Args:
        heading: lines over the figure.
        option: the one along all columns.
        titles: what tells the families apart, one per column.
        axes: one per row.
        contenders: of all families of the option, those of other figures among them, each with its architecture: each looks
            alike everywhere.
        panels: by row and column.
    """

    heading: tuple[str, ...]
    option: str
    titles: tuple[str, ...]
    axes: tuple[ScoreAxis, ...]
    contenders: dict[str, str]
    panels: tuple[tuple[DialPanel, ...], ...]


def dial_figures(results: Results) -> Iterator[Planned]:
    """Yield a figure for each option with families, up to ``COLUMNS`` of them side by side."""
    kinds = grouped(families(results), lambda family: (family.scenario, family.strategy, family.option))
    for (scenario, strategy, option), found in kinds.items():
        for start in range(0, len(found), COLUMNS):
            number = f"-{start // COLUMNS + 1}" if len(found) > COLUMNS else ""
            name = f"{scenario}-{strategy}-{option}{number}"
            yield Planned(name, partial(dials, found[start : start + COLUMNS], among=found), draw_dials)


def families(results: Results) -> list[Family]:
    """Find the families in which some contender was run at three values of an option, or more."""
    found: dict[tuple[str, ...], list[Entry]] = {}
    for entry in results.entries:
        options = entry.cell.scenario.options
        for option, value in options.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                rest = repr(sorted((key, other) for key, other in options.items() if key != option))
                found.setdefault((entry.cell.scenario.name, entry.labels["strategy"], option, rest), []).append(entry)
    kept = []
    for (scenario, strategy, option, _), entries in found.items():
        fixed = {key: value for key, value in entries[0].cell.scenario.options.items() if key != option}
        family = Family(scenario, strategy, option, fixed, _lines(entries, option))
        if any(len({family.place(entry) for entry in line}) >= POSITIONS for line in family.lines.values()):
            kept.append(family)
    return kept


def _lines(entries: list[Entry], option: str) -> dict[str, list[Entry]]:
    """Return the cells by contender: the architecture as it was asked for, whatever size and rate are advised where; its whole
    policy too where two cells would else be one point."""
    together = grouped(entries, lambda entry: (entry.labels["architecture"], policy_but_rate(entry)))
    several = len({policy for _, policy in together}) > 1
    lines: dict[str, list[Entry]] = {}
    for (architecture, policy), own in together.items():
        unique = len({entry.cell.scenario.options[option] for entry in own}) == len(own)
        for entry in own:
            words = (policy if several else "") if unique else entry.labels["policy"]
            lines.setdefault(f"{architecture}, {words}" if words else architecture, []).append(entry)
    return {name: sorted(line, key=lambda entry: float(entry.cell.scenario.options[option])) for name, line in lines.items()}


def dials(shown: list[Family], among: list[Family]) -> DialData:
    """Return learning score and retention against an option: mean and 95 % interval over seeds.

    Args:
        shown: the families to draw, of one scenario, strategy and option.
        among: all families of that option: what differs between them names the columns.
    """
    first = shown[0]
    metrics = [metric for metric in METRICS if metric in first.entries[0].result.metrics]
    seeds = seeds_told([entry for family in shown for entry in family.entries], lost=False)
    return DialData(
        heading=(
            f"{first.scenario}, {first.strategy}: what is learned and kept against {first.option}",
            f"{seeds}; {INTERVAL_TOLD}",
        ),
        option=first.option,
        titles=tuple(_differing(family, among) for family in shown),
        axes=tuple(metric_axis(metric, first.entries[0]) for metric in metrics),
        contenders={name: own[0].cell.architecture.name for family in among for name, own in family.lines.items()},
        panels=tuple(tuple(_panel(family, metric) for family in shown) for metric in metrics),
    )


def _panel(family: Family, metric: str) -> DialPanel:
    lines = (line(name, [family.place(entry) for entry in own], own, metric) for name, own in family.lines.items())
    return DialPanel(tuple(lines), None if metric == "retention" else _nulls(family))


def _nulls(family: Family) -> tuple[np.ndarray, np.ndarray]:
    """Return what the best constant predictor reaches at each value of the option: mean over the cells there."""
    found = grouped(family.entries, family.place)
    places = sorted(found)
    return np.array(places), np.array([np.mean([null_of(entry) for entry in found[place]]) for place in places])


def _differing(family: Family, among: list[Family]) -> str:
    """Return the fixed options in which a family differs from others of the same option."""
    told = [key for key in family.fixed if len({repr(other.fixed[key]) for other in among}) > 1]
    return ", ".join(f"{key}={_show(family.fixed[key])}" for key in told)


def _show(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else "none" if value is None else str(value)


def draw_dials(data: DialData, look: Look = PLAIN) -> "Figure":
    """Draw the panels, with one legend for the contenders; families that have no room beside the others stand below them."""
    from runners.report.figures.panels import (
        NULL,
        QUIET,
        arrange,
        draw_line,
        fitting,
        heading,
        legend_below,
        name_scores,
        null_handle,
    )

    looks = dict(zip(data.contenders, styles_of(data.contenders.values()), strict=True))
    rows, families = len(data.axes), len(data.titles)
    side = fitting(families, LEAST, look, BESIDE)
    figure, axes, _ = arrange(
        -(-families // side) * rows * side, side, (3.0, 2.5), LEAST, look, beside=BESIDE, above=1.2, sharex=True
    )
    for row, (axis, panels) in enumerate(zip(data.axes, data.panels, strict=True)):
        own = [axes[(family // side * rows + row) * side + family % side] for family in range(families)]
        for ax, panel in zip(own, panels, strict=True):
            ax.sharey(own[0])
            for one in panel.lines:
                draw_line(ax, one, looks[one.name], look)
            if panel.null is not None:
                ax.plot(*panel.null, linewidth=0.8 * look.size, **QUIET)
        name_scores(own[0], axis)
        for family, ax in enumerate(own):
            ax.tick_params(axis="y", labelleft=family % side == 0)
            ax.set_ylabel(own[0].get_ylabel() if family % side == 0 else "")
            if row == 0:
                ax.set_title(data.titles[family])
            if row == rows - 1:
                ax.set_xlabel(data.option)
    for ax in axes:
        if not ax.has_data():
            ax.remove()
    drawn = [ax.get_legend_handles_labels() for ax in figure.axes]
    legend = {label: handle for handles, labels in drawn for handle, label in zip(handles, labels, strict=True)}
    legend_below(figure, [*legend.values(), null_handle(look)], [*legend, NULL], look=look)
    heading(figure, data.heading, look)
    return figure
