"""Guards the locality record: it changes no number, agrees with R, is continued after a kill, stored, and read as frames."""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from kancl.locality import explain_damage
from kancl.models import Network, Problem, architectures
from runners.measure.locality import Locality
from runners.measure.result import Result
from runners.results.results import load
from runners.run import run_cell
from runners.store.cell import CellStore

SMALL: dict[str, Any] = {"seeds": 2, "optimizer": "adam", "lr": 0.01, "steps": 6, "evaluations": 2}
PEAKS = "gaussian-peaks:tasks=3,samples=20"
MOVING = "kan:hidden=3,intervals=6,base=silu,grid=each-task"


def watched(tools: Any, scenario: str, architecture: str, strategy: str = "naive", **said: Any) -> Any:
    return replace(tools.make_cell(scenario, architecture, strategy, **{**SMALL, **said}), locality=True)


def record_of(tools: Any, *cell: Any, **said: Any) -> Locality:
    record = tools.train(watched(tools, *cell, **said)).result.locality
    assert isinstance(record, Locality)
    return record


def assert_same_record(one: Locality, other: Locality) -> None:
    for name, values in one.to_arrays().items():
        assert np.array_equal(values, other.to_arrays()[name], equal_nan=values.dtype.kind == "f"), name


@pytest.mark.parametrize(
    ("architecture", "said"),
    [
        ("mlp:hidden=4", {"batch_size": 8, "state": "keep"}),
        (MOVING, {"optimizer": "adamw", "weight_decay": 0.1}),
        ("kan:hidden=3", {"optimizer": "lbfgs", "lr": 1.0}),
    ],
)
@pytest.mark.parametrize("strategy", ["naive", "independent"])
def test_a_watched_run_has_the_same_numbers(tools: Any, architecture: str, strategy: str, said: dict[str, Any]) -> None:
    cell = watched(tools, PEAKS, architecture, strategy, **said)
    plain, seen = tools.train(replace(cell, locality=False)), tools.train(cell)
    assert plain.result.locality is None
    for name, R in plain.result.R.items():
        assert np.array_equal(R, seen.result.R[name])
        assert np.array_equal(plain.result.curves[name], seen.result.curves[name])
    for ours, theirs in zip(plain.weights, seen.weights, strict=True):
        assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


@pytest.mark.parametrize("architecture", architectures.names())
@pytest.mark.parametrize(
    ("scenario", "score", "loss"),
    [
        (PEAKS, "rmse", np.square),
        ("split-digits:classes_per_task=5", "cross-entropy", lambda R: R),
        ("split-digits:classes_per_task=5,setting=task", "cross-entropy", lambda R: R),
    ],
)
def test_the_ledger_explains_the_change_in_scores(
    tools: Any, architecture: str, scenario: str, score: str, loss: Callable[[np.ndarray], np.ndarray]
) -> None:
    result = tools.train(watched(tools, scenario, architecture)).result
    record, R, tasks = result.locality, loss(result.R[score][:, 1:]), len(result.tasks)
    for i in range(tasks):
        for j in range(tasks):
            if j < i:
                np.testing.assert_allclose(record.loss_then[:, i, j], R[:, j, j], rtol=1e-4)
                np.testing.assert_allclose(record.loss_now[:, i, j], R[:, i, j], rtol=1e-4)
                assert np.isfinite(record.parts[:, i, j]).all()
            else:
                assert np.isnan(record.parts[:, i, j]).all()
                assert np.isnan(record.damage[:, i, j]).all()
    whole = record.parts.sum(-1) + record.interaction
    np.testing.assert_allclose(whole, record.damage, rtol=1e-4, atol=1e-6)
    layers = len(record.layers)
    assert layers >= 1
    assert record.overlap_before.shape == (2, layers, tasks, tasks)
    assert record.off_grid.shape == record.unused.shape == (2, tasks + 1, layers, tasks)
    for values in (record.overlap_before, record.overlap_after, record.unused):
        assert ((values >= -1e-6) & (values <= 1 + 1e-5)).all()
    np.testing.assert_allclose(np.diagonal(record.overlap_after, axis1=2, axis2=3), 1, rtol=1e-5)
    np.testing.assert_allclose(record.overlap[:, -1], record.overlap_after[:, :, -1], rtol=1e-6)


