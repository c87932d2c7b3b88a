"""What the panels of cells are called, and by what they can be switched on and off."""

from collections.abc import Sequence

from runners.report.figures.data import panel_titles
from runners.results.entry import Entry

SWITCHED = ("architecture", "strategy")
"""Labels by which panels can be switched."""


def titles_of(entries: Sequence[Entry]) -> list[tuple[str, ...]]:
    """Return a title for the panel of each cell, in lines; the policy is one where not all have the same."""
    _, shared = panel_titles(entries)
    names = [f"{entry.labels['architecture']}, {entry.strategy}" for entry in entries]
    return [(name,) if shared else (name, entry.labels["policy"]) for name, entry in zip(names, entries, strict=True)]


def shown_by(entry: Entry) -> dict[str, str]:
    """Return the labels of a cell by which its panel is switched."""
    return {part: entry.labels[part] for part in SWITCHED}
