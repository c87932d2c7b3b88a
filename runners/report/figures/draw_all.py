"""The list of all figures, and the way from results to their files."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from kancl.errors import InputError
from runners.report.figures.curves import curves, draw_curves
from runners.report.figures.data import Planned
from runners.report.figures.dials import dial_figures
from runners.report.figures.functions import draw_functions, functions
from runners.report.figures.headline import headline_figures
from runners.report.figures.look import PLAIN, Look
from runners.report.figures.matrices import draw_matrices, matrices
from runners.report.figures.network import networks_of
from runners.report.figures.overlaid import overlaid_figures
from runners.report.figures.overlaps import overlap_figures
from runners.report.figures.sizes import size_figures
from runners.report.pages import pages_of
from runners.results.entry import Entry
from runners.results.results import Results
from runners.results.verdicts import Comparison, compare


def _any(entry: Entry) -> bool:
    return True


def _has_functions(entry: Entry) -> bool:
    return entry.result.functions is not None


PANELS: tuple[tuple[str, Callable[[Entry], bool], Callable[..., Any], Callable[..., Any]], ...] = (
    ("curves", _any, curves, draw_curves),
    ("retention", _any, matrices, draw_matrices),
    ("functions", _has_functions, functions, draw_functions),
)
"""The figures with a panel per cell: what their files are called, which cells they have, and how they come about."""

FIGURES: dict[str, Callable[[Results], Iterator[Planned]]] = {
    "size": size_figures,
    "dial": dial_figures,
    "overlap": overlap_figures,
    "network": networks_of,
}
"""All other figures but the headline, by kind; a new one is a file beside this one, and a name here or in :data:`PANELS`."""

KINDS = ("headline", *FIGURES, *(name for name, *_ in PANELS))
"""What figures are chosen by."""


def planned(
    results: Results, comparisons: Sequence[Comparison] | None = None, only: Iterable[str] = (), overlay: bool = False
) -> Iterator[Planned]:
    """Yield every figure that the results allow, the headline first.

    Args:
        results: what to draw.
        comparisons: the verdicts that the headline tells; those of :func:`runners.results.verdicts.compare` if None.
        only: kinds of figures, of :data:`KINDS`; all if none is given.
        overlay: whether the curves of all architectures stand in one panel, one for each task, instead of a panel per cell.

    Raises:
        InputError: there is no such kind.
    """
    wanted = tuple(only) or KINDS
    if unknown := [kind for kind in wanted if kind not in KINDS]:
        raise InputError(f"there are no figures called {', '.join(unknown)}; there are: {', '.join(KINDS)}")
    if "headline" in wanted:
        yield from headline_figures(results, compare(results) if comparisons is None else comparisons)
    for kind, figures in FIGURES.items():
        if kind in wanted:
            yield from figures(results)
    if overlay and "curves" in wanted:
        yield from overlaid_figures(results)
    yield from page_figures(results, [kind for kind in wanted if not (overlay and kind == "curves")])


def page_figures(results: Results, wanted: Sequence[str]) -> Iterator[Planned]:
    """Yield the figures with a panel per cell, page by page; :mod:`runners.report.pages` says which cells have one."""
    for page in pages_of(results)[0]:
        number = f"-{page.number}" if page.number else ""
        for name, shown, data, draw in PANELS:
            entries = [entry for entry in page.entries if shown(entry)]
            if entries and name in wanted:
                yield Planned(f"{page.scenario}-{name}{number}", partial(data, page.scenario, entries, page.note), draw)


def draw_all(
    results: Results,
    folder: Path,
    lost: Callable[[str, Exception], object] | None = None,
    look: Look = PLAIN,
    **chosen: Any,
) -> Iterator[Path]:
    """Draw every figure that the results allow, or those that are chosen, and yield the paths.

    Args:
        results: what to draw.
        folder: for the files.
        lost: hears of figures that cannot be drawn, and why; they take no others along. A warning if left out.
        look: the formats, how wide the figures are, and what for.
        chosen: which figures, and how; see :func:`planned`.

    Raises:
        InputError: there is no such kind of figures.
        StorageError: a file cannot be written.
    """
    from runners.report.drawing import draw_each, warn

    folder.mkdir(parents=True, exist_ok=True)
    figures = ((name, _drawing(data, draw, look)) for name, data, draw in planned(results, **chosen))
    yield from draw_each(figures, folder, lost or warn, look)


def _drawing(data: Callable[[], Any], draw: Callable[..., Any], look: Look) -> Callable[[], Any]:
    return lambda: draw(data(), look)
