"""Guards pretraining: how long it takes, what it learns, where row 0 is, going on after it, and what is refused."""

import copy
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kancl.errors import InputError
from runners.config.request import Request
from runners.experiment.expand import expand
from runners.measure.record import Checkpoint, Progress
from runners.results.results import load
from runners.run import run_cell
from runners.store.cell import CellStore
from runners.strategies import State, Strategy, strategies
from runners.stream.batches import batches
from runners.stream.cache import StreamCache
from runners.stream.samples import Samples
from runners.stream.stream import Stream
from runners.training.learner import make_learner
from runners.training.networks import build_network
from runners.training.pretraining import pretraining_steps
from runners.training.steps import Lesson
from scenarios import Scenario, Task, scenarios

SAID: dict[str, Any] = {"seeds": 2, "optimizer": "adam", "lr": 0.01, "steps": 12, "evaluations": 2}


def cell_of(text: str, architecture: str = "mlp", strategy: str = "naive", **said: Any) -> Any:
    (cell,) = expand([Request((text,), (architecture,), (strategy,), **{**SAID, **said})])
    return cell


def run(cell: Any, **more: Any) -> tuple[Any, list[Checkpoint]]:
    saved: list[Checkpoint] = []
    result = run_cell(cell, StreamCache().of(cell), save=lambda checkpoint: saved.append(copy.deepcopy(checkpoint)), **more)
    return result, saved


@pytest.fixture(scope="module")
def uneven() -> Iterator[str]:
    """Pretraining by the author, on two tasks of 10 and 7 samples that are no tasks of the sequence; then two tasks of 6."""

    def part(start: float, count: int, name: str) -> Task:
        x = start + torch.arange(2.0 * count)[:, None] / 100
        return Task(name, (x[::2], x[::2]), (x[1::2], x[1::2]))

    def build(seed: int) -> Scenario:
        sequence = (part(0, 6, "A"), part(1, 6, "B"))
        return Scenario(sequence, "mse", pretrain=(part(2, 10, "P"), part(3, 7, "Q")))

    scenarios.register("pretrained-by-its-author")(build)
    yield "pretrained-by-its-author"
    del scenarios._entries["pretrained-by-its-author"]


@pytest.mark.parametrize(
    ("said", "steps"), [({"steps": 12}, 24), ({"steps": None, "epochs": 3, "batch_size": 4}, 3 * 3 + 3 * 2)]
)
def test_it_takes_what_the_policy_gives_each_of_its_tasks(uneven: str, said: dict[str, Any], steps: int) -> None:
    cell = cell_of(uneven, **said)
    assert pretraining_steps(cell.policy, StreamCache().of(cell)) == steps
    told: list[Progress] = []
    result, _ = run(cell, tell=told.append)
    each = cell.policy.steps_per_task(6)
    assert result.steps == steps + 2 * each
    assert [progress.steps for progress in told] == sorted(progress.steps for progress in told)
    assert told[0].task == 0
    assert told[-1].steps == told[-1].total_steps == result.steps
    assert max(progress.steps for progress in told if progress.task == 0) == steps


def test_row_0_is_measured_after_it_and_equals_plain_training_on_its_samples(uneven: str) -> None:
    cell = cell_of(uneven, batch_size=4)
    stream = StreamCache().of(cell)
    network = build_network(cell, stream)
    assert stream.pretrain is not None
    assert stream.pretrain.x.shape == (2, 17, 1)
    assert stream.pretrain.x.stride(0) == 0  # kept once, though it was put together from two tasks
    learner = make_learner(Lesson(network, cell.policy, stream.objective, Strategy()), {})
    learner.take_steps(batches(stream, stream.pretrain, 4, "pretrain"), 24)
    with torch.no_grad():
        errors = [(network(samples.x) - samples.y).square().mean((1, 2)).sqrt().double().numpy() for samples in stream.test]
    result, saved = run(cell)
    np.testing.assert_allclose(result.R["rmse"][:, 0], np.stack(errors, 1), rtol=1e-6)
    assert saved[0].phases_done == 0
    plain = run(cell_of("gaussian-peaks:tasks=2"))[1]
    assert [checkpoint.phases_done for checkpoint in plain] == [1, 2]  # no file where there is no pretraining


