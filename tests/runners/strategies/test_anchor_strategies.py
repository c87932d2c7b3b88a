"""Guards the strategies that hold parameters in place: that they help where they must, and refuse what they cannot do."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from kancl.errors import InputError
from kancl.seeding import generator
from runners.strategies import strategies
from scenarios import scenarios
from scenarios.task import Scenario, Task

PENALTIES = ("ewc", "mas", "knot-anchor")


RESULTS: dict[str, Any] = {}
"""What was run, by its configuration: naive is the yardstick of many tests."""


def result_of(tools: Any, scenario: str, architecture: str, strategy: str, **said: Any) -> Any:
    """A cell's result."""
    cell = tools.make_cell(scenario, architecture, strategy, evaluations=2, **said)
    if cell.key not in RESULTS:
        RESULTS[cell.key] = tools.train(cell).result
    return RESULTS[cell.key]


def final(tools: Any, scenario: str, architecture: str, strategy: str, **said: Any) -> tuple[Any, Any]:
    """The main score of all tasks at the end, and of each right after it was learned, mean over tasks: (S,) each."""
    R = next(iter(result_of(tools, scenario, architecture, strategy, **said).R.values()))
    return R[:, -1].mean(1), R[:, range(1, R.shape[1]), range(R.shape[2])].mean(1)


def sides(seed: int, classes: bool = False) -> Scenario:
    """A curve on the left, then one on the right and higher up; or two classes on the left, then one on the right.

    Splines could learn the right and leave the left alone, but the base branch and the bias, which are global, are quicker.
    """
    random, tasks = generator(seed, "sides"), []
    for name, low, height in (("left", -1.0, 0.0), ("right", 0.2, 2.0)):
        x = low + 0.8 * torch.rand(60, 1, generator=random)
        y = ((torch.sin(8 * x) > 0) | (x > 0)).long()[:, 0] if classes else torch.sin(8 * x) + height
        tasks.append(Task(name, (x, y), (x, y)))
    loss: Any = "cross-entropy" if classes else "mse"
    return Scenario(tuple(tasks), loss, 2 if classes else 1, domain=((-1.0, 1.0),), test_is_train=True)


EDGES = "kan:hidden=[],base=silu,bias=true,intervals=20"
QUICK: dict[str, Any] = {"optimizer": "adam", "lr": 0.05, "steps": 200, "seeds": 3}
HELPS = {
    "ewc": "ewc",
    "ewc sampled": "ewc:fisher=sampled",
    "ewc online": "ewc:mode=online,gamma=0.9",
    "ewc of some samples": "ewc:samples=10",
    "si": "si:strength=10",
    "mas": "mas:strength=3",
    "knot-anchor": "knot-anchor",
    "knot-anchor with information": "knot-anchor:strength=100,weight=mass-fisher",
}


@pytest.mark.parametrize("strategy", HELPS.values(), ids=HELPS)
def test_numbers_are_kept_at_a_tenth_of_the_error_of_naive(tools: Any, enrol: Callable[..., None], strategy: str) -> None:
    enrol(scenarios, "sides", sides)
    naive, _ = final(tools, "sides", EDGES, "naive", **QUICK)
    kept, learned = final(tools, "sides", EDGES, strategy, **QUICK)
    assert (kept < 0.1 * naive).all(), (kept, naive)
    assert (learned < 0.05).all()  # and not by learning nothing: the best constant has 0.6


@pytest.mark.parametrize(
    "strategy", ["ewc:strength=1000,fisher=empirical", "ewc", "si:strength=10", "mas:strength=3", "knot-anchor"]
)
def test_classes_are_kept_at_a_third_of_the_loss_of_naive(tools: Any, enrol: Callable[..., None], strategy: str) -> None:
    enrol(scenarios, "sides", sides)
    lost = {}
    for name in ("naive", strategy):
        result = result_of(tools, "sides:classes=true", EDGES, name, **QUICK)
        lost[name] = result.R["cross-entropy"][:, 2, 0] - result.R["cross-entropy"][:, 1, 0]
        assert (result.R["accuracy"][:, 2, 1] > 0.95).all()
    assert (lost[strategy] < lost["naive"] / 3).all(), lost


def test_classes_of_heads_are_kept_better_than_by_naive(tools: Any) -> None:
    said = {"optimizer": "adam", "lr": 1e-3, "epochs": 10, "batch_size": 32, "seeds": 2}
    naive, _ = final(tools, "split-digits:setting=task", "kan", "naive", **said)
    kept, learned = final(tools, "split-digits:setting=task", "kan", "ewc", **said)
    assert kept.mean() > naive.mean() + 0.015, (kept, naive)
    assert (learned > 0.95).all()


