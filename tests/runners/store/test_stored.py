"""Guards what the version before the rooms stored: it loads, compares, counts as stored, and goes on where it was killed."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runners.config.cell import Cell
from runners.config.request import Request
from runners.experiment.expand import expand
from runners.experiment.sweep import run
from runners.measure.record import Progress
from runners.results.results import load
from runners.store.experiment import Store

STORED = Path(__file__).parents[2] / "data" / "stored-815f9c5"
MLP, KAN = "mlp:hidden=3", "kan:hidden=2"
BRIEF = {"optimizer": "adam", "seeds": 2, "steps": 4, "evaluations": 2}
KEYS = {
    "finished": ["two--kan--ewc--0f53c776f1", "two--kan--naive--3a1596eb71", "two--mlp--ewc--a1a6d1a3e4",
                 "two--mlp--naive--fa08b77c21"],
    "tuned": ["two--kan--naive--c379fabe5e", "two--mlp--naive--313857d755"],
    "avalanche": ["two--mlp--avalanche-si--1c0a346768"],
}  # fmt: skip
ASKED = {
    "finished": ("--architectures", MLP, KAN, "--locality", "on", "--strategies", "naive", "ewc"),
    "tuned": ("--architectures", MLP, KAN, "--tune", 2, "--tune-seeds", 1),
    "avalanche": ("--architectures", MLP, "--runner", "avalanche", "--strategies", "si"),
}
EWC = Request(("./two.py:two",), (MLP, KAN), ("ewc",), locality="on", **BRIEF)
HALF, BEGUN_NEVER = "two--mlp--ewc--a1a6d1a3e4", "two--kan--ewc--0f53c776f1"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with everything that was stored, and the scenario's own files."""
    shutil.copytree(STORED, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@dataclass
class Heard:
    """What a sweep told: the tasks that were trained in each cell, and how the cells ended."""

    tasks: dict[str, list[int]] = field(default_factory=dict)
    ends: dict[str, str] = field(default_factory=dict)
    cell: str = ""

    def begin_cell(self, cell: Cell, number: int, count: int) -> None:
        self.cell = cell.key
        self.tasks[cell.key] = []

    def progress(self, cell: Cell, progress: Progress) -> None:
        self.tasks[self.cell].append(progress.task)

    def end_cell(self, cell: Cell, outcome: str) -> None:
        self.ends[cell.key] = outcome.split()[0]


def numbers(folder: Path) -> dict[str, np.ndarray]:
    """Everything of a cell that was computed, but how long it took and the file's seal."""
    with np.load(folder / "arrays.npz") as stored:
        return {name: stored[name] for name in stored.files if not name.endswith("seconds") and name != "sealed"}


@pytest.mark.parametrize("out", KEYS)
def test_it_loads_compares_and_counts_as_stored(kancl: Callable[..., Any], desk: Path, out: str) -> None:
    before = {path: path.read_bytes() for path in sorted(Path(out, "cells").rglob("*")) if path.suffix in {".npz", ".json"}}
    assert sorted(entry.cell.key for entry in load(out).entries) == KEYS[out]
    compared = kancl("compare", out, "--no-figures")
    assert compared.code == 0, compared.err
    options = [word for name, value in BRIEF.items() for word in (f"--{name}", value)]
    said = kancl("run", "./two.py:two", *ASKED[out], *options, "--out", out)
    assert said.code == 0, said.err
    assert said.out.count(": stored") == said.out.count(f"{out}/cells/") == len(KEYS[out])
    assert ": done" not in said.out
    assert "as a trial" not in said.out
    assert "training anew" not in said.out
    assert "contents were recorded" not in said.out
    assert sorted(Store(Path(out)).keys()) == KEYS[out]
    assert {path: path.read_bytes() for path in before} == before


def test_the_numbers_that_are_read_are_those_in_the_files(desk: Path) -> None:
    for entry in load("finished").entries:
        own = numbers(Path("finished", "cells", entry.cell.key))
        np.testing.assert_array_equal(entry.result.R["rmse"], own["R/rmse"])
        assert entry.result.R["rmse"].shape == (2, 3, 2)


def test_what_was_killed_goes_on_behind_the_task_that_it_had_done(desk: Path) -> None:
    assert load("half").entries == ()
    heard = Heard()
    run(expand([EWC]), Store(Path("half")), heard)
    assert heard.ends == {HALF: "done", BEGUN_NEVER: "done"}
    assert set(heard.tasks[HALF]) == {2}, "the first task had been done before"
    assert set(heard.tasks[BEGUN_NEVER]) == {1, 2}
    for key in (HALF, BEGUN_NEVER):
        ours, theirs = numbers(Path("half", "cells", key)), numbers(Path("finished", "cells", key))
        assert ours.keys() == theirs.keys()
        for name, values in theirs.items():
            if values.dtype.kind == "f":  # another processor's last bits may differ
                np.testing.assert_allclose(ours[name], values, rtol=1e-4, atol=1e-5, err_msg=name)
            else:
                np.testing.assert_array_equal(ours[name], values, err_msg=name)


def test_what_is_asked_for_now_has_the_names_of_then(desk: Path) -> None:
    naive = Request(("./two.py:two",), (MLP, KAN), ("naive", "ewc"), locality="on", **BRIEF)
    avalanche = Request(("./two.py:two",), (MLP,), ("si",), runner="avalanche", **BRIEF)
    for out, request in (("finished", naive), ("avalanche", avalanche)):
        cells = {cell.key: cell for cell in expand([request])}
        assert sorted(cells) == KEYS[out]
        records = json.loads(Path(out, "experiment.json").read_text())["records"]
        for key, cell in cells.items():
            assert dict(cell.content).items() <= records[key]["contents"].items()
