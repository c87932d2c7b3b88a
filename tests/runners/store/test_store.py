"""Guards the files: whole or absent, continued after a kill with the same numbers, tolerant of damage, never unpickled."""

import json
import os
import pickle
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kancl.errors import StorageError
from kancl.splines import UniformGrid, unavailable
from runners.measure.result import Result
from runners.results.results import load
from runners.store.cell import CellStore
from runners.store.experiment import Store
from runners.store.files import write_atomically, write_json

COMMAND = "import sys\nfrom runners.cli.main import main\nsys.exit(main(sys.argv[1:]))"
TINY = ("run", "gaussian-peaks:tasks=3,samples=20", "--architectures", "mlp:hidden=4", "--seeds", 2, "--steps", 6)


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def only_cell(out: Path) -> Path:
    (cell,) = (out / "cells").iterdir()
    return cell


def result_in(out: Path) -> Result:
    (entry,) = load(out).entries
    return entry.result


def assert_same_numbers(one: Result, other: Result) -> None:
    """All arrays equal to the bit; only wall times may differ."""
    ours, theirs = one.to_arrays(), other.to_arrays()
    assert ours.keys() == theirs.keys()
    for name in ours.keys() - {"seconds", "step_seconds", "evaluation_seconds"}:
        assert ours[name].dtype == theirs[name].dtype, name
        equal_nan = ours[name].dtype.kind == "f"
        assert np.array_equal(ours[name], theirs[name], equal_nan=equal_nan), name


# Writing.


def test_an_atomic_write_replaces_the_file(tmp_path: Path) -> None:
    target = tmp_path / "file"
    for content in (b"old", b"new"):
        write_atomically(target, lambda file, content=content: file.write(content))
        assert target.read_bytes() == content
    assert files_in(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("error", "told"), [(RuntimeError, StorageError), (OSError, StorageError), (KeyboardInterrupt, KeyboardInterrupt)]
)
@pytest.mark.parametrize("existed", [True, False])
def test_a_writer_that_fails_midway_leaves_what_was_there(
    tmp_path: Path, existed: bool, error: type[BaseException], told: type[BaseException]
) -> None:
    target = tmp_path / "file"
    if existed:
        target.write_bytes(b"old")

    def fail(file: Any) -> None:
        file.write(b"half of the n")
        raise error("no more")

    with pytest.raises(told, match="no more"):
        write_atomically(target, fail)
    assert files_in(tmp_path) == (["file"] if existed else [])
    if existed:
        assert target.read_bytes() == b"old"


def test_the_file_is_complete_before_it_takes_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    sync, rename = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda number: (order.append("sync"), sync(number))[1])
    monkeypatch.setattr(os, "replace", lambda *paths: (order.append("rename"), rename(*paths))[1])
    write_json(tmp_path / "file.json", {"a": 1})
    assert order == ["sync", "rename", "sync"]
    assert json.loads((tmp_path / "file.json").read_text()) == {"a": 1}


# What a finished run leaves.


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the tiny experiment; not to be changed."""
    from runners.cli.main import main

    out = tmp_path_factory.mktemp("finished") / "out"
    assert main([*map(str, TINY), "--out", str(out)]) == 0
    return out


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, to be damaged."""
    import shutil

    shutil.copytree(finished, tmp_path / "out")
    return tmp_path / "out"


def test_a_finished_cell_has_its_files(finished: Path) -> None:
    assert files_in(only_cell(finished)) == [
        "arrays.npz", "checkpoint.pt", "config.json", "history.bin", "networks.bin", "status.json",
    ]  # fmt: skip
    status = json.loads((only_cell(finished) / "status.json").read_text())
    assert (status["state"], status["tasks_done"], status["steps"], status["diverged"]) == ("done", 3, 18, 0)
    assert {"python", "torch", "numpy", "kancl", "commit", "cores"} <= status["environment"].keys()
    reason = unavailable("native", torch.zeros(1), UniformGrid.over(-1, 1, 5, 3))
    assert status["environment"]["native kernel"] == (reason or "usable")


def test_nothing_stored_needs_pickle(finished: Path) -> None:
    with np.load(only_cell(finished) / "arrays.npz", allow_pickle=False) as arrays:
        assert {array.dtype.kind for array in dict(arrays).values()} <= set("iufbU")
    torch.load(only_cell(finished) / "checkpoint.pt", weights_only=True)


def test_a_result_survives_storing(tools: Any, tmp_path: Path) -> None:
    cell = tools.make_cell("split-digits", "mlp", seeds=2, steps=1, evaluations=2)
    result = tools.train(cell).result
    store = CellStore(tmp_path / "cell")
    store.begin(cell)
    store.save_result(result)
    stored, read = store.load_result(), store.load_cell()
    assert stored is not None
    assert read == cell
    assert_same_numbers(stored, result)
    assert stored.seconds == result.seconds


def test_a_finished_cell_is_not_run_again(kancl: Callable[..., Any], copied: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in only_cell(copied).iterdir()}
    said = kancl(*TINY, "--out", copied)
    assert said.code == 0
    assert "stored" in said.out
    assert {path: path.stat().st_mtime_ns for path in only_cell(copied).iterdir()} == before


