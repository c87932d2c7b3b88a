"""Guards what is said of a folder's cells: which is done, runs, failed, is damaged or not there."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kancl.errors import InputError
from runners.measure.record import Checkpoint, Within
from runners.store.cell import CellStore
from runners.store.claims import claim
from runners.store.experiment import Store
from runners.upkeep.survey import survey

STORED = Path(__file__).parents[2] / "data" / "stored-815f9c5"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Four finished cells and one more, of which no more than a checkpoint is there."""
    out = tmp_path / "out"
    shutil.copytree(STORED / "finished", out)
    (begun,) = (STORED / "half" / "cells").iterdir()
    shutil.rmtree(out / "cells" / begun.name)
    shutil.copytree(begun, out / "cells" / begun.name)
    return out


def states(out: Path) -> dict[str, str]:
    """The state of every cell, by its architecture and strategy."""
    return {"/".join(cell.key.split("--")[1:3]): cell.state for cell in survey(out).cells}


def test_finished_and_begun_cells_are_told_apart(out: Path) -> None:
    assert states(out) == {"mlp/naive": "done", "mlp/ewc": "begun", "kan/naive": "done", "kan/ewc": "done"}
    found = survey(out)
    assert {cell.key: cell.said for cell in found.cells}["two--mlp--ewc--a1a6d1a3e4"] == "1 task done"
    assert str(found) == "4 cells: 3 done, 1 begun"


def test_a_place_inside_a_task_is_told(out: Path) -> None:
    files = CellStore(out / "cells" / "two--mlp--ewc--a1a6d1a3e4", out)
    ended = files.load_checkpoint()
    assert isinstance(ended, Checkpoint)
    files.save_checkpoint(Within(1, 3, ended.network, ended.learner, ended.state, ended.record.since(99, 99), ended))
    assert [cell.said for cell in survey(out).cells if cell.state == "begun"] == ["1 task done, 3 steps of the next"]


def test_a_cell_that_a_living_process_holds_runs(out: Path) -> None:
    folder = out / "cells" / "two--mlp--ewc--a1a6d1a3e4"
    held = claim(folder, out)
    assert held is not None
    with held:
        (cell,) = (cell for cell in survey(out).cells if cell.key == folder.name)
        assert cell.state == "running"
        assert cell.said.startswith(f"1 task done; process {held.holder.process} on {held.holder.host}, for ")
        assert ", last heard of " in cell.said
        assert cell.more["holder"]["process"] == held.holder.process
    assert states(out)["mlp/ewc"] == "begun"


def test_a_process_that_is_gone_runs_nothing(out: Path) -> None:
    folder = out / "cells" / "two--mlp--ewc--a1a6d1a3e4"
    held = claim(folder, out)
    assert held is not None
    path = folder / "claim.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "born": "1"}))  # another process had this number then
    assert states(out)["mlp/ewc"] == "begun"


def test_why_a_cell_failed_is_said(out: Path) -> None:
    folder = out / "cells" / "two--mlp--ewc--a1a6d1a3e4"
    CellStore(folder, out).save_failure(ValueError("x"), "ValueError: no more bananas")
    (cell,) = (cell for cell in survey(out).cells if cell.state == "failed")
    assert (cell.key, cell.said) == (folder.name, "ValueError: no more bananas")


def test_a_result_that_is_damaged_is_not_done(out: Path) -> None:
    one, two = out / "cells" / "two--kan--ewc--0f53c776f1", out / "cells" / "two--kan--naive--3a1596eb71"
    data = bytearray((one / "arrays.npz").read_bytes())
    data[len(data) // 2] ^= 1
    (one / "arrays.npz").write_bytes(data)
    (two / "config.json").unlink()
    assert states(out) == {"mlp/naive": "done", "mlp/ewc": "begun", "kan/naive": "damaged", "kan/ewc": "damaged"}
    said = {cell.key: cell.said for cell in survey(out).cells}
    assert said[one.name] == "arrays.npz is not as it was written (its checksum does not match)"
    assert said[two.name] == "config.json is missing"


def test_a_cell_without_files_is_absent_and_one_that_no_list_names_is_counted(out: Path) -> None:
    (out / "cells" / "two--kan--ewc--0f53c776f1").rename(out / "cells" / "two--kan--ewc--0000000000")
    assert states(out)["kan/ewc"] == "absent"
    assert survey(out).earlier == ("two--kan--ewc--0000000000",)
    assert str(survey(out)).endswith("1 absent; beside them 1 earlier cell, not meant any more")


def test_a_folder_without_an_experiment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no kancl experiment"):
        survey(tmp_path)


def test_the_table_fits_80_columns_and_json_has_all(
    kancl: Callable[..., Any], out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runners.cli.screen.WIDTH", 80)
    said = kancl("runs", "status", out)
    assert said.code == 0
    assert all(len(line) <= 80 for line in said.out.splitlines()[1:])  # the first is the folder's name
    assert all(key.rpartition("--")[2] in said.out for key in Store(out).listing().cells)
    assert said.out.endswith("4 cells: 3 done, 1 begun\n")
    content = json.loads(kancl("runs", "status", out, "--format", "json").out)
    assert content["totals"] == {"done": 3, "begun": 1}
    assert [cell["key"] for cell in content["cells"]] == Store(out).keys()
    assert len(json.loads(kancl("runs", "status", out, out, "--format", "json").out)) == 2
    nobody = kancl("runs", "status")
    assert (nobody.code, nobody.out) == (2, "")
    assert "name at least one folder" in nobody.err
