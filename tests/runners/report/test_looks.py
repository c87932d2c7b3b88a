"""Figures for a paper or a slide: as wide as was asked for, with texts of a size for it, and one colour by name everywhere."""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from kancl.errors import InputError
from runners.report.drawing import own_style, rendered
from runners.report.figures.curves import curves, draw_curves
from runners.report.figures.data import Line, ScoreAxis
from runners.report.figures.dials import DialData, DialPanel, draw_dials
from runners.report.figures.functions import draw_functions, functions
from runners.report.figures.headline import draw_headline
from runners.report.figures.look import COLUMNS, PLAIN, SLIDE, Look
from runners.report.figures.matrices import draw_matrices, matrices
from runners.report.figures.overlaid import draw_overlaid, overlaid
from runners.report.figures.overlaps import OverlapData, Points, draw_overlaps
from runners.report.figures.sizes import SizeData, SizePanel, draw_sizes
from runners.report.numbers import alike
from runners.report.palette import style_of, task_colours
from tests.runners.report.test_headline import data_of, toy
from tests.runners.report.test_sizes import entry_of, result_of

LOOKS = [PLAIN, Look(width="single"), Look(width="double"), Look(purpose="slides"), Look(width=2.5), Look(width=24.0)]


def line_of(name: str, architecture: str) -> Line:
    x = np.array([0.0, 0.5, 1.0])
    return Line(name, architecture, x, x + 0.2, x + 0.1, x + 0.3)


def dials() -> DialData:
    contenders = {"kan": "kan", "kan:grid=3": "kan", "mlp": "mlp"}
    panel = DialPanel(
        tuple(line_of(name, own) for name, own in contenders.items()), (np.array([0.0, 1.0]), np.array([0.5, 0.5]))
    )
    axes = (ScoreAxis("learning", True), ScoreAxis("retention", False, share=True))
    return DialData(("heading",), "joint", tuple("abcd"), axes, contenders, ((panel,) * 4,) * 2)


def overlaps() -> OverlapData:
    places = np.array([0.1, 0.9])
    points = tuple(Points(name, name, places, places, places / 9) for name in ("mlp", "kan"))
    return OverlapData(("heading",), points, None, many=False)


def sizes() -> SizeData:
    lines = tuple(replace(line_of(name, name), x=np.array([80.0, 400.0, 9000.0])) for name in ("kan", "mlp"))
    score, kept = ScoreAxis("score", False), ScoreAxis("retention", False, share=True)
    return SizeData(
        ("heading",), (SizePanel(score, lines, 0.5), SizePanel(score, lines, 0.5), SizePanel(kept, lines, None)), None
    )


def entries() -> list[Any]:
    return [entry_of(n, result_of(5, functions=True)) for n in range(4)]


FIGURES: dict[str, tuple[Callable[..., Any], Callable[[], Any]]] = {
    "curves": (draw_curves, lambda: curves("short", entries())),
    "matrices": (draw_matrices, lambda: matrices("short", entries())),
    "functions": (draw_functions, lambda: functions("short", entries())),
    "dials": (draw_dials, dials),
    "overlaps": (draw_overlaps, overlaps),
    "sizes": (draw_sizes, sizes),
    "headline": (draw_headline, lambda: data_of(toy())),
    "overlaid": (draw_overlaid, lambda: overlaid("toy", "naive", entries())),
}


@pytest.mark.parametrize("kind", FIGURES)
@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_a_figure_is_as_wide_as_was_asked_for(kind: str, look: Look) -> None:
    draw, data = FIGURES[kind]
    figure = draw(data(), look)
    if look.inches is not None:
        assert figure.get_figwidth() == pytest.approx(look.inches)
    wanted = 3 if look is PLAIN else 1
    assert wanted < figure.get_figheight() < 30


def texts(figure: Figure) -> Iterator[Text]:
    """The texts that are drawn: ticks beyond the ends of an axis are not."""
    yield from [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for ax in figure.axes:
        yield from [ax.title, *ax.texts]
        for axis in (ax.xaxis, ax.yaxis):
            yield axis.label
            low, high = sorted(axis.get_view_interval())
            ticks = axis.get_major_ticks() if axis.get_visible() else []
            yield from (tick.label1 for tick in ticks if tick.label1.get_visible() and low <= tick.get_loc() <= high)


def overlapping(figure: Figure) -> list[tuple[str, str]]:
    """The texts of a figure that lie on each other, or beyond its edge."""
    FigureCanvasAgg(figure).draw()
    low, high = figure.bbox.padded(1).get_points()
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts(figure) if text.get_text().strip()]
    found = [(text, "edge") for text, box in boxes if (box.min < low).any() or (box.max > high).any()]
    for (one, box), (two, other) in itertools.combinations(boxes, 2):
        both = np.minimum(box.max, other.max) - np.maximum(box.min, other.min)
        found += [(one, two)] if both.min() > 1 else []
    return found


