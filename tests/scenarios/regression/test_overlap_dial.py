"""Guards the dials: overlaps are what the options say, by integration and sampling, and so are conflicts of targets."""

from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
import torch

from kancl.errors import InputError
from kancl.models import architectures
from kancl.seeding import generator
from runners.config.request import Request
from runners.experiment.expand import expand
from runners.stream.stack import stack
from runners.training.networks import build_network
from scenarios import Scenario, check_scenario
from scenarios.regression.overlap_dial import overlap_dial
from scenarios.tools.random_function import random_function

POSITIONS: list[dict[str, Any]] = [
    {"dims": 1, "joint": 0.0},
    {"dims": 1, "joint": 0.3, "gap": 0.2},
    {"dims": 1, "joint": 0.25, "sharpness": 0.6},
    {"dims": 1, "joint": 1.0},
    {"dims": 2, "joint": 0.0, "gap": 0.5},
    {"dims": 2, "joint": 0.0, "marginal": 1.0},
    {"dims": 2, "joint": 0.2, "marginal": 0.7},
    {"dims": 2, "joint": 0.2, "marginal": 0.5, "sharpness": 0.5, "gap": 0.3, "tasks": 3},
    {"dims": 2, "joint": 0.4, "marginal": 1.0, "tasks": 4},
    {"dims": 2, "joint": 1.0},
]
DEEP: list[dict[str, Any]] = [
    {"dims": 5, "joint": 0.2, "marginal": 0.6, "sharpness": 0.7},
    {"dims": 16, "joint": 0.0, "marginal": 1.0},
    {"dims": 16, "joint": 0.3, "marginal": 0.8, "gap": 0.4},
]


class Geometry:
    """The blocks as the docstring describes them, written down a second time: zones from widths, densities from volumes."""

    def __init__(
        self, dims: int, joint: float, marginal: float | None = None, sharpness: float = 1.0, gap: float = 0.0, tasks: int = 5
    ) -> None:
        m = joint if marginal is None else marginal
        self.dims, self.tasks, self.common = dims, tasks, [joint, m - joint]
        self.private = np.zeros((tasks, tasks))
        for t in range(tasks):
            self.private[t, t] += (1 - m) * sharpness
            for neighbour in (t - 1, t + 1):
                self.private[t, neighbour if 0 <= neighbour < tasks else t] += (1 - m) * (1 - sharpness) / 2
        ends, at = [], 0.0
        for zone, width in enumerate([joint, m - joint, *[1 - m] * tasks]):
            if zone >= 2 and at > 0 and width > 1e-12:
                at += gap
            ends.append((at, at + width))
            at += width
        self.ends = 2 * np.array(ends) / at - 1

    def zones(self, x: np.ndarray) -> np.ndarray:
        """The zone of every coordinate; -1 between zones."""
        slack = 1e-6
        inside = (x[..., None] >= self.ends[:, 0] - slack) & (x[..., None] <= self.ends[:, 1] + slack)
        inside &= self.ends[:, 1] - self.ends[:, 0] > 1e-9
        return np.where(inside.any(-1), inside.argmax(-1), -1)

    def slabs(self, x: np.ndarray) -> np.ndarray:
        low, high = self.ends[1]
        return np.clip((x - low) / max(high - low, 1e-12) * self.tasks, 0, self.tasks - 1).astype(int)

    def density(self, x: np.ndarray, task: int) -> np.ndarray:
        zones, total = self.zones(x), np.zeros(len(x))
        for zone, (low, high) in enumerate(self.ends):
            in_block, volume = (zones == zone).all(1), (high - low) ** self.dims
            if high - low < 1e-9:
                continue
            if zone == 1:
                mine = self.slabs(x).sum(1) % self.tasks == task
                total += np.where(in_block & mine, self.common[1] / volume * self.tasks, 0)
            else:
                mass = self.common[0] if zone == 0 else self.private[task, zone - 2]
                total += np.where(in_block, mass / volume, 0)
        return total


def inputs(scenario: Scenario) -> list[np.ndarray]:
    return [torch.cat([task.train[0], task.test[0]]).double().numpy() for task in scenario.tasks]


def shared(one: dict[Any, int], other: dict[Any, int]) -> float:
    """The overlap of two histograms."""
    totals = sum(one.values()), sum(other.values())
    return sum(min(count / totals[0], other.get(cell, 0) / totals[1]) for cell, count in one.items())


