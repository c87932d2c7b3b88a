"""Guards advice on sizes: the formulas count what the networks really hold, and rivals come out at the KAN's size."""

from itertools import pairwise
from typing import Any

import pytest
import torch

from kancl.models import Problem, architectures, parameters_per_seed
from scenarios.tools.sizes import rivals_of_kan


def sizes(inputs: int, outputs: int, rivals: dict[str, dict[str, Any]]) -> dict[str, int]:
    problem = Problem(inputs, outputs, (0,), -torch.ones(1, inputs), torch.ones(1, inputs))
    return {name: parameters_per_seed(architectures.get(name)(problem, **options)) for name, options in rivals.items()}


@pytest.mark.parametrize(
    ("inputs", "outputs", "options"),
    [
        (64, 10, {"hidden": (16,)}),
        (64, 10, {"hidden": (16,), "intervals": 6}),
        (30, 2, {"hidden": (8,), "base": "none"}),
        (2, 1, {"hidden": (8,), "intervals": 20, "base": "none", "depth": 2, "activation": "tanh"}),
        (2, 1, {"hidden": (8, 8), "intervals": 10, "depth": 3, "interpolation": "linear"}),
        (784, 10, {"hidden": (64,)}),
        (3072, 10, {"hidden": (16,)}),
    ],
)
def test_rivals_have_the_size_of_the_kan(inputs: int, outputs: int, options: dict[str, Any]) -> None:
    found = sizes(inputs, outputs, rivals_of_kan(inputs, outputs, **options))
    widths = (inputs, *options["hidden"], outputs)
    functions = options.get("intervals", 5) + 3 + (options.get("base", "silu") == "silu")
    assert found["kan"] == functions * sum(a * b for a, b in pairwise(widths))
    assert found["kan"] == found["kan-chebyshev"] == found["kan-rbf"]
    for name, size in found.items():
        assert size == pytest.approx(found["kan"], rel=0.08), name


def test_a_table_of_many_inputs_is_hashed() -> None:
    assert rivals_of_kan(16, 1)["lookup"] == {"tiles": 2, "hashed": 9 * 8 * 17}


def test_the_closest_width_is_taken() -> None:
    """By trying every width."""
    for depth in (1, 2, 3):
        target = rivals_of_kan(3, 2, hidden=(7,), depth=depth)
        size = sizes(3, 2, target)["kan"]
        every = [sizes(3, 2, {"mlp": {"hidden": (width,) * depth}})["mlp"] for width in range(1, 120)]
        best = min(range(len(every)), key=lambda place: abs(every[place] - size)) + 1
        assert target["mlp"]["hidden"] == (best,) * depth
