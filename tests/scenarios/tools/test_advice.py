"""Guards the advice of the built-in scenarios: rivals of the KAN's size, and numbers of the policy per architecture."""

from typing import Any

import pytest

from kancl.models import architectures, parameters_per_seed
from runners.config.request import Request
from runners.experiment.expand import expand
from runners.stream.stack import stack
from runners.training.networks import build_network
from scenarios import Advice

SMALLER = {"linear"}
"""It has one size."""


def sizes(scenario: str) -> dict[str, int]:
    cells = expand([Request(scenarios=(scenario,), architectures=tuple(architectures.names()), seeds=1)])
    stream = stack(cells[0].scenario, cells[0].seeds)
    return {cell.architecture.name: parameters_per_seed(build_network(cell, stream)) for cell in cells}


@pytest.mark.parametrize(
    ("scenario", "kan", "tolerance"),
    [
        ("gaussian-peaks", 203, 0.02),
        ("gaussian-peaks:dims=2", 345, 0.10),
        ("gaussian-peaks:dims=3", 460, 0.26),
        ("gaussian-peaks:dims=12", 1495, 0.75),
        ("split-digits", 10_656, 0.003),
    ],
)
def test_rivals_have_about_the_size_of_the_kan(scenario: str, kan: int, tolerance: float) -> None:
    """A joint grid has n^D tiles, so its size comes in ever larger steps; an MLP's and a KAN's grow differently with D."""
    found = sizes(scenario)
    assert found["kan"] == kan
    for name, size in found.items():
        if name not in SMALLER:
            assert size == pytest.approx(kan, rel=tolerance), name


def test_edge_networks_have_exactly_the_size_of_the_kan() -> None:
    for scenario in ("gaussian-peaks", "gaussian-peaks:dims=2", "split-digits"):
        found = sizes(scenario)
        assert {found[name] for name in ("kan", "kan-chebyshev", "kan-fourier", "kan-rbf")} == {found["kan"]}


SHARED: dict[str, dict[str, Any]] = {"adam": {"lr": 1e-3, "epochs": 5, "batch_size": 16}, "sgd": {"lr": 0.1}}


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({}, SHARED),
        ({"mlp": {"adam": {"lr": 1.0}}}, SHARED),
        ({"kan": {"adam": {"lr": 0.5}}}, {**SHARED, "adam": {"lr": 0.5, "epochs": 5, "batch_size": 16}}),
        ({"kan": {"adam": {"steps": 7}}}, {**SHARED, "adam": {"lr": 1e-3, "steps": 7, "batch_size": 16}}),
        ({"kan": {"lbfgs": {"steps": 9}}}, {**SHARED, "lbfgs": {"steps": 9}}),
    ],
    ids=str,
)
def test_an_architectures_own_numbers_replace_the_shared_ones_one_by_one(own: dict[str, Any], expected: dict[str, Any]) -> None:
    advice = Advice(policies=SHARED, own_policies=own)
    assert advice.policies_of("kan") == expected
    assert advice.policies == SHARED


def test_own_numbers_reach_the_cell(enrol_advised: str) -> None:
    kan, mlp = expand([Request(scenarios=(enrol_advised,), architectures=("kan", "mlp"), seeds=1)])
    assert (kan.policy.lr, kan.policy.steps) == (0.5, 3)
    assert (mlp.policy.lr, mlp.policy.steps) == (0.25, 3)
    (said,) = expand([Request(scenarios=(enrol_advised,), architectures=("kan",), seeds=1, lr=0.125)])
    assert said.policy.lr == 0.125


@pytest.fixture
def enrol_advised(tmp_path: Any) -> str:
    """A scenario in a file whose advice has a rate of its own for the KAN."""
    path = tmp_path / "advised.py"
    path.write_text(
        "import torch\n"
        "from scenarios import Advice, Scenario, Task\n"
        "def advised(seed: int) -> Scenario:\n"
        "    x = torch.linspace(0, 1, 9)[:, None]\n"
        "    advice = Advice(policies={'adam': {'lr': 0.25, 'steps': 3}}, own_policies={'kan': {'adam': {'lr': 0.5}}})\n"
        "    return Scenario((Task('one', (x, x), (x, x)),), 'mse', test_is_train=True, advice=advice)\n"
    )
    return f"{path}:advised"
