"""Guards ``kancl show``: one cell or a list of those that fit, files that are named, and no code that a result names."""

import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runners.store.networks import NETWORKS

RUN = ("run", "gaussian-peaks:tasks=2,samples=20", "--architectures", "kan:hidden=[]", "kan:hidden=[],intervals=3",
       "mlp:hidden=4", "--seeds", "3,5", "--steps", 4, "--optimizer", "adam")  # fmt: skip

FILE = """
from pathlib import Path
import numpy as np
from kancl.models import Problem, architectures
from scenarios import Scenario, Task

RAN = Path(__file__).with_name("ran")
RAN.write_text(str(int(RAN.read_text()) + 1 if RAN.exists() else 1))

def lines(seed: int):
    table = np.loadtxt(Path(__file__).with_name("table.csv"))
    table = table[np.random.default_rng(seed).permutation(len(table))]
    x, y = table[:, :1], table[:, 1:]
    return Scenario(tuple(Task(f"line {k}", (x[:40], k * y[:40]), (x[40:], k * y[40:])) for k in (1, 2)), loss="mse")

def mine(problem: Problem):
    return architectures.get("kan")(problem, hidden=(2,))
"""


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three cells; files are only added."""
    from runners.cli.main import main

    out = tmp_path_factory.mktemp("show") / "out"
    assert main([*map(str, RUN), "--out", str(out)]) == 0
    return out


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with code of the user's own, which counts how often it is run."""
    (tmp_path / "own.py").write_text(FILE)
    write_table(tmp_path, 0)
    monkeypatch.chdir(tmp_path)
    modules = set(sys.modules)
    yield tmp_path
    forget(modules)


def forget(modules: set[str]) -> None:
    for name in set(sys.modules) - modules:
        if name.startswith("_kancl_file_"):
            del sys.modules[name]


def write_table(folder: Path, draw: int) -> None:
    np.savetxt(folder / "table.csv", np.random.default_rng(draw).uniform(-1, 1, (60, 2)))


def test_a_cell_is_drawn_and_its_files_are_said(kancl: Callable[..., Any], out: Path, tmp_path: Path) -> None:
    said = kancl("show", out, "--architectures", "kan:hidden=[]", "--animate", "--seed", 5, "--to", tmp_path)
    assert said.code == 0, said.err
    names = sorted(path.name for path in tmp_path.iterdir())
    assert [name.rpartition(".")[2] for name in names] == ["gif", "png", "svg"]
    assert all(re.fullmatch(r"network-gaussian-peaks--kan--naive--\w{10}-seed-5\.\w{3}", name) for name in names)
    assert all(f"wrote {tmp_path / name}" in said.out for name in names)


def test_several_cells_are_listed_and_one_can_be_named(kancl: Callable[..., Any], out: Path, tmp_path: Path) -> None:
    said = kancl("show", out)
    assert said.code == 2
    assert "3 cells fit: leave one with --scenarios, --architectures, --strategies, or --cells KEY" in said.err
    keys = re.findall(r"^  (\w{10})  gaussian-peaks", said.err, re.M)
    assert len(keys) == 3
    assert kancl("show", out, "--architectures", "kan", "--to", tmp_path).code == 2  # both have options
    for words in ((out, "--cells", keys[2]), (out, "--architectures", "mlp"), (next(out.glob(f"cells/*{keys[2]}")),)):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        assert kancl("show", *words, "--to", folder).code == 0
        assert len(list(folder.glob(f"*{keys[2]}*"))) == 2


def test_what_cannot_be_drawn_is_said(kancl: Callable[..., Any], out: Path, tmp_path: Path) -> None:
    assert "the cell has no seed 0; it has 3, 5" in kancl("show", out, "--architectures", "mlp", "--seed", 0).err
    assert "name one folder" in kancl("show").err
    assert "holds no kancl experiment" in kancl("show", tmp_path).err
    assert "no cell has the architecture kna" in kancl("show", out, "--architectures", "kna").err
    run = ("run", "gaussian-peaks:tasks=2,samples=20", "--architectures", "mlp:hidden=3", "--seeds", 1, "--steps", 2)
    assert kancl(*run, "--keep-networks", "off", "--out", tmp_path / "off").code == 0
    said = kancl("show", tmp_path / "off")
    assert said.code == 2
    assert "are kept: it was trained before kancl kept them, with --keep-networks off, or they take more than 16 MB" in said.err
    assert not (tmp_path / "off" / "figures").exists()


def test_a_cell_in_training_is_drawn_as_far_as_it_is(kancl: Callable[..., Any], out: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    (path,) = copy.glob(f"cells/*mlp*/{NETWORKS}")
    (path.parent / "arrays.npz").unlink()
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(b'{"of"') - 3])  # the end, and a part of the last moment
    said = kancl("show", copy, "--architectures", "mlp")
    assert (said.code, said.err) == (0, "")
    (drawing,) = (copy / "figures").glob("*.svg")
    assert "not kept: 1 moment of 3" in drawing.read_text()


def test_damage_is_named(kancl: Callable[..., Any], out: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    (path,) = copy.glob(f"cells/*mlp*/{NETWORKS}")
    whole = path.read_bytes()
    place = whole.index(b"\n") + 7  # in the numbers of the first moment
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    said = kancl("show", copy, "--architectures", "mlp")
    assert said.code == 2
    assert f"{path} is not as it was written" in said.err.replace("\n", " ")


def test_code_that_a_result_names_is_run_only_where_its_file_is_trusted(kancl: Callable[..., Any], desk: Path) -> None:
    modules = set(sys.modules)
    run = ("run", "./own.py:lines", "--architectures", "./own.py:mine", "--optimizer", "adam", "--seeds", 1, "--steps", 3)
    assert kancl(*run, "--out", "out").code == 0
    forget(modules)
    (desk / "ran").unlink()
    said = kancl("show", "out")
    assert said.code == 2
    assert "kancl runs no code because a result names it; look at the file, and allow it with --trust ./own.py" in said.err
    assert kancl("compare", "out", "--figures-to", desk / "figures").code == 0
    assert not list(desk.glob("figures/*network*"))
    assert not (desk / "ran").exists()
    assert kancl("show", "out", "--trust", "other.py").code == 2
    assert not (desk / "ran").exists()
    said = kancl("show", "out", "--trust", "own.py", "--to", "pictures")
    assert said.code == 0, said.err
    assert (desk / "ran").exists()
    assert len(list(desk.glob("pictures/network-*"))) == 2


def test_other_data_or_code_than_were_trained_on_are_refused(kancl: Callable[..., Any], desk: Path) -> None:
    modules = set(sys.modules)
    run = ("run", "./own.py:lines", "--architectures", "./own.py:mine", "--optimizer", "adam", "--seeds", 1, "--steps", 3)
    assert kancl(*run, "--out", "out").code == 0
    write_table(desk, 1)
    said = kancl("show", "out", "--trust", "own.py")
    assert said.code == 2
    assert "built again, the networks do not score as they did (rmse of task " in said.err
    write_table(desk, 0)
    (desk / "own.py").write_text(FILE.replace("hidden=(2,)", "hidden=(3,)"))
    forget(modules)
    said = kancl("show", "out", "--trust", "own.py")
    assert said.code == 2
    assert "what is kept of moment 0 holds other networks than the cell's" in said.err
