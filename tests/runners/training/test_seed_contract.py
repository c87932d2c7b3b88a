"""Guards the seed axis and the hooks, for every architecture and strategy.

A seed alone equals the same seed in a stack; the stacked optimisers equal a plain torch loop; a strategy's hooks are called
in order, with one slice per seed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice, repeat
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from kancl.metrics import METRICS
from kancl.models import Network, architectures
from runners.config.cell import Cell
from runners.results.entry import Entry
from runners.strategies import State, Step, Strategy, strategies
from runners.stream.batches import Batch, batches, epoch_orders
from runners.stream.samples import Samples
from runners.stream.stream import Stream
from runners.training.networks import build_network

STACK = tuple(range(5))
DIGITS: dict[str, dict[str, Any]] = {
    "adam": {"optimizer": "adam", "lr": 1e-3, "steps": 3, "batch_size": 16},
    "adam-keep": {"optimizer": "adam", "lr": 1e-3, "steps": 3, "batch_size": 16, "state": "keep"},
    "sgd": {"optimizer": "sgd", "lr": 0.05, "momentum": 0.9, "steps": 3, "batch_size": 16},
    "sgd-keep": {"optimizer": "sgd", "lr": 0.05, "momentum": 0.9, "steps": 3, "batch_size": 16, "state": "keep"},
    "adamw": {"optimizer": "adamw", "lr": 1e-3, "weight_decay": 0.1, "steps": 3, "batch_size": 16},
    "adamw-keep": {"optimizer": "adamw", "lr": 1e-3, "weight_decay": 0.1, "steps": 3, "batch_size": 16, "state": "keep"},
}
PEAKS: dict[str, dict[str, Any]] = {
    "lbfgs": {"optimizer": "lbfgs", "lr": 1.0, "steps": 4},
    "lbfgs-keep": {"optimizer": "lbfgs", "lr": 1.0, "steps": 4, "state": "keep"},
}
POLICIES = {
    **{name: ("split-digits:setting=task,classes_per_task=5,samples=10", said) for name, said in DIGITS.items()},
    **{name: ("gaussian-peaks:tasks=3,samples=20", said) for name, said in PEAKS.items()},
}


@pytest.mark.parametrize("architecture", architectures.names())
@pytest.mark.parametrize("scenario", ["gaussian-peaks", "split-digits"])
@pytest.mark.parametrize("phase", [0, 2])
def test_initial_weights_do_not_depend_on_the_stack(tools: Any, architecture: str, scenario: str, phase: int) -> None:
    cell = tools.make_cell(scenario, architecture, steps=1, optimizer="adam")
    full, alone = replace(cell, seeds=STACK), replace(cell, seeds=(3,))
    stacked = build_network(full, tools.stream_of(full), phase).state_dict()
    single = build_network(alone, tools.stream_of(alone), phase).state_dict()
    assert stacked.keys() == single.keys()
    for name, tensor in stacked.items():
        assert tensor.shape[0] == len(STACK)
        assert torch.equal(tensor[3], single[name][0]), name
    drawn = [tensor for tensor in stacked.values() if not torch.equal(tensor[0], tensor[1])]
    assert drawn, "no weight differs between seeds"


@pytest.mark.parametrize("architecture", architectures.names())
def test_a_later_phase_has_other_initial_weights(tools: Any, architecture: str) -> None:
    cell = tools.make_cell("gaussian-peaks", architecture, steps=1, optimizer="adam")
    first, second = (dict(build_network(cell, tools.stream_of(cell), phase).named_parameters()) for phase in (0, 1))
    assert any(not torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("phase", [0, 4])
def test_the_order_of_samples_does_not_depend_on_the_stack(phase: int) -> None:
    stacked = list(islice(epoch_orders(STACK, 50, phase), 6))
    for place, seed in enumerate(STACK):
        for order, alone in zip(stacked, epoch_orders((seed,), 50, phase), strict=False):
            assert torch.equal(order[place], alone[0])
            assert sorted(order[place].tolist()) == list(range(50))
    # Every seed in every epoch, and in another phase, has an order of its own.
    further = next(epoch_orders(STACK, 50, phase + 1))
    assert len({tuple(row) for order in (*stacked, further) for row in order.tolist()}) == len(STACK) * 7


def first_batches(stream: Stream, samples: Samples, size: Any, count: int) -> list[Any]:
    source = batches(stream, samples, size, phase=1)
    return [next(source) for _ in range(count)]


@pytest.mark.parametrize("size", [7, 16, "full"])
def test_batches_do_not_depend_on_the_stack(tools: Any, size: Any) -> None:
    cell = tools.make_cell("split-digits:setting=task", "mlp", steps=1)
    full, alone = replace(cell, seeds=STACK), replace(cell, seeds=(3,))
    stacked = first_batches(tools.stream_of(full), tools.stream_of(full).train[1], size, 45)
    single = first_batches(tools.stream_of(alone), tools.stream_of(alone).train[1], size, 45)
    for one, other in zip(stacked, single, strict=True):
        assert torch.equal(one.x[3:4], other.x)
        assert torch.equal(one.y[3:4], other.y)
        assert torch.equal(one.mask[3:4], other.mask)
        assert torch.equal(one.of_seed(3).x, other.x)


def test_an_epoch_uses_every_sample_once_and_the_last_batch_is_smaller(tools: Any) -> None:
    cell = tools.make_cell("gaussian-peaks:samples=10", "mlp", steps=1)
    stream = tools.stream_of(cell)
    parts = first_batches(stream, stream.train[1], 4, 6)
    assert [part.x.shape[1] for part in parts] == [4, 4, 2] * 2
    for epoch in (parts[:3], parts[3:]):
        seen = torch.cat([part.x for part in epoch], 1).sort(1).values
        assert torch.equal(seen, stream.train[1].x.sort(1).values)


MAIN = ("kan", "mlp")
OTHERS = (("adam", "naive"), ("lbfgs", "naive"), ("adam", "independent"))
# Optimisers treat all parameters alike, and strategies do not look at them, so each meets the two main architectures under
# naive, and every strategy the two kinds of optimisers; the other architectures meet these, and networks that are made anew.
MEETINGS = [
    *((name, policy, "naive") for name in MAIN for policy in POLICIES),
    *((name, policy, strategy) for name in MAIN for policy in ("adam-keep", "lbfgs") for strategy in ("independent", "joint")),
    *((name, *with_) for name in architectures.names() if name not in MAIN for with_ in OTHERS),
]


@pytest.mark.parametrize(("architecture", "policy", "strategy"), MEETINGS)  # of other strategies: test_strategy_contract.py
def test_a_seed_alone_equals_the_seed_in_a_stack(tools: Any, architecture: str, policy: str, strategy: str) -> None:
    scenario, said = POLICIES[policy]
    cell = tools.make_cell(scenario, architecture, strategy, dtype="float64", evaluations=2, **said)
    stacked = tools.train(replace(cell, seeds=STACK))
    alone = tools.train(replace(cell, seeds=(3,)))
    # float64: rounding is 1e-16, which a few steps cannot raise to 1e-9.
    for name, R in stacked.result.R.items():
        np.testing.assert_allclose(R[3:4], alone.result.R[name], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(stacked.result.curves[name][3:4], alone.result.curves[name], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(stacked.result.null[name][3:4], alone.result.null[name], rtol=1e-12)
    for name, tensor in stacked.weights[-1].items():
        torch.testing.assert_close(tensor[3:4], alone.weights[-1][name], rtol=1e-8, atol=1e-10)
    main = stacked.result.R[list(stacked.result.R)[-1]]
    assert not np.allclose(main[2], main[3]), "the seeds of the stack are all alike"


# A plain torch loop, the oracle of the optimisers and of the hooks.

STRENGTH = 0.05
SHRINK = 0.999


@dataclass(frozen=True)
class Anchor(Strategy):
    """Half STRENGTH times the squared distance to the weights at the last task end (at first 0); weights shrink a little."""

    def start(self, network: Network, stream: Stream) -> State:
        return {f"anchor/{name}": torch.zeros_like(tensor) for name, tensor in network.named_parameters()}

    def penalty(self, state: State, step: Step) -> Tensor:
        return sum(
            STRENGTH / 2 * (tensor - state[f"anchor/{name}"]).square().flatten(1).sum(1)
            for name, tensor in step.network.named_parameters()
        )

    def after_step(self, state: State, step: Step) -> None:
        with torch.no_grad():
            for tensor in step.network.parameters():
                tensor.mul_(SHRINK)

    def end_task(self, state: State, network: Network, samples: Samples, phase: int) -> State:
        return {f"anchor/{name}": tensor.detach().clone() for name, tensor in network.named_parameters()}


def plain_optimizer(cell: Cell, parameters: Any) -> torch.optim.Optimizer:
    policy = cell.policy
    if policy.optimizer == "lbfgs":
        return torch.optim.LBFGS(
            parameters, lr=policy.lr, max_iter=1, max_eval=26, history_size=10, line_search_fn="strong_wolfe",
            tolerance_grad=0, tolerance_change=0,
        )  # fmt: skip
    if policy.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=policy.lr, momentum=policy.momentum, weight_decay=policy.weight_decay)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[policy.optimizer]
    return kind(parameters, lr=policy.lr, weight_decay=policy.weight_decay)


def plain_training(cell: Cell, stream: Stream, s: int, anchored: bool) -> list[list[Tensor]]:
    """Train an ordinary torch MLP of one hidden tanh layer on seed number ``s``; return its weights after every task."""
    start = build_network(cell, stream).state_dict()
    first, second = (nn.Linear(*start[f"layers.{n}.weight"].shape[1:]).double() for n in (0, 1))
    with torch.no_grad():
        for n, layer in enumerate((first, second)):
            layer.weight.copy_(start[f"layers.{n}.weight"][s].T)
            layer.bias.copy_(start[f"layers.{n}.bias"][s, 0])
    model = nn.Sequential(first, nn.Tanh(), second)
    anchor = [torch.zeros_like(parameter) for parameter in model.parameters()]
    optimizer, after = None, []
    for phase, samples in enumerate(stream.train):
        if optimizer is None or cell.policy.state == "reset":
            optimizer = plain_optimizer(cell, list(model.parameters()))
        x, y = samples.x[s], samples.y[s]
        for rows in plain_rows(cell, stream.seeds[s], len(x), phase):

            def closure(x: Tensor = x[rows], y: Tensor = y[rows], optimizer: Any = optimizer, anchor: Any = anchor) -> Tensor:
                optimizer.zero_grad()
                outputs = model(x)
                loss = nn.functional.mse_loss(outputs, y) if y.ndim == 2 else nn.functional.cross_entropy(outputs, y)
                if anchored:
                    pairs = zip(model.parameters(), anchor, strict=True)
                    loss = loss + sum(STRENGTH / 2 * (p - a).square().sum() for p, a in pairs)
                loss.backward()
                return loss

            optimizer.step(closure)
            if anchored:
                with torch.no_grad():
                    for parameter in model.parameters():
                        parameter.mul_(SHRINK)
        anchor = [parameter.detach().clone() for parameter in model.parameters()]
        after.append(anchor)
    return after


def plain_rows(cell: Cell, seed: int, count: int, phase: int) -> Iterator[Tensor]:
    """The rows of every step's batch."""
    size = count if cell.policy.batch_size == "full" else cell.policy.batch_size
    made = 0
    orders = (order[0] for order in epoch_orders((seed,), count, phase))
    for order in orders if size < count else repeat(torch.arange(count)):
        for part in order.split(size):
            if made == cell.policy.steps:
                return
            made += 1
            yield part


