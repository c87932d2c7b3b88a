"""Guards single precision, the default: a seed is the same alone and in a stack, and where a gradient is 0 it is exactly 0.

Adam makes a full step of a gradient of 1e-8, which is what rounding leaves of a sum that ought to cancel.
"""

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from kancl import options
from kancl.errors import InputError
from kancl.models import architectures
from kancl.models.cost import count_flops
from kancl.models.layers import StackedLinear
from kancl.options import parse_spec
from kancl.seeding import generator
from runners.config.cell import Cell
from runners.strategies import strategies
from runners.strategies.derpp import apart
from runners.strategies.lwf import classes_apart
from runners.strategies.tools import gradients, local_bases
from runners.strategies.tools.gradients import choose, fisher
from runners.training import training
from runners.training.checks import check_policy
from runners.training.networks import build_network

SEEDS = (3, 2)
APART = 1e-5
HEADS = {
    "classes": ("split-digits:setting=task,classes_per_task=5,samples=16", architectures.names()),
    "numbers": ("feynman:setting=task,tasks=3,samples=40", ["kan", "mlp"]),
}
PLACES = [(scenario, architecture) for scenario, (_, names) in HEADS.items() for architecture in names]
NOISY = ("lwf", "lwf:strength=5", "der++", "der++:beta=0", "ewc", "mas", "si", "l2-init", "agem", "replay", "naive")


@cache
def ground(tools: Any, scenario: str, architecture: str, dtype: str = "float32") -> Cell:
    """The cell of one place, with the naive strategy, the scenario's advice and few steps."""
    said = {"steps": 3, "evaluations": 2, "seeds": SEEDS, "dtype": dtype}
    cell: Cell = tools.make_cell(HEADS[scenario][0], architecture, **said)
    return cell


def with_strategy(tools: Any, cell: Cell, text: str) -> Cell | None:
    """The cell with a strategy, or None where the strategy refuses it: the contract of strategies asks for the reason."""
    spec = options.complete(strategies, parse_spec(text))
    stream = tools.stream_of(cell)
    try:
        strategy = options.build(strategies.get(spec.name), spec)
        check_policy(build_network(cell, stream), stream, cell.policy, strategy, cell.architecture.name)
    except InputError:
        return None
    return replace(cell, strategy=spec)


