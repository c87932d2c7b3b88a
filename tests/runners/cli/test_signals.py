"""Guards what becomes of a run that is interrupted, terminated, hung up, or not listened to."""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runners.cli.signals import Signals
from runners.results.results import load
from runners.store.cell import CellStore
from runners.store.files import is_temporary
from runners.store.within import WITHIN
from runners.training.logbook import Logbook

RUN = ("run", "gaussian-peaks:tasks=2,samples=20", "--architectures", "mlp:hidden=4", "--optimizer", "adam", "--lr", "0.01")
RUN += ("--steps", "40", "--seeds", "2", "--evaluations", "3", "--jobs", "1")


@pytest.fixture(autouse=True)
def _heard() -> Iterator[None]:
    """Signals are heard, also where the tests run in the background, in which a shell lets Ctrl-C be ignored."""
    numbers = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in numbers.items()}
    yield
    after = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        signal.signal(number, handler)
    assert after == numbers


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nobody disturbs."""
    from runners.cli.main import main

    out = tmp_path_factory.mktemp("whole") / "out"
    assert main([*RUN, "--out", str(out)]) == 0
    return out


def assert_same(one: Path, other: Path) -> None:
    ours, theirs = ([entry.result.to_arrays() for entry in load(out).entries] for out in (one, other))
    assert len(ours) == len(theirs) == 1
    for name in ours[0].keys() - {"seconds", "step_seconds", "evaluation_seconds"}:
        np.testing.assert_array_equal(ours[0][name], theirs[0][name], err_msg=name)


def send(monkeypatch: pytest.MonkeyPatch, *numbers: int, at: int = 12) -> None:
    """Send signals to this process when a number of steps was told."""
    taken = Logbook.taken
    left = list(numbers)

    def told(log: Logbook, steps: int, task: int) -> None:
        taken(log, steps, task)
        if log.record.steps >= at:
            while left:
                os.kill(os.getpid(), left.pop(0))

    monkeypatch.setattr(Logbook, "taken", told)


@pytest.mark.parametrize(("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")])
def test_a_signal_ends_the_step_saves_and_says_how_to_go_on(
    kancl: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Path, number: int, code: int, word: str
) -> None:
    command = (*RUN, "--out", tmp_path / "my results")
    with monkeypatch.context() as patch:
        send(patch, number)
        said = kancl(*command)
    assert said.code == code
    first, then, line = said.err.splitlines()[-3:]
    assert first == f"kancl: {word}"
    assert then == "What was done is kept. To go on:"
    assert shlex.split(line) == ["kancl", *map(str, command)]
    (cell,) = (tmp_path / "my results" / "cells").iterdir()
    assert (cell / WITHIN).exists()
    assert kancl(*command).code == 0
    assert not (cell / WITHIN).exists()
    assert_same(tmp_path / "my results", whole)


def test_a_second_signal_stops_at_once_and_the_folder_is_whole(
    kancl: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Path
) -> None:
    """Here it comes while the first one's place is being written."""
    write = CellStore._write_archive

    def again(files: CellStore, name: str, save: Callable[[Any], object]) -> None:
        def half(file: Any) -> None:
            save(file)
            os.kill(os.getpid(), signal.SIGINT)

        write(files, name, half if name == WITHIN else save)

    with monkeypatch.context() as patch:
        send(patch, signal.SIGINT, at=52)
        patch.setattr(CellStore, "_write_archive", again)
        assert kancl(*RUN, "--out", tmp_path / "out").code == 130
    (cell,) = (tmp_path / "out" / "cells").iterdir()
    assert sorted(path.name for path in cell.iterdir()) == [
        "checkpoint.pt", "config.json", "history.bin", "networks.bin", "status.json",
    ]  # fmt: skip
    assert not any(is_temporary(path) for path in (tmp_path / "out").rglob("*"))
    assert kancl(*RUN, "--out", tmp_path / "out").code == 0
    assert_same(tmp_path / "out", whole)


def test_before_anything_is_trained_a_signal_stops_at_once(
    kancl: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pressed(*given: Any, **more: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("the signal comes at once")

    monkeypatch.setattr("runners.experiment.prepare.prepare", pressed)
    assert kancl(*RUN, "--out", tmp_path / "out").code == 143


def test_a_terminal_that_closes_and_a_reader_that_had_enough_do_no_harm(
    kancl: Callable[..., Any], python: Callable[..., "subprocess.Popen[str]"], tmp_path: Path, whole: Path
) -> None:
    """The same process is told everything: nobody reads, its terminal closes, and at last it is terminated."""
    out, script = tmp_path / "out", "import sys; from runners.cli.main import main; sys.exit(main(sys.argv[1:]))"
    several = ("gaussian-peaks:tasks=2,samples=20", "gaussian-peaks:tasks=2,samples=20,noise=0.1")
    command = (RUN[0], *several, *RUN[2:], "--steps", "2000", "--out", out)
    process = python(script, *command)
    assert process.stdout is not None
    process.stdout.close()
    deadline = time.monotonic() + 60
    while not list(out.glob("cells/*/checkpoint.pt")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGHUP)
    while not list(out.glob("cells/*/arrays.npz")):  # it goes on to the end of a cell
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    with process.stderr as said_last:
        assert process.wait(60) == 143, said_last.read()
        assert "kancl: terminated" in said_last.read()
    assert len(load(out).entries) == 1
    said = kancl(*command)
    assert said.code == 0
    assert "stored" in said.out
    assert len(load(out).entries) == 2


def test_other_handlers_are_left_alone() -> None:
    heard: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    signals = Signals()
    with signals.heard_in_training():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGHUP)
    assert heard == [signal.SIGTERM]
    assert not signals.asked()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def test_an_interval_that_is_none_is_refused(kancl: Callable[..., Any], tmp_path: Path) -> None:
    said = kancl(*RUN, "--out", tmp_path / "out", "--checkpoint-every", "0")
    assert said.code == 2
    assert "--checkpoint-every must be more than 0 seconds, got 0" in said.err
