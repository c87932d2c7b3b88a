"""Parts of an experiment, and the script that gives one to each task of a cluster's array."""

import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kancl.errors import InputError
from runners.experiment.parts import Part, read_part
from runners.store.experiment import Store

RUN = ("run", "gaussian-peaks:tasks=2", "--architectures", "mlp:hidden=3", "--strategies", "naive", "ewc", "joint",
       "--optimizer", "adam", "--steps", "4", "--seeds", "2", "--evaluations", "2")  # fmt: skip


def test_parts_hold_every_cell_once_whatever_the_order(tools: Any) -> None:
    names = ("naive", "joint", "ewc", "replay", "lwf", "mas", "si")
    cells = [tools.make_cell("gaussian-peaks:tasks=2", "mlp:hidden=3", name, steps=4) for name in names]
    parts = [Part(number, 3).keys(cells) for number in (1, 2, 3)]
    assert sorted(map(len, parts)) == [2, 2, 3]
    assert frozenset.union(*parts) == {cell.key for cell in cells}
    assert [Part(number, 3).keys(cells[::-1]) for number in (1, 2, 3)] == parts
    assert Part(20, 20).keys(cells) == frozenset()


@pytest.mark.parametrize("text", ["", "3", "0/3", "4/3", "a/b", "1/0", "-1/3", "1/1000000", "1/2/3", "1" * 5000])
def test_what_is_no_part_is_refused_in_a_line(text: str) -> None:
    with pytest.raises(InputError, match="such as 3/20") as caught:
        read_part(text)
    assert len(str(caught.value)) < 200


def test_parts_run_one_after_another_are_the_whole(
    kancl: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = [kancl(*RUN, "--out", "out", "--part", f"{number}/4") for number in (1, 2, 3, 4)]
    assert [end.code for end in ended] == [0, 0, 0, 0]
    assert [end.out.count(": done in") for end in ended] == [1, 1, 1, 0]
    assert "has no cell" in ended[3].out
    assert kancl(*RUN, "--out", "out").out.count(": stored") == 3
    assert len(Store(tmp_path / "out").keys()) == 3


def test_the_script_of_an_array_keeps_the_command(
    kancl: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    ended = kancl(*RUN, "--out", "it's here", "--emit=slurm", "--jobs", "2", "--threads", "3")
    assert (ended.code, list(folder.iterdir())) == (0, [])
    lines = ended.out.splitlines()
    assert lines[0] == "#!/bin/bash"
    assert "#SBATCH --array=1-2" in lines
    assert "#SBATCH --cpus-per-task=6" in lines
    assert f"cd {shlex.quote(str(folder))}" in lines
    word, *words = shlex.split(lines[-1].removeprefix("exec "))
    assert Path(word).name == "kancl"
    assert words == [*RUN, "--out", "it's here", "--threads", "3", "--jobs", "2", "--part", "$SLURM_ARRAY_TASK_ID/2"]
    assert subprocess.run(["bash", "-n"], input=ended.out, text=True, check=False).returncode == 0
    assert "#SBATCH --array=1-7" in kancl(*RUN, "--part", "1/7", "--emit", "slurm").out


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (("--executor", "serial", "--jobs", "2"), "--executor serial does one cell at a time"),
        (("--executor", "processes", "--scheduler", "tcp://a:1"), "--scheduler is for --executor dask"),
        (("--part", "5/4"), "--part takes"),
    ],
)
def test_options_that_contradict_each_other_are_refused(kancl: Callable[..., Any], said: tuple[str, ...], message: str) -> None:
    ended = kancl(*RUN, *said)
    assert (ended.code, message in ended.err) == (2, True)
