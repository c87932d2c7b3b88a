"""Guards what is removed: the cells that are meant, all or none, nothing outside, and what a finished cell can do without."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kancl.errors import InputError, StorageError
from runners.results.results import load
from runners.store.claims import claim
from runners.store.experiment import Store
from runners.upkeep import remove as removing
from runners.upkeep.litter import litter, sweep
from runners.upkeep.remove import removal, remove
from runners.upkeep.selection import Selection
from runners.upkeep.survey import survey
from runners.upkeep.verify import verify

STORED = Path(__file__).parents[2] / "data" / "stored-815f9c5"
CELLS = {
    "mlp/naive": "two--mlp--naive--fa08b77c21", "mlp/ewc": "two--mlp--ewc--a1a6d1a3e4",
    "kan/naive": "two--kan--naive--3a1596eb71", "kan/ewc": "two--kan--ewc--0f53c776f1",
}  # fmt: skip


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Four finished cells of 2 seeds."""
    shutil.copytree(STORED / "finished", tmp_path / "out")
    return tmp_path / "out"


def picked(out: Path, **said: Any) -> set[str]:
    names = {key: name for name, key in CELLS.items()}
    return {names.get(cell.key, cell.key) for cell in removal(out, Selection(**said)).cells}


def contents(out: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in out.rglob("*") if path.is_file() and path.name != ".lock"}


# What is meant.


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ({"architectures": ["mlp"]}, {"mlp/naive", "mlp/ewc"}),
        ({"architectures": ["mlp:hidden=3"]}, {"mlp/naive", "mlp/ewc"}),
        ({"architectures": ["mlp", "kan"], "strategies": ["ewc"]}, {"mlp/ewc", "kan/ewc"}),
        ({"scenarios": ["two.py:two"]}, set(CELLS)),
        ({"cells": ["0f53c776f1", CELLS["mlp/ewc"]]}, {"kan/ewc", "mlp/ewc"}),
        ({"cells": ["0f53c776f1"], "architectures": ["mlp"]}, "no cell has the architecture mlp"),
        ({"seeds": "2"}, set(CELLS)),
        ({"seeds": "1-9"}, set()),
        ({"failed": True}, set()),
        ({}, "say which cells"),
        (
            {"architectures": ["mlp:hidden=4"]},
            "no cell has the architecture mlp:hidden=4; there are: mlp:hidden=3, kan:hidden=2",
        ),
        ({"cells": ["0"]}, "is the key of no cell"),
        ({"cells": ["1"]}, "ends the keys of 3 cells"),
        ({"cells": [""]}, "is the key of no cell"),
        ({"seeds": "many"}, "seeds must be"),
        ({"strategies": ["ewc:x"]}, "option=value"),
    ],
)
def test_a_selection_means_the_cells_for_which_all_holds(out: Path, said: dict[str, Any], meant: set[str] | str) -> None:
    if isinstance(meant, str):
        with pytest.raises(InputError, match=meant):
            picked(out, **said)
    else:
        assert picked(out, **said) == meant


def test_a_damaged_configuration_is_meant_by_key_or_as_failed(out: Path) -> None:
    (out / "cells" / CELLS["kan/ewc"] / "config.json").write_text("{")
    assert picked(out, architectures=["kan"]) == {"kan/naive"}
    assert picked(out, failed=True) == picked(out, cells=["0f53c776f1"]) == {"kan/ewc"}


# Removal.


def test_what_is_removed_is_gone_from_the_list_and_the_rest_is_as_it_was(out: Path) -> None:
    before = contents(out)
    asked = removal(out, Selection(architectures=["mlp"]))
    assert contents(out) == before
    gone = {path for path in before if "--mlp--" in str(path)}
    assert str(asked) == f"2 cells with {sum(len(before[path]) for path in gone):,} bytes"
    remove(asked)
    after = contents(out)
    assert after.keys() == before.keys() - gone
    assert {path for path in after if after[path] != before[path]} == {out / "experiment.json"}
    assert [*Store(out).listing().cells] == [CELLS["kan/naive"], CELLS["kan/ewc"]]
    assert len(load(out).entries) == 2
    assert verify(out).findings == ()


def test_all_cells_may_go(out: Path) -> None:
    remove(removal(out, Selection(scenarios=["two.py:two"])))
    assert not Store(out).listing().cells
    with pytest.raises(InputError, match="holds no kancl experiment"):
        survey(out)


def test_an_earlier_cell_goes_by_its_key(out: Path) -> None:
    shutil.copytree(out / "cells" / CELLS["kan/ewc"], out / "cells" / "two--kan--ewc--1234567890")
    remove(removal(out, Selection(cells=["1234567890"])))
    assert len(survey(out).cells) == 4
    assert survey(out).earlier == ()


