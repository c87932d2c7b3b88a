"""Guards the scientific claims about the paper's toy, at the sizes at which they are made, and what divergence leaves."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from kancl.metrics import METRICS
from kancl.models import Network, Problem, architectures
from runners.results.entry import Entry
from runners.training.networks import build_network

G, K = 200, 3
LEFT, RIGHT = -1.0, 1.0


def test_the_papers_kan_learns_every_task_and_keeps_it(tools: Any) -> None:
    """L-BFGS, 100 steps, as the scenario advises: an error of 1e-5 in each phase and, in the end, on every task."""
    cell = tools.make_cell("gaussian-peaks", "kan", seeds=2, evaluations=2)
    assert cell.policy.optimizer == "lbfgs"
    assert (cell.policy.steps, cell.policy.lr, cell.policy.batch_size, cell.policy.state) == (100, 1.0, "full", "reset")
    result = tools.train(cell).result
    assert result.parameters == 203
    R = np.median(result.R["rmse"], 0)
    assert R.shape == (6, 5)
    assert np.diagonal(R[1:]).max() <= 1e-5
    assert R[-1].max() <= 1e-5
    assert R[0].min() > 0.1


def test_an_mlp_of_the_same_size_learns_every_task_and_forgets(tools: Any) -> None:
    """About a third of the steps that the scenario advises are enough for either."""
    result = tools.train(tools.make_cell("gaussian-peaks", "mlp", seeds=2, evaluations=2, steps=1750)).result
    assert result.parameters == 207
    R = result.R["rmse"]
    assert np.diagonal(R[:, 1:], axis1=1, axis2=2).max() <= 0.02
    assert R[:, -1, 0].min() > 0.1
    assert R[:, -1, -1].max() <= 0.02


def idle_coefficients(x: np.ndarray) -> np.ndarray:
    """Which basis functions have no sample in their support [t_{c-K}, t_{c+1}], from the knots themselves, (C,)."""
    knots = LEFT + (np.arange(G + 2 * K + 1) - K) * (RIGHT - LEFT) / G
    low, high = knots[: G + K], knots[K + 1 :]
    slack = 1e-6  # a sample on a knot, up to float32's rounding, counts as seen
    inside = (x[:, None] >= low - slack) & (x[:, None] <= high + slack)
    return ~inside.any(0)


def trained_toy(tools: Any, **said: Any) -> tuple[list[torch.Tensor], list[np.ndarray]]:
    """The KAN's coefficients before the first and after every task, (S, C) each, and every task's idle coefficients."""
    cell = tools.make_cell("gaussian-peaks", "kan", seeds=2, steps=20, evaluations=2, **said)
    assert cell.architecture.options["base"] == "none"
    assert list(cell.architecture.options["hidden"]) == []
    stream = tools.stream_of(cell)
    initial = build_network(cell, stream).state_dict()
    coefficients = [weights["layers.0.coef"][:, 0, :, 0] for weights in [initial, *tools.train(cell).weights]]
    idle = [idle_coefficients(samples.x[0, :, 0].double().numpy()) for samples in stream.train]
    # A task covers a fifth of the range: 40 cells, hence 43 functions, and the neighbours that touch at a knot.
    assert all(155 <= mask.sum() <= 160 for mask in idle)
    return coefficients, idle


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "lbfgs", "adamw"])
def test_idle_coefficients_are_unchanged_to_the_bit(tools: Any, optimizer: str) -> None:
    coefficients, idle = trained_toy(tools, optimizer=optimizer, momentum=0.0, state="reset")
    for before, after, mask in zip(coefficients, coefficients[1:], idle, strict=False):
        assert torch.equal(before[:, mask], after[:, mask])
        assert not torch.equal(before[:, ~mask], after[:, ~mask])


@pytest.mark.parametrize(
    "said",
    [
        {"optimizer": "adam", "state": "keep"},
        {"optimizer": "sgd", "momentum": 0.9, "state": "keep"},
        {"optimizer": "adamw", "weight_decay": 0.1},
        {"optimizer": "adam", "weight_decay": 0.1},
    ],
    ids=["adam keeps its moments", "sgd keeps its momentum", "adamw decays", "adam decays"],
)
def test_idle_coefficients_move_when_the_option_says_so(tools: Any, said: dict[str, Any]) -> None:
    coefficients, idle = trained_toy(tools, **said)
    for before, after, mask in list(zip(coefficients, coefficients[1:], idle, strict=False))[1:]:
        assert not torch.equal(before[:, mask], after[:, mask])


def poisoned(problem: Problem, *, hidden: tuple[int, ...] = (6,)) -> Network:
    """The MLP, but seed 1 starts with NaN."""
    network = architectures.get("mlp")(problem, hidden=hidden, activation="tanh")
    with torch.no_grad():
        for place, seed in enumerate(problem.seeds):
            if seed == 1:
                network.layers[0].weight[place].fill_(torch.nan)
    return network


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("scenario", ["gaussian-peaks:tasks=2,samples=20", "split-digits:classes_per_task=5"])
def test_a_broken_seed_breaks_no_other(tools: Any, enrol: Callable[..., None], optimizer: str, scenario: str) -> None:
    enrol(architectures, "poisoned", poisoned)
    said = {"seeds": 3, "steps": 4, "optimizer": optimizer, "evaluations": 3}
    sound = tools.make_cell(scenario, "mlp:hidden=6,activation=tanh", **said)
    broken = tools.make_cell(scenario, "poisoned", **said)
    expected, result = tools.train(sound).result, tools.train(broken).result
    assert expected.diverged_at.tolist() == [-1, -1, -1]
    assert result.diverged_at.tolist() == [-1, 0, -1]
    for name, R in result.R.items():
        np.testing.assert_allclose(R[[0, 2]], expected.R[name][[0, 2]], rtol=1e-5)
        assert np.isnan(R[1]).all()
    alive = Entry(sound, expected, {}).metrics()
    for name, values in Entry(broken, result, {}).metrics().items():
        assert np.isnan(values[1]), name
        np.testing.assert_allclose(values[[0, 2]], alive[name][[0, 2]], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("architecture", ["kan", "mlp"])
def test_an_absurd_learning_rate_is_recorded_as_divergence(tools: Any, architecture: str) -> None:
    cell = tools.make_cell("gaussian-peaks", architecture, seeds=2, steps=60, optimizer="sgd", lr=1e12, evaluations=6)
    result = tools.train(cell).result
    assert (result.diverged_at > 0).all()
    first = result.diverged_at[0]
    assert np.isfinite(result.curves["rmse"][0, :first]).all()
    assert not np.isfinite(result.curves["rmse"][0, first]).all()
    for values in Entry(cell, result, {}).metrics().values():
        assert np.isnan(values).all()


def test_only_the_seed_that_diverges_late_is_lost(tools: Any, enrol: Callable[..., None]) -> None:
    """A seed that starts a million times too large overflows under a rate that the others bear."""

    def unlucky(problem: Problem) -> Network:
        network = architectures.get("mlp")(problem, hidden=(6,), activation="relu")
        with torch.no_grad():
            for place, seed in enumerate(problem.seeds):
                if seed == 2:
                    for layer in network.layers:
                        layer.weight[place] *= 1e6
        return network

    enrol(architectures, "unlucky", unlucky)
    cell = tools.make_cell("gaussian-peaks:tasks=2", "unlucky", seeds=4, steps=10, optimizer="sgd", lr=0.01, momentum=0.0)
    result = tools.train(cell).result
    assert (result.diverged_at >= 0).tolist() == [False, False, True, False]
    assert result.diverged_at[2] > 0
    metrics = Entry(cell, result, {}).metrics()
    assert set(metrics) == set(METRICS)
    assert [np.isfinite(value) for value in metrics["final_score"]] == [True, True, False, True]
