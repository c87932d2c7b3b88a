"""Guards the equations of physics: each worked out by hand at a point, finite on its range, no two alike; and their tasks."""

from itertools import combinations, permutations, product
from math import e, log, pi, sqrt
from typing import Any

import numpy as np
import pytest
import torch

from kancl.errors import InputError
from kancl.options import parse_spec
from scenarios import Scenario, build_scenario, complete_scenario
from scenarios.regression.feynman import feynman, values
from scenarios.regression.feynman_equations import EQUATIONS

BY_HAND: dict[str, tuple[tuple[float, ...], float]] = {
    "I.6.2a": ((0,), 0.3989422804),  # the height of the standard normal density
    "I.6.2": ((2, 2), 0.2419707245 / 2),  # one deviation from the mean
    "I.12.1": ((2, 3), 6),
    "I.14.4": ((4, 3), 18),
    "I.25.13": ((6, 4), 1.5),
    "I.26.2": ((1, 0.7), 0.7),  # equal media do not refract
    "I.29.4": ((9, 3), 3),
    "II.3.24": ((36 * pi, 3), 1),  # a sphere of radius 3 has the surface 36 pi
    "II.11.28": ((1, 0.75), 2),
    "II.38.14": ((9, 0.5), 3),
    "I.6.2b": ((1, 5, 3), 0.0539909665),  # two deviations from the mean
    "I.10.7": ((4, 3, 5), 5),  # v = 3/5 c: a factor of 5/4
    "I.12.4": ((8 * pi, 0.5, 2), 1),
    "I.14.3": ((2, 9.8, 10), 196),
    "I.15.1": ((4, 3, 5), 15),
    "I.16.6": ((1, 1, 0.3), 1),  # light is as fast for everyone
    "I.18.12": ((2, 3, pi / 2), 6),
    "I.27.6": ((2, 3, 1.5), 1),
    "I.30.3": ((1, pi / 2, 2), 2),  # two slits: 4 I cos^2(theta/2)
    "I.30.5": ((1, 2, 1), pi / 6),
    "I.34.1": ((4, 1, 3), 4),
    "I.34.14": ((5, 3, 1), 2),  # Doppler: sqrt((1 + 3/5)/(1 - 3/5))
    "I.37.4": ((1, 4, pi), 1),  # amplitudes 1 and 2, opposed
    "I.39.11": ((5 / 3, 2, 3), 9),
    "I.47.23": ((1.5, 6, 1), 3),
    "I.48.2": ((2, 3, 5), 62.5),
    "II.10.9": ((6, 1, 2), 2),
    "II.15.4": ((2, 3, 0), -6),
    "II.24.17": ((5, 1, pi / 4), 3),  # 3, 4, 5
    "II.27.16": ((2, 3, 4), 96),
    "II.34.2a": ((4 * pi, 3, 2), 3),
    "III.8.54": ((1, 1, 4), 1),  # a quarter of a period
    "III.15.12": ((1.5, pi, 1), 6),
    "III.15.14": ((4 * pi, 0.5, 2), 1),
    "III.17.37": ((2, 3, pi), -4),
    "I.8.14": ((1, 4, 2, 6), 5),  # 3, 4, 5
    "I.13.4": ((2, 1, 2, 3), 14),
    "I.15.3x": ((10, 3, 5, 2), 5),
    "I.15.3t": ((5, 5, 3, 2), 1.75),
    "I.18.4": ((1, 3, 2, 6), 5),
    "I.24.6": ((2, 1, 3, 2), 20),
    "I.29.16": ((3, 4, pi / 2, 0), 5),  # 3, 4, 5
    "I.32.5": ((2, 3, 1 / pi, 2), 0.75),
    "I.34.8": ((2, 3, 4, 6), 4),
    "I.43.43": ((3, 4, 2, 5), 5),
    "I.50.26": ((2, pi, 1, 3), 4),
    "II.6.15b": ((1 / pi, 8 / 3, pi / 4, 2), 0.125),
    "II.11.27": ((1, 0.75, 2, 3), 6),
    "III.4.32": ((2 * pi, 2 * log(3), 1, 2), 0.5),
    "III.4.33": ((2 * pi, 2 * log(3), 1, 2), log(3)),
    "III.10.19": ((2, 1, 2, 2), 6),
    "I.12.11": ((2, 1, 3, 4, pi / 2), 26),
    "I.13.12": ((2, 3, 4, 2, 1), 1.5),
    "I.41.16": ((log(2), 1, 2 * pi, 1, 1), 0.0337424),  # ln(2)^3 / pi^2
    "I.44.4": ((2, 3, 4, 1, e), 24),
    "II.2.42": ((2, 1, 4, 3, 6), 3),
    "II.11.3": ((2, 3, 1, 5, 4), 2 / 3),
    "II.21.32": ((4 * pi, 1, 2, 1, 2), 1),
    "II.35.18": ((5, 1, 1, log(2), 1), 2),  # 5 / (2 + 1/2)
    "II.35.21": ((5, log(2), 1, 1, 1), 3 * log(2)),  # tanh(ln 2) = 3/5
    "III.14.14": ((2, log(3), 1, 1, 1), 4),
    "III.19.51": ((4, 2, 2 * pi, 2, 1 / (4 * pi)), -8),  # -m q^4 / (2 n^2) in these units
    "I.11.19": ((1, 2, 3, 4, 5, 6), 32),
    "I.32.17": ((1 / pi, 3, 1, 1, 1, sqrt(3)), 1),
    "I.40.1": ((8, 2, 3, 2, log(2), 1), 1),  # three halvings
    "II.6.15a": ((3 / pi, 4, 2, 3, 4, 1), 5 / 32),
    "II.11.17": ((2, 1, 2, pi, 3, 4), -10),
    "II.36.38": ((2, 3, 1, 2, 4, 1, 2, 3), 6),
    "I.9.18": ((2, 3, 7, 4, 5, 8, 2, 2, 2), 6 / 7),  # distances 2, 3, 6: squared 49
}


