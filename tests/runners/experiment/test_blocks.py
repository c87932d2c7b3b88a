"""Seeds whose tasks differ in size are trained in groups; each is equal to itself alone, wherever its numbers are read."""

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import runners
from kancl.errors import InputError
from kancl.metrics import METRICS
from runners.config.cell import Cell
from runners.config.request import Request
from runners.experiment.expand import expand
from runners.measure.locality import Locality
from runners.measure.merge import merge
from runners.measure.record import Progress
from runners.measure.result import Result
from runners.run import run_cell
from runners.strategies import strategies
from runners.stream.cache import StreamCache, _size
from runners.stream.stack import stack
from runners.trackers.events import Evaluations
from scenarios import Scenario, Task, scenarios
from scenarios.inspection.inspection import inspect_scenario

SEEDS = (5, 0, 3, 2)
GROUPS = ((5, 3), (0, 2))


def coins(seed: int, setting: str = "domain", alone: bool = False) -> Scenario:
    """Return two tasks of rows that a coin drew: odd seeds have fewer of them, or every seed its own number."""
    rng = np.random.default_rng(seed)
    train, test = (20 + 2 * seed, 12 + seed) if alone else ((23, 9) if seed % 2 else (30, 12))
    tasks = []
    for number in range(2):
        x = rng.normal(size=(train + test, 3)) + number
        y = (x[:, 0] > number).astype(int) + (2 * number if setting != "domain" else 0)
        heads = {"active": (2 * number, 2 * number + 1)} if setting == "task" else {}
        tasks.append(Task(f"t{number}", (x[:train], y[:train]), (x[train:], y[train:]), **heads))
    outputs = 2 if setting == "domain" else 4
    return Scenario(tuple(tasks), "cross-entropy", outputs=outputs, setting=setting)  # type: ignore[arg-type]


@pytest.fixture(autouse=True, scope="module")
def _coins() -> Iterator[None]:
    scenarios.register("coins")(coins)
    yield
    del scenarios._entries["coins"]


def cells(strategies: tuple[str, ...], scenario: str = "coins", seeds: str = "5,0,3,2", **said: Any) -> list[Cell]:
    asked: dict[str, Any] = {"lr": 0.02, "evaluations": 4, "dtype": "float64", "batch_size": 8, "epochs": 2, **said}
    if "steps" in said:
        del asked["epochs"]
    architectures = asked.pop("architectures", ("kan:hidden=3,intervals=4,base=silu",))
    return expand([Request((scenario,), architectures, strategies, seeds=seeds, **asked)])


def assert_each_alone(cell: Cell, result: Result, tolerance: float = 1e-9) -> None:
    """Every seed's numbers, and every metric, are those of the seed alone."""
    assert result.seeds == cell.seeds
    streams = StreamCache()
    for s, seed in enumerate(cell.seeds):
        own = replace(cell, seeds=(seed,))
        alone = run_cell(own, streams.of(own))
        count = len(alone.curve_step)
        for name, R in alone.R.items():
            np.testing.assert_allclose(result.R[name][s], R[0], atol=tolerance)
            np.testing.assert_allclose(result.null[name][s], alone.null[name][0], atol=tolerance)
            np.testing.assert_allclose(result.curves[name][s, :count], alone.curves[name][0], atol=tolerance)
        step = result.curve_step if result.curve_step.ndim == 1 else result.curve_step[s]
        assert step[:count].tolist() == alone.curve_step.tolist()
        for metric in METRICS:
            np.testing.assert_allclose(result.metric(metric)[s], alone.metric(metric)[0], atol=tolerance, err_msg=metric)


@pytest.mark.parametrize("setting", ["domain", "task"])
def test_each_seed_is_itself_alone_under_every_strategy(setting: str) -> None:
    asked = tuple(name for name in strategies.names() if setting == "task" or name != "packnet")  # it needs heads
    streams = StreamCache()
    for cell in cells(asked, f"coins:setting={setting}", epochs=1, evaluations=2):
        stream = streams.of(cell)
        assert tuple(group.seeds for group in stream.groups) == GROUPS
        assert_each_alone(cell, run_cell(cell, stream))


@pytest.mark.parametrize("said", [{"optimizer": "lbfgs", "lr": 1.0, "batch_size": "full", "steps": 3}, {"steps": 5}])
def test_steps_that_are_the_same_for_all_seeds_have_one_course(said: dict[str, Any]) -> None:
    (cell,) = cells(("naive",), **said)
    result = run_cell(cell, StreamCache().of(cell))
    assert result.curve_step.ndim == 1
    assert_each_alone(cell, result)


