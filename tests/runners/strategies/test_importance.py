"""Guards what holds parameters: importances equal plain loops over seeds and samples, an anchor equals what it stands for."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline
from torch import Tensor, nn

from kancl import options
from kancl.errors import InputError
from kancl.models import Network, Problem, architectures, take_seed
from kancl.options import parse_spec
from runners.strategies import strategies
from runners.strategies.tools import gradients
from runners.strategies.tools.anchors import add_anchor, named, quadratic_penalty, snapshot, trained
from runners.strategies.tools.gradients import choose, mean_over_samples, remember_stream
from runners.strategies.tools.local_bases import check_local, local_coefficients, masses
from runners.stream.batches import epoch_orders
from runners.stream.samples import Samples
from runners.stream.stream import Stream
from runners.training.networks import build_network

SEEDS = (4, 7)
CELLS = {
    "numbers": ("gaussian-peaks:tasks=2,samples=9", "kan:hidden=2,intervals=6,base=silu"),
    "numbers in two dimensions": ("gaussian-peaks:tasks=2,samples=9,dims=2", "mlp:hidden=3,activation=tanh"),
    "classes": ("split-digits:classes_per_task=5,setting=class", "mlp:hidden=3,activation=tanh"),
    "classes of a head": ("split-digits:classes_per_task=5,setting=task", "kan:hidden=2,intervals=3"),
}


def prepared(tools: Any, name: str, seeds: tuple[int, ...] = SEEDS) -> tuple[Network, Stream, Samples]:
    """A network that is no longer at its initial weights, and the first samples of the second task."""
    scenario, architecture = CELLS[name]
    cell = tools.make_cell(scenario, architecture, optimizer="adam", steps=1, dtype="float64", seeds=seeds)
    stream = tools.stream_of(cell)
    network = build_network(cell, stream)
    with torch.no_grad():
        for number, parameter in enumerate(network.parameters()):
            parameter.add_(
                0.3 * torch.cos(torch.arange(parameter[0].numel(), dtype=torch.float64) + number).view(parameter[0].shape)
            )
    whole = stream.train[1]
    order = torch.arange(whole.x.shape[1])[:: max(1, whole.x.shape[1] // 9)][:9]
    return network, stream, Samples(whole.x[:, order], whole.y[:, order], whole.task[order])


def per_sample(
    network: Network,
    stream: Stream,
    samples: Samples,
    terms: Callable[[Tensor, Tensor], list[tuple[float, Tensor]]],
    measure: Any,
) -> dict[str, Tensor]:
    """Mean over samples of the sum of weight * measure(gradient of a term), one network and one sample at a time."""
    totals = {name: torch.zeros_like(parameter) for name, parameter in network.named_parameters()}
    active = stream.mask(samples.task)
    for s in range(len(stream.seeds)):
        single = take_seed(network, s)
        for n in range(samples.x.shape[1]):
            y = single(samples.x[s : s + 1, n : n + 1])[0, 0]
            y = y if active is None else y[active[n]]
            target = samples.y[s, n]
            if active is not None:
                target = target - int(active[n].nonzero()[0])
            for weight, term in terms(y, target):
                found = torch.autograd.grad(term, list(single.parameters()), retain_graph=True)
                for total, gradient in zip(totals.values(), found, strict=True):
                    total[s] += weight * measure(gradient[0]) / samples.x.shape[1]
    return totals


def log_likelihood(y: Tensor, target: Tensor) -> Tensor:
    if target.ndim:
        return torch.distributions.Normal(y, 1.0).log_prob(target).sum()
    return y.log_softmax(-1)[target]


def expected(y: Tensor, target: Tensor) -> list[tuple[float, Tensor]]:
    """The model's own distribution; for numbers E_t[(sum_o (t_o - y_o) dy_o)^2] = sum_o dy_o^2."""
    if target.ndim:
        return [(1.0, output) for output in y]
    return [(float(share), log) for share, log in zip(y.detach().softmax(-1), y.log_softmax(-1), strict=True)]


