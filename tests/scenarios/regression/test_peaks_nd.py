"""Guards the bumps: targets by independent formulas, where the centres lie, and the overlap of cubes by sampling."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch

from kancl.errors import InputError
from scenarios import Scenario, check_scenario
from scenarios.regression.gaussian_peaks import gaussian_peaks
from scenarios.regression.peaks_nd import bumps, grid_side, peaks_nd

LINE = np.array([-0.8, -0.4, 0.0, 0.4, 0.8])


def middles(scenario: Scenario) -> np.ndarray:
    """Where the tasks' cubes are, from many samples."""
    both = [torch.cat([task.train[0], task.test[0]]) for task in scenario.tasks]
    return np.array([((x.amin(0) + x.amax(0)) / 2).tolist() for x in both])


def by_hand(x: np.ndarray, centres: np.ndarray, s: float, form: str) -> np.ndarray:
    total = np.zeros(len(x))
    for n, point in enumerate(x):
        if form == "product":
            total[n] = sum(
                np.prod([np.exp(-s * (p - c) ** 2 / len(point)) for p, c in zip(point, centre, strict=True)])
                for centre in centres
            )
        else:
            sums = [
                sum(np.exp(-s * (p - c) ** 2) for c in sorted(set(column))) for p, column in zip(point, centres.T, strict=True)
            ]
            total[n] = np.mean(sums)
    return total


@pytest.mark.parametrize("form", ["product", "additive"])
@pytest.mark.parametrize("dims", [1, 2, 4])
@pytest.mark.parametrize("layout", ["diagonal", "axis"])
def test_targets_are_the_formula(form: Any, layout: Any, dims: int) -> None:
    scenario = peaks_nd(seed=0, dims=dims, form=form, layout=layout, samples=30)
    centres = np.zeros((5, dims))
    centres[:] = LINE[:, None] if layout == "diagonal" else np.eye(1, dims) * LINE[:, None]
    for task in scenario.tasks:
        for x, y in (task.train, task.test):
            expected = by_hand(x.double().numpy(), centres, 2 / 0.2**2, form)
            np.testing.assert_allclose(y.numpy()[:, 0], expected, atol=1e-6)


def test_in_one_dimension_it_is_the_papers_toy() -> None:
    ours, paper = peaks_nd(seed=0, dims=1, steepness=300 * 0.2**2), gaussian_peaks(seed=0)
    x = torch.linspace(-1, 1, 400, dtype=torch.float64)[:, None]
    assert ours.target is not None
    assert paper.target is not None
    torch.testing.assert_close(ours.target(x), paper.target(x))


@pytest.mark.parametrize("layout", ["diagonal", "axis"])
def test_centres_divide_the_diagonal_or_the_first_axis(layout: Any) -> None:
    found = middles(peaks_nd(seed=0, dims=3, layout=layout, samples=3_000))
    others = LINE if layout == "diagonal" else 0 * LINE
    assert found == pytest.approx(np.stack([LINE, others, others], 1), abs=0.01)


@pytest.mark.parametrize(("dims", "tasks", "side"), [(1, 5, 5), (2, 5, 3), (2, 9, 3), (3, 9, 3), (16, 5, 2)])
def test_a_grid_has_a_cell_for_each_task(dims: int, tasks: int, side: int) -> None:
    assert grid_side(tasks, dims) == side
    scenario = peaks_nd(seed=0, dims=dims, tasks=tasks, layout="grid", samples=3_000)
    cells = ((middles(scenario) + 1) * side - 1) / 2
    assert cells == pytest.approx(cells.round(), abs=0.05)
    rows = [tuple(row) for row in cells.round().astype(int).tolist()]
    assert len(set(rows)) == tasks
    assert {number for row in rows for number in row} <= set(range(side))
    off = ~torch.eye(tasks, dtype=torch.bool)
    assert not scenario.overlap["joint"][off].any()


@pytest.mark.parametrize("layout", ["grid", "scattered"])
def test_drawn_centres_differ_between_seeds(layout: Any) -> None:
    one, other = (middles(peaks_nd(seed=seed, layout=layout)) for seed in (0, 1))
    assert np.abs(one - other).max() > 0.05


def test_the_diagonal_shares_nothing_and_the_axis_all_inputs_but_one() -> None:
    off = ~torch.eye(5, dtype=torch.bool)
    for layout, marginal in (("diagonal", 0.0), ("axis", 0.75)):
        overlap = peaks_nd(seed=0, dims=4, layout=layout, samples=1).overlap  # type: ignore[arg-type]
        assert not overlap["joint"][off].any()
        assert overlap["marginal"][off].tolist() == pytest.approx([marginal] * 20)


def test_overlaps_are_the_share_of_samples_in_the_others_cube() -> None:
    """Both densities are uniform and of one volume, so the overlap is the chance to lie in the other cube."""
    scenario = peaks_nd(seed=4, dims=2, tasks=4, layout="scattered", width=0.5, samples=4_000)
    centres = middles(scenario)
    assert scenario.overlap["joint"].triu(1).max() > 0.2
    for i, j in combinations(range(4), 2):
        inside = (np.abs(scenario.tasks[i].train[0].numpy() - centres[j]) <= 0.5).astype(float)
        assert scenario.overlap["joint"][i, j].item() == pytest.approx(inside.all(1).mean(), abs=0.03)
        assert scenario.overlap["marginal"][i, j].item() == pytest.approx(inside.mean(), abs=0.03)


def test_only_the_additive_form_is_a_sum_of_functions_of_one_input() -> None:
    """Steps in two inputs add up in it, whatever the value of the other: what a KAN without hidden layer can represent."""
    for form, adds_up in (("additive", True), ("product", False)):
        centres = torch.tensor([[-0.5, 0.2], [0.5, -0.2]], dtype=torch.float64)
        target = bumps(centres, 8.0, form)  # type: ignore[arg-type]
        corners = torch.tensor([[-0.4, 0.1], [0.3, 0.1], [-0.4, -0.6], [0.3, -0.6]], dtype=torch.float64)
        a, b, c, d = target(corners)[:, 0].tolist()
        assert (abs(a - b - c + d) < 1e-12) == adds_up


@pytest.mark.parametrize(
    "options",
    [
        {"width": 0.5},
        {"width": 1.0, "layout": "scattered"},
        {"layout": "grid", "width": 0.9},
        {"layout": "axis", "width": 0.6, "dims": 3},
        {"dims": 16},
        {"tasks": 1, "dims": 1},
    ],
    ids=str,
)
def test_the_domain_reaches_as_far_as_the_cubes(options: dict[str, Any]) -> None:
    scenario = check_scenario(peaks_nd(seed=0, **options))
    assert all(low <= -1 and high >= 1 for low, high in scenario.domain or ())


def test_noise_is_on_the_training_targets_alone() -> None:
    clean, noisy = (peaks_nd(seed=0, samples=3_000, noise=noise, steepness=1e-6) for noise in (0.0, 0.3))
    for one, other in zip(clean.tasks, noisy.tasks, strict=True):
        assert one.train[1].std() < 1e-4
        assert other.train[1].std().item() == pytest.approx(0.3, rel=0.06)
        assert other.test[1].std() < 1e-4


@pytest.mark.parametrize(
    "wrong",
    [{"dims": 0}, {"tasks": 0}, {"samples": 0}, {"width": 0.0}, {"width": 1.5}, {"steepness": 0.0}, {"noise": -1.0}],
)
def test_impossible_options_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        peaks_nd(seed=0, **wrong)
