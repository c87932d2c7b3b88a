"""Guards the files of any content: whole or absent, whatever is flipped, cut, swapped or put in their place."""

import hashlib
import io
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kancl.errors import StorageError
from runners.store.files import DamageError, open_stored, read_or_tell, remove_temporaries, write_atomically
from runners.store.seals import check_seal, read_sealed, seal, unsealed, write_sealed

CONTENT = {"format": 2, "seeds": [0, 1], "lr": 0.003, "name": "größe", "nested": {"a": [1.5, None, True]}}


def flips(data: bytes) -> Iterator[bytes]:
    for place in range(len(data)):
        for bit in range(8):
            yield data[:place] + bytes([data[place] ^ (1 << bit)]) + data[place + 1 :]


def archive(write: Callable[[Any], object], name: str = "cell/arrays.npz") -> bytes:
    file = io.BytesIO()
    write(file)
    seal(file, name)
    return file.getvalue()


def checked(data: bytes, name: str = "cell/arrays.npz") -> bool:
    return check_seal(io.BytesIO(data), name)


NPZ = archive(lambda file: np.savez_compressed(file, R=np.arange(3.0), remarks=np.array(["x"])))
TORCH = archive(lambda file: torch.save({"a": torch.ones(2), "b": 3}, file), "cell/checkpoint.pt")


def test_sealed_json_is_plain_json_and_survives(tmp_path: Path) -> None:
    write_sealed(tmp_path / "config.json", "cell/config.json", CONTENT)
    assert read_sealed(tmp_path / "config.json", tmp_path, "cell/config.json") == (CONTENT, True)
    assert {"sha256", "of", *CONTENT} == json.loads((tmp_path / "config.json").read_text()).keys()


def test_sealed_archives_stay_what_they_are_for_others(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(NPZ)
    (tmp_path / "c.pt").write_bytes(TORCH)
    assert dict(np.load(tmp_path / "a.npz"))["R"].tolist() == [0, 1, 2]
    assert torch.load(tmp_path / "c.pt", weights_only=True)["b"] == 3
    assert checked(NPZ)
    assert checked(TORCH, "cell/checkpoint.pt")


def test_no_single_flip_and_no_prefix_of_json_is_believed(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    write_sealed(path, "f.json", CONTENT)
    whole = path.read_bytes()
    for data in [*flips(whole), *(whole[:size] for size in range(len(whole)))]:
        with pytest.raises((DamageError, ValueError)):
            unsealed(data, "f.json")


@pytest.mark.parametrize(("whole", "name"), [(NPZ, "cell/arrays.npz"), (TORCH, "cell/checkpoint.pt")], ids=["npz", "torch"])
def test_no_single_flip_and_no_prefix_of_an_archive_is_believed(whole: bytes, name: str) -> None:
    for data in [*flips(whole), *(whole[:size] for size in range(len(whole)))]:
        with pytest.raises(DamageError):
            checked(data, name)


def test_a_file_in_the_place_of_another_is_named(tmp_path: Path) -> None:
    write_sealed(tmp_path / "config.json", "one/config.json", CONTENT)
    with pytest.raises(DamageError, match=r"is another file \(one/config.json\)"):
        read_sealed(tmp_path / "config.json", tmp_path, "two/config.json")
    with pytest.raises(DamageError, match=r"is another file \(cell/arrays.npz\)"):
        checked(NPZ, "other/arrays.npz")


def test_files_without_a_seal_are_told_from_those_with_a_damaged_one(tmp_path: Path) -> None:
    plain = io.BytesIO()
    np.savez(plain, a=np.ones(2))
    assert not checked(plain.getvalue())
    (tmp_path / "f.json").write_text(json.dumps(CONTENT))
    assert read_sealed(tmp_path / "f.json", tmp_path, "f.json") == (CONTENT, False)


def strange(path: Path, kind: str) -> None:
    """Put something at a path that is no file of ours."""
    outside = path.parent.parent / "outside.json"
    outside.write_text("{}")
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "link":
            path.symlink_to(outside)
        case "link to nothing":
            path.symlink_to(outside / "nothing")
        case "device":
            path.symlink_to("/dev/zero")
        case "circle":
            path.symlink_to(path)
        case "large":
            with path.open("wb") as file:
                file.truncate(1 << 40)
        case "deep":
            path.write_text("[" * 1_000_000)
        case "deep objects":
            path.write_text('{"a":' * 500_000)
        case "digits":
            path.write_text('{"a": ' + "9" * 1_000_000 + "}")
        case "no text":
            path.write_bytes(b"\xff\xfe\x00" * 100)


KINDS = ("pipe", "folder", "link", "link to nothing", "device", "circle", "large", "deep", "deep objects", "digits", "no text")


@pytest.mark.parametrize("kind", KINDS)
def test_strange_files_are_one_line_soon(tmp_path: Path, kind: str) -> None:
    path, said, began = tmp_path / "in" / "f.json", [], time.monotonic()
    path.parent.mkdir()
    strange(path, kind)
    assert read_or_tell(path, lambda: read_sealed(path, path.parent, "f.json"), said.append) is None
    (line,) = said
    assert line.startswith(f"{path} ")
    assert "\n" not in line
    assert len(line) < len(str(path)) + 300
    assert time.monotonic() - began < 5


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "f.json").write_text("{}")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "cells").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DamageError, match="outside"):
        open_stored(tmp_path / "out" / "cells" / "f.json", tmp_path / "out")


def test_an_absent_file_is_no_damage(tmp_path: Path) -> None:
    said: list[str] = []
    for path in (tmp_path / "f.json", tmp_path / "no" / "f.json"):
        assert read_or_tell(path, lambda path=path: read_sealed(path, tmp_path, "f.json"), said.append) is None
    assert said == []


def test_temporary_files_of_the_dead_are_removed_and_those_of_the_living_stay(tmp_path: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    living = subprocess.Popen(["sleep", "60"])
    try:
        machine = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
        gone = [f".config.json.{dead.pid}-{machine}.tmp", f".config.json.{dead.pid}.tmp", ".x.9999999999.tmp"]
        stay = [f".config.json.{living.pid}-{machine}.tmp", f".config.json.{living.pid}.tmp", f".x.{dead.pid}-0123abcd.tmp"]
        stay += [f".arrays.npz.{os.getpid()}-{machine}.tmp", "mine.tmp", ".config.json.tmp", "config.json"]
        for name in gone + stay:
            (tmp_path / name).write_text("x")
        remove_temporaries(tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(stay)
    finally:
        living.kill()
        living.wait()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 64 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True)
    if made.returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_what_was_there(small_disk: Path) -> None:
    path = small_disk / "f"
    write_atomically(path, lambda file: file.write(b"old"))
    with pytest.raises(StorageError, match="No space left"):
        write_atomically(path, lambda file: file.write(bytes(100_000)))
    assert path.read_bytes() == b"old"
    assert [found.name for found in small_disk.iterdir()] == ["f"]
