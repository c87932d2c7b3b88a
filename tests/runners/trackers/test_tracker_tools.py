"""Guards each tool: what it has in the end, read with its own means, is the stored result; also after an interruption."""

import io
import json
import os
import struct
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from runners.config.cell import Cell
from runners.experiment.sweep import run
from runners.measure.record import Progress
from runners.measure.result import Result
from runners.results.results import load
from runners.store.experiment import Store, describe
from runners.stream.cache import StreamCache
from runners.trackers import Description, Tracking, make_trackers
from runners.trackers.events import Evaluations, summary
from runners.trackers.tracking import Told

TASKS, STEPS = 3, 12
SEEDS = (0, 1)
Series = dict[str, list[tuple[int, float]]]
"""Steps and values by name."""


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("WANDB_", "MLFLOW_"))]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def cell(tools: Any) -> Cell:
    return tools.make_cell(f"gaussian-peaks:tasks={TASKS}", "mlp", seeds=SEEDS, steps=STEPS, evaluations=3)


class Interrupts:
    """A listener that interrupts the run in a task, once."""

    def __init__(self, task: int) -> None:
        self.task = task

    def begin_cell(self, cell: Cell, number: int, count: int) -> None:
        pass

    def progress(self, cell: Cell, progress: Progress) -> None:
        if progress.task == self.task:
            self.task = 0
            raise KeyboardInterrupt

    def end_cell(self, cell: Cell, outcome: str) -> None:
        pass


def sweep(cell: Cell, out: Path, *names: str, interrupt: bool = False) -> Result:
    """Run a cell with these tools; on request it is interrupted in its second task, and continued by other instances."""
    warnings: list[str] = []
    listener, streams = Interrupts(2 if interrupt else 0), StreamCache()
    if interrupt:
        with pytest.raises(KeyboardInterrupt):
            run([cell], Store(out), listener, "cpu", streams, Tracking(make_trackers(names), out, warnings.append))
    outcome = run([cell], Store(out), listener, "cpu", streams, Tracking(make_trackers(names), out, warnings.append))
    assert warnings == []
    return outcome.results[cell.key]


def expected(result: Result) -> Series:
    """What a tool has to have, straight from the stored arrays."""
    steps = (np.maximum(result.curve_task - 1, 0) * STEPS + result.curve_step).tolist()
    curves, R = result.curves["rmse"], result.R["rmse"]
    series: Series = {
        "training/task": list(zip(steps, result.curve_task.tolist(), strict=True)),
        "training/seeds_alive": [(step, len(SEEDS)) for step in steps],
        "rmse/seen": [
            (step, curves[:, number, :task].mean())
            for number, (step, task) in enumerate(zip(steps, result.curve_task, strict=True))
            if task
        ],
    }
    for task in range(TASKS):
        series[f"rmse/task_{task + 1}"] = list(zip(steps, curves[:, :, task].mean(0), strict=True))
        series[f"R_rmse/task_{task + 1}"] = list(enumerate(R[:, :, task].mean(0)))
        for row, seed in enumerate(SEEDS):
            series[f"rmse_seed_{seed}/task_{task + 1}"] = list(zip(steps, curves[row, :, task], strict=True))
    return series


def assert_same(found: Series, wanted: Series, rtol: float = 1e-12) -> None:
    assert found.keys() == wanted.keys()
    for name, points in wanted.items():
        assert [step for step, _ in found[name]] == [step for step, _ in points], name
        np.testing.assert_allclose([v for _, v in found[name]], [v for _, v in points], rtol=rtol, err_msg=name)


def forget_the_end(told: Path) -> None:
    """As if the process had been killed right before it noted that a tool has all."""
    for key in json.loads(told.read_text()).keys() - {"of", "sha256", "format"}:
        Told(told.parent).note(key, complete=False)


# TensorBoard.


