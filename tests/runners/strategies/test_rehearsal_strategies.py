"""Guards replay, der++, agem, lwf, cumulative and packnet: that they help where they must, and refuse what they cannot do."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kancl.errors import InputError
from kancl.seeding import generator
from runners.strategies import strategies
from runners.training.networks import build_network
from scenarios import scenarios
from scenarios.task import Scenario, Task

RESULTS: dict[str, Any] = {}
"""What was trained, by its configuration: naive is the yardstick of many tests."""


def trained(tools: Any, scenario: str, architecture: str, strategy: str, **said: Any) -> Any:
    """A trained cell."""
    cell = tools.make_cell(scenario, architecture, strategy, evaluations=2, **said)
    if cell.key not in RESULTS:
        RESULTS[cell.key] = tools.train(cell)
    return RESULTS[cell.key]


def final(tools: Any, scenario: str, architecture: str, strategy: str, **said: Any) -> tuple[Any, Any]:
    """The main score of all tasks at the end, and of each right after it was learned, mean over tasks: (S,) each."""
    R = next(iter(trained(tools, scenario, architecture, strategy, **said).result.R.values()))
    return R[:, -1].mean(1), R[:, range(1, R.shape[1]), range(R.shape[2])].mean(1)


# They help.

DIGITS: dict[str, Any] = {"optimizer": "adam", "lr": 2e-3, "epochs": 5, "batch_size": 32, "seeds": 2}
KAN = "kan:hidden=8"
REHEARSAL = ("replay", "replay:balance=balanced", "replay:memory=50", "der++", "agem", "cumulative")


@pytest.mark.parametrize("strategy", REHEARSAL)
def test_classes_without_heads_are_kept_where_naive_knows_the_last_task_alone(tools: Any, strategy: str) -> None:
    naive, _ = final(tools, "split-digits:setting=class", KAN, "naive", **DIGITS)
    kept, learned = final(tools, "split-digits:setting=class", KAN, strategy, **DIGITS)
    assert (naive < 0.25).all()
    assert (kept > naive + 0.3).all(), (kept, naive)
    assert (learned > 0.6).all()


@pytest.mark.parametrize("strategy", ["replay", "der++", "agem", "lwf", "cumulative", "packnet"])
def test_classes_of_heads_are_kept_better_than_by_naive(tools: Any, strategy: str) -> None:
    naive, _ = final(tools, "split-digits:setting=task", KAN, "naive", **DIGITS)
    kept, learned = final(tools, "split-digits:setting=task", KAN, strategy, **DIGITS)
    assert kept.mean() > naive.mean() + 0.03, (kept, naive)
    assert (learned > 0.9).all()


def curves(seed: int) -> Scenario:
    """Three curves over the same inputs, each on an output of its own: what they share is the hidden layer."""
    random, tasks = generator(seed, "curves"), []
    functions = (lambda x: torch.sin(4 * x), lambda x: torch.cos(5 * x), lambda x: 2 * x.abs() - 1)
    for place, function in enumerate(functions):
        x = 2 * torch.rand(60, 1, generator=random) - 1
        y = torch.zeros(60, 3)
        y[:, place] = function(x[:, 0])
        tasks.append(Task(f"curve {place}", (x, y), (x, y), active=(place,)))
    return Scenario(tuple(tasks), "mse", 3, "task", domain=((-1.0, 1.0),), test_is_train=True)


CURVES: dict[str, Any] = {"optimizer": "adam", "lr": 0.02, "seeds": 2}
STEPS = {"kan": 200, "mlp": 300}
NETWORKS = {"kan": "kan:hidden=4,intervals=6,base=silu", "mlp": "mlp:hidden=16,activation=tanh"}


KEPT = {"replay": 0.1, "der++": 0.1, "agem": 0.7, "lwf": 0.15, "cumulative": 0.1, "packnet:freed=0.5": 0.8}
"""Shares of naive's error."""


