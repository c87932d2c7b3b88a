"""Plug-ins that fail, in every way, at every place, at every call: their own cell fails and says so, the others are done."""

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from kancl.errors import ForeignError, InputError, StorageError, blamed, one_line
from kancl.models import Network, Problem, architectures
from kancl.models.mlp import mlp
from runners.config.cell import Cell
from runners.config.request import Request
from runners.experiment.expand import expand
from runners.experiment.sweep import Outcomes, run
from runners.measure.record import Progress
from runners.run import run_cell
from runners.store.experiment import Store
from runners.strategies import State, Step, Strategy, strategies
from runners.stream.batches import Batch
from runners.stream.cache import StreamCache
from runners.stream.stream import Stream

Enrol = Callable[..., None]
Kancl = Callable[..., Any]


class _MuteError(Exception):
    def __str__(self) -> str:
        raise ValueError("no text either")


class _ExitingError(Exception):
    def __str__(self) -> str:
        raise SystemExit(5)

    __repr__ = __str__


class _FrozenError(Exception):
    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(name)


class _PressedError(KeyboardInterrupt):
    """No Ctrl-C is of this class."""


KINDS: dict[str, tuple[Callable[[], BaseException], str]] = {
    "runtime": (lambda: RuntimeError("boom"), "boom"),
    "key": (lambda: KeyError("boom"), "KeyError: 'boom'"),
    "memory": (MemoryError, "MemoryError"),
    "recursion": (lambda: RecursionError("deep"), "RecursionError: deep"),
    "stop": (lambda: StopIteration("over"), "StopIteration: over"),
    "generator": (GeneratorExit, "GeneratorExit"),
    "exit": (lambda: SystemExit(3), "SystemExit: 3"),
    "pressed": (lambda: _PressedError("no key"), "_PressedError: no key"),
    "named": (lambda: type("KeyboardInterrupt", (Exception,), {})("no key"), "KeyboardInterrupt: no key"),
    "disk": (lambda: OSError(28, "No space left on device"), "OSError: [Errno 28] No space left on device"),
    "storage": (lambda: StorageError("my own disk"), "StorageError: my own disk"),
    "input": (lambda: InputError("my own input"), "InputError: my own input"),
    "markup": (
        lambda: RuntimeError("[/b] x [red]y $5 [enforce fail at a.cpp:1]"),
        "[/b] x [red]y $5 [enforce fail at a.cpp:1]",
    ),
    "surrogate": (lambda: RuntimeError("a \ud800 b"), r"a \ud800 b"),
    "control": (lambda: ValueError("two\nlines \x1b[31m\x00"), r"ValueError: two lines \x1b[31m\x00"),
    "empty": (lambda: RuntimeError(""), "RuntimeError"),
    "mute": (_MuteError, "_MuteError: (its text cannot be read: ValueError)"),
    "exiting": (_ExitingError, "_ExitingError: (its text cannot be read: SystemExit)"),
    "frozen": (lambda: _FrozenError("still"), "_FrozenError: still"),
    "group": (
        lambda: BaseExceptionGroup("two", [SystemExit(1), ValueError("x")]),
        "BaseExceptionGroup: two (2 sub-exceptions)",
    ),
}
"""How to make an error, and how its text is told."""


@dataclass
class Fuse:
    """Raises at one place, at its n-th call."""

    make: Callable[[], BaseException] = RuntimeError
    place: str = ""
    after: int = 0
    calls: dict[str, int] = field(default_factory=dict)

    def burn(self, place: str) -> None:
        self.calls[place] = self.calls.get(place, 0) + 1
        if place == self.place and self.calls[place] > self.after:
            raise self.make()


class _Backward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, fuse: Fuse) -> Tensor:
        ctx.fuse = fuse
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        ctx.fuse.burn("backward")
        return gradient, None


class Fused(Network):
    """A network of somebody's, with a fuse in it."""

    def __init__(self, inner: Network, fuse: Fuse) -> None:
        super().__init__()
        self.inner, self.fuse = inner, fuse

    def __deepcopy__(self, memo: Any) -> "Fused":
        return Fused(copy.deepcopy(self.inner, memo), self.fuse)

    def forward(self, x: Tensor) -> Tensor:
        self.fuse.burn("forward")
        return _Backward.apply(self.inner(x), self.fuse)

    def penalty(self) -> Tensor | None:
        self.fuse.burn("network's penalty")
        return None

    def begin_task(self, x: Tensor) -> None:
        self.fuse.burn("network's begin_task")


