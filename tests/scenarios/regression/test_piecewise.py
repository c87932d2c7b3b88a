"""Guards pieces of functions given as text, and that such lists survive the command line and experiment files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kancl.errors import InputError
from kancl.options import Spec, parse_spec
from runners.config.file import read_file
from runners.experiment.expand import expand
from scenarios import Scenario, build_scenario, complete_scenario
from scenarios.regression.piecewise import piecewise_functions
from scenarios.tools.rows import rows_of
from scenarios.tools.sampling import draw_apart

TWO: dict[str, Any] = {"formulas": ("sin(6*x)", "x^2"), "edges": (-1.0, 0.0, 3.0)}


def by_hand(x: np.ndarray) -> np.ndarray:
    x = x.astype(np.float64)
    return np.where(x < 0, np.sin(6 * x), x**2)


def test_each_task_sees_its_piece_on_its_interval() -> None:
    pieces = piecewise_functions(seed=0, **TWO, samples=400)
    assert (pieces.inputs, pieces.outputs, pieces.loss, pieces.domain) == (1, 1, "mse", ((-1.0, 3.0),))
    assert not pieces.test_is_train
    for task, (low, high) in zip(pieces.tasks, [(-1, 0), (0, 3)], strict=True):
        for x, y in (task.train, task.test):
            assert x.shape == y.shape == (400, 1)
            assert low <= float(x.min()) < low + 0.05 * (high - low)
            assert high - 0.05 * (high - low) < float(x.max()) <= high
            np.testing.assert_allclose(y.numpy(), by_hand(x.numpy()), atol=1e-6)


def test_the_target_of_the_figure_jumps_at_the_edge() -> None:
    pieces = piecewise_functions(seed=0, formulas=("x - 1", "x + 1"), edges=(-1, 0, 1))
    assert pieces.target is not None
    x = torch.tensor([[-1.0], [-1e-6], [0.0], [0.5], [1.0]])
    np.testing.assert_allclose(pieces.target(x).numpy()[:, 0], [-2, -1, 1, 1.5, 2], atol=1e-5)


def test_the_default_has_five_pieces_that_vary_and_jump() -> None:
    pieces = piecewise_functions(seed=0)
    assert len(pieces.tasks) == 5
    assert all(float(task.train[1].std()) > 0.1 for task in pieces.tasks)
    assert pieces.target is not None
    edges = torch.tensor([[-0.6], [-0.2], [0.2], [0.6]])
    assert float((pieces.target(edges - 1e-4) - pieces.target(edges + 1e-4)).abs().min()) > 0.1


def test_without_edges_the_range_is_divided_evenly() -> None:
    pieces = piecewise_functions(seed=0, formulas=("x", "x", "x", "x"))
    assert [task.name for task in pieces.tasks] == [f"x on [{low:g}, {low + 0.5:g}]" for low in (-1, -0.5, 0, 0.5)]


def test_noise_is_on_training_targets_only() -> None:
    pieces = piecewise_functions(seed=0, **TWO, samples=3000, noise=0.5)
    x, y = (part.numpy() for part in pieces.tasks[0].train)
    assert (y - by_hand(x)).std() == pytest.approx(0.5, rel=0.05)
    x, y = (part.numpy() for part in pieces.tasks[0].test)
    np.testing.assert_allclose(y, by_hand(x), atol=1e-6)


def test_the_training_points_may_be_the_tests() -> None:
    pieces = piecewise_functions(seed=0, **TWO, noise=0.5, test="train")
    assert pieces.test_is_train
    for task in pieces.tasks:
        assert torch.equal(task.train[0], task.test[0])
        assert torch.equal(task.train[1], task.test[1])


def test_order() -> None:
    names = [task.name for task in piecewise_functions(seed=0).tasks]
    assert [task.name for task in piecewise_functions(seed=0, order="right-to-left").tasks] == names[::-1]
    drawn = [[task.name for task in piecewise_functions(seed=seed, order="random").tasks] for seed in range(4)]
    assert all(sorted(order) == sorted(names) for order in drawn)
    assert len(set(map(tuple, drawn))) > 1


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"formulas": ()}, "a formula"),
        ({"samples": 1}, "samples"),
        ({"noise": -1.0}, "noise"),
        ({"formulas": ("x", "x"), "edges": (0, 1)}, "3 rising numbers"),
        ({"formulas": ("x", "x"), "edges": (0, 2, 1)}, "rising"),
        ({"formulas": ("x", "x"), "edges": (0, 0, 1)}, "rising"),
        ({"formulas": ("y",)}, "unknown name y"),
        ({"formulas": ("log(x)",)}, "is nan at x = -"),
        ({"formulas": ("x",), "edges": (1.0, 1.0 + 1e-7)}, "too few different numbers"),
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        piecewise_functions(seed=0, **wrong)


# Lists on the command line and in files

WAYS = [
    'piecewise-functions:formulas=["min(x,0)","x^2"],edges=[-1,0,3],samples=7',
    "piecewise-functions:formulas=[min(x,0),x^2],edges=[-1,0,3],samples=7",
    "piecewise-functions: formulas = [ min(x,0) , x^2 ], edges = [-1, 0, 3], samples=7",
]


def built(text: str) -> Scenario:
    return build_scenario(parse_spec(text), 0)


@pytest.mark.parametrize("text", WAYS)
def test_a_list_of_formulas_is_read_from_the_command_line(text: str) -> None:
    options = complete_scenario(parse_spec(text)).options
    assert (options["formulas"], options["edges"], options["samples"]) == (["min(x,0)", "x^2"], [-1.0, 0.0, 3.0], 7)
    assert [task.name for task in built(text).tasks] == ["min(x,0) on [-1, 0]", "x^2 on [0, 3]"]


def test_the_label_of_a_list_is_read_back() -> None:
    spec = complete_scenario(parse_spec(WAYS[0]))
    assert complete_scenario(parse_spec(spec.label)) == spec


def test_one_formula_needs_no_list() -> None:
    assert [task.name for task in built("piecewise-functions:formulas=sin(x)").tasks] == ["sin(x) on [-1, 1]"]


def test_a_list_of_formulas_is_read_from_an_experiment_file(tmp_path: Path) -> None:
    path = tmp_path / "pieces.toml"
    path.write_text(f"scenarios = ['{WAYS[0]}', '{WAYS[1]}']\narchitectures = ['mlp']\nseeds = 1\n")
    (cell,) = expand(read_file(path))  # two ways to write one experiment
    assert cell.scenario == complete_scenario(Spec("piecewise-functions", parse_spec(WAYS[0]).options))


# Points


def test_no_test_point_is_a_training_point_of_any_task() -> None:
    """On a range of about 2000 float32 numbers, where most of 500 draws would otherwise meet one of 1500."""
    box = [(1.0, 1.0 + 2.4e-4)]
    points = draw_apart([box] * 3, 500, 500, torch.Generator().manual_seed(0))
    known = {row for train, _ in points for row in rows_of(train)}
    assert len(known) > 500
    assert not known & {row for _, test in points for row in rows_of(test)}
    assert all(bool(((x >= 1) & (x <= 1.00025)).all()) for pair in points for x in pair)


def test_points_fill_their_box() -> None:
    ((train, test),) = draw_apart([[(-5.0, 5.0), (2.0, 3.0)]], 4000, 3000, torch.Generator().manual_seed(0))
    assert (train.shape, test.shape, train.dtype) == ((4000, 2), (3000, 2), torch.float32)
    for x in (train, test):
        np.testing.assert_allclose(x.mean(0).numpy(), [0, 2.5], atol=0.2)
        np.testing.assert_allclose(x.std(0).numpy(), np.array([10, 1]) / np.sqrt(12), rtol=0.05)
