"""Guards training an operator of the network: the loop does what plain torch does, whatever the stack and the optimiser."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from kancl.errors import InputError
from kancl.options import Spec
from kancl.seeding import generator
from runners.config.policy import Policy
from runners.strategies import strategies
from runners.stream.stack import stack
from runners.training.graphs import GraphedLearner
from runners.training.learner import make_learner
from runners.training.networks import build_network
from runners.training.step_time import step_seconds
from runners.training.steps import Lesson, StackedLearner
from scenarios import Advice, Scenario, Task, scenarios
from scenarios.objectives import OBJECTIVES
from scenarios.tools.differential import laplacian, variable

ADVICE = Advice(architectures={"mlp": {"hidden": (5,), "activation": "tanh"}, "kan": {"hidden": (3,), "intervals": 3}})


def curvature(u: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Two values for one output: u_xx and 2 u."""
    x = variable(x)
    y = u(x)
    return torch.cat([laplacian(y, x), 2 * y], -1)


def curves(seed: int) -> Scenario:
    """u = sin(3 x) on two intervals, trained by u_xx = -9 u and the values."""
    random = generator(seed, "curves")

    def task(low: float) -> Task:
        x, fresh = (low + torch.rand(12, 1, generator=random) for _ in range(2))
        y = torch.sin(3 * x)
        return Task(f"from {low}", (x, torch.cat([-9 * y, 2 * y], 1)), (fresh, torch.sin(3 * fresh)))

    return Scenario((task(-1.0), task(0.0)), "mse", domain=((-1.0, 1.0),), operator=curvature, advice=ADVICE)


@pytest.fixture
def name(enrol: Callable[..., None]) -> str:
    enrol(scenarios, "curves-for-this-test", curves)
    return "curves-for-this-test"


