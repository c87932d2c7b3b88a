"""Guards the honesty of results: what was trained is what is said, labels tell cells apart, tables lose no number.

The command line's promises beside them: what a policy becomes, and that a wrong plug-in costs one message.
"""

import copy
import io
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from rich.console import Console, RenderableType
from torch import Tensor, nn

import runners
from kancl.errors import InputError
from kancl.metrics import METRICS
from kancl.models import Network, Problem, architectures
from runners.config.file import read_file
from runners.config.policy import Policy
from runners.config.request import Request
from runners.experiment.expand import expand
from runners.measure.evaluate import Evaluator
from runners.measure.result import Result
from runners.report.cost_table import cost_sheet
from runners.report.numbers import estimate, with_error
from runners.report.sheet import WIDE
from runners.report.tables import ON_SCREEN, SHOWN, results_as_markdown, summary_tables
from runners.results.results import Results
from runners.run import run_cell
from runners.strategies import State, Strategy, strategies
from runners.stream.samples import Samples
from runners.stream.stream import Stream
from runners.training.networks import build_network
from runners.training.phase import begin_phase
from runners.training.training import start, training_of

Kancl = Callable[..., Any]
Enrol = Callable[..., None]
TOY = "gaussian-peaks:tasks=3,samples=6"
TINY: dict[str, Any] = {"optimizer": "adam", "lr": 0.05, "steps": 4, "evaluations": 2}


def saved_runs(cell: Any, stream: Stream) -> tuple[Result, list[Any]]:
    """The result of an undisturbed run, and a copy of every checkpoint it gave."""
    kept: list[Any] = []
    return run_cell(cell, stream, save=lambda checkpoint: kept.append(copy.deepcopy(checkpoint))), kept


def assert_same_scores(one: Result, other: Result) -> None:
    assert one.R.keys() == other.R.keys()
    for name, R in one.R.items():
        assert np.isfinite(R).all()
        np.testing.assert_array_equal(R, other.R[name])


# (a) Joint has no boundaries.


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
@pytest.mark.parametrize(("strategy", "learners"), [("joint", 1), ("naive", 3)])
def test_joint_never_resets_its_optimiser(tools: Any, optimizer: str, strategy: str, learners: int) -> None:
    said = {**TINY, "optimizer": optimizer}
    resets, keeps = (tools.make_cell(TOY, "mlp:hidden=3", strategy, state=state, **said) for state in ("reset", "keep"))
    for cell, count in ((resets, learners), (keeps, 1)):
        training = training_of(cell, tools.stream_of(cell))
        start(training)
        made = [begin_phase(training, phase).learner for phase in range(training.tasks)]
        assert len(set(map(id, made))) == count
    result, kept = (run_cell(cell, tools.stream_of(cell)) for cell in (resets, keeps))
    assert np.array_equal(result.R["rmse"], kept.R["rmse"]) == (strategy == "joint")


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
@pytest.mark.parametrize("architecture", ["mlp:hidden=3", "kan:hidden=2,intervals=3,grid=each-task"])
def test_joint_goes_on_after_every_phase_with_the_same_numbers(tools: Any, architecture: str, optimizer: str) -> None:
    cell = tools.make_cell(TOY, architecture, "joint", state="reset", **{**TINY, "optimizer": optimizer})
    stream = tools.stream_of(cell)
    whole, checkpoints = saved_runs(cell, stream)
    assert [checkpoint.phases_done for checkpoint in checkpoints] == [1, 2, 3]
    for checkpoint in checkpoints:
        assert_same_scores(run_cell(cell, stream, checkpoint), whole)


class Told(Network):
    """A linear network that writes down the tasks it is told of, and the mode it is evaluated in."""

    begun: ClassVar[list[tuple[int, ...]]] = []
    modes: ClassVar[set[tuple[bool, bool]]] = set()

    def __init__(self, problem: Problem, noise: float = 0.0) -> None:
        super().__init__()
        draws = [torch.randn(problem.inputs, problem.outputs, generator=g, dtype=problem.dtype) for g in problem.generators()]
        self.weight, self.noise, self.inner = nn.Parameter(torch.stack(draws)), noise, nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        assert self.inner.training == self.training
        self.modes.add((self.training, torch.is_grad_enabled()))
        return x @ self.weight + (self.noise if self.training else 0.0)

    def begin_task(self, x: Tensor) -> None:
        self.begun.append(tuple(x.shape))


