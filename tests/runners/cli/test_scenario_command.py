"""Guards ``kancl scenario``: what new writes runs and passes every check, check tells and exits, show prints and draws."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from runners.authoring.new_scenario import template
from runners.authoring.scenario_tables import tasks_sheet
from scenarios import Scenario, Task, scenarios
from scenarios.inspection import inspection

Kancl = Callable[..., Any]
PNG = b"\x89PNG\r\n\x1a\n"
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory; files that were loaded from it are forgotten, and nothing is built in other processes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(inspection, "TICK", 0.0)
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        if name.startswith("_kancl_file_"):
            del sys.modules[name]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check without the other process."""
    monkeypatch.setattr(inspection, "begin_elsewhere", lambda *_: None)


# new


@pytest.mark.parametrize("name", [None, "waves"])
def test_what_new_writes_runs_and_passes_the_check(kancl: Kancl, desk: Path, name: str | None) -> None:
    said = kancl("scenario", "new", "my_tasks.py", *(() if name is None else ("--name", name)))
    assert (said.code, said.err) == (0, "")
    first = f"./my_tasks.py:{name or 'my_scenario'}"
    commands = [line.split() for line in said.out.splitlines() if line.startswith("  kancl ")]
    assert [command[1:3] for command in commands] == [["scenario", "check"], ["scenario", "show"], ["run", first]]
    assert {command[-1] if command[1] == "scenario" else command[2] for command in commands} == {first}
    run = [*commands[2][1:], "--steps", "3", "--out", "out"]
    assert kancl(*run).code == 0
    assert kancl("run", f"{first}_classes", "--architectures", "kan", "--seeds", "2", "--steps", "3", "--out", "more").code == 0


@pytest.mark.usefixtures("here")
def test_both_templates_pass_every_check(kancl: Kancl) -> None:
    kancl("scenario", "new", "my_tasks.py")
    for name in ("my_scenario", "my_scenario_classes"):
        said = kancl("scenario", "check", f"my_tasks.py:{name}")
        assert said.code == 0
        assert "!" not in said.out
        assert "✗" not in said.out
        assert "kan, mlp can be trained on it" in said.out
        assert said.out.splitlines()[-1].endswith("no warnings")


@pytest.mark.parametrize("name", ["my_scenario", "mine", "a_rather_long_name_for_a_scenario_of_ones_own"])
def test_the_template_is_clean_whatever_its_name(name: str) -> None:
    """As a file of this repository is: elsewhere kancl is one of several third parties, and imports have another order."""
    ruff, place = Path(sys.executable).with_name("ruff"), ["--no-cache", "--stdin-filename", "scenarios/mine.py", "-"]
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [ruff, *command, *place], input=template(name), capture_output=True, text=True, check=False, cwd=ROOT
        )
        assert done.returncode == 0, done.stdout


REFUSED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "a file that exists": (("there.py",), ("there.py exists", "not overwritten")),
    "a folder that does not": (("nowhere/my.py",), ("no folder nowhere", "make it first")),
    "another ending": (("my_tasks.txt",), ("must end in .py",)),
    "no name": (("my.py", "--name", "two-moons"), ("Python name", "'two-moons'")),
    "a word of Python": (("my.py", "--name", "class"), ("Python name", "'class'")),
    "a name that is used": (("my.py", "--name", "torch"), ("used for something else",)),
    "a name of a variable": (("my.py", "--name", "x"), ("used for something else",)),
}


@pytest.mark.parametrize("what", REFUSED)
def test_new_refuses_and_writes_nothing(kancl: Kancl, desk: Path, what: str) -> None:
    arguments, named = REFUSED[what]
    (desk / "there.py").write_text("mine = 1\n")
    said = kancl("scenario", "new", *arguments)
    assert (said.code, said.out) == (2, "")
    for part in named:
        assert part in said.err
    assert [path.name for path in desk.iterdir()] == ["there.py"]
    assert (desk / "there.py").read_text() == "mine = 1\n"


# check

