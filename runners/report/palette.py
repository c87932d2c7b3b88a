"""One look for each architecture, by its name, in every figure and on every page.

The colours were searched for: any two of them stay apart for eyes that lack one kind of cones, and each stands out from its
ground; ``tests/runners/report/test_palette.py`` says by how much. So many colours cannot differ in grey as well: there markers
and dashes tell them apart.
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product

LIGHT_GROUND = "#ffffff"
DARK_GROUND = "#16181d"

Dash = tuple[float, ...]
"""Lengths of strokes and gaps in widths of the line, as SVG has them too; empty where the line is whole."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "h", "<", ">", "p", "d")
DASHES: tuple[Dash, ...] = ((), (4, 1.5), (6, 1.5, 1, 1.5), (1, 1.2), (8, 2), (4, 1.5, 1, 1.5, 1, 1.5))


@dataclass(frozen=True)
class Style:
    """How a contender is drawn.

    Args:
        colour, dark: on light and on dark ground, ``#rrggbb``.
        marker: one of matplotlib's letters.
        dash: of its line.
        filled: whether the marker is.
    """

    colour: str
    dark: str
    marker: str
    dash: Dash
    filled: bool = True


PLACES = (
    Style("#0b5394", "#5aa9f0", "o", DASHES[0]),
    Style("#df7a00", "#ffa02e", "s", DASHES[1]),
    Style("#760fd1", "#a96cfe", "^", DASHES[2]),
    Style("#bf6fb3", "#f0aad2", "D", DASHES[3]),
    Style("#0f9ce3", "#3cd7ff", "v", DASHES[4]),
    Style("#820300", "#ba5a22", "P", DASHES[5]),
    Style("#0f8876", "#3fa375", "X", DASHES[3]),
    Style("#463750", "#ecd3d0", "*", DASHES[1]),
    Style("#8063e0", "#746cb6", "h", DASHES[0]),
    Style("#d04752", "#fd5d62", "<", DASHES[2]),
    Style("#597500", "#d5ff79", ">", DASHES[4]),
)
KNOWN = ("kan", "mlp", "kan-chebyshev", "kan-fourier", "kan-rbf", "mlp-bspline", "lookup", "linear")
"""Architectures with a place of their own, in that order; all others share the places that are left."""

TASKS = ("#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58")
"""Colours from the first task to the last on light ground: matplotlib's viridis without its lightest end."""
TASKS_DARK = ("#8a63d2", "#7f7be6", "#5c95f0", "#35a9dc", "#2fbfb4", "#5fd38d", "#a8e05f", "#f2e85c")


def style_of(architecture: str) -> Style:
    """Return the look of an architecture.

    Args:
        architecture: its registered name, or that of a file; options do not matter (``mlp:hidden=5`` is ``mlp``). A name that
            is not known has one of a few places, always the same.

    >>> style_of("kan").colour, style_of("mlp").marker, style_of("mlp:hidden=5") == style_of("mlp")
    ('#0b5394', 's', True)
    """
    name = _name(architecture)
    if name in KNOWN:
        return PLACES[KNOWN.index(name)]
    spare = PLACES[len(KNOWN) :]
    return spare[zlib.crc32(name.encode()) % len(spare)]


def styles_of(architectures: Iterable[str]) -> list[Style]:
    """Return the looks of what one figure shows.

    The first of each name has that of :func:`style_of`; further ones have its colour and, as an outline, a marker or a dash of
    their own.

    >>> kan, other, mlp = styles_of(["kan:grid=5", "kan:grid=10", "mlp"])
    >>> kan == style_of("kan"), mlp == style_of("mlp"), other.colour == kan.colour, (other.marker, other.filled)
    (True, True, True, ('^', False))
    """
    return _apart([style_of(name) for name in architectures])


def in_order(count: int) -> list[Style]:
    """Return looks for so many things that are no architectures."""
    return _apart([PLACES[number % len(PLACES)] for number in range(count)])


def task_colours(count: int, dark: bool = False) -> list[str]:
    """Return a colour for each task, ``#rrggbb``, from the first to the last: lighter and lighter, and yellower.

    >>> task_colours(2), len(set(task_colours(12)))
    (['#440154', '#6ece58'], 12)
    """
    stops = [_channels(colour) for colour in (TASKS_DARK if dark else TASKS)]
    found = []
    for number in range(count):
        place = number * (len(stops) - 1) / max(count - 1, 1)
        below = min(int(place), len(stops) - 2)
        mixed = (a + (b - a) * (place - below) for a, b in zip(stops[below], stops[below + 1], strict=True))
        found.append("#" + "".join(f"{round(channel):02x}" for channel in mixed))
    return found


def _name(architecture: str) -> str:
    """Return a spec without its options: ``mine.py:small:width=3`` is ``mine.py:small``."""
    head, _, rest = architecture.partition(".py:") if ".py:" in architecture else ("", "", architecture)
    return (f"{head}.py:" if head else "") + rest.partition(":")[0]


def _apart(wanted: list[Style]) -> list[Style]:
    """Return looks of the colours that are wanted: the first with a marker keeps it, others take what is free, as outlines."""
    keeper: dict[str, int] = {}
    for place, style in enumerate(wanted):
        keeper.setdefault(style.marker, place)
    taken = {(wanted[place].marker, wanted[place].dash) for place in keeper.values()}
    found = []
    for place, style in enumerate(wanted):
        own = style
        if keeper[style.marker] != place:
            used = {marker for marker, _ in taken}
            free = sorted((look for look in _looks(style) if look not in taken), key=lambda look: look[0] in used)
            marker, dash = free[0] if free else (style.marker, style.dash)
            own = replace(style, marker=marker, dash=dash, filled=False)
            taken.add((marker, dash))
        found.append(own)
    return found


def _looks(style: Style) -> Iterable[tuple[str, Dash]]:
    """Return all markers, each with a dash, and then with the next one, beginning after those of a style."""
    marker, dash = MARKERS.index(style.marker) + 1, DASHES.index(style.dash) + 1
    for shift, step in product(range(len(DASHES)), range(len(MARKERS))):
        yield MARKERS[(marker + step) % len(MARKERS)], DASHES[(dash + step + shift) % len(DASHES)]


def _channels(colour: str) -> list[int]:
    return [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
