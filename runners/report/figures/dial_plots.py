"""Figures of scores against an option of the scenario: cells whose scenarios differ in one number alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from runners.report.drawing import Axes, Drawing, Figure
from runners.report.figures.panels import draw_line, label_scores, policy_but_rate, seeds_of, styles
from runners.report.thinning import heading, legend_below
from runners.results.entry import Entry
from runners.results.results import Results

POSITIONS = 3
"""Different values of an option that a contender needs for a curve against it."""
COLUMNS = 4
"""Families side by side in one figure."""
ROWS = ("learning_score", "retention")


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


def dial_figures(results: Results) -> Iterator[Drawing]:
    """Yield names and what makes the figures: one for each option with families, up to ``COLUMNS`` of them side by side."""
    dials: dict[tuple[str, str, str], list[Family]] = {}
    for family in families(results):
        dials.setdefault((family.scenario, family.strategy, family.option), []).append(family)
    for (scenario, strategy, option), found in dials.items():
        for start in range(0, len(found), COLUMNS):
            number = f"-{start // COLUMNS + 1}" if len(found) > COLUMNS else ""
            yield f"{scenario}-{strategy}-{option}{number}", partial(dial_figure, found[start : start + COLUMNS], among=found)


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
    together: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        together.setdefault((entry.labels["architecture"], policy_but_rate(entry)), []).append(entry)
    several = len({policy for _, policy in together}) > 1
    lines: dict[str, list[Entry]] = {}
    for (architecture, policy), own in together.items():
        unique = len({entry.cell.scenario.options[option] for entry in own}) == len(own)
        for entry in own:
            words = (policy if several else "") if unique else entry.labels["policy"]
            lines.setdefault(f"{architecture}, {words}" if words else architecture, []).append(entry)
    return {name: sorted(line, key=lambda entry: float(entry.cell.scenario.options[option])) for name, line in lines.items()}


def dial_figure(shown: list[Family], among: list[Family]) -> Figure:
    """Learning score and retention against an option, a column per family: mean and 95 % interval over seeds.

    Args:
        shown: the families to draw, of one scenario, strategy and option.
        among: all families of that option: what differs between them names the columns.
    """
    first = shown[0]
    names = list(dict.fromkeys(name for family in among for name in family.lines))
    looks = dict(zip(names, styles(len(names)), strict=True))
    rows = [row for row in ROWS if row in first.entries[0].result.metrics]
    width = max(3.0 * len(shown) + 0.6, 6.0)
    figure = Figure(figsize=(width, 2.5 * len(rows) + 1.2), layout="constrained")
    axes = figure.subplots(len(rows), len(shown), squeeze=False, sharex="col", sharey="row")
    for family, column in zip(shown, axes.T, strict=True):
        for ax, metric in zip(column, rows, strict=True):
            for name, line in family.lines.items():
                draw_line(ax, [family.place(entry) for entry in line], line, metric, name, looks[name])
            if metric != "retention":
                _null_curve(ax, family)
        column[0].set_title(_differing(family, among))
        column[-1].set_xlabel(first.option)
    for ax, metric in zip(axes[:, 0], rows, strict=True):
        label_scores(ax, metric, first.entries[0])
    drawn = [ax.get_legend_handles_labels() for ax in axes[0]]
    legend = {label: handle for handles, labels in drawn for handle, label in zip(handles, labels, strict=True)}
    legend_below(figure, legend.values(), list(legend))
    seeds = seeds_of([entry for family in shown for entry in family.entries])
    heading(figure, f"{first.scenario}, {first.strategy}: against {first.option}", f"{seeds}; mean and 95 % interval")
    return figure


def _differing(family: Family, among: list[Family]) -> str:
    """Return the fixed options in which a family differs from others of the same option."""
    told = [key for key in family.fixed if len({repr(other.fixed[key]) for other in among}) > 1]
    return ", ".join(f"{key}={_show(family.fixed[key])}" for key in told)


def _show(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else "none" if value is None else str(value)


def _null_curve(ax: Axes, family: Family) -> None:
    null: dict[float, list[float]] = {}
    for entry in family.entries:
        null.setdefault(family.place(entry), []).append(float(entry.result.null[entry.result.score].mean()))
    x = sorted(null)
    ax.plot(
        x, [np.mean(null[place]) for place in x], color="0.35", linewidth=0.8, linestyle=":", label="best constant", zorder=0
    )
