"""Guards the instruments: masses, overlap, occupancy and drift against hand-made numbers and scipy's splines."""

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline
from torch import Tensor, nn

from kancl.locality import (
    Probe,
    idle_drift,
    input_drift,
    layers_of,
    mass,
    off_grid,
    overlap,
    touched,
    unused,
)
from kancl.models import Network, Problem, architectures
from kancl.models.layers import SplineLayer

SEEDS = (0, 1, 2)


def problem(inputs: int = 2, outputs: int = 1, low: float = -1.0, high: float = 1.0) -> Problem:
    ends = (torch.full((len(SEEDS), inputs), end, dtype=torch.float64) for end in (low, high))
    return Problem(inputs, outputs, SEEDS, *ends, dtype=torch.float64)


def spline_layer(intervals: int, degree: int, inputs: int = 2, movable: bool = False) -> SplineLayer:
    p = problem(inputs)
    return SplineLayer(
        p.low, p.high, 3, p.generators(), intervals=intervals, degree=degree, noise=0.1, base=False, scales=False,
        bias=False, movable=movable,
    )  # fmt: skip


def samples(count: int, inputs: int = 2, scale: float = 1.0) -> Tensor:
    return scale * (2 * torch.rand(len(SEEDS), count, inputs, generator=torch.manual_seed(1), dtype=torch.float64) - 1)


@pytest.mark.parametrize("degree", [0, 1, 3])
@pytest.mark.parametrize("movable", [False, True])
def test_the_mass_is_that_of_scipys_basis(degree: int, movable: bool) -> None:
    G = 6
    layer, x = spline_layer(G, degree, movable=movable), samples(40)
    knots = -1 + (np.arange(G + 2 * degree + 1) - degree) * 2 / G
    basis = np.nan_to_num(
        np.stack(
            [BSpline.basis_element(knots[c : c + degree + 2], extrapolate=False)(x.numpy()) for c in range(G + degree)], -1
        )
    )
    np.testing.assert_allclose(mass(layer, [x]).numpy(), np.abs(basis).mean(1), atol=1e-12)
    assert torch.equal(touched(layer, [x]), torch.as_tensor((basis > 0).any(1)))


