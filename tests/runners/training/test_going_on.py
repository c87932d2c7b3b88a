"""Guards going on from inside a task: from the bytes on disk, to the bit, whatever is trained and however."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kancl import options
from kancl.errors import is_interrupt
from kancl.options import parse_spec
from runners.config.cell import Cell
from runners.config.optimizers import OPTIMIZERS
from runners.experiment.blocks import run_blocks, run_in
from runners.measure.record import PRETRAINING, Pauses, Progress, Stopped, Within
from runners.measure.result import Result
from runners.run import run_cell
from runners.store.cell import CellStore
from runners.store.within import WITHIN
from runners.strategies import State, Strategy, strategies
from runners.stream.batches import Batch, batches
from runners.stream.cache import StreamCache
from runners.stream.mixtures import mixtures
from runners.stream.stream import Stream
from scenarios import Scenario, Task, scenarios

NUMBERS = "gaussian-peaks:tasks=3,samples=20,noise=0.1"
SAID: dict[str, Any] = {"seeds": 2, "lr": 0.01, "steps": 6, "batch_size": 7, "evaluations": 3, "optimizer": "adam"}
KAN = "kan:hidden=3,intervals=4"

CASES: dict[str, dict[str, Any]] = {
    **{f"strategy {name}": {"strategy": name} for name in strategies.names()},
    "strategy packnet": {"scenario": "split-digits:classes_per_task=5,setting=task", "strategy": "packnet"},
    **{f"{name}, {state}": {"optimizer": name, "state": state} for name in OPTIMIZERS for state in ("reset", "keep")},
    "lbfgs, ewc": {"optimizer": "lbfgs", "strategy": "ewc", "state": "keep"},
    "lazy updates": {"optimizer": "sgd", "momentum": 0.9, "lazy": True},
    "lazy updates of adam, clipped": {"lazy": True, "clip": 0.1},
    "decay on some": {"optimizer": "adamw", "weight_decay": 0.1, "decay_on": ("coefficients",)},
    "a schedule": {"schedule": "cosine"},
    "a schedule over all": {"schedule": "linear", "schedule_over": "sequence", "state": "keep"},
    "epochs": {"steps": None, "epochs": 2},
    "blur": {"scenario": f"{NUMBERS},blur=0.4", "state": "keep"},
    "pretraining": {"scenario": f"{NUMBERS},pretrain=1", "state": "keep", "schedule": "linear"},
    "pretraining, locality": {"scenario": f"{NUMBERS},pretrain=1", "locality": "on", "strategy": "ewc"},
    "locality": {"locality": "on"},
    "refined": {"architecture": "kan:hidden=3,intervals=3,grid=refine"},
    "a grid that moves": {"architecture": "kan:hidden=3,intervals=4,grid=each-task", "strategy": "replay:memory=5"},
    "heads": {"scenario": "split-digits:classes_per_task=5,setting=task", "strategy": "lwf"},
}  # fmt: skip


@pytest.fixture
def uneven(enrol: Any) -> str:
    """A scenario whose seeds have tasks of different sizes, and so are trained in blocks."""

    def build(seed: int) -> Scenario:
        def task(number: int) -> Task:
            x = number + torch.arange(2.0 * (8 + 3 * seed))[:, None] / 100 + seed / 7
            return Task(f"task {number}", (x[::2], x[::2].sin()), (x[1::2], x[1::2].sin()))

        return Scenario((task(0), task(1)), "mse")

    enrol(scenarios, "uneven", build)
    return "uneven"


def cell_of(tools: Any, scenario: str = NUMBERS, architecture: str = KAN, strategy: str = "naive", **said: Any) -> Cell:
    said = {**SAID, **said}
    if OPTIMIZERS[said["optimizer"]].searches:
        said["batch_size"] = "full"
    cell: Cell = tools.make_cell(scenario, architecture, strategy, **said)
    return cell


@dataclass
class Kept:
    """Copies of a cell's folder, one for each end of a task and for each of the places inside that are wanted."""

    folder: Path
    cell: Cell
    wanted: Callable[[int, int], bool]
    places: list[tuple[int, int]]

    def files(self, phase: int, step: int = 0) -> CellStore:
        return CellStore(self.folder / f"{phase}-{step}")

    def save(self, saved: Any) -> None:
        if not isinstance(saved, Within):
            files = self.files(saved.phases_done)
            files.begin(self.cell)
            files.save_checkpoint(saved)
        elif self.wanted(saved.phase, saved.step):
            self.places.append((saved.phase, saved.step))
            files = self.files(saved.phase, saved.step)
            files.begin(self.cell)
            ended = self.files(saved.phase).load_checkpoint()
            if ended is not None:
                files.save_checkpoint(ended)
            files.save_checkpoint(saved)


