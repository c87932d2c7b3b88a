"""Guards what every registered scenario promises: it can be run, it depends on the seed alone, and seeds can be stacked."""

import numpy as np
import pytest
import torch
from torch import Tensor

from kancl.models import architectures
from kancl.options import Spec, complete
from runners.config import Request
from runners.stream import stack
from runners.sweep import expand
from runners.train import run_cell
from scenarios import Scenario, check_scenario, scenarios

NAMES = scenarios.names()
SEED_INDEPENDENT = {
    # The paper's points are evenly spaced, noiseless and in a fixed order: nothing is left for a seed to draw.
    "gaussian-peaks",
}


def tensors(scenario: Scenario) -> list[Tensor]:
    return [tensor for task in scenario.tasks for pair in (task.train, task.test) for tensor in pair]


def build(name: str, seed: int) -> Scenario:
    return scenarios.get(name)(seed=seed)


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    """Several test processes share the cores: more threads only wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def test_the_built_in_scenarios_are_registered() -> None:
    assert {"gaussian-peaks", "split-digits", "permuted-digits"} <= set(NAMES)


def test_it_passes_the_check(name: str) -> None:
    scenario = build(name, seed=0)
    assert check_scenario(scenario, name) is scenario


def test_it_is_deterministic_under_a_seed(name: str) -> None:
    random_state = torch.get_rng_state()
    one = tensors(build(name, seed=7))
    torch.manual_seed(123)
    np.random.seed(123)
    other = tensors(build(name, seed=7))
    torch.set_rng_state(random_state)
    assert len(one) == len(other)
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_two_seeds_differ_unless_nothing_is_drawn(name: str) -> None:
    pairs = zip(tensors(build(name, seed=0)), tensors(build(name, seed=1)), strict=True)
    same = all(torch.equal(a, b) for a, b in pairs)
    assert same == (name in SEED_INDEPENDENT)


def test_it_leaves_the_global_generators_alone(name: str) -> None:
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    build(name, seed=0)
    assert torch.equal(before, torch.get_rng_state())
    np.testing.assert_array_equal(numpy_before, np.random.get_state()[1])


def test_seeds_stack(name: str) -> None:
    seeds = (2, 0, 5)
    stream = stack(complete(scenarios, Spec(name), ("seed",)), seeds)
    built = [build(name, seed) for seed in seeds]
    assert len(stream.train) == len(stream.test) == len(built[0].tasks)
    assert stream.low.shape == stream.high.shape == (3, built[0].inputs)
    for number in range(len(stream.train)):
        for part in ("train", "test"):
            samples = getattr(stream, part)[number]
            for s, scenario in enumerate(built):
                x, y = getattr(scenario.tasks[number], part)
                torch.testing.assert_close(samples.x[s], x, rtol=0, atol=0)
                torch.testing.assert_close(samples.y[s], y, rtol=0, atol=0)
            assert samples.task.tolist() == [number] * samples.x.shape[1]


@pytest.mark.parametrize("architecture", architectures.names())
def test_it_trains(name: str, architecture: str) -> None:
    request = Request(
        scenarios=(name,), architectures=(architecture,), seeds=2, optimizer="adam", steps=2, batch_size=16, evaluations=2
    )
    (cell,) = expand([request])
    result = run_cell(cell, stack(cell.scenario, cell.seeds))
    tasks = len(build(name, 0).tasks)
    for R in result.R.values():
        assert R.shape == (2, tasks + 1, tasks)
        assert np.isfinite(R).all()
    assert (result.diverged_at == -1).all()
    # Training did something: the scores after the first task are not those of the untrained networks. The accuracy alone need
    # not change: so early, few test images fall on the tiles of a lookup table that any training image touched.
    assert not all(np.array_equal(R[:, 0], R[:, 1]) for R in result.R.values())
