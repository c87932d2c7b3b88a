"""Guards the reading of a whole folder: every damage is named by its file, nothing else is, and nothing is written."""

import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runners.choices.file import Choices
from runners.measure.record import Checkpoint, Within
from runners.store import claims
from runners.store.cell import CellStore
from runners.trackers.tracking import Told
from runners.upkeep.verify import OF_CELLS, verify

STORED = Path(__file__).parents[2] / "data" / "stored-815f9c5"
CELL = "two--mlp--ewc--a1a6d1a3e4"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """One finished cell with a block, choices, and what a tool was told: a file of every kind."""
    out = tmp_path / "out"
    shutil.copytree(STORED / "half", out)
    shutil.copy(STORED / "tuned" / "tuning.json", out)
    shutil.copy(STORED / "finished" / "cells" / CELL / "arrays.npz", out / "cells" / CELL)
    matching = Choices(out / "matching.json")
    matching.put("place", {"hidden": 3})
    matching.save()
    block = out / "cells" / CELL / "blocks" / CELL
    block.mkdir(parents=True)
    for name in ("config.json", "arrays.npz"):
        shutil.copy(STORED / "finished" / "cells" / CELL / name, block)
    files = CellStore(out / "cells" / CELL, out)
    ended = files.load_checkpoint()
    assert isinstance(ended, Checkpoint)
    files.save_checkpoint(within(ended))
    files.networks.append(0, ended.network)
    files.networks.append(1, ended.network)
    files.networks.end()
    tool = out / "tracking" / "a tool"
    tool.mkdir(parents=True)
    Told(tool).note(CELL, complete=True)
    return out


def within(ended: Checkpoint) -> Within:
    """A place inside the task after the end of one."""
    return Within(ended.phases_done, 3, ended.network, ended.learner, ended.state, ended.record.since(99, 99), ended)


def kinds() -> list[str]:
    """A file of every kind, by its place."""
    own = ["experiment.json", "matching.json", "tuning.json", "tracking/a tool/cells.json"]
    return [*own, *(f"cells/{CELL}/{name}" for name in OF_CELLS), f"cells/{CELL}/blocks/{CELL}/arrays.npz"]


def contents(out: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}


def damaged(out: Path) -> list[str]:
    return [finding.file for finding in verify(out).of("damage")]


def test_a_whole_folder_is_whole_and_nothing_is_written(out: Path) -> None:
    before = contents(out)
    found = verify(out)
    assert found.findings == ()
    assert found.files == 4 + 7 + 2
    assert str(found) == f"13 files, {sum(map(len, before.values())):,} bytes: all as they were written"
    assert contents(out) == before


def flips(data: bytes) -> Iterator[bytes]:
    """A bit flipped at every region of a file, and the file cut there."""
    for number in range(8):
        place = number * (len(data) - 1) // 7
        yield data[:place] + bytes([data[place] ^ (1 << number % 8)]) + data[place + 1 :]
        if number % 4 == 0:
            yield data[:place]


@pytest.mark.parametrize("name", kinds())
def test_every_damage_is_named_by_its_file(out: Path, name: str) -> None:
    path, told = out / name, {name}
    if path.name == "history.bin":  # its checksum stands in the checkpoint
        told = {name.replace("history.bin", "checkpoint.pt")}
    whole = path.read_bytes()
    for number, data in enumerate(flips(whole)):
        path.write_bytes(data)
        assert set(damaged(out)) == told, number
    path.write_bytes(whole)
    assert damaged(out) == []


def test_every_bit_of_an_array_counts_and_the_array_is_named(out: Path) -> None:
    path = out / "cells" / CELL / "arrays.npz"
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    for number, member in enumerate(members):
        place = member.header_offset + 30 + len(member.filename) + 20 + member.compress_size // 2  # behind the header
        path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << number % 8)]) + whole[place + 1 :])
        (finding,) = verify(out).of("damage")
        assert finding.file == f"cells/{CELL}/arrays.npz"
        assert finding.said.endswith(f"its checksum does not match); damaged in it: {member.filename}"), finding.said


