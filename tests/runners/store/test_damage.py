"""Guards what is believed of stored files: what was written for their cell; all else is one line that names the file."""

import json
import os
import random
import shutil
import subprocess
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from runners.choices.file import Choices
from runners.measure.result import Result
from runners.results.results import load
from runners.store.cell import CellStore
from runners.store.files import DamageError
from runners.store.seals import read_sealed, seal, write_sealed
from runners.store.stored import RATIO, read_arrays, write_arrays
from runners.trackers.tracking import Told

TWO = (
    "run", "gaussian-peaks:tasks=3,samples=20", "--architectures", "mlp:hidden=4", "--strategies", "naive", "ewc", "--seeds", 2,
    "--steps", 6,
)  # fmt: skip
FILES = ("arrays.npz", "checkpoint.pt", "config.json", "history.bin", "status.json")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cells of the same shape; not to be changed."""
    from runners.cli.main import main

    out = tmp_path_factory.mktemp("finished") / "out"
    assert main([*map(str, TWO), "--out", str(out)]) == 0
    return out


@pytest.fixture
def out(finished: Path, tmp_path: Path) -> Path:
    """A copy, to be damaged."""
    shutil.copytree(finished, tmp_path / "out")
    return tmp_path / "out"


def cells_of(out: Path) -> tuple[Path, Path]:
    """The folders of the two cells: naive, ewc."""
    one, two = sorted((out / "cells").iterdir(), key=lambda path: "ewc" in path.name)
    return one, two


def numbers(out: Path) -> dict[str, dict[str, np.ndarray]]:
    """All numbers but times, by cell."""
    results = load(out)
    assert results.missing == ()
    assert results.damaged == ()
    return {entry.cell.key: plain(entry.result) for entry in results.entries}


def plain(result: Result) -> dict[str, np.ndarray]:
    return {name: values for name, values in result.to_arrays().items() if not name.endswith("seconds")}


def assert_as_before(out: Path, finished: Path) -> None:
    now, before = numbers(out), numbers(finished)
    assert now.keys() == before.keys()
    for key, arrays in before.items():
        assert arrays.keys() == now[key].keys()
        for name, values in arrays.items():
            np.testing.assert_array_equal(now[key][name], values, err_msg=name)


def unsealed(out: Path) -> None:
    """Make the files what they were before there were seals and a history."""
    for path in [out / "experiment.json", *out.glob("cells/*/*.json")]:
        content = json.loads(path.read_text())
        path.write_text(json.dumps({k: v for k, v in content.items() if k not in ("sha256", "of")}, indent=1))
    for folder in (out / "cells").iterdir():
        checkpoint = CellStore(folder).load_checkpoint()
        if checkpoint is not None:
            content = torch.load(folder / "checkpoint.pt", weights_only=True)
            del content["history"]
            record = checkpoint.record
            content["rows"], content["curve"] = (
                [{k: torch.from_numpy(v.copy()) for k, v in row.items()} for row in rows]
                for rows in (record.rows, record.curve)
            )
            content["place"] = record.place
            content["functions"] = [torch.from_numpy(values.copy()) for values in record.functions]
            torch.save(content, folder / "checkpoint.pt")
            (folder / "history.bin").unlink()
        if (folder / "arrays.npz").exists():
            with np.load(folder / "arrays.npz") as arrays:
                content = dict(arrays)
            np.savez_compressed(folder / "arrays.npz", **content)


# Files of another cell, edited files, damaged files.


def swap(out: Path, name: str) -> None:
    one, two = (folder / name for folder in cells_of(out))
    kept = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(kept)


@pytest.mark.parametrize("name", FILES)
def test_files_of_two_cells_that_changed_places_are_named_and_the_numbers_are_right(
    kancl: Callable[..., Any], finished: Path, out: Path, name: str
) -> None:
    swap(out, name)
    if name in ("checkpoint.pt", "history.bin"):
        for folder in cells_of(out):
            (folder / "arrays.npz").unlink()
    said = kancl(*TWO, "--out", out)
    assert said.code == 0
    for folder in cells_of(out):
        assert f"{folder.name}/{name}" in said.out.replace("\n", "") or f"needs {name}" in said.out
    assert_as_before(out, finished)


def edit_config(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(path.read_text().replace('"lr": 0.003', '"lr": 0.3'))


def edit_and_unseal_config(folder: Path) -> None:
    edit_config(folder)
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({k: v for k, v in content.items() if k not in ("sha256", "of")}, indent=1))


def edit_label(folder: Path) -> None:
    content = json.loads((folder / "config.json").read_text())
    content["asked"]["architecture"] = "kan"  # no part of the key
    (folder / "config.json").write_text(json.dumps({k: v for k, v in content.items() if k not in ("sha256", "of")}, indent=1))


def edit_arrays(folder: Path) -> None:
    with np.load(folder / "arrays.npz") as arrays:
        content = dict(arrays)
    np.savez_compressed(folder / "arrays.npz", **{**content, "R/rmse": content["R/rmse"] / 2})


def edit_status(folder: Path) -> None:
    path = folder / "status.json"
    path.write_text(path.read_text().replace('"steps": 18', '"steps": 19'))


@pytest.mark.parametrize("edit", [edit_config, edit_and_unseal_config, edit_label, edit_arrays, edit_status])
def test_edited_files_are_named_and_not_believed(
    kancl: Callable[..., Any], finished: Path, out: Path, edit: Callable[[Path], None]
) -> None:
    folder = cells_of(out)[0]
    before = {path: path.read_bytes() for path in folder.iterdir()}
    edit(folder)
    (edited,) = (path for path, content in before.items() if path.read_bytes() != content)
    named = edited if edit is not edit_label else folder / "arrays.npz"  # holds a checksum, and what tells of it does not
    if edit is not edit_status:  # which says nothing of results
        results = load(out)
        assert results.missing == (folder.name,)
        assert any(str(named) in line for line in results.damaged)
        compared = kancl("compare", out, "--no-figures")
        assert compared.code == 0
        assert f"damaged: {named}" in compared.err
    said = kancl(*TWO, "--out", out)
    assert said.code == 0
    assert str(named) in said.out
    assert_as_before(out, finished)
    assert str(named) not in kancl(*TWO, "--out", out).out


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_or_a_cut_is_never_believed(out: Path, name: str) -> None:
    """Here through the reading of cells, at some hundred places; all places are tried in test_files."""
    folder = cells_of(out)[0]
    path, draw = folder / name, random.Random(0)
    whole = path.read_bytes()
    for number in range(120):
        place = draw.randrange(len(whole))
        flipped = whole[:place] + bytes([whole[place] ^ (1 << draw.randrange(8))]) + whole[place + 1 :]
        path.write_bytes(whole[:place] if number % 3 == 0 else flipped)
        said: list[str] = []
        files = CellStore(folder, out, said.append)
        read = {
            "arrays.npz": files.load_result, "checkpoint.pt": files.load_checkpoint, "config.json": files.load_cell,
            "history.bin": files.load_checkpoint, "status.json": files.load_status,
        }[name]  # fmt: skip
        assert read() is None, (number, place)
        assert len(said) == 1
        assert name in said[0]


@pytest.mark.parametrize("how", ["damaged", "absent"])
def test_without_the_list_of_cells_their_own_files_name_them(
    kancl: Callable[..., Any], finished: Path, out: Path, how: str
) -> None:
    path, two = out / "experiment.json", cells_of(out)[1]
    shutil.rmtree(two)
    path.write_bytes(path.read_bytes()[:-20]) if how == "damaged" else path.unlink()
    results = load(out)
    assert [entry.cell.key for entry in results.entries] == [cells_of_name.name for cells_of_name in (out / "cells").iterdir()]
    assert any(str(path) in line for line in results.damaged) is (how == "damaged")
    said = kancl(*TWO, "--out", out)
    assert said.code == 0
    assert "stored" in said.out
    assert_as_before(out, finished)


def test_a_damaged_list_before_any_cell_began_is_no_strangers_file(kancl: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "out" / "cells").mkdir(parents=True)
    (tmp_path / "out" / "experiment.json").write_text("{")
    assert kancl(*TWO, "--out", tmp_path / "out").code == 0


# Versions without seals.


def test_files_without_seals_are_read_and_continued(kancl: Callable[..., Any], finished: Path, out: Path) -> None:
    unsealed(out)
    assert_as_before(out, finished)
    # All but the list, which notes that something was asked for from another place.
    before = {path: path.read_bytes() for path in out.rglob("*.*") if path.is_file() and path.name != "experiment.json"}
    said = kancl(*TWO, "--out", out)
    assert said.out.count(": stored") == 2
    assert {path: path.read_bytes() for path in before} == before
    for folder in cells_of(out):
        (folder / "arrays.npz").unlink()
        assert (checkpoint := CellStore(folder).load_checkpoint()) is not None
        assert checkpoint.phases_done == 3
    assert kancl(*TWO, "--out", out).code == 0
    assert_as_before(out, finished)
    assert all((folder / "history.bin").exists() for folder in cells_of(out))


def test_of_files_without_seals_what_can_be_seen_is_seen(kancl: Callable[..., Any], finished: Path, out: Path) -> None:
    unsealed(out)
    swap(out, "config.json")
    assert len(load(out).missing) == 2
    assert all("is that of another cell" in line or "no config.json" in line for line in load(out).damaged)
    said = kancl(*TWO, "--out", out)
    assert said.code == 0
    assert_as_before(out, finished)


def test_a_checkpoint_of_other_networks_without_a_seal_is_named_and_the_cell_trained_anew(
    kancl: Callable[..., Any], finished: Path, out: Path, tmp_path: Path
) -> None:
    larger = ["mlp:hidden=5" if word == "mlp:hidden=4" else word for word in TWO]
    assert kancl(*larger, "--out", tmp_path / "larger").code == 0
    unsealed(out)
    unsealed(tmp_path / "larger")
    folder = cells_of(out)[0]
    shutil.copy(cells_of(tmp_path / "larger")[0] / "checkpoint.pt", folder)
    (folder / "arrays.npz").unlink()
    said = kancl(*TWO, "--out", out)
    assert said.code == 0
    assert "checkpoint.pt holds other networks than the cell's" in said.out
    assert_as_before(out, finished)


# The history.


def run_saving(tools: Any, folder: Path, tasks: int = 4, stop: Callable[[int], bool] = lambda done: False) -> CellStore:
    """Run a cell into a folder, from what is there; ``stop`` tells after which task it is interrupted."""
    from runners.run import run_cell

    cell = tools.make_cell(f"gaussian-peaks:tasks={tasks},samples=20", "mlp:hidden=4", seeds=2, steps=4, evaluations=3)
    files = CellStore(folder)
    resume = files.load_checkpoint()
    files.begin(cell)

    def save(checkpoint: Any) -> None:
        files.save_checkpoint(checkpoint)
        if stop(checkpoint.phases_done):
            raise KeyboardInterrupt

    files.save_result(run_cell(cell, tools.stream_of(cell), resume, save))
    return files


def result_of(files: CellStore) -> dict[str, np.ndarray]:
    result = files.load_result()
    assert result is not None
    return plain(result)


def test_a_checkpoint_costs_what_came_since_the_last_one(tools: Any, tmp_path: Path) -> None:
    sizes: list[tuple[int, int]] = []
    folder = tmp_path / "cell"

    def look(done: int) -> bool:
        sizes.append(((folder / "checkpoint.pt").stat().st_size, (folder / "history.bin").stat().st_size))
        return False

    run_saving(tools, folder, tasks=12, stop=look)
    checkpoints, histories = zip(*sizes, strict=True)
    assert max(checkpoints[1:]) - min(checkpoints[1:]) < 200  # digits of numbers
    assert len(set(np.diff(histories))) == 1


def test_the_history_grows_at_its_end_alone(tools: Any, tmp_path: Path) -> None:
    before = [b""]

    def look(done: int) -> bool:
        now = (tmp_path / "cell" / "history.bin").read_bytes()
        assert now.startswith(before[-1])
        before.append(now)
        return False

    run_saving(tools, tmp_path / "cell", stop=look)
    assert len(set(before)) == 5


@pytest.mark.parametrize("tail", [b"", b"\x93NUMPY\x01\x00torn", bytes(5000)], ids=["none", "torn", "long"])
def test_what_lies_behind_the_checkpoint_is_cut_off(tools: Any, tmp_path: Path, tail: bytes) -> None:
    """As after a kill between the history's block and the checkpoint that tells of it."""
    whole = result_of(run_saving(tools, tmp_path / "whole"))
    with pytest.raises(KeyboardInterrupt):
        run_saving(tools, tmp_path / "cell", stop=lambda done: done == 2)
    with (tmp_path / "cell" / "history.bin").open("ab") as file:
        file.write(tail)
    assert_equal(result_of(run_saving(tools, tmp_path / "cell")), whole)
    read = CellStore(tmp_path / "cell").load_checkpoint()
    assert read is not None
    assert len(read.record.rows) == 5