ORACLES: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: ("split-digits:samples=60", {**said, "steps": 4, "batch_size": 100}) for name, said in DIGITS.items()},
    "adam-decay": ("split-digits:samples=60", {"optimizer": "adam", "lr": 1e-3, "weight_decay": 0.1, "steps": 4}),
    **{name: ("gaussian-peaks:tasks=3,samples=20", said) for name, said in PEAKS.items()},
}


@pytest.mark.parametrize("anchored", [False, True], ids=["naive", "anchor"])
@pytest.mark.parametrize("policy", ORACLES)
def test_learners_equal_a_plain_torch_loop(tools: Any, enrol: Callable[..., None], policy: str, anchored: bool) -> None:
    enrol(strategies, "anchor", Anchor)
    scenario, said = ORACLES[policy]
    strategy = "anchor" if anchored else "naive"
    cell = tools.make_cell(scenario, "mlp:hidden=6,activation=tanh", strategy, dtype="float64", evaluations=2, **said)
    for seeds in ((3,), (5, 3)):
        of_seeds = replace(cell, seeds=seeds)
        trained, s = tools.train(of_seeds), len(seeds) - 1
        expected = plain_training(of_seeds, tools.stream_of(of_seeds), s, anchored)
        assert len(expected) == len(trained.weights)
        for weights, state, plain in zip(trained.weights, trained.states, expected, strict=True):
            names = ["layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"]
            for name, tensor in zip(names, plain, strict=True):
                ours = weights[name][s].T if tensor.ndim == 2 else weights[name][s, 0]
                torch.testing.assert_close(ours, tensor, rtol=1e-8, atol=1e-10)
                if anchored:
                    assert torch.equal(state[f"anchor/{name}"], weights[name])
        moved = trained.weights[0]["layers.0.weight"] - build_network(of_seeds, tools.stream_of(of_seeds)).layers[0].weight
        assert moved.abs().max() > 1e-4


