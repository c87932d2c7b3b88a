"""Guards the control architectures against slow oracles: numpy's Chebyshev series, sums of cosines, sines and Gaussians,
scipy's BSpline per unit, and a dictionary of tiles. What all architectures promise is in test_models.py.
"""

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from numpy.polynomial import chebyshev as reference
from scipy.interpolate import BSpline, RegularGridInterpolator
from torch import Tensor

from kancl.errors import InputError
from kancl.models import Network, Problem, architectures, parameters_per_seed
from kancl.models.kan_chebyshev import chebyshev
from kancl.models.kan_fourier import fourier
from kancl.models.lookup import Lookup, hash_keys
from kancl.models.mlp_bspline import SplineActivation

LOW, HIGH = (-1.0, 0.0, 2.0), (1.5, 0.5, 6.0)
"""Another range for every input, so that a mix-up shows."""


def make(name: str, inputs: int = 3, outputs: int = 2, seeds: tuple[int, ...] = (0, 1), **options: Any) -> Network:
    low, high = (torch.tensor([ends[:inputs]] * len(seeds), dtype=torch.float64) for ends in (LOW, HIGH))
    network = architectures.get(name)(Problem(inputs, outputs, seeds, low, high, dtype=torch.float64), **options)
    rng = np.random.default_rng(5)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.as_tensor(rng.normal(size=parameter.shape)))
    return network


def points(seeds: int = 2, size: int = 40, inputs: int = 3, beyond: float = 0.0) -> Tensor:
    """Points over the range and the share ``beyond`` of it on both sides; the ends of the range are among them."""
    low, high = (np.array(ends[:inputs]) for ends in (LOW, HIGH))
    share = np.random.default_rng(9).uniform(-beyond, 1 + beyond, (seeds, size, inputs))
    share[:, :2] = [[[0.0], [1.0]]]
    return torch.as_tensor(low + share * (high - low))


# Functions of one edge, of the place in its range


def chebyshev_edge(u: np.ndarray, coef: np.ndarray, options: dict[str, Any]) -> np.ndarray:
    return reference.chebval(np.tanh(u) if options.get("outside") == "tanh" else np.clip(u, -1, 1), coef)


def fourier_edge(u: np.ndarray, coef: np.ndarray, options: dict[str, Any]) -> np.ndarray:
    count, length = len(coef) // 2, 2 * options.get("period", 1.0)  # of a period in u, where the range is 2 long
    total = np.full_like(u, coef[0])
    for k in range(1, count + 1):
        angle = 2 * np.pi * k * (u + 1) / length
        total += coef[k] * np.cos(angle) + coef[count + k] * np.sin(angle)
    return total


def gaussian_edge(u: np.ndarray, coef: np.ndarray, options: dict[str, Any]) -> np.ndarray:
    spacing = 2 / (len(coef) - 1)
    total = np.zeros_like(u)
    for number, c in enumerate(coef):
        distance = (u - (-1 + number * spacing)) / (options.get("width", 1.0) * spacing)
        total += c * np.exp(-(distance**2))
    return total


EDGES: dict[str, Callable[[np.ndarray, np.ndarray, dict[str, Any]], np.ndarray]] = {
    "kan-chebyshev": chebyshev_edge,
    "kan-fourier": fourier_edge,
    "kan-rbf": gaussian_edge,
}
EDGE_CASES: list[tuple[str, dict[str, Any]]] = [
    ("kan-chebyshev", {"hidden": (), "base": "none", "degree": 12}),
    ("kan-chebyshev", {"hidden": (), "base": "none", "degree": 0}),
    ("kan-chebyshev", {"hidden": (4,), "bias": True}),
    ("kan-chebyshev", {"hidden": (4, 3), "outside": "tanh", "hidden_range": (-2.0, 1.0)}),
    ("kan-fourier", {"hidden": (), "base": "none", "frequencies": 9}),
    ("kan-fourier", {"hidden": (4,), "period": 2.0, "bias": True}),
    ("kan-fourier", {"hidden": (3,), "range": (-3.0, 3.0), "frequencies": 1}),
    ("kan-fourier", {"hidden": (), "frequencies": 0}),
    ("kan-rbf", {"hidden": (), "base": "none", "intervals": 20}),
    ("kan-rbf", {"hidden": (4,), "width": 0.5, "bias": True, "hidden_range": (-2.0, 3.0)}),
    ("kan-rbf", {"hidden": (5, 4), "layernorm": True, "intervals": 1}),
]


