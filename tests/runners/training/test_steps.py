"""Guards the training step: gradients written out are autograd's, the short way to Adam and replayed steps change no bit."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Adam, AdamW

from kancl.errors import InputError
from kancl.models.layers import SplineLayer
from runners.config.policy import Policy
from runners.strategies import State, Step, Strategy, strategies
from runners.stream.batches import Batch, batches
from runners.stream.samples import union
from runners.training.graphs import WARM_UP, GraphedLearner, can_be_recorded
from runners.training.learner import make_learner
from runners.training.networks import build_network
from runners.training.optimizers import DirectAdam, make_optimizer
from runners.training.steps import Lesson, StackedLearner
from runners.training.whole_vectors import WholeVectors
from scenarios.objectives import OBJECTIVES


@pytest.mark.parametrize("masked", [False, True], ids=["all-units", "heads"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("loss", OBJECTIVES)
def test_the_gradient_written_out_is_autograds(loss: str, dtype: torch.dtype, masked: bool) -> None:
    torch.manual_seed(0)
    outputs = (3 * torch.randn(3, 7, 4, dtype=dtype)).requires_grad_()
    targets = torch.randint(2, (3, 7)) if loss == "cross-entropy" else torch.randn(3, 7, 4, dtype=dtype)
    mask = (torch.arange(4) < 2).expand(3, 7, 4) if masked else None
    (expected,) = torch.autograd.grad(OBJECTIVES[loss].loss(outputs, targets, mask).sum(), outputs)
    before = outputs.detach().clone()
    gradient = OBJECTIVES[loss].gradient(outputs.detach(), targets, mask)
    torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-7 if dtype == torch.float32 else 2e-16)
    assert torch.equal(outputs.detach(), before)
    if masked:
        assert not gradient[..., 2:].any()


def parameters_with_gradients() -> list[nn.Parameter]:
    torch.manual_seed(0)
    return [nn.Parameter(torch.randn(shape)) for shape in ((3, 5), (3, 1, 2), (3,))]


@pytest.mark.parametrize("silent", [(), (4, 9)], ids=["always", "some-without"])
@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("kind", [Adam, AdamW])
def test_the_short_way_is_torchs_adam_to_the_bit(kind: Any, decay: float, silent: tuple[int, ...]) -> None:
    ours, theirs = parameters_with_gradients(), parameters_with_gradients()
    direct = DirectAdam(kind(ours, lr=3e-2, weight_decay=decay, fused=True))
    plain = kind(theirs, lr=3e-2, weight_decay=decay, fused=True)
    for step in range(12):
        if step == 7:  # saved and read back in the middle
            fresh = DirectAdam(kind(ours, lr=3e-2, weight_decay=decay, fused=True))
            fresh.load_state_dict(direct.state_dict())
            direct = fresh
        generator = torch.Generator().manual_seed(step)
        for place, (own, other) in enumerate(zip(ours, theirs, strict=True)):
            gradient = torch.randn(own.shape, generator=generator)
            own.grad, other.grad = (None, None) if step in silent and place == 1 else (gradient, gradient.clone())
        direct.step()
        plain.step()
        for own, other in zip(ours, theirs, strict=True):
            assert torch.equal(own, other)
    for own, other in zip(ours, theirs, strict=True):
        assert torch.equal(direct.optimizer.state[own]["exp_avg_sq"], plain.state[other]["exp_avg_sq"])
        assert direct.optimizer.state[own]["step"] == plain.state[other]["step"] == 12 - (len(silent) if own is ours[1] else 0)
    direct.zero_grad()
    assert all(own.grad is None for own in ours)


def step_both(ours: list[nn.Parameter], theirs: list[nn.Parameter], direct: Any, plain: Any, key: int = 0) -> None:
    """Take one step with both, on the same gradients, and see that no bit differs."""
    generator = torch.Generator().manual_seed(key)
    for own, other in zip(ours, theirs, strict=True):
        own.grad = torch.randn(own.shape, generator=generator)
        other.grad = own.grad.clone()
    direct.step()
    plain.step()
    assert all(torch.equal(own, other) for own, other in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("kind", [Adam, AdamW])
def test_a_parameter_that_got_other_storage_goes_on_learning(kind: Any) -> None:
    ours, theirs = parameters_with_gradients(), parameters_with_gradients()
    direct, plain = DirectAdam(kind(ours, lr=3e-2, fused=True)), kind(theirs, lr=3e-2, fused=True)
    for key in range(4):
        if key == 2:
            for parameter in (*ours, *theirs):
                parameter.data = parameter.data * 0.5
        step_both(ours, theirs, direct, plain, key)


@pytest.mark.parametrize("kind", [Adam, AdamW])
def test_a_loaded_state_counts_whole(kind: Any) -> None:
    """Its moments, none as well, and its settings."""
    ours, theirs = parameters_with_gradients(), parameters_with_gradients()
    direct, plain = DirectAdam(kind(ours, lr=3e-2, fused=True)), kind(theirs, lr=3e-2, fused=True)
    empty = direct.state_dict()
    for key in range(3):
        step_both(ours, theirs, direct, plain, key)
    for settings in ({"lr": 1e-1}, {"betas": (0.5, 0.7)}, {"eps": 1e-2}, {"weight_decay": 0.3}, {"amsgrad": True}):
        for optimizer in (direct, plain):
            state = optimizer.state_dict()
            state["param_groups"][0].update(settings)
            if "amsgrad" in settings:
                state["state"] = {}
            optimizer.load_state_dict(state)
        step_both(ours, theirs, direct, plain)
        step_both(ours, theirs, direct, plain)
    for optimizer in (direct, plain):
        optimizer.load_state_dict(empty)
    step_both(ours, theirs, direct, plain)
    step_both(ours, theirs, direct, plain)


def test_a_parameter_that_never_had_a_gradient_has_no_state() -> None:
    parameters = parameters_with_gradients()
    direct = DirectAdam(Adam(parameters, lr=0.1, fused=True))
    parameters[0].grad = torch.ones_like(parameters[0])
    direct.step()
    assert set(direct.state_dict()["state"]) == {0}


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_the_short_way_is_taken_where_it_is_one(optimizer: Any) -> None:
    policy = Policy(optimizer=optimizer, lr=0.1, steps=1)
    ragged = make_optimizer(zip("abc", parameters_with_gradients(), strict=True), policy)
    assert isinstance(ragged, WholeVectors)
    for made in (ragged.inner, make_optimizer([("a", nn.Parameter(torch.ones(2, 8)))], policy)):
        assert isinstance(made, DirectAdam) == (optimizer != "sgd")


# Steps that do not depend on the stack.

WAYS: dict[str, dict[str, Any]] = {
    "adam": {"optimizer": "adam"},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.1},
    "groups": {"optimizer": "adam", "weight_decay": 0.1, "decay_on": ("bias",)},
    "lazy": {"optimizer": "adam", "lazy": True},
    "momentum": {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.1},
}


def stepped(seeds: slice, way: str, dtype: torch.dtype, steps: int = 12, silent: int = -1, again: int = -1) -> tuple[Any, Any]:
    """Parameters of some of 7 seeds after some steps, and their optimiser; before step ``again`` it is saved and made anew."""
    random = torch.Generator().manual_seed(0)
    shapes = {"weight": (7, 3, 5), "bias": (7, 1, 3), "scale": (7, 16), "base": (7, 1)}
    named = {n: nn.Parameter(torch.randn(shape, generator=random, dtype=dtype)[seeds].clone()) for n, shape in shapes.items()}
    policy = Policy(lr=3e-2, steps=1, **WAYS[way])
    optimizer = make_optimizer(named.items(), policy)
    for step in range(steps):
        if step == again:
            state = optimizer.state_dict()
            optimizer = make_optimizer(named.items(), policy)
            optimizer.load_state_dict(state)
        optimizer.zero_grad()
        for name, shape in shapes.items():
            sizes = 10 ** (-3 * torch.rand(shape, generator=random, dtype=dtype))
            gradient = torch.randn(shape, generator=random, dtype=dtype) * sizes
            if step != silent or name != "bias":
                named[name].grad = gradient[seeds].clone()
        optimizer.step()
    return {name: parameter.detach() for name, parameter in named.items()}, optimizer


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("way", WAYS)
def test_steps_of_a_seed_are_the_same_to_the_bit_alone_and_in_any_stack(way: str, dtype: torch.dtype) -> None:
    """torch's own differ in the moments: the end of a tensor is rounded otherwise, and where it lies follows from the stack."""
    stack, optimizer = stepped(slice(0, 7), way, dtype)
    for s in range(7):
        alone, own = stepped(slice(s, s + 1), way, dtype)
        assert all(torch.equal(stack[name][s : s + 1], alone[name]) for name in stack)
        for number, state in own.state_dict()["state"].items():
            for name, moment in state.items():
                theirs = optimizer.state_dict()["state"][number][name]
                assert torch.equal(theirs if name == "step" else theirs[s : s + 1], moment), (number, name)


