"""Guards equations learned window by window: their exact solutions, where the points lie, and which condition a point has."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from kancl.errors import InputError
from scenarios import Scenario, check_scenario
from scenarios.regression.pde_windows import heat_windows, poisson_windows
from scenarios.regression.windows import INSIDE

BUILDERS = {"poisson": poisson_windows, "heat": heat_windows}
A = 0.1


def poisson(x: np.ndarray, y: np.ndarray, modes: int) -> np.ndarray:
    return sum(np.sin(k * np.pi * x) * np.sin(k * np.pi * y) / k for k in range(1, modes + 1))


def heat(x: np.ndarray, t: np.ndarray, modes: int) -> np.ndarray:
    return sum(np.exp(-A * (k * np.pi) ** 2 * t) * np.sin(k * np.pi * x) / k for k in range(1, modes + 1))


EXACT = {"poisson": poisson, "heat": heat}


def parts(scenario: Scenario, number: int, samples: int = 100) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return points inside and on the edge, and their targets, of one task's training samples."""
    x, y = (tensor.double().numpy() for tensor in scenario.tasks[number].train)
    return x[:samples], x[samples:], y[:samples, 0], y[samples:, 0]


@pytest.mark.parametrize("modes", [1, 2, 3])
@pytest.mark.parametrize("name", BUILDERS)
def test_test_targets_are_the_exact_solution(name: str, modes: int) -> None:
    for task in BUILDERS[name](seed=3, modes=modes).tasks:
        x, y = (tensor.double().numpy() for tensor in task.test)
        np.testing.assert_allclose(y[:, 0], EXACT[name](x[:, 0], x[:, 1], modes), atol=2e-6)


@pytest.mark.parametrize("modes", [1, 3])
@pytest.mark.parametrize("name", BUILDERS)
def test_the_operator_is_the_equation(name: str, modes: int) -> None:
    """On any function: against second differences of it, and a right side from second differences of the solution."""
    scenario = BUILDERS[name](seed=0, modes=modes)
    inside, edge, _, _ = parts(scenario, 1)
    h = 1e-4

    def differences(f: Any, x: np.ndarray) -> np.ndarray:
        """-f_xx - f_yy, or f_t - a f_xx, at points (N, 2)."""
        a, b = x[:, 0], x[:, 1]
        along = (f(a + h, b) - 2 * f(a, b) + f(a - h, b)) / h**2
        if name == "heat":
            return (f(a, b + h) - f(a, b - h)) / (2 * h) - A * along
        return -along - (f(a, b + h) - 2 * f(a, b) + f(a, b - h)) / h**2

    def other(a: Any, b: Any) -> Any:
        return (a**3 * b - b**2 * a) * 0.7

    def network(z: Tensor) -> Tensor:
        return other(z[..., :1], z[..., 1:])

    assert scenario.operator is not None
    found = scenario.operator(network, torch.from_numpy(inside)[None])[0, :, 0].detach().numpy()
    right_side = differences(lambda a, b: EXACT[name](a, b, modes), inside)
    np.testing.assert_allclose(found, differences(other, inside) - right_side, atol=2e-4)
    on_edge = scenario.operator(network, torch.from_numpy(edge)[None])[0, :, 0].detach().numpy()
    np.testing.assert_allclose(on_edge, 10 * other(edge[:, 0], edge[:, 1]), atol=1e-12)


@pytest.mark.parametrize("name", BUILDERS)
def test_the_exact_solution_meets_all_targets(name: str) -> None:
    """In float32, as it is trained: the loss of the exact solution is rounding."""
    scenario = BUILDERS[name](seed=1)

    def solution(z: Tensor) -> Tensor:
        terms = []
        for k in (1, 2):
            rate = (
                torch.sin(k * torch.pi * z[..., 1:]) if name == "poisson" else torch.exp(-A * (k * torch.pi) ** 2 * z[..., 1:])
            )
            terms.append(torch.sin(k * torch.pi * z[..., :1]) * rate / k)
        return sum(terms[1:], terms[0])

    assert scenario.operator is not None
    for task in scenario.tasks:
        x, y = task.train
        torch.testing.assert_close(scenario.operator(solution, x[None])[0], y, atol=2e-4, rtol=0)


