"""Guards the options of a policy: each does what a plain torch loop does, none changes what is done without it."""

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from kancl.errors import InputError
from kancl.options import Spec
from runners.config.cell import Cell, cell_from_json
from runners.config.optimizers import OPTIMIZERS, SEARCHING
from runners.config.policy import LATER, Kind, Policy
from runners.run import run_cell
from runners.store.cell import CellStore
from runners.strategies import Strategy, strategies
from runners.stream.batches import batches
from runners.stream.stream import Stream
from runners.training.graphs import GraphedLearner, can_be_recorded
from runners.training.networks import build_network
from runners.training.optimizers import MAKERS, kind_of, make_optimizer, set_rate
from runners.training.schedule import factor, learning_rates
from runners.training.steps import Lesson, StackedLearner
from runners.training.updates import LazyUpdates, clip_by_seed
from scenarios.objectives import OBJECTIVES


def test_every_optimizer_is_made_or_searches() -> None:
    """The rows of names and numbers and those of makers, which need torch, are of the same optimisers."""
    assert sorted(OPTIMIZERS) == sorted((*MAKERS, *SEARCHING))
    with pytest.raises(InputError, match="unknown optimizer 'adagrad'; known: adam, adamw, sgd, lbfgs"):
        Policy("adagrad", steps=1)


# Stored results keep their names.

KEYS = {
    "a--c--naive--91ea9d638d": Policy(steps=5),
    "a--c--naive--b1fa00cc7c": Policy("sgd", lr=0.1, momentum=0.9, epochs=2, batch_size=8),
    "a--c--naive--7825948d81": Policy("adamw", steps=3, weight_decay=0.1, state="keep"),
}


def cell_of(policy: Policy) -> Cell:
    return Cell(Spec("a", {"x": 1}), Spec("b.py:c"), Spec("naive"), policy, (0, 1))


@pytest.mark.parametrize("key", KEYS)
def test_a_cell_without_the_later_options_keeps_the_key_it_had_before_them(key: str) -> None:
    cell = cell_of(KEYS[key])
    assert cell.key == key
    stored = cell.to_json()
    for name in LATER:  # as written by a version that did not know them
        del stored["policy"][name]
    assert cell_from_json(json.loads(json.dumps(stored))) == cell


def test_every_later_option_gives_another_key_and_label_and_survives_json() -> None:
    plain = Policy("sgd", steps=5, weight_decay=0.1)
    kinds: tuple[Kind, ...] = ("bias", "coefficients")
    changed = [
        plain, replace(plain, decay_on=kinds), replace(plain, schedule="cosine"), replace(plain, schedule="linear"),
        replace(plain, schedule="cosine", schedule_over="sequence"), replace(plain, lazy=True), replace(plain, clip=2.0),
    ]  # fmt: skip
    assert len({cell_of(policy).key for policy in changed}) == len({policy.label for policy in changed}) == len(changed)
    for policy in changed:
        assert cell_from_json(json.loads(json.dumps(cell_of(policy).to_json()))) == cell_of(policy)
    same = replace(plain, decay_on=("coefficients", "bias"))
    assert (same, cell_of(same).key) == (changed[1], cell_of(changed[1]).key)
    every: tuple[Kind, ...] = ("weights", "bias", "scales", "base", "coefficients")
    assert replace(plain, decay_on=every) == plain


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"decay_on": ("bias",)}, "give weight_decay as well"),
        ({"decay_on": (), "weight_decay": 0.1}, "decay_on must name all, or some of coefficients"),
        ({"decay_on": ("biases",), "weight_decay": 0.1}, "decay_on must name"),
        ({"schedule_over": "sequence"}, "needs a schedule"),
        ({"clip": 0.0}, "clip must be a finite norm > 0"),
        ({"clip": float("nan")}, "clip"),
        ({"optimizer": "lbfgs", "clip": 1.0}, "lbfgs"),
        ({"optimizer": "lbfgs", "lazy": True}, "lbfgs"),
        ({"optimizer": "lbfgs", "schedule": "cosine"}, "lbfgs"),
    ],
)
def test_settings_that_are_wrong_or_without_effect_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Policy(**{"steps": 5, **wrong})


