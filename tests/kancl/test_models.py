"""Guards the contract of every registered architecture: the seed axis comes first, and no seed knows of another.

Layers are checked against slow oracles: a double loop over edges with scipy's BSpline, and torch.nn.Linear.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline
from torch import Tensor, nn

from kancl.errors import InputError
from kancl.models import Network, Problem, architectures, copy_seed, parameters_per_seed, take_seed
from kancl.models.kan import KAN

INPUTS, OUTPUTS, BATCH = 3, 2, 7
STACK = (5, 1, 3, 0, 7, 2, 6, 4)
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "kan": [
        {"base": "none", "hidden": ()},
        {"base": "none", "degree": 0, "intervals": 1, "hidden": ()},
        {"scales": "trainable", "bias": True},
        {"hidden": (4,)},
        {"hidden": (5, 4), "layernorm": True, "degree": 2},
        {"hidden": (4,), "grid": "each-task", "bias": True},
        {"range": (-0.5, 0.5), "hidden_range": (-3.0, 2.0), "hidden": (4,), "intervals": 100},
        {"regularization": 0.1, "noise": 0.5},
    ],
    "mlp": [
        {"activation": "silu"},
        {"activation": "gelu", "hidden": (5, 4)},
        {"activation": "tanh"},
        {"hidden": ()},
    ],
    "kan-chebyshev": [
        {"base": "none", "hidden": (), "degree": 0},
        {"outside": "tanh", "hidden": (5, 4), "layernorm": True},
        {"bias": True, "regularization": 0.1, "noise": 0.5},
    ],
    "kan-fourier": [
        {"base": "none", "hidden": (), "frequencies": 30},
        {"period": 2.0, "hidden": (4,), "bias": True, "regularization": 0.1},
    ],
    "kan-rbf": [
        {"base": "none", "hidden": (), "intervals": 30},
        {"width": 0.5, "range": (-0.5, 0.5), "hidden_range": (-3.0, 2.0), "bias": True},
    ],
    "lookup": [
        {"tiles": 3, "tilings": 4, "range": (-0.5, 0.5)},
        {"tiles": 20, "hashed": 37, "tilings": 2},
        {"interpolation": "linear", "tilings": 3},
    ],
    "mlp-bspline": [
        {"hidden": ()},
        {"hidden": (5, 4), "degree": 1, "start": "identity"},
        {"hidden": (6,), "degree": 2, "intervals": 20, "start": "tanh", "hidden_range": (-1.0, 3.0)},
    ],
}
CASES = [
    pytest.param(name, options, id=" ".join([name, *(f"{key}={value}" for key, value in options.items())]))
    for name in architectures.names()
    for options in [{}, *VARIANTS.get(name, [])]
]
over_architectures = pytest.mark.parametrize(("name", "options"), CASES)


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Least squares is hundreds of times slower when several test workers' threads wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def make(
    name: str,
    seeds: tuple[int, ...] = (0, 1, 2),
    inputs: int = INPUTS,
    outputs: int = OUTPUTS,
    stream: int = 0,
    dtype: torch.dtype = torch.float64,
    **options: Any,
) -> Network:
    low = torch.full((len(seeds), inputs), -1.0, dtype=dtype)
    problem = Problem(inputs, outputs, seeds, low, low + 2.5, stream, dtype)
    return architectures.get(name)(problem, **options)


def batch(seeds: int, size: int = BATCH, inputs: int = INPUTS, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.as_tensor(np.random.default_rng(7).uniform(-1.2, 1.7, (seeds, size, inputs)), dtype=dtype)


def randomise(network: Network) -> None:
    """Give every parameter visible values: a scale of 1 or a bias of 0 would hide a mistake."""
    rng = np.random.default_rng(11)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.as_tensor(rng.normal(size=parameter.shape)))


def tensors(network: Network) -> dict[str, Tensor]:
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def gradients(network: Network, x: Tensor) -> dict[str, Tensor]:
    loss = network(x).square().mean((1, 2)).sum()
    penalty = network.penalty()
    parameters = dict(network.named_parameters())
    total = loss if penalty is None else loss + penalty.sum()
    return dict(zip(parameters, torch.autograd.grad(total, list(parameters.values())), strict=True))


@over_architectures
def test_every_tensor_carries_the_seeds_first(name: str, options: dict[str, Any]) -> None:
    network = make(name, seeds=(4, 9, 2, 6, 1), **options)
    assert list(network.parameters())
    assert {key: tensor.shape[0] for key, tensor in tensors(network).items() if tensor.shape[0] != 5} == {}


@over_architectures
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(("seeds", "size"), [(1, 1), (3, 7), (2, 0)])
def test_outputs_have_seeds_batch_and_outputs(
    seeds: int, size: int, dtype: torch.dtype, name: str, options: dict[str, Any]
) -> None:
    network = make(name, seeds=tuple(range(seeds)), dtype=dtype, **options)
    y = network(batch(seeds, size, dtype=dtype))
    assert y.shape == (seeds, size, OUTPUTS)
    assert y.dtype == dtype
    assert y.isfinite().all()
    penalty = network.penalty()
    assert penalty is None or penalty.shape == (seeds,)


@over_architectures
def test_a_seed_starts_the_same_alone_and_in_any_stack(name: str, options: dict[str, Any]) -> None:
    alone, stack = tensors(make(name, seeds=(3,), **options)), tensors(make(name, seeds=STACK, **options))
    turned = tensors(make(name, seeds=STACK[::-1], **options))
    assert alone.keys() == stack.keys()
    for key, tensor in alone.items():
        assert torch.equal(tensor[0], stack[key][STACK.index(3)]), key
        assert torch.equal(tensor[0], turned[key][STACK[::-1].index(3)]), key


@over_architectures
def test_seeds_and_streams_start_differently(name: str, options: dict[str, Any]) -> None:
    one, two = make(name, seeds=(3, 4), **options), make(name, seeds=(3, 4), stream=1, **options)
    x = batch(1).expand(2, -1, -1)
    y, other = one(x), two(x)
    assert not torch.equal(y[0], y[1])
    assert not torch.equal(y[0], other[0])
    assert not torch.equal(y[0], other[1])
    assert torch.equal(y, make(name, seeds=(3, 4), **options)(x))


@over_architectures
def test_gradients_of_a_seed_do_not_know_the_others(name: str, options: dict[str, Any]) -> None:
    network, x = make(name, **options), batch(3)
    expected = gradients(network, x)
    x[0], x[2] = torch.nan, 100.0
    with torch.no_grad():
        for parameter in network.parameters():
            parameter[2] *= -3
    for key, gradient in gradients(network, x).items():
        assert torch.equal(gradient[1], expected[key][1]), key


@over_architectures
def test_a_stack_computes_what_its_networks_compute_alone(name: str, options: dict[str, Any]) -> None:
    network, x = make(name, **options), batch(3)
    randomise(network)
    network.begin_task(x + 0.1)
    y, penalty = network(x), network.penalty()
    for s in range(3):
        single = take_seed(network, s)
        assert parameters_per_seed(single) == parameters_per_seed(network)
        torch.testing.assert_close(single(x[s : s + 1])[0], y[s], rtol=1e-11, atol=1e-11)
        alone = single.penalty()
        assert (alone is None) == (penalty is None)
        if penalty is not None and alone is not None:
            torch.testing.assert_close(alone[0], penalty[s])


@over_architectures
def test_starting_a_task_in_a_stack_is_starting_it_alone(name: str, options: dict[str, Any]) -> None:
    network, x = make(name, **options), batch(3, 60)
    randomise(network)
    singles = [take_seed(network, s) for s in range(3)]
    network.begin_task(x)
    for s, single in enumerate(singles):
        single.begin_task(x[s : s + 1])
        for key, tensor in tensors(single).items():
            torch.testing.assert_close(
                tensor[0], tensors(network)[key][s], rtol=1e-7, atol=1e-7, msg=lambda m, k=key: f"{k}: {m}"
            )


@over_architectures
def test_a_network_taken_out_is_a_copy(name: str, options: dict[str, Any]) -> None:
    network = make(name, **options)
    before = {key: tensor.clone() for key, tensor in tensors(network).items()}
    single = take_seed(network, 1)
    for key, tensor in tensors(single).items():
        assert torch.equal(tensor[0], before[key][1])
    with torch.no_grad():
        for tensor in tensors(single).values():
            tensor.add_(1)
    for key, tensor in tensors(network).items():
        assert torch.equal(tensor, before[key]), key


@over_architectures
def test_copy_seed_there_and_back(name: str, options: dict[str, Any]) -> None:
    network, x = make(name, **options), batch(3)
    randomise(network)
    network.begin_task(x)
    expected, target = network(x), make(name, seeds=(8, 9), **options)
    kept = {key: tensor[0].clone() for key, tensor in tensors(target).items()}
    copy_seed(network, 2, target, 1)
    torch.testing.assert_close(target(x[[0, 2]])[1], expected[2], rtol=1e-11, atol=1e-11)
    for key, tensor in tensors(target).items():
        assert torch.equal(tensor[0], kept[key]), key
    with torch.no_grad():
        for tensor in tensors(network).values():
            tensor[2] = 0
    copy_seed(target, 1, network, 2)
    torch.testing.assert_close(network(x), expected, rtol=1e-11, atol=1e-11)


@over_architectures
def test_two_networks_of_one_problem_share_no_memory(name: str, options: dict[str, Any]) -> None:
    low = torch.full((2, INPUTS), -1.0)
    problem = Problem(INPUTS, OUTPUTS, (0, 1), low, low + 2)
    networks = [architectures.get(name)(problem, **options) for _ in range(2)]
    places = [{tensor.untyped_storage().data_ptr(): key for key, tensor in tensors(network).items()} for network in networks]
    assert sorted(places[0][place] for place in places[0].keys() & places[1].keys()) == []
    given = {problem.low.untyped_storage().data_ptr(), problem.high.untyped_storage().data_ptr()}
    assert sorted(places[0][place] for place in places[0].keys() & given) == []


@over_architectures
def test_state_dict_there_and_back(name: str, options: dict[str, Any]) -> None:
    network, x = make(name, **options), batch(3)
    randomise(network)
    network.begin_task(x)
    other = make(name, seeds=(7, 8, 9), **options)
    assert not torch.equal(other(x), network(x))
    other.load_state_dict(network.state_dict())
    assert torch.equal(other(x), network(x))


@over_architectures
def test_the_global_random_state_is_left_alone(name: str, options: dict[str, Any]) -> None:
    state = torch.get_rng_state()
    network = make(name, **options)
    network.begin_task(batch(3))
    network(batch(3))
    assert torch.equal(torch.get_rng_state(), state)


@over_architectures
def test_every_parameter_is_used(name: str, options: dict[str, Any]) -> None:
    network = make(name, **options)
    unused = [
        key
        for key, gradient in gradients(network, batch(3, 200)).items()
        if not gradient.abs().sum((*range(1, gradient.ndim),)).all()
    ]
    assert unused == []


@pytest.mark.parametrize(
    ("name", "inputs", "outputs", "options", "expected"),
    [
        ("kan", 1, 1, {"hidden": (), "intervals": 200, "degree": 3, "base": "none"}, 203),
        ("kan", 64, 10, {"hidden": (16,), "intervals": 5, "base": "silu"}, 10656),
        (
            "kan",
            3,
            2,
            {"hidden": (), "intervals": 4, "degree": 2, "base": "silu", "scales": "trainable", "bias": True},
            3 * 2 * (6 + 1 + 1) + 2,
        ),
        ("kan", 3, 2, {"hidden": (), "intervals": 4, "degree": 2, "base": "none", "grid": "each-task"}, 3 * 2 * 6),
        ("mlp", 64, 10, {"hidden": (142,)}, 10660),
        ("mlp", 1, 1, {"hidden": (13, 12)}, 207),
        ("mlp", 4, 3, {"hidden": ()}, 15),
    ],
)
def test_parameters_are_counted_by_hand(name: str, inputs: int, outputs: int, options: dict[str, Any], expected: int) -> None:
    assert parameters_per_seed(make(name, inputs=inputs, outputs=outputs, **options)) == expected


@pytest.mark.parametrize(("name", "options"), [("kan", {"hidden": (3, 0)}), ("mlp", {"hidden": (-1,)})])
def test_widths_that_make_no_sense_are_refused(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=str(options["hidden"][-1])):
        make(name, **options)


@pytest.mark.parametrize(
    ("options", "came"),
    [
        ({"noise": -0.5}, "-0.5"),
        ({"regularization": -2.0}, "-2.0"),
        ({"degree": 6}, "6"),
        ({"intervals": 0}, "0"),
        ({"range": (1.5, -1.5)}, "-1.5"),
    ],
)
def test_kan_options_that_make_no_sense_are_refused(options: dict[str, Any], came: str) -> None:
    with pytest.raises(InputError, match=came):
        make("kan", **options)


# Oracles of the layers


def slow_layer(layer: nn.Module, s: int, x: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Sum a KAN layer's edges one by one; the knots come from the range, unless the layer has moved them."""
    degree, intervals = layer.degree, layer.intervals
    weights = {name: value.detach().numpy()[s] for name, value in layer.named_parameters()}
    out = np.zeros((len(x), weights["coef"].shape[-1]))
    for i, o in np.ndindex(x.shape[1], out.shape[1]):
        knots = low[i] + np.arange(-degree, intervals + degree + 1) * (high[i] - low[i]) / intervals
        if layer.knots is not None:
            knots = layer.knots.numpy()[s, i]
        far = np.arange(1, degree + 1)
        padded = np.concatenate([knots[0] - far[::-1], knots, knots[-1] + far])
        coef = np.concatenate([np.zeros(degree), weights["coef"][i, :, o], np.zeros(degree)])
        edge = np.nan_to_num(BSpline(padded, coef, degree, extrapolate=False)(x[:, i]))
        out[:, o] += weights["scale"][i, o] * edge if "scale" in weights else edge
        if "base" in weights:
            out[:, o] += weights["base"][i, o] * x[:, i] / (1 + np.exp(-x[:, i]))
    return out + weights["bias"] if "bias" in weights else out


