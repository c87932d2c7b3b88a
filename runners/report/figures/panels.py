"""What figures over many cells share: a line for each contender, with its interval over seeds.

Contenders differ in marker, line and lightness, so figures survive greyscale and colour blindness.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kancl.statistics import mean_interval
from runners.report.drawing import Axes, colormaps, named
from runners.results.entry import Entry

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES = ("-", "--", "-.", ":")
BARS = 30
"""Cells on a line up to which each has its bar."""
PANELS = {"learning_score": "learning", "final_score": "final", "retention": "retention"}
"""Metrics that have a panel, and what stands on its axis."""


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


def draw_line(ax: Axes, x: Sequence[float], entries: Sequence[Entry], metric: str, name: str, style: dict[str, Any]) -> None:
    """Draw a metric of cells against x: mean and 95 % interval over seeds, a bar at each of few cells, a band over many."""
    mean, low, high, _ = np.array([mean_interval(entry.metrics()[metric]) for entry in entries]).T
    if len(entries) > BARS:
        ax.fill_between(x, low, high, color=style["color"], alpha=0.2, linewidth=0)
        ax.plot(x, mean, label=named(name), linewidth=1.2, markersize=2.5, **style)
        return
    ax.errorbar(x, mean, (mean - low, high - mean), label=named(name), capsize=2, linewidth=1.2, markersize=4, **style)


def label_scores(ax: Axes, metric: str, entry: Entry) -> None:
    """Name the axis of a metric, and make it logarithmic for errors."""
    score = entry.result.score
    if metric != "retention" and not entry.result.higher_is_better[score]:
        ax.set_yscale("log")
    ax.set_ylabel(PANELS[metric] if metric == "retention" else f"{PANELS[metric]} {score}")


def seeds_of(entries: Sequence[Entry]) -> str:
    """Return how many seeds cells have, e.g. ``n = 16 seeds``."""
    return f"n = {' or '.join(map(str, sorted({len(entry.cell.seeds) for entry in entries})))} seeds"


def policy_but_rate(entry: Entry) -> str:
    """Return a cell's policy without its learning rate, which may be tuned for every cell."""
    return " ".join(word for word in entry.cell.policy.label.split() if not word.startswith("lr="))