def told(problem: Problem, *, noise: float = 0.0) -> Network:
    return Told(problem, noise)


@pytest.mark.parametrize(("strategy", "begun"), [("joint", [(2, 18, 1)]), ("naive", [(2, 6, 1)] * 3)])
def test_the_network_is_told_of_tasks_only(tools: Any, enrol: Enrol, strategy: str, begun: list[tuple[int, ...]]) -> None:
    enrol(architectures, "told", told)
    cell = tools.make_cell(TOY, "told", strategy, **TINY)
    stream = tools.stream_of(cell)
    Told.begun.clear()
    _, checkpoints = saved_runs(cell, stream)
    assert Told.begun == begun
    for checkpoint in checkpoints:
        Told.begun.clear()
        run_cell(cell, stream, checkpoint)
        assert Told.begun == ([] if strategy == "joint" else begun[checkpoint.phases_done :])


# (b) Training and evaluation are two modes.


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_networks_are_evaluated_in_eval_mode_and_trained_in_train_mode(tools: Any, enrol: Enrol, optimizer: str) -> None:
    enrol(architectures, "told", told)
    cell = tools.make_cell(TOY, "told:noise=100", **{**TINY, "optimizer": optimizer, "lr": 1e-6})
    stream = tools.stream_of(cell)
    Told.modes.clear()
    result = run_cell(cell, stream)
    assert Told.modes == {(True, True), (False, False)}
    assert result.R["rmse"][:, 0].max() < 50  # the offset of 100 that is there in training only is not measured


@pytest.mark.parametrize("method", ["scores", "function"])
def test_an_evaluation_leaves_the_network_in_train_mode(tools: Any, enrol: Enrol, method: str) -> None:
    enrol(architectures, "told", told)
    cell = tools.make_cell(TOY, "told:noise=100", **TINY)
    stream = tools.stream_of(cell)
    network = build_network(cell, stream)
    Told.modes.clear()
    measured = getattr(Evaluator(stream), method)(network)
    assert Told.modes == {(False, False)}
    assert all(module.training for module in network.modules())
    numbers = measured["rmse"] if method == "scores" else measured
    assert np.abs(numbers).max() < 50


# (c) The state of a strategy.

WRONG_STATES: dict[str, Any] = {
    "a number": {"importance": 1.0},
    "a list": {"importance": [1.0, 2.0]},
    "an array": {"importance": np.ones(2)},
    "nothing": {"importance": None},
    "a tensor that is one number": {"importance": torch.tensor(1.0)},
    "a tensor for one seed": {"importance": torch.ones(1, 2)},
    "a tensor with the seeds last": {"importance": torch.ones(5, 2)},
    "a right one and a wrong one": {"steps": torch.ones(2), "importance": torch.ones(5, 2)},
    "no dictionary at all": None,
    "a tensor that is not in a dictionary": torch.ones(2),
}


class Keeper(Strategy):
    """Returns states of the test's choice."""

    first: ClassVar[Any] = {}
    later: ClassVar[Any] = {}

    def start(self, network: Network, stream: Stream) -> State:
        return self.first

    def end_task(self, state: State, network: Network, samples: Samples, phase: int) -> State:
        return self.later


@pytest.mark.parametrize("hook", ["start", "end_task"])
@pytest.mark.parametrize("what", WRONG_STATES)
def test_a_wrong_state_is_refused(tools: Any, enrol: Enrol, monkeypatch: pytest.MonkeyPatch, what: str, hook: str) -> None:
    enrol(strategies, "keeper", Keeper)
    monkeypatch.setattr(Keeper, "first" if hook == "start" else "later", WRONG_STATES[what])
    cell = tools.make_cell(TOY, "mlp:hidden=3", "keeper", **TINY)
    message = "'importance' must be a tensor with 2 seeds first" if isinstance(WRONG_STATES[what], dict) else "state"
    saved: list[Any] = []
    with pytest.raises(InputError, match=message):
        run_cell(cell, tools.stream_of(cell), save=saved.append)
    assert not saved


