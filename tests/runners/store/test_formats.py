"""Guards the numbers of formats: in every file, a newer or older one is told, and a newer one is never written over."""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kancl.errors import InputError
from runners.choices.file import Choices
from runners.config.cell import FORMAT
from runners.results.results import load
from runners.store import formats, seals
from runners.store.cell import CellStore
from runners.store.experiment import Store
from runners.store.networks import NETWORKS, Networks
from runners.store.seals import END_OF_ARCHIVE, SEAL, write_sealed
from runners.trackers.tracking import Told

KINDS = (".json", ".npz", ".pt", ".bin")
COMMAND = (
    "run", "gaussian-peaks:tasks=2,samples=20", "--architectures", "mlp:hidden=3", "--strategies", "naive", "ewc", "--seeds", 2,
    "--steps", 2,
)  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cells; not to be changed."""
    from runners.cli.main import main

    out = tmp_path_factory.mktemp("finished") / "out"
    assert main([*map(str, COMMAND), "--out", str(out)]) == 0
    return out


@pytest.fixture
def out(finished: Path, tmp_path: Path) -> Path:
    """A copy."""
    shutil.copytree(finished, tmp_path / "out")
    return tmp_path / "out"


def number_of(path: Path) -> int:
    """What a file says that its format is."""
    if path.suffix == ".json":
        return json.loads(path.read_text())["format"]
    match = SEAL.search(path.read_bytes()[-800:])
    assert match is not None
    return int(match[2])


def test_every_file_has_the_number_of_its_format_or_is_part_of_one_that_has(out: Path) -> None:
    matching = Choices(out / "matching.json")
    matching.save()
    Told(out).note("a--b--c--0", complete=True)
    found = {path.name: number_of(path) for path in out.rglob("*.*") if path.suffix in KINDS and path.name != "history.bin"}
    assert found.keys() == formats.FORMATS.keys() - {"tuning.json", "within.pt"}
    assert found == {name: formats.FORMATS[name][1] for name in found}


def renumbered(path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a file anew as a version would that counts otherwise."""
    with monkeypatch.context() as patch:
        patch.setitem(formats.FORMATS, path.name, (number, number))
        if path.suffix == ".json":
            content = json.loads(path.read_text())
            name = content.pop("of")
            write_sealed(path, name, {**{k: v for k, v in content.items() if k != "sha256"}, "format": number})
            return
        data = path.read_bytes()
        name = str(SEAL.search(data[-800:])[1], "utf-8")  # type: ignore[index]
        if path.name == NETWORKS:
            path.unlink()
            Networks(path, path.parent, name).append(0, {"weight": torch.ones(2, 3)})
            return
        end = data.rindex(END_OF_ARCHIVE)
        with path.open("w+b") as file:
            file.write(data[: end + 20] + b"\0\0")
            seals.seal(file, name)


@pytest.mark.parametrize("name", ["config.json", "status.json", "arrays.npz", "checkpoint.pt", NETWORKS])
def test_a_newer_file_of_a_cell_is_told_and_not_written_over(
    kancl: Callable[..., Any], out: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = next(path for path in (out / "cells").iterdir() if "ewc" in path.name)
    if name != "arrays.npz":
        (folder / "arrays.npz").unlink()
    renumbered(folder / name, 4, monkeypatch)
    before, (_, newest) = (folder / name).read_bytes(), formats.FORMATS[name]
    said = kancl(*COMMAND, "--out", out)
    assert said.code == 1
    told = f"{folder / name} has format 4, this version reads up to {newest}: use a newer kancl"
    assert "".join(told.split()) in "".join(said.out.split())
    if name != "status.json":  # which then tells that it failed
        assert (folder / name).read_bytes() == before
    results = load(out)
    assert results.missing == (folder.name,)
    assert len(results.entries) == 1


@pytest.mark.parametrize("name", ["experiment.json", "matching.json"])
def test_a_newer_file_of_the_experiment_ends_the_command(
    kancl: Callable[..., Any], out: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "matching.json":
        Choices(out / name).save()
    renumbered(out / name, 7, monkeypatch)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    match = ("--architectures", "mlp:hidden=3", "--match", "parameters", "--to", "mlp:hidden=3")
    said = kancl(*COMMAND, "--out", out, *(match if name == "matching.json" else ()))
    assert said.code == 2
    assert f"{out / name} has format 7, this version reads up to" in said.err
    assert "use a newer kancl" in said.err
    assert before == {path: path.read_bytes() for path in before}
    if name == "experiment.json":
        with pytest.raises(InputError, match="use a newer kancl"):
            load(out)


def test_an_older_file_is_told(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = next((out / "cells").iterdir())
    renumbered(folder / "config.json", 1, monkeypatch)
    said: list[str] = []
    assert CellStore(folder, out, said.append).load_cell() is None
    assert said == [f"{folder / 'config.json'} has format 1, this version reads from {FORMAT} on: use an older kancl"]


def test_a_number_that_is_none_is_damage(out: Path) -> None:
    folder = next((out / "cells").iterdir())
    content = json.loads((folder / "status.json").read_text())
    kept = {key: value for key, value in content.items() if key not in ("of", "sha256")}
    for number in ("2", 2.0, True, None):
        write_sealed(folder / "status.json", f"{folder.name}/status.json", {**kept, "format": number})
        said: list[str] = []
        assert CellStore(folder, out, said.append).load_status() is None
        assert "has a format that is no number" in said[0]


def test_archives_stay_archives_for_other_programs(out: Path) -> None:
    path = next(out.glob("cells/*/arrays.npz"))
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
    with np.load(path) as arrays:
        assert "seeds" in arrays
    assert len(Store(out).keys()) == 2