def test_what_a_living_process_was_just_writing_is_looked_at_again(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, holder = out / "cells" / CELL / "status.json", claims.holder
    whole = path.read_bytes()

    def written_meanwhile(folder: Path) -> claims.Holder | None:
        path.write_bytes(whole)
        return holder(folder)

    monkeypatch.setattr(claims, "holder", written_meanwhile)
    path.write_bytes(whole[:-9])
    assert damaged(out) == [f"cells/{CELL}/status.json"]
    held = claims.claim(path.parent, out)
    assert held is not None
    with held:
        path.write_bytes(whole[:-9])
        assert damaged(out) == []


def test_what_is_missing_is_named(out: Path) -> None:
    (out / "cells" / CELL / "arrays.npz").unlink()
    CellStore(out / "cells" / CELL, out).save_status("done")
    (out / "cells" / CELL / "blocks" / CELL / "config.json").unlink()
    (out / "experiment.json").unlink()
    assert set(damaged(out)) == {
        "experiment.json", f"cells/{CELL}/arrays.npz", f"cells/{CELL}/blocks/{CELL}/config.json"
    }  # fmt: skip


def test_what_is_not_kancls_is_a_note(out: Path, tmp_path: Path) -> None:
    (out / "notes.txt").write_text("mine")
    (out / "cells" / CELL / "more.npz").write_text("mine")
    (out / "elsewhere").symlink_to(tmp_path)
    (out / ".experiment.json.999999999.tmp").write_text("{")
    (out / "figures").mkdir()
    (out / "figures" / "curves.png").write_text("")
    (out / "cells" / "another").mkdir()
    found = verify(out)
    assert found.of("damage") == []
    assert {str(finding) for finding in found.of("note")} == {
        "notes.txt is no file of kancl's",
        f"cells/{CELL}/more.npz is no file of kancl's",
        "elsewhere is no file of kancl's",
        ".experiment.json.999999999.tmp was being written when a process ended; kancl runs gc removes it",
        "figures has 1 file without checksums (figures, and files of other tools)",
        "cells/another is in no list of cells",
    }


def test_a_link_in_the_place_of_a_file_is_named_and_not_followed(out: Path, tmp_path: Path) -> None:
    path = out / "cells" / CELL / "arrays.npz"
    path.rename(tmp_path / "outside.npz")
    path.symlink_to(tmp_path / "outside.npz")
    (finding,) = verify(out).of("damage")
    assert str(finding) == f"cells/{CELL}/arrays.npz is a link"


def test_files_without_checksums_are_said(tmp_path: Path) -> None:
    shutil.copytree(STORED.with_name("stored-005048d") / "finished", tmp_path / "out")
    (finding,) = verify(tmp_path / "out").findings
    assert str(finding) == "9 files of before there were checksums: not all damage shows"
    path = next(tmp_path.glob("out/cells/*/arrays.npz"))
    path.write_bytes(path.read_bytes()[:-200])
    assert damaged(tmp_path / "out") == [f"{path.relative_to(tmp_path / 'out')}"]


def test_the_command_names_damage_and_ends_with_1(kancl: Callable[..., Any], out: Path) -> None:
    said = kancl("runs", "verify", out)
    assert (said.code, said.out.count("\n")) == (0, 1)
    path = out / "cells" / CELL / "status.json"
    path.write_text(path.read_text().replace("running", "runninG"))
    said = kancl("runs", "verify", out)
    assert said.code == 1
    assert f"damaged: cells/{CELL}/status.json is not as it was written" in said.out
    assert said.out.endswith("1 file damaged\n")
    content = json.loads(kancl("runs", "verify", out, "--format", "json").out)
    assert [finding["file"] for finding in content["damage"]] == [f"cells/{CELL}/status.json"]