@dataclass(frozen=True)
class Hooked(Strategy):
    """A strategy of somebody's, with a fuse in every hook."""

    fuse: ClassVar[Fuse] = Fuse()

    def data_of(self, phase: int, tasks: int) -> range:
        self.fuse.burn("data_of")
        return range(phase, phase + 1)

    def starts_anew(self, phase: int) -> bool:
        self.fuse.burn("starts_anew")
        return False

    def start(self, network: Network, stream: Any) -> State:
        self.fuse.burn("start")
        return {}

    def begin_task(self, state: State, network: Network, samples: Any, phase: int) -> State:
        self.fuse.burn("begin_task")
        return state

    def expect(self, state: State, steps: int) -> State:
        self.fuse.burn("expect")
        return state

    def batches(self, state: State, source: Iterator[Batch], stream: Any, phase: int) -> Iterator[Batch]:
        for batch in source:
            self.fuse.burn("batches")
            yield batch

    def penalty(self, state: State, step: Step) -> Tensor | None:
        self.fuse.burn("penalty")
        return None

    def correct(self, state: State, step: Step) -> None:
        self.fuse.burn("correct")

    def after_step(self, state: State, step: Step) -> None:
        self.fuse.burn("after_step")

    def end_task(self, state: State, network: Network, samples: Any, phase: int) -> State:
        self.fuse.burn("end_task")
        return state

    def parameters_for(self, state: State, network: Network, task: int) -> None:
        self.fuse.burn("parameters_for")


HOOKS = (
    "data_of",
    "start",
    "begin_task",
    "expect",
    "batches",
    "penalty",
    "correct",
    "after_step",
    "end_task",
    "parameters_for",
)


class Silence:
    def begin_cell(self, cell: Cell, number: int, count: int) -> None:
        """Say nothing."""

    def progress(self, cell: Cell, progress: Progress) -> None:
        """Say nothing."""

    def end_cell(self, cell: Cell, outcome: str) -> None:
        """Say nothing."""


@pytest.fixture
def sweep(enrol: Enrol, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[list[Cell], Outcomes]]:
    """Run a network, or a strategy, with a fuse, and one without."""

    def swept(fuse: Fuse, part: str = "architecture") -> tuple[list[Cell], Outcomes]:
        def fused(problem: Problem) -> Network:
            return Fused(mlp(problem, hidden=(3,)), fuse)

        monkeypatch.setattr(Hooked, "fuse", fuse)
        enrol(architectures, "fused", fused)
        enrol(strategies, "hooked", Hooked)
        names = (("fused", "mlp"), ("naive",)) if part == "architecture" else (("mlp",), ("hooked", "naive"))
        cells = expand([Request(("gaussian-peaks:tasks=2",), *names, seeds=2, steps=6, evaluations=2)])
        return cells, run(cells, Store(tmp_path / "out"), Silence())

    return swept


def failed_alone(cells: list[Cell], outcome: Outcomes, out: Path, part: str, said: str) -> None:
    """The cells of the broken part failed with these words, and so says what is stored; the others are done."""
    broken = {cell.key for cell in cells if getattr(cell, part).name in ("fused", "hooked")}
    assert set(outcome.failures) == broken
    assert set(outcome.results) == {cell.key for cell in cells} - broken
    for key in broken:
        assert outcome.failures[key] == said
        status = json.loads((out / "cells" / key / "status.json").read_text())
        assert (status["state"], status["error"]) == ("failed", said)
        assert any("test_failing_plugins.py" in line for line in status["traceback"])


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_a_network_raises_its_cell_fails_with_it(sweep: Any, tmp_path: Path, kind: str) -> None:
    make, told = KINDS[kind]
    cells, outcome = sweep(Fuse(make, "forward", 12))
    failed_alone(cells, outcome, tmp_path / "out", "architecture", f"architecture fused failed in its forward pass: {told}")


@pytest.mark.parametrize("after", [0, 1, 2, 5, 9, 20])
def test_at_whatever_call_a_network_raises_the_others_are_done(sweep: Any, tmp_path: Path, after: int) -> None:
    """In the checks, while steps are timed, and later: the count goes on over all of them."""
    cells, outcome = sweep(Fuse(lambda: StopIteration("over"), "forward", after))
    said = "architecture fused failed in its forward pass: StopIteration: over"
    failed_alone(cells, outcome, tmp_path / "out", "architecture", said)


