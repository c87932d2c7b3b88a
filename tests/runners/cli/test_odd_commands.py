"""Guards the command line against whatever may be typed, and against odd places: exit code 2 and one message, no traceback."""

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kancl.errors import InputError
from kancl.options import LONGEST, Spec, parse_spec
from runners.config.cell import Cell
from runners.config.policy import Policy
from runners.store.files import file_name

NAMES = st.sampled_from(
    ["kan", "mlp", "linear", "gaussian-peaks", "naive", "x.py:f", "", ".", "..", "/", "\ud800", "ü", "[/b]", "$x$"]
)
VALUES = st.sampled_from(
    ["3", "-1", "1e999", "nan", "[", "]", '"', "[[1]", "12x13", "none", "true", "{}", "9" * 400, "😀", "\x00"]
)
ODD = st.text(alphabet=":=,[]\"'x.py/-\\\n\0\ud8003éé{} ", max_size=12)
SPECS = st.builds(
    lambda name, pairs: name + "".join(f"{mark}{key}={value}" for mark, key, value in pairs),
    NAMES | ODD,
    st.lists(st.tuples(st.sampled_from(":,"), st.sampled_from(["hidden", "=", "", "noise"]) | ODD, VALUES | ODD), max_size=3),
)
FEW = settings(max_examples=100, deadline=5000, database=None, suppress_health_check=list(HealthCheck))


@FEW
@given(SPECS)
def test_any_text_is_a_spec_or_refused(text: str) -> None:
    with suppress(InputError):
        spec = parse_spec(text)
        assert parse_spec(spec.label).options == spec.options


def commands() -> st.SearchStrategy[list[str]]:
    """Commands that cannot be carried out: no name in them is known, or no such file or folder is there."""
    unknown = SPECS.map(lambda text: f"no-such-{text}".replace("\ud800", "\ue000"))  # which the captured stream cannot take
    option = st.sampled_from(
        ["--seeds", "--steps", "--lr", "--margin", "--nonsense", "--architectures", "--out", "--format", "-x"]
    )
    more = st.lists(option | VALUES | unknown, max_size=3)
    return st.one_of(
        st.builds(lambda a, b: ["run", a, *b], unknown, more),
        st.builds(lambda a, b: ["run", "split-wine", "--architectures", a, *b], unknown, more),
        st.builds(lambda a, b: ["run", "--file", a, *b], unknown, more),
        st.builds(lambda a, b: ["compare", a, *b], unknown, more),
        st.builds(lambda a, b: ["list", a, *b], unknown, more),
        st.builds(lambda a, b, c: ["scenario", a, b, *c], st.sampled_from(["show", "check", "new", "?"]), unknown, more),
        st.builds(lambda a, b: ["bench", "--explain", a, *b], unknown, more),
        st.builds(lambda a, b: [*a, b], more, unknown),
    )


@settings(FEW, max_examples=60)
@given(arguments=commands())
def test_any_command_ends_with_a_message(kancl: Any, tmp_path_factory: pytest.TempPathFactory, arguments: list[str]) -> None:
    folder = tmp_path_factory.getbasetemp()
    before = sorted(folder.iterdir())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        ended = kancl(*arguments)
    assert ended.code == 2, arguments
    assert (ended.err + ended.out).strip()  # what a check finds is what was asked for, and stands in its output
    assert "Traceback" not in ended.err
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    "arguments", [("run", "kan:" + "x" * 100_000), ("compare", "n" * 100_000), ("list", "a\0b"), ("compare", "\x1b[2J\udcff")]
)
def test_messages_stay_short(kancl: Any, arguments: tuple[str, ...]) -> None:
    ended = kancl(*arguments)
    assert ended.code == 2
    assert len(ended.err) < 6000
    assert "\x1b" not in ended.err
    with pytest.raises(InputError, match=f"at most {LONGEST:,} characters"):
        parse_spec("x" * (LONGEST + 1))


QUICK = ("run", "gaussian-peaks", "--architectures", "linear", "--optimizer", "adam", "--steps", "2", "--seeds", "1")
BAD_PLACES = {
    "too long": "n" * 300,
    "far too long": "a/" * 3000,
    "unicode too long": "ü" * 200,
    "of the system": "/proc/kancl",
    "a device": "/dev/null",
    "below a device": "/dev/null/below",
    "a file": "file",
    "below a file": "file/below",
    "a link to nothing": "nowhere",
    "a link to itself": "loop",
}