def test_a_right_state_is_taken(tools: Any, enrol: Enrol, monkeypatch: pytest.MonkeyPatch) -> None:
    enrol(strategies, "keeper", Keeper)
    monkeypatch.setattr(Keeper, "later", {"importance": torch.ones(2, 5), "steps": torch.zeros(2)})
    trained = tools.train(tools.make_cell(TOY, "mlp:hidden=3", "keeper", **TINY))
    assert [set(state) for state in trained.states] == [{"importance", "steps"}] * 3


# (d) Labels and stored results.

TWINS = """
scenarios = ["gaussian-peaks:tasks=2,samples=4"]
architectures = ["mlp:hidden=3"]
strategies = ["naive", "joint"]
optimizer = "adam"
steps = 3
evaluations = 2
seeds = [0, 1, 2]

[[block]]
[[block]]
dtype = "float64"
[[block]]
seeds = [0, 1]
strategies = ["naive"]
[[block]]
evaluations = 3
strategies = ["naive"]
[[block]]
lr = 0.5
strategies = ["naive"]
[[block]]
strategies = ["independent"]
"""


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Cells that differ in dtype, seeds, evaluations or rate only; joint beside the naive ones of the first two blocks."""
    from runners.cli.main import main

    folder = tmp_path_factory.mktemp("twins")
    (folder / "twins.toml").write_text(TWINS)
    assert main(["run", "--file", str(folder / "twins.toml"), "--out", str(folder / "out")]) == 0
    return runners.load(folder / "out")


def entry_of(results: Results, strategy: str, **wanted: Any) -> Any:
    wanted = {"dtype": "float32", "evaluations": 2, "seeds": (0, 1, 2), **wanted}
    rate = wanted.pop("lr", None)
    (entry,) = (
        entry
        for entry in results.entries
        if entry.cell.strategy.name == strategy
        and all(getattr(entry.cell, key) == value for key, value in wanted.items())
        and (entry.cell.policy.lr == 0.5) == (rate == 0.5)
    )
    return entry


def test_labels_tell_all_cells_apart(twins: Results) -> None:
    assert len(twins.entries) == 8
    labels = [tuple(entry.labels.values()) for entry in twins.entries]
    assert len(set(labels)) == len(labels)
    assert "float64" in entry_of(twins, "naive", dtype="float64").labels["policy"]
    assert "0,1" in entry_of(twins, "naive", seeds=(0, 1)).labels["policy"]


def test_a_cell_that_has_no_twin_keeps_its_plain_label(twins: Results) -> None:
    for entry in (entry_of(twins, "naive", lr=0.5), entry_of(twins, "independent")):
        assert entry.labels["policy"] == entry.cell.policy.label


@pytest.mark.parametrize("frame", ["retention", "curves", "summary"])
def test_every_row_names_its_cell(twins: Results, frame: str) -> None:
    rows = getattr(twins, frame)
    assert set(rows["cell"]) == {entry.cell.key for entry in twins.entries}
    for entry in twins.entries:
        own = rows[rows["cell"] == entry.cell.key]
        assert own[list(entry.labels)].drop_duplicates().to_dict("records") == [entry.labels]
        result = entry.result
        if frame == "summary":
            assert own["metric"].is_unique
        else:
            stored = (result.R if frame == "retention" else result.curves)["rmse"]
            np.testing.assert_array_equal(own["value"].to_numpy(), stored.ravel())


PLUG_IN = """
from runners.strategies import Strategy


class Mine(Strategy):
    metrics = ("final_score",)
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory; plug-ins that are loaded from it are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    modules = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - modules:
        if name.startswith("_kancl_file_"):
            del sys.modules[name]


RUN = (
    "run", "gaussian-peaks:tasks=2,samples=4", "--optimizer", "adam", "--steps", "2", "--evaluations", "2", "--seeds", "2",
    "--out", "out",
)  # fmt: skip