@pytest.mark.parametrize("interrupt", [False, True])
def test_tensorboard_shows_the_result(cell: Cell, tmp_path: Path, interrupt: bool) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = sweep(cell, tmp_path / "out", "tensorboard", interrupt=interrupt)
    events = EventAccumulator(str(tmp_path / "out/tracking/tensorboard" / cell.key), {"scalars": 0, "tensors": 0}).Reload()
    found = {name: [(event.step, event.value) for event in events.Scalars(name)] for name in events.Tags()["scalars"]}
    last = {name: [(TASKS * STEPS, value)] for name, value in summary(cell, result).items()}
    assert_same(found, {**expected(result), **last}, rtol=1e-6)  # event files hold single precision
    (text,) = events.Tensors("cell/text_summary")
    assert describe(cell) in text.tensor_proto.string_val[0].decode()
    assert {"_hparams_/experiment", "_hparams_/session_start_info", "_hparams_/session_end_info"} <= set(
        events.summary_metadata
    )


def test_tensorboard_knows_the_configuration(cell: Cell, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    sweep(cell, tmp_path / "out", "tensorboard")
    events = EventAccumulator(str(tmp_path / "out/tracking/tensorboard" / cell.key)).Reload()
    content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    values = HParamsPluginData.FromString(content).session_start_info.hparams
    assert values["policy.lr"].number_value == cell.policy.lr
    assert values["architecture"].string_value == "mlp"
    assert values["seeds"].string_value == "0,1"


def test_an_open_tensorboard_shows_a_cell_that_is_told_again_once(cell: Cell, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = tmp_path / "out/tracking/tensorboard"
    result = sweep(cell, tmp_path / "out", "tensorboard")
    events = EventAccumulator(str(folder / cell.key), {"scalars": 0})
    read = 0.0
    for _ in range(3):
        points = events.Reload().Scalars("rmse/task_2")
        assert [point.step for point in points] == [step for step, _ in expected(result)["rmse/task_2"]]
        assert points[0].wall_time > read, "what it shows is the last telling"
        read = points[-1].wall_time
        forget_the_end(folder / "cells.json")
        sweep(cell, tmp_path / "out", "tensorboard")


def test_a_full_disk_leaves_no_open_event_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []

    class Full(io.BytesIO):
        def flush(self) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", lambda self, mode: opened.append(Full()) or opened[-1])
    about = Description("key", "id", "title", "out", {"tasks": ["one"]})
    with pytest.raises(OSError, match="No space"):
        make_trackers(["tensorboard"])["tensorboard"].begin(about, tmp_path)
    assert [file.closed for file in opened] == [True]


# Weights & Biases.


def offline_records(path: Path) -> Iterator[Any]:
    """The records of an offline run: a LevelDB log after 7 bytes, in blocks of 32 KiB."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, whole = path.read_bytes(), 7, b""
    assert data[:4] == b":W&B"
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last of several parts
            yield Record.FromString(whole)
            whole = b""


def test_wandb_holds_the_result_in_one_offline_run(cell: Cell, tmp_path: Path) -> None:
    result = sweep(cell, tmp_path / "out", "wandb", interrupt=True)
    (file,) = (tmp_path / "out/tracking/wandb/wandb").glob("offline-run-*/run-*.wandb")
    found: Series = defaultdict(list)
    final: dict[str, float] = {}
    for record in offline_records(file):
        if record.HasField("run"):
            about = record.run
        items = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
        for name in items.keys() - {"_step", "_runtime", "_timestamp"}:
            step = items["training/task"] if name.startswith("R_") else items["_step"]
            found[name].append((step, items[name]))
        final |= {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.summary.update}
    assert_same(found, expected(result))
    told = summary(cell, result)
    assert {name: final.get(name) for name in told} == pytest.approx(told, rel=1e-12)
    config = {item.key: json.loads(item.value_json) for item in about.config.update if item.key}
    assert (config["architecture"], config["policy"]["lr"], config["cell"]) == ("mlp", cell.policy.lr, cell.key)
    assert (about.project, about.run_group, about.display_name) == ("kancl", "out", describe(cell))
    noted = json.loads((tmp_path / "out/tracking/wandb/cells.json").read_text())
    assert noted[cell.key] == {"id": about.run_id, "complete": True}


class FakeWandb(ModuleType):
    """Stands in for wandb: one run, which the server knows up to a step."""

    def __init__(self, known: int) -> None:
        super().__init__("wandb")
        self.given: dict[str, Any] = {}
        self.logged: list[tuple[int, dict[str, float]]] = []
        self.summary: dict[str, float] = {}
        self.ended: list[int] = []
        self.run = SimpleNamespace(
            step=known, summary=self.summary, define_metric=lambda *names, **more: None,
            log=lambda values, step, commit: self.logged.append((step, values)),
            finish=lambda exit_code: self.ended.append(exit_code),
        )  # fmt: skip

    def init(self, **given: Any) -> SimpleNamespace:
        self.given = given
        return self.run

    def Settings(self, **given: Any) -> dict[str, Any]:  # noqa: N802
        return given


def test_wandb_online_is_resumed_where_the_server_is(cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeWandb(known=13)
    monkeypatch.setitem(sys.modules, "wandb", fake)
    for name, value in {"MODE": "online", "PROJECT": "mine", "DIR": str(tmp_path / "place")}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    result = sweep(cell, tmp_path / "out", "wandb")
    assert fake.given["mode"] is None, "the user's environment decides"
    assert (fake.given["resume"], fake.given["project"], fake.given["dir"]) == ("allow", "mine", tmp_path / "place")
    steps = [step for step, _ in expected(result)["training/task"]]
    assert [step for step, _ in fake.logged] == [step for step in steps if step >= 13]
    assert (fake.summary, fake.ended) == (summary(cell, result), [0])
    hint = make_trackers(["wandb"])["wandb"].hint(tmp_path)
    assert "sync" not in hint


# MLflow.


class FakeMlflow:
    """Stands in for mlflow: the same calls on lists; as the real one, it adds a point again that is sent again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.places: list[str] = []
        self.experiments: dict[str, str] = {}
        self.runs: dict[str, SimpleNamespace] = {}
        modules = {name: ModuleType(name) for name in ("mlflow", "mlflow.entities", "sqlalchemy")}
        modules["mlflow"].MlflowClient = self.client
        modules["mlflow.entities"].Metric = lambda *parts: SimpleNamespace(
            **dict(zip(("key", "value", "timestamp", "step"), parts, strict=True))
        )
        modules["mlflow.entities"].Param = lambda key, value: SimpleNamespace(key=key, value=value)
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, name, module)

    def client(self, tracking_uri: str) -> "FakeMlflow":
        self.places.append(tracking_uri)
        return self

    def get_experiment_by_name(self, name: str) -> SimpleNamespace | None:
        return SimpleNamespace(experiment_id=self.experiments[name]) if name in self.experiments else None

    def create_experiment(self, name: str, artifact_location: str | None) -> str:
        self.experiments[name] = f"experiment {name}"
        return self.experiments[name]

    def create_run(self, experiment_id: str, tags: dict[str, str], run_name: str) -> SimpleNamespace:
        run_id = f"run {len(self.runs)}"
        info = SimpleNamespace(
            run_id=run_id, lifecycle_stage="active", status="RUNNING", experiment_id=experiment_id, name=run_name
        )
        data = SimpleNamespace(params={}, metrics={}, tags=tags)
        self.runs[run_id] = SimpleNamespace(info=info, data=data, points=[])
        return self.runs[run_id]

    def get_run(self, run_id: str) -> SimpleNamespace:
        return self.runs[run_id]

    def search_runs(self, experiment_ids: list[str], filter_string: str, max_results: int) -> list[SimpleNamespace]:
        found = [run for run in self.runs.values() if run.info.experiment_id in experiment_ids]
        found = [run for run in found if filter_string == f"tags.kancl_id = '{run.data.tags['kancl_id']}'"]
        return [run for run in found if run.info.lifecycle_stage == "active"][:max_results]

    def update_run(self, run_id: str, status: str) -> None:
        self.runs[run_id].info.status = status

    set_terminated = update_run

    def get_metric_history(self, run_id: str, key: str) -> list[SimpleNamespace]:
        return [point for point in self.runs[run_id].points if point.key == key]

    def log_batch(self, run_id: str, metrics: Any = (), params: Any = ()) -> None:
        assert len(metrics) <= 1000
        assert len(params) <= 100
        self.runs[run_id].points += metrics
        self.runs[run_id].data.metrics.update({point.key: point.value for point in metrics})
        self.runs[run_id].data.params.update({param.key: param.value for param in params})


def points_of(run: SimpleNamespace) -> Series:
    found: Series = defaultdict(list)
    for point in run.points:
        found[point.key].append((point.step, point.value))
    return found


def test_mlflow_is_sent_the_result_once(cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake, out = FakeMlflow(monkeypatch), tmp_path / "out"
    result = sweep(cell, out, "mlflow", interrupt=True)
    (only,) = fake.runs.values()
    last = {name: [(0, value)] for name, value in summary(cell, result).items()}
    assert_same(points_of(only), {**expected(result), **last})
    assert set(fake.places) == {f"sqlite:///{out}/tracking/mlflow/mlflow.db"}
    assert (only.info.status, only.info.experiment_id) == ("FINISHED", "experiment out")
    assert only.data.params["policy.lr"] == str(cell.policy.lr)
    assert (only.data.tags["kancl_cell"], only.info.name) == (cell.key, describe(cell))

    forget_the_end(out / "tracking/mlflow/cells.json")
    sweep(cell, out, "mlflow")
    assert len(fake.runs) == 1
    assert_same(points_of(only), {**expected(result), **last})  # killed before it was noted: nothing comes twice


def test_an_mlflow_run_that_was_deleted_is_made_again(cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake, out = FakeMlflow(monkeypatch), tmp_path / "out"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "theirs")
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)  # a server needs none here
    sweep(cell, out, "mlflow")
    fake.runs["run 0"].info.lifecycle_stage = "deleted"
    forget_the_end(out / "tracking/mlflow/cells.json")
    result = sweep(cell, out, "mlflow")
    assert len(fake.runs) == 2
    assert_same(points_of(fake.runs["run 1"]), expected(result) | {n: [(0, v)] for n, v in summary(cell, result).items()})
    assert set(fake.places) == {"http://server"}
    assert set(fake.experiments) == {"theirs"}
    assert make_trackers(["mlflow"])["mlflow"].hint(out) == "mlflow ui --backend-store-uri http://server"


def test_many_metrics_go_to_mlflow_in_batches_with_the_mark_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from runners.measure.record import Record
    from runners.trackers.mlflow import BATCH, MARK, OneRun

    fake = FakeMlflow(monkeypatch)
    tasks = BATCH + 5
    about = Description("key", "id", "title", "out", {"tasks": [f"{number}" * 4 for number in range(tasks)]})
    sink: Any = make_trackers(["mlflow"])["mlflow"].begin(about, tmp_path)
    assert isinstance(sink, OneRun)
    record = Record([{"rmse": np.ones((1, tasks))}], [{"rmse": np.ones((1, tasks))}], [(0, 0)], [], np.array([-1]))
    for told in Evaluations((0,)).of_record(record):
        sink.log(told)
    points = fake.runs[sink.run_id].points
    assert len(points) == 2 * tasks + 2
    assert points[-1].key == MARK
    assert len(fake.runs[sink.run_id].data.params["tasks"]) == 6000


@pytest.mark.filterwarnings("ignore")  # of what mlflow stands on, about each other
def test_mlflow_itself_holds_the_result(cell: Cell, tmp_path: Path) -> None:
    """With the package, where it is installed."""
    mlflow = pytest.importorskip("mlflow")
    result = sweep(cell, tmp_path / "out", "mlflow", interrupt=True)
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/out/tracking/mlflow/mlflow.db")
    (found,) = client.search_runs([client.get_experiment_by_name("out").experiment_id])
    points = {name: client.get_metric_history(found.info.run_id, name) for name in found.data.metrics}
    series = {name: sorted((point.step, point.value) for point in history) for name, history in points.items()}
    assert_same(series, expected(result) | {name: [(0, value)] for name, value in summary(cell, result).items()})
    assert (found.info.status, found.data.params["cell"]) == ("FINISHED", cell.key)
    assert len(load(tmp_path / "out").entries) == 1
