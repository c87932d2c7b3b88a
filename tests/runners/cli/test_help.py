"""Guards the help: what is told about every name, near misses, groups of options, the doctor, and completion."""

import re
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from kancl import __version__
from kancl.metrics import METRICS
from kancl.options import schema
from runners.cli.commands import read, verbs
from runners.cli.completion import cleaned
from runners.cli.help_groups import EXAMPLES, groups, in_groups
from runners.cli.list import _known, examples
from runners.cli.run import Run
from runners.store import checkup

Kancl = Callable[..., Any]


@pytest.mark.parametrize("title", list(_known()[1]))
def test_everything_is_told_about_a_name_with_commands_that_can_be_given(kancl: Kancl, title: str) -> None:
    reserved, registries = _known()
    for name, builder in registries[title].available().items():
        said = kancl("list", name)
        assert (said.code, said.err) == (0, "")
        flat = " ".join(said.out.split())
        for key, option in schema(builder, reserved[title](builder)).items():
            assert f"{key}: " in flat
            assert option.default is option.empty or repr(option.default) in flat
        for command in examples(title, name, builder, reserved[title](builder)):
            assert command in said.out
            asked = read(shlex.split(command)[1:])
            assert isinstance(asked, Run)
            assert any(name in text for part in (asked.scenarios, asked.architectures, asked.strategies) for text in part or ())


def test_formula_and_source_of_a_strategy_and_of_a_metric_are_told(kancl: Kancl) -> None:
    assert "Kirkpatrick et al. 2017" in " ".join(kancl("list", "ewc").out.split())
    assert "runners.strategies.ewc.EWC" in kancl("list", "ewc").out
    for name, metric in METRICS.items():
        assert " ".join(metric.formula.split()) in " ".join(kancl("list", name).out.split())


@pytest.mark.parametrize(
    ("command", "parts"),
    [
        ("list EWC", ("'EWC'", "did you mean ewc?")),
        ("list ewd", ("did you mean ewc?",)),
        ("list qqqqqq", ("kancl list names them all",)),
        ("rum x", ("'rum'", "did you mean kancl run")),
        ("Compare x", ("did you mean kancl compare?",)),
        ("qqqq", ("there are list, run, compare",)),
        ("run Gaussian-Peaks", ("did you mean gaussian-peaks?",)),
        ("run gaussian-peaks --architectures KAN", ("did you mean kan?",)),
        ("run gaussian-peaks --strategies EWC", ("did you mean ewc?",)),
        ("run gaussian-peaks --strategies naiv", ("did you mean naive?",)),
        ("run gaussian-peaks --architectures kan:Hidden=3", ("did you mean hidden?",)),
        ("run feynman:equations=i.6.2a", ("did you mean I.6.2a?",)),
    ],
)
def test_typos_get_the_near_miss(kancl: Kancl, command: str, parts: tuple[str, ...]) -> None:
    said = kancl(*command.split())
    assert (said.code, said.out) == (2, "")
    for part in parts:
        assert part in said.err


def test_an_option_and_a_key_that_are_misspelt_get_the_near_miss(kancl: Kancl, tmp_path: Path) -> None:
    said = kancl("run", "gaussian-peaks", "--strategis", "naive")
    assert said.code == 2
    assert "--strategies" in said.out + said.err
    file = tmp_path / "asked.toml"
    file.write_text('scenarios = ["gaussian-peaks"]\nSEEDS = 3\narchitecture = ["kan"]\n')
    said = kancl("run", "--file", file, "--dry-run")
    assert "SEEDS: unknown setting; did you mean seeds?" in said.err
    assert "architecture: unknown setting; did you mean architectures?" in said.err


@pytest.mark.parametrize("word", ["--version", "-V"])
def test_the_version_is_told(kancl: Kancl, word: str) -> None:
    said = kancl(word)
    assert (said.code, said.out, said.err) == (0, f"kancl {__version__}\n", "")


# The help of run.