@pytest.mark.parametrize(
    "options",
    [
        {"base": "none", "hidden": ()},
        {"base": "silu", "hidden": (), "degree": 1},
        {"base": "silu", "hidden": (), "scales": "trainable", "bias": True},
        {"hidden": (4,), "hidden_range": (-2.0, 3.0), "bias": True},
        {"hidden": (5, 4), "layernorm": True, "scales": "trainable", "degree": 2},
        {"hidden": (4,), "range": (-0.5, 0.75), "intervals": 110, "base": "none"},
        {"hidden": (4,), "grid": "each-task", "base": "none"},
    ],
    ids=str,
)
def test_a_kan_is_a_double_loop_over_edges(options: dict[str, Any]) -> None:
    network, x = make("kan", seeds=(0, 1), **options), batch(2, 30)
    randomise(network)
    network.begin_task(x[:, :20])
    y = network(x).detach().numpy()
    for s in range(2):
        signal = x[s].numpy()
        for number, layer in enumerate(network.layers):
            given = options.get("range", (-1.0, 1.5)) if number == 0 else options.get("hidden_range", (-1.0, 1.0))
            if options.get("layernorm") and number:
                centred = signal - signal.mean(1, keepdims=True)
                signal = centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5)
            low, high = (np.full(signal.shape[1], end) for end in given)
            signal = slow_layer(layer, s, signal, low, high)
        np.testing.assert_allclose(y[s], signal, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("activation", "module"), [("relu", nn.ReLU), ("silu", nn.SiLU), ("gelu", nn.GELU), ("tanh", nn.Tanh)], ids=lambda p: str(p)
)
def test_an_mlp_is_a_chain_of_torch_linears(activation: str, module: Callable[[], nn.Module]) -> None:
    network, x = make("mlp", hidden=(5, 4), activation=activation), batch(3)
    y = network(x)
    for s in range(3):
        signal = x[s]
        for number, layer in enumerate(network.layers):
            inputs, outputs = layer.weight.shape[1:]
            linear = nn.Linear(inputs, outputs, dtype=torch.float64)
            linear.load_state_dict({"weight": layer.weight[s].T, "bias": layer.bias[s, 0]})
            signal = linear(signal) if number == 2 else module()(linear(signal))
        torch.testing.assert_close(y[s], signal, rtol=1e-12, atol=1e-12)


