"""Guards the tracking: what tools are told is what is stored, once, and no tool can change, slow or end a run."""

import json
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from kancl.errors import StorageError
from kancl.registry import Registry
from runners.config.cell import Cell
from runners.experiment.sweep import Outcomes, run
from runners.measure.record import Progress, Record
from runners.measure.result import Result
from runners.results.results import load
from runners.run import run_cell
from runners.store.cell import CellStore
from runners.store.experiment import Store
from runners.stream.cache import StreamCache
from runners.trackers import Description, Evaluation, State, Tracking, make_trackers, trackers
from runners.trackers.events import SEEDS_SHOWN, Evaluations, summary
from runners.trackers.tracking import Told

Kancl = Callable[..., Any]
TASKS = 3
SCENARIO = f"gaussian-peaks:tasks={TASKS}"
QUICK = ("--architectures", "mlp", "--seeds", 3, "--steps", 12, "--evaluations", 3)


def make(tools: Any, **said: Any) -> Cell:
    return tools.make_cell(SCENARIO, "mlp", **{"seeds": 3, "steps": 12, "evaluations": 3, **said})


def same_numbers(one: Result, other: Result) -> None:
    """Every array is the same to the bit, but for the times."""
    a, b = one.to_arrays(), other.to_arrays()
    assert a.keys() == b.keys()
    for name in a.keys() - {"seconds", "step_seconds", "evaluation_seconds"}:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


# What is told.


@dataclass
class Notes:
    """A tracker that writes down what it hears; ``broken`` names the hook that raises."""

    broken: str = ""
    heard: list[tuple[Any, ...]] = field(default_factory=list)

    def begin(self, cell: Description, folder: Path) -> "Noted":
        self.heard.append(("begin", cell.key, cell.id))
        self.trip("begin")
        return Noted(self)

    def hint(self, folder: Path) -> str:
        return f"read {folder}"

    def trip(self, hook: str) -> None:
        if hook == self.broken:
            raise OSError(28, "No space left on device")

    def places(self) -> list[tuple[int, int]]:
        return [(entry[1].task, entry[1].step) for entry in self.heard if entry[0] == "log"]

    def hooks(self) -> list[str]:
        return [entry[0] for entry in self.heard]


class Noted:
    def __init__(self, notes: Notes) -> None:
        self.notes = notes

    def _hear(self, hook: str, what: object) -> None:
        self.notes.heard.append((hook, what))
        self.notes.trip(hook)

    def log(self, evaluation: Evaluation) -> None:
        self._hear("log", evaluation)

    def finish(self, summary: Mapping[str, float]) -> None:
        self._hear("finish", dict(summary))

    def close(self, state: State) -> None:
        self._hear("close", state)


