"""What is lost of each old task against the mass that it shares with later ones: does overlap explain forgetting?"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from runners.report.figures.data import Planned, names_of, seeds_told
from runners.report.figures.look import PLAIN, Look
from runners.report.numbers import count, fixed
from runners.report.palette import styles_of
from runners.report.thinning import NAMES, evenly
from runners.results.mechanism import Mechanism, mechanisms
from runners.results.results import Results

if TYPE_CHECKING:
    from runners.report.drawing import Figure

BARS = 60
"""Old tasks up to which a point has its spread."""


@dataclass(frozen=True, eq=False)
class Points:
    """The J old tasks of one network, means over seeds.

    Args:
        name: None where there are too many networks to name each.
        architecture: by which it looks as it does.
        shared: mass that a task shares with a later one.
        lost: the share of its gain that is lost.
        spread: standard deviation of that over seeds.
    """

    name: str | None
    architecture: str
    shared: Float[np.ndarray, "J"]
    lost: Float[np.ndarray, "J"]
    spread: Float[np.ndarray, "J"]


@dataclass(frozen=True, eq=False)
class OverlapData:
    """Overlap and loss of the networks of one scenario and strategy.

    Args:
        heading: lines over the figure.
        networks: one for each of the mechanism's entries.
        slope: the regression's line by its two ends, (x, y), and what is said of it; None where
            overlaps differ too little for one.
        many: whether there are too many old tasks for a spread.
    """

    heading: tuple[str, ...]
    networks: tuple[Points, ...]
    slope: tuple[np.ndarray, np.ndarray, str] | None
    many: bool


def overlap_figures(results: Results) -> Iterator[Planned]:
    """Yield a figure for each scenario and strategy with recorded overlaps."""
    for mechanism in mechanisms(results):
        yield Planned(f"{mechanism.scenario}-{mechanism.strategy}-overlap", partial(overlaps, mechanism), draw_overlaps)


def overlaps(mechanism: Mechanism) -> OverlapData:
    """Return a point for each network and old task: means over seeds."""
    entries = mechanism.entries
    named = set(evenly(len(entries), NAMES))
    points = tuple(
        Points(
            name if place in named else None,
            entry.cell.architecture.name,
            _over_seeds(np.mean, shared),
            _over_seeds(np.mean, lost),
            _over_seeds(np.std, lost),
        )
        for place, (name, entry, shared, lost) in enumerate(
            zip(names_of(entries), entries, mechanism.shared, mechanism.lost, strict=True)
        )
    )
    slope = None
    if mechanism.has_slope:
        mean, low, high, _ = mechanism.slope.slope
        ends = np.array(mechanism.seen)
        slope = ends, mechanism.slope.intercept + mean * ends, f"slope {fixed(mean)} [{fixed(low)}, {fixed(high)}]"
    what = f"{mechanism.scenario}, {mechanism.strategy}: does overlap explain forgetting?"
    unnamed = len(entries) - len(named)
    more = f"{count(unnamed)} networks, between the others in colour, are not named" if unnamed else ""
    told = f"a point per network and old task, {seeds_told(entries[:1], lost=False)}"
    return OverlapData((what, told, more), points, slope, mechanism.shared.shape[2] > BARS)


def _over_seeds(summary: Callable[[np.ndarray], float], values: np.ndarray) -> np.ndarray:
    """Return a summary of each column's finite values, NaN where there are none."""
    return np.array([summary(v[np.isfinite(v)]) if np.isfinite(v).any() else np.nan for v in values.T])


def draw_overlaps(data: OverlapData, look: Look = PLAIN) -> "Figure":
    """Draw all points in one panel, with the line of the regression."""
    from runners.report.drawing import named
    from runners.report.figures.panels import arrange, drawn_as, heading, legend_below

    figure, (ax,), _ = arrange(1, 1, (6.4, 4.0), 2.0, look, above=1.4)
    size, alpha = (2.5, 0.5) if data.many else (5.5, 0.9)
    for points, style in zip(data.networks, styles_of(points.architecture for points in data.networks), strict=True):
        marks = drawn_as(style) | {"linestyle": "none", "markersize": size * look.size, "elinewidth": look.size}
        bars = None if data.many else points.spread
        label = None if points.name is None else named(points.name)
        ax.errorbar(points.shared, points.lost, bars, label=label, alpha=alpha, **marks)
    if data.slope is not None:
        x, y, text = data.slope
        ax.plot(x, y, color="0.3", linewidth=look.size, label=text)
    ax.set_xlim(-0.03, 1.03)
    ax.set_xlabel("mass shared with a later task\n(largest overlap, mean over layers)")
    ax.set_ylabel(f"share of what was learned that is lost\n({'mean' if data.many else 'mean and SD'} over seeds)")
    legend_below(figure, *ax.get_legend_handles_labels(), look=look)
    heading(figure, data.heading, look)
    return figure
