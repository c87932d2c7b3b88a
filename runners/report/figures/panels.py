"""What the drawings of several figures share: styles, panels, lines with intervals, headings and legends.

Contenders differ in colour, marker and line (:mod:`runners.report.palette`), and tasks in lightness, so figures survive
greyscale and colour blindness. Lengths are inches, and points of texts and lines, where nothing is asked for: a
:class:`runners.report.figures.look.Look` makes all of them larger or smaller alike.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from runners.report.drawing import Artist, Axes, Figure, Line2D, LogLocator, NullFormatter, Rectangle, StrMethodFormatter, named
from runners.report.figures.data import Line, ScoreAxis
from runners.report.figures.look import PLAIN, Look
from runners.report.palette import Style
from runners.report.thinning import NAMES, fold

BARS = 30
"""Cells on a line up to which each has its bar."""
CHARACTERS = 12.0
"""Characters of a title on an inch of a figure."""
LINE = 0.18
"""Inches of a line of a title."""
NARROWEST = 6.0
"""Inches of a figure that nobody asked a width of: its heading needs them."""
FLATTEST, TALLEST = 0.8, 1.15
"""How far panels grow or shrink in height where they do in width."""
QUIET: dict[str, Any] = {"color": "0.35", "linestyle": ":", "zorder": 0}
"""What is drawn for comparison alone."""
NULL = "best constant predictor"


def drawn_as(style: Style) -> dict[str, Any]:
    """Return what matplotlib calls a style."""
    dash = (0, style.dash) if style.dash else "-"
    face = {} if style.filled else {"markerfacecolor": "white"}
    return {"color": style.colour, "marker": style.marker, "linestyle": dash, **face}


def arrange(
    count: int,
    columns: int,
    panel: tuple[float, float],
    least: float,
    look: Look = PLAIN,
    beside: float = 0,
    above: float = 1.0,
    **shared: Any,
) -> tuple[Figure, list[Axes], int]:
    """Return a figure with ``count`` panels, these row by row, and how many stand side by side: few where it has to be narrow.

    Args:
        count: how many panels.
        columns: how many stand side by side where there is room.
        panel: width and height of one.
        least: width below which one cannot be read.
        look: of the figure.
        beside: width of what stands beside the panels.
        above: height of what stands above and below them.
        shared: which axes they share.
    """
    size = look.size
    columns = min(count, fitting(columns, least, look, beside))
    width = look.inches or size * max(panel[0] * columns + beside, NARROWEST)
    rows = -(-count // columns)
    wider = (width / size - beside) / columns / panel[0]
    height = size * (rows * panel[1] * min(TALLEST, max(FLATTEST, wider)) + above)
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **shared)
    for ax in axes.flat[count:]:
        ax.remove()
    return figure, list(axes.flat[:count]), columns


def fitting(columns: int, least: float, look: Look, beside: float = 0) -> int:
    """Return how many of so many panels have room side by side; see :func:`arrange`."""
    return columns if look.inches is None else max(1, min(columns, int((look.inches / look.size - beside) / least)))


def lowest(axes: Sequence[Axes], columns: int) -> list[Axes]:
    """Return the panels that have none below them."""
    return list(axes[max(0, len(axes) - columns) :])


def draw_line(ax: Axes, line: Line, style: Style, look: Look = PLAIN) -> None:
    """Draw a line over cells: a bar at each of few cells, a band over many."""
    drawn, size = drawn_as(style), look.size
    if len(line.x) > BARS:
        ax.fill_between(line.x, line.low, line.high, color=style.colour, alpha=0.2, linewidth=0)
        ax.plot(line.x, line.mean, label=named(line.name), linewidth=1.2 * size, markersize=2.5 * size, **drawn)
        return
    ends = (line.mean - line.low, line.high - line.mean)
    widths: dict[str, Any] = {"linewidth": 1.2 * size, "elinewidth": size, "markersize": 4.5 * size, "capsize": 2 * size}
    ax.errorbar(line.x, line.mean, ends, label=named(line.name), **widths, **drawn)


def name_scores(ax: Axes, axis: ScoreAxis) -> None:
    """Name the axis of a score, and make it logarithmic where it is."""
    if axis.logarithmic:
        logarithmic(ax)
    if axis.share:
        low, high = ax.get_ylim()
        ax.set_ylim(min(low, -0.04), max(high, 1.04))
    ax.set_ylabel(axis.label)


def logarithmic(ax: Axes, along: Literal["x", "y"] = "y") -> None:
    """Make an axis of scores logarithmic; where it spans few powers of ten, numbers between them have their names."""
    axis = ax.xaxis if along == "x" else ax.yaxis
    ax.set(**{f"{along}scale": "log"})
    low, high = axis.get_view_interval()
    if high < 100 * low:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())


def null_handle(look: Look) -> Line2D:
    """Return the mark of :data:`NULL` for a legend."""
    return Line2D([], [], linewidth=0.8 * look.size, color=QUIET["color"], linestyle=QUIET["linestyle"])


def heading(figure: Figure, lines: Iterable[str], look: Look = PLAIN) -> None:
    """Put lines over a figure, folded so that none is wider than it; beyond two the figure grows by as much."""
    width = max(24, int(CHARACTERS * figure.get_figwidth() / look.size))
    text = "\n".join(fold(line, width) for line in lines if line)
    figure.set_figheight(figure.get_figheight() + look.size * LINE * max(0, text.count("\n") - 1))
    figure.suptitle(text)


def legend_below(
    figure: Figure, handles: Iterable[Artist], labels: Sequence[str], title: str | None = None, look: Look = PLAIN
) -> None:
    """Put a legend under a figure in as many columns as its width has room for; names beyond ``NAMES`` are counted."""
    shown, names = list(handles)[:NAMES], list(labels)[:NAMES]
    if len(labels) > NAMES:
        shown.append(Rectangle((0, 0), 0, 0, alpha=0))
        names.append(f"and {len(labels) - NAMES:,} more")
    room = figure.get_figwidth() / look.size
    most = max(16, int((room - 0.6) / 0.078))
    names = [fold(name, most) if max(map(len, name.splitlines()), default=0) > most else name for name in names]
    widest = max((len(line) for name in names for line in name.splitlines()), default=1)
    columns = max(1, min(len(names), int(room / (0.55 + 0.078 * widest))))
    rows = -(-len(names) // columns)
    figure.set_figheight(figure.get_figheight() + look.size * LINE * max(0, rows - 1))
    figure.legend(shown, names, loc="outside lower center", ncols=columns, title=title)