@pytest.mark.parametrize("kind", FIGURES)
@pytest.mark.parametrize("look", LOOKS[1:4], ids=str)
def test_no_text_lies_on_another(kind: str, look: Look) -> None:
    draw, data = FIGURES[kind]
    with own_style(look.size):
        assert overlapping(draw(data(), look)) == []


def test_texts_that_overlap_are_found() -> None:
    figure = Figure(figsize=(3, 2))
    figure.text(0.5, 0.5, "one")
    figure.text(0.52, 0.5, "two")
    figure.text(0.9, 0.1, "beyond the edge")
    assert overlapping(figure) == [("beyond the edge", "edge"), ("one", "two")]


def test_what_has_no_room_beside_stands_below() -> None:
    def columns(look: Look) -> int:
        return len({ax.get_subplotspec().colspan.start for ax in draw_curves(curves("short", entries()), look).axes})

    assert (columns(PLAIN), columns(Look(width="double")), columns(Look(width="single"))) == (3, 2, 1)
    for look, rows in ((PLAIN, 2), (Look(width="single"), 4)):
        axes = draw_dials(dials(), look).axes
        place = {ax: ax.get_subplotspec().rowspan.start for ax in axes}
        assert (len(axes), len(set(place.values()))) == (8, rows)
        for metric in (0, 1):
            assert len({ax.get_ylim() for ax, row in place.items() if row % 2 == metric}) == 1
    some = draw_functions(functions("short", entries()), Look(width="single"))
    assert "after 3 of 5 tasks" in some.get_suptitle()
    assert len(some.axes) == 4 * 3


def test_an_architecture_has_one_colour_in_every_figure() -> None:
    kan, mlp = style_of("kan").colour, style_of("mlp").colour
    for figure in (draw_dials(dials()), draw_sizes(sizes()), draw_overlaps(overlaps())):
        found = dict(zip(*reversed(figure.axes[0].get_legend_handles_labels()), strict=True))
        colours = {name: to_hex(handle.lines[0].get_color()) for name, handle in found.items()}
        assert (colours["kan"], colours["mlp"]) == (kan, mlp)
    learned = draw_functions(functions("short", entries())).axes[0].lines[1]
    assert to_hex(learned.get_color()) == mlp
    over_time = draw_curves(curves("short", entries())).axes[0]
    assert [to_hex(line.get_color()) for line in over_time.lines[:5]] == task_colours(5)


def test_no_label_lies_over_data() -> None:
    for draw, data in FIGURES.values():
        for ax in draw(data()).axes:
            over = [text.get_text() for text in ax.texts if not ax.images and text.get_position()[0] < 1]
            assert set(over) <= {"means nothing under joint"}  # where there are no data


def test_panels_that_are_compared_have_equal_axes() -> None:
    for draw, data in (FIGURES["curves"], FIGURES["functions"]):
        assert len({ax.get_ylim() for ax in draw(data()).axes}) == 1
    learning, final, kept = draw_sizes(sizes()).axes
    assert learning.get_ylim() == final.get_ylim()
    assert kept.get_ylim()[1] >= 1
    assert len({ax.get_xlim() for ax in (learning, final, kept)}) == 1
    *squares, _ = draw_matrices(matrices("short", entries())).axes
    assert len({ax.images[0].get_clim() for ax in squares}) == 1


def test_numbers_of_all_matrices_are_written_alike() -> None:
    assert alike([0.5, 1e-5]) == ["5.0e-1", "1.0e-5"]
    assert alike([0.5, 0.001], shares=True) == ["0.50", "0.00"]
    assert alike([math.nan]) == ["–"]
    assert alike([-2e5, 3e10]) == ["-2.0e5", "3.0e10"]
    data = matrices("short", entries())
    data.matrices[0].values[0, 0] = 1e-6
    *squares, _ = draw_matrices(data).axes
    texts = [text.get_text() for ax in squares for text in ax.texts]
    assert len(texts) == 4 * 30
    assert all("e" in text for text in texts)


def test_a_width_is_a_number_of_inches_or_that_of_columns() -> None:
    assert Look(width="single").inches == COLUMNS["single"]
    assert Look(width="5.5").inches == Look(width=5.5).inches == 5.5
    assert (PLAIN.inches, Look(purpose="slides").inches) == (None, SLIDE)
    for wrong in ("broad", "nan", 0.0, 1000.0):
        with pytest.raises(InputError, match=r"wide|width"):
            assert Look(width=wrong).inches
    with pytest.raises(InputError, match="dots per inch"):
        Look(dpi=5)
    with pytest.raises(InputError, match="png, svg or pdf"):
        Look(formats=())


def test_figures_without_width_render() -> None:
    assert rendered(draw_sizes(sizes()), "pdf").startswith(b"%PDF")
