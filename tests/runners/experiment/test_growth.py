"""A folder grows by whatever is asked for, and what is read is what one command would have given."""

import io
import json
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import runners
from kancl.errors import InputError
from runners.cli.main import main
from runners.results.entry import Entry
from runners.results.results import Results
from runners.store.cell import CellStore
from runners.store.experiment import Store

Kancl = Callable[..., Any]

MLP, KAN = "mlp:hidden=3", "kan:intervals=3"
RUN = ("run", "gaussian-peaks:tasks=2,samples=20", "--optimizer", "adam", "--steps", 4, "--evaluations", 2)


def counts(said: Any) -> tuple[int, int]:
    """How many cells were trained, and how many were there."""
    assert said.code == 0, said.err
    return said.out.count(": done in"), said.out.count(": stored")


def requests_of(out: Path) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads((out / "experiment.json").read_text())["requests"]
    return listed


@pytest.fixture(scope="module")
def quietly() -> Kancl:
    """Run the kancl command in this process, for what several tests share."""

    def command(*arguments: object) -> Any:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = main([str(argument) for argument in arguments])
        return SimpleNamespace(code=code, out=out.getvalue(), err=err.getvalue())

    return command


@pytest.fixture(scope="module")
def grown(quietly: Kancl, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment of two architectures, two strategies and five seeds that grew out of one cell."""
    out = tmp_path_factory.mktemp("grown") / "out"
    assert counts(quietly(*RUN, "--architectures", MLP, "--seeds", 2, "--out", out)) == (1, 0)
    assert counts(quietly(*RUN, "--architectures", MLP, KAN, "--strategies", "naive", "ewc", "--seeds", 2, "--out", out)) == (
        3,
        1,
    )
    both = ("--architectures", KAN, MLP, "--strategies", "naive", "ewc")
    assert counts(quietly(*RUN, *both, "--seeds", "1-4", "--out", out)) == (4, 4)
    return out


@pytest.fixture(scope="module")
def at_once(quietly: Kancl, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """The same in one command."""
    out = tmp_path_factory.mktemp("at-once") / "out"
    both = ("--architectures", MLP, KAN, "--strategies", "naive", "ewc")
    assert counts(quietly(*RUN, *both, "--seeds", 5, "--out", out)) == (4, 0)
    return runners.load(out)


def assert_same(one: Results, other: Results, *changing: str) -> None:
    """The frames are equal but for who is where, and for times."""
    for name in ("summary", "retention", "curves"):
        ours, theirs = (
            getattr(results, name).drop(columns=["cell", "step_seconds", *changing], errors="ignore")
            for results in (one, other)
        )
        keys = [key for key in ours.columns if key not in ("value", "mean", "low", "high", "median")]
        pd.testing.assert_frame_equal(
            *(frame.sort_values(keys).reset_index(drop=True) for frame in (ours, theirs)), check_exact=True
        )


def test_what_grew_is_what_one_command_gives(grown: Path, at_once: Results) -> None:
    results = runners.load(grown)
    assert [entry.cell.seeds for entry in results.entries] == [(0, 1, 2, 3, 4)] * 4
    assert_same(results, at_once)
    for entry in results.entries:
        assert entry.labels["policy"] == "adam lr=0.003 steps=4"
        assert [part.seeds for part in entry.stored] == [(0, 1), (2, 3, 4)]
        assert entry.keys[1] != entry.keys[2]


def test_what_was_asked_for_is_noted(kancl: Kancl, grown: Path) -> None:
    first, second, third = requests_of(grown)
    assert [len(request["cells"]) for request in (first, second, third)] == [1, 4, 8]
    assert set(first["cells"]) < set(second["cells"]) < set(third["cells"])
    for request in (first, second, third):
        assert request["date"].startswith("20")
        assert request["version"]
        assert request["command"].startswith("kancl run gaussian-peaks:tasks=2,samples=20 --optimizer adam")


def test_fewer_seeds_are_there(kancl: Kancl, grown: Path) -> None:
    before = list(Store(grown).keys())
    assert counts(kancl(*RUN, "--architectures", KAN, "--seeds", "3,", "--out", grown)) == (0, 1)
    assert list(Store(grown).keys()) == before


def test_a_part_can_be_chosen(grown: Path, at_once: Results) -> None:
    results = runners.load(grown)
    part = results.select(architectures=["mlp"], strategies=["ewc"], seeds="2-3")
    (entry,) = part.entries
    assert (entry.labels["architecture"], entry.labels["strategy"], entry.cell.seeds) == (MLP, "ewc", (2, 3))
    assert_same(part, at_once.select([], [MLP], ["ewc"], [2, 3]), "seeds")
    assert [one.key for one in results.select(seeds=[0]).entries] == [one.key.split()[0] for one in results.entries]
    for wanted, message in (
        ({"architectures": ["kaf"]}, f"no architecture 'kaf' is among the results; there are: {MLP}, {KAN}"),
        ({"seeds": 7}, "no cell has the seeds 5, 6; there are 0, 1, 2, 3, 4"),
    ):
        with pytest.raises(InputError, match=message):
            results.select(**wanted)


def test_compare_shows_what_is_chosen(kancl: Kancl, grown: Path) -> None:
    said = kancl("compare", grown, "--architectures", "kan", "--seeds", "0-2", "--format", "csv", "--no-figures")
    assert said.code == 0, said.err
    rows = pd.read_csv(io.StringIO(said.out))
    assert set(rows["architecture"]) == {KAN}
    assert rows["n"].max() == 3


def test_several_folders_are_read_as_one(kancl: Kancl, tmp_path: Path, at_once: Results, grown: Path) -> None:
    for out, seeds in (("a", "0-1"), ("b", "2-4"), ("c", "1-2")):
        assert counts(kancl(*RUN, "--architectures", MLP, "--seeds", seeds, "--out", tmp_path / out)) == (1, 0)
    both = runners.load(tmp_path / "a", tmp_path / "b")
    assert_same(both, at_once.select(architectures=[MLP], strategies=["naive"]))
    apart = runners.load(tmp_path / "a", tmp_path / "b", tmp_path / "c").entries
    assert [entry.cell.seeds for entry in apart] == [(0, 1), (2, 3, 4), (1, 2)]  # a seed twice: nothing is merged
    assert len({entry.labels["policy"] for entry in apart}) == 3
    assert len(runners.load(grown, grown).entries) == 4
    said = kancl("compare", tmp_path / "a", tmp_path / "b", "--no-figures")
    assert (said.code, "5" in said.out) == (0, True), said.err


def test_tasks_of_other_sizes_grow_too(kancl: Kancl, tmp_path: Path) -> None:
    run = (*RUN, "--architectures", MLP, "--locality", "on", "--out", tmp_path / "out")
    kancl(*run, "--seeds", 1)
    assert counts(kancl(*run, "--seeds", 3)) == (1, 1)
    (entry,) = runners.load(tmp_path / "out").entries
    assert entry.result.locality is not None
    whole = kancl(*run[:-1], tmp_path / "whole", "--seeds", 3)
    (other,) = runners.load(tmp_path / "whole").entries
    assert whole.code == 0
    assert_same_arrays(entry, other)


def assert_same_arrays(one: Entry, other: Entry) -> None:
    ours, theirs = one.result.to_arrays(), other.result.to_arrays()
    assert ours.keys() == theirs.keys()
    for name in ours.keys() - {"seconds", "step_seconds", "evaluation_seconds", "steps"}:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


NETWORK = """
from kancl.models import Problem, architectures

def small(problem: Problem):
    network = architectures.get("mlp")(problem, hidden=(3,))
    return network
"""


def test_what_changed_takes_the_place_of_all_blocks(kancl: Kancl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("network.py").write_text(NETWORK)
    run = (*RUN, "--architectures", "./network.py:small", "--out", "out", "--seeds")
    assert counts(kancl(*run, 2)) == (1, 0)
    assert counts(kancl(*run, 3)) == (1, 1)
    Path("network.py").write_text(NETWORK.replace("(3,)", "(4,)"))
    said = kancl(*run, 4)
    assert counts(said) == (1, 0)
    assert "./network.py changed since" in said.out
    (entry,) = runners.load("out").entries
    assert (entry.cell.seeds, entry.result.parameters) == ((0, 1, 2, 3), 13)
    noted = json.loads(Path("out/experiment.json").read_text())["superseded"]
    assert [(one["by"], one["changed"]) for one in noted] == [(entry.key, "./network.py")] * 2
    Path("network.py").write_text(NETWORK)
    assert counts(kancl(*run, 2)) == (0, 1)  # as it was
    (entry,) = runners.load("out").entries
    assert (entry.cell.seeds, entry.result.parameters) == ((0, 1), 10)


LINES = """
from pathlib import Path
import numpy as np
from scenarios import Scenario, Task

def lines(seed: int):
    table = np.loadtxt(Path(__file__).parent / "table.csv", delimiter=",")
    x, y = table[:, :1], table[:, 1:] + seed
    return Scenario(tuple(Task(f"line {k}", (x, k * y), (x, k * y)) for k in (1, 2)), loss="mse", test_is_train=True)
"""


def test_blocks_of_other_data_are_no_answer(kancl: Kancl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tasks.py").write_text(LINES)
    Path("table.csv").write_text("".join(f"{k / 9},{k % 3}\n" for k in range(10)))
    run = ("run", "./tasks.py:lines", "--architectures", MLP, *RUN[2:], "--out", "out", "--seeds")
    assert counts(kancl(*run, 2)) == (1, 0)
    Path("table.csv").write_text("".join(f"{k / 9},{k % 4}\n" for k in range(10)))
    said = kancl(*run, 3)
    assert counts(said) == (1, 0)
    assert "the data of `tasks.py:lines` changed since" in said.out
    (entry,) = runners.load("out").entries
    assert (entry.cell.seeds, len(entry.stored)) == ((0, 1, 2), 1)


def test_seeds_of_other_code_are_not_merged(kancl: Kancl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for out, width, seeds in (("a", "(3,)", "0-1"), ("b", "(4,)", "2-3")):
        Path("network.py").write_text(NETWORK.replace("(3,)", width))
        assert counts(kancl(*RUN, "--architectures", "./network.py:small", "--seeds", seeds, "--out", out)) == (1, 0)
    assert [entry.cell.seeds for entry in runners.load("a", "b").entries] == [(0, 1), (2, 3)]


def test_what_another_process_adds_to_the_list_is_seen(tmp_path: Path, tools: Any) -> None:
    one, other = Store(tmp_path), Store(tmp_path)
    first, second = (tools.make_cell("gaussian-peaks:tasks=2", MLP, name) for name in ("naive", "ewc"))
    with one.opened([first]):
        assert one.keys() == other.keys() == [first.key]
    with other.opened([second]):
        assert one.keys() == [first.key, second.key]


def test_tuned_cells_grow(kancl: Kancl, tmp_path: Path) -> None:
    run = (*RUN, "--architectures", MLP, "--tune", 2, "--tune-seeds", 1, "--out", tmp_path / "out", "--seeds")
    first = kancl(*run, 2)
    assert (first.code, first.out.count("as a trial")) == (0, 2), first.err
    (alone,) = runners.load(tmp_path / "out").entries
    refused = kancl(*run, 3)
    assert refused.code == 2
    assert "seed 2 would be reported, and on it was chosen what other seeds" in " ".join(refused.err.split())
    assert "from 4 on" in refused.err
    said = kancl(*run, "0,1,4,5")
    assert (said.code, said.out.count("as a trial")) == (0, 2), said.err
    (entry,) = runners.load(tmp_path / "out").entries
    assert entry.cell.seeds == (0, 1, 4, 5)
    assert entry.tuning is not None
    assert [entry.tuning.choice[seed] for seed in entry.cell.seeds] == [2, 3, 6, 7]
    for score, table in alone.result.R.items():
        np.testing.assert_array_equal(entry.result.R[score][:2], table)
    again = kancl(*run, "0,1,4,5")
    assert (again.code, again.out.count("as a trial"), again.out.count("done in")) == (0, 0, 0)


PERMUTED = "permuted-digits:tasks=2,samples=30"
DIGITS = ("--architectures", "kan:hidden=2,intervals=3", "--optimizer", "adam", "--steps", 5, "--evaluations", 3, "--seeds", 2)


@pytest.mark.parametrize(
    ("policy", "strategy"),
    [(("--state", "keep"), "naive"), ((), "ewc"), ((), "der++:memory=20"), (("--schedule", "cosine"), "naive")],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value,
)
def test_more_tasks_go_on_from_the_stored_end(kancl: Kancl, tmp_path: Path, policy: tuple[str, ...], strategy: str) -> None:
    rest = (*DIGITS, *policy, "--strategies", strategy, "--out")
    assert counts(kancl("run", PERMUTED, *rest, tmp_path / "out")) == (1, 0)
    said = kancl("run", "permuted-digits:tasks=4,samples=30", *rest, tmp_path / "out")
    assert counts(said) == (1, 0)
    assert f"goes on from the end of {PERMUTED}, which is stored" in " ".join(said.out.split())
    _, grown = runners.load(tmp_path / "out").entries
    assert kancl("run", "permuted-digits:tasks=4,samples=30", *rest, tmp_path / "fresh").code == 0
    (fresh,) = runners.load(tmp_path / "fresh").entries
    assert grown.result.remarks == ("tasks 3 to 4 added later",)
    assert fresh.result.remarks == ()
    for score, table in fresh.result.R.items():
        known = np.ones(table.shape[1:], bool)
        known[1, 2:] = False  # the first task's end, where the new tasks were not measured
        np.testing.assert_array_equal(grown.result.R[score][:, known], table[:, known])
        assert np.isnan(grown.result.R[score][:, ~known]).all()
        np.testing.assert_array_equal(grown.result.curves[score][:, -6:], fresh.result.curves[score][:, -6:])
    for name, values in fresh.metrics().items():
        if name.startswith("windowed_"):  # they look at every evaluation of every task
            assert np.isnan(grown.metrics()[name]).all()
        else:
            np.testing.assert_array_equal(grown.metrics()[name], values, err_msg=name)
    assert grown.result.steps == fresh.result.steps


@pytest.mark.parametrize(
    ("first", "then", "more"),
    [
        ("gaussian-peaks:tasks=2,samples=20", "gaussian-peaks:tasks=3,samples=20", ()),  # other centres
        (PERMUTED, "permuted-digits:tasks=3,samples=30", ("--strategies", "joint")),
        (PERMUTED, "permuted-digits:tasks=3,samples=30", ("--schedule", "cosine", "--schedule-over", "sequence")),
        (PERMUTED, "permuted-digits:tasks=3,samples=40", ()),
    ],
    ids=["other tasks", "joint", "one schedule over all", "more samples"],
)  # fmt: skip
def test_what_continues_nothing_starts_anew(kancl: Kancl, tmp_path: Path, first: str, then: str, more: tuple[str, ...]) -> None:
    for scenario in (first, then):
        said = kancl("run", scenario, *DIGITS, *more, "--out", tmp_path)
        assert said.code == 0, said.err
    assert "goes on from" not in said.out
    assert [entry.result.remarks for entry in runners.load(tmp_path).entries] == [(), ()]


def test_no_cell_is_opened_that_cannot_be_a_beginning(kancl: Kancl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else every cell of a sweep would read all that were done before it."""
    monkeypatch.setattr(CellStore, "load", lambda self: pytest.fail(f"{self.folder.name} was read"))
    opened: list[str] = []
    real = CellStore.load_result
    monkeypatch.setattr(CellStore, "load_result", lambda self: opened.append(self.folder.name) or real(self))
    monkeypatch.setattr("runners.results.results.load", lambda *paths: SimpleNamespace(entries=()))
    said = kancl("run", PERMUTED, *DIGITS, "--lr", 0.01, 0.02, 0.03, "--quiet", "--out", tmp_path)
    assert said.code == 0, said.err
    assert len(list(tmp_path.glob("cells/*/arrays.npz"))) == len(set(opened)) == 3