@pytest.mark.parametrize("place", BAD_PLACES.values(), ids=BAD_PLACES)
def test_a_place_that_cannot_be_written_is_refused_before_anything_runs(
    kancl: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("nowhere").symlink_to("nothing")
    Path("loop").symlink_to("loop")
    before = sorted(tmp_path.iterdir())
    for command in ((*QUICK, "--out"), ("compare",)):
        ended = kancl(*command, place)
        assert ended.code == 2
        assert ended.err.count("\n") <= 2  # and which file is damaged, where a link leads nowhere
        assert ended.err.startswith("kancl: ")
    assert sorted(tmp_path.iterdir()) == before


def test_names_of_files_are_short_and_differ_where_what_they_name_differs() -> None:
    texts = ["ü" * 300, "ü" * 301, "a" * 300, "\ud800" * 300, "a b", "../.."]
    names = [file_name(text) for text in texts]
    assert len(set(names)) == len(names)
    assert all(len(name.encode()) <= 120 and "/" not in name for name in names)
    assert file_name("split-digits") == "split-digits"


def test_keys_fit_into_a_folders_name_and_short_ones_stay() -> None:
    def key(name: str) -> str:
        return Cell(Spec(f"x.py:{name}"), Spec("kan"), Spec("naive"), Policy(steps=1), (0,)).key

    assert re.fullmatch(r"two--kan--naive--\w{10}", key("two"))
    assert re.fullmatch(r"f{226}--kan--naive--\w{10}", key("f" * 226))
    assert len(key("ü" * 300).encode()) <= 255
    assert key("f" * 300) != key("f" * 301)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished experiment whose label is longer than a file's name can be."""
    from runners.cli.main import main

    folder = tmp_path_factory.mktemp("stored")
    (folder / "mine.py").write_text(
        "from kancl.options import Spec\nfrom scenarios import build_scenario\n\n\n"
        "def two(seed: int, text: str = ''):\n    return build_scenario(Spec('gaussian-peaks'), seed)\n"
    )
    named = f"{folder / 'mine.py'}:two:text={'ü' * 300}"
    assert main(["run", named, *QUICK[2:], "--out", str(folder / "out")]) == 0
    return folder / "out"


@dataclass(frozen=True)
class Drawn:
    """A comparison with figures, in the home folder: what is in their folder, and what another process left there before."""

    folder: Path
    left: Path
    living: Path


@pytest.fixture(scope="module")
def drawn(stored: Path, tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    """Drawn once, in a folder that two processes were writing to, of which one was killed; not to be changed."""
    from runners.cli.main import main

    home = tmp_path_factory.mktemp("home")
    (home / "figures").mkdir()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left, living = (home / "figures" / f".a.png.{pid}.tmp" for pid in (dead.pid, os.getppid()))
    left.touch()
    living.touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.chdir(home)
        assert main(["compare", str(stored), "--figures-to=~/figures"]) == 0
    return Drawn(home / "figures", left, living)


def test_a_label_of_any_length_has_figures(drawn: Drawn) -> None:
    shown = [path.suffix for path in drawn.folder.iterdir() if not path.name.startswith(".")]
    assert sorted(shown) == [".png"] * 4 + [".svg"] * 4


def test_the_home_folder_is_spelled_out(drawn: Drawn, kancl: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not (drawn.folder.parent / "~").exists()
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    ended = kancl("scenario", "show", "gaussian-peaks", "--figure=~/peaks.png")
    assert ended.code == 0, ended.err
    assert (tmp_path / "home" / "peaks.png").is_file()
    assert not (tmp_path / "~").exists()


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Let no file grow beyond a size, as if the disk were full."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_on_a_full_disk_no_half_file_stays_and_no_whole_one_goes(
    stored: Path, drawn: Drawn, kancl: Any, tmp_path: Path
) -> None:
    shutil.copytree(drawn.folder, tmp_path, dirs_exist_ok=True)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    commands = [
        ("compare", stored, "--figures-to", tmp_path),
        ("scenario", "show", "split-wine", "--figure", tmp_path / "preview.png"),
        ("scenario", "new", tmp_path / "new.py"),
    ]
    for command in commands:
        with full_disk(1000):
            ended = kancl(*command)
        assert ended.code == 2
        assert "File too large" in ended.err
        assert "choose another" in ended.err
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


ROOT = str(Path(__file__).parents[3])


@pytest.mark.parametrize("dpi", [0, 1201, 10**20])
def test_pictures_larger_than_memory_are_refused(kancl: Any, tmp_path: Path, dpi: int) -> None:
    ended = kancl("scenario", "show", "split-wine", "--dpi", dpi, "--figure", tmp_path / "a.png")
    assert ended.code == 2
    assert "at most 1,200" in ended.err


def test_what_a_killed_comparison_left_among_the_figures_is_swept(drawn: Drawn) -> None:
    assert not drawn.left.exists()
    assert drawn.living.exists()


def start(script: str, folder: Path, *options: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *options, "-c", script], cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip


def test_a_folder_of_ones_own_that_hides_a_package_is_named(tmp_path: Path) -> None:
    (tmp_path / "scenarios").mkdir()
    own = tmp_path / "scenarios" / "__init__.py"
    own.touch()
    ended = start("import runners", tmp_path, PYTHONPATH=os.pathsep.join(filter(None, sys.path)))
    assert f"ImportError: {own} hides the package scenarios" in ended.stderr
    own.unlink()  # without it, it is no package, and hides nothing
    assert start("import runners", tmp_path, PYTHONPATH=os.pathsep.join(filter(None, sys.path))).stderr == ""


def test_where_warnings_are_errors_and_asserts_are_gone_the_packages_are_imported(tmp_path: Path) -> None:
    ended = start("import kancl, scenarios, runners", tmp_path, "-O", "-W", "error", PYTHONPATH=ROOT, HOME="/nonexistent")
    assert (ended.stdout, ended.stderr, ended.returncode) == ("", "", 0)


ENTRY = "import os, sys; from runners.cli.main import entry; {}; sys.argv = ['kancl', *{}]; entry()"


def test_in_a_folder_that_was_removed_one_is_told(tmp_path: Path) -> None:
    ended = start(ENTRY.format("os.mkdir('a'); os.chdir('a'); os.rmdir('../a')", ["list"]), tmp_path, PYTHONPATH=ROOT)
    assert ended.returncode == 2
    assert ended.stderr.startswith("kancl: the folder you are in cannot be used")


def test_a_terminal_that_knows_ascii_alone_is_shown_what_it_can(tmp_path: Path) -> None:
    script = ENTRY.format("pass", ["scenario", "show", "split-wine", "--no-figure"])
    ended = start(script, tmp_path, PYTHONPATH=ROOT, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.isascii()