def assert_equal(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        np.testing.assert_array_equal(values, theirs[name], err_msg=name)


def test_ended_at_any_write_the_run_goes_on_to_the_same_numbers(
    tools: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ended before the n-th sync or renaming, for every n."""
    whole = result_of(run_saving(tools, tmp_path / "whole", tasks=3))
    sync, rename = os.fsync, os.replace
    for number in range(1, 100):
        left = [number]

        def counted(act: Callable[..., Any], *given: Any, left: list[int] = left) -> Any:
            left[0] -= 1
            if left[0] == 0:
                raise SystemExit
            return act(*given)

        monkeypatch.setattr(os, "fsync", lambda number, counted=counted: counted(sync, number))
        monkeypatch.setattr(os, "replace", lambda *paths, counted=counted: counted(rename, *paths))
        folder = tmp_path / str(number)
        try:
            run_saving(tools, folder, tasks=3)
            break
        except SystemExit:
            pass
        finally:
            monkeypatch.setattr(os, "fsync", sync)
            monkeypatch.setattr(os, "replace", rename)
        assert_equal(result_of(run_saving(tools, folder, tasks=3)), whole)
    assert number == 3 + 3 * 4 + 3 + 1  # configuration, three checkpoints with their history, result


def test_a_history_that_was_lost_is_named_and_the_cell_trained_anew(tools: Any, tmp_path: Path) -> None:
    whole = result_of(run_saving(tools, tmp_path / "cell"))
    (tmp_path / "cell" / "history.bin").unlink()
    said: list[str] = []
    assert CellStore(tmp_path / "cell", tell=said.append).load_checkpoint() is None
    assert "checkpoint.pt needs history.bin beside it, and there is none" in said[0]
    assert_equal(result_of(run_saving(tools, tmp_path / "cell")), whole)


# Strangers' files.


def resealed(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a JSON file as somebody would who knows about checksums."""
    name = json.loads(path.read_text())["of"]
    content, _ = read_sealed(path, path.parent, name)
    change(content)
    write_sealed(path, name, content)


def rewritten(path: Path, change: Callable[[dict[str, np.ndarray]], Any]) -> None:
    """Change an archive of arrays in the same way."""
    with np.load(path) as arrays:
        content = dict(arrays)
    change(content)
    with path.open("w+b") as file:
        np.savez_compressed(file, **content)
        seal(file, f"{path.parent.name}/{path.name}")


def packed(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> None:
    with path.open("w+b") as file:
        with zipfile.ZipFile(file, "w", method) as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        seal(file, f"{path.parent.name}/{path.name}")


def npy(shape: str, kind: str = "<f8") -> bytes:
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + bytes(64)


CONFIGS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "seeds twice": lambda c: c.update(seeds=[0, 0]),
    "seeds are text": lambda c: c.update(seeds="01"),
    "seeds are fractions": lambda c: c.update(seeds=[0.5, 1.5]),
    "seeds negative": lambda c: c.update(seeds=[-1, 0]),
    "seeds huge": lambda c: c.update(seeds=[0, 10**400]),
    "no seeds": lambda c: c.update(seeds=[]),
    "NaN steps": lambda c: c["policy"].update(steps=float("nan")),
    "NaN rate": lambda c: c["policy"].update(lr=float("nan")),
    "unknown setting": lambda c: c["policy"].update(speed=3),
    "policy is a list": lambda c: c.update(policy=[1]),
    "scenario is a number": lambda c: c.update(scenario=7),
    "name is a list": lambda c: c["scenario"].update(name=[1]),
    "asked for nothing": lambda c: c.update(asked={}),
    "asked cannot be read": lambda c: c["asked"].update(strategy="ewc:strength"),
    "asked is text": lambda c: c.update(asked="kan"),
    "evaluations negative": lambda c: c.update(evaluations=-1),
    "format of tomorrow": lambda c: c.update(format=999),
    "nothing": lambda c: c.clear(),
    "dtype": lambda c: c.update(dtype="complex256"),
}
ARRAYS: dict[str, Callable[[dict[str, np.ndarray]], Any]] = {
    "no R": lambda a: a.pop("R/rmse"),
    "R of other tasks": lambda a: a.update({"R/rmse": a["R/rmse"][:, :, :2]}),
    "R of other seeds": lambda a: a.update({"R/rmse": a["R/rmse"][:1]}),
    "R of whole numbers": lambda a: a.update({"R/rmse": a["R/rmse"].astype(int)}),
    "NaN parameters": lambda a: a.update(parameters=np.array(np.nan)),
    "negative steps": lambda a: a.update(steps=np.array(-3)),
    "steps are a list": lambda a: a.update(steps=np.array([3, 4])),
    "seeds twice": lambda a: a.update(seeds=np.array([0, 0])),
    "other seeds": lambda a: a.update(seeds=np.array([0, 7])),
    "no task": lambda a: a.update(tasks=np.array([], dtype=str)),
    "tasks are numbers": lambda a: a.update(tasks=np.arange(3)),
    "one score twice": lambda a: a.update(scores=np.array(["rmse", "rmse"]), higher_is_better=np.array([False, True])),
    "diverged later": lambda a: a.update(diverged_at=np.array([10**6, -1])),
    "evaluations backwards": lambda a: a.update(curve_task=a["curve_task"][::-1]),
    "functions without a place": lambda a: a.pop("plot_x"),
    "half a locality record": lambda a: a.update({"locality/layers": np.array(["a"])}),
    "something more": lambda a: a.update(payload=np.ones(3)),
    "steps are text": lambda a: a.update(steps=np.array("3")),
    "complex": lambda a: a.update({"R/rmse": a["R/rmse"] + 1j}),
}
ARCHIVES: dict[str, Callable[[Path], Any]] = {
    "absurd shape": lambda p: packed(p, {"seeds.npy": npy("(1000000000000,)")}),
    "negative shape": lambda p: packed(p, {"seeds.npy": npy("(-1,)")}),
    "huge numbers": lambda p: packed(p, {"seeds.npy": npy(f"({'9' * 3000},)")}),
    "wide text": lambda p: packed(p, {"seeds.npy": npy("(1,)", "<U2000000000")}),
    "objects": lambda p: packed(p, {"seeds.npy": npy("(1,)", "|O")}),
    "no header": lambda p: packed(p, {"seeds.npy": b"\x93NUMPY\x01\x00\xff\xff"}),
    "deep header": lambda p: packed(p, {"seeds.npy": npy("(" * 5000)}),
    "not an array": lambda p: packed(p, {"seeds.txt": b"1"}),
    "another packing": lambda p: packed(p, {"seeds.npy": npy("(8,)")}, zipfile.ZIP_LZMA),
    "a bomb": lambda p: packed(p, {"seeds.npy": bytes(600_000_000)}),
    "a pipe": lambda p: (p.unlink(), os.mkfifo(p)),
    "a device": lambda p: (p.unlink(), p.symlink_to("/dev/zero")),
    "a link": lambda p: (p.rename(p.with_name("x")), p.symlink_to("x")),
    "empty": lambda p: p.write_bytes(b""),
}


def listed(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], Any]:
    return lambda out: resealed(out / "experiment.json", change)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


PLACES: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "keys that lead out": ("experiment.json", listed(lambda c: c["cells"].update({"../../x": ""}))),
    "absolute keys": ("experiment.json", listed(lambda c: c["cells"].update({"/etc": ""}))),
    "keys with nul": ("experiment.json", listed(lambda c: c["cells"].update({"a\0": ""}))),
    "cells are a list": ("experiment.json", listed(lambda c: c.update(cells=["a"]))),
    "labels are numbers": ("experiment.json", listed(lambda c: c.update(cells={"a": 3}))),
    "a deep list": ("experiment.json", lambda out: (out / "experiment.json").write_text("[" * 10**6)),
    "a list that is a pipe": ("experiment.json", lambda out: pipe(out / "experiment.json")),
    "a deep configuration": ("config.json", lambda out: (cells_of(out)[0] / "config.json").write_text('{"a":' * 10**5)),
    "deep options": ("config.json", lambda out: deep_options(cells_of(out)[0] / "config.json")),
    "a configuration that is a pipe": ("config.json", lambda out: pipe(cells_of(out)[0] / "config.json")),
    "a cell that is a link": ("config.json", lambda out: linked(cells_of(out)[0])),
}