@pytest.mark.parametrize(
    ("network", "strategy", "share"),
    [*(("kan", *kept) for kept in KEPT.items()), ("mlp", "lwf", 0.15)],
)
def test_numbers_of_heads_are_kept_at_a_share_of_the_error_of_naive(
    tools: Any, enrol: Callable[..., None], network: str, strategy: str, share: float
) -> None:
    enrol(scenarios, "curves", curves)
    naive, _ = final(tools, "curves", NETWORKS[network], "naive", steps=STEPS[network], **CURVES)
    kept, _ = final(tools, "curves", NETWORKS[network], strategy, steps=STEPS[network], **CURVES)
    assert (kept < share * naive).all(), (kept, naive)


@pytest.mark.parametrize("strategy", ["replay", "der++", "cumulative"])
def test_numbers_without_heads_are_kept_at_a_tenth_of_the_error_of_naive(tools: Any, strategy: str) -> None:
    said = {"optimizer": "adam", "lr": 0.02, "steps": 150, "seeds": 2}
    naive, _ = final(tools, "gaussian-peaks:tasks=3", "kan:base=silu", "naive", **said)
    kept, _ = final(tools, "gaussian-peaks:tasks=3", "kan:base=silu", strategy, **said)
    assert (kept < 0.1 * naive).all(), (kept, naive)


@pytest.mark.parametrize(("strategy", "share"), [("replay:replayed=all", 0.25), ("der++:replayed=all", 0.25), ("lwf", 0.35)])
def test_losses_serve_lbfgs(tools: Any, enrol: Callable[..., None], strategy: str, share: float) -> None:
    enrol(scenarios, "curves", curves)
    said = {"optimizer": "lbfgs", "lr": 1.0, "steps": 20, "dtype": "float64", "seeds": 2}
    naive, _ = final(tools, "curves", NETWORKS["kan"], "naive", **said)
    kept, _ = final(tools, "curves", NETWORKS["kan"], strategy, **said)
    assert (kept < share * naive).all(), (kept, naive)


# Cumulative.


def test_cumulative_sees_all_tasks_so_far_in_as_many_steps_as_naive(tools: Any) -> None:
    strategy = strategies.get("cumulative")()
    assert [list(strategy.data_of(phase, 3)) for phase in range(3)] == [[0], [0, 1], [0, 1, 2]]
    said = {**DIGITS, "epochs": 1}
    naive, ours = (trained(tools, "split-digits", KAN, name, **said) for name in ("naive", "cumulative"))
    assert naive.result.steps == ours.result.steps
    np.testing.assert_array_equal(naive.result.curve_step, ours.result.curve_step)
    for name, R in naive.result.R.items():  # the first phase has the same data
        np.testing.assert_array_equal(R[:, :2], ours.result.R[name][:, :2])


# PackNet.

ERODING: dict[str, Any] = {"optimizer": "adamw", "lr": 0.02, "weight_decay": 0.1, "clip": 1.0, "steps": 60, "seeds": 2}
MOMENTUM: dict[str, Any] = {"optimizer": "sgd", "lr": 0.02, "momentum": 0.9, "state": "keep", "steps": 60, "seeds": 2}


@pytest.mark.parametrize("said", [ERODING, MOMENTUM], ids=["decay", "kept momentum"])
@pytest.mark.parametrize("strategy", ["packnet", "packnet:rest=initial,retrain=0", "packnet:freed=0.5,importance=mass"])
def test_packnet_keeps_what_tasks_own_to_the_bit(
    tools: Any, enrol: Callable[..., None], strategy: str, said: dict[str, Any]
) -> None:
    enrol(scenarios, "curves", curves)
    run = trained(tools, "curves", NETWORKS["kan"], strategy, **said)
    for task in range(3):
        for name, owner in ((key.removeprefix("owner/"), t) for key, t in run.states[task].items() if key.startswith("owner/")):
            own = owner > 0
            assert bool((owner == task + 1).any())
            assert torch.equal(run.weights[task][name][~own], run.states[task][f"rest/{name}"][~own])
            for weights, state in zip(run.weights[task:], run.states[task:], strict=True):
                assert torch.equal(weights[name][own], run.weights[task][name][own])
                assert torch.equal(state[f"owner/{name}"][own], owner[own])
    R = run.result.R["rmse"]
    for task in range(3):  # up to rounding: another number of samples goes through the network at once
        np.testing.assert_allclose(R[:, task + 1 :, task], R[:, task + 1, task, None].repeat(3 - task, 1), rtol=1e-5)


