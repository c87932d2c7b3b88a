"""A figure of the report: panels side by side, a legend, what can be switched, and its data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from runners.report.html.columns import Columns
from runners.report.html.markup import Markup, tag, together
from runners.report.sheet import Tone
from runners.report.thinning import NAMES

Layout = Literal["grid", "rows", "beside"]
"""A grid that folds, rows that scroll where they are wider than the page, or rows with their titles beside them."""


@dataclass(frozen=True)
class Panel:
    """One drawing of a figure.

    Args:
        title: what stands over it, in lines.
        svg: the drawing.
        shows: what it is about, by what can be switched: ``architecture`` and ``strategy``.
        tone: in which its title is said.
    """

    title: tuple[str, ...]
    svg: Markup
    shows: dict[str, str] = field(default_factory=dict)
    tone: Tone = "plain"


@dataclass(frozen=True)
class Key:
    """A name in a legend.

    Args:
        name: what is named.
        style: its colour, see :func:`runners.report.html.plot.two_colours`.
        mark: what is drawn of it: a line, a surface or a mark, as markup of an SVG of 18 by 12.
        task: its number, from 0, if it is a task that can be switched on and off.
    """

    name: str
    style: str
    mark: Markup
    task: int | None = None


@dataclass(frozen=True)
class Drawn:
    """A figure that is drawn.

    Args:
        name: of its files.
        title: of what it shows.
        notes: what has to be known beside it, a line each.
        panels: its drawings.
        data: what is drawn.
        legend: its names.
        legend_title: over them.
        columns: panels side by side, at most.
        layout: how they stand.
        scale: of the colours, beside the legend.
        seeds: whether the panels have lines of single seeds, which can be shown.
    """

    name: str
    title: str
    notes: tuple[str, ...]
    panels: tuple[Panel, ...]
    data: Columns
    legend: tuple[Key, ...] = ()
    legend_title: str = ""
    columns: int = 3
    layout: Layout = "grid"
    scale: Markup | None = None
    seeds: bool = False


def figure(drawn: Drawn, heading: str = "h3") -> Markup:
    """Return a figure as an element of the page."""
    buttons = tag(
        "div",
        tag("button", "SVG", type="button", class_="as-svg", aria_label=f"Download as SVG: {drawn.title}"),
        tag("button", "CSV", type="button", class_="as-csv", aria_label=f"Download the data as CSV: {drawn.title}"),
        class_="files",
    )
    notes = [tag("p", note, class_="note") for note in drawn.notes if note]
    caption = tag("figcaption", tag(heading, drawn.title), *notes, buttons)
    inner = [_panel(panel, drawn.layout == "rows") for panel in drawn.panels]
    panels = tag("div", *inner, class_=f"panels {drawn.layout}", style=f"--most:{drawn.columns}", data_columns=drawn.columns)
    return tag("figure", caption, _switches(drawn), panels, drawn.data.script(drawn.name), data_file=drawn.name)


def _panel(panel: Panel, scrolls: bool) -> Markup:
    first, *rest = panel.title or ("",)
    bold = tag("b", first, class_=None if panel.tone == "plain" else panel.tone)
    title = tag("p", bold, *(tag("span", line) for line in rest), class_="title") if first else None
    drawing = panel.svg
    if scrolls:
        drawing = tag("div", panel.svg, tabindex=0, role="region", aria_label=first, class_="scroll")
    return tag("div", title, drawing, class_="panel", **{f"data_{key}": value for key, value in panel.shows.items()})


def _switches(drawn: Drawn) -> Markup | None:
    """Return the legend; with what can be switched, if there is such."""
    shown, more = drawn.legend[:NAMES], len(drawn.legend) - NAMES
    keys = [_key(key) for key in shown]
    if more > 0:
        keys.append(tag("li", f"and {more:,} more"))
    title = tag("span", drawn.legend_title, class_="of") if drawn.legend_title else None
    shown_keys = tag("ul", *keys) if keys else None
    legend = tag("div", title, shown_keys, drawn.scale, class_="legend") if keys or drawn.scale else None
    choice = _lines_shown(drawn.name) if drawn.seeds else None
    return together([legend, choice]) if legend or choice else None


def _key(key: Key) -> Markup:
    swatch = tag("svg", key.mark, viewBox="0 0 18 12", class_="swatch", style=key.style, aria_hidden="true")
    if key.task is None:
        return tag("li", swatch, tag("span", key.name, class_="name"))
    box = tag("input", type="checkbox", checked=True, data_switch="task", value=key.task)
    return tag("li", tag("label", box, swatch, tag("span", key.name, class_="name")))


def _lines_shown(name: str) -> Markup:
    """Return the choice between a band, lines of single seeds and the median alone."""
    kinds = {"band": "median and band", "seeds": "single seeds", "median": "median alone"}
    options = [
        tag("label", tag("input", type="radio", name=f"lines-{name}", value=value, checked=value == "band"), text)
        for value, text in kinds.items()
    ]
    return tag("fieldset", tag("legend", "Over seeds"), *options, class_="lines")


def line_mark(dash: str | None = None) -> Markup:
    """Return a piece of a line for a legend."""
    return tag("path", d="M0 6H18", class_="line", stroke_dasharray=dash)


def area_mark(kind: str = "area") -> Markup:
    """Return a piece of a surface for a legend."""
    return tag("rect", x=1, y=1, width=16, height=10, class_=kind)


def switches(parts: Mapping[str, Sequence[str]]) -> Markup | None:
    """Return what switches the panels of a scenario on and off.

    Args:
        parts: the names that there are, by ``architecture`` and ``strategy``; a part with one name needs no switch.
    """
    sets = []
    for part, names in parts.items():
        if len(names) > 1:
            boxes = [
                tag("label", tag("input", type="checkbox", checked=True, data_switch=part, value=name), tag("span", name))
                for name in names
            ]
            plural = part[:-1] + "ies" if part.endswith("y") else f"{part}s"
            sets.append(tag("fieldset", tag("legend", plural.capitalize()), *boxes))
    return tag("div", *sets, class_="switches") if sets else None
