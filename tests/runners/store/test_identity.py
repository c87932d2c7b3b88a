"""Guards that what is stored is what was asked for: changed data or code is another cell, said in a line."""

import hashlib
import importlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kancl.options import Spec
from runners.config.request import Request
from runners.experiment.contents import content_of
from runners.experiment.expand import expand
from runners.experiment.sweep import run
from runners.results.results import load
from runners.store.experiment import CellStore, Store
from runners.stream.cache import StreamCache
from runners.stream.digest import digest_of
from runners.stream.stack import stack
from scenarios import Scenario, Task, scenarios

FILES = {
    "tasks.py": """
from pathlib import Path
import numpy as np
from scenarios import Scenario, Task

def lines(seed: int, rows: int = 20):
    from scale import SCALE
    table = np.loadtxt(Path(__file__).parent / "table.csv", delimiter=",")
    table = table[np.random.default_rng(seed).permutation(len(table))]
    x, y = table[:, :1], SCALE * table[:, 1:]
    return Scenario(tuple(Task(f"line {k}", (x[:rows], k * y[:rows]), (x[rows:], k * y[rows:])) for k in (1, 2)), loss="mse")
""",
    "scale.py": "from deeper import DEEPER as SCALE\n",
    "deeper.py": "DEEPER = 2.0\nUNUSED = 1\n",
    "network.py": """
from kancl.models import Problem, architectures
import width

def small(problem: Problem):
    return architectures.get("mlp")(problem, hidden=(width.WIDTH,))
""",
    "width.py": "WIDTH = 4\n",
    "strategy.py": """
from runners.strategies import strategies
from pull import STRENGTH

def pulled():
    return strategies.get("l2-init")(strength=STRENGTH)
""",
    "pull.py": "STRENGTH = 0.1\n",
}
COMMAND = ("run", "./tasks.py:lines", "--architectures", "./network.py:small", "--strategies", "./strategy.py:pulled",
           "--optimizer", "adam", "--seeds", 2, "--steps", 5, "--evaluations", 2)  # fmt: skip
DATA = "the data of `tasks.py:lines`"
CHANGES = {
    "a row of a table that numpy reads": ("table.csv", "0.5000", "0.5001", DATA),
    "a module imported inside the builder": ("scale.py", "SCALE", "SCALE; SCALE = 1", f"{DATA} and scale.py beside ./tasks.py"),
    "a module of a module": ("deeper.py", "2.0", "3.0", f"{DATA} and deeper.py beside ./tasks.py"),
    "a module of a module that changes no data": ("deeper.py", "UNUSED = 1", "UNUSED = 2", "deeper.py beside ./tasks.py"),
    "a builder's default": ("tasks.py", "rows: int = 20", "rows: int = 21", f"{DATA} and ./tasks.py"),
    "a comment": ("tasks.py", "import numpy", "import numpy  # as np\nimport numpy", "./tasks.py"),
    "a module beside the architecture": ("width.py", "4", "5", "width.py beside ./network.py"),
    "a module beside the strategy": ("pull.py", "0.1", "0.2", "pull.py beside ./strategy.py"),
}


def write_table(folder: Path) -> None:
    rows = np.random.default_rng(0).uniform(-1, 1, (30, 2))
    rows[3] = 0.5
    (folder / "table.csv").write_text("".join(f"{x:.4f},{y:.4f}\n" for x, y in rows))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with a table and files that read it and import one another; forgotten afterwards."""
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    write_table(tmp_path)
    monkeypatch.chdir(tmp_path)
    modules = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - modules:
        if name.startswith("_kancl_file_"):
            del sys.modules[name]


def edit(file: str, old: str, new: str) -> None:
    text = Path(file).read_text()
    assert old in text
    Path(file).write_text(text.replace(old, new, 1))


def only_folder(said: Any) -> Path:
    """The cell's folder, as the run tells it."""
    (line,) = [line for line in said.out.splitlines() if "/cells/" in line]
    return Path(line.strip())


