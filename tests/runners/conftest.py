"""Shared by the tests of the runners: small cells, the command line in process, and user files."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import jaxtyping
import pytest
import torch

from kancl.models import architectures
from kancl.options import Spec
from kancl.registry import Builder, Registry
from runners.config.cell import Cell
from runners.config.request import Request
from runners.experiment.expand import expand
from runners.measure.record import Checkpoint
from runners.run import run_cell
from runners.stream.cache import StreamCache
from runners.stream.stack import stack
from runners.stream.stream import Stream
from scenarios import scenarios


@pytest.fixture(autouse=True)
def _shapes(request: pytest.FixtureRequest) -> Iterator[None]:
    """Check shapes where every entry of a registry is trained; elsewhere whole runs would check the same ones at every step."""
    jaxtyping.config.update("jaxtyping_disable", not request.path.stem.endswith("_contract"))
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(autouse=True)
def _one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands do cells in this process unless a test asks for more."""
    monkeypatch.setattr("runners.experiment.executors.choose.cores", lambda: 1)


def shapes_met() -> None:
    """Check no more shapes in this test: a cell was trained, and trained again it meets the same ones."""
    jaxtyping.config.update("jaxtyping_disable", True)


STREAMS = StreamCache()
BUILT_IN = frozenset(scenarios.names())
NETWORKS = frozenset(architectures.names())
CHECKED: set[str] = set()


@cache
def _stream(scenario: str, options: str, seeds: tuple[int, ...], dtype: torch.dtype) -> Stream:
    return stack(Spec(scenario, json.loads(options)), seeds, dtype)


def stream_of(cell: Cell) -> Stream:
    """The cell's stream; made once per process."""
    return _stream(cell.scenario.name, json.dumps(dict(cell.scenario.options)), cell.seeds, getattr(torch, cell.dtype))


def make_cell(scenario: str, architecture: str, strategy: str = "naive", **said: Any) -> Cell:
    """One cell, every option spelled out; ``said`` holds the keys of a Request."""
    seeds = said.pop("seeds", 2)
    wanted = Request(scenarios=(scenario,), architectures=(architecture,), strategies=(strategy,), seeds=1, **said)
    known = scenario.partition(":")[0] in BUILT_IN  # other names may mean another thing in the next test
    tried = known and architecture.partition(":")[0] in NETWORKS
    (cell,) = expand([wanted], streams=STREAMS if known else None, checked=CHECKED if tried else None)
    code = {name: digest for name, digest in cell.content.items() if name != "data"}  # that of one seed
    return replace(cell, seeds=seeds if isinstance(seeds, tuple) else tuple(range(seeds)), content=code)


@dataclass(frozen=True)
class Trained:
    """What training a cell gave: its result, and the stacked weights at every task end."""

    result: Any
    weights: list[dict[str, torch.Tensor]]
    states: list[dict[str, torch.Tensor]]


def train(cell: Cell, stream: Stream | None = None) -> Trained:
    """Run a cell in memory."""
    weights: list[dict[str, torch.Tensor]] = []
    states: list[dict[str, torch.Tensor]] = []

    def keep(checkpoint: Checkpoint) -> None:
        weights.append({name: tensor.detach().clone() for name, tensor in checkpoint.network.items()})
        states.append({name: tensor.clone() for name, tensor in checkpoint.state.items()})

    result = run_cell(cell, stream or stream_of(cell), save=keep)
    shapes_met()
    return Trained(result, weights, states)


@dataclass(frozen=True)
class Tools:
    """The functions above, for tests."""

    make_cell: Callable[..., Cell] = make_cell
    stream_of: Callable[[Cell], Stream] = stream_of
    train: Callable[..., Trained] = train
    shapes_met: Callable[[], None] = shapes_met


@pytest.fixture(scope="session")
def tools() -> Tools:
    return Tools()


@pytest.fixture
def enrol() -> Iterator[Callable[[Registry, str, Builder], None]]:
    """Register a builder for the length of one test."""
    added: list[tuple[Registry, str]] = []

    def register(registry: Registry, name: str, builder: Builder) -> None:
        registry.register(name)(builder)
        added.append((registry, name))

    yield register
    for registry, name in added:
        del registry._entries[name]


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


@pytest.fixture
def kancl(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run the kancl command in this process."""
    from runners.cli.main import main

    def command(*arguments: object) -> Ended:
        capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        return Ended(code, *capsys.readouterr())

    return command


ONE_THREAD = {
    **{name: value for name, value in os.environ.items() if name != "COLUMNS"},
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


@pytest.fixture
def python() -> Callable[..., "subprocess.Popen[str]"]:
    """Start Python on a script in a process of its own."""

    def start(script: str, *arguments: object, cwd: Path | None = None) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", script, *map(str, arguments)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ONE_THREAD, cwd=cwd,
        )  # fmt: skip

    return start
