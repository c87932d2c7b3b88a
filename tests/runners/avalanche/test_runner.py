"""Guards the avalanche runner: what it drives and refuses, what it stores and says, and how it goes on when it was stopped."""

import copy
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import runners
from kancl import options
from kancl.errors import InputError
from kancl.models import architectures
from kancl.options import parse_spec
from runners.avalanche import avalanche_strategies
from runners.avalanche.carried import _made, _plain
from runners.avalanche.checks import check_cell, check_scenario
from runners.avalanche.data import endless, read_dataset, scenario_of, stream_of_seed
from runners.avalanche.registry import NOT_DRIVEN
from runners.avalanche.runner import surroundings
from runners.avalanche.strategies import make_strategy, remarks_on
from runners.config.cell import Cell, cell_from_json
from runners.config.request import Request
from runners.experiment import sweep
from runners.experiment.blocks import run_in
from runners.experiment.expand import expand
from runners.measure.record import Checkpoint, MisfitError, Pauses, Stopped, Within
from runners.report.tables import results_as_markdown
from runners.run import run_cell
from runners.store.cell import CellStore
from runners.store.experiment import Store
from runners.training.networks import build_network
from scenarios import Scenario, Task, to_avalanche

MLP = "mlp:hidden=5,activation=tanh"
SHORT: dict[str, Any] = {"optimizer": "adam", "lr": 0.01, "steps": 11, "batch_size": 8, "evaluations": 2}
CLASSES = "split-digits:classes_per_task=2,setting=class,samples=8,order=[0,1,2,3,4,5]"
SCENARIOS = {
    "class": CLASSES,
    "domain": CLASSES.replace("class,", "domain,"),
    "task": CLASSES.replace("class,", "task,"),
    "numbers": "gaussian-peaks:tasks=3,samples=12",
    "numbers with heads": "sine-tasks:tasks=3,samples=12,setting=task",
}
NAMES = sorted(avalanche_strategies.names())
FOR_CLASSES = ("lwf", "gdumb", "der", "er-ace", "mir")
REFUSED = {("task", "der"), *((scenario, name) for scenario in SCENARIOS if "numbers" in scenario for name in FOR_CLASSES)}


@pytest.fixture(scope="module", autouse=True)
def _avalanche() -> None:
    """Imported once: it takes seconds."""
    with surroundings(torch.float32):
        pass


@cache
def ground(tools: Any, scenario: str, architecture: str) -> Cell:
    cell: Cell = tools.make_cell(SCENARIOS[scenario], architecture, runner="avalanche", **SHORT, seeds=(4, 1))
    return cell


def cell_of(tools: Any, scenario: str, strategy: str, architecture: str = MLP) -> Cell:
    """A cell of the avalanche runner, checked as it is when cells are made."""
    cell = ground(tools, scenario, architecture)
    spec, adapter = make_strategy(strategy)
    stream = tools.stream_of(cell)
    cell = replace(cell, strategy=spec, asked={**cell.asked, "architecture": architecture, "strategy": strategy})
    check_cell(build_network(cell, stream), cell, stream, adapter, strategy)
    return cell


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("strategy", NAMES)
def test_every_strategy_trains_or_says_why_not(tools: Any, strategy: str, scenario: str) -> None:
    if (scenario, strategy) in REFUSED:
        with pytest.raises(InputError, match=r"classes|heads"):
            cell_of(tools, scenario, strategy)
        return
    cell = cell_of(tools, scenario, strategy)
    stream = tools.stream_of(cell)
    torch.manual_seed(7)
    before = torch.get_rng_state()
    result = run_cell(cell, stream)
    assert torch.equal(torch.get_rng_state(), before), "another's random numbers"
    assert torch.get_default_dtype() == torch.float32
    tasks = len(stream.train)
    for name, R in result.R.items():
        assert R.shape == (2, tasks + 1, tasks)
        assert np.isfinite(R).all(), name
        assert np.isfinite(result.curves[name]).all()
    assert result.curve_task.tolist() == [0, *(task for task in range(1, tasks + 1) for _ in range(2))]
    assert result.curve_step.tolist() == [0, *([1, 11] * tasks)]
    assert result.steps == 11 * tasks
    assert 0 < result.step_seconds < result.seconds
    if scenario in ("class", "numbers"):  # the same again, whatever was drawn in between, and for the second seed alone
        torch.manual_seed(8)
        again = run_cell(replace(cell, seeds=(1,)), tools.stream_of(replace(cell, seeds=(1,))))
        for name, R in result.R.items():
            np.testing.assert_array_equal(again.R[name], R[1:])
    # Only MIR in a domain setting does nothing about the past; see its description.
    silent = (strategy, scenario) == ("mir", "domain")
    assert result.remarks == (*remarks_on(strategy), *(["equals naive"] if silent else []))