class Diary(Strategy):
    """Writes down every call of a hook, with the seeds and shapes it saw."""

    calls: ClassVar[list[tuple[Any, ...]]] = []

    def __init__(self, per_phase: bool = False) -> None:
        self.per_phase = per_phase

    def data_of(self, phase: int, tasks: int) -> range:
        self.calls.append(("data_of", phase, tasks))
        return range(phase, phase + 1)

    def starts_anew(self, phase: int) -> bool:
        self.calls.append(("starts_anew", phase))
        return False

    def start(self, network: Network, stream: Stream) -> State:
        seeds = next(network.parameters()).shape[0]
        self.calls.append(("start", seeds, stream.seeds))
        return {"steps": torch.zeros(seeds), "number": torch.arange(seeds, dtype=torch.float32), "phase": torch.zeros(seeds)}

    def penalty(self, state: State, step: Step) -> Tensor:
        seeds = next(step.network.parameters()).shape[0]
        assert step.outputs.shape == step.batch.y.shape
        assert all(tensor.shape == (seeds,) for tensor in state.values())
        self.calls.append(("penalty", tuple(state["number"].tolist()), state["phase"].tolist()[0]))
        return torch.zeros(seeds)

    def after_step(self, state: State, step: Step) -> None:
        assert next(step.network.parameters()).shape[0] == len(state["steps"])
        state["steps"] += 1
        self.calls.append(("after_step", tuple(state["number"].tolist()), state["phase"].tolist()[0]))

    def begin_task(self, state: State, network: Network, samples: Samples, phase: int) -> State:
        self.calls.append(("begin_task", phase, tuple(samples.x.shape), set(samples.task.tolist())))
        return state

    def batches(self, state: State, source: Iterator[Batch], stream: Stream, phase: int) -> Iterator[Batch]:
        self.calls.append(("batches", phase))
        return source

    def end_task(self, state: State, network: Network, samples: Samples, phase: int) -> State:
        self.calls.append(("end_task", phase, tuple(samples.x.shape), set(samples.task.tolist())))
        return {**state, "phase": torch.full_like(state["phase"], phase + 1)}