def deep_options(path: Path) -> None:
    """Options nested as deep as JSON can be written."""
    nested: Any = 1
    for _ in range(500):
        nested = [nested]
    resealed(path, lambda content: content["scenario"].update(options=nested))


def linked(folder: Path) -> None:
    elsewhere = folder.parents[2] / "elsewhere"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)


def assert_told(out: Path, name: str) -> list[str]:
    """Loading says what is wrong, soon, in lines, and the other cell is there."""
    began = time.monotonic()
    results = load(out)
    assert time.monotonic() - began < 5
    assert len(results.entries) == (2 if name == "experiment.json" else 1)
    for line in results.damaged:
        assert "\n" not in line
        assert len(line) < 700
    assert any(name in line for line in results.damaged)
    return list(results.damaged)


@pytest.mark.parametrize("change", CONFIGS)
def test_a_strangers_configuration_is_one_line(out: Path, change: str) -> None:
    resealed(cells_of(out)[0] / "config.json", CONFIGS[change])
    assert_told(out, "config.json")


@pytest.mark.parametrize("change", ARRAYS)
def test_a_strangers_result_is_one_line(out: Path, change: str) -> None:
    rewritten(cells_of(out)[0] / "arrays.npz", ARRAYS[change])
    assert_told(out, "arrays.npz")