@pytest.mark.parametrize("architecture", ["kan:hidden=3,base=silu", "mlp:hidden=4", MOVING])
def test_the_record_of_a_seed_does_not_depend_on_the_stack(tools: Any, architecture: str) -> None:
    cell = watched(tools, PEAKS, architecture, seeds=(0, 1, 3), dtype="float64", optimizer="adamw", weight_decay=0.1)
    stacked = tools.train(cell).result.locality.to_arrays()
    alone = tools.train(replace(cell, seeds=(3,))).result.locality.to_arrays()
    for name, values in alone.items():
        if values.dtype.kind == "f":
            np.testing.assert_allclose(stacked[name][2:], values, rtol=1e-6, atol=1e-10, err_msg=name)


@pytest.mark.parametrize(
    ("said", "still"),
    [
        ({"optimizer": "sgd", "momentum": 0.0}, True),
        ({"optimizer": "adam"}, True),
        ({"optimizer": "lbfgs", "lr": 1.0}, True),
        ({"optimizer": "adam", "state": "keep"}, False),
        ({"optimizer": "adamw", "weight_decay": 0.1}, False),
    ],
)
def test_idle_coefficients_drift_only_under_decay_or_momentum(tools: Any, said: dict[str, Any], still: bool) -> None:
    drift = record_of(tools, "gaussian-peaks:tasks=3", "kan:base=silu", **said).idle_drift
    assert drift.shape == (2, 3, 1)
    # The first task has no moments to inherit.
    assert (drift[:, 1:] == 0).all() == still
    assert (drift[:, 1:] > 0).all() != still


def test_the_toy_is_explained_by_what_breaks_it(tools: Any) -> None:
    """What the paper's network keeps, a base branch destroys; tasks share next to nothing of the splines in both."""
    said = {"optimizer": "adam", "lr": 0.01, "steps": 80}
    record = record_of(tools, "gaussian-peaks", "kan:base=silu", **said)
    parts, damage = record.final_ledger()
    assert (damage > 1e-3).all()
    assert (parts["base"] / damage > 0.9).all()
    assert explain_damage(parts, damage).split(",")[0].endswith("of the damage came from the base branch")
    neighbours = record.overlap_after[:, 0, range(4), range(1, 5)]
    assert ((neighbours > 0) & (neighbours < 0.05)).all()
    assert (record.overlap_after[:, 0, 0, 2:] == 0).all()
    assert (record.off_grid == 0).all()
    assert (record.unused > 0.7).all()
    assert (record.input_drift[:, 1:, 0, 0] == 0).all()


def test_hidden_inputs_of_old_tasks_drift(tools: Any) -> None:
    record = record_of(tools, PEAKS, "mlp:hidden=4", steps=30)
    later = np.tril(np.ones((3, 3), dtype=bool), -1)
    first, second = record.input_drift[:, :, 0], record.input_drift[:, :, 1]
    assert (first[:, later] == 0).all()
    assert (second[:, later] > 0).all()
    assert np.isnan(second[:, ~later]).all()
    assert np.isnan(record.idle_drift).all()
    assert np.isnan(record.off_grid).all()


@pytest.mark.parametrize("strategy", ["joint", "independent"])
def test_without_a_past_there_is_no_ledger(tools: Any, strategy: str) -> None:
    record = record_of(tools, PEAKS, "kan:hidden=3", strategy)
    assert record.causes == ()
    assert record.parts.shape == (2, 3, 3, 0)
    assert np.isnan(record.damage).all()
    assert np.isfinite(record.overlap).all()
    assert explain_damage(*record.final_ledger()) == "nothing is known of damage to old tasks"


def test_a_single_task_has_a_record(tools: Any) -> None:
    record = record_of(tools, "gaussian-peaks:tasks=1", "kan")
    assert record.overlap_after.shape == (2, 1, 1, 1)
    assert explain_damage(*record.final_ledger()) == "nothing is known of damage to old tasks"


