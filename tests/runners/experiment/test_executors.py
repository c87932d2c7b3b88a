"""Cells in processes of their own: the same numbers as one after another, whatever becomes of a process."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kancl.errors import InputError, Stopped
from runners.config.cell import Cell
from runners.config.request import Request
from runners.experiment.executors import choose, processes, schedule
from runners.experiment.executors.executor import Ears, Terms
from runners.experiment.executors.job import Desk, Job, Receipt
from runners.experiment.executors.processes import Processes
from runners.experiment.executors.schedule import carry_out
from runners.experiment.executors.server import wait_for_server
from runners.experiment.expand import expand
from runners.experiment.step_times import StepTimes
from runners.experiment.sweep import Outcomes, run
from runners.measure.record import NEVER, Pauses, Progress
from runners.run import run_cell
from runners.store.claims import claim as own_claim
from runners.store.experiment import Store
from runners.stream.cache import StreamCache
from runners.trackers import Tracking

PLUGIN = """
import os, signal, time
from multiprocessing import parent_process
from pathlib import Path

from runners.strategies import Strategy, strategies

class Odd(Strategy):
    # Well-behaved where it is checked, and odd where it is trained: in a process of its own.
    def after_step(self, state, step):
        if parent_process() is not None:
            self.act()
        return state

    def first(self):
        marker = Path(os.environ["MARKERS"]) / type(self).__name__
        known = marker.exists()
        marker.touch()
        return not known

@strategies.register("killed-once")
class KilledOnce(Odd):
    def act(self):
        if self.first():
            os.kill(os.getpid(), signal.SIGKILL)

class KilledAlways(Odd):
    def act(self):
        os.kill(os.getpid(), signal.SIGKILL)

class HangsOnce(Odd):
    def act(self):
        if self.first():
            print("hanging")
            time.sleep(600)

class Raises(Odd):
    def act(self):
        raise ValueError("boom")