@pytest.mark.parametrize("change", ARCHIVES)
def test_a_strangers_archive_is_one_line(out: Path, change: str) -> None:
    ARCHIVES[change](cells_of(out)[0] / "arrays.npz")
    assert_told(out, "arrays.npz")


@pytest.mark.parametrize("change", PLACES)
def test_what_stands_in_the_place_of_a_file_is_one_line_and_not_followed(
    kancl: Callable[..., Any], finished: Path, out: Path, change: str
) -> None:
    name, act = PLACES[change]
    act(out)
    lines = assert_told(out, name)
    said = kancl("compare", out, "--no-figures")
    assert said.code == 0
    assert all(line in said.err for line in lines)
    run = kancl(*TWO, "--out", out)
    assert "Traceback" not in run.out + run.err
    if change == "a cell that is a link":
        assert run.code in (1, 2)
        assert "is a link to another place" in run.out + run.err
        return
    assert run.code == 0
    assert_as_before(out, finished)


def test_an_archive_that_packs_too_well_is_written_so_that_it_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runners.store.stored.ROOM", 1000)
    arrays = {"R": np.zeros(1_000_000)}
    for path, written in ((tmp_path / "plain.npz", True), (tmp_path / "packed.npz", False)):
        with path.open("w+b") as file:
            write_arrays(file, arrays) if written else np.savez_compressed(file, **arrays)
            seal(file, "it")
    assert read_arrays(tmp_path / "plain.npz", tmp_path, "it")[0]["R"].shape == (1_000_000,)
    with pytest.raises(DamageError, match="would unpack to more than"):
        read_arrays(tmp_path / "packed.npz", tmp_path, "it")
    assert (tmp_path / "packed.npz").stat().st_size * RATIO < 8_000_000