def test_linear_weights_start_within_the_bound_of_torch() -> None:
    network = make("mlp", seeds=tuple(range(20)), inputs=16, hidden=(50,))
    for layer in network.layers:
        bound = layer.weight.shape[1] ** -0.5
        for parameter in (layer.weight.detach(), layer.bias.detach()):
            assert 0.8 * bound < float(parameter.abs().max()) <= bound
            assert float(parameter.mean().abs()) < 4 * bound / (3 * parameter.numel()) ** 0.5  # four standard errors


def test_spline_coefficients_start_within_half_the_noise_over_the_intervals() -> None:
    network = make("kan", seeds=tuple(range(20)), intervals=8, noise=0.4)
    coef, base = network.layers[0].coef.detach(), network.layers[0].base.detach()
    assert 0.95 * 0.4 / 16 < float(coef.abs().max()) <= 0.4 / 16
    assert 0.9 * INPUTS**-0.5 < float(base.abs().max()) <= INPUTS**-0.5


# The options of the KAN


def test_trainable_scales_start_like_frozen_ones() -> None:
    x = batch(3)
    assert torch.equal(make("kan", scales="trainable", hidden=(4,))(x), make("kan", scales="frozen", hidden=(4,))(x))


def test_the_penalty_is_the_mean_size_of_the_coefficients_summed_over_edges() -> None:
    network = make("kan", hidden=(4,), regularization=0.25)
    randomise(network)
    penalty = network.penalty()
    assert penalty is not None
    for s in range(3):
        expected = 0.0
        for layer in network.layers:
            coef = layer.coef.detach()[s].tolist()
            for i in range(len(coef)):
                for o in range(len(coef[0][0])):
                    expected += sum(abs(row[o]) for row in coef[i]) / len(coef[i])
        assert float(penalty[s].detach()) == pytest.approx(0.25 * expected, rel=1e-12)