BRUTE = {
    "exact": (expected, torch.square),
    "empirical": (lambda y, target: [(1.0, log_likelihood(y, target))], torch.square),
    "mas": (lambda y, target: [(1.0, y.square().sum())], torch.abs),
}


@pytest.mark.parametrize("kind", BRUTE)
@pytest.mark.parametrize("name", CELLS)
def test_importance_equals_a_loop_over_seeds_and_samples(tools: Any, name: str, kind: str) -> None:
    network, stream, samples = prepared(tools, name)
    terms, measure = BRUTE[kind]
    strategy = strategies.get("mas")() if kind == "mas" else strategies.get("ewc")(fisher=kind)
    state = strategy.end_task(strategy.start(network, stream), network, samples, 1)
    plain = per_sample(network, stream, samples, terms, measure)
    assert min(float(tensor.abs().max()) for tensor in plain.values()) > 1e-6
    for parameter, tensor in plain.items():
        torch.testing.assert_close(state[f"importance/{parameter}"], tensor, rtol=1e-9, atol=1e-12)
        assert torch.equal(state[f"anchor/{parameter}"], dict(network.named_parameters())[parameter])


@pytest.mark.parametrize("name", ["numbers", "classes of a head"])
def test_one_drawn_target_for_each_sample_is_the_exact_information_on_average(tools: Any, name: str) -> None:
    """3,000 copies of a sample: the relative error of a mean of squares is about sqrt(2 / 3000) for normal gradients."""
    network, stream, samples = prepared(tools, name)
    many = Samples(*(t[:, 3:4].expand(-1, 3000, *t.shape[2:]) for t in (samples.x, samples.y)), samples.task[3:4].expand(3000))
    found = {}
    for kind in ("exact", "sampled"):
        strategy = strategies.get("ewc")(fisher=kind)
        found[kind] = strategy.end_task(strategy.start(network, stream), network, many, 1)
    for parameter in trained(network):
        exact, sampled = (found[kind][f"importance/{parameter}"].flatten(1).sum(1) for kind in ("exact", "sampled"))
        torch.testing.assert_close(sampled, exact, rtol=0.15, atol=1e-12)
        assert not torch.equal(sampled, exact)


@pytest.mark.parametrize("name", ["numbers", "classes of a head"])
@pytest.mark.parametrize("kind", ["exact", "sampled", "empirical"])
def test_a_seeds_information_does_not_depend_on_the_stack(tools: Any, name: str, kind: str) -> None:
    states = []
    for seeds in (SEEDS, SEEDS[1:]):
        network, stream, samples = prepared(tools, name, seeds)
        strategy = strategies.get("ewc")(fisher=kind, samples=5)
        states.append(strategy.end_task(strategy.start(network, stream), network, samples, 1))
    for key, tensor in states[0].items():
        torch.testing.assert_close(tensor[1:], states[1][key], rtol=1e-9, atol=1e-14)