def difference(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    return max(float((one[name] - other[name]).abs().max()) for name in one)


@pytest.mark.parametrize(("scenario", "architecture"), PLACES)
def test_a_seed_alone_equals_the_seed_in_a_stack(tools: Any, scenario: str, architecture: str) -> None:
    cell, told = ground(tools, scenario, architecture), {}
    for strategy in strategies.names():
        own = with_strategy(tools, cell, strategy)
        if own is None:
            continue
        stacked, alone = tools.train(own), tools.train(replace(own, seeds=SEEDS[-1:]))
        last = {name: tensor[-1:] for name, tensor in stacked.weights[-1].items()}
        told[strategy] = difference(last, alone.weights[-1])
    assert {name: apart for name, apart in told.items() if not apart <= APART} == {}
    assert {"naive", "joint", "lwf", "der++"} < set(told)


@pytest.mark.parametrize("architecture", ["kan", "mlp"])
def test_single_precision_is_near_double_precision(tools: Any, architecture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the same weights and data, by less than a tenth of one of Adam's steps; a step of noise would be a whole one."""
    single, double = (ground(tools, "classes", architecture, dtype) for dtype in ("float32", "float64"))
    stream, build, told = tools.stream_of(single), build_network, {}
    start = build(single, stream).state_dict()
    train_in_double = tuple(replace(samples, x=samples.x.double()) for samples in stream.train)
    in_double = replace(tools.stream_of(double), train=train_in_double)

    def same(cell: Cell, stream: Any, phase: int = 0) -> Any:
        network = build(cell, stream, phase)
        network.load_state_dict(start)
        return network

    monkeypatch.setattr(training, "build_network", same)
    for strategy in NOISY:
        ours, exact = (with_strategy(tools, cell, strategy) for cell in (single, double))
        assert ours is not None
        assert exact is not None
        apart = difference(tools.train(ours).weights[-1], tools.train(exact, in_double).weights[-1])
        told[strategy] = apart / single.policy.lr
    assert {name: steps for name, steps in told.items() if not steps < 0.1} == {}


# Gradients that are 0.

GROUPS = torch.tensor([[[1, 1, 0, 0, 0], [0, 0, 1, 1, 0]]], dtype=torch.bool)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("scale", [1.0, 50.0])
def test_equal_answers_and_idle_units_have_a_gradient_of_exactly_0(temperature: float, scale: float) -> None:
    taught = scale * torch.randn(1, 32, 5, generator=generator(0, "taught"))
    outputs = taught.clone().requires_grad_()
    classes_apart(outputs, taught, GROUPS, temperature).sum().backward()
    assert outputs.grad is not None
    assert not outputs.grad.any()
    moved = (taught + 0.1).requires_grad_()  # a softmax does not see what all its units have in common, up to rounding
    classes_apart(moved * torch.tensor([1.0, 2.0, 1.0, 2.0, 1.0]), taught, GROUPS, temperature).sum().backward()
    assert moved.grad is not None
    assert moved.grad[..., :4].any()
    assert not moved.grad[..., 4].any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_stored_outputs_that_differ_by_rounding_have_a_gradient_of_exactly_0(dtype: torch.dtype) -> None:
    eps = torch.finfo(dtype).eps
    stored = torch.randn(2, 16, 5, generator=generator(0, "stored"), dtype=dtype)
    noise = torch.randn(stored.shape, generator=generator(0, "noise"), dtype=dtype)
    outputs = (stored + noise * eps).requires_grad_()
    apart(outputs, stored, None).sum().backward()
    assert outputs.grad is not None
    assert not outputs.grad.any()
    outputs = (stored + 1e4 * eps * noise.sign()).requires_grad_()
    apart(outputs, stored, None).sum().backward()
    assert outputs.grad is not None
    torch.testing.assert_close(outputs.grad, 2 * (outputs.detach() - stored) / stored[0].numel())


# Numbers that do not depend on the stack.


@pytest.mark.parametrize("architecture", ["kan", "mlp"])
def test_importance_and_mass_do_not_depend_on_how_many_seeds_there_are(
    tools: Any, architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Samples are taken in parts, whose size follows from the number of seeds."""
    cell = ground(tools, "classes", architecture)
    alone = replace(cell, seeds=SEEDS[-1:])
    found = []
    for own in (cell, alone):
        stream = tools.stream_of(own)
        network = build_network(own, stream)
        monkeypatch.setitem(gradients.CHUNK, "cpu", 40 * sum(p[0].numel() for p in network.parameters()))
        monkeypatch.setattr("kancl.parts.AT_ONCE", 40 * stream.inputs)
        samples, state = stream.train[0], gradients.remember_stream(stream)
        importance = fisher(network, choose(state, samples, None, 0), "exact", state, 0)
        found.append((importance, local_bases.masses(network, samples.x)))
    for stacked, single in zip(*found, strict=True):
        for name, tensor in single.items():
            torch.testing.assert_close(stacked[name][-1:], tensor, rtol=1e-7, atol=0)


@pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="only MKL gives a product the same bits in a stack and alone")
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 64), (64, 1), (1, 1), (5, 7), (64, 142)])
def test_a_layer_gives_a_seed_the_same_bits_alone_and_in_a_stack(inputs: int, outputs: int) -> None:
    def run(seeds: slice) -> list[Tensor]:
        layer = StackedLinear(inputs, outputs, [generator(seed, "weights") for seed in range(3)][seeds], torch.float32)
        x, above = (torch.randn(3, 33, width, generator=generator(0, "data"))[seeds] for width in (inputs, outputs))
        x.requires_grad_()
        y = layer(x)
        return [y.detach(), *torch.autograd.grad(y, [x, *layer.parameters()], above)]

    for stacked, alone in zip(run(slice(0, 3)), run(slice(2, 3)), strict=True):
        assert torch.equal(stacked[-1:], alone)


def test_a_network_of_one_input_costs_the_same_alone_and_in_a_stack(tools: Any) -> None:
    cell = tools.make_cell("gaussian-peaks", "mlp:hidden=7", steps=1, optimizer="adam")
    costs = []
    for seeds in ((3,), (3, 5)):
        stream = tools.stream_of(replace(cell, seeds=seeds))
        costs.append(count_flops(build_network(replace(cell, seeds=seeds), stream), stream.train[0].x[:, :2]))
    assert costs[0] == costs[1]