def test_results_of_a_strategy_outlive_its_file(kancl: Kancl, desk: Path) -> None:
    (desk / "mine.py").write_text(PLUG_IN)
    assert kancl(*RUN, "--architectures", "mlp", "--strategies", "mine.py:Mine", "naive").code == 0
    (desk / "mine.py").unlink()
    for name in [name for name in sys.modules if name.startswith("_kancl_file_")]:
        del sys.modules[name]
    results = runners.load("out")
    assert results.missing == ()
    (mine,) = (entry for entry in results.entries if "Mine" in entry.cell.strategy.name)
    summary, retention = results.summary, results.retention
    assert summary[summary["cell"] == mine.cell.key]["metric"].tolist() == ["final_score"]
    assert (retention["cell"] == mine.cell.key).sum() == mine.result.R["rmse"].size
    assert kancl("compare", "out", "--no-figures").code == 0


# (e) Intransigence and formulas.


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_intransigence_is_what_joint_does_better(twins: Results, dtype: str) -> None:
    naive, joint = (entry_of(twins, strategy, dtype=dtype) for strategy in ("naive", "joint"))
    own, best = naive.result.R["rmse"], joint.result.R["rmse"]
    # An error: joint's last row below the naive diagonal is a loss, hence positive.
    by_hand = [((own[s, 1, 0] - best[s, 2, 0]) + (own[s, 2, 1] - best[s, 2, 1])) / 2 for s in range(3)]
    summary = twins.summary
    (row,) = summary[(summary["cell"] == naive.cell.key) & (summary["metric"] == "intransigence")].to_dict("records")
    assert row["mean"] == pytest.approx(sum(by_hand) / 3, rel=1e-6)
    assert row["median"] == pytest.approx(sorted(by_hand)[1], rel=1e-6)
    assert row["n"] == 3


def test_there_is_no_intransigence_without_joint_beside(twins: Results) -> None:
    summary = twins.summary
    having = set(summary[summary["metric"] == "intransigence"]["cell"])
    assert not having & {entry.cell.key for entry in twins.entries if entry.cell.strategy.name == "joint"}
    lonely = [{"seeds": (0, 1)}, {"evaluations": 3}, {"lr": 0.5}]
    assert not having & {entry_of(twins, "naive", **wanted).cell.key for wanted in lonely}
    alone = replace(twins, entries=tuple(entry for entry in twins.entries if entry.cell.strategy.name != "joint"))
    assert "intransigence" not in set(alone.summary["metric"])


def test_a_diverged_joint_seed_has_no_intransigence(twins: Results) -> None:
    naive, joint = (entry_of(twins, strategy) for strategy in ("naive", "joint"))
    broken = replace(joint, result=replace(joint.result, diverged_at=np.array([-1, 2, -1])))
    rows = replace(twins, entries=(naive, broken)).summary.set_index(["cell", "metric"])
    assert rows.loc[(naive.cell.key, "intransigence"), "n"] == 2
    assert rows.loc[(naive.cell.key, "final_score"), "n"] == 3


def test_a_strategy_from_a_file_has_intransigence_too(kancl: Kancl, desk: Path) -> None:
    (desk / "mine.py").write_text(PLUG_IN.replace('    metrics = ("final_score",)', "    pass"))
    assert kancl(*RUN, "--architectures", "mlp", "--strategies", "mine.py:Mine", "joint").code == 0
    summary = runners.load("out").summary
    assert summary[summary["metric"] == "intransigence"]["strategy"].tolist() == ["mine.py:Mine"]


def test_every_row_has_its_formula(twins: Results) -> None:
    rows = twins.summary
    assert set(METRICS) <= set(rows["metric"])
    assert rows["formula"].map(lambda text: isinstance(text, str) and bool(text.strip())).all()
    for metric, formula in zip(rows["metric"], rows["formula"], strict=True):
        assert metric == "intransigence" or formula == METRICS[metric].formula
    assert rows.groupby("metric")["formula"].nunique().max() == 1


# (f) Tables.


def with_seeds_lost(results: Results, count: int) -> Results:
    """As if the first seeds of every cell had diverged."""
    entries = []
    for entry in results.entries:
        diverged = np.where(np.arange(len(entry.result.seeds)) < count, 1, -1)
        entries.append(replace(entry, result=replace(entry.result, diverged_at=diverged)))
    return replace(results, entries=tuple(entries))