def test_heads_work_in_it_by_sample() -> None:
    cell = cell_of("split-digits:setting=task,pretrain=2", batch_size=64, steps=150)
    stream = StreamCache().of(cell)
    assert stream.heads is not None
    assert stream.pretrain is not None
    assert stream.heads.shape == (5, 10)
    batch = next(batches(stream, stream.pretrain, 64, "pretrain"))
    assert batch.mask is not None
    assert batch.mask.gather(-1, batch.y[..., None]).all()
    assert (batch.mask.sum(-1) == 2).all()
    assert len(batch.mask[0].unique(dim=0)) == 2
    result, saved = run(cell)
    assert result.R["accuracy"].shape == (2, 4, 3)
    assert (result.R["accuracy"][:, 1, 0] > 0.9).all()
    # The outputs of the tasks that come later were not trained: their biases are where they began.
    start = build_network(cell, stream).state_dict()
    name = [name for name in start if "bias" in name][-1]
    moved = (saved[0].network[name] != start[name]).reshape(2, -1)[:, -10:]
    assert moved.tolist() == [[True] * 4 + [False] * 6] * 2


@pytest.mark.parametrize("state", ["reset", "keep"])
@pytest.mark.parametrize("strategy", ["naive", "joint"])
@pytest.mark.parametrize("locality", ["on", "off"])
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_going_on_after_it_gives_the_same_numbers(
    tmp_path: Path, state: Any, strategy: str, locality: Any, optimizer: Any
) -> None:
    """Through the file."""
    said = {"lr": 1.0 if optimizer == "lbfgs" else 0.01, "optimizer": optimizer, "steps": 6}
    text = "gaussian-peaks:tasks=3,samples=20,pretrain=1"
    cell = cell_of(text, "kan", strategy, state=state, locality=locality, **said)
    whole, saved = run(cell)
    files = CellStore(tmp_path)
    files.save_checkpoint(saved[0])
    read = files.load_checkpoint()
    assert read is not None
    assert read.phases_done == 0
    assert (read.learner is not None) == (state == "keep")
    again, later = run(cell, resume=read)
    assert [checkpoint.phases_done for checkpoint in later] == [1, 2]
    np.testing.assert_array_equal(again.R["rmse"], whole.R["rmse"])
    assert again.steps == whole.steps
    if locality == "on":
        np.testing.assert_array_equal(again.locality.parts, whole.locality.parts)


def test_state_is_kept_out_of_it_only_if_asked_for() -> None:
    kept, reset = (run(cell_of("gaussian-peaks:tasks=3,pretrain=1", state=state))[0].R["rmse"] for state in ("keep", "reset"))
    np.testing.assert_array_equal(kept[:, 0], reset[:, 0])
    assert not np.array_equal(kept[:, 1], reset[:, 1])


def test_it_is_another_start_for_the_same_sequence() -> None:
    """Beside the control, which leaves the same tasks out: the same tasks, ranges and orders, other numbers."""
    texts = ("gaussian-peaks:tasks=4,pretrain=2", "gaussian-peaks:tasks=4,skip=2")
    cells = [cell_of(text) for text in texts]
    one, other = (StreamCache().of(cell) for cell in cells)
    assert one.names == other.names
    assert torch.equal(one.low, other.low)
    start, control = (build_network(cell, stream).state_dict() for cell, stream in zip(cells, (one, other), strict=True))
    assert all(torch.equal(start[name], control[name]) for name in start)
    pretrained, plain = (run(cell)[0].R["rmse"] for cell in cells)
    assert pretrained.shape == plain.shape == (2, 3, 2)
    assert not np.array_equal(pretrained[:, 0], plain[:, 0])