def arrays(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "arrays.npz") as stored:
        return {name: stored[name] for name in stored.files if not name.endswith("seconds") and name != "sealed"}


def assert_same(one: Path, other: Path) -> None:
    ours, theirs = arrays(one), arrays(other)
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        np.testing.assert_array_equal(values, theirs[name], err_msg=name)


def test_weights_that_an_architecture_reads_are_part_of_it(kancl: Callable[..., Any], desk: Path) -> None:
    edit(
        "network.py",
        "    return",
        "    from pathlib import Path\n    factor = float(Path('weights.txt').read_text())\n    return",
    )
    edit("network.py", "hidden=(width.WIDTH,))", "hidden=(width.WIDTH,)).apply(lambda layer: scaled(layer, factor))")
    with Path("network.py").open("a") as file:
        file.write("def scaled(layer, factor):\n    for p in layer.parameters(recurse=False):\n        p.data *= factor\n")
    Path("weights.txt").write_text("0.5")
    kancl(*COMMAND)
    assert ": stored" in kancl(*COMMAND).out
    Path("weights.txt").write_text("0.25")
    said = kancl(*COMMAND)
    assert "what ./network.py builds changed since" in said.out, said
    assert ": stored" not in said.out


@pytest.mark.parametrize(
    ("file", "old", "new", "values"),
    [
        ("strategy.py", "strength=STRENGTH", "**read()", [{"strength": 0.1}, {"strength": 0.2}]),
        ("network.py", "hidden=", "**read(), hidden=", [{"activation": "relu"}, {"activation": "tanh"}]),
    ],
)
def test_settings_that_a_builder_reads_are_part_of_it(
    kancl: Callable[..., Any], desk: Path, file: str, old: str, new: str, values: list[dict[str, Any]]
) -> None:
    edit(file, old, new)
    with Path(file).open("a") as plug_in:
        plug_in.write("def read():\n    import json\n    with open('settings.json') as file:\n        return json.load(file)\n")
    Path("settings.json").write_text(json.dumps(values[0]))
    kancl(*COMMAND)
    assert ": stored" in kancl(*COMMAND).out
    Path("settings.json").write_text(json.dumps(values[1]))
    said = kancl(*COMMAND)
    assert f"what ./{file} builds changed since" in said.out, said
    assert ": stored" not in said.out