def test_every_equation_is_worked_out_by_hand() -> None:
    assert BY_HAND.keys() == EQUATIONS.keys()
    assert len(EQUATIONS) >= 30
    assert {len(equation.ranges) for equation in EQUATIONS.values()} == {1, 2, 3, 4, 5, 6, 8, 9}


@pytest.mark.parametrize("name", EQUATIONS)
def test_it_agrees_with_a_point_worked_out_by_hand(name: str) -> None:
    point, expected = BY_HAND[name]
    value = EQUATIONS[name].formula(torch.tensor([point], dtype=torch.float64))
    assert float(value) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", EQUATIONS)
def test_it_is_finite_on_its_whole_range_and_every_variable_matters(name: str) -> None:
    width = len(EQUATIONS[name].ranges)
    inside = 2 * torch.rand(5000, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1
    corners = torch.tensor(list(product((-1.0, 1.0), repeat=width)), dtype=torch.float64)
    inputs = torch.cat([inside, corners])  # an InputError would name the place where it is not finite
    y = values(EQUATIONS[name], inputs)
    assert float(y.std()) > 0
    for column in range(width):
        moved = inputs.clone()
        moved[:, column] = moved[:, column].flip(0)
        assert not torch.allclose(values(EQUATIONS[name], moved), y)


def test_no_two_equations_are_one_function() -> None:
    """However their variables are ordered: correlated to the last digit would mean that two tasks are one."""
    by_width: dict[int, list[str]] = {}
    for name, equation in EQUATIONS.items():
        by_width.setdefault(len(equation.ranges), []).append(name)
    for width in (2, 3, 4, 5):
        inputs = 2 * torch.rand(12, width, generator=torch.Generator().manual_seed(1), dtype=torch.float64) - 1
        orders = [list(order) for order in permutations(range(width))]
        shuffled = {name: [values(EQUATIONS[name], inputs[:, order])[:, 0] for order in orders] for name in by_width[width]}
        for one, other in combinations(by_width[width], 2):
            pairs = torch.stack([shuffled[one][0], *shuffled[other]])
            assert float(torch.corrcoef(pairs)[0, 1:].max()) < 1 - 1e-6, (one, other)


def test_ranges_are_the_published_ones() -> None:
    assert EQUATIONS["I.12.1"].ranges == {"mu": (1, 5), "N": (1, 5)}
    assert EQUATIONS["I.15.3x"].ranges == {"x": (5, 10), "u": (1, 2), "c": (3, 20), "t": (1, 2)}
    assert EQUATIONS["I.26.2"].ranges == {"n": (0, 1), "theta": (1, 5)}
    assert EQUATIONS["II.24.17"].ranges == {"omega": (4, 6), "c": (1, 2), "d": (2, 4)}
    nine = EQUATIONS["I.9.18"].ranges
    assert {nine[name] for name in ("m1", "m2", "G", "x2", "y2", "z2")} == {(1, 2)}
    assert {nine[name] for name in ("x1", "y1", "z1")} == {(3, 4)}


# Tasks


def names(scenario: Scenario) -> list[str]:
    return [task.name for task in scenario.tasks]


def test_inputs_are_scaled_and_targets_standardised() -> None:
    """Undone by hand: q in [1, 5] is 3 + 2 x_1, C is 3 + 2 x_2."""
    (task,) = feynman(0, equations=("I.25.13",), samples=4000, test_samples=2000).tasks
    x, y = (part.double().numpy() for part in task.train)
    assert x.shape == (4000, 2)
    assert -1 <= x.min() < -0.99
    assert 0.99 < x.max() <= 1
    quotient = (3 + 2 * x[:, :1]) / (3 + 2 * x[:, 1:])
    mean, deviation = quotient.mean(), quotient.std()
    np.testing.assert_allclose(y, (quotient - mean) / deviation, atol=1e-5)
    fresh, answers = (part.double().numpy() for part in task.test)
    assert len(fresh) == 2000
    np.testing.assert_allclose(answers, ((3 + 2 * fresh[:, :1]) / (3 + 2 * fresh[:, 1:]) - mean) / deviation, atol=1e-5)
    # So 1 - RMSE^2 is R^2, up to the test samples' own variance.
    assert answers.std() == pytest.approx(1, abs=0.1)


def test_by_default_five_equations_of_two_variables() -> None:
    default = feynman(0)
    assert names(default) == ["I.6.2", "I.12.1", "I.14.4", "I.25.13", "I.26.2"]
    assert (default.inputs, default.outputs, default.setting) == (2, 1, "domain")
    assert default.domain == ((-1.0, 1.0),) * 2


def test_equations_are_chosen_by_number_of_variables() -> None:
    assert names(feynman(0, variables=4, tasks=3)) == ["I.8.14", "I.13.4", "I.15.3x"]
    assert names(feynman(0, tasks=2)) == ["I.6.2", "I.12.1"]
    assert names(feynman(0, variables=9, tasks=1)) == ["I.9.18"]


def test_fewer_variables_are_padded_with_noise_that_does_not_matter() -> None:
    small, large = feynman(0, equations=("I.14.4", "I.11.19"), samples=2000).tasks
    assert small.train[0].shape == large.train[0].shape == (2000, 6)
    x, y = (part.double() for part in small.train)
    spring = (3 + 2 * x[:, 0]) * (3 + 2 * x[:, 1]) ** 2
    assert float(torch.corrcoef(torch.stack([spring, y[:, 0]]))[0, 1]) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(x[:, 2:].std(0).numpy(), 2 / sqrt(12), rtol=0.06)
    assert float(torch.corrcoef(torch.cat([x[:, 2:], y], 1).T)[-1, :-1].abs().max()) < 0.08


def test_a_one_hot_tells_the_task() -> None:
    plain, told = feynman(0), feynman(0, task_input=True)
    assert told.domain == ((-1.0, 1.0),) * 2 + ((0.0, 1.0),) * 5
    for number, (task, other) in enumerate(zip(plain.tasks, told.tasks, strict=True)):
        for part in ("train", "test"):
            (x, y), (wide, same) = getattr(task, part), getattr(other, part)
            assert torch.equal(wide[:, :2], x)
            assert torch.equal(y, same)
            assert torch.equal(wide[:, 2:], torch.eye(5)[number].expand(len(x), 5))


def test_heads_of_their_own() -> None:
    plain, apart = feynman(0), feynman(0, setting="task")
    assert (apart.setting, apart.outputs) == ("task", 5)
    for number, (task, other) in enumerate(zip(plain.tasks, apart.tasks, strict=True)):
        assert other.active == (number,)
        for part in ("train", "test"):
            assert torch.equal(getattr(task, part)[0], getattr(other, part)[0])
            assert torch.equal(getattr(task, part)[1][:, 0], getattr(other, part)[1][:, number])


@pytest.mark.parametrize("way", ["[I.12.1,II.3.24]", '["I.12.1","II.3.24"]'])
def test_a_list_of_equations_is_read_from_the_command_line(way: str) -> None:
    spec = complete_scenario(parse_spec(f"feynman:equations={way},samples=9"))
    assert spec.options["equations"] == ["I.12.1", "II.3.24"]
    assert complete_scenario(parse_spec(spec.label)) == spec
    assert names(build_scenario(spec, 0)) == ["I.12.1", "II.3.24"]
    assert names(build_scenario(parse_spec("feynman:equations=I.12.1"), 0)) == ["I.12.1"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"equations": ("I.12.12",)}, "did you mean I.12.1"),
        ({"equations": ("E=mc2",)}, "there are: I.6.2a"),
        ({"equations": ("I.12.1", "I.12.1")}, "differ"),
        ({"equations": ("I.12.1",), "variables": 2}, "leave out variables and tasks"),
        ({"equations": ("I.12.1",), "tasks": 1}, "leave out variables and tasks"),
        ({"variables": 7}, "5 equations of 7 variables are asked for.*16 of 4"),
        ({"variables": 0}, "5 equations of 0 variables"),
        ({"variables": 9}, "1 of 9"),
        ({"tasks": 0}, "0 equations of 2"),
        ({"samples": 1}, "samples >= 2"),
        ({"test_samples": 0}, "test_samples >= 1"),
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        feynman(0, **wrong)