@pytest.mark.parametrize("tasks", [1, 3, 4, 7])
@pytest.mark.parametrize("name", BUILDERS)
def test_points_lie_where_they_should(name: str, tasks: int) -> None:
    scenario = BUILDERS[name](seed=2, tasks=tasks, edge_samples=200)
    cut = 0 if name == "poisson" else 1
    for number, (low, high) in enumerate(pairwise(np.linspace(0, 1, tasks + 1))):
        inside, edge, residuals, values = parts(scenario, number)
        fresh = scenario.tasks[number].test[0].double().numpy()
        for points in (inside, fresh):
            along, across = points[:, cut], points[:, 1 - cut]
            assert (along > low + INSIDE / 2).all()
            assert (along < high - INSIDE / 2).all()
            assert (across > INSIDE / 2).all()
            assert (across < 1 - INSIDE / 2).all()
            assert along.std() == pytest.approx((high - low) / 12**0.5, rel=0.25)
        assert not residuals.any()
        along, across = edge[:, cut], edge[:, 1 - cut]
        begin, end = np.isclose(along, low, atol=1e-6), np.isclose(along, high, atol=1e-6)
        sides = [np.isclose(across, side, atol=1e-6) for side in (0, 1)]
        assert (begin | end | sides[0] | sides[1]).all()
        # Uniform along the edge: shares are lengths.
        length = 2 * (high - low) + (2 if name == "poisson" else 1)
        assert begin.mean() == pytest.approx(1 / length, abs=0.12)
        assert end.mean() == pytest.approx(1 / length if name == "poisson" else 0, abs=0.12)
        for side in sides:
            assert side.mean() == pytest.approx((high - low) / length, abs=0.12)
        np.testing.assert_allclose(values, 10 * EXACT[name](edge[:, 0], edge[:, 1], 2), atol=1e-5)


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("tasks", [3, 4, 1000])
def test_edges_are_told_from_the_inside_in_float32_whatever_the_window(name: str, tasks: int) -> None:
    scenario = BUILDERS[name](seed=4, tasks=tasks, samples=20, edge_samples=10)
    assert scenario.operator is not None
    x = torch.stack([task.train[0] for task in scenario.tasks])
    found = scenario.operator(lambda z: 0 * z[..., :1] + 1, x)  # on edges the value, 10; inside the right side alone
    assert torch.equal(found[:, 20:], torch.full_like(found[:, 20:], 10.0))
    assert (found[:, :20] != 10).all()
    if name == "heat":
        assert not found[:, :20].any()


@pytest.mark.parametrize("name", BUILDERS)
def test_no_window_is_trivial(name: str) -> None:
    for task in BUILDERS[name](seed=0).tasks:
        assert task.test[1].std() > 0.1


@pytest.mark.parametrize("name", BUILDERS)
def test_direction(name: str) -> None:
    cut = 0 if name == "poisson" else 1

    def middles(**options: Any) -> list[float]:
        tasks = BUILDERS[name](**options).tasks
        return [round(task.train[0][:, cut].mean().item() * 4 - 0.5) for task in tasks]

    assert middles(seed=0) == [0, 1, 2, 3]
    assert middles(seed=0, direction="backward") == [3, 2, 1, 0]
    orders = [middles(seed=seed, direction="random") for seed in range(5)]
    assert all(sorted(order) == [0, 1, 2, 3] for order in orders)
    assert len({tuple(order) for order in orders}) > 1


@pytest.mark.parametrize("name", BUILDERS)
def test_supervised_has_the_same_points_and_the_solutions_values(name: str) -> None:
    trained, told = BUILDERS[name](seed=0), BUILDERS[name](seed=0, supervised=True)
    assert told.operator is None
    assert check_scenario(told) is told
    for one, other in zip(trained.tasks, told.tasks, strict=True):
        assert torch.equal(one.train[0], other.train[0])
        assert torch.equal(one.test[0], other.test[0])
        x, y = (tensor.double().numpy() for tensor in other.train)
        np.testing.assert_allclose(y[:, 0], EXACT[name](x[:, 0], x[:, 1], 2), atol=1e-6)


def test_weight_multiplies_the_squares_on_the_edge() -> None:
    *_, values = parts(poisson_windows(seed=0, weight=9.0), 0)
    *_, expected = parts(poisson_windows(seed=0, weight=1.0), 0)
    np.testing.assert_allclose(values, 3 * expected, rtol=1e-6)


@pytest.mark.parametrize(
    "wrong", [{"tasks": 0}, {"tasks": 1001}, {"samples": 0}, {"edge_samples": 0}, {"modes": 0}, {"weight": 0.0}]
)
@pytest.mark.parametrize("name", BUILDERS)
def test_impossible_options_are_refused_by_name(name: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        BUILDERS[name](seed=0, **wrong)


def test_heat_needs_a_positive_diffusivity() -> None:
    with pytest.raises(InputError, match="diffusivity"):
        heat_windows(seed=0, diffusivity=0.0)