def test_without_regularization_there_is_no_penalty() -> None:
    assert make("kan").penalty() is None


def straighten(network: KAN) -> None:
    """Make every edge a straight line, which every grid can represent: its coefficients are Greville's abscissae."""
    with torch.no_grad():
        for layer in network.layers:
            knots = layer.grid().knots()
            windows = knots.unfold(-1, layer.degree, 1)[..., 1 : 1 + layer.coef.shape[2], :]
            slopes = torch.linspace(-0.3, 0.3, layer.coef.shape[1] * layer.coef.shape[3], dtype=knots.dtype)
            layer.coef.copy_(windows.mean(-1)[..., None] * slopes.view(layer.coef.shape[1], 1, -1))


def inside(seeds: int, size: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.as_tensor(np.random.default_rng(3).uniform(-0.4, 0.9, (seeds, size, INPUTS)), dtype=dtype)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-9)], ids=str)
@pytest.mark.parametrize(
    "options", [{"hidden": ()}, {"hidden": (4,)}, {"hidden": (4,), "bias": True, "scales": "trainable"}], ids=str
)
@pytest.mark.parametrize("degree", [1, 2, 3, 5])
def test_moving_the_grid_keeps_what_both_grids_can_say(
    degree: int, options: dict[str, Any], dtype: torch.dtype, tolerance: float
) -> None:
    network = make("kan", grid="each-task", degree=degree, dtype=dtype, **options)
    straighten(network)
    x = inside(3, 200, dtype)
    knots, before = [layer.knots.clone() for layer in network.layers], network(x)
    network.begin_task(x)
    torch.testing.assert_close(network(x), before, rtol=0, atol=tolerance)
    for old, layer in zip(knots, network.layers, strict=True):
        assert not torch.equal(old, layer.knots)
    inner = network.layers[0].knots[..., degree : network.layers[0].knots.shape[-1] - degree]
    torch.testing.assert_close(inner[..., 0], x.amin(1))
    torch.testing.assert_close(inner[..., -1], x.amax(1))