class Silence:
    """A listener that hears outcomes."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []

    def begin_cell(self, cell: Cell, number: int, count: int) -> None:
        pass

    def progress(self, cell: Cell, progress: Progress) -> None:
        pass

    def end_cell(self, cell: Cell, outcome: str) -> None:
        self.outcomes.append(outcome)


def sweep(cell: Cell, out: Path, stop: tuple[int, BaseException] | None = None, **tools: Any) -> tuple[Outcomes, list[str]]:
    """Run one cell in a store, up to an error when a task gets going, and return what came of it and the warnings."""

    def stopping(cell: Cell, stream: Any, resume: Any, save: Any, tell: Any, *more: Any) -> Result:
        def told(progress: Progress) -> None:
            if stop is not None and progress.task == stop[0]:
                raise stop[1]

        return run_cell(cell, stream, resume, save, told, *more)

    warnings: list[str] = []
    tracking = Tracking(tools, out, warnings.append)
    with patch("runners.experiment.blocks.run_cell", stopping):
        outcome = run([cell], Store(out), Silence(), "cpu", StreamCache(), tracking)
    return outcome, warnings


@pytest.mark.parametrize("strategy", ["naive", "joint"])
def test_evaluations_are_those_of_the_result(tools: Any, strategy: str) -> None:
    cell = tools.make_cell(SCENARIO, "mlp", strategy, seeds=3, steps=12, evaluations=3)
    live, evaluations = [], Evaluations(cell.seeds)
    result = run_cell(cell, tools.stream_of(cell), measured=lambda record: live.extend(evaluations.of_record(record)))
    assert list(evaluations.of_result(result)) == [], "all were told while it ran"
    for heard in (live, list(Evaluations(cell.seeds).of_result(result))):
        assert [evaluation.task for evaluation in heard] == result.curve_task.tolist()
        assert [evaluation.step for evaluation in heard] == result.curve_step.tolist()
        assert [e.total_step for e in heard] == [max(0, e.task - 1) * 12 + e.step for e in heard]
        for number, evaluation in enumerate(heard):
            np.testing.assert_array_equal(evaluation.scores["rmse"], result.curves["rmse"][:, number])
        rows = [evaluation for evaluation in heard if evaluation.end]
        assert [row.task for row in rows] == list(range(TASKS + 1))
        np.testing.assert_array_equal(np.stack([row.scores["rmse"] for row in rows], 1), result.R["rmse"])


def evaluation(scores: Any, alive: Any, task: int = 1, end: bool = True, name: str = "rmse") -> Evaluation:
    return Evaluation(task, 5, 15, end, (4, 7, 9)[: len(alive)], np.array(alive), {name: np.array(scores)})


def test_names_and_means_by_hand() -> None:
    told = evaluation([[1.0, 2.0], [np.nan, 5.0], [3.0, 8.0]], [True, False, True], task=2, name="my/score")
    assert told.series() == {
        "training/task": 2.0, "training/seeds_alive": 2.0,
        "my_score/task_1": 2.0, "my_score/task_2": 5.0, "my_score/seen": 3.5,
        "my_score_seed_4/task_1": 1.0, "my_score_seed_4/task_2": 2.0,
        "my_score_seed_9/task_1": 3.0, "my_score_seed_9/task_2": 8.0,
    }  # fmt: skip
    assert told.row() == {"R_my_score/task_1": 2.0, "R_my_score/task_2": 5.0}
    assert evaluation([[1.0, 2.0]], [True], task=1).series()["rmse/seen"] == 1.0, "the task that is ahead is not seen"
    assert evaluation([[1.0, 2.0]], [True], end=False).row() == {}


def test_before_training_with_one_seed_and_without_any() -> None:
    alone = evaluation([[1.0] * 10], [True], task=0).series()
    assert list(alone)[2:4] == ["rmse/task_01", "rmse/task_02"], "in the order of the tasks"
    assert not any("seen" in name or "seed_" in name for name in alone)
    nobody = evaluation([[np.nan, 1.0]], [False])
    assert nobody.series() == {"training/task": 1.0, "training/seeds_alive": 0.0}
    assert nobody.row() == {}


@pytest.mark.parametrize(("seeds", "shown"), [(SEEDS_SHOWN, SEEDS_SHOWN), (SEEDS_SHOWN + 1, 0)])
def test_many_seeds_are_told_as_their_mean_only(seeds: int, shown: int) -> None:
    told = Evaluation(1, 1, 1, False, tuple(range(seeds)), np.ones(seeds, bool), {"rmse": np.arange(seeds * 1.0)[:, None]})
    assert sum("_seed_" in name for name in told.series()) == shown
    assert told.series()["rmse/task_1"] == (seeds - 1) / 2


def test_a_seed_counts_until_it_diverges() -> None:
    record = Record(diverged_at=np.array([-1, 1]))
    evaluations, alive = Evaluations((0, 1)), []
    for number, values in enumerate([[[1.0], [2.0]], [[1.0], [np.inf]], [[1.0], [3.0]]]):
        record.curve.append({"rmse": np.array(values)})
        record.place.append((1, number + 1))
        alive += [told.alive.tolist() for told in evaluations.of_record(record)]
    assert alive == [[True, True], [True, False], [True, False]]


def test_the_summary_holds_the_metrics_and_costs_of_the_frames(tools: Any, tmp_path: Path) -> None:
    cell = make(tools)
    sweep(cell, tmp_path / "out")
    results = load(tmp_path / "out")
    told = summary(cell, results.entries[0].result)
    frame = results.summary.set_index("metric")
    known = frame[np.isfinite(frame["mean"])]
    assert {name.removeprefix("final/") for name in told if name.startswith("final/") and name.count("_low") == 0} >= set(
        known.index
    )
    for metric, row in known.iterrows():
        assert [told[f"final/{metric}{end}"] for end in ("", "_low", "_high")] == [row["mean"], row["low"], row["high"]]
    assert (told["cost/parameters"], told["cost/steps"], told["final/diverged"]) == (row["parameters"], 36, 0)
    assert np.isfinite(list(told.values())).all()


# The life of a cell.


def test_a_cell_is_begun_told_finished_and_closed(tools: Any, tmp_path: Path) -> None:
    cell, notes = make(tools), Notes()
    outcome, warnings = sweep(cell, tmp_path / "out", notes=notes)
    result = outcome.results[cell.key]
    hook, key, own_id = notes.heard[0]
    assert (hook, key) == ("begin", cell.key)
    assert notes.places() == list(zip(result.curve_task, result.curve_step, strict=True))
    assert notes.heard[-2:] == [("finish", summary(cell, result)), ("close", "done")]
    assert warnings == []
    told = json.loads((tmp_path / "out/tracking/notes/cells.json").read_text())
    assert told[cell.key] == {"id": own_id, "complete": True}


def test_tracking_changes_no_number_and_its_time_is_not_the_cells(tools: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = make(tools)
    stream, clock = tools.stream_of(cell), [0.0]
    plain = run_cell(cell, stream)
    monkeypatch.setattr("runners.training.logbook.time.perf_counter", lambda: clock[0])
    kept: list[float] = []

    def slow(record: Record) -> None:
        clock[0] += 100.0

    def count(progress: Progress) -> None:
        clock[0] += 1.0 / 4

    tracked = run_cell(cell, stream, save=lambda checkpoint: kept.append(checkpoint.record.seconds), tell=count, measured=slow)
    same_numbers(plain, tracked)
    assert kept == [3.0, 6.0, 9.0], "12 slices of a quarter of a second in every task, and none of the tracker's hundreds"
    assert tracked.seconds == 9.0


@pytest.mark.parametrize("error", [KeyboardInterrupt(), StorageError("full"), RuntimeError("lost")])
def test_a_run_that_stops_is_closed_and_continued_without_gap_or_repeat(
    tools: Any, tmp_path: Path, error: BaseException
) -> None:
    cell, out, first, second = make(tools), tmp_path / "out", Notes(), Notes()
    if isinstance(error, RuntimeError):
        assert list(sweep(cell, out, (2, error), notes=first)[0].failures) == [cell.key]
    else:
        with pytest.raises(type(error)):
            sweep(cell, out, (2, error), notes=first)
    assert first.heard[-1] == ("close", "interrupted" if isinstance(error, KeyboardInterrupt) else "failed")
    assert "finish" not in first.hooks()
    assert max(first.places()) > (1, 12), "something of the second task had been told"

    result = sweep(cell, out, notes=second)[0].results[cell.key]
    assert second.heard[0] == first.heard[0], "the same id"
    assert second.places() == list(zip(result.curve_task, result.curve_step, strict=True))
    again = [entry[1] for entry in second.heard if entry[0] == "log"]
    for old, new in zip([entry[1] for entry in first.heard if entry[0] == "log"], again, strict=False):
        assert old.series() == new.series()
        assert (old.total_step, old.end) == (new.total_step, new.end)
    assert second.hooks()[-2:] == ["finish", "close"]
    same_numbers(result, run_cell(cell, tools.stream_of(cell)))


def test_a_finished_cell_is_told_to_a_tool_that_lacks_it_and_to_no_other(tools: Any, tmp_path: Path) -> None:
    cell, out, late, has = make(tools), tmp_path / "out", Notes(), Notes()
    result = sweep(cell, out, has=has)[0].results[cell.key]
    before = list(has.heard)
    sweep(cell, out, late=late, has=has)
    assert has.heard == before
    assert late.places() == list(zip(result.curve_task, result.curve_step, strict=True))
    assert late.hooks()[-2:] == ["finish", "close"]
    sweep(cell, out, late=late)
    assert late.hooks().count("begin") == 1


@pytest.mark.parametrize("content", ["", "[1]", '{"CELL": 3}', '{"CELL": {"id": 3, "complete": "yes"}}', "\xff"])
def test_a_damaged_list_of_what_was_told_counts_as_absent_and_is_said_once(tools: Any, tmp_path: Path, content: str) -> None:
    cell, out, notes = make(tools), tmp_path / "out", Notes()
    sweep(cell, out)
    told = out / "tracking/notes/cells.json"
    told.parent.mkdir(parents=True)
    told.write_bytes(content.replace("CELL", cell.key).encode("latin-1"))
    (warning,) = sweep(cell, out, notes=notes)[1]
    assert warning.startswith(f"{told} ")
    assert warning.endswith("; it counts as absent")
    assert notes.hooks()[-2:] == ["finish", "close"]
    assert json.loads(told.read_text())[cell.key]["complete"] is True


# Faults.


@pytest.mark.parametrize("hook", ["begin", "log", "finish", "close"])
def test_a_tool_that_fails_is_warned_of_once_and_the_run_goes_on(tools: Any, tmp_path: Path, hook: str) -> None:
    cells, out = [make(tools), make(tools, steps=8)], tmp_path / "out"
    broken, sound = Notes(hook), Notes()
    warnings: list[str] = []
    tracking = Tracking({"broken": broken, "sound": sound}, out, warnings.append)
    outcome = run(cells, Store(out), Silence(), "cpu", StreamCache(), tracking)
    assert outcome.failures == {}
    for cell in cells:
        same_numbers(outcome.results[cell.key], run_cell(cell, tools.stream_of(cell)))
    assert len(warnings) == 1
    for word in ("broken", "OSError", "No space left on device", "the same command"):
        assert word in warnings[0]
    assert broken.hooks().count("begin") == 1, "it is not asked again"
    assert broken.hooks().count("close") == (hook != "begin")
    assert sound.hooks().count("close") == len(cells)
    assert tracking.hints() == [f"read {out / 'tracking/sound'}"]

    healed = Notes()
    sweep_again = Tracking({"broken": healed, "sound": sound}, out, warnings.append)
    run(cells, Store(out), Silence(), "cpu", StreamCache(), sweep_again)
    assert len(warnings) == 1
    assert healed.hooks().count("finish") == len(cells)
    assert sound.hooks().count("begin") == len(cells)


def test_what_a_tool_was_told_cannot_be_written_down(tools: Any, tmp_path: Path) -> None:
    cell, out, notes = make(tools), tmp_path / "out", Notes()
    sweep(cell, out)
    (out / "tracking").write_text("a file in the way")
    outcome, warnings = sweep(cell, out, notes=notes)
    assert cell.key in outcome.results
    assert len(warnings) == 1
    assert notes.heard == []


def test_a_failed_cell_leaves_the_others_to_the_tools(tools: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells, notes, out = [make(tools), make(tools, steps=8)], Notes(), tmp_path / "out"
    save = CellStore.save_checkpoint

    def fails_once(self: CellStore, checkpoint: Any) -> None:
        if self.folder.name == cells[0].key:
            raise RuntimeError("lost")
        save(self, checkpoint)

    monkeypatch.setattr(CellStore, "save_checkpoint", fails_once)
    outcome = run(cells, Store(out), Silence(), "cpu", StreamCache(), Tracking({"notes": notes}, out))
    assert list(outcome.failures) == [cells[0].key]
    assert [entry[1] for entry in notes.heard if entry[0] == "close"] == ["failed", "done"]


# The command line.


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
def test_a_missing_package_is_told_before_anything_runs(
    kancl: Kancl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    ended = kancl("run", SCENARIO, *QUICK, "--track", name, "--out", tmp_path / "out")
    assert ended.code == 2
    assert f"pip install {name}" in ended.err
    assert "pip install 'kancl[trackers]'" in ended.err
    assert "Traceback" not in ended.err
    assert not (tmp_path / "out").exists()


def test_an_unknown_tool_is_refused_with_the_near_miss(kancl: Kancl, tmp_path: Path) -> None:
    ended = kancl("run", SCENARIO, *QUICK, "--track", "tensorbord", "--out", tmp_path / "out")
    assert ended.code == 2
    assert "unknown tracker 'tensorbord'; did you mean tensorboard?" in ended.err
    assert not (tmp_path / "out").exists()


def test_a_place_is_no_key_of_an_experiment_file(kancl: Kancl, tmp_path: Path) -> None:
    file = tmp_path / "experiment.toml"
    file.write_text(f'scenarios = ["{SCENARIO}"]\ntrack = ["tensorboard"]\n')
    ended = kancl("run", "--file", file, "--out", tmp_path / "out")
    assert ended.code == 2
    assert "track" in ended.err


def test_a_tracker_of_ones_own_is_a_file(kancl: Kancl, tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text("""
class Lines:
    def begin(self, cell, folder):
        return File(cell.key, folder)

    def hint(self, folder):
        return f"cat {folder}/*.txt"


