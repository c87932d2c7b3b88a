"""Guards the avalanche runner against the native one: the same weights where definitions coincide."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from itertools import islice, product
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from kancl.errors import InputError
from kancl.models import take_seed
from runners.avalanche import AvalancheStrategy
from runners.avalanche.data import masks_of, stream_of_seed
from runners.avalanche.keeper import Keeper
from runners.avalanche.model import INACTIVE, Criterion
from runners.avalanche.penalties import EWC, MAS, SI
from runners.avalanche.projections import DAMPING, GEM, project
from runners.avalanche.runner import surroundings
from runners.avalanche.seed_run import SeedRun
from runners.config.cell import Cell
from runners.measure.record import NEVER
from runners.strategies import Strategy, strategies
from runners.strategies.tools.gradients import choose, fisher, remember_stream
from runners.stream.batches import batches
from runners.training.networks import build_network

MLP, KAN = "mlp:hidden=5,activation=tanh", "kan:hidden=3,intervals=4,base=silu"
CLASSES, NUMBERS = (
    "split-digits:classes_per_task=2,setting=class,samples=8,order=[0,1,2,3,4,5]",
    "gaussian-peaks:tasks=3,samples=12",
)
SHORT: dict[str, Any] = {"optimizer": "adam", "lr": 0.01, "steps": 12, "batch_size": 8, "evaluations": 3, "dtype": "float64"}


@pytest.fixture(scope="module", autouse=True)
def _avalanche() -> None:
    """Imported once: it takes seconds."""
    with surroundings(torch.float32):
        pass


def assert_same_weights(tools: Any, ours: Cell, theirs: Cell, tolerance: float) -> None:
    """The weights at the end of a native cell and of the avalanche runner's, and all scores on the way."""
    native, driven = tools.train(ours), tools.train(theirs)
    for name, weight in native.weights[-1].items():
        torch.testing.assert_close(driven.weights[-1][name], weight, rtol=tolerance, atol=tolerance)
    for name, curve in native.result.curves.items():
        np.testing.assert_allclose(driven.result.curves[name], curve, rtol=tolerance, atol=tolerance)
    np.testing.assert_array_equal(driven.result.curve_task, native.result.curve_task)
    np.testing.assert_array_equal(driven.result.curve_step, native.result.curve_step)
    for name, R in native.result.R.items():
        np.testing.assert_allclose(driven.result.R[name], R, rtol=tolerance, atol=tolerance)
        np.testing.assert_array_equal(driven.result.null[name], native.result.null[name])
    # Equal to what was there before training would say nothing.
    assert any(not torch.equal(weight, native.weights[0][name]) for name, weight in native.weights[-1].items())


def pair(tools: Any, scenario: str, architecture: str, ours: str, theirs: str, **more: Any) -> tuple[Cell, Cell]:
    """A native cell and the avalanche runner's, alike in all but the strategy."""
    said = {**SHORT, "seeds": (3, 0), **more}
    native = tools.make_cell(scenario, architecture, ours, **said)
    return native, tools.make_cell(scenario, architecture, theirs, runner="avalanche", **said)


@pytest.mark.parametrize("architecture", [MLP, KAN])
@pytest.mark.parametrize(
    "scenario",
    [
        CLASSES,
        NUMBERS,
        "split-digits:classes_per_task=2,setting=task,samples=8,order=[4,5,0,1,2,3]",
        "sine-tasks:tasks=3,samples=12,setting=task",
    ],
)
def test_naive_is_naive(tools: Any, scenario: str, architecture: str) -> None:
    assert_same_weights(tools, *pair(tools, scenario, architecture, "naive", "naive"), 1e-9)


def test_naive_is_naive_in_single_precision(tools: Any) -> None:
    assert_same_weights(tools, *pair(tools, CLASSES, KAN, "naive", "naive", dtype="float32"), 1e-4)


POLICIES: dict[str, dict[str, Any]] = {
    "moments kept": {"state": "keep"},
    "adamw on some": {"optimizer": "adamw", "weight_decay": 0.1, "decay_on": ("coefficients",)},
    "sgd, momentum kept, clipped": {"optimizer": "sgd", "momentum": 0.9, "state": "keep", "clip": 0.05},
    "lazy moments kept": {"lazy": True, "state": "keep"},
    "rates over the sequence": {"schedule": "cosine", "schedule_over": "sequence"},
    "rates over each task": {"schedule": "linear"},
    "epochs of full batches": {"epochs": 4, "steps": None, "batch_size": "full"},
}


