"""Guards the seeds' rule over all that is random: networks and strategies that draw elsewhere are refused, with the reason.

And what kancl offers instead gives a seed the same numbers alone, in a stack, again and after a resume.
"""

import copy
import itertools
import os
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from kancl import global_generators
from kancl.errors import InputError
from kancl.global_generators import UngovernedError
from kancl.models import Draws, Dropout, Network, Problem, architectures, take_seed
from kancl.models.layers import StackedLinear
from runners.config.policy import Policy
from runners.config.request import Request
from runners.experiment.expand import expand
from runners.measure.record import Checkpoint
from runners.run import run_cell
from runners.strategies import State, Step, Strategy, strategies
from runners.training.checks import check_policy
from runners.training.graphs import can_be_recorded
from runners.training.steps import Lesson

DIGITS = "split-digits:classes_per_task=5,setting=domain,samples=20"
STEPS: dict[str, Any] = {"steps": 4, "batch_size": 16, "evaluations": 2, "optimizer": "adam"}


def check(scenario: str, architecture: str, strategy: str = "naive", **said: Any) -> None:
    """Make a cell, as a run does before anything is trained."""
    expand([Request(scenarios=(scenario,), architectures=(architecture,), strategies=(strategy,), **said)])


class Noisy(Network):
    """An MLP whose hidden units go through ``act`` in training, or always."""

    def __init__(self, problem: Problem, act: Callable[[Tensor], Tensor], always: bool = False, p: float = 0.0) -> None:
        super().__init__()
        own = problem.generators()
        self.first = StackedLinear(problem.inputs, 8, own, problem.dtype)
        self.last = StackedLinear(8, problem.outputs, own, problem.dtype)
        self.dropout, self.act, self.always = Dropout(problem, p), act, always

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.dropout(torch.tanh(self.first(x)))
        return self.last(self.act(hidden) if self.training or self.always else hidden)


def noisy(act: Callable[[Tensor], Tensor], **said: Any) -> Callable[[Problem], Network]:
    def build(problem: Problem) -> Network:
        return Noisy(problem, act, **said)

    return build


def own_generator(problem: Problem) -> Network:
    ours = torch.Generator().manual_seed(3)
    return Noisy(problem, lambda h: h + torch.rand(h.shape, generator=ours, dtype=h.dtype))


def own_count(problem: Problem) -> Network:
    count = itertools.count()
    return Noisy(problem, lambda h: h * (1 + next(count)))


class Backward(torch.autograd.Function):
    """Draws in the backward pass alone."""

    @staticmethod
    def forward(ctx: Any, h: Tensor) -> Tensor:
        return h.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad * torch.rand(())


UNGOVERNED: dict[str, tuple[Callable[[Problem], Network], str]] = {
    "torch": (noisy(nn.Dropout(0.01)), r"global generator of torch, .*kancl\.models\.Dropout\(problem, p\)"),
    "torch, unused": (noisy(lambda h: h + 0 * torch.rand(1)), "global generator of torch"),
    "backward": (noisy(Backward.apply), "global generator of torch"),
    "numpy": (noisy(lambda h: h * np.random.rand()), r"global generator of numpy\.random"),
    "random": (noisy(lambda h: h * random.random()), "global generator of random"),
    "random, too": (noisy(lambda h: h * random.random() * torch.rand(1)), "global generator of torch and random"),
    "fresh": (noisy(lambda h: h * np.random.default_rng().random()), "a source that no seed governs"),
    "urandom": (noisy(lambda h: h * os.urandom(4)[0]), "a source that no seed governs"),
    "own generator": (own_generator, "a generator that no checkpoint has"),
    "own count": (own_count, "keep counts in buffers"),
    "evaluation": (noisy(lambda h: h if torch.is_grad_enabled() else h + torch.rand(1), always=True), "in evaluation"),
    "evaluation, fresh": (
        noisy(lambda h: h if torch.is_grad_enabled() else h * os.urandom(8)[0], always=True), "no seed governs in evaluation",
    ),
    "stack": (noisy(lambda h: h - h.mean(0)), "let nothing cross the seed axis"),
}  # fmt: skip