def test_parts_of_any_size_give_the_same_mean(tools: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    network, _, samples = prepared(tools, "numbers")
    found = []
    for size in (1, 400, 1 << 19):  # 1, several and all samples at a time; the last part of several is smaller
        monkeypatch.setitem(gradients.CHUNK, "cpu", size)
        found.append(mean_over_samples(network, samples.x, lambda outputs, part: [torch.ones_like(outputs)], torch.square))
    for name, tensor in found[0].items():
        for other in found[1:]:
            torch.testing.assert_close(other[name], tensor, rtol=1e-12, atol=1e-15)


def test_what_the_outputs_do_not_depend_on_has_no_importance(tools: Any) -> None:
    network, _, samples = prepared(tools, "numbers")
    network.register_parameter("unused", nn.Parameter(torch.ones(2, 3, dtype=torch.float64)))
    network.layers[0].base.requires_grad_(False)  # type: ignore[union-attr, index]
    found = mean_over_samples(network, samples.x, lambda outputs, part: [outputs], torch.abs)
    assert torch.equal(found["unused"], torch.zeros(2, 3, dtype=torch.float64))
    assert "layers.0.base" not in found
    assert network.training
    assert all(parameter.grad is None for parameter in network.parameters())


def test_chosen_samples_are_drawn_for_every_seed_without_replacement(tools: Any) -> None:
    _, stream, samples = prepared(tools, "classes of a head", (4, 7, 9))
    numbered = replace(samples, x=torch.arange(9.0, dtype=torch.float64).expand(3, 9)[..., None])
    state = remember_stream(stream)
    chosen = choose(state, numbered, 5, 1)
    rows = [sorted(row) for row in chosen.x[..., 0].tolist()]
    assert all(len(set(row)) == 5 for row in rows)
    assert len({tuple(row) for row in rows}) > 1
    for s in range(3):
        for n, row in enumerate(chosen.x[s, :, 0].long().tolist()):
            assert chosen.y[s, n] == samples.y[s, row]
    assert chosen.mask is not None
    assert chosen.mask.shape == (3, 5, 10)
    again, later = choose(state, numbered, 5, 1), choose(state, numbered, 5, 2)
    assert torch.equal(again.x, chosen.x)
    assert not torch.equal(later.x, chosen.x)
    assert choose(state, numbered, None, 1).x.shape == choose(state, numbered, 9, 1).x.shape == (3, 9, 1)


# Anchors.


def weights(values: Tensor) -> Network:
    """A linear network with given numbers for its weights and biases, (S, 2)."""
    problem = Problem(
        1, 1, tuple(range(len(values))), torch.zeros(len(values), 1), torch.ones(len(values), 1), dtype=torch.float64
    )
    network: Network = options.build(architectures.get("linear"), parse_spec("linear"), problem=problem)
    with torch.no_grad():
        network.layer.weight.copy_(values[:, :1, None])  # type: ignore[union-attr]
        network.layer.bias.copy_(values[:, 1:, None])  # type: ignore[union-attr]
    return network


def test_the_penalty_is_that_of_a_hand_computed_case() -> None:
    network = weights(torch.tensor([[1.0, 2.0], [3.0, 5.0]], dtype=torch.float64))
    state = {
        "anchor/layer.weight": torch.tensor([[[0.0]], [[1.0]]], dtype=torch.float64),
        "importance/layer.weight": torch.tensor([[[2.0]], [[3.0]]], dtype=torch.float64),
        "anchor/layer.bias": torch.tensor([[[4.0]], [[4.0]]], dtype=torch.float64),
    }
    penalty = quadratic_penalty(state, network, 10.0)
    assert penalty is not None
    assert penalty.tolist() == [5 * (2 * 1 + 4), 5 * (3 * 4 + 1)]
    penalty.sum().backward()
    assert network.layer.weight.grad.flatten().tolist() == [10 * 2 * 1, 10 * 3 * 2]  # type: ignore[union-attr]
    assert network.layer.bias.grad.flatten().tolist() == [10 * -2, 10 * 1]  # type: ignore[union-attr]
    assert quadratic_penalty({}, network, 10.0) is None


def test_one_anchor_pulls_as_the_anchors_that_it_stands_for() -> None:
    g = torch.Generator().manual_seed(0)
    pasts = [torch.randn(3, 2, generator=g, dtype=torch.float64) for _ in range(4)]
    importances = [torch.rand(3, 2, generator=g, dtype=torch.float64) for _ in pasts]
    importances[0][0] = importances[1][0] = importances[2][1] = 0.0
    state: dict[str, Tensor] = {}
    for past, importance in zip(pasts, importances, strict=True):
        found = {"layer.weight": importance[:, :1, None], "layer.bias": importance[:, 1:, None]}
        state = add_anchor(state, weights(past), found)
    here = torch.randn(3, 2, generator=g, dtype=torch.float64)
    network = weights(here)
    penalty = quadratic_penalty(state, network, 3.0)
    assert penalty is not None
    penalty.sum().backward()
    pull = sum(3.0 * importance * (here - past) for past, importance in zip(pasts, importances, strict=True))
    ours = torch.cat([network.layer.weight.grad[..., 0], network.layer.bias.grad[..., 0]], 1)  # type: ignore[union-attr]
    torch.testing.assert_close(ours, pull, rtol=1e-12, atol=1e-14)


def test_online_importance_fades_and_separate_importance_adds_up(tools: Any) -> None:
    network, stream, samples = prepared(tools, "numbers")
    name, states = "layers.0.coef", {}
    for mode, gamma in (("separate", 1.0), ("online", 0.25)):
        strategy = strategies.get("ewc")(mode=mode, gamma=gamma)
        first = strategy.end_task(strategy.start(network, stream), network, samples, 0)
        states[mode] = strategy.end_task(first, network, samples, 1)
        once = first[f"importance/{name}"]
    torch.testing.assert_close(states["separate"][f"importance/{name}"], 2 * once)
    torch.testing.assert_close(states["online"][f"importance/{name}"], 1.25 * once)


def test_snapshots_do_not_follow_the_parameters() -> None:
    network = weights(torch.ones(1, 2, dtype=torch.float64))
    kept = {**named("anchor/", snapshot(network)), **add_anchor({}, network, {"layer.bias": torch.ones(1, 1, 1)})}
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1.0)
    assert all(float(tensor.max()) == 1.0 for tensor in kept.values())


