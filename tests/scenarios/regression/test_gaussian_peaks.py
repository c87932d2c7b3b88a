"""Guards the paper's toy: its numbers by an independent formula, and that every option does what it says."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from kancl.errors import InputError
from scenarios import Scenario
from scenarios.regression.gaussian_peaks import gaussian_peaks

PAPER_CENTRES = (-0.8, -0.4, 0.0, 0.4, 0.8)


def peaks(x: np.ndarray, centres: tuple[float, ...], slope: float = 0.0) -> np.ndarray:
    """The target by hand, in float64, for points (N, D)."""
    x = np.asarray(x, dtype=np.float64)
    total = slope * x[:, 0]
    for c in centres:
        distance = (x[:, 0] - c) ** 2 + (x[:, 1:] ** 2).sum(1)
        total = total + np.exp(-300 * distance)
    return total[:, None]


def train_x(scenario: Scenario) -> list[np.ndarray]:
    return [task.train[0].numpy() for task in scenario.tasks]


def train_y(scenario: Scenario) -> list[np.ndarray]:
    return [task.train[1].numpy() for task in scenario.tasks]


def middles(scenario: Scenario) -> list[float]:
    """The middle of each task's interval."""
    return [float((x[:, 0].min() + x[:, 0].max()) / 2) for x in train_x(scenario)]


def test_defaults_are_the_papers_toy() -> None:
    toy = gaussian_peaks(seed=0)
    assert len(toy.tasks) == 5
    assert (toy.loss, toy.setting, toy.inputs, toy.outputs) == ("mse", "domain", 1, 1)
    assert toy.domain == ((-1.0, 1.0),)
    for task, centre in zip(toy.tasks, PAPER_CENTRES, strict=True):
        x, y = task.train
        assert x.shape == (100, 1)
        assert y.shape == (100, 1)
        np.testing.assert_allclose(x.numpy()[:, 0], np.linspace(centre - 0.2, centre + 0.2, 100), atol=1e-7, rtol=0)
        np.testing.assert_allclose(y.numpy(), peaks(x.numpy(), PAPER_CENTRES), atol=1e-7, rtol=0)
        assert f"{centre:g}" in task.name


def test_by_default_the_test_points_are_the_training_points() -> None:
    toy = gaussian_peaks(seed=0)
    assert toy.test_is_train
    for task in toy.tasks:
        assert torch.equal(task.train[0], task.test[0])
        assert torch.equal(task.train[1], task.test[1])


def test_the_default_data_do_not_depend_on_the_seed() -> None:
    for one, other in zip(gaussian_peaks(seed=0).tasks, gaussian_peaks(seed=1).tasks, strict=True):
        assert torch.equal(one.train[0], other.train[0])
        assert torch.equal(one.train[1], other.train[1])


def test_the_plotting_target_is_the_formula() -> None:
    toy = gaussian_peaks(seed=0, slope=0.3, noise=0.5)
    assert toy.target is not None
    x = torch.linspace(-1, 1, 500)[:, None]
    np.testing.assert_allclose(toy.target(x).numpy(), peaks(x.numpy(), PAPER_CENTRES, slope=0.3), atol=1e-6, rtol=0)


@pytest.mark.parametrize("tasks", [1, 2, 3, 8])
def test_tasks_divides_the_range_evenly(tasks: int) -> None:
    toy = gaussian_peaks(seed=0, tasks=tasks)
    edges = np.linspace(-1, 1, tasks + 1)
    centres = [(low + high) / 2 for low, high in pairwise(edges)]
    np.testing.assert_allclose(middles(toy), centres, atol=1e-6)
    for x, y in zip(train_x(toy), train_y(toy), strict=True):
        np.testing.assert_allclose(y, peaks(x, tuple(centres)), atol=1e-6)


def test_samples_is_the_number_of_training_points() -> None:
    assert [len(x) for x in train_x(gaussian_peaks(seed=0, samples=7))] == [7] * 5


def test_width_is_half_the_interval() -> None:
    toy = gaussian_peaks(seed=0, width=0.05)
    np.testing.assert_allclose([np.ptp(x) for x in train_x(toy)], 0.1, atol=1e-6)
    np.testing.assert_allclose(middles(toy), PAPER_CENTRES, atol=1e-6)