@pytest.mark.parametrize("silent", [-1, 4])
@pytest.mark.parametrize("way", WAYS)
def test_whole_vectors_take_torchs_steps(way: str, silent: int) -> None:
    """Up to rounding, with gradients that are missing at a step, and after the state was saved and read."""
    ours, optimizer = stepped(slice(0, 5), way, torch.float64, silent=silent, again=6)
    assert isinstance(optimizer, WholeVectors)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("runners.training.optimizers.is_ragged", lambda tensor: False)
        theirs, plain = stepped(slice(0, 5), way, torch.float64, silent=silent, again=6)
    for name, parameter in ours.items():
        torch.testing.assert_close(parameter, theirs[name], rtol=1e-12, atol=1e-12)
    # The state has torch's form: checkpoints of either can be read by the other.
    one, other = optimizer.state_dict(), plain.state_dict()
    assert one["param_groups"] == other["param_groups"]
    for number, state in other["state"].items():
        assert {k: v.shape for k, v in one["state"][number].items()} == {k: v.shape for k, v in state.items()}


def test_a_ragged_parameter_that_got_other_storage_goes_on_learning() -> None:
    parameter = nn.Parameter(torch.ones(1, 3))
    optimizer = make_optimizer([("a", parameter)], Policy(optimizer="sgd", lr=1.0, steps=1))
    for storage in (parameter.data, torch.full((1, 3), 5.0)):
        parameter.data = storage
        parameter.grad = torch.ones(1, 3)
        optimizer.step()
    assert parameter.tolist() == [[4.0, 4.0, 4.0]]