def test_a_cell_that_a_living_process_holds_is_refused_and_nothing_goes(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, before = removal(out, Selection(architectures=["kan"])), contents(out)
    held = claim(out / "cells" / CELLS["kan/ewc"], out)
    assert held is not None
    with held:
        for act in (
            lambda: removal(out, Selection(architectures=["kan"])),
            lambda: remove(asked),
        ):  # before and after the question
            with pytest.raises(InputError, match=r"is being worked on by process \d+"):
                act()
    assert contents(out) == before
    remove(asked)
    assert len(survey(out).cells) == 2


@pytest.mark.parametrize("after", ["forget", "_discard"])
def test_killed_in_between_every_cell_is_there_or_not_and_the_rest_is_swept(
    out: Path, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Store if after == "forget" else removing, after, killed)
        with pytest.raises(KeyboardInterrupt):
            remove(removal(out, Selection(architectures=["mlp"])))
    states = [cell.state for cell in survey(out).cells]
    assert states == (["absent"] * 2 if after == "forget" else []) + ["done"] * 2
    (left,) = out.glob(".removed*")
    assert f"{left.name} was being written when a process ended; kancl runs gc removes it" in map(str, verify(out).findings)
    os.utime(left, (0, time.time() - 3600))
    sweep(litter(out))
    assert not left.exists()
    if after == "forget":
        remove(removal(out, Selection(cells=[CELLS["mlp/naive"], CELLS["mlp/ewc"]])))
    assert len(survey(out).cells) == 2
    assert verify(out).of("damage") == []


def test_nothing_outside_is_removed(out: Path, tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", out / "cells" / CELLS["kan/ewc"]
    folder.rename(outside)
    folder.symlink_to(outside)
    before = contents(outside)
    sweep(litter(out))
    remove(removal(out, Selection(cells=["0f53c776f1"])))
    assert not os.path.lexists(folder)
    (out / "cells").rename(tmp_path / "elsewhere")
    (out / "cells").symlink_to(tmp_path / "elsewhere")
    before |= contents(tmp_path / "elsewhere")
    for act in (lambda: removal(out, Selection(cells=["3a1596eb71"])), lambda: litter(out)):
        with pytest.raises(InputError, match="is a link to another place"):
            act()
    assert contents(outside) | contents(tmp_path / "elsewhere") == before


def test_a_disk_that_refuses_is_told(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(30, "Read-only file system")

    asked = removal(out, Selection(cells=["0f53c776f1"]))
    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(StorageError, match="does not let cells be removed: Read-only file system"):
        remove(asked)


def test_the_command_shows_and_asks(kancl: Callable[..., Any], out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    before = contents(out)
    for answer, code in (("", 1), ("n\n", 1), ("y\n", 0)):
        assert contents(out) == before
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        said = kancl("runs", "rm", out, "--cells", "0f53c776f1")
        assert said.code == code
        assert "kan:hidden=2 / ewc" in said.out
        assert "would remove 1 cell with" in said.out
    assert len(survey(out).cells) == 3
    monkeypatch.setattr("sys.stdin", None)
    assert kancl("runs", "rm", out, "--architectures", "kan", "--yes").code == 0
    assert len(survey(out).cells) == 2
    refused = kancl("runs", "rm", out)
    assert (refused.code, refused.out) == (2, "")


# What can go.


def test_checkpoints_of_finished_cells_go_and_no_number_with_them(kancl: Callable[..., Any], out: Path) -> None:
    (begun,) = (STORED / "half" / "cells").iterdir()
    shutil.rmtree(out / "cells" / begun.name)
    shutil.copytree(begun, out / "cells" / begun.name)
    summary, before = load(out).summary, contents(out)
    gone = {path for path in before if path.name in ("checkpoint.pt", "history.bin") and begun.name not in str(path)}
    size = sum(len(before[path]) for path in gone)
    for option in ("--dry-run", None):
        said = kancl("runs", "gc", out, *([option] if option else []))
        told = f"checkpoints and histories of 3 finished cells (6 files) and 0 old temporary files: {size:,} bytes"
        assert said.out == f"{out}: {'would free' if option else 'freed'} {told}\n"
        assert contents(out) == {path: data for path, data in before.items() if option or path not in gone}
    assert load(out).summary.equals(summary)
    assert verify(out).of("damage") == []
    assert kancl("runs", "gc", out).out.endswith(": 0 bytes\n")


def test_of_a_damaged_result_and_of_a_held_cell_everything_stays(out: Path) -> None:
    damaged, other = out / "cells" / CELLS["kan/ewc"], out / "cells" / CELLS["mlp/ewc"]
    (damaged / "arrays.npz").write_bytes((damaged / "arrays.npz").read_bytes()[:-1])
    held = claim(other, out)
    assert held is not None
    with held:
        found = litter(out)
        assert found.held == (other.name,)
        sweep(found)
    for folder in (damaged, other):
        assert (folder / "checkpoint.pt").exists()
    assert len(list(out.glob("cells/*/checkpoint.pt"))) == 2


def test_temporary_files_go_when_nobody_writes_them_any_more(out: Path) -> None:
    old, new = out / "cells" / CELLS["kan/ewc"] / ".arrays.npz.12.tmp", out / ".experiment.json.13.tmp"
    for path in (old, new):
        path.write_text("half")
    os.utime(old, (0, time.time() - 3600))
    assert litter(out).temporary == (old,)
    sweep(litter(out))
    assert new.exists()
    assert not old.exists()
