"""The drawing of :mod:`runners.report.figures.network_data`: pictures side by side, or one after another."""

import io
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float

from runners.report.figures.look import PLAIN, Look
from runners.report.figures.network_data import DrawnEdge, NetworkData, Picture
from runners.report.numbers import percent
from runners.report.thinning import fold
from runners.store.files import write_atomically

if TYPE_CHECKING:
    from runners.report.drawing import Axes, Figure

MOVED = "#d81b60"
LEARNED = "#4a9fd8"
EARLIER = "#d9d9d9"
GHOST = "#8a8a8a"
INK = "#1a1a1a"
POSITIVE, NEGATIVE = ("#1b7837", "#b9dcbb"), ("#762a83", "#dac6df")
"""Of weights that moved, and of those that did not; no architecture's colours, and apart for the colour-blind."""

DASHED: tuple[float, tuple[float, ...]] = (0.0, (2.5, 1.2))
"""Of negative weights."""
COLOURS = 255
"""Of an animation."""
MILLISECONDS = 1200
"""That a picture of an animation stays."""
WIDEST, NARROWEST = 13.8, 7.2
"""Inches of a figure that nobody asked a width of."""
FADING = 3.0
"""Darkness is tanh(FADING importance), as in the KAN paper (arXiv 2404.19756, section 2.5.1)."""
FAINTEST = 0.12
DENSITY = 0.28
"""Share of a box's height that data reach at most."""
LEAST = 2.1
"""Inches of a picture: its title needs them."""
MARGIN = 0.26
"""Inches around a picture, for labels of nodes."""
GAP = 0.35
"""Inches between pictures."""
TITLE = 0.4
"""Inches over a picture."""


@dataclass(frozen=True)
class Sizes:
    """A picture's width and height without margins, those of a box, and from one row of nodes to the next.

    In inches, as all lengths here, of a figure with texts of the usual size; all grow and shrink with them.
    """

    width: float
    height: float
    box: tuple[float, float]
    row: float


def draw_network(data: NetworkData, look: Look = PLAIN, only: int | None = None) -> "Figure":
    """Draw the pictures side by side, as many in a row as there is room for.

    Args:
        data: what to draw.
        look: of the figure.
        only: the number of a picture that is drawn alone; all of them if not given.
    """
    from runners.report.drawing import Figure

    size = look.size
    widest = WIDEST if look.inches is None else look.inches / size
    shown = range(len(data.pictures)) if only is None else range(only, only + 1)
    sizes = sizes_of(data, widest if look.inches is None else _share(data, widest, len(shown)))
    across, down = sizes.width + 2 * MARGIN, TITLE + sizes.height + 2 * MARGIN
    columns = max(1, min(len(shown), int((widest + GAP) / (across + GAP) + 1e-6)))
    columns = math.ceil(len(shown) / math.ceil(len(shown) / columns))
    rows = math.ceil(len(shown) / columns)
    width = max(columns * across + (columns - 1) * GAP, min(NARROWEST, widest)) if look.inches is None else widest
    heading = fold(data.heading[0], int(12 * width))
    notes = "\n".join(fold(line, int(15.5 * width)) for line in data.notes)
    names = _legend_columns(data, width)
    under = 0.28 + 0.17 * names[1] + 0.15 * (1 + notes.count("\n"))
    over = 0.4 + 0.2 * heading.count("\n")
    height = over + rows * down + (rows - 1) * GAP / 2 + under
    figure = Figure(figsize=(width * size, height * size))
    figure.text(0.5, 1 - 0.1 / height, heading, ha="center", va="top", fontsize=10 * size)
    left = (width - columns * across - (columns - 1) * GAP) / 2
    for place, number in enumerate(shown):
        row, column = divmod(place, columns)
        x, y = left + column * (across + GAP), height - over - (row + 1) * down - row * GAP / 2
        ax = figure.add_axes((x / width, y / height, across / width, (down - TITLE) / height))
        _draw_picture(ax, data, number, sizes, size)
    _legend(figure, data, 1 - (height - under) / height, names[0], size)
    figure.text(0.5, 0.08 / height, notes, ha="center", va="bottom", fontsize=7 * size, color="0.3", linespacing=1.3)
    return figure


def frames(data: NetworkData) -> Iterator[Callable[[], "Figure"]]:
    """Yield what draws each picture alone, in the order of time, all of one size."""
    for number in range(len(data.pictures)):
        yield lambda number=number: draw_network(data, only=number)  # type: ignore[misc]


def write_animation(path: Path, data: NetworkData) -> None:
    """Write a GIF with a picture for each moment, the last one longer than the others.

    Args:
        path: of the file.
        data: what to draw; matplotlib's settings are the caller's.

    Raises:
        StorageError: it cannot be written.
    """
    from PIL import Image

    from runners.report.drawing import finish, rendered

    images = [Image.open(io.BytesIO(rendered(finish(draw()), "png"))).convert("RGB") for draw in frames(data)]
    palette = images[-1].quantize(COLOURS)
    flat = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    for image in flat:  # white comes out as a light grey
        image.putpalette([255 if part > 245 else part for part in image.getpalette() or ()])
    times = [MILLISECONDS] * (len(flat) - 1) + [2 * MILLISECONDS]
    first, *others = flat

    def write(file: IO[bytes]) -> None:
        first.save(file, "GIF", save_all=True, append_images=others, duration=times, loop=0, optimize=False)

    write_atomically(path, write)