@pytest.mark.parametrize("policy", POLICIES)
def test_the_policy_is_carried_out(tools: Any, policy: str) -> None:
    ours, theirs = pair(tools, NUMBERS, "kan:hidden=3,intervals=4,base=silu", "naive", "naive", **POLICIES[policy])
    assert_same_weights(tools, ours, theirs, 1e-9)
    plain, _ = pair(tools, NUMBERS, "kan:hidden=3,intervals=4,base=silu", "naive", "naive")
    assert not np.array_equal(tools.train(plain).result.R["rmse"], tools.train(ours).result.R["rmse"]), "without effect"


@pytest.mark.parametrize(
    "architecture", ["kan:hidden=3,intervals=4,regularization=0.1", "kan:hidden=3,intervals=4,grid=each-task"]
)
def test_penalties_and_moving_grids_of_the_architecture(tools: Any, architecture: str) -> None:
    assert_same_weights(tools, *pair(tools, NUMBERS, architecture, "naive", "naive"), 1e-8)


@pytest.mark.parametrize("scenario", [CLASSES, NUMBERS])
def test_joint_is_joint(tools: Any, scenario: str) -> None:
    ours, theirs = pair(tools, scenario, MLP, "joint", "joint")
    assert_same_weights(tools, ours, theirs, 1e-9)
    assert tools.train(theirs).result.metrics == tools.train(ours).result.metrics == ("final_score",)


def test_cumulative_sees_all_tasks_so_far(tools: Any, enrol: Callable[..., None]) -> None:
    @dataclass(frozen=True)
    class SoFar(Strategy):
        """Everything so far."""

        def data_of(self, phase: int, tasks: int) -> range:
            return range(phase + 1)

    enrol(strategies, "so-far", SoFar)
    assert_same_weights(tools, *pair(tools, CLASSES, MLP, "so-far", "cumulative"), 1e-9)


def driven(tools: Any, cell: Cell, adapter: AvalancheStrategy, s: int = 0) -> tuple[Any, SeedRun]:
    """Train one seed of a cell with a strategy of its own; returns avalanche's strategy after the last task."""
    caught: list[Any] = []

    class Spy(type(adapter)):  # type: ignore[misc]
        def prepare(self, strategy: Any, run: SeedRun) -> None:
            super().prepare(strategy, run)
            caught.append(strategy)

    values = {field.name: getattr(adapter, field.name) for field in fields(adapter)}  # type: ignore[arg-type]
    stream = stream_of_seed(tools.stream_of(cell), s)
    network = take_seed(build_network(cell, tools.stream_of(cell)), s)
    with surroundings(torch.float64):
        run = SeedRun(
            cell,
            stream,
            network,
            Spy(**values),
            watched=True,
            tell=lambda phase, steps: None,
            keeper=Keeper(lambda saved: None, NEVER, 0.0),
        )
        run.train()
    return caught[0], run


def plugin_of(strategy: Any, name: str) -> Any:
    return next(plugin for plugin in strategy.plugins if type(plugin).__name__ == name)