PLUG_IN = '''
import numpy as np
import torch

from scenarios import Advice, Scenario, Task


def broken(seed: int, tasks=3) -> Scenario:
    x = torch.rand(6, 2)
    return Scenario((Task("a", (x, x[:, :1]), (x, x[:, :1])), Task("a", (x, x[:, :1]), (x + 1, x[:, 0]))), "mse")


def odd(seed: int) -> Scenario:
    """The same for every seed."""
    x = torch.linspace(0, 255, 12)[:, None]
    return Scenario((Task("a", (x, x / 255), (x + 0.5, x / 255)),), "mse")


def advises(seed: int) -> Scenario:
    """Advises what there is not."""
    x = torch.rand(12, 2, generator=torch.Generator().manual_seed(seed))
    advice = Advice(architectures={"mlp": {"width": 3}, "kan": {"degree": 9}}, policies={"adam": {"lr": 0.1, "steps": 2}})
    return Scenario((Task("a", (x[:6], x[:6, :1]), (x[6:], x[6:, :1])),), "mse", advice=advice)
'''


@pytest.mark.usefixtures("here")
def test_check_tells_everything_and_exits_with_2(kancl: Kancl, desk: Path) -> None:
    (desk / "tasks.py").write_text(PLUG_IN)
    said = kancl("scenario", "check", "tasks.py:broken")
    assert (said.code, said.err) == (2, "")
    faults = [line for line in said.out.splitlines() if line.startswith("  ✗ ")]
    for part in (
        "'tasks' of broken has no type",
        "task names must differ",
        "test: targets must be",
        "global generator of torch",
    ):
        assert len([fault for fault in faults if part in fault]) == 1, said.out
    assert said.out.splitlines()[-1] == f"cannot be run: {len(faults)} faults, 1 warning"


@pytest.mark.usefixtures("here")
def test_warnings_do_not_fail(kancl: Kancl, desk: Path) -> None:
    (desk / "tasks.py").write_text(PLUG_IN)
    said = kancl("scenario", "check", "tasks.py:odd")
    assert said.code == 0
    assert len([line for line in said.out.splitlines() if line.startswith("  ! ")]) == 2
    assert "can be run: 1 task, 1 input, 1 output, mse; 2 warnings" in said.out


@pytest.mark.usefixtures("here")
def test_advice_that_run_would_refuse_is_told_for_every_architecture(kancl: Kancl, desk: Path) -> None:
    (desk / "tasks.py").write_text(PLUG_IN)
    said = kancl("scenario", "check", "tasks.py:advises")
    assert said.code == 2
    for part in ("'width'", "degree"):
        assert any(part in line for line in said.out.splitlines() if "kancl run would refuse it" in line), said.out


@pytest.mark.parametrize("command", ["check", "show"])
def test_what_cannot_be_found_is_refused(kancl: Kancl, desk: Path, command: str) -> None:
    for spec, part in (("nowhere.py:mine", "nowhere.py is not a file"), ("split-digit", "did you mean split-digits")):
        said = kancl("scenario", command, spec)
        assert said.code == 2
        assert part in said.out + said.err
        assert "Traceback" not in said.out + said.err
    assert list(desk.iterdir()) == []


# show


def test_show_prints_the_tasks_and_draws(kancl: Kancl, desk: Path) -> None:
    said = kancl("scenario", "show", "split-digits:setting=task,classes_per_task=5", "--figure", "preview.png")
    assert (said.code, said.err) == (0, "")
    for part in (
        "Handwritten digits (8 x 8 pixels)", "classes_per_task=5, setting=task", "cross-entropy, scored by accuracy",
        "task-incremental",
        "active outputs", "null accuracy", "wrote preview.png",
    ):  # fmt: skip
        assert part in said.out
    rows = [line.split() for line in said.out.splitlines() if line.startswith(("1 ", "2 "))]
    assert rows[0][:6] == ["1", "0", "1", "2", "3", "4"]
    assert rows[0][6:8] == ["721", "180"]
    assert (desk / "preview.png").read_bytes()[:8] == PNG


def test_the_preview_has_a_name_of_its_own(kancl: Kancl, desk: Path) -> None:
    assert kancl("scenario", "show", "gaussian-peaks:tasks=2", "--seed", "3").code == 0
    (path,) = desk.iterdir()
    assert path.name == "gaussian-peaks-tasks=2-preview.png"
    assert kancl("scenario", "show", "gaussian-peaks", "--no-figure").code == 0
    assert list(desk.iterdir()) == [path]


