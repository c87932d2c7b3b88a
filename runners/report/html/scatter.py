"""Clouds of points in the report: retention against learning, and loss against overlap with its fit."""

from collections.abc import Sequence

import numpy as np

from runners.report.figures.overlaps import OverlapData, Points
from runners.report.figures.tradeoff import Cloud, TradeoffData
from runners.report.html.columns import Cell, Columns
from runners.report.html.figure import Drawn, Key, Panel
from runners.report.html.markup import Markup, tag
from runners.report.html.plot import Box, Scale, marker, number, path, span_of, style_colours, titled
from runners.report.numbers import short
from runners.report.palette import Style, styles_of

BOX = Box(width=420, height=290, left=52)


def draw_tradeoff(name: str, data: TradeoffData) -> Drawn:
    """Return retention against learning: a panel per strategy."""
    clouds = [cloud for own in data.strategies.values() for cloud in own]
    names = list(dict.fromkeys((cloud.architecture, cloud.policy) for cloud in clouds))
    styles = dict(zip(names, styles_of([architecture for architecture, _ in names]), strict=True))
    across = span_of([cloud.learning for cloud in clouds], data.axis.logarithmic)
    up = span_of([cloud.retention for cloud in clouds] + [[0.0, 1.0]])
    panels = tuple(_tradeoff(strategy, own, styles, data, (across, up)) for strategy, own in data.strategies.items())
    policies = len({policy for _, policy in names}) > len({architecture for architecture, _ in names})
    legend = tuple(
        Key(f"{architecture}, {policy}" if policies else architecture, style_colours(style), _mark(style, 9, 6))
        for (architecture, policy), style in styles.items()
    )
    rows: list[dict[str, Cell]] = [
        {
            "architecture": cloud.architecture, "strategy": strategy, "policy": cloud.policy, "seed": int(seed),
            "learning": float(x), "retention": float(y),
        }
        for strategy, own in data.strategies.items()
        for cloud in own
        for seed, x, y in zip(cloud.seeds, cloud.learning, cloud.retention, strict=True)
    ]  # fmt: skip
    return Drawn(name, data.heading[0], data.heading[1:], panels, Columns.of(rows), legend, columns=2)


def _tradeoff(
    strategy: str,
    clouds: Sequence[Cloud],
    styles: dict[tuple[str, str], Style],
    data: TradeoffData,
    ends: tuple[tuple[float, float], tuple[float, float]],
) -> Panel:
    x, y = BOX.x(*ends[0], data.axis.logarithmic), BOX.y(*ends[1])
    groups = []
    for cloud in clouds:
        style = styles[cloud.architecture, cloud.policy]
        points = [
            titled(_mark(style, x(a), y(b)), f"{cloud.architecture}, seed {seed}: learning {short(a)}, retention {short(b)}")
            for seed, a, b in zip(cloud.seeds, cloud.learning, cloud.retention, strict=True)
        ]
        groups.append(tag("g", *points, style=style_colours(style), data_architecture=cloud.architecture))
    told = ", ".join(
        f"{cloud.architecture} {short(float(cloud.retention.mean()))}" for cloud in clouds[:8] if len(cloud.retention)
    )
    along = data.axis.label.partition("\n")[0]
    label = f"{strategy}: retention against {along}, a point per seed; mean retention: {told or 'none'}"
    svg = BOX.svg(BOX.axes(x, y, along, "retention"), *groups, label=label)
    return Panel((strategy,), svg, {"strategy": strategy.partition(" (")[0]})


def draw_overlap(name: str, data: OverlapData) -> Drawn:
    """Return what is lost against the mass that tasks share, with the line of the regression."""
    styles = styles_of(points.architecture for points in data.networks)
    x, y = BOX.x(-0.03, 1.03), BOX.y(*span_of([part for points in data.networks for part in _ends(points)], room=0.06))
    groups = [_points(points, style, (x, y), data.many) for points, style in zip(data.networks, styles, strict=True)]
    fit = None
    if data.slope is not None:
        along, line = (np.linspace(ends[0], ends[1], 80) for ends in data.slope[:2])
        seen = np.where((line >= y.low) & (line <= y.high), line, np.nan)
        fit = tag("path", d=path(x(along), y(seen)), class_="fit")
    label = f"{data.heading[0]} {data.slope[2] if data.slope else 'no slope'}"
    axes = BOX.axes(
        x, y, "mass shared with a later task (largest overlap, mean over layers)", "share of what was learned that is lost"
    )
    legend = [
        Key(points.name, style_colours(style), _mark(style, 9, 6))
        for points, style in zip(data.networks, styles, strict=True)
        if points.name is not None
    ]
    if data.slope is not None:
        legend.append(Key(data.slope[2], "", tag("path", d="M0 6H18", class_="fit")))
    rows: list[dict[str, Cell]] = [
        {"network": points.name or "", "task": task, "shared": float(a), "lost": float(b), "sd": float(c)}
        for points in data.networks
        for task, (a, b, c) in enumerate(zip(points.shared, points.lost, points.spread, strict=True), 1)
    ]
    notes = (*data.heading[1:], "" if data.many else "bars: standard deviation over seeds")
    panel = Panel((), BOX.svg(axes, fit, *groups, label=label))
    return Drawn(name, data.heading[0], notes, (panel,), Columns.of(rows), tuple(legend), columns=2)


def _ends(points: Points) -> tuple[np.ndarray, np.ndarray]:
    return points.lost - points.spread, points.lost + points.spread


def _points(points: Points, style: Style, scales: tuple[Scale, Scale], many: bool) -> Markup:
    x, y = scales
    parts = []
    if not many:
        bars = [
            f"M{number(x(a))} {number(y(low))}V{number(y(high))}"
            for a, low, high in zip(points.shared, *_ends(points), strict=True)
            if np.isfinite([a, low, high]).all()
        ]
        parts.append(tag("path", d="".join(bars), class_="spread"))
    size = 2.0 if many else 3.4
    for task, (a, b) in enumerate(zip(points.shared, points.lost, strict=True), 1):
        text = f"{points.name or 'network'}, task {task}: shares {short(a)}, loses {short(b)}"
        parts.append(titled(_mark(style, x(a), y(b), size), text))
    return tag("g", *parts, style=style_colours(style))


def _mark(style: Style, x: float, y: float, size: float = 3.4) -> Markup:
    return tag("path", d=marker(style.marker, x, y, size), class_="mark" if style.filled else "hollow")