def test_a_checkpoint_is_not_unpickled_whatever_its_seal_says(out: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "sprung"),)

    folder = cells_of(out)[0]
    with (folder / "checkpoint.pt").open("w+b") as file:
        torch.save({**torch.load(cells_of(out)[1] / "checkpoint.pt", weights_only=True), "network": Trap()}, file)
        seal(file, f"{folder.name}/checkpoint.pt")
    said: list[str] = []
    assert CellStore(folder, out, said.append).load_checkpoint() is None
    assert not (tmp_path / "sprung").exists()
    assert len(said) == 1


# The rest of the folder.


def test_choices_that_cannot_be_read_are_made_again(tmp_path: Path) -> None:
    path, said = tmp_path / "tuning.json", []
    memory = Choices(path, said.append)
    memory.put("a", {"lr": 0.1})
    memory.save()
    assert Choices(path, said.append).get("a") == {"lr": 0.1}
    assert said == []
    path.write_text(path.read_text().replace("0.1", "0.2"))
    again = Choices(path, said.append)
    assert again.get("a") is None
    assert again.lost
    assert said == [f"{path} is not as it was written (its checksum does not match); it counts as absent"]


def test_trials_that_were_lost_are_run_again_and_choose_the_same(kancl: Callable[..., Any], tmp_path: Path) -> None:
    command = (*TWO[:-2], "--steps", 6, "--tune", 2, "--tune-seeds", 1, "--out", tmp_path / "out")
    assert kancl(*command).code == 0
    (tmp_path / "out" / "tuning.json").write_text("{")
    said = kancl(*command)
    assert said.code == 0, said.err
    assert "tuning.json cannot be read" in said.out
    assert said.out.count(": stored") == 2


