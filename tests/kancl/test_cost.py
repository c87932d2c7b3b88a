"""Guards the costs: against hand counts, against gradients, and against the published check values."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from kancl.models import Network, Problem, active_parameters, architectures, cost_of, parameters_per_seed
from kancl.models.cost import count_flops
from kancl.models.kanbefair import (
    kanbefair_kan_flops,
    kanbefair_kan_parameters,
    kanbefair_mlp_flops,
    kanbefair_mlp_parameters,
)

SEEDS, BATCH, INPUTS = 3, 4, 5


def make(name: str, outputs: int, **options: Any) -> Network:
    low = torch.full((SEEDS, INPUTS), -1.0, dtype=torch.float64)
    problem = Problem(INPUTS, outputs, tuple(range(SEEDS)), low, -low, dtype=torch.float64)
    return architectures.get(name)(problem, **options)


def inputs() -> Tensor:
    return torch.as_tensor(np.random.default_rng(3).uniform(-0.9, 0.9, (SEEDS, BATCH, INPUTS)))


@pytest.mark.parametrize("outputs", [1, 3])
def test_an_mlp_costs_two_operations_per_weight(outputs: int) -> None:
    cost = cost_of(make("mlp", outputs, hidden=(7, 6)), inputs())
    weights = [INPUTS * 7, 7 * 6, 6 * outputs]
    assert cost.parameters == cost.active == sum(weights) + 7 + 6 + outputs
    assert cost.flops == 2 * sum(weights)
    # Backward: the gradient in the weights of every layer, and in the inputs of all but the first.
    assert cost.step_flops == cost.flops + 2 * sum(weights) + 2 * sum(weights[1:])


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize(("base", "per_edge"), [("silu", 1), ("none", 0)])
@pytest.mark.parametrize("degree", [1, 3])
def test_a_kan_costs_its_active_products(outputs: int, base: str, per_edge: int, degree: int) -> None:
    edges = [INPUTS * 4, 4 * outputs]
    options: dict[str, Any] = {"hidden": (4,), "intervals": 9, "degree": degree, "base": base}
    for backend in ("auto", "local"):
        cost = cost_of(make("kan", outputs, backend=backend, **options), inputs())
        active = degree + 1 + per_edge
        assert cost.parameters == sum(edges) * (9 + degree + per_edge)
        assert cost.active == sum(edges) * active
        assert cost.flops == 2 * sum(edges) * active
    dense = cost_of(make("kan", outputs, backend="dense", **options), inputs())
    assert dense.flops == 2 * sum(edges) * (9 + degree + per_edge)  # what it really computes


@pytest.mark.parametrize("name", ["kan", "mlp"])
def test_counts_are_those_of_torchs_counter(name: str) -> None:
    network, x = make(name, 3, hidden=(7,)), inputs()
    with FlopCounterMode(display=False) as counter:
        network(x)
    assert count_flops(network, x)[0] == counter.get_total_flops() / (SEEDS * BATCH)


@pytest.mark.parametrize("name", ["kan", "mlp"])
def test_counting_leaves_the_network_as_it_is(name: str) -> None:
    network = make(name, 1)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    cost_of(network, inputs())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def nonzero_gradients(network: Network, x: Tensor) -> int:
    """The most entries of the gradient, of a stack of one, that are not zero at any of the samples."""
    most = 0
    parameters = [p for p in network.parameters() if p.requires_grad]
    for b in range(x.shape[1]):
        outputs = network(x[:, b : b + 1])
        found = [torch.zeros_like(p, dtype=torch.bool) for p in parameters]
        for o in range(outputs.shape[2]):
            for mask, g in zip(found, torch.autograd.grad(outputs[:, 0, o].sum(), parameters, retain_graph=True), strict=True):
                mask |= g != 0
        most = max(most, sum(int(mask[0].sum()) for mask in found))
    return most


@pytest.mark.parametrize("name", architectures.names())
def test_no_sample_needs_more_parameters_than_are_active(name: str) -> None:
    network = make(name, 2)
    assert 0 < nonzero_gradients(network, inputs()) <= active_parameters(network) <= parameters_per_seed(network)


@pytest.mark.parametrize(
    "options",
    [
        {"hidden": ()},
        {"hidden": (3,), "bias": True, "scales": "trainable", "noise": 5.0},
        {"hidden": (3,), "base": "none", "noise": 5.0, "degree": 2},
    ],
    ids=str,
)
def test_active_parameters_of_a_kan_are_those_with_a_gradient(options: dict[str, Any]) -> None:
    # Hidden inputs stay on the grid, where K + 1 functions are not zero.
    network = make("kan", 2, hidden_range=(-100.0, 100.0), **options)
    assert nonzero_gradients(network, inputs()) == active_parameters(network)


class Shared(Network):
    """A network with a frozen number, a module that is used twice, and an embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.Parameter(torch.ones(SEEDS, 2), requires_grad=False)
        self.one = self.other = Table()

    def forward(self, x: Tensor) -> Tensor:
        return self.one(x)


class Table(nn.Module):
    """A row of six for each of ten cells, of which one is read."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.ones(SEEDS, 10, 6))

    def active_parameters(self) -> int:
        return 6

    def forward(self, x: Tensor) -> Tensor:
        place = torch.arange(len(x))[:, None].expand(x.shape[:2]).reshape(-1, 1) * 10
        return functional.embedding_bag(place, self.rows.flatten(0, 1), mode="sum").view(*x.shape[:2], 6)


@pytest.mark.parametrize(
    ("name", "options", "active", "flops"),
    [
        # 5 inputs, 2 outputs: the tiles of a sample in every tiling; the 2^5 corners around it, which are weighted and summed.
        ("lookup", {"tiles": 3, "tilings": 2}, 2 * 2, 0),
        ("lookup", {"tiles": 3, "interpolation": "linear"}, 32 * 2, 2 * 32 * 2),
        # Linear layers 5-7-2 with biases, and 4 coefficients for each of 7 units.
        ("mlp-bspline", {"hidden": (7,), "degree": 3}, 5 * 7 + 7 + 7 * 2 + 2 + 7 * 4, 2 * (5 * 7 + 7 * 2 + 7 * 4)),
    ],
)
def test_what_control_architectures_read_is_what_counts(name: str, options: dict[str, Any], active: int, flops: int) -> None:
    cost = cost_of(make(name, 2, **options), inputs())
    assert (cost.active, cost.flops) == (active, flops)


def test_a_layer_declares_what_is_active() -> None:
    cost = cost_of(Shared(), torch.zeros(SEEDS, BATCH, 2))
    assert (cost.parameters, cost.active, cost.flops) == (60, 6, 12)


def test_the_published_formulas_have_their_published_values() -> None:
    widths = [784, 2, 10]
    assert kanbefair_kan_parameters(widths, intervals=3, degree=2) == 12_716
    assert kanbefair_kan_flops(widths, intervals=3, degree=2) == 181_786
    assert kanbefair_kan_parameters([2, 3], 5, 3, base=False) == 6 * 10 + 3
    assert kanbefair_kan_flops([2, 3], 5, 3, base=None) == 6 * (27 * 9.5 + 10 - 7.5 + 1)
    assert kanbefair_mlp_parameters([784, 4, 10]) == 4 * 785 + 10 * 5
    assert kanbefair_mlp_flops([784, 4, 10], "gelu") == 2 * (784 * 4 + 40) + 14 * 14