@pytest.mark.parametrize(("name", "options"), EDGE_CASES, ids=str)
def test_a_network_is_a_double_loop_over_edges(name: str, options: dict[str, Any]) -> None:
    network, x = make(name, **options), points(beyond=0.4)
    y = network(x).detach().numpy()
    for s in range(2):
        signal = x[s].numpy()
        for number, layer in enumerate(network.layers):
            given = options.get("hidden_range", (-1.0, 1.0)) if number else options.get("range")
            if options.get("layernorm") and number:
                centred = signal - signal.mean(1, keepdims=True)
                signal = centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5)
            weights = {key: value.detach().numpy()[s] for key, value in layer.named_parameters()}
            out = np.zeros((len(signal), weights["coef"].shape[-1]))
            for i, o in np.ndindex(signal.shape[1], out.shape[1]):
                low, high = given or (LOW[i], HIGH[i])
                u = -1 + 2 * (signal[:, i] - low) / (high - low)
                out[:, o] += EDGES[name](u, weights["coef"][i, :, o], options)
                if "base" in weights:
                    out[:, o] += weights["base"][i, o] * signal[:, i] / (1 + np.exp(-signal[:, i]))
            signal = out + weights.get("bias", 0.0)
        np.testing.assert_allclose(y[s], signal, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("degree", [1, 2, 7, 8, 202])
def test_chebyshev_polynomials_and_their_slopes_are_numpys(degree: int) -> None:
    u = np.concatenate([np.linspace(-1, 1, 101), [-0.5, 0.5]])
    leaf = torch.as_tensor(u).view(1, -1, 1).requires_grad_()
    values = chebyshev(leaf, degree)
    np.testing.assert_allclose(values.detach().numpy()[0, :, 0], reference.chebvander(u, degree), atol=1e-11)
    (slope,) = torch.autograd.grad(values[..., -1].sum(), leaf)
    one = np.zeros(degree + 1)
    one[-1] = 1
    np.testing.assert_allclose(slope.numpy().ravel(), reference.chebval(u, reference.chebder(one)), atol=1e-8 * degree**2)


def test_chebyshev_polynomials_stay_accurate_in_single_precision() -> None:
    """The values at degree n inherit n^2 roundings of the point at the ends of the range, whatever computes them."""
    u = torch.linspace(-1, 1, 1001)
    exact = np.cos(np.arccos(u.double().numpy())[:, None] * np.arange(203))
    error = np.abs(chebyshev(u.view(1, -1, 1), 202)[0, :, 0].numpy() - exact)
    assert error.max() < 202**2 * np.finfo(np.float32).eps
    assert error.mean() < 1e-5


def test_beyond_the_range_a_clamped_polynomial_is_constant_and_a_squashed_one_is_bounded() -> None:
    far = torch.tensor([-100.0, -1.0, 1.0, 100.0], dtype=torch.float64).view(1, -1, 1)
    held = chebyshev(far, 9)[0, :, 0]
    assert torch.equal(held[0], held[1])
    assert torch.equal(held[2], held[3])
    near = torch.tensor([-3.0, 3.0], dtype=torch.float64).view(1, -1, 1).requires_grad_()
    assert torch.autograd.grad(chebyshev(near, 9).sum(), near)[0].abs().max() == 0
    squashed = chebyshev(near, 9, "tanh")
    assert squashed.abs().max() <= 1
    assert torch.autograd.grad(squashed[..., 1:].square().sum(), near)[0].abs().min() > 0


@pytest.mark.parametrize("period", [1.0, 2.0])
def test_a_series_repeats_itself_after_its_period(period: float) -> None:
    u = torch.linspace(-1, 1, 9, dtype=torch.float64).view(1, -1, 1)
    torch.testing.assert_close(fourier(u, 6, period), fourier(u + 2 * period, 6, period), rtol=1e-12, atol=1e-12)
    ends = fourier(torch.tensor([-1.0, 1.0], dtype=torch.float64).view(1, 2, 1), 6, period)[0]
    assert torch.allclose(ends[0], ends[1]) == (period == 1)


def test_fourier_functions_are_orthogonal_on_the_range() -> None:
    u = (torch.arange(64, dtype=torch.float64) / 32 - 1).view(1, -1, 1)
    functions = fourier(u, 10)[0, :, 0]
    expected = torch.diag(torch.tensor([64.0, *[32.0] * 20], dtype=torch.float64))
    torch.testing.assert_close(functions.T @ functions, expected, rtol=1e-12, atol=1e-12)


def test_a_gaussian_is_nearly_local_and_a_global_function_is_not() -> None:
    """How much of a step's effect is felt a quarter of the range away: the controls differ in this alone."""
    felt = {}
    for name, options in {
        "kan-rbf": {"intervals": 40},
        "kan-fourier": {"frequencies": 20},
        "kan-chebyshev": {"degree": 40},
    }.items():
        network = make(name, inputs=1, outputs=1, seeds=(0,), hidden=(), base="none", **options)
        place, away = (torch.tensor(at, dtype=torch.float64).view(1, 1, 1) for at in (0.0, 0.625))
        gradients = [torch.autograd.grad(network(x).sum(), network.layers[0].coef)[0] for x in (place, away)]
        felt[name] = float((gradients[0] * gradients[1]).sum().abs() / gradients[0].square().sum())
    assert 0 < felt["kan-rbf"] < 1e-15
    assert min(felt["kan-fourier"], felt["kan-chebyshev"]) > 1e-3


# Spline activations


@pytest.mark.parametrize(
    "options",
    [
        {"hidden": (4,)},
        {"hidden": (5, 4), "degree": 2, "intervals": 11, "hidden_range": (-0.5, 3.0)},
        {"hidden": (3,), "degree": 1, "intervals": 9, "start": "relu"},
        {"hidden": (3,), "backend": "dense"},
        {"hidden": ()},
    ],
    ids=str,
)
def test_spline_activations_are_one_scipy_spline_per_unit(options: dict[str, Any]) -> None:
    network, x = make("mlp-bspline", **options), points(beyond=0.2)
    y = network(x).detach().numpy()
    degree, intervals = options.get("degree", 3), options.get("intervals", 5)
    low, high = options.get("hidden_range", (-2.0, 2.0))
    knots = low + np.arange(-degree, intervals + degree + 1) * (high - low) / intervals
    for s in range(2):
        signal = x[s].numpy()
        for layer in network.layers:
            weights = {key: value.detach().numpy()[s] for key, value in layer.named_parameters()}
            if "coef" not in weights:
                signal = signal @ weights["weight"] + weights["bias"]
                continue
            assert weights["coef"].shape == (signal.shape[1], intervals + degree)
            # scipy's base interval begins at the degree-th knot; zeros make the functions on the extension whole.
            far = np.arange(1, degree + 1)
            padded = np.concatenate([knots[0] - far[::-1], knots, knots[-1] + far])
            for h in range(signal.shape[1]):
                coef = np.concatenate([np.zeros(degree), weights["coef"][h], np.zeros(degree)])
                signal[:, h] = np.nan_to_num(BSpline(padded, coef, degree, extrapolate=False)(signal[:, h]))
        np.testing.assert_allclose(y[s], signal, rtol=1e-9, atol=1e-9)


def activation(degree: int, intervals: int, start: str) -> SplineActivation:
    low = torch.full((1, 1), -1.0, dtype=torch.float64)
    problem = Problem(1, 1, (0,), low, -low, dtype=torch.float64)
    options: dict[str, Any] = {"hidden": (1,), "degree": degree, "intervals": intervals, "start": start, "noise": 0.0}
    return architectures.get("mlp-bspline")(problem, **options).layers[1]


@pytest.mark.parametrize("degree", [1, 2, 3, 5])
def test_an_activation_that_starts_as_the_identity_is_the_identity_on_its_range(degree: int) -> None:
    x = torch.linspace(-2, 2, 33, dtype=torch.float64).view(1, -1, 1)
    torch.testing.assert_close(activation(degree, 7, "identity")(x), x, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("start", "function"), [("silu", torch.nn.functional.silu), ("tanh", torch.tanh)])
@pytest.mark.parametrize("degree", [1, 3])
def test_an_activation_starts_close_to_its_function(degree: int, start: str, function: Callable[[Tensor], Tensor]) -> None:
    """Schoenberg's approximation converges with the square of the knots' distance."""
    x = torch.linspace(-1.99, 1.99, 200, dtype=torch.float64).view(1, -1, 1)
    errors = [(activation(degree, count, start)(x) - function(x)).detach().abs().max() for count in (20, 80)]
    coarse, fine = map(float, errors)
    assert fine < 0.1
    assert math.log(coarse / fine, 4) == pytest.approx(2, abs=0.15)


# Tile coding


def dictionary(network: Lookup, s: int, options: dict[str, Any], x: np.ndarray) -> np.ndarray:
    """Read the tables tile by tile, found by comparing with the borders of every tile of every tiling."""
    tiles, tilings, table = options["tiles"], options.get("tilings", 1), network.table.detach().numpy()[s]
    inputs, out = x.shape[1], np.zeros((len(x), table.shape[1]))
    places = {tile: number for number, tile in enumerate(product(range(tilings), *[range(tiles)] * inputs))}
    for b, t in np.ndindex(len(x), tilings):
        tile = [t]
        for i in range(inputs):
            width = (HIGH[i] - LOW[i]) / (tiles - 1 + 1 / tilings)
            origin = LOW[i] - width * ((2 * i + 1) * t % tilings) / tilings
            borders = origin + width * np.arange(1, tiles)
            tile.append(int((x[b, i] >= borders).sum()))
        out[b] += table[places[tuple(tile)]]
    return out


@pytest.mark.parametrize(
    ("inputs", "options"),
    [
        (1, {"tiles": 203}),
        (2, {"tiles": 5}),
        (3, {"tiles": 4, "tilings": 3}),
        (2, {"tiles": 3, "tilings": 8}),
        (3, {"tiles": 1}),
    ],
    ids=str,
)
def test_tile_coding_is_a_dictionary_of_tiles(inputs: int, options: dict[str, Any]) -> None:
    # 0.4 of the range beyond its ends: such points belong to the outermost tiles.
    network, x = make("lookup", inputs=inputs, **options), points(inputs=inputs, beyond=0.4)
    for s in range(2):
        np.testing.assert_allclose(network(x)[s].detach().numpy(), dictionary(network, s, options, x[s].numpy()), rtol=1e-12)
    assert parameters_per_seed(network) == options.get("tilings", 1) * options["tiles"] ** inputs * 2


@pytest.mark.parametrize(("inputs", "tiles"), [(1, 2), (1, 30), (2, 5), (3, 3)])
def test_linear_interpolation_is_scipys(inputs: int, tiles: int) -> None:
    network, x = make("lookup", inputs=inputs, tiles=tiles, interpolation="linear"), points(inputs=inputs, beyond=0.3)
    axes = [np.linspace(LOW[i], HIGH[i], tiles) for i in range(inputs)]
    for s in range(2):
        values = network.table.detach().numpy()[s].reshape(*[tiles] * inputs, 2)
        held = np.clip(x[s].numpy(), LOW[:inputs], HIGH[:inputs])
        np.testing.assert_allclose(network(x)[s].detach().numpy(), RegularGridInterpolator(axes, values)(held), atol=1e-12)


def test_interpolation_between_displaced_tilings_is_continuous_and_sums_to_one() -> None:
    network = make("lookup", inputs=2, tiles=4, tilings=3, interpolation="linear")
    _, weights = network.entries(points(inputs=2, beyond=0.3))
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))
    line = torch.linspace(-1, 1.5, 4001, dtype=torch.float64).view(1, -1, 1).expand(2, -1, 2) * torch.tensor([1.0, 0.3])
    jumps = network(line).diff(dim=1).abs().max()
    assert jumps < 0.05  # entries are of size 1, steps a thousandth of a cell