@pytest.mark.parametrize(
    "change",
    [
        {"trials": 3},
        {"trials": [{"lr": 0.5}]},
        {"choices": []},
        {"choices": [{"trial": 7, "reported": [0], "seeds": [2]}, {"trial": 0, "reported": [1], "seeds": [3]}]},
        {"choices": [3, 4]},
        {"seeds": [2]},
        {"gap": "wide"},
    ],
)
def test_trials_that_are_none_are_made_again(kancl: Callable[..., Any], tmp_path: Path, change: dict[str, Any]) -> None:
    command = ("run", TWO[1], "--architectures", "mlp:hidden=4", "--seeds", 2, "--steps", 6, "--tune", 2, "--tune-seeds", 1)
    command = (*command, "--out", tmp_path / "out")
    assert kancl(*command).code == 0
    path = tmp_path / "out" / "tuning.json"
    before = json.loads(path.read_text())["entries"]
    resealed(path, lambda content: next(iter(content["entries"].values())).update(change))
    said = kancl(*command)
    assert said.code == 0, said.err
    assert "tuning.json holds trials of" in said.out
    assert json.loads(path.read_text())["entries"] == before


@pytest.mark.parametrize("change", [{"cost": float("nan")}, {"by": "beauty"}, {"value": "many"}, {"target": None}, {"more": 1}])
def test_a_match_that_is_none_is_made_again(kancl: Callable[..., Any], tmp_path: Path, change: dict[str, Any]) -> None:
    out = tmp_path / "out"
    command = ("run", TWO[1], "--architectures", "mlp:hidden=4", "kan", "--seeds", 2, "--steps", 2, "--match", "parameters")
    command = (*command, "--to", "mlp:hidden=4", "--out", out)
    assert kancl(*command).code == 0
    before = json.loads((out / "matching.json").read_text())["entries"]
    resealed(out / "matching.json", lambda content: next(iter(content["entries"].values())).update(change))
    said = kancl(*command)
    assert said.code == 0, said.err
    assert "matching.json holds a match of" in said.out
    assert json.loads((out / "matching.json").read_text())["entries"] == before