def test_every_parameter_has_a_kind(tools: Any) -> None:
    cell = tools.make_cell("gaussian-peaks", "kan:scales=trainable,bias=true,base=silu", steps=1, optimizer="adam")
    kan = build_network(cell, tools.stream_of(cell))
    assert [kind_of(name) for name, _ in kan.named_parameters()] == ["coefficients", "base", "scales", "bias"]
    mlp = build_network(replace(cell, architecture=Spec("mlp")), tools.stream_of(cell))
    assert {kind_of(name) for name, _ in mlp.named_parameters()} == {"weights", "bias"}
    assert kind_of("coefficient") == kind_of("head.mixing") == "weights"


# Each option against a plain loop.

PEAKS = "gaussian-peaks:tasks=3,samples=20,noise=0.1"
KAN = "kan:hidden=[],intervals=9,base=silu,bias=true,noise=1.0"
ADAMW = {"optimizer": "adamw", "lr": 0.05, "weight_decay": 0.5}
ADAM = {"optimizer": "adam", "lr": 0.05, "weight_decay": 0.1}
SGD = {"optimizer": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 0.5}
ALL = {"lazy": True, "clip": 0.5, "schedule": "cosine", "state": "keep", "decay_on": ("coefficients", "weights")}
OPTIONS: dict[str, dict[str, Any]] = {
    "cosine": {**ADAM, "schedule": "cosine"},
    "linear over all tasks": {**ADAMW, "schedule": "linear", "schedule_over": "sequence", "state": "keep"},
    "sgd, linear": {**SGD, "schedule": "linear"},
    "decay on bias": {**ADAMW, "decay_on": ("bias",)},
    "sgd, decay on bias": {**SGD, "decay_on": ("bias",)},
    "lazy adam": {**ADAM, "lazy": True},
    "lazy adamw, kept": {**ADAMW, "lazy": True, "state": "keep"},
    "lazy sgd, kept": {**SGD, "lazy": True, "state": "keep"},
    "clip": {**ADAM, "clip": 0.3},
    "sgd, clip": {**SGD, "clip": 0.3},
    "all, adamw": {**ADAMW, **ALL},
    "all, sgd": {**SGD, **ALL},
}


class PlainAdam:
    """Adam and AdamW by the formulas of Kingma and Ba (algorithm 1) and of Loshchilov and Hutter; SGD with momentum."""

    def __init__(self, policy: Policy, named: dict[str, nn.Parameter]) -> None:
        self.policy, self.named, self.count = policy, named, 0
        self.first = {name: torch.zeros_like(p) for name, p in named.items()}
        self.second = {name: torch.zeros_like(p) for name, p in named.items()}

    def step(self, rate: float) -> None:
        self.count += 1
        policy = self.policy
        with torch.no_grad():
            for name, p in self.named.items():
                decays = policy.decay_on == ("all",) or kind_of(name) in policy.decay_on
                decay = policy.weight_decay if decays else 0.0
                g = p.grad + decay * p * (policy.optimizer != "adamw")
                if policy.optimizer == "sgd":
                    first, second = policy.momentum * self.first[name] + g, self.second[name]
                    value = p - rate * first
                else:
                    first, second = 0.9 * self.first[name] + 0.1 * g, 0.999 * self.second[name] + 0.001 * g * g
                    root = (second / (1 - 0.999**self.count)).sqrt() + 1e-8
                    shrunk = p * (1 - rate * decay) if policy.optimizer == "adamw" else p
                    value = shrunk - rate * first / (1 - 0.9**self.count) / root
                for old, new in ((p, value), (self.first[name], first), (self.second[name], second)):
                    for index in (p.grad != 0).nonzero().tolist() if policy.lazy else [[]]:
                        old[tuple(index)] = new[tuple(index)]


