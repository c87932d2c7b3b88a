"""What is trained in single precision is what was asked for: offsets are taken out first, losses said or refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from kancl.errors import InputError
from kancl.options import Spec
from runners.cli.main import main
from runners.config.request import Request
from runners.experiment.expand import expand
from runners.measure.result import Result
from runners.run import run_cell
from runners.stream.cache import StreamCache
from runners.stream.stack import stack
from runners.stream.stream import Stream
from scenarios import Scenario, Task, scenarios
from scenarios.checks.precision import merged_samples, offset_to_take_out
from scenarios.inspection.cautions import cautions

LENGTH = 100.0


def windows(seed: int, offset: float = 0.0) -> Scenario:
    """Return a wave learned window by window; the input is a time that may begin at any offset."""
    rng = np.random.default_rng(seed)
    tasks = []
    for number in range(2):
        t = rng.uniform(number * LENGTH, (number + 1) * LENGTH, 60)
        x, y = (t + offset)[:, None], np.sin(2 * np.pi * t / LENGTH)[:, None]
        tasks.append(Task(f"window {number}", (x[:40], y[:40]), (x[40:], y[40:])))
    return Scenario(tuple(tasks), "mse")


@pytest.fixture
def stacked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Stream]:
    """Stack two seeds of a builder; more are options of the builder."""

    def build(builder: Callable[..., Scenario], dtype: torch.dtype = torch.float32, **more: Any) -> Stream:
        monkeypatch.setitem(scenarios._entries, "own", builder)
        return stack(Spec("own", more), (0, 1), dtype)

    return build


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    def train(builder: Callable[..., Scenario], architecture: str, offset: float, dtype: str = "float32") -> Result:
        monkeypatch.setitem(scenarios._entries, "own", builder)
        request = Request(
            (f"own:offset={offset!r}",), (architecture,), ("naive",), seeds="2", optimizer="lbfgs", steps=10, dtype=dtype
        )
        (cell,) = expand([request])
        return run_cell(cell, StreamCache().of(cell))

    return train


SPLINES = "kan:hidden=[],intervals=20,base=none"


@pytest.mark.parametrize("offset", [1e5, 1.7e9, -1.7e9, 1.7e12])
def test_an_offset_changes_nothing_for_splines(trained: Callable[..., Result], offset: float) -> None:
    near, far = trained(windows, SPLINES, 0.0), trained(windows, SPLINES, offset)
    assert far.input_offset is not None
    assert near.input_offset is None
    np.testing.assert_allclose(far.R["rmse"], near.R["rmse"], atol=2e-3)
    assert far.R["rmse"][:, 1, 0].max() < 0.1
    assert Result.from_arrays(far.to_arrays()).input_offset is not None


def test_double_precision_takes_inputs_as_they_are(stacked: Callable[..., Stream]) -> None:
    stream = stacked(windows, torch.float64, offset=1.7e9)
    assert (stream.offset, stream.remarks[1:]) == (None, ())  # but that inputs are large
    assert torch.equal(stream.train[0].x[1], windows(1, 1.7e9).tasks[0].train[0])


def test_what_is_left_is_the_column_minus_one_number_for_all_seeds(stacked: Callable[..., Stream]) -> None:
    stream = stacked(windows, offset=1.7e9)
    assert stream.offset is not None
    assert stream.offset.unique().numel() == 1
    for s, seed in enumerate(stream.seeds):
        x = windows(seed, 1.7e9).tasks[1].test[0]
        assert torch.equal(stream.test[1].x[s], (x - stream.offset[s]).float())
        assert torch.equal(stream.offset[s] + (x - stream.offset[s]), x), "the subtraction is exact"
    assert bool((stream.low < stream.high).all())
    assert "input 0 lies around 1700000000, where numbers of float32 are 128 apart" in stream.remarks[0]
    assert "--dtype float64" in stream.remarks[0]


def columns(seed: int, kind: str = "year") -> Scenario:
    """Return two columns: one usual, one of a kind."""
    rng = np.random.default_rng(seed)
    other = {
        "year": lambda: rng.integers(1990, 2020, 40).astype(float),
        "whole": lambda: 2.0**40 + 2.0**17 * rng.integers(0, 30, 40),
        "constant": lambda: np.full(40, 1.7e12),
        "vast": lambda: np.full(40, 1e300),
        "near": lambda: 50 + rng.uniform(size=40),
        "far": lambda: 1e6 + rng.uniform(size=40),
        "tiny": lambda: 1e-44 * rng.uniform(size=40),
        "huge": lambda: 1e60 * rng.uniform(size=40),
    }[kind]()
    x = np.column_stack([rng.uniform(-1, 1, 40), other])
    return Scenario((Task("a", (x[:30], x[:30, :1]), (x[30:], x[30:, :1])),), "mse")


@pytest.mark.parametrize(
    ("kind", "shifted"),
    [("year", False), ("whole", False), ("near", False), ("far", True), ("constant", True)],
)
def test_only_what_would_lose_something_is_shifted(stacked: Callable[..., Stream], kind: str, shifted: bool) -> None:
    stream = stacked(columns, kind=kind)
    assert bool((stream.low < stream.high).all())
    if shifted:
        assert stream.offset is not None
        assert stream.offset[:, 0].tolist() == [0, 0]
        assert stream.offset[:, 1].all()
    else:
        assert stream.offset is None
        assert torch.equal(stream.train[0].x[0], columns(0, kind).tasks[0].train[0].float())


@pytest.mark.parametrize("kind", ["tiny", "huge", "vast"])
def test_a_column_that_no_shift_saves_is_refused(stacked: Callable[..., Stream], kind: str) -> None:
    with pytest.raises(InputError, match=r"own.*: input 1 ranges from .* float32 .*; scale it, or say --dtype float64"):
        stacked(columns, kind=kind)
    assert stacked(columns, torch.float64, kind=kind).offset is None


def double(u: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return 2 * u(x)


def test_an_operator_knows_its_inputs_so_they_are_not_shifted(stacked: Callable[..., Stream]) -> None:
    def trained_by_operator(seed: int, offset: float = 0.0) -> Scenario:
        return Scenario(windows(seed, offset).tasks, "mse", operator=double)

    assert stacked(trained_by_operator).offset is None
    with pytest.raises(InputError, match=r"input 0 ranges from .* the scenario's operator knows it by its values"):
        stacked(trained_by_operator, offset=1.7e9)


def test_what_is_one_tensor_stays_one_and_domain_and_figure_follow(stacked: Callable[..., Stream]) -> None:
    def shared(seed: int, offset: float = 0.0) -> Scenario:
        x = torch.linspace(offset, offset + 30.1, 20, dtype=torch.float64)[:, None]
        y = torch.cos(x - offset)
        tasks = tuple(Task(name, (x, y), (x, y)) for name in "ab")
        return Scenario(
            tasks, "mse", domain=((offset, offset + 31),), test_is_train=True, target=lambda x: torch.cos(x - offset)
        )

    near, far = stacked(shared), stacked(shared, offset=1.6e9)
    assert far.offset is not None
    assert far.plot_x is not None
    assert near.plot_x is not None
    assert far.train[0].x.data_ptr() == far.test[1].x.data_ptr()
    torch.testing.assert_close(far.low + far.offset, torch.full((2, 1), 1.6e9, dtype=torch.float64))
    torch.testing.assert_close(far.plot_x.double() + far.offset[:1], near.plot_x.double() + 1.6e9, rtol=0, atol=1e-5)
    torch.testing.assert_close(far.plot_target, near.plot_target, rtol=0, atol=1e-5)


def outcomes(seed: int, offset: float = 0.0, scale: float = 1.0, quiet: float = 1.0) -> Scenario:
    """Return two tasks whose targets may have an offset and a scale; those of the second may be smaller."""
    rng = np.random.default_rng(seed)
    tasks = []
    for name, size in (("loud", scale), ("quiet", scale * quiet)):
        x = rng.uniform(-1, 1, (40, 1))
        y = size * np.sin(3 * x) + offset
        tasks.append(Task(name, (x[:30], y[:30]), (x[30:], y[30:])))
    return Scenario(tuple(tasks), "mse")


@pytest.mark.parametrize("more", [{"offset": 1e9}, {"offset": 1.0, "scale": 1e-6}, {"scale": 1e25}])
def test_targets_that_a_format_does_not_keep_are_refused(stacked: Callable[..., Stream], more: dict[str, float]) -> None:
    with pytest.raises(InputError, match=r"own.*: target 0 ranges from .*; standardise the targets, .*--dtype float64"):
        stacked(outcomes, **more)
    assert not stacked(outcomes, torch.float64, **more).remarks


def test_targets_that_a_format_keeps_are_taken(stacked: Callable[..., Stream]) -> None:
    for more in ({}, {"offset": 10.0}, {"scale": 1e-6}, {"scale": 1e6}):
        assert not stacked(outcomes, **more).remarks


def test_a_null_score_that_becomes_0_is_said(stacked: Callable[..., Stream]) -> None:
    stream = stacked(outcomes, quiet=1e-30)
    assert stream.null["rmse"][:, 1].tolist() == [0, 0]
    (remark,) = stream.remarks
    assert "in float32 the null score of task 'quiet' comes out as 0" in remark
    assert not stacked(outcomes, quiet=0.0).remarks  # it is 0


def test_samples_that_become_one_are_counted(stacked: Callable[..., Stream]) -> None:
    def close(seed: int) -> Scenario:
        rng = np.random.default_rng(seed)
        x = np.repeat(rng.uniform(1, 2, 20), 2) + np.tile([0, 1e-12 * (seed == 1)], 20)
        x = np.column_stack([x, np.zeros(40)])
        return Scenario((Task("a", (x[:38], x[:38, :1]), (x[38:] + 4, x[38:, :1])),), "mse")

    assert merged_samples(close(0), torch.float32) == (0, 0)  # they are equal before
    assert merged_samples(close(1), torch.float32) == (20, 40)
    (remark,) = stacked(close).remarks
    assert "20 of 40 distinct inputs become equal to another one in float32 (seed 1)" in remark


def test_remarks_about_some_seeds_name_them(stacked: Callable[..., Stream]) -> None:
    def one_of_two(seed: int) -> Scenario:
        return outcomes(seed, quiet=1e-30 if seed else 1.0)

    assert stacked(one_of_two).remarks[0].startswith("seed 1: in float32 the null score")


def test_large_inputs_are_said_once_for_all_seeds(stacked: Callable[..., Stream]) -> None:
    (remark,) = stacked(windows).remarks
    assert remark.startswith("inputs reach")


@pytest.mark.parametrize(
    ("scenario", "said"),
    [
        (lambda: windows(0, 1.7e9), "input 0 lies around 1700000000"),
        (lambda: outcomes(0, offset=1e9), "target 0 ranges from"),
        (lambda: columns(0, "tiny"), "input 1 ranges from"),
        (lambda: outcomes(0, quiet=1e-30), "null score of task 'quiet'"),
    ],
)
def test_the_check_of_a_scenario_says_what_a_run_would(scenario: Callable[[], Scenario], said: str) -> None:
    assert any(said in caution for caution in cautions(scenario()))


def test_the_offset_is_that_of_the_seed_alone() -> None:
    alone = [offset_to_take_out(windows(seed, 1.7e9), torch.float32) for seed in range(5)]
    assert torch.stack(alone).unique().numel() == 1


def test_run_says_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(scenarios._entries, "own", windows)
    asked = ["--architectures", "mlp", "--steps", "3", "--seeds", "1", "--out", str(tmp_path / "out")]
    assert main(["run", "own:offset=1.7e9", *asked]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum("input 0 lies around 1700000000" in line for line in lines) == 1
    assert sum("inputs reach 200; bring them to about [-1, 1]" in line for line in lines) == 1