"""


@dataclass
class Heard:
    """What a sweep said."""

    lines: list[str] = field(default_factory=list)
    ended: dict[str, str] = field(default_factory=dict)
    moved: set[str] = field(default_factory=set)

    def begin_cell(self, cell: Cell, number: int, count: int) -> None:
        pass

    def progress(self, cell: Cell, progress: Progress) -> None:
        self.moved.add(cell.strategy.name)

    def end_cell(self, cell: Cell, outcome: str) -> None:
        self.ended[cell.strategy.name.rpartition(":")[2]] = outcome


def swept(cells: list[Cell], out: Path, pauses: Pauses = NEVER, **terms: Any) -> tuple[Outcomes, Heard]:
    """Run cells in processes."""
    heard = Heard()
    outcomes = run(
        cells, Store(out), heard, tell=lambda line: heard.lines.append(str(line)), terms=Terms(**terms), pauses=pauses
    )
    return outcomes, heard


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, patch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("desk")
    (folder / "odd.py").write_text(PLUGIN)
    patch.chdir(folder)
    patch.setenv("MARKERS", str(folder))
    return folder


def cells_of(*strategies: str, steps: int = 6) -> list[Cell]:
    asked = [
        Request(("gaussian-peaks:tasks=2",), ("mlp:hidden=3",), (name,), seeds=2, optimizer="adam", steps=steps, evaluations=2)
        for name in strategies
    ]
    return expand(asked)


@pytest.fixture(scope="module")
def disturbed(desk: Path, patch: pytest.MonkeyPatch) -> tuple[Outcomes, Heard]:
    """Cells whose processes are killed, hang and fail, among others."""
    patch.setattr(processes, "GRACE", 0.5)
    odd = [f"odd.py:{name}" for name in ("KilledAlways", "HangsOnce", "Raises")]
    cells = cells_of(*odd, "naive", "killed-once", "ewc")
    return swept(cells, desk / "disturbed", executor="processes", jobs=3, hang_after=8.0)


def test_cells_in_processes_have_the_numbers_of_a_serial_run(disturbed: tuple[Outcomes, Heard], desk: Path) -> None:
    outcomes, heard = disturbed
    serial, _ = swept(cells_of("naive", "killed-once", "ewc", "odd.py:HangsOnce"), desk / "serial")
    assert set(outcomes.results) == set(serial.results), "and those that were killed or hung once are among them"
    for key, result in serial.results.items():
        there, here = outcomes.results[key].to_arrays(), result.to_arrays()
        for name in set(here) - {"seconds", "step_seconds", "evaluation_seconds"}:
            np.testing.assert_array_equal(there[name], here[name])
        assert outcomes.results[key].step_seconds > 0, "timed before the workers began"
    assert {"naive", "ewc"} <= heard.moved


def test_what_becomes_of_a_process_is_told_and_hurts_no_other(disturbed: tuple[Outcomes, Heard], desk: Path) -> None:
    outcomes, heard = disturbed
    lost = "its process was killed (SIGKILL; out of memory?), as often as it was tried (3 times)"
    boom = "strategy odd.py:Raises failed in its hook after_step: ValueError: boom"
    assert heard.ended == {
        "KilledAlways": lost, "HangsOnce": "done", "Raises": boom, "naive": "done", "killed-once": "done", "ewc": "done",
    }  # fmt: skip
    assert set(outcomes.failures.values()) == {lost, boom}
    for key, said in outcomes.failures.items():
        status = json.loads((desk / "disturbed" / "cells" / key / "status.json").read_text())
        assert (status["state"], status["error"]) == ("failed", said)
    again = [line for line in heard.lines if "trying again" in line]
    assert sum("KilledAlways" in line for line in again) == 2
    assert sum("KilledOnce" in line or "killed-once" in line for line in again) == 1
    assert any("HangsOnce" in line and "gave no sign of progress for 8 s" in line for line in again)
    assert "hanging" in heard.lines, "what a plug-in prints comes by the screen"


def test_trials_in_processes_leave_the_same_record(kancl: Any, desk: Path) -> None:
    asked = ("run", "gaussian-peaks:tasks=2", "--architectures", "mlp:hidden=3", "--optimizer", "adam", "--steps", "6",
             "--seeds", "2", "--evaluations", "2", "--tune", "3", "--tune-range", "1e-3", "1e38")  # fmt: skip
    assert [kancl(*asked, "--out", f"tuned{jobs}", "--jobs", jobs).code for jobs in (1, 2)] == [0, 0]
    one, two = (json.loads((desk / f"tuned{jobs}" / "tuning.json").read_text()) for jobs in (1, 2))
    assert json.dumps(one) == json.dumps(two)
    (record,) = one["entries"].values()
    assert [trial["score"] is None for trial in record["trials"]] == [False, False, True], "the last one diverges"
    assert one["sha256"]


@pytest.mark.parametrize(
    ("terms", "message"), [({"jobs": 0}, "--jobs must be at least 1"), ({"hang_after": 0.0}, "--hang-after")]
)
def test_terms_that_are_none_are_refused(terms: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Terms(**terms)


@dataclass
class Slots:
    """An executor of two slots whose cells another process holds until they were asked for often enough."""

    held: dict[str, int]
    running: list[Job] = field(default_factory=list)
    most: int = 0
    here = False

    @property
    def room(self) -> bool:
        return len(self.running) < 2

    @property
    def busy(self) -> bool:
        return bool(self.running)

    def begin(self, job: Job) -> None:
        self.running.append(job)
        self.most = max(self.most, len(self.running))

    def ended(self, patience: float) -> list[Receipt]:
        if not self.running:
            return []
        job = self.running.pop(0)
        self.held[job.cell.strategy.name] = left = self.held.get(job.cell.strategy.name, 0) - 1
        return [Receipt(job, "held", "elsewhere") if left >= 0 else Receipt(job, "done", "done")]

    def __enter__(self) -> "Slots":
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("there", ["failed", "running"])
def test_what_failed_in_the_process_that_it_was_left_to_has_failed(
    tools: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: str
) -> None:
    cell = tools.make_cell("gaussian-peaks:tasks=2", "mlp:hidden=2", steps=2)
    store, real = Store(tmp_path), Store.claim

    def held_once(own: Store, key: str) -> Any:
        monkeypatch.setattr(Store, "claim", real)
        own.cell(key).begin(cell)
        own.cell(key).save_status(there, error="boom")  # as the other process left it
        return None

    monkeypatch.setattr(Store, "claim", held_once)
    outcomes = run([cell], store, Heard())
    assert outcomes.failures == ({cell.key: "boom"} if there == "failed" else {})
    assert list(outcomes.results) == ([] if there == "failed" else [cell.key])


def test_nobody_is_waited_for_where_all_is_stored(tools: Any) -> None:
    job = Job(tools.make_cell("gaussian-peaks:tasks=2", "mlp", "naive"), None)
    executor = Slots({})
    executor.ended = lambda patience: pytest.fail("waited")  # type: ignore[method-assign]
    assert [receipt.state for receipt in carry_out([job], executor, lambda job: Receipt(job, "stored", "stored"))] == ["stored"]


def test_cells_that_another_process_holds_are_come_back_to(tools: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "POLL", 0.0)
    jobs = [Job(tools.make_cell("gaussian-peaks:tasks=2", "mlp", name), None) for name in ("naive", "joint", "ewc", "replay")]
    executor, asked = Slots({"naive": 2}), list[str]()

    def is_free(job: Job) -> bool:
        asked.append(job.cell.strategy.name)
        return len(asked) % 3 == 0

    begun: list[str] = []
    stored = Receipt(jobs[3], "stored", "stored")
    receipts = list(
        carry_out(
            jobs, executor, lambda job: begun.append(job.cell.strategy.name) or (stored if job is jobs[3] else None), is_free
        )
    )
    ended = [(receipt.job.cell.strategy.name, receipt.state) for receipt in receipts]
    assert ended[-1] == ("naive", "done")
    assert [state for name, state in ended if name == "naive"] == ["held", "held", "done"]
    assert sorted(name for name, state in ended if state != "held") == ["ewc", "joint", "naive", "replay"]
    assert begun.count("naive") == 3
    assert len(asked) == 6
    assert executor.most == 2


@pytest.mark.parametrize(
    ("said", "cells", "device", "seconds", "found"),
    [
        ({}, 5, "cpu", 60.0, ("processes", 4)),
        ({}, 3, "cpu", 60.0, ("processes", 3)),
        ({}, 5, "cpu", 5.0, ("serial", 1)),
        ({"threads": 2}, 5, "cpu", 60.0, ("processes", 2)),
        ({"threads": 3}, 5, "cpu", None, ("serial", 1)),
        ({}, 1, "cpu", None, ("serial", 1)),
        ({}, 5, "cuda", None, ("serial", 1)),
        ({"jobs": 3}, 5, "cuda", None, ("processes", 3)),
        ({"jobs": 3}, 2, "cpu", None, ("processes", 2)),
    ],
)
def test_small_runs_stay_in_this_process(
    monkeypatch: pytest.MonkeyPatch,
    said: dict[str, int],
    cells: int,
    device: str,
    seconds: float | None,
    found: tuple[str, int],
) -> None:
    monkeypatch.setattr(choose, "cores", lambda: 4)

    def time_all() -> float:
        assert seconds is not None, "timed, and it does not matter"
        return seconds

    terms = choose.settled(Terms("processes", **{"jobs": None, **said}), cells, device, time_all)
    assert (terms.executor, terms.jobs) == found


def test_cells_are_timed_once_and_together(tools: Any, tmp_path: Path) -> None:
    cells = [
        tools.make_cell("gaussian-peaks:tasks=2", "mlp:hidden=3", name, steps=4, evaluations=2) for name in ("naive", "ewc")
    ]
    lost = replace(cells[0], scenario=replace(cells[0].scenario, name="of nobody"))
    times, asked = StepTimes([*cells, lost], Store(tmp_path)), list[Cell]()

    def stream_of(cell: Cell) -> Any:
        asked.append(cell)
        return tools.stream_of(cell)

    seconds = times.seconds(stream_of)
    assert set(times.known) == {cell.key for cell in cells}, "what cannot be built has no time"
    assert seconds == pytest.approx(sum(8 * 2 * known for known in times.known.values()))
    assert (times.seconds(stream_of), len(asked)) == (seconds, 3)


HOLDS = """
import sys
from pathlib import Path
from runners.store.claims import claim