def scaled(results: Results, factor: float) -> Results:
    """As if every score were so many times as large."""
    entries = []
    for entry in results.entries:
        names = ("R", "null", "curves")
        changed = {name: {k: factor * v for k, v in getattr(entry.result, name).items()} for name in names}
        entries.append(replace(entry, result=replace(entry.result, **changed)))
    return replace(results, entries=tuple(entries))


def rendered(parts: list[RenderableType], width: int) -> str:
    console = Console(width=width, file=io.StringIO(), highlight=False)
    for part in parts:
        console.print(part)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= width
    return text


def shown_numbers(results: Results) -> list[str]:
    return [str(estimate(entry.metrics()[key])) for entry in results.entries for key in ON_SCREEN]


@pytest.mark.parametrize("lost", [0, 1])
def test_fewer_seeds_than_asked_for_are_said(twins: Results, lost: int) -> None:
    results = with_seeds_lost(replace(twins, entries=(entry_of(twins, "naive"),)), lost)
    table, notes, *_ = (rendered([part], WIDE) for part in summary_tables(results, WIDE))
    assert ("(n=2)" in table) == bool(lost)
    assert ("1 of 3 seeds diverged" in notes) == bool(lost)
    row = results_as_markdown(results).splitlines()[-1]
    shown = [str(estimate(entry.metrics()[key])) for entry in results.entries for key in SHOWN]
    assert row.count("(n=2)") == sum(not number.startswith("–") for number in shown) * lost
    assert ("| 1/3 |" if lost else "| 0/3 |") in row


def test_one_seed_left_has_no_interval(twins: Results) -> None:
    results = with_seeds_lost(replace(twins, entries=(entry_of(twins, "naive"),)), 2)
    row = results_as_markdown(results).splitlines()[-1]
    assert "(n=1)" in row
    assert "±" not in row


@pytest.mark.parametrize("width", [80, 100, WIDE - 1, WIDE])
@pytest.mark.parametrize("factor", [1.0, 1e-6, 4e9])
@pytest.mark.parametrize("lost", [0, 1])
def test_tables_contain_every_number_uncut(twins: Results, width: int, factor: float, lost: int) -> None:
    results = with_seeds_lost(scaled(twins, factor), lost)
    *parts, formulas = summary_tables(results, width, explain=True)
    assert len(parts) == 3 if width > 100 else len(parts) >= 4
    text = rendered(parts, width)
    words = Counter(text.split())
    numbers = Counter(word for number in shown_numbers(results) for word in number.split())
    assert not numbers - words, text
    for entry in results.entries:
        assert not Counter(cost_sheet([entry]).texts()[0][2:]) - words, text
    assert "R[i,j]" in rendered([formulas], width)
    assert len(list(summary_tables(results, width))) == len(parts)


@pytest.mark.parametrize("width", [80, WIDE])
def test_tables_keep_numbers_on_one_line(twins: Results, width: int) -> None:
    """A mean and its interval belong together."""
    results = replace(twins, entries=(entry_of(twins, "naive"), entry_of(twins, "joint")))
    parts = list(summary_tables(results, width))
    text = rendered(parts, width)
    for number in shown_numbers(results):
        assert number in text


def test_markdown_has_one_line_per_cell(twins: Results) -> None:
    header, line, *rows = results_as_markdown(twins).splitlines()
    assert len(rows) == len(twins.entries)
    assert set(line) <= set("|- ")
    for row, entry in zip(rows, twins.entries, strict=True):
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert len(cells) == header.strip("|").count("|") + 1
        assert cells[:4] == list(entry.labels.values())