def plain_loss(network: Any, x: Tensor, y: Tensor) -> Tensor:
    """Sum over seeds of the mean squared error, written without the library's derivatives."""
    x = x.clone().requires_grad_()
    u = network(x)
    (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(slope.sum(), x, create_graph=True)
    return (torch.cat([second, 2 * u], -1) - y).square().mean((1, 2)).sum()


@pytest.mark.parametrize("architecture", ["kan", "mlp"])
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "lbfgs"])
def test_it_is_what_a_plain_torch_loop_does(tools: Any, name: str, architecture: str, optimizer: str) -> None:
    lr = {"adam": 1e-2, "sgd": 1e-3, "lbfgs": 1.0}[optimizer]
    momentum = {"momentum": 0.5} if optimizer == "sgd" else {}
    said = {"optimizer": optimizer, "lr": lr, "steps": 6, "dtype": "float64", "evaluations": 2, **momentum}
    cell = tools.make_cell(name, architecture, seeds=(3,), **said)
    stream = stack(cell.scenario, cell.seeds, torch.float64)
    weights = tools.train(cell, stream).weights
    network = build_network(cell, stream)
    for number, samples in enumerate(stream.train):
        parameters = list(network.parameters())
        make: dict[str, Callable[..., Any]] = {
            "adam": partial(torch.optim.Adam, lr=lr),
            "sgd": partial(torch.optim.SGD, lr=lr, momentum=0.5),
            "lbfgs": partial(
                torch.optim.LBFGS, lr=lr, max_iter=1, max_eval=26, history_size=10, line_search_fn="strong_wolfe",
                tolerance_grad=0.0, tolerance_change=0.0,
            ),
        }  # fmt: skip
        plain = make[optimizer](parameters)

        def closure(plain: Any = plain, samples: Any = samples) -> Tensor:
            plain.zero_grad()
            loss = plain_loss(network, samples.x, samples.y)
            loss.backward()
            return loss

        for _ in range(6):
            plain.step(closure)
        for key, value in network.state_dict().items():
            torch.testing.assert_close(weights[number][key], value, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_pretraining_trains_the_operator_too(tools: Any, name: str, optimizer: str) -> None:
    before, first = (
        tools.train(tools.make_cell(text, "kan", optimizer=optimizer, steps=6, dtype="float64", evaluations=2)).result.R["rmse"]
        for text in (f"{name}:pretrain=1", name)
    )
    np.testing.assert_allclose(before[:, 0, 0], first[:, 1, 1], rtol=1e-9)  # task 2 after task 1


@pytest.mark.parametrize(
    ("scenario", "architecture"),
    [
        ("curves-for-this-test", "kan"),
        ("curves-for-this-test", "mlp"),
        ("curves-for-this-test", "kan-rbf:hidden=3"),
        ("poisson-windows:samples=8,edge_samples=6,tasks=2", "kan:hidden=3"),
        ("heat-windows:samples=8,edge_samples=6,tasks=2", "mlp"),
    ],
)
@pytest.mark.parametrize(
    "policy", [{"optimizer": "adam", "steps": 3, "batch_size": 7}, {"optimizer": "lbfgs", "steps": 2}], ids=["batches", "lbfgs"]
)
def test_a_seed_alone_equals_the_seed_in_a_stack(
    tools: Any, name: str, scenario: str, architecture: str, policy: dict[str, Any]
) -> None:
    cell = tools.make_cell(scenario, architecture, seeds=(0, 4, 2), dtype="float64", evaluations=2, **policy)
    together = tools.train(cell, stack(cell.scenario, cell.seeds, torch.float64))
    one = replace(cell, seeds=cell.seeds[-1:])
    alone = tools.train(one, stack(one.scenario, one.seeds, torch.float64))
    np.testing.assert_allclose(alone.result.R["rmse"][0], together.result.R["rmse"][-1], rtol=1e-6)
    for ours, theirs in zip(alone.weights, together.weights, strict=True):
        for key, value in ours.items():
            torch.testing.assert_close(value[0], theirs[key][-1], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("strategy", ["joint", "independent"])
def test_other_strategies_train_it_too(tools: Any, name: str, strategy: str) -> None:
    cell = tools.make_cell("poisson-windows:tasks=2,samples=40,edge_samples=40", "mlp", strategy, steps=100, optimizer="adam")
    result = tools.train(cell, stack(cell.scenario, cell.seeds)).result
    reached = result.R["rmse"][:, -1] if strategy == "joint" else np.diagonal(result.R["rmse"][:, 1:], axis1=1, axis2=2)
    assert (reached < 0.8 * result.null["rmse"]).all()


def test_scores_are_of_the_outputs_and_null_is_fitted_to_the_test_targets(tools: Any, name: str) -> None:
    cell = tools.make_cell(name, "mlp", steps=3, optimizer="adam")
    stream = stack(cell.scenario, cell.seeds)
    trained = tools.train(cell, stream)
    network = build_network(cell, stream)
    network.load_state_dict(trained.weights[-1])
    for number, samples in enumerate(stream.test):
        y = samples.y.double().numpy()
        np.testing.assert_allclose(stream.null["rmse"][:, number], y.std(axis=(1, 2)), rtol=1e-5)
        error = (network(samples.x) - samples.y).detach().double().square().mean((1, 2)).sqrt()
        np.testing.assert_allclose(trained.result.R["rmse"][:, -1, number], error.numpy(), rtol=1e-5)


def test_the_locality_record_takes_the_losses_of_the_outputs_and_changes_nothing(tools: Any, name: str) -> None:
    plain = tools.make_cell(name, "kan", steps=20, optimizer="adam", lr=0.02)
    watched = replace(plain, locality=True)
    stream = stack(plain.scenario, plain.seeds)
    one, other = tools.train(plain, stream), tools.train(watched, stream)
    np.testing.assert_array_equal(one.result.R["rmse"], other.result.R["rmse"])
    record = other.result.locality
    R = other.result.R["rmse"]
    np.testing.assert_allclose(record.loss_now[:, 1, 0], R[:, 2, 0] ** 2, rtol=1e-4)
    np.testing.assert_allclose(record.loss_then[:, 1, 0], R[:, 1, 0] ** 2, rtol=1e-4)


def test_networks_that_a_pure_operator_does_not_depend_on_stay_as_they_are(tools: Any, enrol: Callable[..., None]) -> None:
    def bent(u: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        x = variable(x)
        y = laplacian(u(x), x)
        return torch.cat([y, y], -1)

    enrol(scenarios, "bent-for-this-test", lambda seed: replace(curves(seed), operator=bent))
    for policy in ({"optimizer": "adam"}, {"optimizer": "adam", "clip": 1.0}, {"optimizer": "lbfgs"}):
        cell = tools.make_cell("bent-for-this-test", "linear", steps=2, **policy)
        weights = tools.train(cell, stack(cell.scenario, cell.seeds)).weights
        initial = build_network(cell, stack(cell.scenario, cell.seeds)).state_dict()
        assert all(torch.equal(weights[-1][key], value) for key, value in initial.items())


def test_the_operator_must_be_the_same_for_all_seeds(enrol: Callable[..., None]) -> None:
    def scaled(seed: int) -> Scenario:
        return replace(curves(seed), operator=lambda u, x: (seed + 1) * curvature(u, x))

    def sometimes(seed: int) -> Scenario:
        made = curves(seed)
        values = tuple(Task(t.name, (t.train[0], t.train[1][:, :1]), t.test) for t in made.tasks)
        return replace(made, tasks=values, operator=None if seed else lambda u, x: curvature(u, x)[..., :1])

    built: list[int] = []

    def restless(seed: int) -> Scenario:
        built.append(seed)
        factor = len(built)
        return replace(curves(seed), operator=lambda u, x: factor * curvature(u, x))

    enrol(scenarios, "restless-for-this-test", restless)
    with pytest.raises(InputError, match="built again"):
        stack(Spec("restless-for-this-test"), (0,))
    enrol(scenarios, "scaled-for-this-test", scaled)
    enrol(scenarios, "sometimes-for-this-test", sometimes)
    with pytest.raises(InputError, match="one operator"):
        stack(Spec("scaled-for-this-test"), (0, 1))
    with pytest.raises(InputError, match="agree in all but their samples"):
        stack(Spec("sometimes-for-this-test"), (0, 1))


def test_steps_with_an_operator_are_not_recorded() -> None:
    class OnGpu(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def parameters(self, recurse: bool = True) -> Iterator[Any]:
            yield type("Parameter", (), {"is_cuda": True})

    lesson = Lesson(OnGpu(), Policy(steps=1), OBJECTIVES["mse"], strategies.get("naive")())  # type: ignore[arg-type]
    assert type(make_learner(replace(lesson, operator=curvature), {})) is StackedLearner
    assert type(make_learner(lesson, {})) is GraphedLearner


def test_steps_are_timed_with_the_operator(tools: Any, name: str) -> None:
    cell = tools.make_cell("poisson-windows", "kan", steps=5, optimizer="adam")
    plain = tools.make_cell("poisson-windows:supervised=true", "kan", steps=5, optimizer="adam")
    trained, told = (step_seconds([c], stack(c.scenario, c.seeds), rounds=3)[0] for c in (cell, plain))
    assert trained > 1.5 * told