def test_seeds_start_from_the_native_weights_and_scores(tools: Any) -> None:
    cell = cell_of(tools, "numbers", "naive")
    native = run_cell(replace(cell, runner="native", strategy=parse_spec("naive")), tools.stream_of(cell))
    driven = run_cell(cell, tools.stream_of(cell))
    np.testing.assert_allclose(driven.R["rmse"][:, 0], native.R["rmse"][:, 0], rtol=1e-6)
    assert driven.functions is not None
    assert native.functions is not None
    np.testing.assert_allclose(driven.functions, native.functions, rtol=1e-3, atol=1e-4)
    assert (driven.parameters, driven.active, driven.flops) == (native.parameters, native.active, native.flops)
    assert np.isnan(native.step_seconds)


def test_a_strategy_of_strength_0_is_said_to_equal_naive(tools: Any) -> None:
    for strategy in ("ewc:ewc_lambda=0", "mas:lambda_reg=0", "rwalk:ewc_lambda=0", "lwf:alpha=0"):
        assert run_cell(cell_of(tools, "class", strategy), tools.stream_of(ground(tools, "class", MLP))).remarks == (
            "equals naive",
        )


def test_killed_after_a_seed_it_goes_on_with_the_next(tools: Any, tmp_path: Path) -> None:
    cell = tools.make_cell(CLASSES, MLP, "mir", runner="avalanche", **SHORT, seeds=(4, 1, 9))
    cell = replace(cell, scenario=replace(cell.scenario, options={**cell.scenario.options, "setting": "domain"}))
    stream, kept = tools.stream_of(cell), []
    whole = run_cell(cell, stream, save=lambda checkpoint: kept.append(copy.deepcopy(checkpoint)))
    assert len(kept) == 3
    store = Store(tmp_path).cell(cell.key)
    store.begin(cell)
    for done, checkpoint in enumerate(kept, 1):
        store.save_checkpoint(checkpoint)
        loaded = store.load_checkpoint()
        assert loaded is not None
        later: list[Checkpoint] = []
        resumed = run_cell(cell, stream, loaded, save=later.append)
        assert len(later) == 3 - done, "seeds trained again"
        for name, R in whole.R.items():
            np.testing.assert_array_equal(resumed.R[name], R)
            np.testing.assert_array_equal(resumed.curves[name], whole.curves[name])
        np.testing.assert_array_equal(resumed.diverged_at, whole.diverged_at)
        assert resumed.remarks == whole.remarks == ("equals naive",)
        for name, tensor in kept[-1].network.items():
            assert torch.equal((later or [checkpoint])[-1].network[name], tensor)
            assert len(tensor) == 3


def test_progress_counts_the_steps_of_all_seeds(tools: Any) -> None:
    told: list[Any] = []
    cell = cell_of(tools, "numbers", "joint")
    run_cell(cell, tools.stream_of(cell), tell=told.append)
    steps = [progress.steps for progress in told]
    assert steps == sorted(steps)
    assert steps[-1] == told[-1].total_steps == 2 * 3 * 11
    assert {progress.task for progress in told} == {1, 2, 3}


def test_a_diverged_seed_is_told(tools: Any) -> None:
    wild = {**SHORT, "lr": 1e30, "optimizer": "sgd", "momentum": 0.0}
    cell = tools.make_cell(SCENARIOS["numbers"], MLP, "replay", runner="avalanche", **wild, seeds=2)
    assert (run_cell(cell, tools.stream_of(cell)).diverged_at > 0).all()


def test_the_runner_is_part_of_the_key_only_where_it_is_not_the_native_one(tools: Any) -> None:
    driven = tools.make_cell(CLASSES, MLP, "naive", runner="avalanche", **SHORT)
    native = tools.make_cell(CLASSES, MLP, "naive", **SHORT)
    assert native.key == tools.make_cell(CLASSES, MLP, "naive", runner="native", **SHORT).key
    assert "--naive--" in native.key
    assert "--avalanche-naive--" in driven.key
    assert driven.key.rpartition("--")[2] != native.key.rpartition("--")[2]
    old = native.to_json()
    del old["runner"]  # as it was stored before there was a choice
    assert cell_from_json(old) == native
    assert cell_from_json(driven.to_json()).key == driven.key


