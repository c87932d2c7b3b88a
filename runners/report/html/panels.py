"""The figures of each scenario, and what of the results is not in them."""

from collections.abc import Iterator, Sequence

from runners.report.figures.curves import curves
from runners.report.figures.differences import differences
from runners.report.figures.functions import functions
from runners.report.figures.ledgers import ledgers
from runners.report.figures.matrices import matrices
from runners.report.figures.network import networks_of
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


def figures_of(results: Results, comparisons: Sequence[Comparison]) -> dict[str, list[Drawn]]:
    """Return the figures of each scenario, in the order in which they are read.

    Args:
        results: what is shown.
        comparisons: the verdicts on them.
    """
    pages = pages_of(results)[0]
    data = [curves(page.scenario, page.entries, page.note) for page in pages]
    needed = [sum(trace.seeds.size for panel in one.panels for trace in panel.traces) for one in data]
    found: dict[str, list[Drawn]] = {scenario: [] for (scenario,) in results.groups("scenario")}
    for page, own, room in zip(pages, data, curves_drawn.rooms(needed, SEED_POINTS), strict=True):
        name = f"{_stem(results, page.scenario)}-curves{_number(page)}"
        found[page.scenario].append(curves_drawn.draw(name, own, page.entries, room))
    for page in pages:
        stem = _stem(results, page.scenario)
        found[page.scenario].append(
            matrices_drawn.draw(
                f"{stem}-retention{_number(page)}", matrices(page.scenario, page.entries, page.note), page.entries
            )
        )
    nets = list(_networks(results))
    for scenario, figures in found.items():
        own_verdicts = [one for one in comparisons if one.first.labels["scenario"] == scenario]
        figures += _others(results, scenario, own_verdicts, pages)
        figures += [drawn for own, drawn in nets if own == scenario]
    return found


def _others(results: Results, scenario: str, comparisons: Sequence[Comparison], pages: Sequence[Page]) -> Iterator[Drawn]:
    """Yield the figures that follow curves and matrices."""
    stem, entries = _stem(results, scenario), results.groups("scenario")[scenario,]
    apart = differences(scenario, comparisons) if comparisons else None
    if apart is not None:
        yield matrices_drawn.draw_differences(f"{stem}-differences", apart)
    for page in pages:
        shown = [entry for entry in page.entries if entry.result.functions is not None]
        if page.scenario == scenario and shown:
            yield functions_drawn.draw(f"{stem}-functions{_number(page)}", functions(scenario, shown, page.note), shown)
    planes = surfaces(results, entries)
    if planes is not None:
        yield surfaces_drawn.draw(f"{stem}-surfaces", planes)
    for mechanism in mechanisms(results):
        if mechanism.scenario == scenario:
            name = file_name(f"{stem}-{mechanism.strategy}-overlap", 80)
            yield scatter.draw_overlap(name, overlaps(mechanism))
    books = ledgers(scenario, entries)
    if books:
        yield ledgers_drawn.draw(f"{stem}-ledger", books)
    cloud = tradeoff(scenario, entries)
    if cloud is not None:
        yield scatter.draw_tradeoff(f"{stem}-learning", cloud)


def _networks(results: Results) -> Iterator[tuple[str, Drawn]]:
    """Yield the networks that can be drawn, each with its scenario."""
    for name, make, _ in networks_of(results):
        data = make()
        entry = next(own for own in results.entries if name == f"{own.labels['scenario']}-{own.labels['architecture']}-network")
        scenario, architecture = entry.labels["scenario"], entry.labels["architecture"]
        stem = file_name(f"{_stem(results, scenario)}-{architecture}", 90)
        yield scenario, networks_drawn.draw(f"{stem}-network", data, architecture)


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
