"""What the drawings of the report share: scales, axes, lines and bands in SVG, colours for light and dark ground."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from runners.report import palette
from runners.report.html.markup import Markup, tag
from runners.report.numbers import in_little_room, short

TICKS = 5
"""Numbers along an axis, about."""
LETTER = 5.6
"""Width of a letter of a label, in the units of a drawing."""


@dataclass(frozen=True)
class Scale:
    """Values along an axis and where they are drawn.

    Args:
        low, high: the ends as values.
        start, end: the ends in the drawing.
        logarithmic: whether it is; values must then be positive.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, values: Any) -> Any:
        """Return where values are."""
        own, low, high = (np.asarray(value, dtype=float) for value in (values, self.low, self.high))
        if self.logarithmic:
            with np.errstate(divide="ignore", invalid="ignore"):
                own, low, high = np.log10(own), np.log10(low), np.log10(high)
        return self.start + (own - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> list[tuple[float, str]]:
        """Return round values along the axis, and how they are written."""
        if self.logarithmic:
            return [(value, in_little_room(value).rstrip("0").rstrip(".") or "0") for value in _decades(self.low, self.high)]
        step = _round_step((self.high - self.low) / TICKS)
        first = math.ceil(self.low / step - 1e-9)
        values = [number * step for number in range(first, math.floor(self.high / step + 1e-9) + 1)]
        return [(value, short(round(value, 12))) for value in values]


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(base * power for base in (1, 2, 5, 10) if base * power >= rough * 0.999)


def _decades(low: float, high: float) -> list[float]:
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    if last - first < 1:
        powers = range(math.floor(math.log10(low)), last + 1)
        found = [base * 10.0**power for power in powers for base in (1, 2, 5) if low <= base * 10.0**power <= high]
        return found or [low, high]
    every = max(1, math.ceil((last - first) / TICKS))
    return [10.0**power for power in range(first, last + 1, every)]


def span_of(values: Iterable[Any], logarithmic: bool = False, room: float = 0.04) -> tuple[float, float]:
    """Return the ends of an axis for some values, with a little room; of those that cannot be drawn none counts."""
    arrays = [np.asarray(value, dtype=float).ravel() for value in values]
    flat = np.concatenate(arrays) if arrays else np.zeros(0)
    flat = flat[np.isfinite(flat) & ((flat > 0) | (not logarithmic))]
    if not flat.size:
        return (0.1, 1.0) if logarithmic else (0.0, 1.0)
    low, high = float(flat.min()), float(flat.max())
    if logarithmic:
        ratio = max(high / low, 2.0) ** room
        return low / ratio, high * ratio
    extra = room * (high - low) or max(abs(high), 1.0) * room
    return low - extra, high + extra


@dataclass(frozen=True)
class Box:
    """A drawing and the place of its axes in it, in units of about a pixel."""

    width: float = 340
    height: float = 212
    left: float = 50
    right: float = 8
    top: float = 8
    bottom: float = 36

    def x(self, low: float, high: float, logarithmic: bool = False) -> Scale:
        """Return a scale from left to right."""
        return Scale(low, high, self.left, self.width - self.right, logarithmic)

    def y(self, low: float, high: float, logarithmic: bool = False) -> Scale:
        """Return a scale from below to above."""
        return Scale(low, high, self.height - self.bottom, self.top, logarithmic)

    def svg(self, *content: object, label: str, **attributes: object) -> Markup:
        """Return the drawing; ``label`` is told to those who do not see it."""
        view = f"0 0 {number(self.width)} {number(self.height)}"
        return tag("svg", *content, viewBox=view, role="img", aria_label=label, **attributes)

    def axes(
        self,
        x: Scale,
        y: Scale,
        x_label: str,
        y_label: str,
        x_ticks: Sequence[tuple[float, str]] | None = None,
        grid: bool = True,
    ) -> Markup:
        """Return both axes with their numbers and names.

        Args:
            x, y: the scales.
            x_label, y_label: the names.
            x_ticks: what stands along x in place of round values.
            grid: whether lines go through the numbers of y.
        """
        bottom = self.height - self.bottom
        parts = [tag("line", class_="axis", x1=x.start, x2=x.end, y1=bottom, y2=bottom)]
        parts.append(tag("line", class_="axis", x1=self.left, x2=self.left, y1=y.start, y2=y.end))
        for value, text in y.ticks():
            at = number(y(value))
            if grid:
                parts.append(tag("line", class_="grid", x1=x.start, x2=x.end, y1=at, y2=at))
            parts.append(tag("text", text, x=self.left - 4, y=at, class_="tick end middle"))
        for value, text in x.ticks() if x_ticks is None else x_ticks:
            parts.append(tag("text", text, x=number(x(value)), y=bottom + 13, class_="tick centre"))
        middle = number((y.start + y.end) / 2)
        parts.append(tag("text", x_label, x=number((x.start + x.end) / 2), y=self.height - 5, class_="name centre"))
        turn = f"translate(11 {middle}) rotate(-90)"
        parts.append(tag("text", y_label, transform=turn, class_="name centre"))
        return tag("g", *parts, class_="axes")


def number(value: Any) -> str:
    """Return a coordinate with a tenth of a unit.

    >>> number(12.04), number(3.16)
    ('12', '3.2')
    """
    return f"{float(value):.1f}".removesuffix(".0")


def path(x: Any, y: Any) -> str:
    """Return a line through points as the ``d`` of a path; it is interrupted where a point is not finite."""
    parts, pen = [], "M"
    for a, b in zip(np.asarray(x, dtype=float).tolist(), np.asarray(y, dtype=float).tolist(), strict=True):
        if math.isfinite(a) and math.isfinite(b):
            parts.append(f"{pen}{number(a)} {number(b)}")
            pen = "L"
        else:
            pen = "M"
    return "".join(parts)


def band(x: Any, low: Any, high: Any) -> str:
    """Return the area between two lines as the ``d`` of a path; empty where an end of it is not finite."""
    whole = np.isfinite(x) & np.isfinite(low) & np.isfinite(high)
    parts = []
    places = np.flatnonzero(whole)
    for run in np.split(places, np.flatnonzero(np.diff(places) > 1) + 1):
        if len(run):
            there = path(np.concatenate([x[run], x[run][::-1]]), np.concatenate([high[run], low[run][::-1]]))
            parts.append(f"{there}Z")
    return "".join(parts)


def floored(values: np.ndarray, scale: Scale) -> np.ndarray:
    """Return values as a scale can draw them: what a logarithmic one has no place for lies at its lower end."""
    return np.where(values <= scale.low, scale.low, values) if scale.logarithmic else values


def two_colours(light: str, dark: str) -> str:
    """Return a style that gives an element its colour on a light and on a dark ground."""
    return f"--c:light-dark({light},{dark})"


def task_colours(count: int) -> list[str]:
    """Return a style for each task, see :func:`two_colours`."""
    pairs = zip(palette.task_colours(count), palette.task_colours(count, dark=True), strict=True)
    return [two_colours(light, dark) for light, dark in pairs]


def hexadecimal(colour: Sequence[float]) -> str:
    """Return red, green and blue, 0 to 1, as CSS writes them."""
    return "#" + "".join(f"{round(255 * part):02x}" for part in colour[:3])


def style_colours(style: palette.Style) -> str:
    """Return the colours of a contender, see :func:`two_colours`."""
    return two_colours(style.colour, style.dark)


def marker(shape: str, x: Any, y: Any, size: float = 3.4) -> str:
    """Return a mark as the ``d`` of a path, by matplotlib's letter for it; a circle for those that are not known."""
    a, b, r = float(x), float(y), size
    if not (math.isfinite(a) and math.isfinite(b)):
        return ""
    corners = {
        "s": [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
        "^": [(0, -1.2), (1.1, 0.9), (-1.1, 0.9)],
        "v": [(0, 1.2), (1.1, -0.9), (-1.1, -0.9)],
        "D": [(0, -1.3), (1.2, 0), (0, 1.3), (-1.2, 0)],
        "d": [(0, -1.4), (0.75, 0), (0, 1.4), (-0.75, 0)],
        "<": [(-1.2, 0), (0.9, -1.1), (0.9, 1.1)],
        ">": [(1.2, 0), (-0.9, -1.1), (-0.9, 1.1)],
        "P": _cross(0.45),
        "X": [((p - q) * 0.75, (p + q) * 0.75) for p, q in _cross(0.45)],
        "*": _star(),
        "p": _polygon(5),
        "h": _polygon(6),
    }.get(shape)
    if corners is None:
        arc = f"a{number(r)} {number(r)} 0 1 "
        return f"M{number(a - r)} {number(b)}{arc}0 {number(2 * r)} 0{arc}0 {number(-2 * r)} 0Z"
    return path([a + r * p for p, _ in corners], [b + r * q for _, q in corners]) + "Z"


def _cross(arm: float) -> list[tuple[float, float]]:
    signs = [(-arm, -1.2), (arm, -1.2), (arm, -arm), (1.2, -arm), (1.2, arm), (arm, arm)]
    return signs + [(-p, -q) for p, q in signs]


def _star() -> list[tuple[float, float]]:
    turns = [(place, 1.5 if place % 2 == 0 else 0.6) for place in range(10)]
    return [(r * math.sin(math.pi * place / 5), -r * math.cos(math.pi * place / 5)) for place, r in turns]


def _polygon(corners: int) -> list[tuple[float, float]]:
    turns = [2 * math.pi * place / corners for place in range(corners)]
    return [(1.15 * math.sin(turn), -1.15 * math.cos(turn)) for turn in turns]


def titled(shape: Markup, text: str) -> Markup:
    """Return a shape in a group that tells a text where one points at it."""
    return tag("g", tag("title", text), shape)