def plain_weights(cell: Cell, stream: Stream) -> Iterator[dict[str, Tensor]]:
    """Train a cell of one seed by a loop without any of kancl's learners; yield the weights after every task."""
    policy, network, optimizer = cell.policy, build_network(cell, stream), None
    steps = policy.steps or 0
    for phase, samples in enumerate(stream.train):
        if optimizer is None or policy.state == "reset":
            optimizer = PlainAdam(policy, dict(network.named_parameters()))
        source = batches(stream, samples, policy.batch_size, phase)
        for step in range(steps):
            batch = next(source)
            network.zero_grad()
            (network(batch.x) - batch.y).square().mean().backward()
            if policy.clip is not None:
                nn.utils.clip_grad_norm_(network.parameters(), policy.clip)
            part = step / steps if policy.schedule_over == "task" else (phase * steps + step) / (3 * steps)
            factors = {"constant": 1.0, "linear": 1 - part, "cosine": 0.5 * (1 + np.cos(np.pi * part))}
            optimizer.step(policy.lr * factors[policy.schedule])
        yield {name: tensor.detach().clone() for name, tensor in network.named_parameters()}


@pytest.mark.parametrize("architecture", [KAN, "mlp:hidden=4,activation=relu"])
@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_is_what_a_plain_loop_does_to_each_seed_alone(tools: Any, architecture: str, name: str) -> None:
    said = {"steps": 5, "batch_size": 7, "dtype": "float64", "evaluations": 2, **OPTIONS[name]}
    cell = tools.make_cell(PEAKS, architecture, seeds=(5, 3), **said)
    trained = tools.train(cell)
    without = {k: v for k, v in said.items() if k not in LATER}
    plain = tools.train(tools.make_cell(PEAKS, architecture, seeds=(5, 3), **without))
    for s, seed in enumerate(cell.seeds):
        alone = replace(cell, seeds=(seed,))
        for ours, theirs in zip(trained.weights, plain_weights(alone, tools.stream_of(alone)), strict=True):
            for key, tensor in theirs.items():
                torch.testing.assert_close(ours[key][s : s + 1], tensor, rtol=1e-8, atol=1e-10)
    changed = [not torch.equal(trained.weights[-1][key], tensor) for key, tensor in plain.weights[-1].items()]
    assert any(changed), "the option has no effect on this cell, so it is not tested"


# Optimisers, given gradients.


def named_parameters(seeds: int = 3, whole: bool = False) -> dict[str, nn.Parameter]:
    """Parameters of some shapes; of whole vectors on request, which are stepped as they are."""
    generator = torch.Generator().manual_seed(0)
    shapes = {"coef": (seeds, 5, 4), "bias": (seeds, 1, 2), "gain": (seeds,)}
    if whole:
        shapes = {"coef": (seeds, 8, 4), "bias": (seeds, 1, 16), "gain": (16,)}
    return {name: nn.Parameter(torch.randn(shape, generator=generator)) for name, shape in shapes.items()}