with claim(Path(sys.argv[1]) / "cells" / "other", Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_times_that_are_taken_while_another_run_works_in_the_folder_are_said_to_be(tools: Any, tmp_path: Path) -> None:
    cell = tools.make_cell("gaussian-peaks:tasks=2", "mlp:hidden=3", steps=4, evaluations=2)
    said: list[object] = []
    command = [sys.executable, "-c", HOLDS, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with own_claim(tmp_path / "cells" / "mine", tmp_path) or nullcontext():  # this process does not disturb itself
            StepTimes([cell], Store(tmp_path), said.append).of(cell, tools.stream_of(cell))
        other.kill()
    StepTimes([cell], Store(tmp_path), said.append).of(cell, tools.stream_of(cell))
    (line,) = said
    assert str(line).startswith(f"µs/step is measured while process {other.pid} on ")


def test_who_is_asked_to_stop_finishes_a_step_and_another_run_goes_on_from_there(desk: Path) -> None:
    out, heard, (cell, other) = desk / "stopped", Heard(), cells_of("naive", "ewc", steps=3000)
    with pytest.raises(Stopped):
        run([cell, other], Store(out), heard, terms=Terms("processes", 2), pauses=Pauses(asked=lambda: len(heard.moved) == 2))
    left = [own for own in (cell, other) if own.strategy.name not in heard.ended]  # one may have been quick
    assert left
    assert all(Store(out).cell(own.key).load_checkpoint() is not None for own in left)
    outcomes, heard = swept([cell, other], out, executor="processes", jobs=2)
    assert set(outcomes.results) == {cell.key, other.key}
    alone = run_cell(cell, StreamCache().of(cell))
    np.testing.assert_array_equal(outcomes.results[cell.key].R["rmse"], alone.R["rmse"])


def test_a_server_of_processes_that_is_killed_while_it_starts_one_is_replaced(tools: Any, tmp_path: Path) -> None:
    """Stopped, so that the start waits for it, and then killed: the start must not fail with what it was waiting for."""
    cell = tools.make_cell("gaussian-peaks:tasks=2,samples=20", "mlp:hidden=3", optimizer="adam", steps=4, seeds=1)
    store = Store(tmp_path)
    with store.opened([cell], print) as (cell,):
        wait_for_server()
        server = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
        os.kill(server, signal.SIGSTOP)
        threading.Timer(0.3, os.kill, (server, signal.SIGKILL)).start()
        with Processes(Terms("processes"), Ears(lambda job, progress: None, print), Desk(StreamCache(), Tracking())) as one:
            one.begin(Job(cell, tmp_path))
            receipts: list[Receipt] = []
            while not receipts:
                receipts = one.ended(1.0)
    assert [receipt.state for receipt in receipts] == ["done"]
    assert forkserver._forkserver._forkserver_pid not in (server, None)  # type: ignore[attr-defined]
