"""Guards the command line: what it imports, what it refuses and how, and what it writes and prints."""

import csv
import io
import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import runners
from kancl.metrics import METRICS, Measured, intransigence
from kancl.models import architectures
from kancl.statistics import t_interval
from runners.measure.evaluate import Evaluator, evaluation_steps
from runners.results.entry import COSTS
from runners.strategies import strategies
from runners.training.networks import build_network
from scenarios import scenarios

Kancl = Callable[..., Any]
QUICK = ("--seeds", "2", "--steps", "2")

# Help.


HELP = """
import sys
from runners.cli.main import main
parts = {"scenario": ("new", "check", "show"), "runs": ("status", "verify", "rm", "gc", "export")}
below = [[verb, part] for verb, own in parts.items() for part in own]
for command in ([], ["run"], ["compare"], ["list"], ["scenario"], ["runs"], *below):
    try:
        main([*command, "--help"])
    except SystemExit as end:
        assert not end.code, end.code
slow = {"torch", "numpy", "scipy", "pandas", "matplotlib", "sklearn", "pydantic", "avalanche"} & sys.modules.keys()
print("imported:", *sorted(slow))
"""


def test_help_imports_nothing_slow() -> None:
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "imported:"
    for word in ("list", "run", "compare", "scenario", "check", "--architectures", "--seeds", "--format", "--figure"):
        assert word in done.stdout
    assert done.stderr == ""