def test_moved_knots_follow_the_density_of_the_samples() -> None:
    network = make("kan", seeds=(0,), inputs=1, grid="each-task", hidden=(), intervals=4, degree=3)
    x = torch.cat([torch.linspace(0, 0.1, 301, dtype=torch.float64), torch.linspace(0.1, 1, 101, dtype=torch.float64)[1:]])
    network.begin_task(x.view(1, -1, 1))
    inner = network.layers[0].knots[0, 0, 3:-3]
    quantiles, even = torch.tensor([0, 1 / 30, 2 / 30, 0.1, 1]), torch.linspace(0, 1, 5)
    torch.testing.assert_close(inner, (0.98 * quantiles + 0.02 * even).double(), rtol=0, atol=2e-6)


@pytest.mark.parametrize("size", [2, 5, 8])
def test_moving_the_grid_to_few_samples_keeps_their_values(size: int) -> None:
    network = make("kan", grid="each-task", hidden=(), intervals=5, degree=3)
    randomise(network)
    x = inside(3, size)
    before = network(x)
    network.begin_task(x)
    torch.testing.assert_close(network(x), before, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("constant", [0.0, 0.8, -0.9])
def test_an_input_that_never_varies_is_survived(constant: float, dtype: torch.dtype) -> None:
    network = make("kan", grid="each-task", hidden=(), dtype=dtype)
    randomise(network)
    x = inside(3, 50, dtype)
    x[:, :, 1] = constant
    before = network(x)
    network.begin_task(x)
    assert network(x).isfinite().all()
    lost = (network(x) - before).square().mean() / before.var()
    assert lost.item() < 0.2


def test_a_diverged_seed_does_not_stop_the_others_from_moving_their_grids() -> None:
    network = make("kan", grid="each-task", hidden=(4,))
    healthy = make("kan", grid="each-task", hidden=(4,))
    with torch.no_grad():
        network.layers[0].coef[1] = torch.nan
    x = inside(3, 50)
    network.begin_task(x)
    healthy.begin_task(x)
    y, expected = network(x), healthy(x)
    assert y[1].isnan().any()
    torch.testing.assert_close(y[[0, 2]], expected[[0, 2]])


def test_a_fixed_grid_ignores_the_tasks() -> None:
    network = make("kan", hidden=(4,))
    before = {key: tensor.clone() for key, tensor in tensors(network).items()}
    network.begin_task(inside(3, 50))
    for key, tensor in tensors(network).items():
        assert torch.equal(tensor, before[key]), key