def test_what_a_tool_was_told_is_not_believed_of_another_tools_file(tmp_path: Path) -> None:
    said: list[str] = []
    one, two = (tmp_path / "out" / "tracking" / name for name in ("one", "two"))
    for folder in (one, two):
        folder.mkdir(parents=True)
    own = Told(one, said.append).note("a--b--c--0", complete=True)
    assert Told(one, said.append).note("a--b--c--0", complete=True) == own
    shutil.copy(one / "cells.json", two / "cells.json")
    assert not Told(two, said.append).is_complete("a--b--c--0")
    assert said == [f"{two / 'cells.json'} is another file (tracking/one/cells.json); it counts as absent"]


def test_temporary_files_of_a_killed_run_are_swept(kancl: Callable[..., Any], finished: Path, out: Path) -> None:
    left = [out / ".experiment.json.999999999.tmp", cells_of(out)[0] / ".arrays.npz.999999999.tmp"]
    for path in left:
        path.write_text("half")
    assert kancl(*TWO, "--out", out).code == 0
    assert not any(path.exists() for path in left)
    assert_as_before(out, finished)


def test_the_lock_is_no_way_out_of_the_folder(kancl: Callable[..., Any], out: Path) -> None:
    outside = out.parent / "outside"
    outside.write_text("precious")
    (out / ".lock").unlink()
    (out / ".lock").symlink_to(outside)
    assert kancl(*TWO, "--out", out).code == 2
    assert outside.read_text() == "precious"