@pytest.mark.parametrize("strategy", ["ewc", "mas:strength=10", "knot-anchor:strength=10"])
def test_penalties_serve_lbfgs(tools: Any, enrol: Callable[..., None], strategy: str) -> None:
    enrol(scenarios, "sides", sides)
    said = {"optimizer": "lbfgs", "lr": 1.0, "steps": 40, "dtype": "float64", "seeds": 2}
    naive, _ = final(tools, "sides", EDGES, "naive", **said)
    kept, learned = final(tools, "sides", EDGES, strategy, **said)
    assert (kept < 0.2 * naive).all(), (kept, naive)
    assert (learned < 0.05).all()


def killing(seed: int) -> Scenario:
    """A constant so low that the first steps drive all ReLU units to 0 for good, then a curve that needs them."""
    x = torch.linspace(-1, 1, 32)[:, None]
    low, kink = torch.full_like(x, -30.0), x.abs()
    return Scenario((Task("low", (x, low), (x, low)), Task("kink", (x, kink), (x, kink))), "mse", test_is_train=True)


def test_l2_init_keeps_a_network_able_to_learn(tools: Any, enrol: Callable[..., None]) -> None:
    enrol(scenarios, "killing", killing)
    said = {"optimizer": "sgd", "lr": 0.1, "momentum": 0.0, "steps": 500, "seeds": 3}
    learned = [
        result_of(tools, "killing", "mlp:hidden=16", strategy, **said).R["rmse"][:, 2, 1]
        for strategy in ("naive", "l2-init:strength=0.05")
    ]
    assert (learned[0] > 0.29).all(), "the best constant's error: no unit is left"
    assert (learned[1] < 0.5 * learned[0]).all(), learned


def test_l2_init_pulls_each_seed_to_its_own_initial_weights(tools: Any) -> None:
    """With a pull that outweighs the loss, and as many steps as it takes, a network is where it began."""
    said = {"optimizer": "sgd", "lr": 1e-7, "momentum": 0.0, "steps": 60, "dtype": "float64", "evaluations": 2}
    cell = tools.make_cell("gaussian-peaks:tasks=2", "mlp:hidden=4", "l2-init:strength=1e6", **said)
    trained = tools.train(cell)
    for name, tensor in trained.weights[0].items():
        assert torch.allclose(tensor, trained.states[0][f"anchor/{name}"], atol=1e-5)
        assert torch.equal(trained.states[0][f"anchor/{name}"], trained.states[1][f"anchor/{name}"])


# Lazy.

ERODING: dict[str, Any] = {"optimizer": "adamw", "lr": 1e-2, "weight_decay": 0.1, "steps": 200, "seeds": 2}
KEPT: dict[str, Any] = {"optimizer": "sgd", "lr": 1.0, "momentum": 0.99, "state": "keep", "steps": 300, "seeds": 2}


@pytest.mark.parametrize("said", [ERODING, KEPT], ids=["decay", "kept momentum"])
def test_lazy_keeps_what_decay_and_kept_momentum_move(tools: Any, said: dict[str, Any]) -> None:
    naive, _ = final(tools, "gaussian-peaks", "kan", "naive", **said)
    kept, learned = final(tools, "gaussian-peaks", "kan", "lazy", **said)
    assert (kept < 0.3 * naive).all(), (kept, naive)
    assert (learned < 0.1).all()


@pytest.mark.parametrize("threshold", [0.0, 0.3])
def test_lazy_freezes_to_the_bit_what_the_definition_says(tools: Any, threshold: float) -> None:
    cell = tools.make_cell("gaussian-peaks", "kan", f"lazy:threshold={threshold}", evaluations=2, **{**ERODING, "steps": 20})
    trained = tools.train(cell)
    frozen_ones = 0
    for phase in range(1, 5):
        before, after = trained.weights[phase - 1]["layers.0.coef"], trained.weights[phase]["layers.0.coef"]
        old, all_ = trained.states[phase - 1]["mass/layers.0.coef"], trained.states[phase]["mass/layers.0.coef"]
        # One layer: its inputs do not move, so the new task's mass shows where it is the larger one.
        present = _mass(tools, cell, phase)
        torch.testing.assert_close(torch.maximum(old, present), all_)
        frozen = (old > 0) & (present <= threshold * old)
        frozen_ones += int(frozen.sum())
        assert torch.equal(before[frozen.expand_as(before)], after[frozen.expand_as(after)])
        assert (before[~frozen.expand_as(before)] != after[~frozen.expand_as(after)]).all()
    assert frozen_ones > 0