BAD = {
    "lbfgs": ({"optimizer": "lbfgs", "batch_size": None}, "naive", "lbfgs"),
    "locality": ({"locality": "on"}, "naive", "--locality"),
    "time": ({"match": "time", "to": "kan"}, "naive", "--match time"),
    "unknown": ({}, "ewk", "did you mean ewc"),
    "not driven": ({}, "icarl", "nearest mean"),
    "option": ({}, "ewc:lambda=1", "no option 'lambda'"),
    "negative": ({}, "ewc:ewc_lambda=-1", "ewc_lambda must be at least 0, got -1"),
    "online without decay": ({}, "ewc:mode=online", "decay_factor goes with mode=online"),
    "rwalk of long intervals": ({}, "rwalk:delta_t=12", "delta_t=12 must not exceed the steps of a task"),
    "agem of small samples": ({}, "agem:sample_size=2", "sample_size=2 is shared by all old tasks"),
    "der of small memory": ({}, "der:mem_size=5", "are never in a memory of mem_size=5"),
    "mir of small samples": ({}, "mir:subsample=5", "subsample=5 must be at least batch_size_mem=10"),
    "gdumb": ({}, "gdumb:mem_size=0", "mem_size must be at least 1, got 0"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_driven_is_refused(case: str) -> None:
    more, strategy, message = BAD[case]
    said = {**SHORT, **more}
    with pytest.raises(InputError) as refusal:
        expand(
            [Request(scenarios=(CLASSES,), architectures=(MLP,), strategies=(strategy,), seeds=1, runner="avalanche", **said)]
        )
    assert message in str(refusal.value)


@pytest.mark.parametrize(("grid", "strategy"), [("refine", "naive"), ("each-task", "ewc"), ("each-task", "from-scratch")])
def test_parameters_that_change_their_meaning_are_refused(grid: str, strategy: str) -> None:
    kan = f"kan:hidden=3,intervals=4,grid={grid}"
    with pytest.raises(InputError, match=r"other parameters|rewrites its parameters"):
        expand(
            [Request(scenarios=(CLASSES,), architectures=(kan,), strategies=(strategy,), seeds=1, runner="avalanche", **SHORT)]
        )


def test_scenarios_that_avalanche_cannot_carry_are_refused() -> None:
    task = Task("one", ([[0.0]], [[0.0]]), ([[0.0]], [[0.0]]))
    plain = Scenario((task,), "mse")
    check_scenario(plain, "plain")
    for more in ({"operator": lambda network: network}, {"blur": 0.5}, {"pretrain": (task,)}):
        with pytest.raises(InputError, match="the avalanche runner cannot train odd"):
            check_scenario(replace(plain, **more), "odd")


def test_names_are_driven_or_not() -> None:
    assert not set(NAMES) & set(NOT_DRIVEN)
    for name in NAMES:
        spec = options.complete(avalanche_strategies, parse_spec(name))
        assert options.build(avalanche_strategies.get(name), spec).__doc__.splitlines()[0].endswith(".")
    assert {name for name in NAMES if remarks_on(name)} == {"si"}
    assert remarks_on("gone.py:mine") == ()


def test_results_stored_before_it_was_a_remark_are_said_to_be_corrected() -> None:
    (entry,) = runners.load(Path(__file__).parents[2] / "data" / "stored-815f9c5" / "avalanche").entries
    assert (entry.labels["strategy"], entry.result.remarks) == ("avalanche:si", ("corrected",))
    assert entry.strategy == "avalanche:si (corrected)"


def test_batches_without_end_are_whole_passes() -> None:
    columns = [torch.arange(7), torch.arange(7) * 10]
    source = endless(columns, 3, torch.Generator().manual_seed(0))
    for _ in range(3):
        first, last = zip(*(next(source) for _ in range(3)), strict=True)
        assert sorted(torch.cat(first).tolist()) == list(range(7))
        assert torch.equal(torch.cat(last), 10 * torch.cat(first))
    whole = endless(columns, 3, torch.Generator().manual_seed(0), whole=True)
    assert [len(next(whole)[0]) for _ in range(5)] == [3] * 5


def test_kancl_run_stores_and_shows_it(kancl: Callable[..., Any], tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = (
        "run", SCENARIOS["domain"], "--architectures", "mlp:hidden=5", "--strategies", "mir", "si", "--runner", "avalanche",
        "--seeds", 2, "--steps", 11, "--batch-size", 8, "--evaluations", 2, "--out", out,
    )  # fmt: skip
    ended = kancl(*command)
    assert ended.code == 0, ended.err
    assert "avalanche:si (corrected)" in ended.out
    assert " / avalanche:si (corrected): corrected\n" in ended.out
    assert "avalanche:mir (equals naive)" in ended.out
    assert " / avalanche:mir (equals naive): equals naive\n" in ended.out
    assert ended.err == ""
    again = kancl(*command)
    assert again.out.count("stored") >= 2
    results = runners.load(out)
    assert not results.missing
    by_label = {entry.strategy: entry.result for entry in results.entries}
    assert set(by_label) == {"avalanche:mir (equals naive)", "avalanche:si (corrected)"}
    assert all(0 < result.step_seconds < 1 for result in by_label.values())
    assert "avalanche:mir (equals naive)" in results_as_markdown(results)
    assert kancl("compare", out).code == 0


def test_an_experiment_file_names_the_runner(kancl: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "both.toml"
    file.write_text(
        f'scenarios = ["{SCENARIOS["numbers"]}"]\narchitectures = ["{MLP}"]\nseeds = 1\nsteps = 3\noptimizer = "adam"\n'
        '[[block]]\n[[block]]\nrunner = "avalanche"\n'
    )
    ended = kancl("run", "--file", file, "--out", tmp_path / "out")
    assert ended.code == 0, ended.err
    native, driven = runners.load(tmp_path / "out").entries
    assert (native.cell.runner, driven.cell.runner) == ("native", "avalanche")
    np.testing.assert_allclose(driven.result.R["rmse"], native.result.R["rmse"], rtol=1e-4)


def test_tuning_drives_avalanche_too(kancl: Callable[..., Any], tmp_path: Path) -> None:
    ended = kancl(
        "run", SCENARIOS["numbers"], "--architectures", MLP, "--strategies", "replay", "--runner", "avalanche", "--seeds", 1,
        "--steps", 3, "--tune", 2, "--tune-seeds", 1, "--optimizer", "adam", "--out", tmp_path / "out",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert "tuned" in ended.out


def test_a_gpu_is_refused(kancl: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("runners.store.environment.check_device", lambda device: None)
    ended = kancl("run", CLASSES, "--runner", "avalanche", "--device", "cuda", "--out", tmp_path / "out")
    assert ended.code == 2
    assert "on the CPU" in ended.err


def test_the_list_shows_them_apart(kancl: Callable[..., Any]) -> None:
    shown = kancl("list", "strategies").out
    native, _, driven = shown.partition("strategies of the avalanche runner (--runner avalanche)")
    assert "knot-anchor" in native
    assert "er-ace" not in native
    assert [line.split()[0] for line in driven.splitlines() if line.strip()] == NAMES
    assert "ewc_lambda: float = 1.0" in kancl("list", "strategies", "--verbose").out
    assert "avalanche" not in kancl("list", "architectures").out


def test_architectures_are_all_driven(tools: Any) -> None:
    """Every architecture can be seen as a module for one network at a time."""
    for name in sorted(architectures.names()):
        cell = tools.make_cell(SCENARIOS["numbers"], name, "ewc", runner="avalanche", **{**SHORT, "steps": 2}, seeds=1)
        assert np.isfinite(run_cell(cell, tools.stream_of(cell)).R["rmse"]).all(), name


OWN = '''
from dataclasses import dataclass
from typing import ClassVar

from runners.avalanche import AvalancheStrategy


@dataclass(frozen=True)
class Less(AvalancheStrategy):
    """Avalanche's EWC under another name."""

    template: ClassVar[str] = "EWC"
    ewc_lambda: float = 3.0


def nothing() -> int:
    """No strategy."""
    return 0
'''


def test_a_strategy_of_ones_own_comes_from_a_file(tools: Any, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(OWN)
    stream = tools.stream_of(ground(tools, "class", MLP))
    own = run_cell(cell_of(tools, "class", f"{file}:Less"), stream)
    known = run_cell(cell_of(tools, "class", "ewc:ewc_lambda=3"), stream)
    np.testing.assert_array_equal(own.R["accuracy"], known.R["accuracy"])
    assert own.remarks == ()
    with pytest.raises(InputError, match=r"must be a runners\.avalanche\.AvalancheStrategy, got int"):
        make_strategy(f"{file}:nothing")


def stopping_at(places: list[tuple[int, int]], files: Store, cell: Any) -> Any:
    """What saves a cell after every step, keeps it in a folder of its own at some places, and the ends of seeds in all."""
    ends: list[Checkpoint] = []

    def save(saved: Any) -> None:
        if isinstance(saved, Checkpoint):
            ends.append(copy.deepcopy(saved))
            return
        place = (saved.phase, saved.step)
        if ends and place in places:
            store = files.cell(f"{saved.phase}-{saved.step}")
            store.begin(cell)
            store.save_checkpoint(ends[-1])
            store.save_checkpoint(saved)

    return save


@pytest.mark.parametrize("strategy", ["naive", "cumulative", "joint", "si"])
@pytest.mark.parametrize("policy", ["reset", "keep", "lazy"])
def test_a_seed_goes_on_inside_a_task_under_every_policy(tools: Any, tmp_path: Path, strategy: str, policy: str) -> None:
    said = {"reset": {"schedule": "cosine"}, "keep": {"state": "keep"}, "lazy": {"lazy": True, "clip": 0.1}}[policy]
    own = {**SHORT, "steps": 4, "batch_size": 8, "optimizer": "adam", **said}
    grid = "" if strategy == "si" else ",grid=each-task"
    cell = tools.make_cell(
        "gaussian-peaks:tasks=3,samples=20", f"kan:hidden=3{grid}", strategy, runner="avalanche", **own, seeds=(4, 1)
    )
    stream, places = tools.stream_of(cell), [(0, 2), (1, 0), (1, 3), (2, 1)]
    whole = run_cell(cell, stream, save=stopping_at(places, Store(tmp_path), cell), pauses=Pauses(every=0.0))
    for phase, step in places:
        saved = Store(tmp_path).cell(f"{phase}-{step}").load_checkpoint()
        assert isinstance(saved, Within)
        resumed = run_cell(cell, stream, saved)
        for name, R in whole.R.items():
            np.testing.assert_array_equal(resumed.R[name], R)
            np.testing.assert_array_equal(resumed.curves[name], whole.curves[name])
        assert (resumed.steps, resumed.remarks) == (whole.steps, whole.remarks)


GOING_ON = [(name, scenario) for name in NAMES for scenario in ("class", "task", "numbers") if (scenario, name) not in REFUSED]
MANY = {"mir": "mir:mem_size=12,subsample=5,batch_size_mem=3", "agem": "agem:sample_size=5,patterns_per_exp=7",
        "rwalk": "rwalk:delta_t=3", "gem": "gem:patterns_per_exp=7"}  # fmt: skip
"""Options with which memories are smaller than the data, passes end inside tasks, and intervals are not those of tasks."""


@pytest.mark.parametrize(("name", "scenario"), [*GOING_ON, ("mir", "domain")])
def test_a_seed_goes_on_at_a_step_whatever_avalanche_carries(tools: Any, tmp_path: Path, name: str, scenario: str) -> None:
    cell = cell_of(tools, scenario, MANY.get(name, name))
    stream, places = tools.stream_of(cell), [(0, 2), (1, 0), (1, 1), (1, 7), (2, 0), (2, 5)]
    plain = run_cell(cell, stream)
    whole = run_cell(cell, stream, save=stopping_at(places, Store(tmp_path), cell), pauses=Pauses(every=0.0))
    assert whole.R.keys() == plain.R.keys()
    for phase, step in places:
        saved = Store(tmp_path).cell(f"{phase}-{step}").load_checkpoint()
        assert isinstance(saved, Within), (phase, step)
        torch.manual_seed(5)  # whatever was drawn before
        resumed = run_cell(cell, stream, saved)
        for score, R in plain.R.items():
            np.testing.assert_array_equal(whole.R[score], R, "saving changes nothing")
            np.testing.assert_array_equal(resumed.R[score], R, f"from step {step} of task {phase + 1}")
            np.testing.assert_array_equal(resumed.curves[score], plain.curves[score])
        assert (resumed.steps, resumed.remarks) == (plain.steps, plain.remarks)


@pytest.mark.parametrize("scenario", ["task", "numbers with heads"])
def test_data_that_are_carried_are_the_same_data(tools: Any, scenario: str) -> None:
    """Samples of several heads in no order, put together with whole tasks from either side."""
    stream = tools.stream_of(ground(tools, scenario, MLP))
    first, second, _ = (part.dataset for part in to_avalanche(scenario_of(stream_of_seed(stream, 0))).train_stream)
    mixed = first.concat(second).subset([1, len(first) + 2, 0, 3, len(first)])
    made = _made(_plain(mixed), torch.nn.Identity())
    for one, other in ((mixed, made), (mixed.concat(first), made.concat(first)), (second.concat(mixed), second.concat(made))):
        for column, same in zip(read_dataset(one), read_dataset(other), strict=True):
            assert torch.equal(column, same)
        assert list(one.targets_task_labels) == list(other.targets_task_labels)
    assert len(_made(_plain(mixed.subset([])), torch.nn.Identity())) == 0


def test_a_state_that_is_none_of_the_cells_is_refused_and_the_seed_begins_anew(tools: Any, tmp_path: Path) -> None:
    cell = cell_of(tools, "class", "lwf")
    stream, places = tools.stream_of(cell), [(1, 2)]
    plain = run_cell(cell, stream, save=stopping_at(places, Store(tmp_path), cell), pauses=Pauses(every=0.0))
    kept = Store(tmp_path).cell("1-2")
    saved = kept.load_checkpoint()
    assert isinstance(saved, Within)
    begun = saved.state["begun"]
    said: list[str] = []
    for number, odd in enumerate((
        {**begun, "carried": {}}, {**begun, "torch": begun["torch"][:5]}, {**begun, "python": (3, (), None)},
        {**begun, "carried": {**begun["carried"], "LwFPlugin.lwf.prev_model": {"is": "module", "of": "os.system"}}},
    )):  # fmt: skip
        saved.state["begun"] = odd
        with pytest.raises(MisfitError, match="another strategy"):
            run_cell(cell, stream, saved)
        files = CellStore(Path(shutil.copytree(kept.folder, tmp_path / str(number) / "1-2")), tell=said.append)
        files.load_checkpoint()  # over which it is put
        files.save_checkpoint(saved)
        again = run_in(files, cell, stream, files.load_checkpoint(), lambda progress: None)
        np.testing.assert_array_equal(again.R["accuracy"], plain.R["accuracy"])
        assert "another strategy" in said.pop()


def test_a_strategy_of_which_nobody_knows_what_it_carries_begins_its_seed_anew(tools: Any, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(OWN)
    cell = cell_of(tools, "numbers", f"{file}:Less")
    stream, files = tools.stream_of(cell), Store(tmp_path).cell(cell.key)
    files.begin(cell)
    steps = 0

    def tell(progress: Any) -> None:
        nonlocal steps
        steps = progress.steps

    whole = run_cell(cell, stream, tell=tell)
    half = steps * 3 // 4
    steps = 0
    with pytest.raises(Stopped, match="nobody knows what this strategy"):
        run_cell(cell, stream, save=files.save_checkpoint, tell=tell, pauses=Pauses(0.0, lambda: steps >= half))
    saved = files.load_checkpoint()
    assert isinstance(saved, Checkpoint)
    np.testing.assert_array_equal(run_cell(cell, stream, saved).R["rmse"], whole.R["rmse"])


def test_when_a_cell_begins_it_is_said_that_its_seeds_cannot_go_on(tools: Any, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(OWN)
    cells = [replace(cell_of(tools, "numbers", name), seeds=(1,)) for name in (f"{file}:Less", "ewc")]
    said: list[str] = []
    for _ in range(2):  # and not where it is stored
        sweep.run(cells, Store(tmp_path / "out"), Quiet(), tell=said.append)
    (line,) = said
    assert line.startswith(f"{cells[0].key}: nobody knows what this strategy of avalanche's carries")


class Quiet:
    """Hears a sweep, and says nothing."""

    def begin_cell(self, cell: Cell, number: int, count: int) -> None: ...

    def progress(self, cell: Cell, progress: Any) -> None: ...

    def end_cell(self, cell: Cell, outcome: str) -> None:
        assert outcome in ("done", "stored"), outcome
