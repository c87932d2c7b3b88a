"""Guards what edges compute: their sums are the layer's outputs, and how much they matter is a plain standard deviation."""

from typing import Any

import numpy as np
import pytest
import torch

from kancl import options
from kancl.locality import Probe
from kancl.models import Network, Problem, architectures
from kancl.models.edges import EdgeLayer, edge_outputs, edge_spread, edges_at

SPECS = (
    "kan:hidden=[5]", "kan:hidden=[5],base=none", "kan:hidden=[4],scales=trainable,bias=true", "kan:hidden=[3],grid=first-task",
    "kan:hidden=[3],layernorm=true,degree=2", "kan-rbf:hidden=[4]", "kan-chebyshev:hidden=[4],bias=true",
    "kan-fourier:hidden=[4]", "mlp:hidden=[6,4]", "linear",
)  # fmt: skip


def built(text: str, seeds: int = 2) -> Network:
    """Networks of 3 inputs and 2 outputs, in double precision, with parameters that are far from their initial ones."""
    ends = torch.ones(seeds, 3, dtype=torch.float64)
    problem = Problem(3, 2, tuple(range(seeds)), -ends, ends, dtype=torch.float64)
    spec = options.complete(architectures, options.parse_spec(text), ("problem",))
    network: Network = options.build(architectures.get(spec.name), spec, problem=problem)
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=draw, dtype=torch.float64))
    return network


def seen(network: Network) -> list[tuple[Any, torch.Tensor]]:
    """Each layer with what it is given, some of it beyond its grid."""
    x = 1.5 * torch.randn(2, 40, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    probe = Probe(network)
    inputs = probe.run(x).inputs
    return [(probe.layers[name], calls[0]) for name, calls in inputs.items()]


@pytest.mark.parametrize("text", SPECS)
def test_the_sum_over_edges_is_the_layers_output(text: str) -> None:
    for layer, x in seen(built(text)):
        assert isinstance(layer, EdgeLayer)
        parts = edge_outputs(layer, x)
        bias = layer._parameters.get("bias")
        total = parts.sum(2) + (0 if bias is None else bias)
        torch.testing.assert_close(total, layer(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("text", SPECS)
def test_an_edge_depends_on_its_own_input_alone(text: str) -> None:
    for layer, x in seen(built(text)):
        other = x.clone()
        other[..., 0] += 0.37
        difference = (edge_outputs(layer, x) - edge_outputs(layer, other)).abs().amax((0, 1, 3))
        assert difference[0] > 0
        assert (difference[1:] == 0).all()


@pytest.mark.parametrize("text", SPECS)
@pytest.mark.parametrize("at_once", [1, 1 << 22], ids=["part by part", "at once"])
def test_spread_is_the_standard_deviation_sample_by_sample(text: str, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kancl.parts.AT_ONCE", at_once)
    for layer, x in seen(built(text)):
        spread = edge_spread(layer, x)
        single = [edge_outputs(layer, x[:, b : b + 1]) for b in range(x.shape[1])]
        for s in range(2):
            for i in range(x.shape[2]):
                for o in range(spread.shape[2]):
                    values = [float(one[s, 0, i, o]) for one in single]
                    assert float(spread[s, i, o]) == pytest.approx(np.std(values, ddof=1), rel=1e-9, abs=1e-12)


def test_some_edges_are_what_all_are() -> None:
    for layer, x in seen(built("kan:hidden=[5]")):
        whole, pairs = edge_outputs(layer, x), [(0, 1), (2, 0), (0, 0)]
        some = edges_at(layer, x, [i for i, _ in pairs], [o for _, o in pairs])
        for place, (i, o) in enumerate(pairs):
            assert torch.equal(some[..., place], whole[:, :, i, o])


def test_a_constant_function_matters_nothing() -> None:
    ((layer, x),) = seen(built("kan:hidden=[],base=none,intervals=3"))
    with torch.no_grad():
        layer.coef.fill_(7.0)  # splines sum to 1 on their grid
    inside = x.clamp(-1, 1)
    assert edge_spread(layer, inside).max() < 1e-9
    assert edge_spread(layer, x).max() > 0.1  # beyond it they fall to 0
