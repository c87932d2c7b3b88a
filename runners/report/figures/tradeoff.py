"""Retention against learning: a point for every seed, so that one sees who buys retention by not learning."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from runners.report.figures.data import ScoreAxis, metric_axis, seeds_told
from runners.report.thinning import evenly
from runners.results.entry import Entry, grouped

POINTS = 4000
"""Points of a figure; with more, some of the cells are shown."""


@dataclass(frozen=True, eq=False)
class Cloud:
    """The n seeds of one cell that have both.

    Args:
        architecture, policy: what it is called.
        seeds: the seeds.
        learning: learning score in its own unit.
        retention: 0 to 1, and more where tasks got better later.
    """

    architecture: str
    policy: str
    seeds: Int[np.ndarray, "n"]
    learning: Float[np.ndarray, "n"]
    retention: Float[np.ndarray, "n"]


@dataclass(frozen=True, eq=False)
class TradeoffData:
    """The cells of one scenario.

    Args:
        heading: lines over the figure.
        axis: of the learning score.
        strategies: the clouds of each strategy.
    """

    heading: tuple[str, ...]
    axis: ScoreAxis
    strategies: dict[str, tuple[Cloud, ...]]


def tradeoff(scenario: str, entries: Sequence[Entry]) -> TradeoffData | None:
    """Return retention and learning score of every seed; None where no strategy gives retention a meaning."""
    known = [entry for entry in entries if "retention" in entry.result.metrics]
    if not known:
        return None
    most = max(1, POINTS // max(len(entry.cell.seeds) for entry in known))
    shown = [known[place] for place in evenly(len(known), most)]
    told = f"{len(shown)} of {len(known):,} cells" if len(shown) < len(known) else ""
    better = "right" if known[0].result.higher_is_better[known[0].result.score] else "left"
    heading = (
        f"{scenario}: retention against learning",
        f"a point per seed; the best are above on the {better}; {seeds_told(shown)}",
        told,
    )
    groups = grouped(shown, lambda entry: entry.strategy)
    strategies = {strategy: tuple(map(_cloud, own)) for strategy, own in groups.items()}
    return TradeoffData(heading, metric_axis("learning_score", known[0]), strategies)


def _cloud(entry: Entry) -> Cloud:
    values = entry.metrics()
    learning, retention = values["learning_score"], values["retention"]
    both = np.isfinite(learning) & np.isfinite(retention)
    seeds = np.array(entry.result.seeds)[both]
    return Cloud(entry.labels["architecture"], entry.labels["policy"], seeds, learning[both], retention[both])