def test_a_strategy_begins_after_it(enrol: Any) -> None:
    seen: list[str] = []

    class Anchored(Strategy):
        def start(self, network: Any, stream: Stream) -> State:
            seen.append("start")
            return {"weights": torch.stack([p.detach().flatten(1).sum(1) for p in network.parameters()]).sum(0)}

        def penalty(self, state: State, network: Any) -> Any:
            seen.append("penalty")

        def end_task(self, state: State, network: Any, samples: Samples, phase: int) -> State:
            seen.append(f"end {phase}")
            return state

    enrol(strategies, "anchored", Anchored)
    cell = cell_of("gaussian-peaks:tasks=3,pretrain=1", strategy="anchored", steps=2)
    seen.clear()  # a strategy of other people is tried before
    (_, saved) = run(cell)
    assert seen == ["start", "penalty", "penalty", "end 0", "penalty", "penalty", "end 1"]
    assert set(saved[0].state) == {"weights"}
    seen.clear()
    run(cell, resume=saved[0])
    assert seen[0] == "penalty"


def test_refinement_goes_on_after_it() -> None:
    cell = cell_of("gaussian-peaks:tasks=3,pretrain=1", "kan:grid=refine,intervals=4", steps=3, locality="on")
    whole, saved = run(cell)
    np.testing.assert_array_equal(run(cell, resume=saved[0])[0].R["rmse"], whole.R["rmse"])


@pytest.mark.parametrize(
    ("architecture", "strategy", "said", "message"),
    [
        ("mlp", "independent", {}, "strategy independent starts tasks with fresh networks, .* learned in pretraining"),
        ("kan:grid=refine", "joint", {"state": "keep"}, "other parameters after pretraining, .* use state=reset"),
    ],
)
def test_what_would_undo_it_is_refused(architecture: str, strategy: str, said: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        cell_of("gaussian-peaks:pretrain=1", architecture, strategy, **said)


COMMAND = """
import sys
from runners.cli.main import main
import runners.store.experiment as store

save = store.CellStore.save_checkpoint

def slow(self, checkpoint):
    save(self, checkpoint)
    print("saved", checkpoint.phases_done, flush=True)
    if checkpoint.phases_done == 0:
        sys.stdin.read()  # until it is killed

store.CellStore.save_checkpoint = slow
sys.exit(main(sys.argv[1:]))
"""


def test_a_run_killed_after_it_goes_on_from_there(
    kancl: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("run", "gaussian-peaks:tasks=3,pretrain=1,noise=0.01", "--architectures", "mlp", "--seeds", 2)
    command += ("--optimizer", "adam", "--steps", 20, "--batch-size", 16)
    held, other = os.pipe()  # nothing ever comes through it
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *map(str, command), "--out", str(killed)],
        stdin=held, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        deadline = time.monotonic() + 60
        while "saved 0" not in process.stdout.readline():
            assert process.poll() is None
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.communicate()
        os.close(held)
        os.close(other)
    (folder,) = (killed / "cells").iterdir()
    checkpoint = CellStore(folder).load_checkpoint()
    assert checkpoint is not None
    assert checkpoint.phases_done == 0
    assert checkpoint.record.steps == 20

    from runners.training import loop as train

    def forbidden(*_: Any, **__: Any) -> None:
        raise AssertionError("pretrained again")

    with monkeypatch.context() as patch:
        patch.setattr(train, "pretrain", forbidden)
        assert kancl(*command, "--out", killed).code == 0
    assert kancl(*command, "--out", undisturbed).code == 0
    one, two = (load(folder).entries[0].result for folder in (killed, undisturbed))
    np.testing.assert_array_equal(one.R["rmse"], two.R["rmse"])
    assert one.steps == two.steps == 60
    assert json.loads((folder / "status.json").read_text())["state"] == "done"