@pytest.mark.parametrize("place", ["{}/file/out", "{}/" + "long" * 100, "{}/file"])
def test_a_place_that_cannot_be_made_is_one_message(kancl: Callable[..., Any], tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    said = kancl(*TWO, "--out", place.format(tmp_path))
    assert said.code == 2
    assert said.err.startswith("kancl: --out ")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("what", ["file", "immutable"])
def test_a_folder_that_takes_nothing_is_one_message(kancl: Callable[..., Any], finished: Path, out: Path, what: str) -> None:
    """Permissions bind no root; an immutable folder does."""
    folder = cells_of(out)[0]
    shutil.rmtree(folder)
    folder.write_text("") if what == "file" else folder.mkdir()
    if what == "immutable" and subprocess.run(["chattr", "+i", str(folder)], capture_output=True).returncode:
        pytest.skip("this file system has no immutable folders")
    try:
        said = kancl(*TWO, "--out", out)
        assert said.code in (1, 2)
        assert str(folder) in said.out.replace("\n", "") + said.err
        assert "Traceback" not in said.out + said.err
        assert load(out).missing == (folder.name,)
    finally:
        if what == "immutable":
            subprocess.run(["chattr", "-i", str(folder)], check=True)
    folder.unlink() if what == "file" else folder.rmdir()
    assert kancl(*TWO, "--out", out).code == 0
    assert_as_before(out, finished)


def test_a_full_disk_is_one_message_and_with_more_room_the_same_command_goes_on(
    kancl: Callable[..., Any], finished: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40k", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        codes = []
        for size in range(40, 300, 4):
            subprocess.run(["mount", "-o", f"remount,size={size}k", str(disk)], check=True)
            said = kancl(*TWO, "--out", disk / "out")
            codes.append(said.code)
            if said.code == 0:
                break
            assert said.code == 2
            assert "No space left" in said.err
            assert not list(disk.rglob("*.tmp"))
        assert len(codes) > 3
        assert_as_before(disk / "out", finished)
    finally:
        subprocess.run(["umount", str(disk)], check=True)