def histogram(cells: np.ndarray) -> dict[Any, int]:
    found, counts = np.unique(cells, axis=0, return_counts=True)
    return dict(zip(map(tuple, found), counts.tolist(), strict=True))


@pytest.mark.parametrize("options", POSITIONS, ids=str)
def test_overlaps_are_the_integral_of_the_smaller_density(options: dict[str, Any]) -> None:
    scenario, geometry, dims = overlap_dial(seed=0, samples=1, **options), Geometry(**options), options["dims"]
    count = 20_000 if dims == 1 else 500
    line = (2 * np.arange(count) + 1) / count - 1
    points = np.stack(np.meshgrid(*[line] * dims, indexing="ij"), -1).reshape(-1, dims)
    densities = np.stack([geometry.density(points, task) for task in range(geometry.tasks)])
    cell = (2 / count) ** dims
    assert densities.sum(1) * cell == pytest.approx(1, abs=0.02)
    marginals = densities.reshape(geometry.tasks, count, -1).sum(2) * cell
    for i, j in product(range(geometry.tasks), repeat=2):
        joint, marginal = (np.minimum(p[i], p[j]).sum() for p in (densities * cell, marginals))
        assert scenario.overlap["joint"][i, j].item() == pytest.approx(joint, abs=0.02)
        assert scenario.overlap["marginal"][i, j].item() == pytest.approx(marginal, abs=0.02)


@pytest.mark.parametrize("options", [*POSITIONS, *DEEP], ids=str)
def test_overlaps_are_those_of_the_samples(options: dict[str, Any]) -> None:
    scenario, geometry = overlap_dial(seed=0, samples=5_000, **options), Geometry(**options)
    cells = []
    for x in inputs(scenario):
        zones = geometry.zones(x)
        assert (zones >= 0).all()
        cells.append(np.concatenate([zones, np.where(zones == 1, geometry.slabs(x), 0)], 1))
    dims, last = options["dims"], geometry.tasks - 1
    for i, j in ((0, 1), (0, last), (1, last)):
        joint = shared(histogram(cells[i]), histogram(cells[j]))
        assert scenario.overlap["joint"][i, j].item() == pytest.approx(joint, abs=0.025)
        for d in {0, dims - 1}:
            pick = [d, dims + d]
            marginal = shared(histogram(cells[i][:, pick]), histogram(cells[j][:, pick]))
            assert scenario.overlap["marginal"][i, j].item() == pytest.approx(marginal, abs=0.035)


@pytest.mark.parametrize("options", [*POSITIONS, *DEEP], ids=str)
def test_samples_follow_the_densities(options: dict[str, Any]) -> None:
    """Every sample lies where its task has mass; and 1 / density, averaged over samples, is the volume of the support."""
    scenario, geometry = overlap_dial(seed=1, samples=2_000, **options), Geometry(**options)
    for task, x in enumerate(inputs(scenario)):
        assert np.abs(x).max() <= 1
        density = geometry.density(x, task)
        assert (density > 0).all()
        blocks = [geometry.common[0] > 0, geometry.common[1] > 0, *(geometry.private[task] > 0)]
        sides = (geometry.ends[:, 1] - geometry.ends[:, 0]) ** options["dims"]
        sides[1] /= geometry.tasks
        assert (1 / density).mean() == pytest.approx(sides[blocks].sum(), rel=0.15)


def test_overlaps_without_neighbours_are_the_options() -> None:
    for joint, marginal in ((0.0, None), (0.0, 1.0), (0.25, 0.5), (1.0, 1.0), (0.1 + 0.2, 0.3)):
        overlap = overlap_dial(seed=0, samples=1, joint=joint, marginal=marginal).overlap
        off = ~torch.eye(5, dtype=torch.bool)
        for name, value in (("joint", joint), ("marginal", joint if marginal is None else marginal)):
            torch.testing.assert_close(overlap[name][off], torch.full((20,), value, dtype=torch.float64))
            torch.testing.assert_close(overlap[name].diagonal(), torch.ones(5, dtype=torch.float64))