@pytest.mark.parametrize(("figure", "part"), [("nowhere/a.png", "cannot be written"), ("a.txt", ".png")])
def test_a_figure_that_cannot_be_written_is_refused(kancl: Kancl, desk: Path, figure: str, part: str) -> None:
    said = kancl("scenario", "show", "gaussian-peaks:tasks=1", "--figure", figure)
    assert said.code == 2
    assert part in said.err
    assert list(desk.iterdir()) == []


def everything(seed: int, data_root: Path) -> Scenario:
    """Has all there is to say."""
    x = torch.arange(12.0).view(6, 2)
    tasks = [Task(name, (x + k, x[:, :1]), (x + k + 0.5, x[:, :1] + 1)) for k, name in enumerate("abc")]
    overlap = torch.tensor([[1.0, 0.25], [0.25, 1.0]])
    return Scenario(
        tuple(tasks[1:]), "mse", pretrain=(tasks[0],), blur=0.5, overlap={"joint": overlap},
        files={"numbers.bin": f"0123abc of {data_root}"},
    )  # fmt: skip


def test_show_prints_all_there_is_to_say(kancl: Kancl, enrol: Callable[..., None]) -> None:
    enrol(scenarios, "everything", everything)
    said = kancl("scenario", "show", "everything", "--data-root", "my-data", "--no-figure")
    assert said.code == 0
    for part in ("numbers.bin  sha256 0123abc of my-data", "blur      0.5", "pretrain  a; learned together", "0.25"):
        assert part in said.out
    assert "joint overlap of the tasks' inputs, 0 (apart) to 1 (the same), mean over pairs 0.250" in said.out
    assert [line.split()[:2] for line in said.out.splitlines() if line.startswith(("pre ", "  1", "  2"))][:3] == [
        ["pre", "a"], ["1", "b"], ["2", "c"]
    ]  # fmt: skip


def test_show_tells_the_range_of_the_networks_outputs_alone() -> None:
    """An operator's values, here hundreds, are no targets of the network; training targets without an operator are."""
    x = torch.rand(4, 1)
    task = Task("a", (x, 500 * torch.ones(4, 1)), (x + 1, torch.ones(4, 1)))
    plain = Scenario((task,), "mse")
    for scenario, shown in ((plain, "1 to 500"), (replace(plain, operator=lambda u, x: 500 * u(x)), "1 to 1")):
        assert [row[4] for row in tasks_sheet(scenario).texts()] == [shown]


# list


def test_a_line_of_the_list_folds_under_itself(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    from runners.cli.list import List

    monkeypatch.setattr("runners.cli.screen.make_console", lambda: Console(width=60, highlight=False))
    assert List("scenarios").execute() == 0
    title, *lines = capsys.readouterr().out.splitlines()
    assert title == "scenarios"
    assert all(len(line) <= 60 and line == line.rstrip() for line in lines)
    width = max(map(len, scenarios.names()))
    assert sorted({line[2 : 2 + width].strip() for line in lines} - {""}) == scenarios.names()
    assert all(line[2 + width : 4 + width] == "  " and line[4 + width] != " " for line in lines)


def test_docstrings_are_joined_and_folded() -> None:
    from runners.cli.docstrings import paragraphs

    text = "One\ntwo: three.\n\nArgs:\n    a, b: first\n        more\n        still.\n    c: second."
    assert [(p.indent, p.text, p.spaced) for p in paragraphs(text)] == [
        (0, "One two: three.", False),
        (0, "Args:", True),
        (4, "a, b: first more still.", False),
        (4, "c: second.", False),
    ]


def test_lists_keep_their_items_and_references_lose_their_markup() -> None:
    from rich.console import Console

    from runners.cli.docstrings import print_docstring

    text = "Expected: more\nthan one.\n\n- a: short,\n  two lines of :mod:`scenarios.tools.formula`;\n- b.\n"
    text += "\nArgs:\n    c: words\n        here."
    with (console := Console(width=34, highlight=False)).capture() as captured:
        print_docstring(console, text, indent=2)
    assert captured.get().splitlines() == [
        "  Expected: more than one.",
        "",
        "  - a: short, two lines of",
        "    `scenarios.tools.formula`;",
        "  - b.",
        "",
        "  Args:",
        "      c: words here.",
    ]