@pytest.mark.parametrize(
    ("scenario", "factor"), [("split-digits:classes_per_task=5,samples=6", 1.0), ("gaussian-peaks:tasks=2,samples=12", 4.0)]
)
def test_importances_of_ewc_at_batch_size_1_are_the_empirical_fisher_information(
    tools: Any, scenario: str, factor: float
) -> None:
    """A mean squared error of one output is twice the negative log-likelihood: squared gradients are four times as large."""
    cell = tools.make_cell(scenario, MLP, "ewc", runner="avalanche", **{**SHORT, "batch_size": 1})
    strategy, run = driven(tools, cell, EWC(ewc_lambda=0.0))
    kept = plugin_of(strategy, "EWCPlugin")
    stream, network = run.stream, strategy.model.network
    state = remember_stream(stream)
    exact = fisher(network, choose(state, stream.train[-1], None, 1), "empirical", state, 1)
    for name, value in exact.items():
        found = kept.importances[1][f"network.{name}"].data
        torch.testing.assert_close(found.double(), factor * value, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("architecture", [MLP, KAN])
def test_ewc_at_batch_size_1_trains_as_the_native_one(tools: Any, architecture: str) -> None:
    """The native strength is twice ewc_lambda; avalanche adds its penalty up in single precision, hence the tolerance."""
    ours, theirs = pair(
        tools, CLASSES, architecture, "ewc:fisher=empirical,strength=6", "ewc:ewc_lambda=3", batch_size=1
    )  # fmt: skip
    assert_same_weights(tools, ours, theirs, 1e-5)
    naive, _ = pair(tools, CLASSES, architecture, "naive", "naive", batch_size=1)
    apart = np.abs(tools.train(naive).result.R["cross-entropy"] - tools.train(ours).result.R["cross-entropy"])
    assert apart.max() > 1e-3


def test_importances_of_ewc_fall_with_the_batch_size(tools: Any) -> None:
    sums = {}
    for size in (1, 16):
        cell = tools.make_cell(
            "split-digits:classes_per_task=5,samples=6", MLP, "ewc", runner="avalanche", **{**SHORT, "batch_size": size}
        )
        strategy, _ = driven(tools, cell, EWC(ewc_lambda=0.0))
        sums[size] = sum(float(held.data.sum()) for held in plugin_of(strategy, "EWCPlugin").importances[0].values())
    assert sums[1] > 2 * sums[16] > 0


def test_mas_at_batch_size_1_trains_the_second_task_as_the_native_one(tools: Any) -> None:
    scenario = "split-digits:classes_per_task=5,samples=6"
    ours, theirs = pair(tools, scenario, MLP, "mas:strength=0.2", "mas:lambda_reg=0.1", batch_size=1)
    assert_same_weights(tools, ours, theirs, 1e-5)


def test_a_loss_of_0_is_a_loss_to_mas(tools: Any) -> None:
    cell = tools.make_cell("split-digits:classes_per_task=5,samples=6", MLP, "mas", runner="avalanche", **SHORT)
    strategy, _ = driven(tools, cell, MAS())
    plugin = plugin_of(strategy, "MASPlugin")
    with pytest.raises(ValueError, match="Loss is not available"):
        type(plugin).before_backward(plugin, strategy)
    with torch.no_grad():
        next(strategy.model.parameters()).add_(1.0)
    plugin.before_backward(strategy)
    assert strategy.loss > 1e-3


def test_gem_leaves_the_gradient_of_a_diverged_seed_alone(tools: Any) -> None:
    cell = tools.make_cell("split-digits:classes_per_task=5,samples=6", MLP, "gem", runner="avalanche", **SHORT)
    strategy, _ = driven(tools, cell, GEM())
    plugin, gradient = plugin_of(strategy, "GEMPlugin"), torch.tensor([-torch.inf, 1.0])
    plugin.G = torch.tensor([[1.0, 0.0]])
    assert torch.equal(plugin.solve_quadprog(gradient), gradient)


@pytest.mark.parametrize("scenario", ["split-digits:classes_per_task=5,samples=6", "gaussian-peaks:tasks=2,samples=12"])
def test_corrected_si_trains_the_second_task_as_the_native_one(tools: Any, scenario: str) -> None:
    """With so much damping that nothing is clamped, and before the gradient of a penalty enters the path integral."""
    ours, theirs = pair(tools, scenario, MLP, "si:strength=300,xi=50", "si:si_lambda=300,eps=50")
    assert_same_weights(tools, ours, theirs, 1e-5)


def test_si_without_the_correction_equals_naive_and_is_told(tools: Any) -> None:
    class Uncorrected(SI):
        def prepare(self, strategy: Any, run: SeedRun) -> None:
            pass

    cell = tools.make_cell(CLASSES, MLP, "si", runner="avalanche", **SHORT)
    strategy, run = driven(tools, cell, Uncorrected(si_lambda=1e6))
    assert run.equals_naive
    assert all(not held.data.any() for held in plugin_of(strategy, "SynapticIntelligencePlugin").ewc_data[1].values())
    assert not driven(tools, cell, SI(si_lambda=1e6))[1].equals_naive


def brute_projection(references: np.ndarray, gradient: np.ndarray, margin: float) -> np.ndarray:
    """GEM's quadratic programme by trying every set of multipliers that stand at their bound."""
    tasks = len(references)
    P, q = references @ references.T + DAMPING * np.eye(tasks), references @ gradient
    best, value = None, np.inf
    for free in product([False, True], repeat=tasks):
        loose, v = np.flatnonzero(free), np.full(tasks, margin)
        bound = np.flatnonzero(~np.array(free))
        if len(loose):
            v[loose] = np.linalg.solve(P[np.ix_(loose, loose)], -q[loose] - P[np.ix_(loose, bound)] @ v[bound])
        cost = v @ P @ v / 2 + q @ v
        if (v >= margin - 1e-12).all() and cost < value:
            best, value = v, cost
    assert best is not None
    return gradient + references.T @ best


@pytest.mark.parametrize("margin", [0.0, 0.5])
def test_the_projection_of_gem_solves_its_quadratic_programme(margin: float) -> None:
    draw = np.random.default_rng(0)
    for tasks, parameters in [(1, 7), (4, 30), (5, 3)]:
        references, gradient = draw.normal(size=(tasks, parameters)), draw.normal(size=parameters)
        found = project(references, gradient, margin)
        np.testing.assert_allclose(found, brute_projection(references, gradient, margin), rtol=1e-8, atol=1e-8)
    # A single old task against the gradient: no margin leaves nothing that would raise its loss, but for the damping.
    reference, gradient = np.array([[3.0, 4.0]]), np.array([-1.0, 0.0])
    if margin == 0:
        np.testing.assert_allclose(project(reference, gradient, 0.0), [-1 + 9 / 25, 12 / 25], atol=1e-4)


def test_the_loss_of_heads_is_the_native_one(tools: Any) -> None:
    """Value and gradient, for numbers and for classes, with some units inactive."""
    draw = torch.Generator().manual_seed(0)
    for scenario in (
        "sine-tasks:tasks=3,samples=12,setting=task",
        "split-digits:classes_per_task=2,setting=task,samples=8,order=[4,5,0,1,2,3]",
    ):
        cell = tools.make_cell(scenario, MLP, **SHORT, seeds=1)
        stream = tools.stream_of(cell)
        batch = next(batches(stream, stream.train[1], 8, 1))
        outputs = torch.randn(1, 8, stream.outputs, generator=draw, dtype=torch.float64).requires_grad_()
        assert batch.mask is not None
        masked = outputs.masked_fill(~batch.mask, INACTIVE)
        loss = Criterion(not batch.y.is_floating_point(), heads=True)(masked[0], batch.y[0])
        torch.testing.assert_close(loss[None], stream.objective.loss(outputs, batch.y, batch.mask))
        (gradient,) = torch.autograd.grad(loss, outputs)
        torch.testing.assert_close(gradient, stream.objective.gradient(outputs.detach().clone(), batch.y, batch.mask))


def test_every_task_label_has_the_heads_of_its_task(tools: Any) -> None:
    stream = stream_of_seed(tools.stream_of(tools.make_cell("split-digits:setting=task", MLP, **SHORT)), 1)
    masks = masks_of(stream)
    assert masks is not None
    assert torch.equal(masks, stream.heads)
    assert stream.seeds == (1,)


class Recorder(AvalancheStrategy):
    """Naive, writing down what avalanche trains on."""

    template: ClassVar[str] = "Naive"
    seen: ClassVar[list[list[Tensor]]] = []

    def arguments(self) -> dict[str, Any]:
        return {}

    def prepare(self, strategy: Any, run: SeedRun) -> None:
        step = strategy.optimizer_step

        def noted() -> None:
            self.seen.append([part.clone() for part in strategy.mbatch])
            step()

        strategy.optimizer_step = noted


def test_avalanche_trains_on_the_native_batches(tools: Any) -> None:
    cell = tools.make_cell(
        "split-digits:classes_per_task=2,setting=task,samples=8,order=[4,5,0,1,2,3]", MLP, **SHORT, seeds=(5, 2)
    )
    stream = stream_of_seed(tools.stream_of(cell), 1)
    network = take_seed(build_network(cell, tools.stream_of(cell)), 1)
    Recorder.seen.clear()
    with surroundings(torch.float64):
        SeedRun(
            cell,
            stream,
            network,
            Recorder(),
            watched=False,
            tell=lambda phase, steps: None,
            keeper=Keeper(lambda saved: None, NEVER, 0.0),
        ).train()
    assert len(Recorder.seen) == 12 * len(stream.train)
    for phase, samples in enumerate(stream.train):
        source = batches(stream, samples, 8, phase)
        for x, y, labels in Recorder.seen[12 * phase : 12 * (phase + 1)]:
            batch = next(source)
            assert torch.equal(x, batch.x[0])
            assert torch.equal(y, batch.y[0])
            assert labels.tolist() == [phase] * len(x)


def test_batches_that_end_too_early_are_refused(tools: Any) -> None:
    class Short(Recorder):
        def batches(self, strategy: Any, run: SeedRun, phase: int) -> Iterator[list[Tensor]]:
            return islice(super().batches(strategy, run, phase), 12 if phase == 0 else 5)

    cell = tools.make_cell(CLASSES, MLP, **SHORT, seeds=1)
    network = build_network(cell, tools.stream_of(cell))
    with surroundings(torch.float64), pytest.raises(InputError, match="gave 5 batches for task 2, and the policy takes 12"):
        SeedRun(
            cell,
            tools.stream_of(cell),
            network,
            Short(),
            watched=False,
            tell=lambda phase, steps: None,
            keeper=Keeper(lambda saved: None, NEVER, 0.0),
        ).train()


@pytest.mark.parametrize(
    "policy", ["moments kept", "lazy moments kept", "rates over the sequence", "sgd, momentum kept, clipped"]
)
def test_the_shadow_follows_naive_training_under_every_policy(tools: Any, policy: str) -> None:
    """A strategy of strength 0 has the shadow's weights, with penalties and moving grids of the architecture as well."""
    kan = "kan:hidden=3,intervals=4,base=silu,regularization=0.01,grid=each-task"
    said = {**SHORT, **POLICIES[policy]}
    cell = tools.make_cell(NUMBERS, kan, "naive", runner="avalanche", **said)
    for strength, equal in ((0.0, True), (1.0, False)):
        assert driven(tools, cell, EWC(ewc_lambda=strength))[1].equals_naive == equal


def test_both_see_the_same_when_seeds_are_stacked_otherwise(tools: Any) -> None:
    whole = tools.make_cell(CLASSES, MLP, "replay:mem_size=20", runner="avalanche", **SHORT, seeds=(3, 0, 5))
    together, alone = tools.train(whole).result, tools.train(replace(whole, seeds=(5,))).result
    for name, R in together.R.items():
        np.testing.assert_array_equal(R[2:], alone.R[name])


TWO = "split-digits:classes_per_task=2,samples=8,order=[0,1,2,3]"
COINCIDE = {
    "cumulative": (CLASSES, "cumulative", "cumulative"),
    "replay": (CLASSES, "replay:memory=500,replayed=all", "replay:mem_size=500,batch_size_mem=500"),
    "replay of numbers": (NUMBERS, "replay:memory=500,replayed=all", "replay:mem_size=500,batch_size_mem=500"),
    "agem": (CLASSES, "agem:memory=500,replayed=all", "agem:patterns_per_exp=500,sample_size=500"),
    "agem of numbers": (NUMBERS, "agem:memory=500,replayed=all", "agem:patterns_per_exp=500,sample_size=500"),
    "lwf": (CLASSES, "lwf:strength=0.5,temperature=2", "lwf:alpha=2,temperature=2"),
    "lwf of heads": ("split-digits:classes_per_task=2,setting=task,samples=8", "lwf:strength=2", "lwf:alpha=8"),
    "der++ after one task": (
        TWO,
        "der++:memory=16,replayed=all,alpha=2,beta=3",
        "der:mem_size=16,batch_size_mem=16,alpha=2,beta=3",
    ),
}
"""Where memories hold everything, and are seen whole at every step, no chance is left in which two definitions could differ."""


@pytest.mark.parametrize("case", COINCIDE)
def test_strategies_that_coincide_train_alike(tools: Any, case: str) -> None:
    scenario, ours, theirs = COINCIDE[case]
    assert_same_weights(tools, *pair(tools, scenario, MLP, ours, theirs), 1e-7)