def test_neighbours_share_what_is_not_sharp() -> None:
    """By hand: masses .8 .2 0, .2 .6 .2, 0 .2 .8 in three cubes."""
    overlap = overlap_dial(seed=0, samples=1, tasks=3, sharpness=0.6).overlap["joint"]
    expected = torch.tensor([[1.0, 0.4, 0.2], [0.4, 1.0, 0.4], [0.2, 0.4, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(overlap, expected)


def test_overlaps_are_bounded_and_symmetric() -> None:
    for joint, extra, sharpness, dims in product((0.0, 0.4), (0.0, 0.5), (0.2, 1.0), (2, 7)):
        overlap = overlap_dial(seed=0, dims=dims, samples=1, joint=joint, marginal=joint + extra, sharpness=sharpness).overlap
        for values in overlap.values():
            assert torch.equal(values, values.T)
            assert values.min() >= 0
            assert values.max() <= 1 + 1e-12
        assert (overlap["marginal"] >= overlap["joint"] - 1e-12).all()


def test_overlaps_are_in_the_order_of_learning() -> None:
    laid = overlap_dial(seed=0, samples=1, sharpness=0.5)
    for order in ("reversed", "random"):
        learned = overlap_dial(seed=3, samples=1, sharpness=0.5, order=order)
        places = [int(task.name.split()[-1]) - 1 for task in learned.tasks]
        assert sorted(places) == list(range(5))
        assert places != list(range(5))
        for name, values in learned.overlap.items():
            assert torch.equal(values, laid.overlap[name][places][:, places])


def test_the_order_changes_no_tasks_data() -> None:
    laid, backwards = (overlap_dial(seed=2, samples=9, order=order) for order in ("as-laid", "reversed"))
    for task, same in zip(laid.tasks, reversed(backwards.tasks), strict=True):
        assert task.name == same.name
        assert torch.equal(task.train[1], same.train[1])


@pytest.mark.parametrize(("dims", "tasks"), [(2, 5), (3, 4), (6, 3)])
def test_cells_of_shared_marginals_are_a_latin_arrangement(dims: int, tasks: int) -> None:
    scenario = overlap_dial(seed=0, dims=dims, tasks=tasks, samples=3_000, marginal=1.0)
    owners: dict[tuple[int, ...], int] = {}
    for number, x in enumerate(inputs(scenario)):
        slabs = np.floor((x + 1) / 2 * tasks).astype(int).clip(0, tasks - 1)
        for column in slabs.T:
            assert np.bincount(column, minlength=tasks) / len(x) == pytest.approx(1 / tasks, abs=0.03)
        for cell in map(tuple, slabs):
            assert owners.setdefault(cell, number) == number
        assert len(set(map(tuple, slabs[:, :-1]))) == tasks ** (dims - 1)  # any but the last say nothing of the task
    assert len(owners) == tasks**dims


def test_a_gap_keeps_cubes_apart_and_changes_no_overlap() -> None:
    for joint, neighbours in ((0.0, 4), (0.5, 5)):
        apart, close = (overlap_dial(seed=0, samples=2_000, joint=joint, gap=gap) for gap in (0.5, 0.0))
        for name in ("joint", "marginal"):
            assert torch.equal(apart.overlap[name], close.overlap[name])
        unit = 2 / (joint + 5 * (1 - joint) + 0.5 * neighbours)
        own = [x[x[:, 0] > -1 + unit * joint + 1e-6, 0] for x in inputs(apart)]
        for before, after in pairwise(own):
            assert after.min() - before.max() == pytest.approx(0.5 * unit, abs=0.01)


@pytest.mark.parametrize("conflict", [0.0, 0.3, 1.0])
def test_targets_correlate_as_much_as_they_do_not_conflict(conflict: float) -> None:
    """At frequency 0 a target is one number, so two tasks' targets at one input can be read off their data."""
    values = []
    for seed in range(300):
        scenario = overlap_dial(seed=seed, samples=1, tasks=2, roughness=0.0, conflict=conflict)
        values.append([task.test[1].item() for task in scenario.tasks])
    numbers = np.array(values)
    assert numbers.mean(0) == pytest.approx(0, abs=0.2)
    assert numbers.std(0) == pytest.approx(1, abs=0.15)
    assert np.corrcoef(numbers.T)[0, 1] == pytest.approx(1 - conflict, abs=0.15)


@pytest.mark.parametrize("form", ["smooth", "additive"])
@pytest.mark.parametrize("dims", [1, 4])
def test_the_covariance_of_a_target_is_that_of_its_kernel(form: Any, dims: int) -> None:
    """Smooth: the Gaussian kernel; additive: the mean over inputs of one-dimensional ones of D times the squared frequency."""
    x = torch.tensor([[0.1, -0.2, 0.3, 0.0], [0.5, -0.2, -0.1, 0.2]], dtype=torch.float64)[:, :dims]
    values = torch.cat([random_function(generator(s, "test"), dims, 0.5, form)(x) for s in range(1_000)], 1).numpy()
    squares = ((x[0] - x[1]) ** 2).numpy()
    one = -2 * (np.pi * 0.5) ** 2
    kernel = np.exp(one * squares.mean()) if form == "smooth" else np.exp(one * squares).mean()
    products = np.array([values[0] * values[0], values[1] * values[1], values[0] * values[1]]).mean(1)
    assert products == pytest.approx([1, 1, kernel], abs=0.13)


def test_only_additive_targets_are_sums_of_functions_of_one_input() -> None:
    corners = torch.tensor([[0.1, 0.1], [0.9, 0.1], [0.1, 0.7], [0.9, 0.7]], dtype=torch.float64)
    signs = torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64)
    for form, size in (("additive", 0.0), ("smooth", 0.05)):
        mixed = (signs @ random_function(generator(0, "test"), 2, 1.0, form)(corners)).abs().item()  # type: ignore[arg-type]
        assert mixed < 1e-12 if form == "additive" else mixed > size


def test_without_conflict_all_tasks_share_one_function() -> None:
    """At one frequency so low that it is flat over the distance between two tasks' samples, its values are the same."""
    scenario = overlap_dial(seed=0, samples=50, joint=1.0, conflict=0.0, roughness=1e-4)
    every = torch.cat([task.test[1] for task in scenario.tasks])
    assert every.std() < 1e-3


def test_noise_is_on_the_training_targets_alone() -> None:
    clean, noisy = (overlap_dial(seed=0, samples=4_000, roughness=0.0, noise=noise) for noise in (0.0, 0.5))
    for one, other in zip(clean.tasks, noisy.tasks, strict=True):
        assert torch.equal(one.train[0], other.train[0])
        assert (other.train[1] - one.train[1]).std().item() == pytest.approx(0.5, rel=0.06)
        assert other.test[1].std() < 1e-6


def test_many_samples_in_one_dimension_keep_training_and_test_apart() -> None:
    """In float32 alone, some of 30,000 would meet."""
    check_scenario(overlap_dial(seed=0, dims=1, joint=1.0, tasks=3, samples=5_000))


@pytest.mark.parametrize("options", DEEP, ids=str)
def test_many_dimensions_can_be_run(options: dict[str, Any]) -> None:
    check_scenario(overlap_dial(seed=0, samples=100, **options))


@pytest.mark.parametrize("dims", [1, 2, 3, 4, 8, 16])
def test_the_advised_networks_can_be_built(dims: int) -> None:
    cells = expand(
        [Request(scenarios=(f"overlap-dial:dims={dims},samples=10",), architectures=tuple(architectures.names()), seeds=1)]
    )
    stream = stack(cells[0].scenario, cells[0].seeds)
    for cell in cells:
        build_network(cell, stream)
    tiles = next(cell.architecture.options for cell in cells if cell.architecture.name == "lookup")
    assert dims > 4 or tiles["tiles"] % 5 == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dims": 0}, "dims=0"),
        ({"dims": 17}, "dims=17"),
        ({"tasks": 0}, "tasks=0"),
        ({"samples": 0}, "samples=0"),
        ({"joint": -0.1}, "joint=-0.1"),
        ({"joint": 0.5, "marginal": 0.4}, "data-processing"),
        ({"marginal": 1.1}, "marginal=1.1"),
        ({"dims": 1, "joint": 0.5, "marginal": 0.6}, "one dimension"),
        ({"conflict": 1.5}, "conflict=1.5"),
        ({"sharpness": 0.0}, "sharpness=0.0"),
        ({"gap": -1.0}, "gap"),
        ({"roughness": -1.0}, "roughness=-1.0"),
        ({"noise": -1.0}, "noise=-1.0"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        overlap_dial(seed=0, **options)


def test_one_dimension_takes_the_marginal_that_it_has() -> None:
    assert overlap_dial(seed=0, samples=1, dims=1, joint=0.5, marginal=0.5).overlap["joint"][0, 1] == 0.5