def test_slope_adds_a_line() -> None:
    plain, sloped = gaussian_peaks(seed=0), gaussian_peaks(seed=0, slope=0.5)
    for x, flat, steep in zip(train_x(plain), train_y(plain), train_y(sloped), strict=True):
        np.testing.assert_allclose(steep - flat, 0.5 * x, atol=1e-6)


def test_shift_moves_the_intervals_but_not_the_peaks() -> None:
    toy = gaussian_peaks(seed=0, shift=0.1)
    np.testing.assert_allclose(middles(toy), np.array(PAPER_CENTRES) + 0.1, atol=1e-6)
    for x, y in zip(train_x(toy), train_y(toy), strict=True):
        np.testing.assert_allclose(y, peaks(x, PAPER_CENTRES), atol=1e-6)


def test_noise_has_the_given_deviation_and_differs_per_seed() -> None:
    noise = []
    for seed in (0, 1):
        toy = gaussian_peaks(seed=seed, noise=0.25, samples=1000)
        noise.append(np.concatenate([y - peaks(x, PAPER_CENTRES) for x, y in zip(train_x(toy), train_y(toy), strict=True)]))
    for values in noise:
        # 5000 draws: the deviation is known to 1 %, the mean to 0.0035.
        assert values.std() == pytest.approx(0.25, rel=0.05)
        assert abs(values.mean()) < 0.02
    assert abs(np.corrcoef(noise[0][:, 0], noise[1][:, 0])[0, 1]) < 0.1


def test_fresh_tests_are_other_points_of_the_interval_without_noise() -> None:
    toy = gaussian_peaks(seed=0, noise=0.5, test="fresh")
    assert not toy.test_is_train
    for task, centre in zip(toy.tasks, PAPER_CENTRES, strict=True):
        x, y = (part.numpy() for part in task.test)
        assert len(x) == 100
        assert np.abs(x - centre).max() <= 0.2 + 1e-6
        assert not set(x[:, 0]) & set(task.train[0].numpy()[:, 0])
        np.testing.assert_allclose(y, peaks(x, PAPER_CENTRES), atol=1e-6)
        # Uniform on the interval: mean c, deviation 0.4 / sqrt(12) = 0.115.
        assert x.mean() == pytest.approx(centre, abs=0.05)
        assert x.std() == pytest.approx(0.4 / 12**0.5, abs=0.03)


def test_with_training_points_as_tests_the_noise_is_scored_too() -> None:
    task = gaussian_peaks(seed=0, noise=0.5).tasks[0]
    assert torch.equal(task.train[1], task.test[1])


@pytest.mark.parametrize("dims", [2, 3])
def test_dims_puts_the_centres_on_the_first_axis(dims: int) -> None:
    toy = gaussian_peaks(seed=0, dims=dims)
    assert toy.inputs == dims
    assert toy.domain == ((-1.0, 1.0),) * dims
    assert toy.target is None
    for x, y, centre in zip(train_x(toy), train_y(toy), PAPER_CENTRES, strict=True):
        assert x.shape == (100, dims)
        assert np.abs(x[:, 0] - centre).max() <= 0.2 + 1e-6
        assert np.abs(x[:, 1:]).max() <= 0.2 + 1e-6
        np.testing.assert_allclose(y, peaks(x, PAPER_CENTRES), atol=1e-6)


def test_points_in_more_dimensions_are_drawn_per_seed() -> None:
    assert not torch.equal(gaussian_peaks(seed=0, dims=2).tasks[0].train[0], gaussian_peaks(seed=1, dims=2).tasks[0].train[0])


def test_right_to_left_is_the_reverse() -> None:
    np.testing.assert_allclose(middles(gaussian_peaks(seed=0, order="right-to-left")), PAPER_CENTRES[::-1], atol=1e-6)


def test_random_order_is_a_permutation_drawn_by_the_seed() -> None:
    orders = [tuple(np.round(middles(gaussian_peaks(seed=seed, order="random")), 3)) for seed in range(6)]
    for order in orders:
        assert sorted(order) == pytest.approx(sorted(PAPER_CENTRES), abs=1e-3)
    assert len(set(orders)) > 1
    assert orders[0] == tuple(np.round(middles(gaussian_peaks(seed=0, order="random")), 3))


@pytest.mark.parametrize("wrong", [{"tasks": 0}, {"samples": 1}, {"width": 0.0}, {"dims": 0}, {"noise": -0.1}])
def test_impossible_options_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        gaussian_peaks(seed=0, **wrong)