# A kill.

POLICIES = {
    "adam, reset": ("--optimizer", "adam", "--state", "reset", "--steps", 400, "--batch-size", 16),
    "adam, kept": ("--optimizer", "adam", "--state", "keep", "--steps", 400, "--batch-size", 16),
    "lbfgs, reset": ("--optimizer", "lbfgs", "--state", "reset", "--steps", 40),
    "lbfgs, kept": ("--optimizer", "lbfgs", "--state", "keep", "--steps", 40),
}


@pytest.mark.parametrize("policy", ["adam, kept"])  # the others from every checkpoint: below
def test_a_killed_run_goes_on_and_ends_with_the_same_numbers(
    kancl: Callable[..., Any], python: Callable[..., Any], tmp_path: Path, policy: str
) -> None:
    run = ("run", "gaussian-peaks:noise=0.01", "--architectures", "mlp", "--seeds", 2, *POLICIES[policy])
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    process = python(COMMAND, *run, "--out", killed)
    try:
        deadline = time.monotonic() + 60
        while not list(killed.glob("cells/*/checkpoint.pt")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "no checkpoint came"
            time.sleep(0.002)
        process.send_signal(signal.SIGSTOP)
        # It still holds the cell: nobody else can work on it.
        store = Store(killed)
        assert store.claim(only_cell(killed).name) is None
    finally:
        process.kill()
        process.communicate()
    checkpoint = CellStore(only_cell(killed)).load_checkpoint()
    assert checkpoint is not None
    assert 1 <= checkpoint.phases_done < 5
    assert not (only_cell(killed) / "arrays.npz").exists()
    assert load(killed).missing == (only_cell(killed).name,)

    assert kancl(*run, "--out", killed).code == 0
    assert kancl(*run, "--out", undisturbed).code == 0
    assert_same_numbers(result_in(killed), result_in(undisturbed))
    networks = [(only_cell(out) / "networks.bin").read_bytes() for out in (killed, undisturbed)]
    assert networks[0] == networks[1]
    assert json.loads((only_cell(killed) / "status.json").read_text())["state"] == "done"


@pytest.mark.parametrize("strategy", ["naive", "joint", "independent"])
@pytest.mark.parametrize("policy", POLICIES)
def test_going_on_after_any_task_gives_the_same_numbers(tools: Any, tmp_path: Path, strategy: str, policy: str) -> None:
    """Through the file, from the checkpoint of every task."""
    from runners.run import run_cell

    said = dict(zip(("optimizer", "state"), policy.replace("kept", "keep").split(", "), strict=True))
    cell = tools.make_cell(
        "gaussian-peaks:tasks=3,noise=0.1", "mlp:hidden=4", strategy, seeds=2, steps=5, evaluations=3, **said
    )
    stream = tools.stream_of(cell)
    stores: list[CellStore] = []

    def save(checkpoint: Any) -> None:
        stores.append(CellStore(tmp_path / str(checkpoint.phases_done)))
        stores[-1].begin(cell)
        stores[-1].save_checkpoint(checkpoint)

    whole = run_cell(cell, stream, save=save)
    assert len(stores) == 3
    for done, store in enumerate(stores, 1):
        resume = store.load_checkpoint()
        assert resume is not None
        assert resume.phases_done == done
        assert_same_numbers(run_cell(cell, stream, resume), whole)


# Damage.

GARBAGE = {
    "empty": lambda whole: b"",
    "truncated": lambda whole: whole[: len(whole) // 2],
    "garbage": lambda whole: bytes(range(256)) * 8,
    "zeros": lambda whole: bytes(len(whole)),
    "a list": lambda whole: b"[]",
    "a number": lambda whole: b"3",
    "an empty object": lambda whole: b"{}",
    "a byte flipped": lambda whole: (
        whole[: len(whole) // 2] + bytes([whole[len(whole) // 2] ^ 255]) + whole[len(whole) // 2 + 1 :]
    ),
}


DAMAGES = [
    (name, damage)
    for name in ("arrays.npz", "checkpoint.pt", "config.json", "status.json")
    for damage in GARBAGE
    if (name, damage) != ("checkpoint.pt", "a byte flipped")  # torch does not look at its files' checksums
]


@pytest.mark.parametrize(("name", "damage"), DAMAGES)
def test_damaged_files_are_tolerated_and_repaired(
    kancl: Callable[..., Any], finished: Path, copied: Path, name: str, damage: str
) -> None:
    path = only_cell(copied) / name
    path.write_bytes(GARBAGE[damage](path.read_bytes()))
    if name == "checkpoint.pt":
        (path.parent / "arrays.npz").unlink()  # so that the checkpoint is asked for
    key = path.parent.name
    results = load(copied)
    assert [entry.cell.key for entry in results.entries] + list(results.missing) == [key]
    if name in ("checkpoint.pt", "arrays.npz"):
        assert results.missing == (key,)
    said = kancl(*TINY, "--out", copied)
    assert said.code == 0, said.err + said.out
    assert load(copied).missing == ()
    assert_same_numbers(result_in(copied), result_in(finished))


@pytest.mark.parametrize("name", ["arrays.npz", "config.json", "status.json", "checkpoint.pt"])
def test_absent_files_are_tolerated_and_repaired(kancl: Callable[..., Any], finished: Path, copied: Path, name: str) -> None:
    (only_cell(copied) / name).unlink()
    assert len(load(copied).entries) + len(load(copied).missing) == 1
    assert kancl(*TINY, "--out", copied).code == 0
    assert load(copied).missing == ()
    assert_same_numbers(result_in(copied), result_in(finished))


class Trap:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("form", ["torch", "pickle"])
def test_a_pickled_object_in_a_checkpoint_is_refused_and_the_cell_runs_anew(
    kancl: Callable[..., Any], finished: Path, copied: Path, tmp_path: Path, form: str
) -> None:
    trap, path = tmp_path / "sprung", only_cell(copied) / "checkpoint.pt"
    (only_cell(copied) / "arrays.npz").unlink()
    content = {"format": 1, "phases_done": 2, "network": Trap(trap)}
    if form == "torch":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content, protocol=2))  # torch warns of any other
    assert CellStore(path.parent).load_checkpoint() is None
    assert kancl(*TINY, "--out", copied).code == 0
    assert not trap.exists()
    assert_same_numbers(result_in(copied), result_in(finished))


def test_a_pickled_array_in_a_result_is_refused(copied: Path, tmp_path: Path) -> None:
    trap, path = tmp_path / "sprung", only_cell(copied) / "arrays.npz"
    with np.load(path) as arrays:
        content = dict(arrays)
    np.savez(path, **{**content, "seeds": np.array([Trap(trap)], dtype=object)})
    assert CellStore(path.parent).load_result() is None
    assert not trap.exists()


def test_a_checkpoint_of_another_format_is_absent(finished: Path, copied: Path) -> None:
    path = only_cell(copied) / "checkpoint.pt"
    assert CellStore(path.parent).load_checkpoint() is not None
    torch.save({**torch.load(path, weights_only=True), "format": 999}, path)
    assert CellStore(path.parent).load_checkpoint() is None


# No space.


@contextmanager
def no_file_longer_than(limit: int) -> Iterator[None]:
    """Writing beyond so many bytes fails in this process, as on a full disk; Python ignores the signal that goes with it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(("limit", "held"), [(100, "experiment.json"), (700, "config.json"), (4096, "checkpoint.pt")])
def test_out_of_space_is_told_and_the_same_command_goes_on(
    kancl: Callable[..., Any], finished: Path, tmp_path: Path, limit: int, held: str
) -> None:
    """``held`` is the first file that does not fit."""
    out = tmp_path / "out"
    with no_file_longer_than(limit):
        said = kancl(*TINY, "--out", out)
    assert said.code == 2, said.err
    assert "Traceback" not in said.err
    assert "too large" in said.err or "space" in said.err
    left = [Path(name).name for name in files_in(out)]
    assert held not in left
    assert not [name for name in left if name.endswith(".tmp")]
    for path in out.rglob("*.json"):
        json.loads(path.read_text())
    assert kancl(*TINY, "--out", out).code == 0
    assert_same_numbers(result_in(out), result_in(finished))


# Failing cells.

FAILING = '''
from pathlib import Path

from runners.strategies import Strategy


class Failing(Strategy):
    """Fails at the end of the second task until a file named "repaired" lies beside this one."""

    def end_task(self, state, network, samples, phase):
        if phase == 1 and not Path(__file__).with_name("repaired").exists():
            raise {error}
        return state
'''


@pytest.mark.parametrize(
    "error", ["RuntimeError('it broke')", "ZeroDivisionError('it broke')", "FileNotFoundError('it broke')"]
)
def test_a_failing_cell_stops_no_other_and_is_tried_again(kancl: Callable[..., Any], tmp_path: Path, error: str) -> None:
    (tmp_path / "mine.py").write_text(FAILING.replace("{error}", error))
    out = tmp_path / "out"
    run = (*TINY, "--strategies", f"{tmp_path}/mine.py:Failing", "naive", "--out", out)
    said = kancl(*run)
    assert said.code == 1
    assert "it broke" in said.out + said.err
    states = {path.parent.name: json.loads(path.read_text()) for path in out.glob("cells/*/status.json")}
    (failed,) = (key for key in states if "Failing" in key)
    (done,) = (key for key in states if "naive" in key)
    assert states[failed]["state"] == "failed"
    assert "it broke" in states[failed]["error"]
    assert any("mine.py" in line for line in states[failed]["traceback"])
    assert states[done]["state"] == "done"
    assert failed in said.out + said.err
    assert load(out).missing == (failed,)

    again = kancl(*run)
    assert again.code == 1
    (tmp_path / "repaired").touch()
    repaired = kancl(*run)
    assert repaired.code == 0
    assert load(out).missing == ()
    assert json.loads((out / "cells" / failed / "status.json").read_text())["state"] == "done"
    by_strategy = {entry.cell.key: entry.result for entry in load(out).entries}
    for name, R in by_strategy[done].R.items():
        np.testing.assert_array_equal(by_strategy[failed].R[name], R)