class Silent:
    """Hears nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *said: None


def test_data_that_change_while_a_sweep_runs_fail_the_cell(desk: Path) -> None:
    streams = StreamCache(limit=0)  # which forgets everything, as where data are large
    cells = expand([Request(("./tasks.py:lines",), ("mlp",), seeds=2, optimizer="adam", steps=3)], streams=streams)
    edit("table.csv", "0.5000", "0.5001")
    outcome = run(cells, Store(Path("out")), Silent(), streams=StreamCache())
    (failure,) = outcome.failures.values()
    assert f"{DATA} changed while the sweep ran; run the command again" in failure


@pytest.mark.parametrize("change", CHANGES)
def test_what_changed_is_another_cell(kancl: Callable[..., Any], desk: Path, change: str) -> None:
    file, old, new, words = CHANGES[change]
    first = kancl(*COMMAND)
    again = kancl(*COMMAND)
    assert (first.code, again.code) == (0, 0), first.err
    assert ": stored" in again.out
    assert "changed since" not in first.out + again.out
    edit(file, old, new)
    said = kancl(*COMMAND)
    assert said.code == 0, said.err
    lines = [line for line in said.out.splitlines() if "changed since" in line]
    assert [line.partition(" changed since 20")[0] for line in lines] == [words]
    assert lines[0].endswith("; training anew (1 cell)")
    before, after = only_folder(first), only_folder(said)
    assert before.parent == after.parent  # the folder's name knows no contents
    assert before != after
    assert before.is_dir()
    fresh = kancl(*COMMAND, "--out", "fresh")
    assert_same(after, only_folder(fresh))
    (entry,) = load(after.parent.parent).entries
    assert entry.cell.key == after.name
    (noted,) = json.loads((after.parent.parent / "experiment.json").read_text())["superseded"]
    assert (noted["cell"], noted["by"], noted["changed"]) == (before.name, after.name, words)
    assert ": stored" in kancl(*COMMAND).out


def test_contents_that_come_back_are_those_that_are_stored(kancl: Callable[..., Any], desk: Path) -> None:
    first = kancl(*COMMAND)
    edit("table.csv", "0.5000", "0.5001")
    kancl(*COMMAND)
    edit("table.csv", "0.5001", "0.5000")
    said = kancl(*COMMAND)
    assert f"{DATA} changed since" in said.out
    assert "they are those of an earlier run, which counts" in said.out
    assert ": stored" in said.out
    assert only_folder(said) == only_folder(first)


def test_files_moved_together_are_the_same_experiment(kancl: Callable[..., Any], desk: Path) -> None:
    kancl(*COMMAND, "--out", "out")
    (desk / "moved").mkdir()
    for file in [*FILES, "table.csv"]:
        shutil.move(desk / file, desk / "moved" / file)
    moved = [str(word).replace("./", "moved/") for word in COMMAND]
    assert ": stored" in kancl(*moved, "--out", "out").out
    edit("moved/table.csv", "0.5000", "0.5001")  # and what changes afterwards is known again
    assert "training anew" in kancl(*moved, "--out", "out").out


@pytest.mark.parametrize("changed", [True, False])
def test_what_was_half_done_is_continued_with_the_same_contents_only(
    kancl: Callable[..., Any], desk: Path, monkeypatch: pytest.MonkeyPatch, changed: bool
) -> None:
    save, loaded = CellStore.save_checkpoint, []

    def killed(store: CellStore, *given: Any) -> None:
        save(store, *given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(CellStore, "save_checkpoint", killed)
        assert kancl(*COMMAND, "--out", "out").code == 130
    if changed:
        edit("table.csv", "0.5000", "0.5001")
    load_checkpoint = CellStore.load_checkpoint

    def noted(store: CellStore, *given: Any) -> Any:
        loaded.append(load_checkpoint(store, *given))
        return loaded[-1]

    monkeypatch.setattr(CellStore, "load_checkpoint", noted)
    said = kancl(*COMMAND, "--out", "out")
    assert said.code == 0, said.err
    assert (f"{DATA} changed since" in said.out) == changed
    assert [checkpoint is None for checkpoint in loaded] == [changed]
    assert_same(only_folder(said), only_folder(kancl(*COMMAND, "--out", "fresh")))


def test_cells_that_never_began_are_known_again_too(kancl: Callable[..., Any], desk: Path) -> None:
    cells = expand([Request(("./tasks.py:lines",), ("mlp", "kan"), seeds=2, optimizer="adam", steps=3)])
    with Store(Path("out")).opened(cells):
        pass  # nothing was run
    edit("table.csv", "0.5000", "0.5001")
    said = kancl("run", "./tasks.py:lines", "--seeds", 2, "--optimizer", "adam", "--steps", 3, "--out", "out")
    assert said.code == 0, said.err
    assert "training anew (2 cells)" in said.out


def test_two_files_of_one_name_are_two(kancl: Callable[..., Any], desk: Path) -> None:
    for name, width in (("one", 3), ("two", 6)):
        (desk / name).mkdir()
        (desk / name / "network.py").write_text(FILES["network.py"])
        (desk / name / "width.py").write_text(f"WIDTH = {width}\n")
    command = ("run", "gaussian-peaks:tasks=2,samples=20", "--architectures", "one/network.py:small", "two/network.py:small",
               "--seeds", 2, "--steps", 3, "--out", "out")  # fmt: skip
    said = kancl(*command)
    assert said.code == 0, said.err
    assert [entry.result.parameters for entry in load("out").entries] == [10, 19]
    edit("two/width.py", "6", "7")
    again = kancl(*command)
    assert "width.py beside two/network.py changed since" in again.out
    assert (again.out.count(": stored"), again.out.count(": done")) == (1, 1)
    assert [entry.result.parameters for entry in load("out").entries] == [10, 22]


def test_a_file_of_another_place_is_another_question(kancl: Callable[..., Any], desk: Path) -> None:
    for name, width in (("one", 3), ("two", 6)):
        (desk / name).mkdir()
        (desk / name / "network.py").write_text(FILES["network.py"])
        (desk / name / "width.py").write_text(f"WIDTH = {width}\n")
    command = ("run", "gaussian-peaks:tasks=2,samples=20", "--seeds", 2, "--steps", 3, "--out", "out", "--architectures")
    for name in ("one", "two"):  # whatever its name, and in a command of its own
        said = kancl(*command, f"{name}/network.py:small")
        assert (said.code, "changed since" in said.out) == (0, False), said.err
    assert [entry.result.parameters for entry in load("out").entries] == [10, 19]


def test_an_experiment_file_names_files_with_modules_beside_them(kancl: Callable[..., Any], desk: Path) -> None:
    Path("mine.toml").write_text(
        'scenarios = ["./tasks.py:lines"]\narchitectures = ["./network.py:small"]\nstrategies = ["./strategy.py:pulled"]\n'
        'optimizer = "adam"\nseeds = 2\nsteps = 5\nevaluations = 2\n'
    )
    assert only_folder(kancl("run", "--file", "mine.toml")) == only_folder(kancl(*COMMAND))


def test_a_package_that_was_updated_is_another_cell(
    kancl: Callable[..., Any], desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = desk / "site" / "kancl_test-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "entry_points.txt").write_text("[kancl.scenarios]\ntest-lines = kancl_test_lines:lines\n")
    (info.parent / "kancl_test_lines.py").write_text(FILES["tasks.py"].replace("from scale import SCALE", "SCALE = 1"))
    write_table(info.parent)
    monkeypatch.syspath_prepend(info.parent)

    def said(version: str) -> str:
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: kancl-test\nVersion: {version}\n")
        importlib.invalidate_caches()
        for names in (scenarios._entries, scenarios._contents):
            names.pop("test-lines", None)  # as in a new process
        ended = kancl("run", "test-lines", "--architectures", "mlp", "--optimizer", "adam", "--seeds", 2, "--steps", 3)
        assert ended.code == 0, ended.err
        return str(ended.out)

    try:
        assert "changed since" not in said("1.0")
        assert ": stored" in said("1.0")
        assert "package kancl-test changed since" in said("1.1")
    finally:
        for names in (scenarios._entries, scenarios._contents):
            names.pop("test-lines", None)
        sys.modules.pop("kancl_test_lines", None)


def test_the_avalanche_runner_knows_changed_contents(kancl: Callable[..., Any], desk: Path) -> None:
    command = ("run", "split-digits:samples=40", "--architectures", "./network.py:small", "--strategies", "naive",
               "--runner", "avalanche", "--seeds", 1, "--steps", 2, "--evaluations", 2, "--out", "out")  # fmt: skip
    assert kancl(*command).code == 0
    assert ": stored" in kancl(*command).out
    edit("width.py", "4", "5")
    assert "width.py beside ./network.py changed since" in kancl(*command).out


# Choices.


def test_choices_of_other_data_are_not_taken(kancl: Callable[..., Any], desk: Path) -> None:
    command = ("run", "./tasks.py:lines", "--architectures", "mlp:hidden=3", "kan", "--optimizer", "adam", "--seeds", 2,
               "--steps", 3, "--tune", 2, "--tune-seeds", 1, "--match", "parameters", "--to", "mlp:hidden=3")  # fmt: skip
    first, again = kancl(*command), kancl(*command)
    assert (first.out.count("as a trial"), again.out.count("as a trial")) == (4, 0), first.err
    edit("table.csv", "0.5000", "0.5001")
    changed = kancl(*command)
    assert changed.code == 0, changed.err
    assert changed.out.count("as a trial") == 4
    assert f"{DATA} changed since" in changed.out
    assert "training anew (2 cells)" in changed.out
    assert kancl(*command).out.count(": stored") == 2


def test_choices_of_other_data_of_the_trials_seeds_are_not_taken(kancl: Callable[..., Any], desk: Path) -> None:
    edit(
        "tasks.py",
        "    table = table[",
        "    table[0, 0] = float(Path('late.txt').read_text()) if seed == 7 else 0\n    table = table[",
    )
    Path("late.txt").write_text("0.1")
    command = (*COMMAND, "--tune", 2, "--tune-seeds", "7,")
    trials = [kancl(*command).out.count("as a trial") for _ in range(2)]
    Path("late.txt").write_text("0.2")
    assert [*trials, kancl(*command).out.count("as a trial")] == [2, 0, 2]


# The digest of data.


def scenario(**changes: Any) -> Scenario:
    numbers = torch.arange(1.0, 13.0).reshape(6, 2)
    tasks = tuple(Task(name, (numbers + k, numbers[:, :1]), (-numbers - k - 1, numbers[:, 1:])) for k, name in enumerate("ab"))
    return replace(Scenario(tasks, loss="mse"), **changes)


def digest(enrol: Callable[..., None], number: list[int], dtype: torch.dtype = torch.float32, **changes: Any) -> str:
    number.append(0)
    name = f"digested-{len(number)}"
    enrol(scenarios, name, lambda seed: scenario(**changes))
    return stack(Spec(name), (0, 1), dtype).digest


def test_all_that_networks_meet_is_digested(enrol: Callable[..., None]) -> None:
    number: list[int] = []
    one, tasks = digest(enrol, number), scenario().tasks
    assert digest(enrol, number) == one
    moved = replace(tasks[0], test=(tasks[0].test[0], tasks[0].test[1] + 1e-6))
    renamed = replace(tasks[1], name="c")
    others = [
        {"tasks": tasks[::-1]}, {"tasks": tasks[:1]}, {"tasks": (moved, tasks[1])}, {"tasks": (tasks[0], renamed)},
        {"domain": ((-20.0, 20.0),) * 2}, {"blur": 0.5}, {"pretrain": (renamed,)}, {"outputs": 2, "loss": "cross-entropy",
        "tasks": tuple(replace(t, train=(t.train[0], [0, 1] * 3), test=(t.test[0], [1, 0] * 3)) for t in tasks)},
    ]  # fmt: skip
    digests = [digest(enrol, number, **changes) for changes in others]
    heads = others[-1] | {"setting": "task", "tasks": tuple(replace(task, active=(0, 1)) for task in others[-1]["tasks"])}
    digests += [digest(enrol, number, **heads), digest(enrol, number, torch.float64)]
    assert len({one, *digests}) == len(digests) + 1


def test_numbers_count_as_they_are_trained_on(enrol: Callable[..., None]) -> None:
    number: list[int] = []
    finer = tuple(replace(task, train=(task.train[0].double() + 1e-12, task.train[1])) for task in scenario().tasks)
    assert digest(enrol, number) == digest(enrol, number, tasks=finer)
    assert digest(enrol, number, torch.float64) != digest(enrol, number, torch.float64, tasks=finer)


def test_what_is_shared_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    sha256 = hashlib.sha256
    monkeypatch.setattr(hashlib, "sha256", lambda content=b"": (read.append(len(content)), sha256(content))[1])
    rows = torch.arange(1000.0).reshape(1, 100, 10)
    shared = rows.expand(8, 100, 10)
    assert digest_of([shared, shared]) == digest_of([shared, rows.clone().expand(8, 100, 10)])
    assert sum(read) == 3 * rows.nbytes


def test_kancls_own_are_digested_by_their_data_alone() -> None:
    (cell,) = expand([Request(("split-digits:samples=40",), ("mlp",), seeds=2)])
    stream = stack(cell.scenario, cell.seeds)
    assert cell.content == content_of(cell, stream) == {"data": stream.digest}


# What was stored before contents were recorded.

STORED = Path(__file__).parents[2] / "data" / "stored-005048d"
OLD = ("run", "./two.py:two", "--architectures", "mlp:hidden=3", "kan:hidden=2", "--optimizer", "adam", "--seeds", 2,
       "--steps", 4, "--evaluations", 2)  # fmt: skip
UNKNOWN = "2 cells were stored before contents were recorded: whether their data changed since cannot be told"


@pytest.fixture
def old(desk: Path) -> Path:
    shutil.copytree(STORED, desk, dirs_exist_ok=True)
    return desk


@pytest.mark.parametrize("out", ["finished", "runs/two-b42e5913"])
def test_old_cells_load_compare_and_count_as_stored(kancl: Callable[..., Any], old: Path, out: str) -> None:
    shutil.copytree("finished", "runs/two-b42e5913")  # as it was called when files' contents were part of the name
    listed = list(Store(Path(out)).keys())
    assert [entry.cell.key for entry in load(out).entries] == listed
    assert kancl("compare", out, "--no-figures").code == 0
    command = OLD if out.startswith("runs") else (*OLD, "--out", out)
    for _ in range(2):
        said = kancl(*command)
        assert said.code == 0, said.err
        assert said.out.count(": stored") == said.out.count(f"{out}/cells/") == 2
        assert said.out.count(UNKNOWN) == 1
        assert list(Store(Path(out)).keys()) == listed
    edit("table.csv", Path("table.csv").read_text()[:6], "0.1234")  # since then it is known
    said = kancl(*command)
    assert "the data of `two.py:two` changed since" in said.out
    assert "training anew (2 cells)" in said.out
    assert UNKNOWN not in said.out
    assert ": stored" not in said.out
    assert len(load(out).entries) == 2
    assert not set(Store(Path(out)).keys()) & set(listed)


def test_an_old_cell_of_an_edited_file_is_trained_anew(kancl: Callable[..., Any], old: Path) -> None:
    edit("two.py", "Two lines", "The two lines")
    said = kancl(*OLD, "--out", "finished")
    assert said.code == 0, said.err
    assert "two.py changed since" in said.out
    assert "training anew (2 cells)" in said.out


def test_old_cells_that_are_half_finished_are_trained_anew(kancl: Callable[..., Any], old: Path) -> None:
    half = old / "finished" / "cells" / "two--kan--naive--7578f09141"
    shutil.rmtree(half)
    shutil.copytree(old / "half" / "cells" / half.name, half)
    said = kancl(*OLD, "--out", "finished")
    assert said.code == 0, said.err
    assert (said.out.count(": stored"), said.out.count(": done")) == (1, 1)
    assert "1 cell stood half-finished since before contents were recorded: whether data changed cannot be told" in said.out
    assert "1 cell was stored before contents were recorded: whether its data changed since cannot be told" in said.out
    kancl(*OLD, "--out", "fresh")
    for ours, theirs in zip(Store(Path("finished")).keys(), Store(Path("fresh")).keys(), strict=True):
        if ours == theirs:
            assert_same(Path("finished", "cells", ours), Path("fresh", "cells", theirs))


def test_old_choices_count_once(kancl: Callable[..., Any], old: Path) -> None:
    command = (*OLD, "--tune", 2, "--tune-seeds", 1, "--out", "tuned", "--tune-choices", 1)
    for _ in range(2):
        said = kancl(*command)
        assert said.code == 0, said.err
        assert (said.out.count(": stored"), said.out.count("as a trial")) == (2, 0)
        assert UNKNOWN in said.out
    edit("table.csv", Path("table.csv").read_text()[:6], "0.1234")
    assert kancl(*command).out.count("as a trial") == 4