def _mass(tools: Any, cell: Any, phase: int) -> torch.Tensor:
    from runners.strategies.tools.local_bases import masses
    from runners.training.networks import build_network

    stream = tools.stream_of(cell)
    return masses(build_network(cell, stream), stream.train[phase].x)["layers.0.coef"]


def test_a_larger_threshold_freezes_more(tools: Any) -> None:
    counts = []
    for threshold in (0.0, 0.3, 1.0):
        cell = tools.make_cell(
            "gaussian-peaks:shift=0.1,width=0.3",
            "kan",
            f"lazy:threshold={threshold}",
            evaluations=2,
            **{**ERODING, "steps": 20},
        )
        weights = tools.train(cell).weights
        counts.append(int((weights[0]["layers.0.coef"] == weights[1]["layers.0.coef"]).sum()))
    assert counts[0] < counts[1] < counts[2]


# Refusals.


@pytest.mark.parametrize("strategy", ["ewc", "si", "mas", "l2-init", "knot-anchor", "lazy"])
@pytest.mark.parametrize(("grid", "says"), [("refine", "other ones at every task"), ("each-task", "another basis")])
def test_networks_whose_parameters_change_their_meaning_are_refused(tools: Any, strategy: str, grid: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        tools.make_cell("gaussian-peaks", f"kan:intervals=8,grid={grid}", strategy, optimizer="adam", steps=1)


@pytest.mark.parametrize("strategy", ["ewc", "si", "mas", "l2-init", "knot-anchor", "lazy"])
def test_a_grid_that_moves_once_is_no_hindrance(tools: Any, strategy: str) -> None:
    said = {"optimizer": "adam", "steps": 2, "evaluations": 2}
    trained = tools.train(tools.make_cell("gaussian-peaks:tasks=2", "kan:intervals=8,grid=first-task", strategy, **said))
    assert all(tensor.isfinite().all() for tensor in trained.weights[-1].values())


@pytest.mark.parametrize("strategy", ["knot-anchor", "lazy"])
@pytest.mark.parametrize("architecture", ["mlp", "kan-fourier", "kan-chebyshev", "linear"])
def test_networks_without_local_bases_are_refused(tools: Any, strategy: str, architecture: str) -> None:
    with pytest.raises(InputError, match="local basis functions"):
        tools.make_cell("gaussian-peaks", architecture, strategy, optimizer="adam", steps=1)


@pytest.mark.parametrize("strategy", ["si", "lazy"])
def test_what_changes_gradients_is_refused_under_lbfgs(tools: Any, strategy: str) -> None:
    with pytest.raises(InputError, match="lbfgs"):
        tools.make_cell("gaussian-peaks", "kan", strategy, optimizer="lbfgs", steps=1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        *((f"{name}:strength=-0.5", "strength must be a number >= 0, got -0.5") for name in (*PENALTIES, "si", "l2-init")),
        ("ewc:mode=online,gamma=1.5", "gamma must be in 0..1, got 1.5"),
        ("ewc:gamma=0.5", "gamma is for mode=online"),
        ("ewc:samples=0", "samples must be at least 1, got 0"),
        ("mas:samples=-2", "samples must be at least 1, got -2"),
        ("si:xi=0", "xi must be > 0, got 0"),
        ("lazy:threshold=-1", "threshold must be a number >= 0, got -1"),
        ("ewc:fisher=diagonal", "fisher expects"),
        ("knot-anchor:others=frozen", "others expects"),
    ],
)
def test_options_out_of_range_are_refused_with_the_number(tools: Any, text: str, says: str) -> None:
    with pytest.raises(InputError, match=says.replace("..", r"\.\.")):
        tools.make_cell("gaussian-peaks", "kan", text, optimizer="adam", steps=1)


def test_others_are_free_or_held(tools: Any) -> None:
    said = {"optimizer": "adam", "lr": 1e-2, "steps": 20, "evaluations": 2}
    cells = {
        others: tools.make_cell("gaussian-peaks:tasks=2", "kan:base=silu,bias=true", f"knot-anchor:others={others}", **said)
        for others in ("anchored", "free")
    }
    held = {
        others: {key for key in tools.train(cell).states[-1] if key.startswith("importance/")} for others, cell in cells.items()
    }
    assert held["free"] == {"importance/layers.0.coef"}
    assert held["anchored"] == {f"importance/layers.0.{name}" for name in ("coef", "base", "bias")}


def test_every_strategy_describes_itself_in_one_line() -> None:
    for name in ("ewc", "si", "mas", "l2-init", "knot-anchor", "lazy"):
        first, blank, *_ = (strategies.get(name).__doc__ or "").splitlines()
        assert first.endswith(".")
        assert len(first) < 120
        assert not blank.strip()
