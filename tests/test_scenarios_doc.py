"""What the page on scenarios says is so: every name is there, every picture is, and every command can be typed."""

import re
import shlex
from pathlib import Path

import pytest
import tyro

from kancl.options import parse_spec
from runners.cli.commands import Command
from runners.cli.run import Run
from runners.experiment.expand import expand
from scenarios import build_scenario, complete_scenario, scenarios
from scenarios.data.sources import FROM_FILES

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "scenarios.md").read_text()
LARGEST = 60_000
"""Bytes of a picture."""


def commands(verb: str) -> list[list[str]]:
    lines = re.findall(rf"^kancl {verb} .*$", PAGE, re.MULTILINE)
    return [shlex.split(line, comments=True)[1:] for line in lines]


def rows() -> dict[str, list[str]]:
    """The cells of the catalogue by name; ``a-x`, `-y`` in the first cell stands for a-x and a-y."""
    found = {}
    table = PAGE.partition("## Catalogue")[2].partition("## Previews")[0]
    for line in table.splitlines():
        if line.startswith("| `"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            first, *rest = re.findall(r"`([^`]+)`", cells[0])
            kind = first.partition("-")[0]
            for name in (first, *(kind + name if name.startswith("-") else name for name in rest)):
                found[name] = cells[1:]
    return found


def test_the_catalogue_holds_every_scenario_once() -> None:
    assert sorted(rows()) == [name for name in scenarios.names() if not name.startswith("turning-")]


@pytest.mark.parametrize(
    "name", [name for name in rows() if not any(name.endswith(data) for data in (*FROM_FILES, "avalanche"))]
)
def test_the_numbers_of_the_catalogue_are_those_of_the_default_options(name: str) -> None:
    kind, _, setting, tasks, inputs, outputs, _ = rows()[name]
    scenario = build_scenario(complete_scenario(parse_spec(f"{name}:data=digits" if name == "kanbefair" else name)), 0)
    assert scenario.setting == setting.split(",")[0].split()[0]
    assert len(scenario.tasks) == int(tasks)
    assert ("(r)" in kind) == (scenario.loss == "mse")
    for told, number in ((inputs, scenario.inputs), (outputs, scenario.outputs)):
        assert told == "as above" or str(number) in re.findall(r"\d+", told)


def test_every_picture_is_there_and_small() -> None:
    shown = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", PAGE)
    assert len(shown) == len(set(shown)) >= 18
    assert all((ROOT / "docs" / path).stat().st_size < LARGEST for path in shown)
    assert {Path(path).name for path in shown} == {path.name for path in (ROOT / "docs/figures/scenarios").glob("*.png")}


def test_every_link_leads_somewhere() -> None:
    links = [link.partition("#")[0] for link in re.findall(r"(?<!!)\[[^\]]*\]\(([^)]+)\)", PAGE)]
    assert all((ROOT / "docs" / link).exists() for link in links if link)


def test_every_command_can_be_typed() -> None:
    shows, checks = commands("scenario show"), commands("scenario check")
    assert len(shows) >= 3
    assert len(checks) >= 2
    config = (tyro.conf.OmitArgPrefixes, tyro.conf.DisallowNone)
    for words in (*shows, *checks, *commands("list"), *commands("scenario new")):
        tyro.cli(Command, args=words, config=config)
    for words in shows:
        if ".py" not in words[2]:
            assert build_scenario(complete_scenario(parse_spec(words[2])), 0).tasks


def test_every_run_can_be_expanded() -> None:
    runs = [words for words in commands("run") if "my_tasks" not in words[1]]
    assert len(runs) >= 2
    for words in runs:
        command = tyro.cli(Command, args=words, config=(tyro.conf.OmitArgPrefixes, tyro.conf.DisallowNone))
        assert isinstance(command, Run)
        assert expand(command.requests())