class Tape:
    """Stands in for CUDA's graphs: repeats what was recorded on the tensors that it was recorded with."""

    def __init__(self) -> None:
        self.prepared = self.recorded = self.replayed = 0

    def prepare(self, body: Callable[[], None]) -> None:
        self.prepared += 1
        body()

    def record(self, body: Callable[[], None]) -> Callable[[], None]:
        self.recorded += 1

        def replay() -> None:
            self.replayed += 1
            body()

        return replay


@pytest.mark.parametrize(("size", "alike"), [("full", 11), (8, 9)])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_replayed_steps_are_the_plain_ones_to_the_bit(tools: Any, size: Any, alike: int, optimizer: Any) -> None:
    cell = tools.make_cell("split-digits:setting=task", "kan", optimizer=optimizer, lr=1e-2, steps=1, seeds=3)
    stream = tools.stream_of(cell)
    samples = union([stream.train[1]])
    few = type(samples)(samples.x[:, :44], samples.y[:, :44], samples.task[:44])  # five batches of 8 and one of 4
    strategy, tape, trained = strategies.get("naive")(), Tape(), []
    for kind, more in ((StackedLearner, {}), (GraphedLearner, {"recorder": tape})):
        network = build_network(cell, stream)
        learner = kind(Lesson(network, cell.policy, stream.objective, strategy), {}, **more)
        source = batches(stream, few, size, phase=1)
        learner.take_steps(source, 5)
        learner.take_steps(source, 6)
        trained.append([parameter.detach() for parameter in network.parameters()])
    assert (tape.prepared, tape.recorded) == (WARM_UP, 1)
    assert tape.replayed == (alike if size == "full" else 10) - WARM_UP
    for plain, replayed in zip(*trained, strict=True):
        assert torch.equal(plain, replayed)


def test_no_task_replays_what_was_recorded_in_another(tools: Any) -> None:
    """A graph reads the very memory that was recorded; a grid that moves at a task's begin gets other memory."""
    cell = tools.make_cell("gaussian-peaks", "kan:hidden=2,grid=each-task", optimizer="adam", steps=1, seeds=2, state="keep")
    stream = tools.stream_of(cell)
    network, read = build_network(cell, stream), []

    class Checks(Tape):
        def record(self, body: Callable[[], None]) -> Callable[[], None]:
            tables, replay = grids(), super().record(body)

            def run() -> None:
                read.append(all(now is then for now, then in zip(grids(), tables, strict=True)))
                replay()

            return run

    def grids() -> list[Any]:
        return [module.grid() for module in network.modules() if isinstance(module, SplineLayer)]

    tape = Checks()
    learner = GraphedLearner(Lesson(network, cell.policy, stream.objective, Strategy()), {}, recorder=tape)
    for phase in range(2):
        network.begin_task(stream.train[phase].x)
        source = batches(stream, stream.train[phase], "full", phase)
        for _ in range(2):
            learner.take_steps(source, WARM_UP + 1)
    assert (tape.prepared, tape.recorded, tape.replayed) == (2 * WARM_UP, 2, 2 * (WARM_UP + 2))
    assert all(read)