@pytest.mark.parametrize(("place", "after", "said"), [
    ("backward", 1, "its backward pass"),
    ("backward", 15, "its backward pass"),
    ("network's penalty", 0, "its penalty"),
    ("network's penalty", 15, "its penalty"),
    ("network's begin_task", 0, "its begin_task"),
])  # fmt: skip
def test_in_whatever_a_network_does_its_cell_fails_with_it(
    sweep: Any, tmp_path: Path, place: str, after: int, said: str
) -> None:
    cells, outcome = sweep(Fuse(lambda: ValueError("boom"), place, after))
    failed_alone(cells, outcome, tmp_path / "out", "architecture", f"architecture fused failed in {said}: ValueError: boom")


@pytest.mark.parametrize("kind", ["runtime", "stop", "exit"])
@pytest.mark.parametrize("hook", HOOKS)
def test_in_whatever_hook_a_strategy_raises(sweep: Any, tmp_path: Path, hook: str, kind: str) -> None:
    make, told = KINDS[kind]
    cells, outcome = sweep(Fuse(make, hook), "strategy")
    if (hook, kind) == ("batches", "stop"):  # its own generator made another error of it
        told = "generator raised StopIteration"
    failed_alone(cells, outcome, tmp_path / "out", "strategy", f"strategy hooked failed in its hook {hook}: {told}")


def test_batches_that_end_are_told(tools: Any, enrol: Enrol) -> None:
    class Short(Strategy):
        def batches(self, state: State, source: Iterator[Batch], stream: Any, phase: int) -> Iterator[Batch]:
            return iter([next(source), next(source)])

    enrol(strategies, "short", Short)
    cell = tools.make_cell("gaussian-peaks:tasks=2", "mlp", "short", steps=6, evaluations=2)
    with pytest.raises(InputError, match="ended after 2 batches, and must not end") as caught:
        run_cell(cell, tools.stream_of(cell))
    assert blamed(caught.value, {"strategy": "short"}).startswith("strategy short failed in its hook batches: ")


def test_a_network_that_fails_under_a_strategy_is_to_blame_not_the_strategy(tools: Any, enrol: Enrol) -> None:
    fuse = Fuse(lambda: RuntimeError("boom"), "forward", 10**9)

    def fused(problem: Problem) -> Network:
        return Fused(mlp(problem, hidden=(3,)), fuse)

    class Looking(Strategy):
        def end_task(self, state: State, network: Network, samples: Any, phase: int) -> State:
            fuse.after = 0
            network(samples.x)
            return state

    enrol(architectures, "fused", fused)
    enrol(strategies, "looking", Looking)
    cell = tools.make_cell("gaussian-peaks:tasks=2", "fused", "looking", steps=6, evaluations=2)
    fuse.after = 10**9  # the strategy has been tried
    with pytest.raises(RuntimeError) as caught:
        run_cell(cell, tools.stream_of(cell))
    said = blamed(caught.value, {"architecture": "fused", "strategy": "looking"})
    assert said == "architecture fused failed in its forward pass (called by strategy looking in its hook end_task): boom"


def test_a_disk_that_fails_stops_all(sweep: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: Any) -> None:
        raise StorageError("disk full")

    monkeypatch.setattr("runners.store.experiment.CellStore.save_checkpoint", full)
    with pytest.raises(StorageError, match="disk full"):
        sweep(Fuse())