def sizes_of(data: NetworkData, widest: float = WIDEST) -> Sizes:
    """Return how large everything is: boxes as large as the row with most of them allows, up to a bound.

    Args:
        data: what is drawn.
        widest: inches that a picture can have.
    """
    widest -= 2 * MARGIN
    layers = 1 + data.edges[-1].layer
    boxes, nodes = _most(data)
    if data.kind == "weights":
        return Sizes(min(max(2.4, 0.215 * nodes), widest), 1.15 * layers, (0.0, 0.0), 1.15)
    width = min(max(2.4, min(0.75 * boxes, 3.5), min(0.5 * boxes, 6.1)), widest)
    box = min(0.88 * width / boxes, 2.3)
    tall = min(0.95 * box, 1.4)
    return Sizes(width, layers * (tall + 0.5), (box, tall), tall + 0.5)


def _most(data: NetworkData) -> tuple[int, int]:
    """Return how many boxes there are between two rows at most, and how many nodes in one."""
    boxes = Counter(edge.layer for edge in data.edges)
    return max(boxes.values()), max(Counter(node.row for node in data.nodes).values())


def _share(data: NetworkData, widest: float, count: int) -> float:
    """Return how wide a picture may be where the figure's width is given: as many stand side by side as can be read."""
    boxes, nodes = _most(data)
    least = max(LEAST, 0.12 * nodes if data.kind == "weights" else 0.3 * boxes) + 2 * MARGIN
    columns = max(1, min(count, 3, int((widest + GAP) / (least + GAP))))
    return (widest - (columns - 1) * GAP) / columns


def _draw_picture(ax: "Axes", data: NetworkData, number: int, sizes: Sizes, size: float) -> None:
    picture = data.pictures[number]
    ax.set_xlim(-MARGIN, sizes.width + MARGIN)
    ax.set_ylim(-MARGIN, sizes.height + MARGIN)
    ax.axis("off")
    ax.set_title(f"{picture.title}\n{_moved_words(data, picture)}", fontsize=8 * size, pad=2 * size, linespacing=1.25)
    if data.kind == "weights":
        _draw_weights(ax, data, picture, sizes, size)
    else:
        _draw_functions(ax, data, number, sizes, size)
    x, y = ([place(node) for node in data.nodes] for place in (lambda n: n.x * sizes.width, lambda n: n.row * sizes.row))
    ax.scatter(x, y, s=22 * size**2, color=INK, zorder=5, linewidths=0)
    for node in data.nodes:
        up = 1 if node.row else -1
        ax.text(node.x * sizes.width, node.row * sizes.row + 0.09 * up, node.label, ha="center", fontsize=7 * size,
                va="bottom" if node.row else "top")  # fmt: skip


def _moved_words(data: NetworkData, picture: Picture) -> str:
    if math.isnan(picture.moved):
        return "before any task"
    if math.isnan(picture.hit):
        return f"{percent(picture.moved)} of the {data.kind} moved"
    return f"{percent(picture.moved)} moved, {percent(picture.hit)} of earlier data hit"


def _draw_functions(ax: "Axes", data: NetworkData, number: int, sizes: Sizes, size: float) -> None:
    """Draw the edges with their boxes: data, the function, what moved of it and where it was."""
    from runners.report.drawing import Rectangle

    picture = data.pictures[number]
    before = data.pictures[number - 1].edges if number else picture.edges
    wide, tall = sizes.box
    strokes = _Strokes(size)
    for edge, own, was, points in zip(data.edges, picture.edges, before, data.points, strict=True):
        x, y = edge.x * sizes.width, (edge.layer + 0.5) * sizes.row
        dark = FAINTEST + (1 - FAINTEST) * math.tanh(FADING * own.importance)
        source, target = data.nodes[edge.source], data.nodes[edge.target]
        strokes.add([[source.x * sizes.width, x], [source.row * sizes.row, y - tall / 2]], INK, 0.9, dark)
        strokes.add([[x, target.x * sizes.width], [y + tall / 2, target.row * sizes.row]], INK, 0.9, dark)
        low, high = data.spans[edge.layer]
        corner = x - wide / 2, y - tall / 2
        frame: dict[str, Any] = {"facecolor": "white", "edgecolor": "0.55", "linewidth": 0.5 * size, "zorder": 2}
        ax.add_patch(Rectangle(corner, wide, tall, **frame))
        _draw_data(ax, own, corner, wide, tall)
        across = corner[0] + wide * (points - points[0]) / (points[-1] - points[0])

        def up(values: Float[np.ndarray, "P"], low: float = low, high: float = high, y: float = y) -> Any:
            return y - tall / 2 + tall * (0.06 + 0.88 * (values - low) / ((high - low) or 1.0))

        for run in _runs(own.moved):
            strokes.add([across[run], up(was.values[run])], GHOST, 0.8, max(dark, 0.5))
        strokes.add([across, up(own.values)], INK, 1.0, dark)
        for run in _runs(own.moved):
            strokes.add([across[run], up(own.values[run])], MOVED, 2.0, max(dark, 0.35))
    strokes.draw(ax)