class Bare(Network):
    """Parameters that no layer shows: no module is ever called with samples."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        drawn = [torch.rand(problem.inputs, problem.outputs, generator=g) for g in problem.generators()]
        self.table = nn.ParameterDict({"slope": nn.Parameter(torch.stack(drawn))})
        self.register_buffer("calls", torch.zeros(len(problem.seeds), dtype=torch.long))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.table["slope"]


def test_networks_without_layers_have_a_ledger(tools: Any, enrol: Callable[..., None]) -> None:
    enrol(architectures, "bare", lambda problem: Bare(problem))
    record = record_of(tools, PEAKS, "bare")
    assert record.layers == ()
    assert record.causes == ("slope",)  # a counter is no cause
    np.testing.assert_allclose(record.parts[..., 0], record.damage)
    assert record.overlap_after.shape == (2, 0, 3, 3)


@pytest.mark.parametrize(
    ("architecture", "strategy"), [(MOVING, "naive"), ("mlp:hidden=4", "naive"), ("kan", "joint"), ("kan", "independent")]
)
def test_going_on_after_any_task_gives_the_same_record(tools: Any, tmp_path: Path, architecture: str, strategy: str) -> None:
    cell = watched(tools, PEAKS, architecture, strategy, optimizer="adamw", weight_decay=0.1)
    stream, stores = tools.stream_of(cell), []

    def save(checkpoint: Any) -> None:
        stores.append(CellStore(tmp_path / str(checkpoint.phases_done)))
        stores[-1].begin(cell)
        stores[-1].save_checkpoint(checkpoint)

    whole = run_cell(cell, stream, save=save).locality
    assert whole is not None
    assert len(stores) == 3
    for store in stores:
        resume = store.load_checkpoint()
        assert resume is not None
        continued = run_cell(cell, stream, resume).locality
        assert continued is not None
        assert_same_record(continued, whole)


def test_a_record_survives_storing_and_none_stays_none(tools: Any) -> None:
    result = tools.train(watched(tools, PEAKS, MOVING)).result
    stored = Result.from_arrays(result.to_arrays()).locality
    assert stored is not None
    assert_same_record(stored, result.locality)
    assert (stored.layers, stored.causes) == (result.locality.layers, result.locality.causes)
    assert {f"locality/{f.name}" for f in fields(Locality)} == {n for n in result.to_arrays() if n.startswith("locality/")}
    assert Result.from_arrays(replace(result, locality=None).to_arrays()).locality is None


def test_the_key_of_a_cell_without_record_is_the_one_it_had_before_there_were_records(tools: Any) -> None:
    cell = tools.make_cell(PEAKS, "mlp:hidden=4", **SMALL)
    assert cell.old_key == "gaussian-peaks--mlp--naive--d6c3653d48"
    assert replace(cell, locality=True).key != cell.key


def test_records_are_read_as_tidy_frames(kancl: Callable[..., Any], tmp_path: Path) -> None:
    run = ("run", PEAKS, "--architectures", MOVING, "mlp:hidden=4", "--seeds", "3-4", "--optimizer", "adam", "--steps", 5)
    assert kancl(*run, "--locality", "on", "--out", tmp_path / "on").code == 0
    assert kancl(*run, "--out", tmp_path / "off").code == 0
    results, without = load(tmp_path / "on"), load(tmp_path / "off")
    for name in ("overlap", "occupancy", "drift", "ledger"):
        frame = getattr(results, name)
        assert {"scenario", "architecture", "strategy", "policy", "seed", "after_task", "task", "cell"} <= set(frame), name
        assert set(frame["seed"]) == {3, 4}
        assert set(frame["architecture"]) == {entry.labels["architecture"] for entry in results.entries}
        assert getattr(without, name).empty
    record = results.entries[0].result.locality
    assert record is not None
    kan = {name: getattr(results, name)[lambda f: f["cell"] == results.entries[0].cell.key] for name in ("overlap", "ledger")}
    picked = kan["overlap"].query("seed == 4 and layer == 'layers.1' and task == 1 and other == 2").set_index("after_task")
    expected = [record.overlap_before[1, 1, 0, 1], record.overlap[1, 0, 1, 1], record.overlap_after[1, 1, 0, 1]]
    np.testing.assert_array_equal(picked["overlap"].loc[[0, 1, 3]], expected)
    assert len(kan["overlap"]) == 2 * 2 * 3 * 2 * 2 + 2 * 2 * 2 * 2
    book = kan["ledger"].query("seed == 3 and after_task == 3 and task == 2").set_index("cause")
    assert list(book.index) == [*record.causes, "interaction"]
    np.testing.assert_allclose(book["part"].sum(), book["damage"].iloc[0], rtol=1e-4)
    assert book["part"]["base"] == record.parts[0, 2, 1, record.causes.index("base")]
    assert len(kan["ledger"]) == 2 * 3 * len(book)
