"""The headline: what each architecture kept and reached, a point per seed, with mean, interval and verdict."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from runners.report.figures.data import Planned
from runners.report.figures.headline_data import Block, HeadlineData, Row, Spread, headline, pages_of_headline
from runners.report.figures.look import PLAIN, Look
from runners.report.palette import Style, styles_of
from runners.report.thinning import fold
from runners.results.results import Results
from runners.results.verdicts import Comparison

if TYPE_CHECKING:
    from runners.report.drawing import Artist, Axes, Figure

__all__ = ["HeadlineData", "draw_headline", "headline", "headline_figures"]

PANEL, LEAST = 2.7, 1.7
"""Inches of an axis, and at least."""
BESIDE, BESIDE_NARROW = 4.0, 2.6
"""Inches of the names and verdicts beside the axes, and where the figure is narrow."""
ROW, FRAME = 0.25, 1.0
"""Inches of a row, and of what stands above and below those of a block."""
NARROW = 6.5
"""Inches below which names and verdicts are folded further."""


def headline_figures(results: Results, comparisons: Sequence[Comparison]) -> Iterator[Planned]:
    """Yield the headline, page by page."""
    whole = headline(results, comparisons)
    pages = pages_of_headline(whole) if whole.blocks else []
    for number, page in enumerate(pages, 1):
        name = "headline" if len(pages) == 1 else f"headline-{number}"
        yield Planned(name, partial(_itself, page), draw_headline)


def _itself(data: HeadlineData) -> HeadlineData:
    return data


def draw_headline(data: HeadlineData, look: Look = PLAIN) -> "Figure":
    """Draw a block under the other; where two axes have no room side by side, they stand one below the other, too."""
    from runners.report.drawing import Figure
    from runners.report.figures.panels import CHARACTERS, NULL, fitting, heading, legend_below, null_handle

    size = look.size
    looks = dict(zip(data.contenders, styles_of(data.contenders.values()), strict=True))
    narrow = _is_narrow(look)
    side = fitting(max(len(block.axes) for block in data.blocks), LEAST, look, BESIDE_NARROW if narrow else BESIDE)
    lines = [(block, block.axes[at : at + side], at) for block in data.blocks for at in range(0, len(block.axes), side)]
    heights = [sum(item.height for item in _items(block, narrow)) * ROW + FRAME for block, _, _ in lines]
    width = look.inches or size * (BESIDE + PANEL * side)
    figure = Figure(figsize=(width, size * (sum(heights) + 1.1)), layout="constrained")
    grid = figure.subplots(len(lines), side, squeeze=False, height_ratios=heights)
    cut = False
    for (block, axes, at), row in zip(lines, grid, strict=True):
        for place, ax in enumerate(row[: len(axes)]):
            cut |= _draw_axis(ax, block, at + place, looks, look)
            ax.tick_params(axis="y", labelleft=place == 0, length=0)
        for ax in row[len(axes) :]:
            ax.remove()
        if at == 0:
            room = int(0.85 * CHARACTERS * width / size)
            row[0].set_title(fold(block.title, room), loc="left", fontweight="bold", pad=8 * size)
            _write_verdicts(row[len(axes) - 1], block, narrow)
    nulls = any(null is not None for block in data.blocks for null in block.nulls)
    handles, labels = _marks(look)
    legend_below(figure, [*handles, *([null_handle(look)] if nulls else [])], [*labels, *([NULL] if nulls else [])], look=look)
    title, told, *more = data.heading
    heading(figure, [title, f"{told}; bars at the frame go on" if cut else told, *more], look)
    return figure


class Item(NamedTuple):
    """What stands on one line of a block: the head of a strategy, or else a row."""

    place: float
    height: float
    label: str
    row: Row | None


def _items(block: Block, narrow: bool) -> list[Item]:
    """Return the lines of a block, places and heights in rows."""
    found, place = [], 0.0
    for strategy, rows in block.groups.items():
        for name, row in [(strategy, None), *((row.name, row) for row in rows)]:
            label = fold(name, 18 if narrow else 28)
            lines = max(label.count("\n") + 1, len(_verdict(row, narrow)) if row else 0)
            height = max(1.0, 0.62 * lines)
            found.append(Item(place + height / 2, height, label, row))
            place += height
    return found


def _is_narrow(look: Look) -> bool:
    return look.inches is not None and look.inches / look.size < NARROW


def _verdict(row: Row, narrow: bool) -> list[str]:
    return [line for text in row.verdict for line in fold(text, 22 if narrow else 34).splitlines()]


def _write_verdicts(ax: "Axes", block: Block, narrow: bool) -> None:
    """Write beside the rows what the verdicts say of them."""
    for item in _items(block, narrow):
        if item.row is not None and item.row.verdict:
            weight = "bold" if item.row.favours else "normal"
            text = "\n".join(_verdict(item.row, narrow))
            ax.text(
                1.04, item.place, text, transform=ax.get_yaxis_transform(), va="center", fontsize="small", fontweight=weight
            )


def _draw_axis(ax: "Axes", block: Block, number: int, looks: dict[str, Style], look: Look) -> bool:
    """Draw one metric of a block; return whether an interval goes on beyond the frame."""
    from runners.report.figures.panels import QUIET, logarithmic

    items = _items(block, _is_narrow(look))
    low, high = ends_of(block, number)
    ax.set_xlim(low, high)
    if block.axes[number].logarithmic:
        logarithmic(ax, "x")
    cut = [_draw_row(ax, item, item.row.spreads[number], looks[item.row.name], look) for item in items if item.row is not None]
    null = block.nulls[number]
    if null is not None and low < null < high:
        ax.axvline(null, linewidth=0.8 * look.size, **QUIET)
    ax.set_ylim(sum(item.height for item in items), 0)
    ax.set_yticks([item.place for item in items], [item.label for item in items])
    for item, label in zip(items, ax.get_yticklabels(), strict=True):
        label.set_fontstyle("normal" if item.row else "italic")
    ax.set_xlabel(block.axes[number].label)
    ax.grid(axis="x", color="0.9", linewidth=0.6 * look.size)
    ax.set_axisbelow(True)
    ax.spines["left"].set_visible(False)
    return any(cut)


def _draw_row(ax: "Axes", item: Item, spread: Spread, style: Style, look: Look) -> bool:
    """Draw the seeds, the interval and the mean of one cell; return whether the interval goes on beyond the frame."""
    from runners.report.figures.panels import drawn_as

    if spread.missing:
        where: dict[str, Any] = {"ha": "center", "va": "center", "transform": ax.get_yaxis_transform()}
        where["bbox"] = {"facecolor": "white", "linewidth": 0, "pad": 1}
        ax.text(0.5, item.place, spread.missing, color="0.4", fontsize="small", **where)
        return False
    size, count = look.size, len(spread.seeds)
    across = item.place + 0.56 * (np.arange(count) / max(count - 1, 1) - 0.5)
    ax.plot(spread.seeds, across, color=style.colour, **_dots(size))
    mean, start, end, _ = spread.interval
    low, high = ax.get_xlim()
    bar: dict[str, Any] = {"color": style.colour, "linewidth": 1.6 * size, "solid_capstyle": "butt"}
    if spread.interval.n > 1:
        ax.plot([max(start, low), min(end, high)], [item.place] * 2, **bar)
    ax.plot([mean], [item.place], zorder=3, **drawn_as(style) | {"linestyle": "none", "markersize": 6 * size})
    return spread.interval.n > 1 and (start < low or end > high)


def _dots(size: float) -> dict[str, Any]:
    return {"marker": "o", "markersize": 3 * size, "markeredgewidth": 0, "alpha": 0.45, "linestyle": "none", "clip_on": False}


def ends_of(block: Block, number: int) -> tuple[float, float]:
    """Return the ends of an axis: all seeds have room, shares all from 0 to 1, and intervals only as far as that goes."""
    axis, null = block.axes[number], block.nulls[number]
    seeds = np.concatenate([row.spreads[number].seeds for row in block.rows])
    values = np.append(seeds, [] if null is None else [null])
    if not len(values):
        return (0.1, 1.0) if axis.logarithmic else (0.0, 1.0)
    low, high = float(values.min()), float(values.max())
    if axis.logarithmic:
        low = low if low > 0 else float(min(values[values > 0], default=0.1))
        return low / 1.6, max(high, low) * 1.6
    if axis.share:
        low, high = min(low, 0.0), max(high, 1.0)
    room = 0.04 * (high - low) or 0.5
    return low - room, high + room


def _marks(look: Look) -> tuple[list["Artist"], list[str]]:
    """Return what the marks mean, for the legend."""
    from runners.report.drawing import Line2D

    grey, size = "0.3", look.size
    seed = Line2D([], [], color=grey, **_dots(size))
    mean = Line2D([], [], color=grey, marker="o", markersize=6 * size, linewidth=1.6 * size)
    return [seed, mean], ["one seed", "mean and 95 % interval"]