@pytest.fixture
def untyped(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """As it is without these tests' checker of types, which draws from ``random`` itself."""
    if request.node.callspec.params["name"] in ("random", "random, too"):
        monkeypatch.setattr(global_generators, "CHECKERS", {})


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize("name", UNGOVERNED)
@pytest.mark.parametrize("seeds", [1, 3])
def test_a_network_that_draws_elsewhere_is_refused(enrol: Callable[..., None], name: str, seeds: int) -> None:
    build, said = UNGOVERNED[name]
    enrol(architectures, "noisy", build)
    before = torch.get_rng_state(), np.random.get_state()[2]
    with pytest.raises(InputError, match=said):
        check(DIGITS, "noisy", seeds=seeds, **STEPS)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == np.random.get_state()[2]


DRAWS: dict[str, Callable[[], object]] = {
    "nothing": lambda: None,
    "the second of a pair": lambda: np.random.standard_normal(1),  # which moves nothing but itself where it is kept
    "a pair": lambda: np.random.standard_normal(2),
    "as many as take the place back to its number": lambda: np.random.bytes(4 * global_generators.WORDS),
}


@pytest.mark.parametrize("looked", [True, False], ids=["looked at before", "not"])
@pytest.mark.parametrize("kept", [True, False], ids=["a number is kept", "none"])
@pytest.mark.parametrize("name", DRAWS)
def test_any_draw_from_numpy_is_seen(looked: bool, kept: bool, name: str) -> None:
    with global_generators.restored():
        np.random.seed(0)
        np.random.standard_normal(1 if kept else 2)
        if looked:
            global_generators.states()
        before = global_generators.states()
        DRAWS[name]()
        assert global_generators.moved(before) == ([] if name == "nothing" else ["numpy.random"])
        assert global_generators.moved(global_generators.states()) == []


def test_a_state_that_is_put_back_is_looked_at_anew() -> None:
    with global_generators.restored():
        np.random.standard_normal(1)  # another one is kept
        with global_generators.restored():
            np.random.standard_normal(1)
            global_generators.states()
        before = global_generators.states()
        np.random.standard_normal(1)
        assert global_generators.moved(before) == ["numpy.random"]


def test_what_a_network_draws_under_a_seed_of_its_own_and_puts_back_is_no_fault(enrol: Callable[..., None]) -> None:
    def act(hidden: Tensor) -> Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return hidden * torch.rand(hidden.shape[1:])

    enrol(architectures, "noisy", noisy(act))
    check(DIGITS, "noisy", seeds=2, **STEPS)


def test_what_begins_to_draw_after_many_steps_fails_its_cell_with_the_reason(tools: Any, enrol: Callable[..., None]) -> None:
    calls = itertools.count()
    enrol(architectures, "late", noisy(lambda h: h if next(calls) < 25 else h + torch.rand(1)))
    cell = tools.make_cell(DIGITS, "late", **{**STEPS, "steps": 60})
    with pytest.raises(UngovernedError, match="training on task 1 used the global generator of torch, which no seed governs"):
        tools.train(cell)


class Drawing(Strategy):
    """Draws somewhere in the hook of the test's choice."""

    def __init__(self, hook: str, draw: Callable[[], float]) -> None:
        self.hook, self.draw = hook, draw

    def _drawn(self, hook: str) -> float:
        return self.draw() if hook == self.hook else 1.0

    def start(self, network: Network, stream: Any) -> State:
        return {"scale": torch.full((len(stream.seeds),), float(self._drawn("start")))}

    def penalty(self, state: State, step: Step) -> Tensor:
        return self._drawn("penalty") * state["scale"] * step.outputs.square().mean((1, 2))

    def end_task(self, state: State, network: Network, samples: Any, phase: int) -> State:
        return {"scale": state["scale"] * self._drawn("end_task")}


@pytest.mark.parametrize("hook", ["start", "penalty", "end_task"])
@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda: torch.rand(()).item(), "used the global generator of torch"),
        (random.random, "gives another .* when it is run again"),
        (lambda: 1.0 + os.urandom(4)[0], "gives another .* when it is run again"),
    ],
    ids=["torch", "random", "urandom"],
)
def test_a_strategy_that_draws_elsewhere_is_refused(
    enrol: Callable[..., None], hook: str, draw: Callable[[], float], said: str
) -> None:
    enrol(strategies, "drawing", lambda: Drawing(hook, draw))
    with pytest.raises(InputError, match=f"mlp / drawing: .*{said}"):
        check(DIGITS, "mlp", "drawing", seeds=2, **STEPS)