@pytest.mark.parametrize("interpolation", ["none", "linear"])
def test_every_entry_can_be_reached(interpolation: str) -> None:
    network = make("lookup", inputs=2, tiles=4, tilings=3, interpolation=interpolation)
    (gradient,) = torch.autograd.grad(network(points(inputs=2, size=3000)).sum(), network.table)
    assert bool((gradient != 0).all())


def test_a_step_in_some_tiles_moves_no_other_tile_by_a_bit() -> None:
    network = make("lookup", inputs=3, tiles=5)
    learned, kept = points(size=60), points(size=400)
    learned[..., 0] = LOW[0] + 0.19 * (learned[..., 0] - LOW[0])  # all within the first of five slabs
    elsewhere = kept[..., 0] >= LOW[0] + 0.2 * (HIGH[0] - LOW[0])
    before = network(kept).detach()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        network(learned).square().sum().backward()
        optimizer.step()
    after = network(kept).detach()
    assert 0 < elsewhere.sum() < elsewhere.numel()
    assert torch.equal(after[elsewhere], before[elsewhere])
    assert not torch.equal(after, before)
    touched = torch.zeros(2, 125, dtype=torch.bool)
    touched.scatter_(1, network.entries(learned)[0].flatten(1), True)
    moved = (network.table != make("lookup", inputs=3, tiles=5).table).any(-1)
    assert torch.equal(moved, touched)


