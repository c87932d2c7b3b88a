"""Guards what every registered scenario promises: it can be run, it depends on the seed alone, and seeds can be stacked."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from kancl.models import architectures
from kancl.options import Spec
from runners.config.request import Request
from runners.experiment.expand import expand
from runners.run import run_cell
from runners.stream.cache import StreamCache
from runners.stream.stack import stack
from scenarios import Scenario, build_scenario, complete_scenario, scenarios
from scenarios.data.sources import FROM_FILES

NAMES = scenarios.names()
SEED_INDEPENDENT = {
    # The paper's points are evenly spaced, noiseless and in a fixed order: nothing is left for a seed to draw.
    "gaussian-peaks",
    # Published training and test sets, all of them: a seed is the initial weights and the order of samples.
    "kanbefair",
    *(f"{mechanism}-{data}" for mechanism in ("split", "rotated") for data in FROM_FILES),
    # Tables of sums: the papers' tasks hold all of theirs.
    "binary-addition",
    "decimal-addition",
}
EVERY_ARCHITECTURE = ("gaussian-peaks", "split-digits", "permuted-digits", "rotated-wine")
"""Scenarios that all architectures are trained on: regression, classes that come one after another, inputs that change."""

STREAMS = StreamCache()
"""What was built for one test is used again by the next: building is most of this file's time."""

Build = Callable[[str, int], Scenario]


def tensors(scenario: Scenario) -> list[Tensor]:
    return [tensor for task in scenario.tasks for pair in (task.train, task.test) for tensor in pair]


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    """Several test processes share the cores: more threads only wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _data(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work where the folder of data files is found by its usual name."""
    monkeypatch.chdir(data_root.parent)


@pytest.fixture(scope="module")
def built() -> Build:
    """A scenario that was built before is used again."""
    return cache(lambda name, seed: build_scenario(Spec(name), seed))


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def test_the_built_in_scenarios_are_registered() -> None:
    assert {"gaussian-peaks", "split-digits", "permuted-digits"} <= set(NAMES)
    assert set(EVERY_ARCHITECTURE) | SEED_INDEPENDENT <= set(NAMES)


def test_it_is_deterministic_under_a_seed_and_leaves_the_global_generators_alone(name: str, built: Build) -> None:
    one = tensors(built(name, 0))
    torch.manual_seed(123)
    np.random.seed(123)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    other = tensors(build_scenario(Spec(name), 0))
    assert torch.equal(before, torch.get_rng_state())
    np.testing.assert_array_equal(numpy_before, np.random.get_state()[1])
    assert len(one) == len(other)
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_two_seeds_differ_unless_nothing_is_drawn(name: str, built: Build) -> None:
    pairs = zip(tensors(built(name, 0)), tensors(built(name, 1)), strict=True)
    same = all(torch.equal(a, b) for a, b in pairs)
    assert same == (name in SEED_INDEPENDENT)


def test_seeds_stack(name: str, built: Build) -> None:
    seeds = (1, 0)
    stream = stack(complete_scenario(Spec(name)), seeds)
    ours = [built(name, seed) for seed in seeds]
    assert len(stream.train) == len(stream.test) == len(ours[0].tasks)
    assert stream.low.shape == stream.high.shape == (2, ours[0].inputs)
    for number in range(len(stream.train)):
        for part in ("train", "test"):
            samples = getattr(stream, part)[number]
            for s, scenario in enumerate(ours):
                x, y = getattr(scenario.tasks[number], part)
                torch.testing.assert_close(samples.x[s], x, rtol=0, atol=0)
                torch.testing.assert_close(samples.y[s], y, rtol=0, atol=0)
            assert samples.task.tolist() == [number] * samples.x.shape[1]


def trains(name: str, *rivals: str) -> None:
    request = Request(
        scenarios=(name,), architectures=rivals, seeds=2, optimizer="adam", steps=1, batch_size=16, evaluations=2
    )  # fmt: skip
    cells = expand([request], streams=STREAMS)
    stream = STREAMS.of(cells[0])
    for cell in cells:
        result = run_cell(cell, stream)
        tasks = len(stream.train)
        for R in result.R.values():
            assert R.shape == (2, tasks + 1, tasks)
            assert np.isfinite(R).all()
        assert (result.diverged_at == -1).all()
        # Training did something: the scores after the first task are not those of the untrained networks. The accuracy alone
        # need not change: so early, few test images fall on the tiles of a lookup table that any training image touched.
        assert not all(np.array_equal(R[:, 0], R[:, 1]) for R in result.R.values())


def test_it_trains(name: str) -> None:
    trains(name, "kan", "mlp")


@pytest.mark.parametrize("name", EVERY_ARCHITECTURE)
@pytest.mark.parametrize("architecture", sorted({*architectures.names()} - {"kan", "mlp"}))
def test_every_architecture_trains(name: str, architecture: str) -> None:
    trains(name, architecture)
