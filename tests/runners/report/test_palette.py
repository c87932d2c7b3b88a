"""Colours stay apart for eyes that lack one kind of cones, stand out from their ground, and are one for each name."""

from collections.abc import Sequence

import numpy as np
import pytest

from kancl.models import architectures
from runners.report.palette import (
    DARK_GROUND,
    DASHES,
    KNOWN,
    LIGHT_GROUND,
    MARKERS,
    PLACES,
    TASKS,
    TASKS_DARK,
    in_order,
    style_of,
    styles_of,
    task_colours,
)

APART = 0.075
"""Least distance of two colours in OKLab for whatever eyes; about 0.02 can just be seen."""
OUT = 3.0
"""Least contrast of a colour with its ground, as WCAG 2.1 (1.4.11) asks for what is drawn."""

EYES = {
    "all cones": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "no long (protanopia)": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "no middle (deuteranopia)": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "no short (tritanopia)": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
"""What is seen of linear sRGB: Machado, Oliveira & Fernandes 2009, severity 1."""
CONES = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
OKLAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)


def linear(colours: Sequence[str]) -> np.ndarray:
    values = np.array([[int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)] for colour in colours])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def nearest(colours: Sequence[str], eyes: str) -> float:
    """The least distance of any two, as Ottosson 2020 measures it."""
    seen = np.clip(linear(colours) @ np.array(EYES[eyes]).T, 0, 1)
    places = np.cbrt(seen @ np.array(CONES).T) @ np.array(OKLAB).T
    between = np.linalg.norm(places[:, None] - places[None], axis=-1)
    return float(between[np.triu_indices(len(colours), 1)].min())


def luminance(colours: Sequence[str]) -> np.ndarray:
    found: np.ndarray = linear(colours) @ [0.2126, 0.7152, 0.0722]
    return found


def contrast(colours: Sequence[str], ground: str) -> np.ndarray:
    high, low = np.maximum(luminance(colours), luminance([ground])), np.minimum(luminance(colours), luminance([ground]))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("eyes", EYES)
def test_any_two_colours_are_apart_whoever_looks(eyes: str) -> None:
    assert nearest([style.colour for style in PLACES], eyes) >= APART
    assert nearest([style.dark for style in PLACES], eyes) >= APART


def test_the_simulation_finds_colours_that_are_confused() -> None:
    red_and_green = ["#d62728", "#2ca02c", "#8c564b"]  # of matplotlib's own cycle
    assert nearest(red_and_green, "all cones") > APART
    assert nearest(red_and_green, "no middle (deuteranopia)") < APART
    assert nearest(["#1f77b4", "#17808a"], "no short (tritanopia)") < APART


def test_every_colour_stands_out_from_its_ground() -> None:
    assert contrast([style.colour for style in PLACES], LIGHT_GROUND).min() >= OUT
    assert contrast([style.dark for style in PLACES], DARK_GROUND).min() >= OUT
    assert contrast(["#000000"], "#ffffff")[0] == pytest.approx(21)


def test_the_pair_that_is_compared_most_is_told_apart_in_grey_by_its_shade_too() -> None:
    kan, mlp = luminance([style_of("kan").colour, style_of("mlp").colour])
    assert (mlp + 0.05) / (kan + 0.05) > 2


def test_markers_tell_all_places_apart_without_colour() -> None:
    assert len({style.marker for style in PLACES}) == len(PLACES)
    assert {style.marker for style in PLACES} <= set(MARKERS)
    assert {style.dash for style in PLACES} <= set(DASHES)


def test_every_architecture_has_a_place_of_its_own() -> None:
    assert set(architectures.names()) == set(KNOWN)
    assert len({style_of(name) for name in KNOWN}) == len(KNOWN)


def test_options_do_not_matter_and_other_names_have_a_stable_place() -> None:
    assert style_of("kan:grid=5,hidden=8") == style_of("kan")
    assert style_of("mine.py:small:width=3") == style_of("mine.py:small")
    spare = PLACES[len(KNOWN) :]
    assert {style_of(f"mine.py:network{k}") for k in range(50)} == set(spare)
    assert style_of("mine.py:small") == spare[1]  # by the name alone, in every process


@pytest.mark.parametrize(
    "names", [["kan"] * 40, ["kan", "mlp"] * 20, [f"mlp:hidden={k}" for k in range(24)], ["a", "b", "c", "d", "e"]]
)
def test_variants_share_a_colour_and_differ_in_marker_or_dash(names: list[str]) -> None:
    found = styles_of(names)
    assert [style.colour for style in found] == [style_of(name).colour for name in names]
    assert len({(style.marker, style.dash) for style in found}) == len(names)
    assert found[0] == style_of(names[0])


def test_first_of_each_name_looks_as_it_always_does() -> None:
    first, second, third = styles_of(["mlp", "kan", "lookup"])
    assert (first, second, third) == (style_of("mlp"), style_of("kan"), style_of("lookup"))


def test_other_things_are_styled_in_order() -> None:
    assert in_order(3) == list(PLACES[:3])
    assert len({(style.marker, style.dash) for style in in_order(30)}) == 30


def test_tasks_grow_lighter() -> None:
    for dark, stops, ground in ((False, TASKS, LIGHT_GROUND), (True, TASKS_DARK, DARK_GROUND)):
        assert task_colours(len(stops), dark) == list(stops)
        assert task_colours(1, dark) == [stops[0]]
        shades = luminance(task_colours(12, dark))
        assert np.all(np.diff(shades) > 0)
        assert contrast(stops, ground).min() >= (OUT if dark else 1.9)
