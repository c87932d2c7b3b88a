"""Guards matching: the width is the one that a search through all widths finds."""

from functools import cache
from itertools import count, takewhile
from typing import Any

import numpy as np
import pytest
import torch

from kancl.errors import InputError
from kancl.models import Problem, architectures, parameters_per_seed
from kancl.models.matching import Width, match_width, widened_by, width_of
from kancl.options import Spec, complete, resolve

LOW = torch.full((1, 3), -1.0)


def parameters(name: str, **options: Any) -> int:
    options["hidden"] = tuple(options["hidden"])
    return parameters_per_seed(architectures.get(name)(Problem(3, 2, (0,), LOW, -LOW), **options))


@pytest.mark.parametrize("target", [1, 23, 200, 203, 1017])
@pytest.mark.parametrize(
    ("name", "asked"),
    [("mlp", {"hidden": [13, 12]}), ("mlp", {"hidden": [5]}), ("kan", {"hidden": [4, 8]}), ("kan", {"hidden": []})],
)
def test_the_width_is_the_closest_of_all(name: str, asked: dict[str, Any], target: int) -> None:
    builder = architectures.get(name)
    width = width_of(name, builder, resolve(builder, Spec(name, asked), ("problem",)))
    assert width.option == ("hidden" if asked["hidden"] else "intervals")

    @cache
    def cost(number: int) -> float:
        return float(parameters(name, **{**asked, width.option: width.at(number)}))

    number, found = match_width(cost, float(target), name)
    every = np.array([cost(n) for n in takewhile(lambda n: n == 1 or cost(n - 1) < 2 * target, count(1))])
    assert found == cost(number)
    assert abs(found - target) == np.abs(every - target).min()


@pytest.mark.parametrize("seed", range(20))
def test_any_growing_cost_is_matched(seed: int) -> None:
    rng = np.random.default_rng(seed)
    costs = np.cumsum(rng.integers(1, 50, 400)).astype(float)
    target = float(rng.uniform(0, 3000))
    number, found = match_width(lambda n: costs[n - 1], target, "x")
    assert found == costs[number - 1]
    assert number - 1 == np.abs(costs - target).argmin()


def test_proportions_are_kept() -> None:
    assert Width("hidden", [20, 10, 1]).at(8) == [8, 4, 1]
    assert Width("hidden", [20, 10, 1]).at(1) == [1, 1, 1]
    assert Width("intervals", 5).at(9) == 9


def test_a_cost_that_does_not_grow_is_refused() -> None:
    with pytest.raises(InputError, match="stays at 8"):
        match_width(lambda width: 8.0, 9.0, "kan")


def test_widths_that_a_builder_refuses_are_not_taken() -> None:
    def cost(width: int) -> float:
        if not 3 <= width <= 10:
            raise InputError("no such width")
        return float(width)

    assert match_width(cost, 100.0, "x") == (10, 10.0)
    assert match_width(cost, 1.0, "x") == (3, 3.0)


def test_what_cannot_be_widened_is_refused_and_what_is_declared_is_used() -> None:
    def linear(problem: Problem, *, scale: float = 1.0, flag: bool = True) -> None: ...

    with pytest.raises(InputError, match="linear cannot be widened"):
        width_of("linear", linear, {"scale": 1.0, "flag": True, "hidden": []})

    @widened_by("units")
    def mine(problem: Problem, *, units: int = 3, hidden: tuple[int, ...] = (4,)) -> None: ...

    assert width_of("mine", mine, {"units": 3, "hidden": [4]}) == Width("units", 3)


SINGLE_LAYERS = {"kan": "intervals", "kan-rbf": "intervals", "kan-fourier": "frequencies", "kan-chebyshev": "degree"}


@pytest.mark.parametrize(("name", "option"), SINGLE_LAYERS.items())
def test_edge_functions_of_a_single_layer_are_widened_by_their_number(name: str, option: str) -> None:
    given = complete(architectures, Spec(name, {"hidden": []}), ("problem",)).options
    assert width_of(name, architectures.get(name), given).option == option
