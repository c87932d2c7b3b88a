"""Guards scenarios that train an operator of the network: what is refused, and what the runners make of the rest."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from kancl.errors import InputError
from scenarios import Scenario, Task, check_scenario
from scenarios.tools.differential import derivative, laplacian, variable


def slope_and_value(u: Any, x: Tensor) -> Tensor:
    """Two values for one output: u_x and u."""
    x = variable(x)
    y = u(x)
    return torch.cat([derivative(y, x, 0), y], -1)


def scenario(operator: Any = slope_and_value, **other: Any) -> Scenario:
    """u = x^2, one output, trained by u_x = 2 x and u = x^2."""
    x, fresh = torch.linspace(-1, 1, 9)[:, None], torch.linspace(-0.9, 0.9, 4)[:, None]
    task = Task("square", (x, torch.cat([2 * x, x**2], 1)), (fresh, fresh**2))
    return Scenario((task,), "mse", operator=operator, **other)


def faults(wrong: Scenario) -> str:
    with pytest.raises(InputError) as error:
        check_scenario(wrong, "mine")
    return str(error.value)


def test_it_passes_and_has_the_outputs_of_the_test_targets() -> None:
    good = scenario()
    assert check_scenario(good) is good
    assert good.outputs == 1


def test_training_targets_must_have_the_operators_columns() -> None:
    one_column = scenario(lambda u, x: slope_and_value(u, x)[..., :1])
    assert "(2, 9, 2)" in faults(one_column)
    assert "(2, 9, 1)" in faults(one_column)


def test_test_targets_must_have_the_networks_columns() -> None:
    wrong = scenario()
    (task,) = wrong.tasks
    x, _ = task.test
    wrong = replace(wrong, tasks=(Task("square", task.train, (x, torch.cat([x, x], 1))),), outputs=1)
    assert "(N, 1)" in faults(wrong)


@pytest.mark.parametrize(
    ("operator", "said"),
    [
        (lambda u, x: u(x).detach().expand(-1, -1, 2), "create_graph"),
        (lambda u, x: u(x[:, :, :0]).expand(-1, -1, 2), "failed"),
        (lambda u, x: None, "NoneType"),
        (lambda u, x: u(x)[:, :3].expand(-1, -1, 2), "(2, 3, 2)"),
        (lambda u, x: (u(x) / 0).expand(-1, -1, 2), "NaN or infinity"),
        (lambda u, x: (u(x) + u(x).mean(0, keepdim=True)).expand(-1, -1, 2), "another seed"),
    ],
    ids=["detached", "raises", "nothing", "too few", "infinite", "mixes seeds"],
)
def test_operators_that_cannot_be_trained_are_refused(operator: Any, said: str) -> None:
    assert said in faults(scenario(operator))


def test_only_squared_errors_of_shared_outputs_are_trained() -> None:
    x = torch.linspace(-1, 1, 9)[:, None]
    y = torch.arange(9) % 2
    classes = Scenario((Task("one", (x, y), (x + 3, y)),), "cross-entropy", operator=slope_and_value)
    assert "mse" in faults(classes)
    heads = scenario(setting="task")
    (task,) = heads.tasks
    assert "masks outputs" in faults(replace(heads, tasks=(Task("square", task.train, task.test, active=(0,)),)))


def test_a_later_task_of_another_form_is_found() -> None:
    good = scenario()
    (task,) = good.tasks
    x, y = task.train
    other = Task("other", (x + 10, y[:, :1]), (x + 20, y[:, :1]))
    assert "'other'" in faults(replace(good, tasks=(task, other)))


def test_an_operator_of_more_outputs_than_values() -> None:
    """Two outputs (u, v) on a plane, trained by one number: u_x + v_y."""
    x = torch.rand(12, 2, generator=torch.Generator().manual_seed(0))

    def divergence(u: Any, x: Tensor) -> Tensor:
        x = variable(x)
        y = u(x)
        return derivative(y, x, 0)[..., :1] + derivative(y, x, 1)[..., 1:]

    task = Task("flow", (x[:8], torch.zeros(8, 1)), (x[8:], torch.zeros(4, 2)))
    flow = Scenario((task,), "mse", operator=divergence)
    assert flow.outputs == 2
    assert check_scenario(flow) is flow
    both = Scenario((task,), "mse", operator=lambda u, x: laplacian(u(x := variable(x)), x)[..., :1])
    assert check_scenario(both) is both
