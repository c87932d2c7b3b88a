"""Guards folders that take nothing, or lead elsewhere: commands say so in words, and nothing is lost or written outside."""

import json
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runners.results.results import load
from runners.store.seals import seal, write_sealed
from runners.store.stored import write_arrays
from runners.upkeep.survey import survey
from runners.upkeep.verify import verify

Kancl = Callable[..., Any]
RUN = (
    "run", "gaussian-peaks:tasks=2,samples=8", "--architectures", "mlp:hidden=3", "--strategies", "naive", "ewc", "--seeds", 2,
    "--steps", 3, "--evaluations", 2,
)  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cells; not to be changed."""
    from runners.cli.main import main

    out = tmp_path_factory.mktemp("finished") / "out"
    assert main([*map(str, RUN), "--out", str(out)]) == 0
    return out


@pytest.fixture
def out(finished: Path, tmp_path: Path) -> Path:
    """A copy."""
    shutil.copytree(finished, tmp_path / "out")
    return tmp_path / "out"


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def scores(out: Path) -> list[np.ndarray]:
    return [entry.result.R["rmse"] for entry in load(out).entries]


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond some bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def disk(finished: Path, tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A disk of its own with a copy on it, and what mounts it anew with other options."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    shutil.copytree(finished, place / "out")

    def again(options: str) -> Path:
        subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True)
        return place / "out"

    yield again
    subprocess.run(["umount", str(place)], check=True)


# Full.


@pytest.mark.parametrize("size", [0, 1500, 4000, 9000])
def test_a_disk_that_is_full_ends_a_run_in_words_and_with_room_it_goes_on(
    kancl: Kancl, finished: Path, tmp_path: Path, size: int
) -> None:
    out = tmp_path / "out"
    with files_of_at_most(size):
        said = kancl(*RUN, "--out", out)
    assert said.code == 2
    assert said.err.splitlines()[-1].startswith("kancl: ")
    assert "File too large" in said.err
    assert "Traceback" not in said.err + said.out
    assert not list(out.rglob("*.tmp"))
    assert kancl(*RUN, "--out", out).code == 0
    for ours, theirs in zip(scores(out), scores(finished), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_on_a_full_disk_what_was_there_stays(kancl: Kancl, out: Path, tmp_path: Path) -> None:
    before = contents(out)
    with files_of_at_most(300):
        for command in (
            ("compare", out), ("runs", "rm", out, "--strategies", "ewc", "--yes"),
            ("runs", "export", out, "--to", tmp_path / "to"),
        ):  # fmt: skip
            said = kancl(*command)
            assert said.code == 2, command
            assert "File too large" in said.err, said.err
            assert "Traceback" not in said.err
        for verb in ("status", "verify"):
            assert kancl("runs", verb, out).code == 0
    assert {path: data for path, data in contents(out).items() if "figures" not in path.parts} == before
    assert str(survey(out)) == "2 cells: 2 done"
    assert verify(out).of("damage") == []


# Read-only.


def test_a_disk_that_is_read_only_is_read_and_refused_in_words(
    kancl: Kancl, disk: Callable[[str], Path], tmp_path: Path
) -> None:
    out = disk("ro")
    for command in (
        ("compare", out, "--no-figures"), ("compare", out, "--figures-to", tmp_path / "figures"), ("runs", "status", out),
        ("runs", "verify", out), ("runs", "gc", out, "--dry-run"), ("runs", "export", out, "--to", tmp_path / "to"),
    ):  # fmt: skip
        said = kancl(*command)
        assert said.code == 0, said.err
    for command in (
        (*RUN, "--out", out), ("run", *RUN[1:], "--out", out.parent / "new"), ("compare", out), ("runs", "gc", out),
        ("runs", "rm", out, "--strategies", "ewc", "--yes"), ("runs", "export", out, "--to", out / "to"),
    ):  # fmt: skip
        said = kancl(*command)
        assert said.code == 2, command
        assert "Read-only file system" in said.err, said.err
        assert "Traceback" not in said.err
    assert kancl("runs", "rm", disk("rw"), "--strategies", "ewc", "--yes").code == 0


# Elsewhere.


def moved(path: Path, outside: Path) -> None:
    """Put a folder outside, and a link in its place; with a temporary file of a process that is gone."""
    path.rename(outside)
    path.symlink_to(outside)
    for folder in (outside, *(entry for entry in outside.iterdir() if entry.is_dir())):
        (folder / ".arrays.npz.999999999.tmp").write_text("not ours")
        os.utime(folder / ".arrays.npz.999999999.tmp", (0, 0))


@pytest.mark.parametrize("which", ["cells", "cells/*", "tracking", "tracking/tensorboard", "figures"])
def test_nothing_is_written_to_or_removed_from_where_a_link_leads(kancl: Kancl, tmp_path: Path, out: Path, which: str) -> None:
    outside = tmp_path / "outside"
    if which == "figures":
        (out / which).mkdir()
    if which.startswith("tracking"):
        (out / "tracking" / "tensorboard").mkdir(parents=True)
    (path,) = list(out.glob(which))[:1]
    moved(path, outside)
    before, seen = contents(outside), sorted(outside.rglob("*"))
    for command in (
        (*RUN, "--out", out, "--track", "tensorboard"), ("compare", out), ("runs", "status", out), ("runs", "verify", out),
        ("runs", "gc", out), ("runs", "rm", out, "--strategies", "ewc", "naive", "--yes"), (*RUN, "--out", out),
    ):  # fmt: skip
        said = kancl(*command)
        assert "Traceback" not in said.out + said.err
        assert contents(outside) == before, command
        assert sorted(outside.rglob("*")) == seen, command


def test_links_among_folders_are_damage(out: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (out / "tracking").symlink_to(tmp_path / "elsewhere")
    folder = next((out / "cells").iterdir())
    (folder / "blocks").symlink_to(tmp_path / "elsewhere")
    assert [str(finding) for finding in verify(out).of("damage")] == [
        f"{folder.relative_to(out)}/blocks is a link; nothing behind it is read",
        "tracking is a link; nothing behind it is read",
    ]


# Code and numbers of others.


def test_no_code_is_run_that_results_name(kancl: Kancl, out: Path, tmp_path: Path) -> None:
    code, ran = tmp_path / "code.py", tmp_path / "ran"
    code.write_text(f"open({str(ran)!r}, 'w').write('x')\n\n\ndef mine():\n    pass\n")
    for runner, path in zip(("native", "avalanche"), sorted(out.glob("cells/*/config.json")), strict=True):
        content = json.loads(path.read_text())
        name = content.pop("of")
        content["strategy"]["name"] = content["asked"]["strategy"] = f"{code}:mine"
        content["runner"] = runner
        write_sealed(path, name, {key: value for key, value in content.items() if key != "sha256"})
    for command in (
        ("compare", out), ("runs", "status", out), ("runs", "verify", out), ("runs", "gc", out),
        ("runs", "export", out, "--to", tmp_path / "to"), ("runs", "rm", out, "--strategies", f"{code}:mine", "--yes"),
    ):  # fmt: skip
        said = kancl(*command)
        assert said.code == 0, said.err
    assert not ran.exists()
    assert not list(out.glob("cells/*"))


def test_numbers_of_another_machine_are_read(out: Path) -> None:
    path = next(out.glob("cells/*/arrays.npz"))
    whole = load(out)
    with np.load(path) as archive:
        arrays = {name: values.astype(values.dtype.newbyteorder(">")) for name, values in archive.items()}
    with path.open("w+b") as file:
        write_arrays(file, arrays)
        seal(file, f"{path.parent.name}/{path.name}")
    assert load(out).damaged == ()
    assert load(out).retention.equals(whole.retention)
