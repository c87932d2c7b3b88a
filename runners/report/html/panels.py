"""The figures of each scenario, and what of the results is not in them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from runners.report.figures.curves import CurvesData, curves
from runners.report.figures.data import Lost, Planned
from runners.report.figures.differences import differences
from runners.report.figures.functions import functions
from runners.report.figures.ledgers import ledgers
from runners.report.figures.matrices import matrices
from runners.report.figures.network import kept_networks
from runners.report.figures.overlaps import overlaps
from runners.report.figures.surfaces import surfaces
from runners.report.figures.tradeoff import tradeoff
from runners.report.html import curves as curves_drawn
from runners.report.html import functions as functions_drawn
from runners.report.html import ledgers as ledgers_drawn
from runners.report.html import matrices as matrices_drawn
from runners.report.html import networks as networks_drawn
from runners.report.html import scatter
from runners.report.html import surfaces as surfaces_drawn
from runners.report.html.figure import Drawn
from runners.report.pages import Page, pages_of
from runners.results.mechanism import mechanisms
from runners.results.results import Results
from runners.results.verdicts import Comparison
from runners.store.files import file_name

SEED_POINTS = 200_000
"""Points of all lines of single seeds in a report: about one and a half megabytes."""


def figures_of(results: Results, comparisons: Sequence[Comparison], lost: Lost) -> dict[str, list[Drawn]]:
    """Return the figures of each scenario, in the order in which they are read.

    Args:
        results: what is shown.
        comparisons: the verdicts on them.
        lost: hears of figures that cannot be made, and why; they take no others along.
    """
    pages = pages_of(results)[0]
    found: dict[str, list[Drawn]] = {scenario: [] for (scenario,) in results.groups("scenario")}
    plans = [*_curves(results, pages, lost), *_matrices(results, pages)]
    for scenario in found:
        own = [one for one in comparisons if one.first.labels["scenario"] == scenario]
        plans += [(scenario, planned) for planned in _others(results, scenario, own, pages)]
    for scenario, (name, data, draw) in (*plans, *_networks(results)):
        with guarded(name, lost):
            if shown := data():
                found[scenario].append(draw(shown))
    return found


@contextmanager
def guarded(name: str, lost: Lost) -> Iterator[None]:
    """Let whatever is raised while a figure is made be the end of that figure alone."""
    try:
        yield
    except Exception as error:
        lost(name, error)


def _curves(results: Results, pages: Sequence[Page], lost: Lost) -> Iterator[tuple[str, Planned]]:
    """Yield forgetting curves, each with its scenario; the points of single seeds are shared out among them."""
    found: list[tuple[Page, str, CurvesData]] = []
    for page in pages:
        name = f"{_stem(results, page.scenario)}-curves{_number(page)}"
        with guarded(name, lost):
            found.append((page, name, curves(page.scenario, page.entries, page.note)))
    needed = [sum(trace.seeds.size for panel in data.panels for trace in panel.traces) for _, _, data in found]
    for (page, name, data), room in zip(found, curves_drawn.rooms(needed, SEED_POINTS), strict=True):
        draw = partial(curves_drawn.draw, name, entries=page.entries, room=room)
        yield page.scenario, Planned(name, partial(_itself, data), draw)


def _itself(data: CurvesData) -> CurvesData:
    return data


def _matrices(results: Results, pages: Sequence[Page]) -> Iterator[tuple[str, Planned]]:
    """Yield retention matrices, each with its scenario."""
    for page in pages:
        name = f"{_stem(results, page.scenario)}-retention{_number(page)}"
        draw = partial(matrices_drawn.draw, name, entries=page.entries)
        yield page.scenario, Planned(name, partial(matrices, page.scenario, page.entries, page.note), draw)


def _others(results: Results, scenario: str, comparisons: Sequence[Comparison], pages: Sequence[Page]) -> Iterator[Planned]:
    """Yield the figures that follow curves and matrices; of those that have nothing to draw the data are None or empty."""
    stem, entries = _stem(results, scenario), results.groups("scenario")[scenario,]

    def plan(what: str, data: Callable[[], Any], draw: Callable[..., Drawn], **more: Any) -> Planned:
        name = file_name(f"{stem}-{what}", 80)
        return Planned(name, data, partial(draw, name, **more))

    yield plan("differences", partial(differences, scenario, comparisons), matrices_drawn.draw_differences)
    for page in pages:
        shown = [entry for entry in page.entries if entry.result.functions is not None]
        if page.scenario == scenario and shown:
            data = partial(functions, scenario, shown, page.note)
            yield plan(f"functions{_number(page)}", data, functions_drawn.draw, entries=shown)
    yield plan("surfaces", partial(surfaces, results, entries), surfaces_drawn.draw)
    for mechanism in mechanisms(results):
        if mechanism.scenario == scenario:
            yield plan(f"{mechanism.strategy}-overlap", partial(overlaps, mechanism), scatter.draw_overlap)
    yield plan("ledger", partial(ledgers, scenario, entries), ledgers_drawn.draw)
    yield plan("learning", partial(tradeoff, scenario, entries), scatter.draw_tradeoff)


def _networks(results: Results) -> Iterator[tuple[str, Planned]]:
    """Yield the networks that can be drawn, each with its scenario."""
    for entry, planned in kept_networks(results):
        scenario, architecture = entry.labels["scenario"], entry.labels["architecture"]
        name = f"{file_name(f'{_stem(results, scenario)}-{architecture}', 90)}-network"
        yield scenario, Planned(name, planned.data, partial(networks_drawn.draw, name, architecture=architecture))


def _number(page: Page) -> str:
    return f"-{page.number}" if page.number else ""


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
