"""Guards what is exported: the frames that load gives, every digit of them, and a manifest that says what they are made of."""

import csv
import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from kancl.errors import InputError
from runners.results.results import load
from runners.store.seals import read_sealed
from runners.upkeep import export as exporting
from runners.upkeep.export import export

STORED = Path(__file__).parents[2] / "data" / "stored-815f9c5"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Four finished cells."""
    shutil.copytree(STORED / "finished", tmp_path / "out")
    return tmp_path / "out"


def test_the_tables_are_the_frames_to_every_digit(out: Path, tmp_path: Path) -> None:
    done = export([out], tmp_path / "to")
    results = load(out)
    assert [name.removesuffix(".csv") for name, _, _ in done.files] == [
        name for name in exporting.FRAMES if len(getattr(results, name))
    ]
    for name, rows, size in done.files:
        frame, path = getattr(results, name.removesuffix(".csv")), tmp_path / "to" / name
        assert (rows, size) == (len(frame), path.stat().st_size)
        with path.open(newline="") as file:
            head, *lines = csv.reader(file)
        assert head == list(frame.columns)
        assert len(lines) == len(frame)
        for column in frame.select_dtypes("number").columns:
            read = [float(line[head.index(column)] or "nan") for line in lines]
            pd.testing.assert_series_equal(
                pd.Series(read).astype(frame[column].dtype), frame[column], check_names=False, check_exact=True
            )


def test_the_manifest_says_what_they_are_made_of(kancl: Callable[..., Any], out: Path, tmp_path: Path) -> None:
    shutil.rmtree(out / "cells" / "two--kan--ewc--0f53c776f1")
    said = kancl("runs", "export", out, STORED / "tuned", "--to", tmp_path / "to")
    assert said.code == 0, said.err
    assert f"wrote {tmp_path / 'to' / 'summary.csv'}: " in said.out
    assert "left out, not finished: " in said.err
    content, sealed = read_sealed(tmp_path / "to" / "manifest.json", tmp_path, "manifest.json")
    assert sealed
    assert content["format"] == 1
    assert content["command"].startswith("kancl")
    assert len(content["missing"]) == 1
    for table in content["files"]:
        assert hashlib.sha256((tmp_path / "to" / table["file"]).read_bytes()).hexdigest() == table["sha256"]
    one, two = content["experiments"]
    assert (one["folder"], two["folder"]) == (str(out), str(STORED / "tuned"))
    assert one["sha256"] == hashlib.sha256((out / "experiment.json").read_bytes()).hexdigest()
    for cell in one["cells"]:
        for name, digest in cell["sha256"].items():
            path = out / "cells" / cell["key"] / name
            assert digest == (hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None)
        assert cell["environment"] is None or cell["environment"]["torch"]


def test_an_export_is_written_over_and_nothing_else_is(out: Path, tmp_path: Path) -> None:
    to = tmp_path / "to"
    first = export([out], to)
    assert export([out], to).files == first.files
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="holds files that are no export"):
        export([out], tmp_path / "mine")
    with pytest.raises(InputError, match="cannot be written"):
        export([out], tmp_path / "file")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "mine"


def test_an_export_that_was_stopped_says_so_and_can_be_repeated(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = tmp_path / "to"
    export([out], to)
    with monkeypatch.context() as patch:
        patch.setattr(exporting, "write_atomically", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            export([out], to)
    assert json.loads((to / "manifest.json").read_text())["complete"] is False
    export([out], to)
    assert json.loads((to / "manifest.json").read_text())["complete"] is True


def test_what_cannot_be_exported_is_refused(out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="no cell is finished"):
        export([STORED / "half"], tmp_path / "to")
    with pytest.raises(InputError, match="holds no kancl experiment"):
        export([tmp_path], tmp_path / "to")
    monkeypatch.setattr(exporting, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"needs pyarrow, .* pip install 'kancl\[parquet\]'"):
        export([out], tmp_path / "to", "parquet")
    assert not (tmp_path / "to").exists()


def test_parquet_holds_the_same(out: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    export([out], tmp_path / "to", "parquet")
    frame = load(out).retention
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "to" / "retention.parquet"), frame, check_dtype=False)
    assert "pyarrow" in sys.modules
