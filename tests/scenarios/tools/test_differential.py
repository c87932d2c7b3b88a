"""Guards derivatives of networks: against formulas, and against finite differences through every smooth architecture."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from kancl.models import Network, Problem, architectures
from scenarios.tools.differential import derivative, gradient, laplacian, second_derivative, variable

SMOOTH: dict[str, dict[str, Any]] = {
    "kan": {"hidden": (5,)},
    "kan-dense": {"hidden": (5,), "backend": "dense"},
    "mlp": {"hidden": (5,), "activation": "tanh"},
    "kan-chebyshev": {"hidden": (5,)},
    "kan-rbf": {"hidden": (5,)},
    "kan-fourier": {"hidden": (5,)},
}


def build(name: str, **options: Any) -> Network:
    """Two networks [2,5,1] in float64."""
    ends = torch.ones(2, 2, dtype=torch.float64)
    problem = Problem(2, 1, (0, 1), 0 * ends, ends, 0, torch.float64)
    network: Network = architectures.get(name.removesuffix("-dense"))(problem, **options)
    with torch.no_grad():  # initial spline noise is small: make curves worth differentiating
        for key, parameter in network.named_parameters():
            if key.endswith("coef"):
                parameter.mul_(20)
    return network


def points(count: int = 7) -> Tensor:
    return torch.rand(2, count, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def analytic(x: Tensor) -> Tensor:
    """Two outputs: sin(2 x) y^3 and x^2 y."""
    a, b = x[..., 0], x[..., 1]
    return torch.stack([torch.sin(2 * a) * b**3, a**2 * b], -1)


def test_derivatives_of_known_functions() -> None:
    x = variable(points())
    a, b = x.detach().unbind(-1)
    y = analytic(x)
    slopes = torch.stack([
        torch.stack([2 * torch.cos(2 * a) * b**3, 3 * torch.sin(2 * a) * b**2], -1),
        torch.stack([2 * a * b, a**2], -1),
    ], -2)  # fmt: skip
    torch.testing.assert_close(gradient(y, x), slopes)
    torch.testing.assert_close(derivative(y, x, 1), slopes[..., 1])
    along_x = torch.stack([-4 * torch.sin(2 * a) * b**3, 2 * b], -1)
    along_y = torch.stack([6 * torch.sin(2 * a) * b, 0 * a], -1)
    torch.testing.assert_close(second_derivative(y, x, 0), along_x)
    torch.testing.assert_close(second_derivative(y, x, 1), along_y)
    torch.testing.assert_close(laplacian(y, x), along_x + along_y)
    third = derivative(second_derivative(y, x, 0), x, 1)
    torch.testing.assert_close(third, torch.stack([-12 * torch.sin(2 * a) * b**2, 2 + 0 * a], -1))


def test_the_samples_given_are_left_alone() -> None:
    samples = points()
    x = variable(samples)
    assert x.requires_grad
    assert not samples.requires_grad
    assert torch.equal(x, samples)


def test_what_does_not_depend_on_the_inputs_has_slope_0() -> None:
    x = variable(points())
    constant = torch.ones(2, 7, 1, dtype=torch.float64)
    assert not gradient(constant, x).any()
    assert not laplacian((constant * 3).requires_grad_(), x).any()
    assert not laplacian(2 * x[..., :1], x).any()


@pytest.mark.parametrize("name", SMOOTH)
def test_second_derivatives_of_networks_agree_with_finite_differences(name: str) -> None:
    network, samples, h = build(name, **SMOOTH[name]), points(), 1e-4
    x = variable(samples)
    y = network(x)
    for i in range(2):
        step = h * torch.eye(2, dtype=torch.float64)[i]
        with torch.no_grad():
            expected = (network(samples + step) - 2 * network(samples) + network(samples - step)) / h**2
            slope = (network(samples + step) - network(samples - step)) / (2 * h)
        assert expected.abs().max() > 0.05
        # Rounding of second differences: 1e-16 / 1e-8; at knots a cubic's third derivative jumps.
        torch.testing.assert_close(second_derivative(y, x, i), expected, rtol=2e-3, atol=2e-3)
        torch.testing.assert_close(derivative(y, x, i), slope, rtol=1e-4, atol=1e-4)


def residual_loss(network: Callable[[Tensor], Tensor], samples: Tensor) -> Tensor:
    x = variable(samples)
    y = network(x)
    return (laplacian(y, x) + y**2 - 1).square().mean()


@pytest.mark.parametrize("name", SMOOTH)
def test_gradients_of_a_residual_in_the_parameters_agree_with_finite_differences(name: str) -> None:
    network, samples, h = build(name, **SMOOTH[name]), points(), 1e-5
    parameters = [p for p in network.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(residual_loss(network, samples), parameters)
    direction = [torch.randn(p.shape, generator=torch.Generator().manual_seed(7), dtype=p.dtype) for p in parameters]

    def moved(by: float) -> float:
        with torch.no_grad():
            for p, d in zip(parameters, direction, strict=True):
                p.add_(by * d)
        value = residual_loss(network, samples).item()
        with torch.no_grad():
            for p, d in zip(parameters, direction, strict=True):
                p.sub_(by * d)
        return value

    expected = (moved(h) - moved(-h)) / (2 * h)
    found = sum((g * d).sum().item() for g, d in zip(gradients, direction, strict=True))
    assert abs(expected) > 1e-2
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", SMOOTH)
def test_seeds_and_samples_do_not_reach_each_other(name: str) -> None:
    network, samples = build(name, **SMOOTH[name]), points()
    x = variable(samples)
    whole = laplacian(network(x), x)
    other = samples.clone()
    other[1] = 0.3
    other[0, 3] = 0.9
    x = variable(other)
    changed = laplacian(network(x), x)
    kept = [b for b in range(7) if b != 3]
    torch.testing.assert_close(changed[0, kept], whole[0, kept])
    assert not torch.allclose(changed[0, 3], whole[0, 3])
    parameters = [p for p in network.parameters() if p.requires_grad]
    reached = torch.autograd.grad(whole[0].square().sum(), parameters, materialize_grads=True)
    assert any(g[0].any() for g in reached)
    assert not any(g[1].any() for g in reached)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mlp", {"activation": "relu"}),
        ("lookup", {"interpolation": "none", "tiles": 4}),
        ("lookup", {"interpolation": "linear", "tiles": 4}),
        ("linear", {}),
    ],
    ids=str,
)
def test_piecewise_linear_networks_have_no_curvature(name: str, options: dict[str, Any]) -> None:
    x = variable(points())
    y = build(name, **options)(x)
    for i in range(2):
        assert second_derivative(y, x, i).abs().max() < 1e-14