def test_the_mass_in_parts_is_the_mass(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = spline_layer(5, 3), samples(40)
    whole, reached = mass(layer, [x]), touched(layer, [x])
    monkeypatch.setattr("kancl.parts.AT_ONCE", 7 * layer.coef[0].numel() * len(SEEDS))
    torch.testing.assert_close(mass(layer, [x[:, :9], x[:, 9:]]), whole)
    assert torch.equal(touched(layer, [x]), reached)


def test_a_layer_without_basis_functions_uses_its_inputs() -> None:
    layer = architectures.get("mlp")(problem(), hidden=(4,)).layers[0]
    x = samples(10)
    torch.testing.assert_close(mass(layer, [x]), x.abs().mean(1)[..., None])
    assert off_grid(layer, [x]) is None


def test_overlap_is_what_two_histograms_share() -> None:
    one = torch.tensor([[[4.0, 0.0], [2.0, 2.0]], [[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    other = torch.tensor([[[1.0, 1.0], [1.0, 1.0]], [[0.0, 7.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]]])
    # Seed 0: (.5, 0, .25, .25) and four quarters; seed 1 shares nothing; seed 2 has nothing to share.
    expected = torch.tensor([0.75, 0.0, torch.nan])
    torch.testing.assert_close(overlap(one, other), expected, equal_nan=True)
    torch.testing.assert_close(overlap(other, one), expected, equal_nan=True)


def test_overlap_of_splines_is_the_share_of_mass_inside_the_grid() -> None:
    """Where the basis sums to 1, sum min(m_i, m_j) / sum m_i is the same from both sides."""
    layer = spline_layer(7, 3)
    one, other = (mass(layer, [x]) for x in (samples(30) * 0.5 - 0.5, samples(30) * 0.6 + 0.3))
    shared = torch.minimum(one, other).sum((1, 2))
    for own in (one, other):
        torch.testing.assert_close(overlap(one, other), shared / own.sum((1, 2)))
    assert ((overlap(one, other) > 0.1) & (overlap(one, other) < 0.9)).all()
    torch.testing.assert_close(overlap(one, one), torch.ones(3, dtype=torch.float64))


def test_overlap_of_one_linear_input_is_whole() -> None:
    """Every sample uses the weight of the only input, however small the input is."""
    layer = architectures.get("mlp")(problem(1), hidden=(4,)).layers[0]
    near, far = samples(20, 1) * 0.01, samples(20, 1) + 5
    torch.testing.assert_close(overlap(mass(layer, [near]), mass(layer, [far])), torch.ones(3, dtype=torch.float64))


@pytest.mark.parametrize("movable", [False, True])
def test_occupancy_counts_points_beyond_the_ends_and_functions_without_a_sample(movable: bool) -> None:
    layer = spline_layer(4, 1, inputs=1, movable=movable)  # hats at -1, -.5, 0, .5, 1
    x = torch.tensor([-1.0, -0.75, 1.0, 1.2, -1.3]).double().view(1, 5, 1).expand(3, -1, -1)
    share = off_grid(layer, [x])
    assert share is not None
    torch.testing.assert_close(share, torch.full((3,), 2 / 5, dtype=torch.float64))
    torch.testing.assert_close(unused(mass(layer, [x])), torch.full((3,), 2 / 5, dtype=torch.float64))  # those at 0 and .5


def test_the_ends_follow_a_grid_that_moves() -> None:
    layer, x = spline_layer(4, 3, inputs=1, movable=True), samples(30, 1) + 4
    assert off_grid(layer, [x]).eq(1).all()  # type: ignore[union-attr]
    layer.refit_grid(x)
    assert off_grid(layer, [x]).eq(0).all()  # type: ignore[union-attr]


def test_idle_drift_is_the_share_of_the_change() -> None:
    change = torch.zeros(2, 1, 3, 2)
    change[0, 0, 0], change[0, 0, 2] = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 4.0])
    mask = torch.tensor([[[True, True, False]]]).expand(2, -1, -1)
    torch.testing.assert_close(idle_drift(change, mask), torch.tensor([0.8, torch.nan]), equal_nan=True)


def test_input_drift_is_in_standard_deviations() -> None:
    then = torch.tensor([[[0.0, 10.0], [2.0, 14.0]]])  # deviations 1 and 2
    now = then + torch.tensor([3.0, 4.0])
    torch.testing.assert_close(input_drift([then], [now]), torch.tensor([np.sqrt(12.5 / 2.5)]).float())
    assert input_drift([then], [then]).item() == 0


class Split(Network):
    """Parameters of the network itself, one layer called twice, and one with basis functions of its own."""

    class Tiles(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.coef = nn.Parameter(torch.randn(len(SEEDS), 1, 9, 1, dtype=torch.float64))
            self.inner = nn.Linear(1, 1)

        def usage(self, x: Tensor) -> Tensor:
            cell = ((x + 1) * 1.5).long().clamp(0, 2)
            return nn.functional.one_hot(3 * cell[..., 0] + cell[..., 1], 9).to(x.dtype)[:, :, None]

        def forward(self, x: Tensor) -> Tensor:
            return torch.einsum("sbjc,sjco->sbo", self.usage(x), self.coef)

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(len(SEEDS), 1, 1, dtype=torch.float64))
        self.twice = architectures.get("mlp")(problem(2, 2), hidden=()).layers[0]
        self.tiles = self.Tiles()

    def forward(self, x: Tensor) -> Tensor:
        return self.gain * self.tiles(self.twice(self.twice(x).tanh()))


def test_layers_are_what_holds_parameters_or_says_what_it_uses() -> None:
    assert list(layers_of(Split())) == ["", "twice", "tiles"]
    assert list(layers_of(architectures.get("kan")(problem(), hidden=(3,)))) == ["layers.0", "layers.1"]


def test_a_probe_sees_every_call_and_changes_nothing() -> None:
    network, x = Split(), samples(8)
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    probe = Probe(network)
    seen = probe.run(x)
    assert torch.equal(seen.outputs, network(x))
    first = network.twice(x).tanh()
    for got, expected in zip(seen.inputs["twice"], [x, first], strict=True):
        assert torch.equal(got, expected)
    assert torch.equal(seen.inputs["tiles"][0], network.twice(first))
    probe.run(x, {"gain": 2 * state["gain"]}, {"tiles": [x]})
    assert torch.equal(probe.run(x).outputs, seen.outputs)
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
    assert network.training


def test_a_probe_feeds_other_inputs_other_states_and_other_splines() -> None:
    network, x, other = Split(), samples(8), samples(8) * 0.3
    probe = Probe(network)
    assert torch.equal(probe.run(x, None, {"tiles": [other]}).outputs, network.tiles(other))
    torch.testing.assert_close(probe.run(x, {"gain": 3 * network.gain}).outputs, 3 * network(x))
    nothing, double = torch.zeros_like(network.tiles.coef), 2 * network.tiles.coef.detach()
    torch.testing.assert_close(probe.run(x, terms={"tiles": [({"coef": double}, {"coef": nothing})]}).outputs, 3 * network(x))
