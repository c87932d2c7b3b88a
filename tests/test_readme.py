"""What README and guide tell a newcomer to type works as it stands there."""

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import tyro

from runners.cli.commands import Command
from runners.cli.main import main
from runners.cli.run import Run
from runners.config.file import read_file
from runners.config.request import Request
from runners.experiment.expand import expand
from runners.results.results import load
from runners.stream.cache import StreamCache

ROOT = Path(__file__).parent.parent
STREAMS = StreamCache()
README = (ROOT / "README.md").read_text()
GUIDE = (ROOT / "docs" / "guide.md").read_text()


def block_after(marker: str) -> str:
    match = re.search(rf"<!-- test: {re.escape(marker)} -->\n```\w*\n(.*?)```", README, re.DOTALL)
    assert match is not None, f"the README has no block marked {marker}"
    return match[1]


def test_the_plug_in_of_the_readme_runs_as_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    source = block_after("my_tasks.py")
    (tmp_path / "my_tasks.py").write_text(source)
    body = [line for line in source.splitlines() if line.strip()]
    assert len(body) <= 15
    command = shlex.split(block_after("command"))
    assert command[0] == "kancl"
    assert main([*command[1:], "--seeds", "2", "--steps", "30", "--out", "out"]) == 0
    capsys.readouterr()
    assert main(["compare", "out", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)["cells"]
    assert {row["architecture"] for row in rows} == {"kan", "mlp"}
    assert {row["scenario"] for row in rows} == {"my_tasks.py:two_moons"}
    learned = [row["mean"] for row in rows if row["metric"] == "learning_score"]
    assert all(0.3 < value <= 1.0 for value in learned)


def test_the_network_of_the_readme_runs_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_networks.py").write_text(block_after("my_networks.py"))
    command = shlex.split(block_after("network command"))
    small = ["--architectures", command[command.index("--architectures") + 1], "--strategies", "ewc", "--seeds", "2"]
    assert main(["run", command[2], *small, "--epochs", "5", "--out", "out"]) == 0
    (entry,) = load("out").entries
    assert entry.labels["architecture"] == "my_networks.py:sines:hidden=48"
    assert (entry.metrics()["learning_score"] > 0.8).all()


def shown_runs() -> list[str]:
    lines = re.findall(r"^kancl run .*$", README + GUIDE, re.MULTILINE)
    return [line.partition("  #")[0].strip() for line in dict.fromkeys(lines) if "/my_" not in line]


@pytest.mark.parametrize("line", shown_runs())
def test_every_run_command_of_readme_and_guide_can_be_expanded(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    config = (tyro.conf.OmitArgPrefixes, tyro.conf.DisallowNone)
    command = tyro.cli(Command, args=shlex.split(line)[1:], config=config)
    assert isinstance(command, Run)
    assert expand([Request(seeds=1).over(request) for request in command.requests()], streams=STREAMS)


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.toml")), ids=lambda path: path.name)
def test_every_experiment_file_can_be_expanded(path: Path, data_root: Path) -> None:
    """Those that read data files, on small ones."""
    blocks = tomllib.loads(path.read_text()).get("block", [{}])
    requests = read_file(path)
    assert len(requests) == len(blocks)
    assert expand([Request(seeds=1, data_root=data_root).over(request) for request in requests], streams=STREAMS)


def test_the_makefile_runs_the_demo_that_the_readme_shows() -> None:
    shown = re.search(r"^kancl run .*--out runs/demo$", README, re.MULTILINE)
    assert shown is not None
    assert shown[0].removeprefix("kancl ") in (ROOT / "Makefile").read_text()