@pytest.mark.parametrize(
    ("mean", "half", "text"),
    [
        (0.99017, 0.00342, "0.9902 ± 0.0034"),
        (0.0, None, "0"),
        (0.0, 0.0, "0 ± 0"),
        (0.0, 0.5, "0.00 ± 0.50"),
        (1.0, None, "1"),
        (0.25, None, "0.2500"),
        (-0.99017, 0.00342, "-0.9902 ± 0.0034"),
        (-12.34, 5.6, "-12.3 ± 5.6"),
        (-4.954e-6, 1.3e-6, "(-5.0 ± 1.3)e-06"),
        (0.5, 1e-9, "0.5000 ± 0.0000"),
        (0.5, 0.0, "0.5000 ± 0"),
        (0.01, 3.0, "0.0 ± 3.0"),
        (0.2, 31.4, "0 ± 31"),
        (2e-6, 3e-5, "(0.2 ± 3.0)e-05"),
        (1234567.0, 200000.0, "(1.23 ± 0.20)e+06"),
        (5e-6, None, "5.000e-06"),
        # Large numbers are whole numbers in floating point, and not exact for that.
        (1500000.0, None, "1.500e+06"),
        (1500000.0, 0.0, "(1.500 ± 0)e+06"),
        (2.46e20, None, "2.460e+20"),
    ],
)
def test_with_error_by_hand(mean: float, half: float | None, text: str) -> None:
    assert with_error(mean, half) == text


@pytest.mark.parametrize("mean", [0.0, 1.0, -1.0, 0.37, -7.77e-3, 5.2e-9, 123.4, -98765.4, 1.5e6, 3.21e17])
@pytest.mark.parametrize("share", [None, 0.0, 1e-12, 1e-3, 0.3, 20.0])
def test_with_error_loses_less_than_a_twentieth(mean: float, share: float | None) -> None:
    """Of what is larger, the mean or its half width (two of its digits are shown); read back from the text."""
    half = None if share is None else share * max(abs(mean), 1e-3)
    match = re.fullmatch(r"\(?(-?[\d.]+)(?: ± ([\d.]+))?\)?(e[+-]\d+)?", with_error(mean, half))
    assert match is not None
    scale = float("1" + (match[3] or ""))
    largest = max(abs(mean), half or 0.0)
    assert abs(float(match[1]) * scale - mean) <= 0.05 * largest
    assert (match[2] is None) == (half is None)
    if half is not None:
        assert abs(float(match[2]) * scale - half) <= 0.05 * largest


# (g) The command line.


def test_epochs_without_a_batch_size_are_in_batches_of_32() -> None:
    (cell,) = expand([Request(scenarios=(TOY,), architectures=("mlp",), seeds=1, epochs=2)])
    assert (cell.policy.epochs, cell.policy.steps, cell.policy.batch_size) == (2, None, 32)
    assert cell.policy.steps_per_task(100) == 8


@pytest.mark.parametrize("size", [7, "full"])
def test_epochs_with_a_batch_size_keep_it(size: Any) -> None:
    (cell,) = expand([Request(scenarios=(TOY,), architectures=("mlp",), seeds=1, epochs=2, batch_size=size)])
    assert (cell.policy.epochs, cell.policy.batch_size) == (2, size)


def policies(out: str = "out") -> list[Policy]:
    return [entry.cell.policy for entry in runners.load(out).entries]


FROM_FILE = ("run", "gaussian-peaks:tasks=1,samples=40", "--file", "mine.toml", "--out", "out")