# What is offered instead.


class Dropped(Network):
    """An MLP with dropout and noise."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        own = problem.generators()
        self.first = StackedLinear(problem.inputs, 8, own, problem.dtype)
        self.last = StackedLinear(8, problem.outputs, own, problem.dtype)
        self.dropout, self.noise = Dropout(problem, 0.4), Draws(problem, "noise")

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.dropout(torch.tanh(self.first(x)))
        return self.last(hidden + 0.1 * self.noise(hidden, "normal") if self.training else hidden)


@pytest.mark.parametrize("strategy", ["naive", "independent", "ewc", "der++", "agem", "lwf"])
def test_dropout_by_seed_is_the_same_again_alone_and_after_a_resume(
    tools: Any, enrol: Callable[..., None], strategy: str
) -> None:
    enrol(architectures, "dropped", Dropped)
    cell = replace(tools.make_cell(DIGITS, "dropped", strategy, **STEPS, dtype="float64"), seeds=(3, 0, 5))

    def ends(seeds: tuple[int, ...], resume: Checkpoint | None = None) -> list[Checkpoint]:
        own, kept = replace(cell, seeds=seeds), []
        run_cell(own, tools.stream_of(own), resume, save=lambda checkpoint: kept.append(copy.deepcopy(checkpoint)))
        return kept

    stacked, again, alone = ends(cell.seeds), ends(cell.seeds), ends((5,))
    resumed = ends(cell.seeds, copy.deepcopy(stacked[0]))
    for name, tensor in stacked[-1].network.items():
        assert torch.equal(tensor, again[-1].network[name]), name
        assert torch.equal(tensor, resumed[-1].network[name]), name
        torch.testing.assert_close(tensor[-1:], alone[-1].network[name], rtol=1e-9, atol=1e-10)
    assert (stacked[-1].network["noise.count"] > 0).all()


def problem_of(*seeds: int) -> Problem:
    ends = torch.ones(len(seeds), 2)
    return Problem(2, 1, seeds, -ends, ends)


def test_dropout_keeps_the_mean_and_draws_anew_for_every_seed_pass_and_purpose() -> None:
    dropout, x = Dropout(problem_of(0, 1), 0.3), torch.ones(2, 400, 50)
    one, two = dropout(x), dropout(x)
    torch.testing.assert_close(one.mean((1, 2)), torch.ones(2), atol=0.02, rtol=0)
    assert one.unique().tolist() == pytest.approx([0, 1 / 0.7])
    assert not torch.equal(one, two)
    assert not torch.equal(one[0], one[1])
    assert not torch.equal(one, Dropout(problem_of(0, 1), 0.3, "other")(x))
    assert torch.equal(dropout.eval()(x), x)
    # Taken out of a stack a network knows its seed, and how often it has drawn.
    stack = Dropped(problem_of(4, 7))
    stack(torch.ones(2, 5, 2))
    single = take_seed(stack, 1)
    assert torch.equal(single(torch.ones(1, 5, 2)), stack(torch.ones(2, 5, 2))[1:])


@pytest.mark.parametrize("p", [-0.1, 1.0])
def test_a_share_that_is_none_is_refused(p: float) -> None:
    with pytest.raises(InputError, match="p must be a share"):
        Dropout(problem_of(0), p)


def test_networks_that_draw_are_not_recorded_and_not_searched_along(tools: Any, enrol: Callable[..., None]) -> None:
    enrol(architectures, "dropped", Dropped)
    cell = tools.make_cell(DIGITS, "dropped", **STEPS)
    stream, network, naive = tools.stream_of(cell), Dropped(problem_of(0)), strategies.get("naive")()
    with pytest.raises(InputError, match="lbfgs compares losses of successive passes"):
        check_policy(network, stream, Policy(optimizer="lbfgs", steps=1), naive, "dropped")

    class Gpu(Dropped):
        def parameters(self, recurse: bool = True) -> Any:
            yield type("Parameter", (), {"is_cuda": True})

    assert not can_be_recorded(Lesson(Gpu(problem_of(0)), Policy(steps=1), stream.objective, naive))
