"""What the drawings of several figures share: styles, lines with intervals, headings and legends.

Contenders differ in marker, line and lightness, and tasks in lightness, so figures survive greyscale and colour blindness.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from runners.report.drawing import Artist, Axes, Figure, Rectangle, colormaps, named
from runners.report.figures.data import Line, ScoreAxis
from runners.report.thinning import NAMES, fold

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES = ("-", "--", "-.", ":")
BARS = 30
"""Cells on a line up to which each has its bar."""
CHARACTERS = 12.0
"""Characters of a title on an inch of a figure."""
LINE = 0.18
"""Inches of a line of a title."""


def styles(count: int) -> list[dict[str, Any]]:
    """Return colour, marker and line for each of so many contenders."""
    return [
        {
            "color": colormaps["viridis"](0.85 * place / max(count - 1, 1)),
            "marker": MARKERS[place % len(MARKERS)],
            "linestyle": LINES[place % len(LINES)],
        }
        for place in range(count)
    ]


def task_colours(count: int) -> list[tuple[float, float, float, float]]:
    """Return a colour for each task, lighter from task to task."""
    return [colormaps["viridis"](0.9 * k / max(count - 1, 1)) for k in range(count)]


def panels(figure: Figure, rows: int, columns: int, used: int, **shared: Any) -> list[Axes]:
    """Return the first ``used`` places of a grid of axes, row by row; the others are left empty."""
    axes = figure.subplots(rows, columns, squeeze=False, **shared)
    for ax in axes.flat[used:]:
        ax.remove()
    return list(axes.flat[:used])


def draw_line(ax: Axes, line: Line, style: dict[str, Any]) -> None:
    """Draw a line over cells: a bar at each of few cells, a band over many."""
    if len(line.x) > BARS:
        ax.fill_between(line.x, line.low, line.high, color=style["color"], alpha=0.2, linewidth=0)
        ax.plot(line.x, line.mean, label=named(line.name), linewidth=1.2, markersize=2.5, **style)
        return
    ends = (line.mean - line.low, line.high - line.mean)
    ax.errorbar(line.x, line.mean, ends, label=named(line.name), capsize=2, linewidth=1.2, markersize=4, **style)


def name_scores(ax: Axes, axis: ScoreAxis) -> None:
    """Name the axis of a score, and make it logarithmic where it is."""
    if axis.logarithmic:
        ax.set_yscale("log")
    ax.set_ylabel(axis.label)


def heading(figure: Figure, lines: Iterable[str]) -> None:
    """Put lines over a figure, folded so that none is wider than it; beyond two the figure grows by as much."""
    width = max(24, int(CHARACTERS * figure.get_figwidth()))
    text = "\n".join(fold(line, width) for line in lines if line)
    figure.set_figheight(figure.get_figheight() + LINE * max(0, text.count("\n") - 1))
    figure.suptitle(text)


def legend_below(figure: Figure, handles: Iterable[Artist], labels: Sequence[str], title: str | None = None) -> None:
    """Put a legend under a figure in as many columns as its width has room for; names beyond ``NAMES`` are counted."""
    shown, names = list(handles)[:NAMES], list(labels)[:NAMES]
    if len(labels) > NAMES:
        shown.append(Rectangle((0, 0), 0, 0, alpha=0))
        names.append(f"and {len(labels) - NAMES:,} more")
    widest = max(map(len, names), default=1)
    columns = max(1, min(len(names), int(figure.get_figwidth() / (0.55 + 0.078 * widest))))
    figure.legend(shown, names, loc="outside lower center", ncols=columns, title=title)