class _Strokes:
    """Lines that are drawn together, which takes a small part of the time."""

    def __init__(self, size: float) -> None:
        self.size = size
        self.lines: list[np.ndarray] = []
        self.looks: list[tuple[str, float, float]] = []

    def add(self, ends: Sequence[Any], colour: str, width: float, alpha: float) -> None:
        """Add a line through points, x and y."""
        self.lines.append(np.column_stack([np.asarray(side, float) for side in ends]))
        self.looks.append((colour, width, alpha))

    def draw(self, ax: "Axes", **more: Any) -> None:
        """Draw all of them."""
        from runners.report.drawing import LineCollection, to_rgba

        colours = [to_rgba(colour, alpha) for colour, _, alpha in self.looks]
        widths = [width * self.size for _, width, _ in self.looks]
        ax.add_collection(LineCollection(self.lines, colors=colours, linewidths=widths, zorder=4, capstyle="round", **more))


def _draw_data(ax: "Axes", own: DrawnEdge, corner: tuple[float, float], wide: float, tall: float) -> None:
    """Draw how data are spread at the bottom of a box: those of earlier tasks, and before them those of the last one."""
    from runners.report.drawing import PolyCollection

    edges = np.repeat(np.linspace(0, 1, len(own.here) + 1), 2)[1:-1] * wide + corner[0]
    for density, colour, alpha in ((own.earlier, EARLIER, 1.0), (own.here, LEARNED, 0.8)):
        if density.any():
            heights = corner[1] + DENSITY * tall * np.repeat(density, 2)
            outline = np.column_stack([[edges[0], *edges, edges[-1]], [corner[1], *heights, corner[1]]])
            ax.add_collection(PolyCollection([outline], facecolors=colour, alpha=alpha, linewidths=0, zorder=3))


def _runs(mask: Bool[np.ndarray, "P"]) -> list[slice]:
    """Return where a mask holds, stretch by stretch, each with a place more on both sides, so that what it marks is a line."""
    steps = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]])))
    return [slice(max(first - 1, 0), last + 1) for first, last in steps.reshape(-1, 2).tolist()]


def _draw_weights(ax: "Axes", data: NetworkData, picture: Picture, sizes: Sizes, size: float) -> None:
    """Draw a line for each weight, those that moved over the others."""
    solid, dashed = _Strokes(size), _Strokes(size)
    pairs = zip(data.edges, picture.edges, strict=True)
    for edge, own in sorted(pairs, key=lambda pair: bool(pair[1].moved[0])):
        source, target = data.nodes[edge.source], data.nodes[edge.target]
        value, largest = float(own.values[0]), max(map(abs, data.spans[edge.layer])) or 1.0
        colour = (POSITIVE if value >= 0 else NEGATIVE)[0 if own.moved[0] else 1]
        width = 0.3 + 2.5 * abs(value) / largest if math.isfinite(value) else 0.0
        ends = [[source.x * sizes.width, target.x * sizes.width], [source.row * sizes.row, target.row * sizes.row]]
        (solid if value >= 0 else dashed).add(ends, colour, width, 1.0)
    solid.draw(ax)
    dashed.draw(ax, linestyles=[DASHED])


NAMES = {
    "functions": (
        "function",
        "moved",
        "where it was",
        "data of the task just learned",
        "data of earlier tasks (start: of all)",
    ),
    "weights": ("positive, moved", "positive", "negative, moved", "negative"),
}


def _legend_columns(data: NetworkData, width: float) -> tuple[int, int]:
    """Return in how many columns a legend fits into so many inches, and how many lines it has then."""
    names = NAMES[data.kind]
    columns = next(
        (count for count in (len(names), 3, 2) if sum(map(len, names)) * count / len(names) * 0.068 + 0.4 * count < width), 1
    )
    return columns, math.ceil(len(names) / columns)


def _legend(figure: "Figure", data: NetworkData, top: float, columns: int, size: float) -> None:
    """Say what lines and areas mean."""
    from runners.report.drawing import Line2D, Rectangle

    if data.kind == "weights":
        handles: list[Any] = [
            Line2D([], [], color=colour, linewidth=2.2 * size, linestyle=line)
            for colours, line in ((POSITIVE, (0.0, ())), (NEGATIVE, DASHED))
            for colour in colours
        ]
    else:
        handles = [
            *(
                Line2D([], [], color=colour, linewidth=width * size)
                for colour, width in ((INK, 1.0), (MOVED, 2.0), (GHOST, 0.8))
            ),
            *(Rectangle((0, 0), 1, 1, color=colour) for colour in (LEARNED, EARLIER)),
        ]
    figure.legend(
        handles, NAMES[data.kind], loc="upper center", bbox_to_anchor=(0.5, top), fontsize=7.5 * size, ncols=columns,
        borderpad=0.1, handlelength=1.6, columnspacing=1.4,
    )  # fmt: skip