def assert_same(one: Result, other: Result) -> None:
    """Equal to the bit, all but the seconds."""
    ours, theirs = one.to_arrays(), other.to_arrays()
    assert ours.keys() == theirs.keys()
    for name in ours.keys() - {"seconds", "step_seconds", "evaluation_seconds"}:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


@pytest.mark.parametrize("case", CASES)
def test_a_run_goes_on_inside_any_task(tools: Any, tmp_path: Path, case: str) -> None:
    cell = cell_of(tools, **CASES[case])
    stream, last = tools.stream_of(cell), len(tools.stream_of(cell).names) - 1
    everywhere = case == "strategy naive"
    kept = Kept(tmp_path, cell, lambda phase, step: everywhere or (phase, step) in ((last, 3), (PRETRAINING, 2)), [])
    whole = run_cell(cell, stream, save=kept.save, pauses=Pauses(every=0.0))
    if everywhere:
        assert_same(whole, run_cell(cell, stream))  # saving changes nothing
    assert len(kept.places) == (15 if everywhere else 1 + (stream.pretrain is not None))
    for place in kept.places:
        resume = kept.files(*place).load_checkpoint()
        assert isinstance(resume, Within)
        assert (resume.phase, resume.step) == place
        torch.manual_seed(1)
        assert_same(run_cell(cell, stream, resume), whole)


def pause_at(steps: int) -> tuple[Pauses, Callable[[Progress], None]]:
    """What stops a run at the end of the slice in which so many steps of it are over, and what tells it."""
    done = 0

    def tell(progress: Progress) -> None:
        nonlocal done
        done = progress.steps

    return Pauses(asked=lambda: done >= steps), tell


def run_on(files: CellStore, cell: Cell, stream: Stream, stop: int | None = None) -> Result:
    """Run a cell from what is in its folder, until so many steps were taken."""
    resume = files.load_checkpoint()
    files.begin(cell)
    pauses, tell = (Pauses(), lambda progress: None) if stop is None else pause_at(stop)
    return run_in(files, cell, stream, resume, tell, pauses=pauses)


@pytest.mark.parametrize("stops", [(2, 3, 6, 9, 14), (6, 12)])
def test_a_run_that_is_stopped_again_and_again_ends_with_the_same_numbers(
    tools: Any, tmp_path: Path, stops: tuple[int, ...]
) -> None:
    cell = cell_of(tools, strategy="ewc", state="keep")
    stream, files = tools.stream_of(cell), CellStore(tmp_path)
    for stop in stops:
        with pytest.raises(Stopped) as stopped:
            run_on(CellStore(tmp_path), cell, stream, stop)
        assert is_interrupt(stopped.value)
        assert (tmp_path / WITHIN).exists() == bool(stop % 6)  # at the end of a task nothing is inside one
        saved = files.load_checkpoint()
        assert saved is not None
        assert saved.phases_done == stop // 6
    assert_same(run_on(CellStore(tmp_path), cell, stream), run_cell(cell, stream))
    assert not (tmp_path / WITHIN).exists()
    assert files.load_checkpoint() is not None


