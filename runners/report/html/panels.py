"""The figures of each scenario, and what of the results is not in them."""

from collections.abc import Sequence

from runners.report.figures.curves import curves
from runners.report.html import curves as curves_drawn
from runners.report.html.figure import Drawn
from runners.report.pages import pages_of
from runners.results.results import Results
from runners.results.verdicts import Comparison
from runners.store.files import file_name

SEED_POINTS = 250_000
"""Points of all lines of single seeds in a report: about two megabytes."""


def figures_of(results: Results, comparisons: Sequence[Comparison]) -> dict[str, list[Drawn]]:
    """Return the figures of each scenario.

    Args:
        results: what is shown.
        comparisons: the verdicts on them.
    """
    found: dict[str, list[Drawn]] = {}
    pages = pages_of(results)[0]
    data = [curves(page.scenario, page.entries, page.note) for page in pages]
    needed = [sum(trace.seeds.size for panel in one.panels for trace in panel.traces) for one in data]
    for page, own, room in zip(pages, data, curves_drawn.rooms(needed, SEED_POINTS), strict=True):
        number = f"-{page.number}" if page.number else ""
        drawn = curves_drawn.draw(f"{_stem(results, page.scenario)}-curves{number}", own, page.entries, room)
        found.setdefault(page.scenario, []).append(drawn)
    return found


def _stem(results: Results, scenario: str) -> str:
    """Return what the files of a scenario's figures begin with: no two scenarios have the same."""
    place = [key for (key,) in results.groups("scenario")].index(scenario) + 1
    return file_name(f"{place}-{short_scenario(scenario)}", 60)


def short_scenario(scenario: str) -> str:
    """Return a scenario without the folder that its file lies in.

    >>> short_scenario("/home/me/a.py:moons:n=3"), short_scenario("split-digits")
    ('a.py:moons:n=3', 'split-digits')
    """
    folder, mark, rest = scenario.partition(".py:")
    return f"{folder.rpartition('/')[2]}{mark}{rest}"


def left_out(results: Results) -> list[str]:
    """Return in words what has no panels."""
    return pages_of(results)[1]
