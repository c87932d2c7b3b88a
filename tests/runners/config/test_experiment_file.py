"""Guards how experiment files of strangers are read: whatever they hold, one message, soon, and in little memory."""

import os
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from kancl.errors import InputError
from kancl.models.architecture import stacked, uniform
from runners.config.file import DEEPEST, LARGEST, code_named, read_file
from runners.config.request import Request
from runners.config.seeds import MOST_SEEDS, parse_seeds
from runners.experiment.expand import expand

PATIENCE = 5.0
"""Seconds; without bounds some of these take half a minute, or never end."""
MEMORY = 2**31
"""Bytes that reading may take at most, beside what is there."""


@pytest.fixture
def bounded() -> Iterator[None]:
    """Let memory run out soon."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def refusal(path: Path) -> str:
    start = time.monotonic()
    with pytest.raises(InputError) as caught:
        read_file(path)
    assert time.monotonic() - start < PATIENCE
    message = str(caught.value)
    assert str(path) in message
    assert len(message) < 2000
    return message


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**30)


ODD_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a folder": (Path.mkdir, "Is a directory"),
    "a pipe": (os.mkfifo, "pipe or a device"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "pipe or a device"),
    "a link to nothing": (lambda path: path.symlink_to("nothing"), "No such file"),
    "a link to itself": (lambda path: path.symlink_to(path), "symbolic links"),
    "a gigabyte": (sparse, f"more than the {LARGEST:,}"),
    "binary": (lambda path: path.write_bytes(bytes(range(256)) * 9), "not valid TOML"),
    "another encoding": (lambda path: path.write_bytes('scenarios = ["Grüße"]'.encode("latin-1")), "line 1 is no UTF-8"),
    "UTF-16": (lambda path: path.write_text("steps = 3", encoding="utf-16"), "no UTF-8"),
}


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize(("make", "told"), ODD_FILES.values(), ids=ODD_FILES)
def test_what_is_no_experiment_file_is_refused_in_one_line(tmp_path: Path, make: Callable[[Path], object], told: str) -> None:
    path = tmp_path / "experiment.toml"
    make(path)
    message = refusal(path)
    assert told in message
    assert "\n" not in message


def test_a_path_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="null"):
        read_file(Path("a\0b"))


TEXTS = """a = "[\\"[" # [[[[
b = '\\'
c = \"\"\" " \\\"\"\" [ \"\"\"
"""
BOMBS = {
    "nested arrays": ("seeds = 3\nlr = " + "[" * 50_000 + "]" * 50_000, "line 2: brackets are nested"),
    "nested tables": ("a = " + "{b = " * 50_000, "line 1: brackets are nested"),
    "nested over lines": ("\n".join(["a = [", *["["] * 50_000]), "brackets are nested"),
    "a dotted name": (".".join("a" * 50_000) + " = 1", "line 1: names are joined by dots"),
    "a dotted name with spaces and quotes": (' . "b" . '.join("a" * 10_000) + " = 1", "joined by dots"),
    "a dotted table": ("[" + ".".join("a" * 50_000) + "]", "joined by dots"),
    "behind texts": (TEXTS + "d = " + "[" * 500, "line 4: brackets are nested"),
    "a long number": ("steps = " + "9" * 100_000, "not valid TOML"),
    "a long number of 16s": ("steps = 0x" + "f" * 100_000, "steps holds a number of more than 64 bits"),
    "a long seed": ("seeds = [1, 0x" + "f" * 100_000 + "]", "seeds holds a number of more than 64 bits"),
    "many names": ("\n".join(f"name{k} = 1" for k in range(20_000)), "and 19980 more"),
    "a long name": ("n" * 100_000 + " = 1", "nnn'..."),
    "a name of two lines": ('"a\\nb" = 1', r"'a\nb'"),
}  # fmt: skip


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize(("content", "told"), BOMBS.values(), ids=BOMBS)
def test_what_would_take_long_or_much_memory_is_refused(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "experiment.toml"
    path.write_text(content)
    assert told in refusal(path)


def test_what_looks_deep_in_texts_and_comments_is_read(tmp_path: Path) -> None:
    """Brackets and dots count where TOML reads them, and nowhere else."""
    deep = "[" * 2 * DEEPEST + "." * 2 * DEEPEST
    path = tmp_path / "experiment.toml"
    content = f'''# {deep} "
scenarios = ["{deep} \\" ", '{deep} "', """{deep}
" "" {deep} \\""" """, \'\'\'{deep} " ' \'\'\']   # {deep}
tune_range = [0.1, 1.5]
'''
    path.write_bytes(b"\xef\xbb\xbf" + content.replace("\n", "\r\n").encode())  # as Windows' editor writes it
    (request,) = read_file(path)
    assert request.scenarios is not None
    assert [text.count(deep) for text in request.scenarios] == [1, 1, 2, 1]
    assert request.tune_range == (0.1, 1.5)


@pytest.mark.parametrize(
    "seeds", ["99999999999", "0-99999999999", "9" * 5000, "1-" + "9" * 400, ",".join(map(str, range(MOST_SEEDS + 1))), "5-3"]
)
def test_more_seeds_than_fit_into_memory_are_refused(seeds: str) -> None:
    start = time.monotonic()
    with pytest.raises(InputError, match="seeds must be") as caught:
        parse_seeds(seeds)
    assert time.monotonic() - start < 1
    assert len(str(caught.value)) < 200
    assert parse_seeds(MOST_SEEDS) == tuple(range(MOST_SEEDS))


ENDLESS = {
    "scenarios": Request(scenarios=("gaussian-peaks",) * 200, architectures=("mlp",) * 200),
    "steps": Request(scenarios=("gaussian-peaks",), steps=10**18),
    "epochs": Request(scenarios=("gaussian-peaks",), epochs=10**18),
    "evaluations": Request(scenarios=("gaussian-peaks",), evaluations=10**9),
    "tasks": Request(scenarios=("gaussian-peaks:tasks=100000000",)),
    "dims": Request(scenarios=("gaussian-peaks:dims=100000000",)),
    "samples": Request(scenarios=("peaks-nd:samples=99999999999",)),
    "widths": Request(scenarios=("gaussian-peaks",), architectures=("mlp:hidden=99999999x99999999",)),
    "intervals": Request(scenarios=("gaussian-peaks",), architectures=("kan:intervals=99999999999,grid=each-task",)),
    "units": Request(scenarios=("gaussian-peaks",), architectures=("mlp-bspline:intervals=99999999999",)),
}


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize("request_", ENDLESS.values(), ids=ENDLESS)
def test_what_nobody_could_run_is_refused_before_memory_is_taken(request_: Request) -> None:
    with pytest.raises(InputError, match=r"at most|more than|of the largest"):
        expand([request_.over(Request(seeds=1))])


def test_code_that_a_file_names_is_found_wherever_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "experiment.toml"
    path.write_text(
        'scenarios = ["./plug.py:two:size=3", "split-digits"]\n'
        'architectures = ["a.py:net"]\nto = "b.py:net:hidden=3"\n[[block]]\nstrategies = ["c d.py:keep"]\n[[block]]\nlr = 0.5\n'
    )
    assert sorted(code_named(read_file(path))) == ["./plug.py:two", "a.py:net", "b.py:net", "c d.py:keep"]


def test_code_that_a_file_names_is_said_before_it_runs(tmp_path: Path, kancl: Any) -> None:
    plug = tmp_path / "plug.py"
    plug.write_text("import sys\nprint('it runs', file=sys.stderr)\n")
    (tmp_path / "mine.toml").write_text(f'scenarios = ["{plug}:two"]\n')
    ended = kancl("run", "--file", tmp_path / "mine.toml")
    said, ran, *_ = ended.err.splitlines()
    assert said == f"kancl: the file {tmp_path / 'mine.toml'} names code to run: {plug}:two"
    assert ran == "it runs"
    assert ended.code == 2
    assert "names code" not in kancl("run", f"{plug}:two").err  # what one types oneself needs no word


def test_a_stack_too_large_for_memory_is_refused_after_one_draw() -> None:
    generators = [torch.Generator()] * 9_000
    with pytest.raises(InputError, match="for each of 9,000 seeds"):
        stacked(generators, uniform(600, 600, bound=1.0, dtype=torch.float32))