class File:
    def __init__(self, key, folder):
        self.path = folder / f"{key}.txt"

    def log(self, evaluation):
        with self.path.open("a") as file:
            print(evaluation.total_step, evaluation.series()["rmse/task_1"], file=file)

    def finish(self, summary):
        pass

    def close(self, state):
        pass
""")
    plain = kancl("run", SCENARIO, *QUICK, "--out", tmp_path / "plain")
    ended = kancl("run", SCENARIO, *QUICK, "--track", f"{own}:Lines", "--out", tmp_path / "out")
    assert (plain.code, ended.code, ended.err) == (0, 0, "")
    (entry,), (other,) = load(tmp_path / "out").entries, load(tmp_path / "plain").entries
    assert entry.cell.key == other.cell.key, "what listens is not part of an experiment"
    same_numbers(entry.result, other.result)
    folder = tmp_path / "out/tracking/own.py-Lines"
    assert f"Tracked: cat {folder}/*.txt" in ended.out
    lines = [line.split() for line in (folder / f"{entry.cell.key}.txt").read_text().splitlines()]
    assert [float(value) for _, value in lines] == entry.result.curves["rmse"].mean(0)[:, 0].tolist()


def test_a_failing_tool_does_not_fail_the_command(
    kancl: Kancl, tmp_path: Path, enrol: Callable[[Registry, str, Any], None]
) -> None:
    enrol(trackers, "brittle", lambda: Notes("log"))
    ended = kancl("run", SCENARIO, *QUICK, "--track", "brittle", "--out", tmp_path / "out")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.count("warning: tracking with brittle stopped") == 1
    assert "Tracked:" not in ended.out
    assert len(load(tmp_path / "out").entries) == 1


def test_each_tool_is_made_once(enrol: Callable[[Registry, str, Any], None]) -> None:
    made: list[Notes] = []
    enrol(trackers, "notes", lambda: made.append(Notes()) or made[-1])
    assert list(make_trackers(["notes", "notes"])) == ["notes"]
    assert len(made) == 1


def test_what_several_processes_told_at_once_is_all_noted(tmp_path: Path) -> None:
    folder = tmp_path / "out" / "tracking" / "tool"
    folder.mkdir(parents=True)
    keys = [f"cell {number}" for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda key: Told(folder).note(key, complete=True), keys))
    assert len(set(ids)) == len(keys)
    assert all(Told(folder).is_complete(key) for key in keys)
    assert [Told(folder).note(key, complete=False) for key in keys] == ids