def test_seeds_that_took_steps_of_their_own_say_so() -> None:
    (cell,) = cells(("naive",), evaluations=20)
    result = run_cell(cell, StreamCache().of(cell))
    assert (result.curve_step < 0).sum(1).tolist() == [4, 0, 4, 0]  # of 6 or 8 evaluations in each of two tasks, and one before
    assert_each_alone(cell, result)
    last = [result.curve_step[s][result.curve_task[s] == 1].max() for s in range(4)]
    assert last == [6, 8, 6, 8]  # 2 epochs of 23 or 30 samples in batches of 8
    assert result.steps == 2 * (6 + 8)
    back = Result.from_arrays(result.to_arrays())
    np.testing.assert_array_equal(back.curve_step, result.curve_step)
    np.testing.assert_array_equal(back.metric("windowed_forgetting"), result.metric("windowed_forgetting"))


def test_every_seed_of_its_own_size_runs_and_it_is_said_in_a_line() -> None:
    (cell,) = cells(("ewc",), "coins:alone=true", epochs=1)
    stream = StreamCache().of(cell)
    assert [group.seeds for group in stream.groups] == [(5,), (0,), (3,), (2,)]
    (remark,) = stream.remarks
    assert remark.startswith(
        "the tasks of its seeds differ in size, so seeds are trained in 4 groups of equal sizes (5, 0, 3, 2)"
    )
    assert_each_alone(cell, run_cell(cell, stream))


def test_the_whole_stream_shows_what_all_seeds_have() -> None:
    stream = stack(cells(("naive",))[0].scenario, SEEDS)
    assert [samples.x.shape for samples in (*stream.train, *stream.test)] == [(4, 23, 3)] * 2 + [(4, 9, 3)] * 2
    for s, seed in enumerate(SEEDS):
        own = stack(cells(("naive",))[0].scenario, (seed,))
        assert torch.equal(stream.train[1].x[s], own.train[1].x[0, :23])
        assert torch.equal(stream.low[s], own.low[0])
        assert torch.equal(stream.null["accuracy"][s], own.null["accuracy"][0])


@pytest.mark.parametrize("name", ["naive", "replay"])
def test_the_avalanche_runner_too(name: str) -> None:
    (cell,) = cells((name,), runner="avalanche", epochs=1, seeds="5,0")
    assert_each_alone(cell, run_cell(cell, StreamCache().of(cell)))


def test_what_is_kept_in_memory_counts_the_groups() -> None:
    (cell,) = cells(("naive",))
    whole = StreamCache()
    stream = whole.of(cell)
    alone = [StreamCache() for _ in stream.groups]
    for streams, group in zip(alone, stream.groups, strict=True):
        streams.of(replace(cell, seeds=group.seeds))
    own = sum(_size(stream) for streams in alone for stream in streams.kept.values())
    assert _size(stream) == own + _size(replace(stream, groups=()))


def test_locality_records_are_put_side_by_side() -> None:
    (cell,) = cells(("naive",), locality="on", epochs=1)
    streams = StreamCache()
    result = run_cell(cell, streams.of(cell))
    assert result.locality is not None
    for s, seed in enumerate(SEEDS):
        own = replace(cell, seeds=(seed,))
        alone = run_cell(own, streams.of(own)).locality
        assert alone is not None
        for field in fields(Locality):
            if field.name not in ("layers", "causes"):
                np.testing.assert_allclose(
                    getattr(result.locality, field.name)[s], getattr(alone, field.name)[0], atol=1e-8, err_msg=field.name
                )


def test_merging_equal_blocks_gives_what_one_stack_gives(tools: Any) -> None:
    cell = tools.make_cell("sine-tasks:tasks=2,samples=12", "mlp:hidden=4", steps=6, dtype="float64", seeds=(4, 1, 2))
    whole = tools.train(cell).result
    parts = [tools.train(replace(cell, seeds=seeds)).result for seeds in ((1, 2), (4,))]
    merged = merge(parts, (4, 1, 2))
    assert merged.seeds == whole.seeds
    for name, values in whole.to_arrays().items():
        if name not in ("seconds", "steps", "step_seconds", "evaluation_seconds"):
            if values.dtype.kind == "f":
                np.testing.assert_allclose(merged.to_arrays()[name], values, atol=1e-10, err_msg=name)
            else:
                np.testing.assert_array_equal(merged.to_arrays()[name], values, err_msg=name)
    assert merged.seconds == pytest.approx(sum(part.seconds for part in parts))
    assert merge([whole], (4, 1, 2)) is whole


class Stopped(Exception):  # noqa: N818, it is no error
    """Somebody pulled the plug."""