# Synaptic intelligence.


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("clamp", [False, True])
def test_path_integrals_equal_a_plain_training_loop(tools: Any, optimizer: str, clamp: bool) -> None:
    decay = {"weight_decay": 0.1, "clip": 0.5} if optimizer == "adamw" else {}
    said = {"optimizer": optimizer, "lr": 0.3, "steps": 14, "batch_size": 5, "momentum": 0.9 if optimizer == "sgd" else None}
    text = f"si:strength=3,xi=0.01,clamp={str(clamp).lower()}"
    cell = tools.make_cell(
        *CELLS["numbers in two dimensions"], text, dtype="float64", evaluations=2, seeds=SEEDS, **said, **decay
    )
    states = tools.train(cell).states
    stream = tools.stream_of(cell)
    makers = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    extra = {"adamw": {"weight_decay": 0.1}, "sgd": {"momentum": 0.9}}.get(optimizer, {})
    lowest = 0.0
    for s, seed in enumerate(SEEDS):
        single = take_seed(build_network(cell, stream), s)
        parameters = list(single.parameters())
        anchor, omega = [p.detach().clone() for p in parameters], [torch.zeros_like(p) for p in parameters]
        for phase in (0, 1):
            trainer = makers[optimizer](parameters, lr=0.3, **extra)
            path = [torch.zeros_like(p) for p in parameters]
            x, y = stream.train[phase].x[s], stream.train[phase].y[s]
            rows = [
                part for order, _ in zip(epoch_orders((seed,), 9, phase), range(7), strict=False) for part in order[0].split(5)
            ]
            for part in rows:
                loss = nn.functional.mse_loss(single(x[None, part])[0], y[part])
                gradient = torch.autograd.grad(loss, parameters)
                before = [p.detach().clone() for p in parameters]
                for p, g, o, a in zip(parameters, gradient, omega, anchor, strict=True):
                    p.grad = g + 3 * o * (p.detach() - a)
                if decay:
                    nn.utils.clip_grad_norm_(parameters, 0.5)
                trainer.step()
                path = [w - g * (p.detach() - b) for w, g, p, b in zip(path, gradient, parameters, before, strict=True)]
            lowest = min(lowest, *(float(w.min()) for w in path))
            path = [w.clamp(min=0) if clamp else w for w in path]
            omega = [o + w / ((p.detach() - a) ** 2 + 0.01) for o, w, p, a in zip(omega, path, parameters, anchor, strict=True)]
            anchor = [p.detach().clone() for p in parameters]
            for (name, _), o, a in zip(single.named_parameters(), omega, anchor, strict=True):
                torch.testing.assert_close(states[phase][f"importance/{name}"][s : s + 1], o, rtol=1e-7, atol=1e-10)
                torch.testing.assert_close(states[phase][f"anchor/{name}"][s : s + 1], a, rtol=1e-8, atol=1e-10)
        assert max(float(o.max()) for o in omega) > 1e-3
    assert lowest < 0 or optimizer != "adamw"  # otherwise clamping was not tested
    assert set(states[-1]) == {
        f"{kind}/{name}" for kind in ("anchor", "importance") for name in dict(single.named_parameters())
    }