def hash_by_hand(coordinates: tuple[int, ...], rows: int) -> int:
    total = sum(key * c for key, c in zip(hash_keys(len(coordinates)), coordinates, strict=True)) % 2**64
    return (total >> 32) % rows


def test_hashed_tiles_are_found_by_the_documented_hash() -> None:
    network, x = make("lookup", tiles=6, tilings=2, hashed=50), points(beyond=0.2)
    rows = network.entries(x)[0][..., 0]
    for b, t in np.ndindex(40, 2):
        tile = [t]
        for i in range(3):
            width = (HIGH[i] - LOW[i]) / 5.5
            place = (float(x[1, b, i]) - LOW[i]) / width + ((2 * i + 1) * t % 2) / 2
            tile.append(min(5, max(0, math.floor(place))))
        assert rows[1, b, t] == hash_by_hand(tuple(tile), 50)
    # Written down once: stored weights would mean other tiles if the keys ever changed.
    assert hash_keys(2) == HASH_KEYS
    assert parameters_per_seed(network) == 100


HASH_KEYS = [-3300706722624391028, -303996215444873527]


def test_hashing_spreads_tiles_evenly() -> None:
    """4,096 tiles on 256 rows, no more unevenly than chance: then the chi-squared statistic has mean 255 and deviation 23."""
    network = make("lookup", inputs=3, tiles=16, hashed=256)
    axes = [LOW[i] + (np.arange(16) + 0.5) / 16 * (HIGH[i] - LOW[i]) for i in range(3)]
    x = torch.as_tensor(np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(1, -1, 3)).expand(2, -1, -1)
    counts = np.bincount(network.entries(x)[0][0].flatten().numpy(), minlength=256)
    assert ((counts - 16) ** 2 / 16).sum() < 255 + 4 * 23