def test_a_run_goes_on_in_the_block_where_it_stopped(
    tmp_path: Path, kancl: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from runners.experiment import blocks

    asked = ["coins", "--architectures", "mlp", "--strategies", "ewc", "--seeds", "5,0,3,2", "--epochs", "2", "--lr", "0.02"]
    assert kancl("run", *asked, "--out", tmp_path / "whole").code == 0
    trained: list[tuple[tuple[int, ...], int]] = []
    stop = True

    def watched(cell: Cell, stream: Any, resume: Any, save: Any, tell: Callable[[Progress], None], *more: Any) -> Result:
        trained.append((cell.seeds, resume.phases_done if resume else 0))

        def saving(checkpoint: Any) -> None:
            save(checkpoint)
            if stop and cell.seeds == GROUPS[1]:
                raise Stopped

        return run_cell(cell, stream, resume, saving, tell, *more)

    monkeypatch.setattr(blocks, "run_cell", watched)
    assert kancl("run", *asked, "--out", tmp_path / "stopped").code == 1
    stop = False
    assert kancl("run", *asked, "--out", tmp_path / "stopped").code == 0
    assert trained == [(GROUPS[0], 0), (GROUPS[1], 0), (GROUPS[1], 1)]
    one, other = (runners.load(tmp_path / name).entries[0].result for name in ("whole", "stopped"))
    for name in one.R:
        np.testing.assert_array_equal(one.R[name], other.R[name])
        np.testing.assert_array_equal(one.curves[name], other.curves[name])
    assert "stored" in kancl("run", *asked, "--out", tmp_path / "stopped").out


def test_tables_frames_figures_and_trackers_see_one_cell(tmp_path: Path, kancl: Callable[..., Any]) -> None:
    out = tmp_path / "out"
    asked = ["--architectures", "mlp", "linear", "--seeds", "5,0,3,2", "--epochs", "2", "--match", "parameters", "--to", "mlp"]
    said = kancl("run", "coins", *asked[:-4], "--tune", "2", "--tune-seeds", "7,8,9", "--out", out)
    assert said.code == 0, said.err
    assert said.out.count("the tasks of its seeds differ in size") == 2  # of the trials' seeds, and of the reported ones
    assert "seeds 5,0,3,2: done" in said.out
    results = runners.load(out)
    entry = results.entries[0]
    assert len(results.entries) == 2
    assert entry.result.seeds == SEEDS
    curves = results.curves[results.curves["cell"] == entry.cell.key]
    ends = curves[curves["training_task"] == 2].groupby("seed")["step"].max()
    assert ends.to_dict() == {0: 2, 2: 2, 3: 2, 5: 2}  # batches of the default size hold all samples
    assert kancl("compare", out).code == 0
    assert (out / "figures").is_dir()


def test_figures_and_trackers_of_seeds_with_courses_of_their_own(tmp_path: Path, kancl: Callable[..., Any]) -> None:
    out = tmp_path / "out"
    asked = ["--architectures", "mlp", "linear", "--seeds", "5,0,3,2", "--epochs", "2", "--batch-size", "8"]
    assert kancl("run", "coins", *asked, "--out", out).code == 0
    ended = kancl("compare", out)
    assert ended.code == 0, ended.err
    result = runners.load(out).entries[0].result
    result.diverged_at[1] = int((result.curve_task[1] == 0).sum())  # at the first evaluation of task 1
    told = list(Evaluations(result.seeds).of_result(result))
    assert [(one.task, one.step, one.end) for one in told] == [(0, 0, True), (1, 8, True), (2, 8, True)]
    assert [one.alive.tolist() for one in told] == [[True] * 4, [True, False, True, True], [True, False, True, True]]
    frame = runners.load(out).curves
    assert not frame["value"].isna().any()
    assert frame.groupby("seed")["step"].max().to_dict() == {0: 8, 2: 8, 3: 6, 5: 6}


@pytest.mark.parametrize(
    ("part", "fields"),
    [("outputs", {"outputs": 3}), ("loss", {"loss": "mse"}), ("blur", {"blur": 0.5}), ("number of tasks", {})],
)
def test_seeds_that_differ_in_more_than_their_samples_are_refused_in_a_line(
    monkeypatch: pytest.MonkeyPatch, part: str, fields: dict[str, Any]
) -> None:
    def build(seed: int) -> Scenario:
        scenario = coins(0)
        if not seed:
            return scenario
        tasks = scenario.tasks if fields else scenario.tasks[:1]
        if "loss" in fields:
            tasks = tuple(replace(t, train=(t.train[0], t.train[0]), test=(t.test[0], t.test[0])) for t in tasks)
        return replace(scenario, tasks=tasks, **{"outputs": 3 if "loss" in fields else 2, **fields})

    monkeypatch.setitem(scenarios._entries, "restless", build)
    spec = replace(cells(("naive",))[0].scenario, name="restless", options={})
    with pytest.raises(
        InputError, match=rf"agree in all but their samples, but seed 0 has .* as {part} and seed 1 has"
    ) as caught:
        stack(spec, (0, 1))
    assert len(str(caught.value)) < 200


def test_the_check_of_a_scenario_warns_and_does_not_refuse() -> None:
    spec = cells(("naive",))[0].scenario
    inspection = inspect_scenario(spec, elsewhere=False)
    assert not inspection.faults
    (warning,) = [f.text for f in inspection.findings if "differ in size" in f.text]
    assert "0 and 1 in training inputs of task 1: 30 and 23 samples" in warning