# Mass on the coefficients of local bases.


def test_mass_of_a_first_layer_is_the_mean_of_scipys_basis(tools: Any) -> None:
    network, _, samples = prepared(tools, "numbers")
    found = masses(network, samples.x)
    layer = network.layers[0]  # type: ignore[index]
    assert set(found) == {"layers.0.coef", "layers.1.coef"}
    for s in range(2):
        knots = layer.grid().knots()[s % len(layer.grid().knots()), 0].numpy()
        basis = BSpline.design_matrix(samples.x[s, :, 0].clamp(max=1 - 1e-12).numpy(), knots, 3).toarray()
        np.testing.assert_allclose(found["layers.0.coef"][s, 0, :, 0].numpy(), basis.mean(0), atol=1e-9)
        inner = take_seed(network, s).layers[0](samples.x[s : s + 1])  # type: ignore[index]
        np.testing.assert_allclose(
            found["layers.1.coef"][s, ..., 0].numpy(),
            network.layers[1].usage(inner.expand(2, -1, -1))[s].mean(0).detach(),  # type: ignore[index]
        )


def test_mass_does_not_depend_on_how_samples_are_split(tools: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    network, _, samples = prepared(tools, "numbers")
    whole = masses(network, samples.x)
    monkeypatch.setattr("kancl.parts.AT_ONCE", 8)
    for name, tensor in masses(network, samples.x).items():
        torch.testing.assert_close(tensor, whole[name], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("architecture", "local"),
    [
        ("kan", {"layers.0.coef", "layers.1.coef"}),
        ("kan-rbf", {"layers.0.coef", "layers.1.coef"}),
        ("mlp-bspline", {"layers.1.coef"}),
        ("lookup:tiles=2,hashed=64", {"table"}),
        ("kan:intervals=1", set()),  # every function of a single cell acts on all of it
        ("kan-chebyshev", set()),
        ("kan-fourier", set()),
        ("mlp", set()),
        ("linear", set()),
    ],
)
def test_which_coefficients_are_local(tools: Any, architecture: str, local: set[str]) -> None:
    cell = tools.make_cell("split-digits:classes_per_task=5", architecture, optimizer="adam", steps=1)
    stream = tools.stream_of(cell)
    assert set(local_coefficients(build_network(cell, stream), stream.train[0].x[:, :20])) == local


def test_what_is_local_at_one_task_alone_is_refused_and_what_is_measured_is_the_same_at_all(tools: Any) -> None:
    # Wide radial functions on few centres: in the middle of the range each acts on every input, at its ends not.
    cell = tools.make_cell("gaussian-peaks", "kan-rbf:intervals=4", optimizer="adam", steps=1)
    stream = tools.stream_of(cell)
    network = build_network(cell, stream)
    assert local_coefficients(network, stream.train[0].x[:, :64]) == {"layers.0.coef"}
    assert local_coefficients(network, stream.train[2].x[:, :64]) == set()
    assert {frozenset(masses(network, samples.x)) for samples in stream.train} == {frozenset({"layers.0.coef"})}
    with pytest.raises(InputError, match="none at some tasks"):
        check_local(network, stream)