def test_what_is_damaged_or_left_behind_inside_a_task_counts_as_absent(tools: Any, tmp_path: Path) -> None:
    cell = cell_of(tools)
    stream, told = tools.stream_of(cell), []
    for name, stop in (("early", 8), ("late", 14)):
        with pytest.raises(Stopped):
            run_on(CellStore(tmp_path / name), cell, stream, stop)
    early, late = ((tmp_path / name / WITHIN).read_bytes() for name in ("early", "late"))
    whole = run_cell(cell, stream)
    flipped = late[: len(late) // 2] + bytes([late[len(late) // 2] ^ 1]) + late[len(late) // 2 + 1 :]
    for content, said in ((early, "is another file"), (flipped, "is not as it was written"), (b"", "")):
        (tmp_path / "late" / WITHIN).write_bytes(content)
        files = CellStore(tmp_path / "late", tell=told.append)
        resume = files.load_checkpoint()
        assert not isinstance(resume, Within)
        assert said in told[-1]
        assert WITHIN in told[-1]
        assert_same(run_cell(cell, stream, resume), whole)
    # Killed between the end of a task and the removal of what was inside it.
    stale = CellStore(tmp_path / "late")
    (tmp_path / "late" / WITHIN).write_bytes(late)
    saved = stale.load_checkpoint()
    assert isinstance(saved, Within)
    assert saved.before is not None
    run_cell(cell, stream, saved.before, save=lambda end: stale.save_checkpoint(end))
    (tmp_path / "late" / WITHIN).write_bytes(late)
    told.clear()
    saved = CellStore(tmp_path / "late", tell=told.append).load_checkpoint()
    assert not isinstance(saved, Within)
    assert not told


def test_what_does_not_fit_is_said_and_the_end_of_the_last_task_taken(tools: Any, tmp_path: Path) -> None:
    cell, other = cell_of(tools), cell_of(tools, optimizer="sgd", momentum=0.5)
    stream, told = tools.stream_of(cell), []
    with pytest.raises(Stopped):
        run_on(CellStore(tmp_path), cell, stream, 8)
    files = CellStore(tmp_path, tell=told.append)
    saved = files.load_checkpoint()
    assert isinstance(saved, Within)
    strange = replace(saved, network={"none": torch.zeros(2)})
    assert_same(run_in(files, cell, stream, strange, lambda progress: None), run_cell(cell, stream))
    assert "within.pt holds other networks" in told[0]
    assert other.key != cell.key


def test_batches_are_the_same_after_those_that_are_passed_over(tools: Any) -> None:
    stream = tools.stream_of(cell_of(tools, f"{NUMBERS},blur=0.4"))

    def drawn(source: Iterator[Batch], count: int) -> list[torch.Tensor]:
        return [next(source).x for _ in range(count)]

    for size in (1, 7, 20, "full"):
        for first in (0, 1, 3, 11):
            ours = drawn(batches(stream, stream.train[1], size, 1, first), 5)
            whole = drawn(batches(stream, stream.train[1], size, 1), 16)[first : first + 5]
            assert all(map(torch.equal, ours, whole))
            ours = drawn(mixtures(stream, size, 1, 20, first), 5)
            whole = drawn(mixtures(stream, size, 1, 20), 16)[first : first + 5]
            assert all(map(torch.equal, ours, whole))


@dataclass(frozen=True)
class Counting(Strategy):
    """Counts steps in its state, in place, and gives batches by what it counted when it made them."""

    def start(self, network: Any, stream: Stream) -> State:
        return {"count": torch.zeros(len(stream.seeds), dtype=torch.long)}

    def batches(self, state: State, source: Iterator[Batch], stream: Stream, phase: int) -> Iterator[Batch]:
        held = state["count"]
        return (replace(batch, y=batch.y + 0.01 * held[:, None, None]) for batch in source)

    def after_step(self, state: State, step: Any) -> None:
        state["count"] += 1


def test_a_strategy_of_ones_own_goes_on_with_the_state_that_its_batches_hold(tools: Any, tmp_path: Path, enrol: Any) -> None:
    enrol(strategies, "counting", Counting)
    cell = cell_of(tools, strategy="counting")
    assert isinstance(options.build(strategies.get("counting"), parse_spec("counting")), Counting)
    stream = tools.stream_of(cell)
    with pytest.raises(Stopped):
        run_on(CellStore(tmp_path), cell, stream, 8)
    assert_same(run_on(CellStore(tmp_path), cell, stream), run_cell(cell, stream))


def test_a_run_in_blocks_goes_on_inside_a_task_of_a_block(tools: Any, tmp_path: Path, uneven: str) -> None:
    cell = tools.make_cell(uneven, "mlp:hidden=3", "ewc", **{**SAID, "seeds": (0, 1)})
    stream, stopped = StreamCache().of(cell), 0
    assert len(stream.groups) == 2
    for stop in (4, 9, 16, 9):  # the steps of a block that is stored are not told again
        pauses, tell = pause_at(stop)
        with pytest.raises(Stopped):
            run_blocks(cell, stream, CellStore(tmp_path), tell, pauses)
        stopped += len(list(tmp_path.rglob(WITHIN)))
    assert stopped >= 3
    assert_same(run_blocks(cell, stream, CellStore(tmp_path), lambda progress: None), run_cell(cell, stream))