def set_gradients(parameters: Any, step: int, zeros: float = 0.5) -> None:
    generator = torch.Generator().manual_seed(step)
    for p in parameters:
        keep = torch.rand(p.shape, generator=generator) > zeros
        p.grad = torch.randn(p.shape, generator=generator) * keep


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_without_the_options_the_optimiser_is_torchs_to_the_bit(optimizer: Any) -> None:
    policy = Policy(optimizer, lr=0.03, steps=1, weight_decay=0.1, momentum=0.9 if optimizer == "sgd" else 0.0)
    ours, theirs = named_parameters(whole=True), named_parameters(whole=True)
    made = make_optimizer(ours.items(), policy)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}[optimizer]
    more = {"momentum": 0.9} if optimizer == "sgd" else {}
    plain = kind(theirs.values(), lr=0.03, weight_decay=0.1, fused=True, **more)
    for step in range(6):
        rate = 0.03 / (1 + step)  # a schedule reaches the fused kernel, too
        set_rate(made, rate)
        plain.param_groups[0]["lr"] = rate
        for parameters in (ours, theirs):
            set_gradients(parameters.values(), step)
        made.step()
        plain.step()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_lazy_adam_is_torchs_sparse_adam() -> None:
    ours, theirs = named_parameters(), named_parameters()
    made = make_optimizer(ours.items(), Policy("adam", lr=0.03, steps=1, lazy=True))
    plain = torch.optim.SparseAdam(list(theirs.values()), lr=0.03)
    for step in range(8):
        for parameters in (ours, theirs):
            set_gradients(parameters.values(), step)
        for p in theirs.values():
            p.grad = p.grad.to_sparse()
        made.step()
        plain.step()
    for name, p in ours.items():
        torch.testing.assert_close(p, theirs[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("said", [ADAM, ADAMW, SGD, {**ADAMW, "decay_on": ("bias",)}], ids=["adam", "adamw", "sgd", "groups"])
def test_lazy_updates_leave_values_and_moments_to_the_bit_where_the_gradient_is_zero(said: dict[str, Any]) -> None:
    named = named_parameters(whole=True)
    lazy = make_optimizer(named.items(), Policy(steps=1, lazy=True, **said))
    assert isinstance(lazy, LazyUpdates)
    state = lazy.state_of.state
    for step in range(5):
        set_gradients(named.values(), step)
        values = {name: p.detach().clone() for name, p in named.items()}
        moments = {name: copy.deepcopy(dict(state.get(p, {}))) for name, p in named.items()}
        lazy.step()
        for name, p in named.items():
            still = p.grad == 0
            assert torch.equal(p[still], values[name][still])
            assert (p[~still] != values[name][~still]).all()
            for key in ("exp_avg", "exp_avg_sq", "momentum_buffer"):
                if key in state[p]:
                    before = moments[name].get(key, torch.zeros_like(p))
                    assert torch.equal(state[p][key][still], before[still])
                    assert (state[p][key][~still] != before[~still]).all()
            if "step" in state[p]:
                assert state[p]["step"] == step + 1


def test_lazy_updates_save_and_go_on() -> None:
    ours, theirs = named_parameters(), named_parameters()
    policy = Policy(steps=1, lazy=True, **ADAMW)
    whole, parts = make_optimizer(ours.items(), policy), make_optimizer(theirs.items(), policy)
    for step in range(6):
        if step == 3:
            fresh = make_optimizer(theirs.items(), policy)
            fresh.load_state_dict(parts.state_dict())
            parts = fresh
        for parameters, optimizer in ((ours, whole), (theirs, parts)):
            set_gradients(parameters.values(), step)
            optimizer.step()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_idle_coefficients_of_a_kan_stay_only_under_lazy_updates(tools: Any) -> None:
    """Moments that are kept, and decay, move what the second task has no data for; lazy updates leave all of it alone."""
    said = {**ADAMW, "state": "keep", "steps": 6, "evaluations": 2}
    moved = {}
    for lazy in (False, True):
        cell = tools.make_cell("gaussian-peaks:tasks=5", 'kan:hidden=[],intervals=50,base="none"', lazy=lazy, **said)
        first, second = (weights["layers.0.coef"][:, 0, :, 0] for weights in tools.train(cell).weights[:2])
        idle = slice(0, 6)  # 53 functions on [-1, 1]: these end at -0.72, and the second task begins at -0.6
        moved[lazy] = (first[:, idle] != second[:, idle]).any()
    assert moved[False]
    assert not moved[True]


# Clipping.


@pytest.mark.parametrize(
    "shapes", [[(3, 2)], [(1, 1), (4,), ()], [(64, 13, 8), (1, 8), (8, 13, 10)], [(1, 203, 1)], [(17, 999)]]
)
def test_clipping_a_seed_in_a_stack_is_clipping_it_alone_to_the_bit(shapes: list[tuple[int, ...]]) -> None:
    generator = torch.Generator().manual_seed(0)
    seeds = 9
    scale = 10.0 ** torch.linspace(-3, 3, seeds)
    stack = [torch.randn(seeds, *shape, generator=generator) * scale.view(-1, *[1] * len(shape)) for shape in shapes]
    before = [gradient.clone() for gradient in stack]
    clip_by_seed(stack, 1.5)
    for s in range(seeds):
        alone = [gradient[s : s + 1].clone() for gradient in before]
        clip_by_seed(alone, 1.5)
        plain = [nn.Parameter(torch.zeros_like(gradient[s])) for gradient in before]
        for p, gradient in zip(plain, before, strict=True):
            p.grad = gradient[s].clone()
        nn.utils.clip_grad_norm_(plain, 1.5)
        for ours, single, p in zip(stack, alone, plain, strict=True):
            assert torch.equal(ours[s], single[0])
            torch.testing.assert_close(ours[s], p.grad, rtol=1e-6, atol=0)
        norm = torch.stack([gradient[s].square().sum() for gradient in before]).sum().sqrt()
        assert (norm > 1.5) == any(not torch.equal(ours[s], old[s]) for ours, old in zip(stack, before, strict=True))


def test_a_diverged_seed_clips_no_other() -> None:
    gradients = [torch.ones(3, 4), torch.ones(3, 2)]
    gradients[0][1, 2] = torch.nan
    clip_by_seed(gradients, 1.0)
    assert gradients[1][1].isnan().all()
    for s in (0, 2):
        torch.testing.assert_close(torch.cat([gradient[s] for gradient in gradients]).norm(), torch.tensor(1.0))


# Schedules.


@pytest.mark.parametrize("steps", [1, 2, 7, 100])
def test_schedules_are_torchs(steps: int) -> None:
    p = nn.Parameter(torch.zeros(1))
    makers: dict[str, Callable[[torch.optim.SGD], Any]] = {
        "constant": lambda sgd: torch.optim.lr_scheduler.ConstantLR(sgd, 1.0),
        "cosine": lambda sgd: torch.optim.lr_scheduler.CosineAnnealingLR(sgd, steps),
        "linear": lambda sgd: torch.optim.lr_scheduler.LinearLR(sgd, 1.0, 0.0, steps),
    }
    for name, make in makers.items():
        sgd = torch.optim.SGD([p], lr=1.0)
        scheduler = make(sgd)
        for step in range(steps):
            assert factor(name, step, steps) == pytest.approx(sgd.param_groups[0]["lr"], abs=1e-9)
            sgd.step()
            scheduler.step()


def test_over_a_task_rates_start_again_and_over_the_sequence_they_go_on() -> None:
    policy, counts = Policy(lr=2.0, steps=1, schedule="linear"), (2, 1, 5)

    def rates(policy: Policy, boundaries: bool = True) -> list[list[float]]:
        return [list(learning_rates(policy, counts, phase, boundaries) or ()) for phase in range(3)]

    assert rates(policy) == [[2.0, 1.0], [2.0], pytest.approx([2.0, 1.6, 1.2, 0.8, 0.4])]
    sequence = rates(replace(policy, schedule_over="sequence"))
    assert sequence == [[2.0, 1.75], [1.5], [1.25, 1.0, 0.75, 0.5, 0.25]]
    assert rates(policy, boundaries=False) == sequence  # joint training has no task ends
    assert learning_rates(replace(policy, schedule="constant"), counts, 0) is None


# Recorded steps, and runs that go on.


class Tape:
    """Stands in for CUDA's graphs."""

    def prepare(self, body: Callable[[], None]) -> None:
        body()

    def record(self, body: Callable[[], None]) -> Callable[[], None]:
        return body


@pytest.mark.parametrize("name", ["decay on bias", "lazy adamw, kept", "lazy sgd, kept", "clip", "sgd, clip"])
def test_recorded_steps_with_options_are_the_plain_ones_to_the_bit(tools: Any, name: str) -> None:
    cell = tools.make_cell(PEAKS, KAN, steps=1, seeds=3, **OPTIONS[name])
    stream, strategy, trained = tools.stream_of(cell), strategies.get("naive")(), []
    for kind, more in ((StackedLearner, {}), (GraphedLearner, {"recorder": Tape()})):
        network = build_network(cell, stream)
        learner = kind(Lesson(network, cell.policy, stream.objective, strategy), {}, **more)
        learner.take_steps(batches(stream, stream.train[0], "full", 0), 8)
        trained.append([parameter.detach() for parameter in network.parameters()])
    assert all(torch.equal(plain, replayed) for plain, replayed in zip(*trained, strict=True))


def test_steps_whose_rate_changes_are_not_recorded() -> None:
    class Gpu(nn.Module):
        def parameters(self, recurse: bool = True) -> Iterator[Any]:
            yield type("Parameter", (), {"is_cuda": True})

    def lesson(policy: Policy) -> Lesson:
        return Lesson(Gpu(), policy, OBJECTIVES["mse"], Strategy())  # type: ignore[arg-type]

    assert can_be_recorded(lesson(Policy(steps=1, lazy=True, clip=1.0)))
    assert not can_be_recorded(lesson(Policy(steps=1, schedule="cosine")))


RESUMED: dict[str, tuple[str, dict[str, Any]]] = {
    "schedule over all, kept": ("mlp:hidden=4", OPTIONS["linear over all tasks"]),
    "schedule over all, reset": ("mlp:hidden=4", {**OPTIONS["linear over all tasks"], "state": "reset"}),
    "all, adamw": (KAN, OPTIONS["all, adamw"]),
    "all, sgd": (KAN, OPTIONS["all, sgd"]),
    "refine, adam": ("kan:hidden=2,intervals=3,grid=refine", {"optimizer": "adam"}),
    "refine, lbfgs": ("kan:hidden=2,intervals=3,grid=refine", {"optimizer": "lbfgs"}),
    "first-task, adam": ("kan:hidden=2,intervals=3,grid=first-task", {"optimizer": "adam", "state": "keep"}),
    "first-task, lbfgs": ("kan:hidden=2,intervals=3,grid=first-task", {"optimizer": "lbfgs", "state": "keep"}),
}


@pytest.mark.parametrize(
    ("name", "strategy"),
    [(name, "naive") for name in RESUMED]
    + [(name, other) for name in ("schedule over all, reset", "refine, adam") for other in ("joint", "independent")],
)
def test_going_on_after_any_task_gives_the_same_numbers(tools: Any, tmp_path: Path, name: str, strategy: str) -> None:
    architecture, said = RESUMED[name]
    cell = tools.make_cell(PEAKS, architecture, strategy, steps=5, evaluations=2, **said)
    stream, stores = tools.stream_of(cell), []

    def save(checkpoint: Any) -> None:
        stores.append(CellStore(tmp_path / str(checkpoint.phases_done)))
        stores[-1].begin(cell)
        stores[-1].save_checkpoint(checkpoint)

    whole = run_cell(cell, stream, save=save)
    assert np.isfinite(whole.R["rmse"]).all()
    for store in stores:
        resumed = run_cell(cell, stream, store.load_checkpoint())
        assert resumed.parameters == whole.parameters
        np.testing.assert_array_equal(resumed.R["rmse"], whole.R["rmse"])
        np.testing.assert_array_equal(resumed.curves["rmse"], whole.curves["rmse"])


def test_refining_at_a_task_changes_no_score_before_training_does(tools: Any) -> None:
    """With a learning rate of almost nothing the scores stay what they were before any training, on ever finer grids."""
    said = {"optimizer": "adam", "lr": 1e-30, "steps": 1, "evaluations": 2, "dtype": "float64"}
    trained = tools.train(tools.make_cell(PEAKS, "kan:hidden=2,intervals=3,grid=refine", **said))
    R = trained.result.R["rmse"]
    np.testing.assert_allclose(R, np.broadcast_to(R[:, :1], R.shape), rtol=0, atol=1e-12)
    assert [weights["layers.0.coef"].shape[2] for weights in trained.weights] == [6, 15, 33]  # C, then 2 C + 3
    assert trained.result.parameters == 2 * (1 * 2 * 33)  # two layers of two edges


def test_the_command_line_sets_every_option(kancl: Callable[..., Any], tmp_path: Path) -> None:
    said = kancl(
        "run", "gaussian-peaks:tasks=2,samples=9", "--architectures", "kan:hidden=[],intervals=5", "--seeds", 2, "--steps", 2,
        "--optimizer", "adamw", "--weight-decay", 0.1, "--decay-on", "coefficients", "base", "--schedule", "cosine",
        "--schedule-over", "sequence", "--lazy", "--clip", 0.5, "--out", tmp_path / "out",
    )  # fmt: skip
    assert said.code == 0, said.err
    (path,) = (tmp_path / "out").glob("cells/*/config.json")
    policy = json.loads(path.read_text())["policy"]
    assert {name: policy[name] for name in LATER} == {
        "decay_on": ["coefficients", "base"], "schedule": "cosine", "schedule_over": "sequence", "lazy": True, "clip": 0.5,
    }  # fmt: skip