def test_a_table_says_when_it_is_too_large() -> None:
    problem = Problem(64, 10, (0,), torch.zeros(1, 64), torch.ones(1, 64))
    build = architectures.get("lookup")
    with pytest.raises(InputError, match=r"1 x 5\^64 tiles x 10 outputs = about 1e46 numbers.*1,048,576.*hashed=4096"):
        build(problem, tiles=5)
    with pytest.raises(InputError, match=r"3 x 3\^12 tiles x 1 outputs = 1,594,323 numbers, more than"):
        build(Problem(12, 1, (0,), torch.zeros(1, 12), torch.ones(1, 12)), tiles=3, tilings=3)
    with pytest.raises(InputError, match=r"2,000,000 rows and 10 outputs holds 20,000,000 numbers"):
        build(problem, tiles=5, hashed=2_000_000)
    with pytest.raises(InputError, match=r"2\^64 entries per point.*interpolation=none"):
        build(problem, interpolation="linear", hashed=100)
    assert build(problem, tiles=5, hashed=100)(torch.rand(1, 4, 64)).shape == (1, 4, 10)


# What all of them do


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("kan-chebyshev", {"hidden": (), "degree": 202, "base": "none"}, 203),
        ("kan-fourier", {"hidden": (), "frequencies": 101, "base": "none"}, 203),
        ("kan-rbf", {"hidden": (), "intervals": 202, "base": "none"}, 203),
        ("kan-rbf", {"hidden": (4,), "intervals": 7, "base": "silu", "bias": True}, (4 + 4) * (8 + 1) + 4 + 1),
        ("mlp-bspline", {"hidden": (2,), "intervals": 95}, 2 * 2 + 2 * 98 + 3),
        ("lookup", {"tiles": 203}, 203),
        ("lookup", {"tiles": 50, "tilings": 4, "interpolation": "linear"}, 200),
        ("lookup", {"hashed": 77}, 77),
        ("linear", {}, 2),
    ],
    ids=str,
)
def test_parameters_are_counted_by_hand(name: str, options: dict[str, Any], expected: int) -> None:
    assert parameters_per_seed(make(name, inputs=1, outputs=1, **options)) == expected