def test_only_steps_without_hooks_on_a_gpu_are_recorded(tools: Any) -> None:
    cell = tools.make_cell("gaussian-peaks", "kan", optimizer="adam", steps=1)
    network = build_network(cell, tools.stream_of(cell))

    class Gpu(nn.Module):
        def parameters(self, recurse: bool = True) -> Iterator[Any]:
            yield type("Parameter", (), {"is_cuda": True})

    class Shrinks(Strategy):
        def after_step(self, state: State, step: Step) -> None:
            pass

    class Pays(Strategy):
        def penalty(self, state: State, step: Step) -> Tensor | None:
            return None

    class Projects(Strategy):
        def correct(self, state: State, step: Step) -> None:
            pass

    class Replays(Strategy):
        def batches(self, state: State, source: Iterator[Batch], stream: Any, phase: int) -> Iterator[Batch]:
            return source

    here = Lesson(network, cell.policy, OBJECTIVES["mse"], Strategy())
    on_gpu = replace(here, network=Gpu())  # type: ignore[arg-type]
    assert not can_be_recorded(here)
    assert can_be_recorded(on_gpu)
    for strategy in (Shrinks(), Pays(), Projects(), Replays()):
        assert not can_be_recorded(replace(on_gpu, strategy=strategy))
    assert type(make_learner(here, {})) is StackedLearner


def test_a_penalty_joins_the_gradient(tools: Any) -> None:
    class Pays(Strategy):
        def penalty(self, state: State, step: Step) -> Tensor:
            return torch.stack([p.square().flatten(1).sum(1) for p in step.network.parameters()]).sum(0)

    cell = tools.make_cell("gaussian-peaks", "kan:regularization=0.3", optimizer="adam", steps=1, seeds=2)
    stream = tools.stream_of(cell)
    network = build_network(cell, stream)
    samples = stream.train[0]
    learner = StackedLearner(Lesson(network, cell.policy, stream.objective, Pays()), {})
    outputs = network(samples.x)
    step = Step(network, Batch(samples.x, samples.y, None), outputs, stream.objective)
    total = stream.objective.loss(outputs, samples.y, None) + network.penalty() + Pays().penalty({}, step)
    expected = torch.autograd.grad(total.sum(), list(network.parameters()))
    learner.step(Batch(samples.x, samples.y, None))
    for parameter, gradient in zip(network.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_a_stream_moves_with_all_that_a_network_meets(tools: Any) -> None:
    for scenario in ("gaussian-peaks", "split-digits:setting=task"):
        stream = tools.stream_of(tools.make_cell(scenario, "mlp", steps=1)).to("meta")
        met = [t for s in (*stream.train, *stream.test) for t in (s.x, s.y, s.task)]
        met += [t for t in (stream.low, stream.high, stream.heads, stream.plot_x) if t is not None]
        assert {tensor.device.type for tensor in met} == {"meta"}
        assert stream.device.type == "meta"


def test_gradients_are_corrected_before_they_are_clipped_and_used(tools: Any) -> None:
    class Halves(Strategy):
        def correct(self, state: State, step: Step) -> None:
            for parameter in step.network.parameters():
                parameter.grad *= 0.5

    cell = tools.make_cell("gaussian-peaks", "mlp", optimizer="sgd", momentum=0.0, lr=0.5, clip=1e-3, steps=1, seeds=2)
    stream = tools.stream_of(cell)
    network, other = build_network(cell, stream), build_network(cell, stream)
    batch = Batch(stream.train[0].x, stream.train[0].y, None)
    policy = replace(cell.policy, clip=None)
    StackedLearner(Lesson(network, policy, stream.objective, Halves()), {}).step(batch)
    StackedLearner(Lesson(other, replace(policy, lr=0.25), stream.objective, Strategy()), {}).step(batch)
    for one, two in zip(network.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two)
    learner = StackedLearner(Lesson(network, cell.policy, stream.objective, Halves()), {})
    learner.step(batch)
    norms = torch.stack([p.grad.flatten(1).square().sum(1) for p in network.parameters() if p.grad is not None]).sum(0).sqrt()
    assert norms.tolist() == pytest.approx([1e-3] * 2, rel=1e-2)  # the limit bounds what is used, not what came in


def test_lbfgs_refuses_strategies_that_change_gradients(tools: Any, enrol: Callable[..., None]) -> None:
    class Projects(Strategy):
        def correct(self, state: State, step: Step) -> None:
            pass

    enrol(strategies, "projects", Projects)
    with pytest.raises(InputError, match="changes gradients"):
        tools.make_cell("gaussian-peaks", "kan", "projects")
    tools.make_cell("gaussian-peaks", "kan", "projects", optimizer="adam")


def test_a_strategy_refuses_what_it_cannot_do_before_anything_runs(tools: Any, enrol: Callable[..., None]) -> None:
    class Picky(Strategy):
        def check(self, network: Any, stream: Any, policy: Any) -> None:
            raise InputError(f"needs classes, got {stream.setting} with {policy.optimizer}")

    enrol(strategies, "picky", Picky)
    with pytest.raises(InputError, match="needs classes, got domain with adam"):
        tools.make_cell("gaussian-peaks", "mlp", "picky")