def test_the_command_is_installed_and_helps() -> None:
    command = Path(sys.executable).with_name("kancl")
    done = subprocess.run([command, "--help"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0
    assert "kancl" in done.stdout


# Bad input.

PLUG_INS = {
    "broken.py": "import torch\n\nthis is no Python\n",
    "raises.py": "def mine(seed: int):\n    return 1 / 0\n",
    "imports.py": "import a_package_that_nobody_has\n",
    "exits.py": "import sys\n\nsys.exit(3)\n",
    "nothing.py": "x = 3\n",
    "returns_none.py": "def mine(seed: int):\n    return None\n",
    "no_seed.py": "def mine(tasks: int = 3):\n    return None\n",
    "untyped.py": "def mine(seed, tasks=3):\n    return None\n",
    "network.py": """
import torch
from torch import nn

from kancl.models import Network, Problem


class Flat(Network):
    def __init__(self, problem):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(len(problem.seeds), 1))

    def forward(self, x):
        return x.sum((1, 2))


def mine(problem: Problem):
    return Flat(problem)
""",
    "tasks.py": """
import torch

from scenarios import Advice, Scenario, Task

X = torch.arange(12.0)[:, None]


def scenario(y, loss="mse", x=X, **more):
    other = X + 0.5
    return Scenario((Task("first", (X, y), (other, y)), Task("second", (x, y), (other, y))), loss, **more)


def misfit(seed: int) -> Scenario:
    return scenario(X, x=X[:7])


def columns(seed: int) -> Scenario:
    return scenario(X, x=X.expand(12, 3))


def nan(seed: int) -> Scenario:
    return scenario(X, x=torch.full_like(X, torch.nan))


def labels(seed: int) -> Scenario:
    return scenario(torch.arange(12), loss="cross-entropy", outputs=10)


def uneven(seed: int) -> Scenario:
    y = X if seed else torch.cat([X, X], 1)
    return Scenario((Task("only", (X, y), (X + 0.5, y)),), "mse")


def advises_rmsprop(seed: int) -> Scenario:
    return scenario(X, advice=Advice(optimizers={"mlp": "rmsprop"}))


def advises_text(seed: int) -> Scenario:
    return scenario(X, advice=Advice(policies={"adam": {"lr": "fast"}}))


def advises_width(seed: int) -> Scenario:
    return scenario(X, advice=Advice(architectures={"mlp": {"width": 3}}))


def advises_typo(seed: int) -> Scenario:
    return scenario(X, advice=Advice(policies={"adam": {"rate": 0.1}}))
""",
}

BAD_INPUT: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # what is wrong: the arguments, and what the message must name
    "nothing to run": ((), ("scenario",)),
    "unknown scenario": (("gaussian-peeks",), ("unknown scenario 'gaussian-peeks'", "gaussian-peaks")),
    "unknown architecture": (("gaussian-peaks", "--architectures", "kann"), ("unknown architecture 'kann'", "kan")),
    "unknown strategy": (("gaussian-peaks", "--strategies", "naiv"), ("unknown strategy 'naiv'", "naive")),
    "unknown scenario option": (("gaussian-peaks:task=3",), ("'task'", "tasks")),
    "unknown architecture option": (("gaussian-peaks", "--architectures", "kan:interval=3"), ("'interval'", "intervals")),
    "unknown strategy option": (("gaussian-peaks", "--strategies", "naive:strength=3"), ("'strength'",)),
    "reserved option": (("gaussian-peaks:seed=3",), ("'seed'",)),
    "text for a number": (("gaussian-peaks:tasks=many",), ("tasks", "int", "'many'")),
    "fraction for a whole number": (("gaussian-peaks:tasks=2.5",), ("tasks", "int", "2.5")),
    "unknown choice": (("split-digits:setting=online",), ("setting", "online", "domain")),
    "NaN for a number": (("gaussian-peaks:slope=NaN",), ("NaN", "finite")),
    "infinity for a number": (("gaussian-peaks:slope=1e999",), ("slope",)),
    "option twice": (("gaussian-peaks:tasks=2,tasks=3",), ("tasks", "twice")),
    "option without value": (("gaussian-peaks:tasks",), ("option=value",)),
    "impossible value": (("gaussian-peaks:tasks=0",), ("tasks >= 1", "tasks=0")),
    "impossible architecture": (("gaussian-peaks", "--architectures", "kan:degree=9"), ("degree", "9")),
    "impossible width": (("gaussian-peaks", "--architectures", "mlp:hidden=0"), ("hidden", "0")),
    "unknown flag": (("gaussian-peaks", "--learning-rate", "1"), ("learning-rate",)),
    "text for a rate": (("gaussian-peaks", "--lr", "fast"), ("lr", "fast")),
    "unknown optimiser": (("gaussian-peaks", "--optimizer", "adamm"), ("optimizer", "adamm")),
    "negative rate": (("gaussian-peaks", "--lr", "-1"), ("lr > 0", "-1")),
    "zero rate": (("gaussian-peaks", "--lr", "0"), ("lr > 0", "0")),
    "zero steps": (("gaussian-peaks", "--steps", "0"), ("steps must be at least 1", "0")),
    "zero epochs": (("gaussian-peaks", "--epochs", "0"), ("epochs must be at least 1", "0")),
    "zero samples per step": (("gaussian-peaks", "--batch-size", "0"), ("batch_size must be at least 1", "0")),
    "zero evaluations": (("gaussian-peaks", "--evaluations", "0"), ("evaluations must be at least 2", "0")),
    "zero seeds": (("gaussian-peaks", "--seeds", "0"), ("seeds", "0")),
    "steps and epochs": (("gaussian-peaks", "--steps", "3", "--epochs", "3"), ("either steps or epochs",)),
    "a default that nobody advised": (("split-wine", "--steps", "3", "--epochs", "3"), ("the optimizer adam is the default",)),
    "L-BFGS on batches": (("gaussian-peaks", "--optimizer", "lbfgs", "--batch-size", "5"), ("lbfgs", "full batch")),
    "misread seeds": (("gaussian-peaks", "--seeds", "3..5"), ("seeds", "3..5")),
    "no such file": (("nowhere.py:mine",), ("nowhere.py", "not a file")),
    "a file without a name": (("tasks.py",), ("tasks.py",)),
    "a file that is no Python": (("broken.py:mine",), ("broken.py", "SyntaxError")),
    "a file that cannot import": (("imports.py:mine",), ("imports.py", "a_package_that_nobody_has")),
    "a file that exits": (("exits.py:mine",), ("exits.py", "SystemExit")),
    "a file without the function": (("tasks.py:missing",), ("tasks.py", "missing", "misfit")),
    "a file with no function": (("nothing.py:x",), ("nothing.py", "'x'")),
    "a plug-in that raises": (("raises.py:mine",), ("raises.py:2", "ZeroDivisionError")),
    "a plug-in that returns None": (("returns_none.py:mine",), ("scenarios.Scenario", "NoneType")),
    "a plug-in without a seed": (("no_seed.py:mine",), ("seed",)),
    "a plug-in without annotations": (("untyped.py:mine",), ("tasks", "annotation")),
    "mismatching lengths": (("tasks.py:misfit",), ("second", "7 inputs but 12 targets")),
    "mismatching columns": (("tasks.py:columns",), ("second", "3 columns")),
    "NaN data": (("tasks.py:nan",), ("second", "NaN", "12 of 12")),
    "labels out of range": (("tasks.py:labels",), ("labels 10, 11 are not",)),
    "seeds of other shapes": (("tasks.py:uneven",), ("agree in all but their samples", "outputs")),
    "advice of an unknown optimiser": (("tasks.py:advises_rmsprop", "--architectures", "mlp"), ("rmsprop",)),
    "advice of the wrong type": (("tasks.py:advises_text",), ("lr", "fast")),
    "advice of an unknown option": (("tasks.py:advises_width", "--architectures", "mlp"), ("'width'",)),
    "advice of an unknown setting": (("tasks.py:advises_typo",), ("rate",)),
    "a network of the wrong shape": (("gaussian-peaks", "--architectures", "network.py:mine"), ("shape", "(8,)")),
    "no such experiment file": (("--file", "nowhere.toml"), ("nowhere.toml", "cannot be read")),
    "an experiment file that is a folder": (("--file", "."), ("cannot be read",)),
    "an experiment file that is no TOML": (("--file", "broken.py"), ("broken.py", "TOML")),
}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with plug-ins, which are forgotten afterwards."""
    for name, content in PLUG_INS.items():
        (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    modules = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - modules:
        if name.startswith("_kancl_file_"):
            del sys.modules[name]


def listing(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def assert_refused(said: Any, *named: str) -> None:
    """Exit code 2 and one message on standard error that names what is wrong."""
    assert said.code == 2, said
    assert said.out == ""
    assert "Traceback" not in said.err
    text = " ".join(said.err.replace("│", " ").split())
    for part in named:
        assert part in text, said.err
    assert said.err.count("kancl: ") <= 1


@pytest.mark.parametrize("fault", BAD_INPUT)
def test_bad_input_is_refused_and_leaves_nothing(kancl: Kancl, desk: Path, fault: str) -> None:
    arguments, named = BAD_INPUT[fault]
    before = listing(desk)
    assert_refused(kancl("run", *arguments, "--out", "out"), *named)
    assert listing(desk) == before
    assert not (desk / "out").exists()
    assert not (desk / "runs").exists()


@pytest.mark.parametrize("out", ["/proc/kancl/out", "/proc/1", "/dev/null", "/dev/null/out"])
def test_a_folder_that_cannot_be_written_is_refused(kancl: Kancl, out: str) -> None:
    assert_refused(kancl("run", "gaussian-peaks:tasks=1", *QUICK, "--quiet", "--out", out), out)


def test_a_file_is_no_folder(kancl: Kancl, desk: Path) -> None:
    before = listing(desk)
    assert_refused(kancl("run", "gaussian-peaks:tasks=1", *QUICK, "--out", "tasks.py"), "tasks.py", "is a file")
    assert listing(desk) == before


def test_a_folder_of_something_else_is_refused(kancl: Kancl, desk: Path) -> None:
    before = listing(desk)
    assert_refused(kancl("run", "gaussian-peaks:tasks=1", *QUICK, "--out", "."), "no kancl experiment")
    assert listing(desk) == before


def test_an_empty_folder_is_taken(kancl: Kancl, desk: Path) -> None:
    (desk / "out").mkdir()
    assert kancl("run", "gaussian-peaks:tasks=1", "--architectures", "mlp", *QUICK, "--out", "out").code == 0


def test_zero_on_the_command_line_goes_over_the_file(kancl: Kancl, desk: Path) -> None:
    (desk / "mine.toml").write_text('optimizer = "sgd"\nmomentum = 0.5\nweight_decay = 0.5\n')
    run = ("run", "gaussian-peaks:tasks=1", "--architectures", "mlp", *QUICK, "--file", "mine.toml")
    assert kancl(*run, "--momentum", "0", "--weight-decay", "0", "--out", "out").code == 0
    (entry,) = runners.load("out").entries
    assert (entry.cell.policy.optimizer, entry.cell.policy.momentum, entry.cell.policy.weight_decay) == ("sgd", 0.0, 0.0)


@pytest.mark.parametrize("make", [None, "folder", "file"])
def test_compare_refuses_what_is_no_experiment(kancl: Kancl, desk: Path, make: str | None) -> None:
    if make == "folder":
        (desk / "there").mkdir()
    elif make == "file":
        (desk / "there").write_text("hello")
    before = listing(desk)
    assert_refused(kancl("compare", "there"), "there", "no kancl experiment")
    assert listing(desk) == before


def test_compare_refuses_an_unknown_format(kancl: Kancl, desk: Path) -> None:
    assert_refused(kancl("compare", ".", "--format", "xml"), "xml")


def test_an_unknown_command_is_refused(kancl: Kancl) -> None:
    assert_refused(kancl("train"), "train")


# A small experiment: run, compare, load.

RUN = (
    "run", "gaussian-peaks:tasks=2,samples=10", "split-digits:classes_per_task=5",
    "--architectures", "kan:hidden=2,intervals=3", "mlp:hidden=4", "--strategies", "naive", "joint", "independent",
    "--seeds", "3-5", "--optimizer", "adam", "--steps", "30", "--evaluations", "3",
)  # fmt: skip
CELLS = 12


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished experiment of 2 scenarios x 2 architectures x 3 strategies x 3 seeds; not to be changed."""
    from runners.cli.main import main

    out = tmp_path_factory.mktemp("experiment") / "out"
    assert main([*RUN, "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def results(experiment: Path) -> Any:
    return runners.load(experiment)


def expected_rows(results: Any) -> dict[tuple[str, ...], np.ndarray]:
    """The values over seeds that every row of a comparison stands for, from the stored arrays and the metrics' functions."""
    rows = {}
    for entry in results.entries:
        result = entry.result
        R, null, curves = (table[result.score] for table in (result.R, result.null, result.curves))
        up = result.higher_is_better[result.score]
        measured = Measured(R, null, curves, result.curve_task, up)
        strategy = entry.cell.asked["strategy"]
        place = tuple(entry.cell.asked[part] for part in ("scenario", "architecture", "strategy"))
        shown = {"joint": ["final_score"], "independent": ["learning_score", "learned"]}.get(strategy, list(METRICS))
        for metric in shown:
            rows[(*place, metric)] = METRICS[metric].compute(measured)
        joint = {other.cell.asked["scenario"] + other.cell.asked["architecture"]: other for other in results.entries
                 if other.cell.asked["strategy"] == "joint"}[place[0] + place[1]].result  # fmt: skip
        if strategy == "naive":
            rows[(*place, "intransigence")] = intransigence(R, joint.R[result.score][:, -1], up)
    return rows


def assert_rows(rows: list[dict[str, Any]], results: Any) -> None:
    """A row per scenario, architecture, strategy and metric, with mean, interval and number of seeds."""
    expected = expected_rows(results)
    found = {tuple(str(row[part]) for part in ("scenario", "architecture", "strategy", "metric")): row for row in rows}
    assert len(found) == len(rows)
    assert found.keys() == expected.keys()
    for place, values in expected.items():
        interval = t_interval(values)
        assert int(found[place]["n"]) == interval.n == np.isfinite(values).sum()
        for name in ("mean", "low", "high"):
            written = found[place][name]
            number = np.nan if written in (None, "") else float(written)
            assert number == pytest.approx(getattr(interval, name), rel=1e-6, abs=1e-9, nan_ok=True)


def test_run_ends_with_a_table_and_the_place(kancl: Kancl, experiment: Path) -> None:
    said = kancl(*RUN, "--out", experiment)
    assert said.code == 0
    assert said.err == ""
    assert said.out.count(": stored") == CELLS
    for word in ("learning accuracy", "final rmse", "forgetting", "retention", "parameters", str(experiment)):
        assert word in said.out


@pytest.mark.parametrize("form", ["json", "csv"])
def test_compare_writes_only_the_data_to_standard_output(kancl: Kancl, experiment: Path, results: Any, form: str) -> None:
    said = kancl("compare", experiment, "--format", form, "--no-figures")  # with them: test_compare_says_what_is_not_finished
    assert said.code == 0
    rows = json.loads(said.out)["cells"] if form == "json" else list(csv.DictReader(io.StringIO(said.out)))
    assert_rows(rows, results)
    assert said.err == ""


def test_compare_writes_a_markdown_table(kancl: Kancl, experiment: Path, results: Any) -> None:
    said = kancl("compare", experiment, "--format", "markdown", "--no-figures")
    assert said.code == 0
    cells, _, _ = said.out.split("\n\n")  # then the verdicts, and the method
    header, line, *rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in cells.splitlines()]
    assert {cell.strip("-") for cell in line} == {""}
    assert header[:4] == ["scenario", "architecture", "strategy", "policy"]
    assert {len(row) for row in rows} == {len(header)} == {len(line)}
    assert [tuple(row[:3]) for row in rows] == [
        tuple(entry.cell.asked[part] for part in ("scenario", "architecture", "strategy")) for entry in results.entries
    ]


def test_compare_prints_a_table(kancl: Kancl, experiment: Path) -> None:
    said = kancl("compare", experiment, "--no-figures")
    assert said.code == 0
    for word in ("gaussian-peaks:tasks=2,samples=10", "split-digits", "kan:hidden=2", "independent", "±", "lower is better"):
        assert word in said.out


@pytest.mark.parametrize(
    ("scenario", "kinds"),
    [
        ("gaussian-peaks", {"headline", "curves", "retention", "functions", "network"}),
        ("split-digits", {"headline", "curves", "retention", "network"}),
    ],
)
def test_figures_are_there_and_valid(results: Any, tmp_path: Path, scenario: str, kinds: set[str]) -> None:
    from dataclasses import replace

    from runners.report.figures.draw_all import draw_all

    chosen = tuple(entry for entry in results.entries if entry.cell.scenario.name == scenario)
    paths = list(draw_all(replace(results, entries=chosen), tmp_path))
    assert sorted(paths) == sorted(tmp_path.iterdir())
    for suffix in (".png", ".svg"):
        assert {path.stem.rpartition("-")[2] for path in paths if path.suffix == suffix} == kinds
    for path in paths:
        if path.suffix == ".png":
            assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
            assert path.read_bytes()[-8:-4] == b"IEND"
        else:
            assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"
        assert path.stat().st_size > 5000


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
def test_figures_can_be_drawn_for_any_number_of_cells(results: Any, tmp_path: Path, count: int) -> None:
    from dataclasses import replace

    from runners.report.figures.draw_all import draw_all
    from runners.report.figures.look import Look

    entries = [entry for entry in results.entries if entry.cell.scenario.name == "gaussian-peaks"] * 2
    assert list(draw_all(replace(results, entries=tuple(entries[:count])), tmp_path, look=Look(("png",))))


def test_compare_says_what_is_not_finished(kancl: Kancl, experiment: Path, tmp_path: Path) -> None:
    import shutil

    out = tmp_path / "out"
    shutil.copytree(experiment, out)
    keys = sorted(path.name for path in (out / "cells").iterdir())
    for key in keys[1:]:
        (out / "cells" / key / "arrays.npz").unlink()
    said = kancl("compare", out, "--format", "json")
    assert said.code == 0
    assert all(key in said.err for key in keys[1:])
    assert len({row["strategy"] for row in json.loads(said.out)["cells"]}) == 1
    assert "figures" in said.err
    assert list((out / "figures").iterdir())
    (out / "cells" / keys[0] / "arrays.npz").unlink()
    assert_refused(kancl("compare", out), "no finished cell")


# runners.load


def arrays_of(experiment: Path, cell: Any) -> dict[str, np.ndarray]:
    with np.load(experiment / "cells" / cell.key / "arrays.npz") as arrays:
        return dict(arrays)


LABELS = ["scenario", "architecture", "strategy", "policy"]


def rows_of(frame: pd.DataFrame, entry: Any) -> pd.DataFrame:
    chosen = frame
    for part in ("scenario", "architecture", "strategy"):
        chosen = chosen[chosen[part] == entry.cell.asked[part]]
    return chosen


def test_the_retention_frame_holds_the_stored_matrices(experiment: Path, results: Any) -> None:
    frame = results.retention
    assert list(frame.columns) == [*LABELS, "seed", "after_task", "task", "task_name", "score", "value", "cell"]
    assert len(results.entries) == CELLS
    for entry in results.entries:
        arrays, chosen = arrays_of(experiment, entry.cell), rows_of(frame, entry)
        assert set(chosen["score"]) == set(arrays["scores"])
        for score in arrays["scores"]:
            R = arrays[f"R/{score}"]
            rows = chosen[chosen["score"] == score]
            assert len(rows) == R.size
            for row in rows.sample(7, random_state=0).itertuples():
                place = list(arrays["seeds"]).index(row.seed)
                assert row.value == R[place, row.after_task, row.task - 1]
                assert row.task_name == arrays["tasks"][row.task - 1]
    assert set(frame["seed"]) == {3, 4, 5}
    assert (frame["after_task"].min(), frame["task"].min()) == (0, 1)


def test_the_curves_frame_holds_the_stored_curves(experiment: Path, results: Any) -> None:
    frame = results.curves
    assert list(frame.columns) == [*LABELS, "seed", "training_task", "step", "task", "task_name", "score", "value", "cell"]
    for entry in results.entries:
        arrays, chosen = arrays_of(experiment, entry.cell), rows_of(frame, entry)
        for score in arrays["scores"]:
            curves = arrays[f"curves/{score}"]
            rows = chosen[chosen["score"] == score]
            assert len(rows) == curves.size
            for row in rows.sample(7, random_state=0).itertuples():
                (evaluation,) = np.flatnonzero((arrays["curve_task"] == row.training_task) & (arrays["curve_step"] == row.step))
                assert row.value == curves[list(arrays["seeds"]).index(row.seed), evaluation, row.task - 1]


def test_the_curves_pass_through_the_retention_matrix(experiment: Path, results: Any) -> None:
    for entry in results.entries:
        arrays = arrays_of(experiment, entry.cell)
        ends = [np.flatnonzero(arrays["curve_task"] == task)[-1] for task in range(arrays["R/" + arrays["scores"][0]].shape[1])]
        assert arrays["curve_step"][ends].tolist() == [0, *[30] * (len(ends) - 1)]
        for score in arrays["scores"]:
            np.testing.assert_array_equal(arrays[f"curves/{score}"][:, ends], arrays[f"R/{score}"])


def test_the_summary_frame_holds_the_metrics(results: Any) -> None:
    frame = results.summary
    columns = [*LABELS, "metric", "mean", "low", "high", "n", "median", "score", *COSTS, "diverged", "formula", "cell"]
    assert list(frame.columns) == columns
    assert_rows(frame.to_dict("records"), results)
    assert set(frame["diverged"]) == {0}
    assert set(frame["score"]) == {"rmse", "accuracy"}


# list


@pytest.mark.parametrize("verbose", [(), ("--verbose",), ("-v",)])
def test_list_prints_every_name(kancl: Kancl, verbose: tuple[str, ...]) -> None:
    said = kancl("list", *verbose)
    assert (said.code, said.err) == (0, "")
    listed = [line.split()[0] for line in said.out.splitlines() if line.strip()]
    for registry in (scenarios, architectures, strategies):
        assert set(registry.names()) <= set(listed)
    assert ("intervals: int = 5" in said.out) == bool(verbose)


@pytest.mark.parametrize(
    ("what", "registry"), [("scenarios", scenarios), ("architectures", architectures), ("strategies", strategies)]
)
def test_list_prints_only_what_is_asked_for(kancl: Kancl, what: str, registry: Any) -> None:
    said = kancl("list", what)
    assert said.code == 0
    own, _, others = said.out.partition("strategies of the avalanche runner")  # these have a section of their own
    assert bool(others) == (what == "strategies")
    title, *rows = [line.split()[0] for line in own.splitlines() if line.strip()]
    assert title == what
    assert rows == registry.names()


# Evaluation.


@pytest.mark.parametrize(
    "scenario", ["gaussian-peaks:tasks=3,test=fresh", "split-digits:setting=task", "split-digits:setting=domain"]
)
@pytest.mark.parametrize("chunk", [None, 64 * 7])
def test_scores_in_one_pass_equal_a_loop_over_tasks(
    tools: Any, monkeypatch: pytest.MonkeyPatch, scenario: str, chunk: int | None
) -> None:
    """The loop is written out here: one seed, one task, only the head's own outputs."""
    if chunk is not None:
        monkeypatch.setattr("kancl.parts.AT_ONCE", chunk)
    cell = tools.make_cell(scenario, "mlp", seeds=3, steps=1, dtype="float64")
    stream = tools.stream_of(cell)
    network = build_network(cell, stream)
    scores = Evaluator(stream).scores(network)
    for number, samples in enumerate(stream.test):
        active = range(stream.outputs) if stream.heads is None else stream.heads[number].nonzero()[:, 0].tolist()
        outputs = network(samples.x).detach().numpy()[:, :, list(active)]
        for s in range(3):
            y = samples.y[s].numpy()
            if "rmse" in scores:
                expected = {"rmse": np.sqrt(((outputs[s] - y) ** 2).mean())}
            else:
                place = np.array([list(active).index(label) for label in y])
                shares = np.exp(outputs[s]) / np.exp(outputs[s]).sum(1, keepdims=True)
                expected = {
                    "accuracy": (outputs[s].argmax(1) == place).mean(),
                    "cross-entropy": -np.log(shares[np.arange(len(y)), place]).mean(),
                }
            assert scores.keys() == expected.keys()
            for name, value in expected.items():
                assert scores[name].shape == (3, len(stream.test))
                assert scores[name][s, number] == pytest.approx(value, rel=1e-9)


def test_task_heads_are_used_in_training(tools: Any) -> None:
    """Where a task has a head of its own, no other output's bias moves."""
    cell = tools.make_cell("split-digits:setting=task", "mlp:hidden=4", steps=3, optimizer="sgd", lr=0.1)
    before = build_network(cell, tools.stream_of(cell)).state_dict()["layers.1.bias"]
    for number, weights in enumerate(tools.train(cell).weights):
        moved = (weights["layers.1.bias"] != before)[:, 0].all(0)
        assert moved.nonzero()[:, 0].tolist() == [2 * number, 2 * number + 1]
        before = weights["layers.1.bias"]


@pytest.mark.parametrize(("steps", "count"), [(1, 2), (2, 12), (100, 12), (5000, 12), (5000, 2), (7, 100)])
def test_evaluations_are_log_spaced(steps: int, count: int) -> None:
    places = evaluation_steps(steps, count)
    assert places == sorted(set(places))
    assert places[0] == 1
    assert places[-1] == steps
    assert len(places) <= count
    if steps == 5000 and count == 12:
        ratios = np.diff(np.log(places[4:]))
        assert np.ptp(ratios) < 0.05
        assert len(places) >= 10


def test_a_constant_network_reaches_the_null_score(tools: Any) -> None:
    """The null score is what the best constant output reaches: for regression the mean of the training targets."""
    stream = tools.stream_of(tools.make_cell("gaussian-peaks:noise=0.5,test=fresh", "mlp", seeds=2, steps=1, dtype="float64"))
    for number, (train, test) in enumerate(zip(stream.train, stream.test, strict=True)):
        for s in range(2):
            expected = ((test.y[s] - train.y[s].mean()) ** 2).mean().sqrt()
            assert stream.null["rmse"][s, number].item() == pytest.approx(expected.item(), rel=1e-6)


def test_the_majority_class_is_the_null_accuracy(tools: Any) -> None:
    stream = tools.stream_of(tools.make_cell("split-digits", "mlp", seeds=2, steps=1))
    for number, (train, test) in enumerate(zip(stream.train, stream.test, strict=True)):
        for s in range(2):
            counts = torch.bincount(train.y[s], minlength=10)
            # Classes that are equally frequent in training: any of them may be taken.
            allowed = [(test.y[s] == label).float().mean().item() for label in (counts == counts.max()).nonzero()[:, 0]]
            assert min(abs(stream.null["accuracy"][s, number].item() - share) for share in allowed) < 1e-6
