"""Which cells are drawn panel by panel, and on which pages: a figure holds so many, and so does a set of figures."""

from dataclasses import dataclass

from runners.results.entry import Entry
from runners.results.results import Results

PANELS_ON_PAGE = 24
PAGES = 2
"""Pages of one scenario."""
PANELS = 96
"""Panels of all scenarios together; figures over many cells show the others too."""
MANY, FEW = 200, 4
"""Where there are more cells than the first, so many panels in all: they would show next to nothing of the cells, and drawing
them takes longer than reading a thousand cells."""


@dataclass(frozen=True)
class Page:
    """The cells of one scenario that share a figure.

    Args:
        scenario: as it was asked for.
        entries: one panel each.
        number: the page's, empty where it is the only one.
        note: which of the scenario's cells these are, empty where it is all of them.
    """

    scenario: str
    entries: list[Entry]
    number: str
    note: str


def pages_of(results: Results) -> tuple[list[Page], list[str]]:
    """Return the pages, and in words what is on none of them."""
    pages: list[Page] = []
    left_out: list[str] = []
    most = PANELS if len(results.entries) <= MANY else FEW
    room, undrawn = most, 0
    for (scenario,), entries in results.groups("scenario").items():
        count = min(len(entries), PANELS_ON_PAGE * PAGES, room)
        room -= count
        pages += _pages(scenario, entries, count)
        if count == 0:
            undrawn += 1
        elif count < len(entries):
            left_out.append(f"{scenario}: the first {count:,} of {len(entries):,} cells have panels, the tables show all")
    if undrawn:
        left_out.append(f"{undrawn:,} more scenarios have no panels of their own, since figures hold {most} in all")
    if left_out:
        left_out.append("--scenarios, --architectures and --strategies choose which cells are shown")
    return pages, left_out


def _pages(scenario: str, entries: list[Entry], count: int) -> list[Page]:
    found = []
    for number, first in enumerate(range(0, count, PANELS_ON_PAGE), 1):
        last = min(first + PANELS_ON_PAGE, count)
        whole = last - first == len(entries)
        note = "" if whole else f"cells {first + 1:,} to {last:,} of {len(entries):,}"
        more = len(entries) - count
        note += f", {more:,} are not drawn" if more and last == count else ""
        found.append(Page(scenario, entries[first:last], str(number) if count > PANELS_ON_PAGE else "", note))
    return found
