"""Outputs that cannot be written to, and Ctrl-C wherever it comes: results, exit codes and messages are as they should be."""

import io
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import pytest

from runners.cli.main import main
from runners.cli.output import Output

RUN = ["run", "gaussian-peaks:tasks=2", "--architectures", "mlp", "--seeds", "2", "--steps", "4", "--evaluations", "2"]


@contextmanager
def full() -> Iterator[TextIO]:
    with open("/dev/full", "w", encoding="utf-8") as stream:
        yield stream


@contextmanager
def closed_pipe() -> Iterator[TextIO]:
    """What ``| head -1`` leaves behind."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w", encoding="utf-8") as stream:
        yield stream


@contextmanager
def ascii_only() -> Iterator[TextIO]:
    with open(os.devnull, "w", encoding="ascii") as stream:
        yield stream


@contextmanager
def nothing() -> Iterator[None]:
    """What ``>&-`` leaves."""
    yield None


@contextmanager
def closed() -> Iterator[TextIO]:
    stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    stream.close()
    yield stream


OUTPUTS = {"full": full, "pipe": closed_pipe, "ascii": ascii_only, "nothing": nothing, "closed": closed}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("printed") / "out"
    assert main([*RUN, "--out", str(folder)]) == 0
    return folder


@pytest.mark.parametrize("kind", OUTPUTS)
def test_a_run_is_done_whatever_becomes_of_its_words(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with OUTPUTS[kind]() as stream, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        assert main([*RUN, "--out", str(tmp_path / "out")]) == 0
    (status,) = [json.loads(path.read_text()) for path in (tmp_path / "out").glob("cells/*/status.json")]
    assert status["state"] == "done"
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert ("standard output cannot be written: No space left on device" in said) == (kind == "full")


@pytest.mark.parametrize("command", ["compare", "list", "scenario"])
@pytest.mark.parametrize("kind", OUTPUTS)
def test_a_command_that_only_prints_tells_what_is_lost(
    kind: str, command: str, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {"compare": [str(out), "--no-figures"], "list": [], "scenario": ["show", "gaussian-peaks:tasks=2", "--no-figure"]}
    with OUTPUTS[kind]() as stream, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        code = main([command, *asked[command]])
    said = capsys.readouterr().err
    if kind in ("full", "closed"):
        assert (code, said.count("\n")) == (2, 1)
        assert said.startswith("kancl: standard output cannot be written: ")
    else:
        assert (code, said) == (0, "")


def test_letters_that_an_encoding_lacks_are_escapes() -> None:
    raw = io.BytesIO()
    output = Output(io.TextIOWrapper(raw, encoding="ascii"))
    output.write("1 ± 2 µs \ud800 任\n")
    output.flush()
    assert raw.getvalue() == b"1 \\xb1 2 \\xb5s \\ud800 \\u4efb\n"
    assert output.failed is None


def test_json_is_json_in_ascii(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        assert main(["compare", str(out), "--no-figures", "--format", "json"]) == 0
    stream.seek(0)
    assert json.loads(stream.read())["cells"]


def test_the_error_stream_may_be_gone_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with closed_pipe() as stream, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        assert main(["compare", "no such folder"]) == 2


@pytest.mark.parametrize("width", [20, 60])
def test_narrow_and_dumb_terminals_do(
    out: Path, kancl: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    for name, value in (("TERM", "dumb"), ("COLUMNS", str(width)), ("FORCE_COLOR", "1")):
        monkeypatch.setenv(name, value)
    assert kancl("compare", out, "--no-figures").code == 0
    assert kancl(*RUN, "--out", out).code == 0


@pytest.fixture
def _heard() -> Iterator[None]:
    """Signals are heard, also where the tests run in the background, in which a shell lets Ctrl-C be ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press(*given: Any) -> Any:
    os.kill(os.getpid(), signal.SIGINT)
    raise AssertionError("the signal comes at once")


def pressed_and_hidden(*given: Any) -> Any:
    """Make another error of a Ctrl-C, as modules in C do while they are imported."""
    try:
        press()
    except KeyboardInterrupt as error:
        raise ImportError("numpy._core.multiarray failed to import") from error


@pytest.mark.usefixtures("_heard")
@pytest.mark.parametrize("how", [press, pressed_and_hidden])
@pytest.mark.parametrize("where", ["runners.cli.commands.read", "kancl.registry.Registry.available"])
def test_ctrl_c_is_ctrl_c_wherever_it_comes(
    how: Callable[..., Any], where: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(where, how)
    assert main(["list"]) == 130
    assert capsys.readouterr().err == "kancl: interrupted\n"
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.usefixtures("_heard")
def test_ctrl_c_while_a_plugin_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pressed.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    assert main(["run", "./pressed.py:mine"]) == 130
    assert "Traceback" not in capsys.readouterr().err
