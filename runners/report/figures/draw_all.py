"""The list of all figures, and the way from results to their files."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from runners.report.figures.curves import curves, draw_curves
from runners.report.figures.data import Planned
from runners.report.figures.dials import dial_figures
from runners.report.figures.functions import draw_functions, functions
from runners.report.figures.matrices import draw_matrices, matrices
from runners.report.figures.overlaps import overlap_figures
from runners.report.figures.sizes import size_figures
from runners.report.pages import pages_of
from runners.results.entry import Entry
from runners.results.results import Results


def page_figures(results: Results) -> Iterator[Planned]:
    """Yield the figures with a panel per cell, page by page; :mod:`runners.report.pages` says which cells have one."""
    for page in pages_of(results)[0]:
        number = f"-{page.number}" if page.number else ""
        for name, shown, data, draw in PANELS:
            entries = [entry for entry in page.entries if shown(entry)]
            if entries:
                yield Planned(f"{page.scenario}-{name}{number}", partial(data, page.scenario, entries, page.note), draw)


def _any(entry: Entry) -> bool:
    return True


def _has_functions(entry: Entry) -> bool:
    return entry.result.functions is not None


PANELS: tuple[tuple[str, Callable[[Entry], bool], Callable[..., Any], Callable[[Any], Any]], ...] = (
    ("curves", _any, curves, draw_curves),
    ("retention", _any, matrices, draw_matrices),
    ("functions", _has_functions, functions, draw_functions),
)
"""The figures with a panel per cell: what their files are called, which cells they have, and how they come about."""

FIGURES: tuple[Callable[[Results], Iterator[Planned]], ...] = (size_figures, dial_figures, overlap_figures, page_figures)
"""All figures; a new one is a file beside this one, and a name here or in :data:`PANELS`."""


def planned(results: Results) -> Iterator[Planned]:
    """Yield every figure that the results allow."""
    for figures in FIGURES:
        yield from figures(results)


def draw_all(results: Results, folder: Path, lost: Callable[[str, Exception], object] | None = None) -> Iterator[Path]:
    """Draw every figure that the results allow, as PNG and SVG, and yield the paths.

    Args:
        results: what to draw.
        folder: for the files.
        lost: hears of figures that cannot be drawn, and why; they take no others along. A warning if left out.
    """
    from runners.report.drawing import draw_each, warn

    folder.mkdir(parents=True, exist_ok=True)
    yield from draw_each(((name, _drawing(data, draw)) for name, data, draw in planned(results)), folder, lost or warn)


def _drawing(data: Callable[[], Any], draw: Callable[[Any], Any]) -> Callable[[], Any]:
    return lambda: draw(data())