def test_packnet_answers_for_an_old_task_with_the_network_of_its_end(tools: Any, enrol: Callable[..., None]) -> None:
    enrol(scenarios, "curves", curves)
    cell = tools.make_cell("curves", NETWORKS["mlp"], "packnet", evaluations=2, **ERODING)
    run, strategy = tools.train(cell), strategies.get("packnet")()
    network = build_network(cell, tools.stream_of(cell))
    network.load_state_dict(run.weights[2])
    state = {**run.states[2], "task": torch.full((2,), 3)}  # as it is while the third task is learned
    for task in (0, 1):
        found = strategy.parameters_for(state, network, task)
        assert found.keys() == run.weights[task].keys()
        assert all(torch.equal(tensor, run.weights[task][name]) for name, tensor in found.items())
        assert any(not torch.equal(tensor, run.weights[2][name]) for name, tensor in found.items())
    assert strategy.parameters_for(state, network, 2) is None
    assert strategy.parameters_for(run.states[2], network, 0) is None  # between tasks nobody asks


def test_packnet_gives_each_task_its_share_of_what_it_trained(tools: Any) -> None:
    """Of inputs that are always 0, and of other heads, nothing is trained, so nothing is owned."""
    said = {**DIGITS, "epochs": 2, "seeds": 3}
    run = trained(tools, "split-digits:setting=task", "mlp:hidden=12,activation=tanh", "packnet:freed=0.6", **said)
    for task, state in enumerate(run.states, 1):
        heads = (state["owner/layers.1.weight"] == task).sum(1)  # (S, O), of 12 weights each
        others = [unit for unit in range(10) if unit // 2 != task - 1]
        assert heads.sum(1).tolist() == [10, 10, 10]  # 0.4 x 24, rounded up: no earlier task has trained them
        assert not heads[:, others].any()
        owned = (state["owner/layers.0.bias"] > 0).sum((1, 2))
        assert owned.tolist() == [[5, 8, 10, 11, 12][task - 1]] * 3  # 0.4 of what is left, rounded up
    dark = (tools.stream_of(tools.make_cell("split-digits", "mlp", steps=1, optimizer="adam", seeds=3)).train[0].x == 0).all(1)
    assert dark.any()
    assert not run.states[0]["owner/layers.0.weight"][dark].any()


def test_packnet_retrains_what_is_left(tools: Any, enrol: Callable[..., None]) -> None:
    """Without it the task ends as pruning leaves it."""
    enrol(scenarios, "curves", curves)
    _, without = final(tools, "curves", NETWORKS["kan"], "packnet:freed=0.5,retrain=0", steps=200, **CURVES)
    _, with_it = final(tools, "curves", NETWORKS["kan"], "packnet:freed=0.5", steps=200, **CURVES)
    assert (with_it < 0.5 * without).all(), (with_it, without)


# Refusals, and names.


@pytest.mark.parametrize(
    ("text", "says"),
    [
        *((f"{name}:memory=-1", "memory must be a number of samples >= 0, got -1") for name in ("replay", "der++", "agem")),
        *((f"{name}:replayed=0", "replayed must be at least 1, batch or all, got 0") for name in ("replay", "der++", "agem")),
        ("replay:replayed=some", "replayed expects"),
        ("replay:balance=ring", "balance expects"),
        ("der++:alpha=-1", "alpha must be a number >= 0, got -1"),
        ("der++:beta=-0.1", "beta must be a number >= 0, got -0.1"),
        ("lwf:strength=-1", "strength must be a number >= 0, got -1"),
        ("lwf:temperature=0", "temperature must be > 0, got 0"),
        ("packnet:freed=1", "freed must be a share >= 0 and below 1, got 1"),
        ("packnet:retrain=-0.5", "retrain must be a share >= 0 and below 1, got -0.5"),
    ],
)
def test_options_out_of_range_are_refused_with_the_number(tools: Any, text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        tools.make_cell("split-digits:setting=task", "kan", text, optimizer="adam", steps=1)


@pytest.mark.parametrize(
    ("scenario", "architecture", "strategy", "said", "says"),
    [
        ("gaussian-peaks", "kan", "packnet", {"optimizer": "adam"}, "needs setting=task"),
        ("split-digits:setting=class", "mlp", "packnet", {"optimizer": "adam"}, "setting is class; it needs setting=task"),
        ("split-digits:setting=task", "mlp", "packnet", {"optimizer": "adam", "locality": "on"}, "leave --locality out"),
        ("split-digits:setting=task", "mlp", "packnet:importance=mass", {"optimizer": "adam"}, "local basis functions"),
        ("split-digits:setting=task", "kan:grid=refine", "packnet", {"optimizer": "adam"}, "other ones at every task"),
        ("split-digits:setting=task", "mlp", "packnet", {"optimizer": "lbfgs", "batch_size": "full"}, "lbfgs"),
        ("gaussian-peaks", "kan", "agem", {"optimizer": "lbfgs"}, "lbfgs"),
        ("gaussian-peaks", "kan", "replay", {"optimizer": "lbfgs"}, "use replayed=all, or another optimizer"),
        ("gaussian-peaks", "kan", "der++:replayed=20", {"optimizer": "lbfgs"}, "replayed=20 draws others each time"),
    ],
)
def test_what_cannot_work_is_refused_with_the_reason(
    tools: Any, scenario: str, architecture: str, strategy: str, said: dict[str, Any], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        tools.make_cell(scenario, architecture, strategy, steps=1, **said)


@pytest.mark.parametrize("strategy", ["replay", "der++", "lwf", "cumulative"])
@pytest.mark.parametrize("grid", ["each-task", "refine"])
def test_what_keeps_functions_serves_networks_whose_grid_moves(tools: Any, strategy: str, grid: str) -> None:
    said = {"optimizer": "adam", "lr": 0.01, "steps": 5, "seeds": 2}
    scenario, kan = "gaussian-peaks:tasks=3", f"kan:intervals=10,hidden=3,grid={grid}"
    run = trained(tools, scenario, kan, strategy, **said)
    assert all(bool(tensor.isfinite().all()) for tensor in run.weights[-1].values())
    naive = trained(tools, scenario, kan, "naive", **said)
    assert not np.array_equal(run.result.R["rmse"], naive.result.R["rmse"])


def test_der_has_its_name_on_the_command_line_and_in_the_store(kancl: Callable[..., Any], tmp_path: Path) -> None:
    command = (
        "run", "gaussian-peaks:tasks=2,samples=8", "--architectures", "mlp:hidden=3", "--strategies", "der++:memory=6",
        "--optimizer", "adam", "--steps", "3", "--seeds", "2", "--evaluations", "2", "--out", tmp_path / "runs",
    )  # fmt: skip
    ended = kancl(*command)
    assert ended.code == 0, ended.err
    assert "der++:memory=6" in ended.out
    (folder,) = (tmp_path / "runs" / "cells").iterdir()
    assert folder.name.startswith("gaussian-peaks--mlp--der__--")
    again = kancl(*command)
    assert again.code == 0, again.err
    assert "stored" in again.out + again.err


def test_a_memory_larger_than_the_past_holds_all_of_it(tools: Any) -> None:
    said = {"optimizer": "adam", "steps": 2, "seeds": 2}
    small, large = (
        trained(tools, "gaussian-peaks:tasks=3,samples=10", "kan", f"replay:memory={memory}", **said) for memory in (7, 1000)
    )
    assert [state["memory/x"].shape[1] for state in small.states] == [7, 7, 7]
    assert [state["memory/x"].shape[1] for state in large.states] == [10, 20, 30]


def test_the_seed_decides_what_is_kept_and_drawn(tools: Any) -> None:
    """Not the stack, and not the other seeds: the memory of a seed alone is that in the stack, to the bit."""
    said = {"optimizer": "adam", "steps": 2, "evaluations": 2}
    cell = tools.make_cell("split-digits", "mlp:hidden=3", "replay:memory=20", seeds=(4, 1, 7), **said)
    stacked, alone = tools.train(cell).states[-1], tools.train(replace(cell, seeds=(7,))).states[-1]
    for name, tensor in stacked.items():
        assert torch.equal(tensor[2:], alone[name]), name
    assert not torch.equal(stacked["memory/tag"][0], stacked["memory/tag"][1])