CONTROLS = ("kan-chebyshev", "kan-fourier", "kan-rbf", "linear", "lookup", "mlp-bspline")


@pytest.mark.parametrize("name", CONTROLS)
def test_gradients_are_finite_at_the_ends_and_beyond_the_range(name: str) -> None:
    network = make(name, seeds=(0,))
    low, high = (torch.tensor([ends], dtype=torch.float64) for ends in (LOW, HIGH))
    x = torch.stack([low, high, low - 5, high + 5, (low + high) / 2], dim=1)
    y = network(x)
    assert y.isfinite().all()
    for gradient in torch.autograd.grad(y.square().sum(), list(network.parameters())):
        assert gradient.isfinite().all()


@pytest.mark.parametrize("name", CONTROLS)
def test_not_a_number_goes_through_and_touches_no_other_sample(name: str) -> None:
    network, x = make(name), points()
    expected = network(x).detach()
    x[0, 3, 1] = torch.nan
    y = network(x)
    assert y[0, 3].isnan().all()
    spoiled = torch.zeros(2, 40, dtype=torch.bool)
    spoiled[0, 3] = True
    torch.testing.assert_close(y[~spoiled], expected[~spoiled], rtol=1e-12, atol=1e-12)


def test_the_linear_model_is_torchs() -> None:
    network, x = make("linear"), points()
    for s in range(2):
        linear = torch.nn.Linear(3, 2, dtype=torch.float64)
        linear.load_state_dict({"weight": network.layer.weight[s].T, "bias": network.layer.bias[s, 0]})
        torch.testing.assert_close(network(x)[s], linear(x[s]))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("kan-chebyshev", {"degree": -1}, "degree .* -1"),
        ("kan-chebyshev", {"hidden": (3, 0)}, r"\[3, 0\]"),
        ("kan-fourier", {"frequencies": -2}, "frequencies >= 0 .* -2"),
        ("kan-fourier", {"period": 0.0}, r"period > 0, got 4 and 0\.0"),
        ("kan-fourier", {"noise": -0.5}, "noise .* -0.5"),
        ("kan-rbf", {"intervals": 0}, "intervals >= 1 .* 0"),
        ("kan-rbf", {"width": -1.0}, r"width > 0, got 7 and -1\.0"),
        ("kan-rbf", {"regularization": -2.0}, r"regularization .* -2\.0"),
        ("kan-rbf", {"range": (1.0, 1.0)}, "low < high, got low 1 and high 1"),
        ("kan-rbf", {"hidden_range": (2.0, -1.0)}, "low 2 and high -1"),
        ("mlp-bspline", {"hidden": (-1,)}, r"\[-1\]"),
        ("mlp-bspline", {"degree": 6}, "6"),
        ("mlp-bspline", {"degree": 0}, r"must be 1\.\.5.*got 0"),
        ("mlp-bspline", {"intervals": 0}, "0"),
        ("mlp-bspline", {"noise": -1.0}, "-1"),
        ("mlp-bspline", {"hidden_range": (1.0, -1.0)}, "low 1 and high -1"),
        ("lookup", {"tiles": 0}, "tiles=0"),
        ("lookup", {"tiles": 1, "interpolation": "linear"}, "tiles >= 2.*tiles=1"),
        ("lookup", {"tilings": 0}, "tilings=0"),
        ("lookup", {"hashed": 0}, "hashed=0"),
        ("lookup", {"noise": -0.1}, "noise=-0.1"),
        ("lookup", {"range": (0.5, -0.5)}, "low 0.5 and high -0.5"),
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make(name, **options)