@pytest.mark.parametrize("place", ["forward", "penalty"])
def test_ctrl_c_stays_ctrl_c(sweep: Any, place: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        sweep(Fuse(KeyboardInterrupt, place, 12), "architecture" if place == "forward" else "strategy")


@pytest.mark.parametrize("error", [OSError(32, "Broken pipe"), SystemExit(1), UnicodeEncodeError("ascii", "µ", 0, 1, "no")])
@pytest.mark.parametrize("hook", ["begin_cell", "progress", "end_cell"])
def test_what_cannot_be_shown_costs_no_result(tools: Any, tmp_path: Path, hook: str, error: BaseException) -> None:
    listener, calls = Silence(), []

    def fail(*given: Any) -> None:
        calls.append(given)
        raise error

    setattr(listener, hook, fail)
    cells = [tools.make_cell("gaussian-peaks:tasks=2", "mlp", steps=steps, evaluations=2) for steps in (4, 6)]
    outcome = run(cells, Store(tmp_path / "out"), listener)
    assert (set(outcome.results), outcome.failures) == ({cell.key for cell in cells}, {})
    assert len(calls) == 1, "what failed once is not tried at every step"


def test_a_cell_that_never_began_says_why(tools: Any, tmp_path: Path) -> None:
    class TooLarge(StreamCache):
        def of(self, cell: Cell) -> Stream:
            raise MemoryError("2 TB")

    cell = tools.make_cell("gaussian-peaks:tasks=2", "mlp", steps=4, evaluations=2)
    outcome = run([cell], Store(tmp_path / "out"), Silence(), streams=TooLarge())
    assert outcome.failures == {cell.key: "MemoryError: 2 TB"}
    assert json.loads((tmp_path / "out/cells" / cell.key / "status.json").read_text())["error"] == "MemoryError: 2 TB"


@pytest.mark.parametrize("error", [StopIteration("over"), GeneratorExit(), SystemExit(3)])
def test_no_plugin_ends_a_stream_or_the_process_silently(error: BaseException) -> None:
    problem = Problem(1, 1, (0,), torch.zeros(1, 1), torch.ones(1, 1))
    network = Fused(mlp(problem, hidden=(3,)), Fuse(lambda: error, "forward", 1))
    with pytest.raises(ForeignError, match=type(error).__name__):  # where map would end, and give one of three
        list(map(network, torch.rand(3, 1, 2, 1)))


def test_a_long_text_is_cut() -> None:
    assert one_line(ValueError("x" * 10_000)) == f"ValueError: {'x' * 499}…"


FILE = """
import torch
from kancl.models import Network, Problem
from kancl.models.mlp import mlp


def _spoiled(problem, spoil):
    net = mlp(problem, hidden=(4,))
    plain, calls = net.forward, [0]

    def forward(x):
        calls[0] += 1
        return spoil(plain(x), calls[0])

    net.forward = forward
    return net


def late(problem: Problem, after: int = 10) -> Network:
    def spoil(y, n):
        if n > after:
            raise RuntimeError("boom [/b] in forward")
        return y
    return _spoiled(problem, spoil)


def inplace(problem: Problem) -> Network:
    def spoil(y, n):
        y = y.exp()
        y += 1
        return y
    return _spoiled(problem, spoil)


def looked_into(problem: Problem) -> Network:
    net = mlp(problem, hidden=(4,))
    def refuse(*given, **more):
        raise LookupError("no state for you")
    net.state_dict = refuse
    return net
"""


@pytest.mark.parametrize(("name", "said"), [
    ("late", "failed in its forward pass: boom [/b] in forward"),
    ("inplace", "failed in its backward pass: one of the variables needed for gradient computation"),
    ("looked_into", "failed: LookupError: no state for you"),
])  # fmt: skip
def test_the_command_line_names_the_file_and_shows_no_traceback(
    kancl: Kancl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("nets.py").write_text(FILE)
    run = ("run", "gaussian-peaks:tasks=2", "--architectures", f"./nets.py:{name}", "mlp", "--seeds", 2, "--steps", 12)
    for state in ("done", "stored"):
        ended = kancl(*run, "--out", "out")
        shown = " ".join(ended.out.split())
        assert ended.code == 1
        assert f"architecture ./nets.py:{name} {said}" in shown
        assert f"/ mlp / naive / adam lr=0.003 steps=12 / 2 seeds: {state}" in shown
        assert "Traceback" not in ended.out + ended.err


def test_of_several_strategies_the_one_that_fails_is_named(
    kancl: Kancl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "checks.py").write_text(
        "from runners.strategies import Strategy\n\n\nclass Broken(Strategy):\n    def check(self, *arguments):\n"
        '        raise RuntimeError("boom")\n\n\ndef broken() -> Strategy:\n    return Broken()\n'
    )
    monkeypatch.chdir(tmp_path)
    said = kancl("run", "gaussian-peaks:tasks=2,samples=20", "--strategies", "./checks.py:broken", "naive", "--seeds", "2")
    assert said.code == 2
    assert said.err.strip() == "kancl: strategy ./checks.py:broken failed in its hook check: boom"


def test_an_architecture_that_is_the_only_one_is_refused_at_its_first_error(
    kancl: Kancl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("nets.py").write_text(FILE)
    ended = kancl("run", "gaussian-peaks:tasks=2", "--architectures", "./nets.py:late:after=0", "--seeds", 2, "--out", "out")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("kancl: architecture nets.py:late:after=0 failed on inputs of shape")
    assert not Path("out").exists()
