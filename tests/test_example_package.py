"""Guards the example package: installed anywhere, its entry points are found, and what it brings can be checked and run."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "examples" / "kancl-moons"
SCRIPT = """
import sys
from runners.cli.main import main
for command in sys.argv[1:]:
    print("$", command)
    code = main(command.split())
    assert code == 0, (command, code)
"""
COMMANDS = {
    "list": "list",
    "check": "scenario check turning-moons:tasks=3",
    "run": "run turning-moons:tasks=2 --architectures mlp --strategies naive stay-near:strength=1000 --seeds 2 --steps 40 "
    "--out out",
    "compare": "compare out --format json --no-figures",
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that sees the package, installed into a folder of its own without a network."""
    site = tmp_path_factory.mktemp("site")
    install = ["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", *install, "--target", site, SOURCE],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def said(installed: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each command said, in one process of its own, in a folder that has nothing to do with the package or with kancl."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", SCRIPT, *COMMANDS.values()],
        capture_output=True, text=True, check=False, timeout=120, env=installed, cwd=tmp_path_factory.mktemp("foreign"),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    parts = [part.partition("\n")[2] for part in f"\n{done.stdout}".split("\n$ ")[1:]]
    return dict(zip(COMMANDS, parts, strict=True))


def test_it_is_listed(said: dict[str, str]) -> None:
    names = {line.split()[0] for line in said["list"].splitlines() if line.strip()}
    assert {"turning-moons", "stay-near", "split-digits", "naive"} <= names


def test_it_passes_the_check(said: dict[str, str]) -> None:
    assert "can be run: 3 tasks, 2 inputs, 2 outputs, cross-entropy; no warnings" in said["check"]
    assert "✓ seed 0 gives the same data in another process" in said["check"]


def test_its_scenario_and_strategy_run(said: dict[str, str]) -> None:
    rows: list[dict[str, Any]] = json.loads(said["compare"])["cells"]
    assert {row["scenario"] for row in rows} == {"turning-moons:tasks=2"}
    lost = {row["strategy"]: row["mean"] for row in rows if row["metric"] == "forgetting"}
    assert lost["stay-near:strength=1000"] < lost["naive"]


def test_the_source_is_left_as_it_was(installed: dict[str, str]) -> None:
    assert {path.name for path in SOURCE.iterdir()} == {"README.md", "pyproject.toml", "src"}