def test_every_option_of_run_stands_in_one_group_with_examples_before(monkeypatch: pytest.MonkeyPatch, kancl: Kancl) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = kancl("run", "--help")
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    boxes = [line for line in lines if line.startswith("╭")]
    assert max(len(line) for line in lines if line[:1] in "╭│╰") == 80
    titles = [box.strip("╭─╮ ") for box in boxes]
    assert titles == ["positional arguments", "examples", *groups()]
    shown = re.findall(r"^│ (?:-h, )?--([\w-]+)", said.out, re.MULTILINE)
    wanted = {own.name.replace("_", "-") for own in fields(Run)} - {"scenarios", "command"} | {"help"}
    assert sorted(shown) == sorted(wanted)
    assert said.out.index("examples") < said.out.index("--architectures NAME")
    for command, what in EXAMPLES:
        assert command in said.out
        assert what in said.out


def test_groups_name_options_once_and_only_those_there_are() -> None:
    named = [name for names in groups().values() for name in names]
    assert len(named) == len(set(named))
    assert set(named) <= {own.name for own in fields(Run)}


@pytest.mark.parametrize("command", [command for command, _ in EXAMPLES])
def test_examples_can_be_given(command: str) -> None:
    assert isinstance(read(shlex.split(command)[1:]), Run)


def test_a_help_without_boxes_is_left_as_it_is() -> None:
    assert in_groups("usage: kancl run\n options\n  --lr\n") == "usage: kancl run\n options\n  --lr\n"


# The doctor.


def test_the_doctor_tells_what_is_here(kancl: Kancl) -> None:
    said = kancl("doctor")
    assert (said.code, said.err) == (0, "")
    lines = dict(line.split("  ", 1) for line in said.out.splitlines() if "  " in line)
    assert lines["kancl"].strip().startswith(__version__)
    for name in (
        "python",
        "torch",
        "processor",
        "threads of torch",
        "compiler",
        "spline kernel",
        "kernel cache",
        "GPU",
        "output",
    ):
        assert lines[name].strip()
    assert "as the definition" in lines["spline kernel"]
    assert said.out.endswith("nothing is broken\n")
    assert said.out.isascii()


def test_the_doctor_finds_what_is_broken(monkeypatch: pytest.MonkeyPatch, kancl: Kancl) -> None:
    monkeypatch.setattr(
        checkup, "spline", lambda x, coef, grid, backend="auto": x * coef[0, 0, 0, 0] if backend == "dense" else x
    )
    said = kancl("doctor")
    assert said.code == 1
    assert "spline kernel     broken: RuntimeError" in said.out
    assert said.out.endswith("1 broken: spline kernel\n")
    monkeypatch.setattr(checkup, "NEEDED", ("a-package-that-is-not-there",))
    assert "a-package-that-is-not-there  missing" in kancl("doctor").out


# Completion.


def completed(script: Path, *words: str) -> list[str]:
    source = (
        f'source {script}; f=$(complete -p kancl | sed "s/.*-F \\([^ ]*\\).*/\\1/"); COMP_WORDS=("$@"); '
        'COMP_CWORD=$(($#-1)); $f; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", source, "bash", *words], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_bash_completes_commands_options_and_values(kancl: Kancl, tmp_path: Path) -> None:
    script = tmp_path / "kancl.bash"
    script.write_text(kancl("completion", "bash").out)
    assert completed(script, "kancl", "com") == ["compare", "completion"]
    assert set(completed(script, "kancl", "")) == {*verbs(), "-h", "--help"}
    assert completed(script, "kancl", "compare", "--marg") == ["--margin"]
    assert set(completed(script, "kancl", "compare", "--metric", "")) == {"retention", "final", "forgetting", "learning"}
    assert set(completed(script, "kancl", "run", "x", "--optimizer", "a")) == {"adam", "adamw"}
    assert completed(script, "kancl", "run", "x", "--comm") == []


def test_zsh_gets_a_script_and_descriptions_stay_on_one_line(kancl: Kancl) -> None:
    said = kancl("completion", "zsh")
    assert said.out.startswith("#compdef kancl")
    dirty = "COMPLETION_SPEC = {'options': [{'flags': ['--a'], 'description': 'one\\ntwo 5 %%', 'choices': ['x', 'None']}]}\n"
    assert (
        cleaned(dirty)
        == "COMPLETION_SPEC = {'options': [{'flags': ['--a'], 'description': 'one two 5 %', 'choices': ['x']}]}\n"
    )