def grouped(calls: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Repeated calls as one."""
    return [call for before, call in zip([None, *calls], calls, strict=False) if call != before]


@pytest.mark.parametrize("state", ["reset", "keep"])
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_hooks_are_called_in_order_with_the_seeds_they_serve(
    tools: Any, enrol: Callable[..., None], optimizer: str, state: str
) -> None:
    enrol(strategies, "diary", Diary)
    cell = tools.make_cell(
        "gaussian-peaks:tasks=2,samples=9", "mlp", "diary", seeds=3, steps=2, optimizer=optimizer, state=state, evaluations=2
    )
    Diary.calls.clear()
    trained = tools.train(cell)
    calls = [call for call in Diary.calls if call[0] not in ("data_of", "starts_anew")]
    expected: list[tuple[Any, ...]] = [("start", 3, (0, 1, 2))]
    for phase in (0, 1):
        expected += [("begin_task", phase, (3, 9, 1), {phase}), ("batches", phase)]
        if optimizer == "adam":
            expected += [("penalty", (0.0, 1.0, 2.0), phase), ("after_step", (0.0, 1.0, 2.0), phase)] * 2
        else:
            # A slice of training has one step here (both are evaluated); the seeds take it one after the other.
            steps = [[("penalty", (s,), phase), ("after_step", (s,), phase)] for s in (0.0, 1.0, 2.0)]
            expected += [call for _ in range(2) for step in steps for call in step]
        expected += [("end_task", phase, (3, 9, 1), {phase})]
    assert grouped(calls) == expected
    # Changes in place reach the stacked state, seed by seed too, and live on after end_task.
    assert [end["steps"].tolist() for end in trained.states] == [[2.0] * 3, [4.0] * 3]
    assert {call for call in Diary.calls if call[0] == "data_of"} == {("data_of", 0, 2), ("data_of", 1, 2)}


# What the built-in strategies mean.


def test_naive_data_are_the_tasks_in_order_and_joint_data_are_all() -> None:
    naive, joint, independent = (strategies.get(name)() for name in ("naive", "joint", "independent"))
    for phase in range(4):
        assert list(naive.data_of(phase, 4)) == list(independent.data_of(phase, 4)) == [phase]
        assert list(joint.data_of(phase, 4)) == [0, 1, 2, 3]
        assert (naive.starts_anew(phase), joint.starts_anew(phase)) == (False, False)
        assert independent.starts_anew(phase) == (phase > 0)


def test_joint_learns_every_task_from_the_first_phase_on(tools: Any) -> None:
    """The KAN solves its toy, so after one phase every task's error is small; naive has seen only the first by then."""
    joint, naive = (
        tools.train(tools.make_cell("gaussian-peaks", "kan", strategy, seeds=2, steps=20, optimizer="lbfgs", evaluations=2))
        for strategy in ("joint", "naive")
    )
    assert (joint.result.R["rmse"][:, 1:] < 0.01).all()
    assert (naive.result.R["rmse"][:, 1, 1:] > 0.1).all()
    assert (naive.result.R["rmse"][:, 1, 0] < 0.01).all()


def test_joint_takes_as_many_steps_as_naive(tools: Any) -> None:
    said = {"optimizer": "adam", "epochs": 1, "batch_size": 64, "evaluations": 2}
    joint, naive = (tools.train(tools.make_cell("split-digits", "mlp", name, **said)) for name in ("joint", "naive"))
    assert joint.result.steps == naive.result.steps
    np.testing.assert_array_equal(joint.result.curve_step, naive.result.curve_step)


@pytest.mark.parametrize("policy", ["adam", "adam-keep", "lbfgs", "lbfgs-keep"])
def test_independent_begins_as_naive_does(tools: Any, policy: str) -> None:
    scenario, said = POLICIES[policy]
    naive, independent = (
        tools.train(tools.make_cell(scenario, "mlp", strategy, evaluations=4, **said)) for strategy in ("naive", "independent")
    )
    for name, R in naive.result.R.items():
        np.testing.assert_array_equal(R[:, :2], independent.result.R[name][:, :2])
        assert not np.array_equal(R[:, 2], independent.result.R[name][:, 2])


@pytest.mark.parametrize("optimizer", ["sgd", "lbfgs"])
def test_independent_begins_every_phase_with_fresh_weights(tools: Any, optimizer: str) -> None:
    """With a learning rate of almost nothing the weights at a phase's end are those at its beginning."""
    still = {"optimizer": optimizer, "lr": 1e-30, "steps": 1, "evaluations": 2, "momentum": 0.0}
    cell = tools.make_cell("gaussian-peaks:tasks=3", "mlp", "independent", **still)
    trained = tools.train(cell)
    for phase, weights in enumerate(trained.weights):
        for name, tensor in build_network(cell, tools.stream_of(cell), phase).state_dict().items():
            torch.testing.assert_close(weights[name], tensor, rtol=0, atol=1e-12)
    assert not torch.equal(trained.weights[0]["layers.0.weight"], trained.weights[1]["layers.0.weight"])
    assert not torch.equal(trained.weights[1]["layers.0.weight"], trained.weights[2]["layers.0.weight"])


@pytest.mark.parametrize(
    ("strategy", "meaningful"),
    [
        ("joint", {"final_score"}),
        ("independent", {"learning_score", "learned"}),
        ("naive", set(METRICS)),
    ],
)
def test_metrics_that_mean_nothing_are_nan(tools: Any, strategy: str, meaningful: set[str]) -> None:
    cell = tools.make_cell("gaussian-peaks:tasks=2", "kan", strategy, steps=10, optimizer="lbfgs", evaluations=2)
    metrics = Entry(cell, tools.train(cell).result, {}).metrics()
    assert {name for name, values in metrics.items() if np.isfinite(values).all()} == meaningful
    assert {name for name, values in metrics.items() if np.isnan(values).all()} == set(metrics) - meaningful