@pytest.mark.parametrize(
    ("file", "said", "expected"),
    [
        ("", ("--epochs", "2"), (None, 2, 32)),
        ("steps = 5", ("--epochs", "2"), (None, 2, 32)),
        ("epochs = 5", ("--steps", "2"), (2, None, "full")),
        ("epochs = 5\nbatch_size = 20", ("--steps", "2"), (2, None, 20)),
        ("steps = 5\nbatch_size = 20", ("--epochs", "2"), (None, 2, 20)),
        ("steps = 5\n[[block]]\nepochs = 1", (), (None, 1, 32)),
    ],
)
def test_steps_and_epochs_override_each_other(
    kancl: Kancl, desk: Path, file: str, said: tuple[str, ...], expected: tuple[Any, ...]
) -> None:
    start = 'architectures = ["mlp:hidden=3"]\noptimizer = "adam"\nseeds = 1\nevaluations = 2\n'
    (desk / "mine.toml").write_text(start + file + "\n")
    ended = kancl(*FROM_FILE, *said)
    assert ended.code == 0, ended.err
    assert [(p.steps, p.epochs, p.batch_size) for p in policies()] == [expected]
    (entry,) = runners.load("out").entries
    steps = expected[0] or expected[1] * -(-40 // expected[2])
    assert entry.result.steps == steps


@pytest.mark.parametrize(
    ("written", "seeds"), [("[0, 1]", (0, 1)), ("[5]", (5,)), ("[7, 2, 4]", (7, 2, 4)), ("2", (0, 1)), ('"3-4"', (3, 4))]
)
def test_seeds_in_a_file(kancl: Kancl, desk: Path, written: str, seeds: tuple[int, ...]) -> None:
    (desk / "mine.toml").write_text(
        f'architectures = ["mlp:hidden=3"]\noptimizer = "adam"\nsteps = 1\nevaluations = 2\nseeds = {written}\n'
    )
    ended = kancl(*FROM_FILE)
    assert ended.code == 0, ended.err
    (entry,) = runners.load("out").entries
    assert entry.cell.seeds == entry.result.seeds == seeds


@pytest.mark.parametrize("written", ["[]", "[0, 0]", "[-1]", '["a"]', "[0.5]", "[[0, 1]]", "true", "[true]", "0"])
def test_seeds_that_are_none_are_refused(desk: Path, written: str) -> None:
    (desk / "mine.toml").write_text(f"scenarios = ['{TOY}']\nseeds = {written}\n")
    with pytest.raises(InputError, match="seeds"):
        expand(read_file(desk / "mine.toml"))


def listing(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if "__pycache__" not in path.parts}


def assert_refused(ended: Any, *named: str) -> None:
    """Exit code 2 and one message on standard error that names what is wrong."""
    assert ended.code == 2, ended
    assert ended.out == ""
    assert "Traceback" not in ended.err
    assert ended.err.count("kancl: ") == 1
    for part in named:
        assert part in ended.err, ended.err


@pytest.mark.parametrize("threads", ["0", "-2"])
def test_no_threads_are_refused(kancl: Kancl, desk: Path, threads: str) -> None:
    before = torch.get_num_threads()
    assert_refused(kancl(*RUN, "--architectures", "mlp", "--threads", threads), "threads", threads)
    assert torch.get_num_threads() == before
    assert listing(desk) == set()


@pytest.mark.parametrize("form", ["table", "json", "csv", "markdown"])
def test_no_figures_draws_nothing(kancl: Kancl, twins: Results, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr("runners.report.figures.draw_all.draw_all", lambda *given, **how: drawn.append(given) or [])
    before = listing(twins.paths[0])
    ended = kancl("compare", twins.paths[0], "--no-figures", "--format", form)
    assert (ended.code, ended.err, drawn) == (0, "", [])
    assert "rmse" in ended.out or form == "markdown"
    assert "final" in ended.out
    assert listing(twins.paths[0]) == before
    assert kancl("compare", twins.paths[0], "--format", form).code == 0
    assert len(drawn) == 1


PLUG_INS = {
    # what is wrong: the kind, the file and what the message must name
    "a strategy that is none": ("strategies", "class mine:\n    pass\n", ("mine.py:mine", "Strategy", "got mine")),
    "a strategy that is a function": ("strategies", "def mine(a: int = 3):\n    return a\n", ("Strategy", "got int")),
    "a strategy that returns nothing": ("strategies", "def mine():\n    pass\n", ("Strategy", "got NoneType")),
    "a strategy that raises": ("strategies", "def mine():\n    return 1 / 0\n", ("ZeroDivisionError", "mine.py:2")),
    "an architecture that returns nothing": (
        "architectures",
        "def mine(problem):\n    pass\n",
        ("mine.py:mine", "kancl.models.Network", "got NoneType"),
    ),
    "an architecture that is a plain module": (
        "architectures",
        "from torch import nn\n\n\ndef mine(problem):\n    return nn.Linear(1, 1)\n",
        ("kancl.models.Network", "got Linear"),
    ),
}
OPTIONS = {
    # an unsupported option's annotation, with its default
    "a module": "torch.nn.Module = torch.nn.ReLU()",
    "a tensor": "torch.Tensor = torch.ones(2)",
    "an array": "np.ndarray = np.ones(2)",
    "a class of its own": "Own = Own()",
    "a list of a class of its own": "list[Own] = ()",
    "a function": "Callable[[float], float] = abs",
    "an undefined name": "'Missing' = 3",
    "a list of an undefined name": "list['Missing'] = ()",
    "no type at all": "3 = 3",
    "a default of another type": "int = None",
    "a default that is text": "int = 'many'",
}
SIGNATURES = {
    "scenarios": "def mine(seed: int, thing: {}):\n    return None\n",
    "architectures": "def mine(problem, thing: {}):\n    return None\n",
    "strategies": "def mine(thing: {}):\n    return None\n",
}
IMPORTS = "from collections.abc import Callable\n\nimport numpy as np\nimport torch\n\n\nclass Own:\n    pass\n\n\n"


def run_plug_in(kancl: Kancl, kind: str) -> Any:
    """Run a small cell in which the file mine.py stands for one of the three."""
    chosen = {
        "scenarios": "gaussian-peaks:tasks=1,samples=4",
        "architectures": "mlp",
        "strategies": "naive",
        kind: "mine.py:mine",
    }
    rest = ("--optimizer", "adam", "--steps", "1", "--evaluations", "2", "--seeds", "2", "--out", "out")
    return kancl(
        "run", chosen["scenarios"], "--architectures", chosen["architectures"], "--strategies", chosen["strategies"], *rest
    )  # fmt: skip


@pytest.mark.parametrize("what", PLUG_INS)
def test_a_wrong_plug_in_costs_one_message(kancl: Kancl, desk: Path, what: str) -> None:
    kind, source, named = PLUG_INS[what]
    (desk / "mine.py").write_text(source)
    assert_refused(run_plug_in(kancl, kind), *named)
    assert listing(desk) == {"mine.py"}


@pytest.mark.parametrize("kind", SIGNATURES)
@pytest.mark.parametrize("what", OPTIONS)
def test_an_option_of_an_unsupported_type_costs_one_message(kancl: Kancl, desk: Path, what: str, kind: str) -> None:
    (desk / "mine.py").write_text(IMPORTS + SIGNATURES[kind].format(OPTIONS[what]))
    assert_refused(run_plug_in(kancl, kind), "mine", "Missing" if "undefined" in what else "thing")
    assert listing(desk) == {"mine.py"}


FUTURE = {
    "scenarios": """
from scenarios import Scenario, Task

X = torch.arange(12.0)[:, None]


def mine(seed: int, shift: float | None = 0.5, names: tuple[str, ...] = ("a",)) -> Scenario:
    return Scenario(tuple(Task(name, (X, X), (X + shift, X)) for name in names), "mse")
""",
    "architectures": """
from torch import nn

from kancl.models import Network, Problem


class Mine(Network):
    def __init__(self, problem: Problem, scale: float) -> None:
        super().__init__()
        draws = [scale * torch.randn(problem.inputs, problem.outputs, generator=g) for g in problem.generators()]
        self.weight = nn.Parameter(torch.stack(draws))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weight


def mine(problem: Problem, *, scale: float = 0.5, kind: Literal["a", "b"] = "a") -> Mine:
    return Mine(problem, scale)
""",
    "strategies": """
from runners.strategies import Strategy


@dataclass(frozen=True)
class mine(Strategy):
    strength: float = 0.5
    kind: Literal["a", "b"] = "a"
""",
}


@pytest.mark.parametrize("kind", FUTURE)
def test_postponed_annotations_are_read(kancl: Kancl, desk: Path, kind: str) -> None:
    start = (
        "from __future__ import annotations\n\nfrom dataclasses import dataclass\nfrom typing import Literal\n\nimport torch\n"
    )
    (desk / "mine.py").write_text(start + FUTURE[kind])
    ended = run_plug_in(kancl, kind)
    assert ended.code == 0, ended.err
    assert ended.err == ""
    (entry,) = runners.load("out").entries
    part = {"scenarios": "scenario", "architectures": "architecture", "strategies": "strategy"}[kind]
    spec = getattr(entry.cell, part)
    assert 0.5 in spec.options.values()
