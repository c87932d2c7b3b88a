"""The data of the headline: what each architecture kept and reached, seed by seed, and what the verdicts say of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from kancl.contest import JUDGED, MetricName
from kancl.statistics import Interval, mean_interval
from kancl.text import counted
from kancl.verdict import Outcome
from runners.report.figures.data import ScoreAxis, metric_axis, names_of, null_of, seeds_told
from runners.report.numbers import count, two_digits
from runners.report.pages import MANY
from runners.report.words import SMALL, in_words
from runners.results.entry import Entry, grouped
from runners.results.results import Results
from runners.results.verdicts import Comparison, metric_of

ROWS = 32
"""Cells on a page."""
PAGES, PAGES_OF_MANY = 4, 1
"""Pages in all, and where there are more than ``MANY`` cells."""
AXES = 2
"""Metrics side by side."""
NAMED = 3
"""Architectures that a verdict beside a row names; more are counted."""
LINKS = {Outcome.SAME: "no difference from", Outcome.EQUIVALENT: "equivalent to"}


@dataclass(frozen=True, eq=False)
class Spread:
    """A metric of one cell.

    Args:
        seeds: of those that have a value.
        interval: mean and 95 % interval.
        missing: why there is no value, if no seed has one.
    """

    seeds: Float[np.ndarray, "A"]
    interval: Interval
    missing: str


@dataclass(frozen=True, eq=False)
class Row:
    """One cell.

    Args:
        name: the architecture, with what tells it from others of its name.
        architecture: its name alone.
        spreads: one for each axis of the block.
        verdict: what is said of it beside the others, in lines; empty where nothing is.
        favours: 1 where all of that is in its favour, -1 where all is against it, else 0.
    """

    name: str
    architecture: str
    spreads: tuple[Spread, ...]
    verdict: tuple[str, ...]
    favours: int


@dataclass(frozen=True, eq=False)
class Block:
    """The cells of one scenario, by strategy.

    Args:
        title: the scenario, and the verdict in words where there is but one.
        axes: what is shown side by side: the metric that the verdicts are about, then the final score and the learning score,
            ``AXES`` of those that mean something.
        nulls: what the best constant predictor of each task reaches, on each axis of scores; None on others, and on final
            scores where tasks are classes of one head, of which no one constant reaches as much.
        groups: rows by strategy.
    """

    title: str
    axes: tuple[ScoreAxis, ...]
    nulls: tuple[float | None, ...]
    groups: dict[str, tuple[Row, ...]]

    @property
    def rows(self) -> list[Row]:
        """All rows."""
        return [row for rows in self.groups.values() for row in rows]


@dataclass(frozen=True, eq=False)
class HeadlineData:
    """Blocks one under the other.

    Args:
        heading: lines over the figure.
        contenders: all names, those of other pages among them, each with its architecture: each looks alike everywhere.
        blocks: one for each scenario.
    """

    heading: tuple[str, ...]
    contenders: dict[str, str]
    blocks: tuple[Block, ...]


def headline(results: Results, comparisons: Sequence[Comparison]) -> HeadlineData:
    """Return every cell's metric that verdicts are about, and another score, seed by seed, with what the verdicts say.

    Args:
        results: the cells; of very many the first, which the heading says.
        comparisons: the verdicts on them.
    """
    entries = results.entries
    most = ROWS * (PAGES if len(entries) <= MANY else PAGES_OF_MANY)
    shown = entries[:most]
    told = seeds_told(shown) if shown else ""
    lines = ("What each architecture keeps of its tasks", f"a point per seed; mean and 95 % interval; {told}")
    more = f"the first {count(most)} of {count(len(entries))} cells, the tables show all" if len(entries) > most else ""
    blocks = tuple(
        _block(scenario, group, [c for c in comparisons if c.first.labels["scenario"] == scenario])
        for scenario, group in grouped(shown, lambda entry: entry.labels["scenario"]).items()
    )
    blocks = tuple(block for block in blocks if block.axes)
    contenders = {row.name: row.architecture for block in blocks for row in block.rows}
    return HeadlineData((*lines, more), contenders, blocks)


def pages_of_headline(data: HeadlineData) -> list[HeadlineData]:
    """Return the blocks on pages of ``ROWS`` cells and less; a block that has no room on a page of its own is parted."""
    pages: list[list[Block]] = [[]]
    for block in data.blocks:
        room = ROWS - sum(len(other.rows) for other in pages[-1])
        if pages[-1] and len(block.rows) > room:
            pages.append([])
        first, *others = _parts(block)
        pages[-1].append(first)
        pages += [[part] for part in others]
    return [replace(data, blocks=tuple(blocks)) for blocks in pages]


def _parts(block: Block) -> Iterator[Block]:
    rows = [(strategy, row) for strategy, own in block.groups.items() for row in own]
    for start in range(0, len(rows), ROWS):
        part = grouped(rows[start : start + ROWS], lambda pair: pair[0])
        groups = {strategy: tuple(row for _, row in own) for strategy, own in part.items()}
        yield replace(block, groups=groups, title=block.title if start == 0 else f"{block.title} (continued)")


def _block(scenario: str, entries: list[Entry], comparisons: list[Comparison]) -> Block:
    first = entries[0]
    metric: MetricName = comparisons[0].verdict.metric if comparisons else metric_of(first.result)
    wanted = dict.fromkeys([JUDGED[metric].key, "final_score", "learning_score"])
    keys = [key for key in wanted if any(key in entry.result.metrics for entry in entries)][:AXES]
    groups = {}
    for strategy, own in grouped(entries, lambda entry: entry.strategy).items():
        names = names_of(own)
        groups[strategy] = tuple(_row(entry, name, keys, comparisons) for entry, name in zip(own, names, strict=True))
    scored = [key == "learning_score" or (key == "final_score" and first.result.setting != "class") for key in keys]
    return Block(
        title=f"{scenario}: {in_words(comparisons[0])}" if len(comparisons) == 1 else scenario,
        axes=tuple(metric_axis(key, first) for key in keys),
        nulls=tuple(null_of(first) if of_score else None for of_score in scored),
        groups=groups,
    )


def _row(entry: Entry, name: str, keys: list[str], comparisons: list[Comparison]) -> Row:
    own = [comparison for comparison in comparisons if comparison.first.key == entry.key]
    sides = {comparison.verdict.outcome.favours for comparison in own}
    return Row(
        name=name,
        architecture=entry.cell.architecture.name,
        spreads=tuple(_spread(entry, key) for key in keys),
        verdict=tuple(_said(own)),
        favours=sides.pop() if len(sides) == 1 else 0,
    )


def _spread(entry: Entry, key: str) -> Spread:
    defined = key in entry.result.metrics
    values = entry.metrics()[key] if defined else np.full(1, np.nan)
    finite = values[np.isfinite(values)]
    missing = ""
    if not len(finite):
        nothing = "learned nothing to keep" if entry.alive.any() else "every seed diverged"
        missing = nothing if defined else f"means nothing under {entry.labels['strategy']}"
    return Spread(finite, mean_interval(values), missing)


def _said(comparisons: list[Comparison]) -> Iterator[str]:
    """Yield what verdicts say of their first cell, those that say the same of several others in one line."""
    for (phrase, reason), own in grouped(comparisons, _phrase).items():
        names = [comparison.second.labels["architecture"] for comparison in own]
        others = ", ".join(names) if len(names) <= NAMED else counted(len(names), "other")
        p = own[0].verdict.p_holm
        judged = own[0].verdict.outcome.favours and len(own) == 1
        yield f"{phrase} {others}{reason}" + (f", p {'below ' + str(SMALL) if p < SMALL else two_digits(p)}" if judged else "")


def _phrase(comparison: Comparison) -> tuple[str, str]:
    """Return what stands before and after the name of the other architecture."""
    verdict = comparison.verdict
    if verdict.outcome.favours:
        return f"{verdict.outcome} than", ""
    link = LINKS.get(verdict.outcome)
    return (link, "") if link else ("no verdict against", f": {verdict.said}")
