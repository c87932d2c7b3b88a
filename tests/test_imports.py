"""Guards the structure: imports flow only kancl <- scenarios <- runners and from room to room, without cycles.

Every import counts, also one inside a function and one under ``TYPE_CHECKING``: who reads a module needs what it names.
Importing does nothing.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ("kancl", "scenarios", "runners")
"""From the bottom: a package may import itself and those before it."""

ROOMS = {
    "scenarios": (
        "arrays", "objectives", "task", "registry", "tools", "labels", "checks", "streams", "data", "build", "inspection",
        "regression", "classification", "avalanche",
    ),
    "runners": (
        "config", "stream", "strategies", "measure", "training", "store", "avalanche", "run", "choices", "results", "trackers",
        "upkeep", "report", "experiment", "authoring", "bench", "cli",
    ),
}  # fmt: skip
"""From the bottom: a room, a folder or a file of a package, may import itself and those before it; the package's own
``__init__`` stands above its rooms."""


def modules_of(root: Path) -> dict[str, Path]:
    """Every module of the three packages, by its dotted name."""
    found = {}
    for package in LAYERS:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def statements(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Every import statement, wherever it stands."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom))


def targets(statement: ast.Import | ast.ImportFrom, importer: str, is_package: bool, known: set[str]) -> Iterator[str]:
    """The modules of ours that a statement names, as far as they are modules; ``from a import b`` means a.b if that is one."""
    if isinstance(statement, ast.Import):
        names = [(alias.name, None) for alias in statement.names]
    else:
        base = statement.module or ""
        if statement.level:
            parts = importer.split(".")
            above = parts[: len(parts) - statement.level + is_package]
            base = ".".join([*above, *([base] if base else [])])
        names = [(base, alias.name) for alias in statement.names]
    for module, attribute in names:
        inner = f"{module}.{attribute}"
        if attribute is not None and inner in known:
            yield inner
        elif module.partition(".")[0] in LAYERS:
            yield module


@cache
def imports(root: Path) -> dict[str, set[str]]:
    """The modules of ours that every module of ours imports."""
    modules = modules_of(root)
    graph = {}
    for name, path in modules.items():
        is_package = path.name == "__init__.py"
        found = statements(ast.parse(path.read_text()))
        graph[name] = {target for statement in found for target in targets(statement, name, is_package, set(modules))} - {name}
    return graph


def arrows(root: Path) -> Iterator[tuple[str, str]]:
    """Every import, as importer and imported."""
    return ((name, target) for name, imported in imports(root).items() for target in sorted(imported))


def upward_imports(root: Path) -> list[str]:
    """Imports of a package that lies above; as ``importer -> imported``."""
    level = {package: number for number, package in enumerate(LAYERS)}
    package = lambda name: level[name.partition(".")[0]]  # noqa: E731
    return [f"{name} -> {target}" for name, target in arrows(root) if package(target) > package(name)]


def room_of(name: str) -> int | None:
    """The place of a module's room in its package, from the bottom; that of the package itself is above all, None unknown."""
    package, _, rest = name.partition(".")
    rooms = ROOMS[package]
    room = rest.partition(".")[0]
    return len(rooms) if not rest else rooms.index(room) if room in rooms else None


def imports_of_rooms_above(root: Path) -> list[str]:
    """Imports of a room that lies above, and modules of no room; as ``importer -> imported`` and names."""
    found = [name for name in modules_of(root) if name.partition(".")[0] in ROOMS and room_of(name) is None]
    for name, target in arrows(root):
        package = name.partition(".")[0]
        if package in ROOMS and target.partition(".")[0] == package and name not in found:
            own, other = room_of(name), room_of(target)
            if own is None or other is None or other > own:
                found.append(f"{name} -> {target}")
    return found


def cycles(root: Path) -> list[list[str]]:
    """Groups of modules that import each other.

    A package and a module in it are no circle: ``from package import module`` names both.
    """
    graph = imports(root)
    reached = {name: reachable(graph, name) for name in graph}
    groups = {tuple(sorted(other for other in graph if other in reached[name] and name in reached[other])) for name in graph}
    return [list(group) for group in sorted(groups) if group]


def reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        name = waiting.pop()
        if name in graph and name not in seen:
            seen.add(name)
            waiting += graph[name]
    return seen


def plant(root: Path, **contents: str) -> None:
    """Make a small tree; ``a__b`` names the module a.b."""
    for package in LAYERS:
        (root / package).mkdir()
        (root / package / "__init__.py").touch()
    for name, content in contents.items():
        path = root / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(exist_ok=True, parents=True)
        (path.parent / "__init__.py").touch()
        path.write_text(content)


def test_the_packages_are_found() -> None:
    modules = modules_of(ROOT)
    assert {"kancl", "kancl.errors", "scenarios.task", "runners.cli.main"} <= set(modules)
    graph = imports(ROOT)
    assert "scenarios.registry" in graph["scenarios"]
    assert "kancl.registry" in graph["scenarios.registry"]


def test_imports_flow_downwards() -> None:
    assert upward_imports(ROOT) == []


def test_imports_flow_from_room_to_room() -> None:
    assert imports_of_rooms_above(ROOT) == []


def test_every_room_is_there() -> None:
    modules = modules_of(ROOT)
    assert [
        f"{package}.{room}" for package, rooms in ROOMS.items() for room in rooms if f"{package}.{room}" not in modules
    ] == []


def test_there_are_no_cycles() -> None:
    assert cycles(ROOT) == []


@pytest.mark.parametrize(
    "statement",
    [
        "from runners.cli import main",
        "def f():\n    import runners.cli.main",
        "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from runners.cli.main import x",
        "import runners",
    ],
)
def test_an_import_of_a_room_above_is_found(tmp_path: Path, statement: str) -> None:
    plant(tmp_path, runners__config=statement, runners__cli__main="import runners.config")
    (found,) = imports_of_rooms_above(tmp_path)
    assert found.startswith("runners.config -> runners")


def test_a_module_of_no_room_is_found(tmp_path: Path) -> None:
    plant(tmp_path, runners__cellar="", scenarios__tools="")
    assert imports_of_rooms_above(tmp_path) == ["runners.cellar"]


@pytest.mark.parametrize(
    ("importer", "statement", "found"),
    [
        ("kancl__a", "import scenarios", "kancl.a -> scenarios"),
        ("kancl__a", "import scenarios.b", "kancl.a -> scenarios.b"),
        ("kancl__a", "from runners import c", "kancl.a -> runners.c"),
        ("scenarios__b", "from runners.c import x", "scenarios.b -> runners.c"),
        ("scenarios__b", "def f():\n    from runners.c import x", "scenarios.b -> runners.c"),
        ("scenarios__b", "try:\n    import runners.c\nexcept ImportError:\n    pass", "scenarios.b -> runners.c"),
    ],
)
def test_an_upward_import_is_found(tmp_path: Path, importer: str, statement: str, found: str) -> None:
    contents = {"kancl__a": "", "scenarios__b": "import kancl.a", "runners__c": "import kancl\nfrom scenarios.b import x"}
    plant(tmp_path, **{**contents, importer: statement})
    assert upward_imports(tmp_path) == [found]


@pytest.mark.parametrize(
    ("first", "second", "third"),
    [
        ("import kancl.b", "import kancl.a", ""),
        ("from kancl import b", "from kancl.a import x", ""),
        ("from . import b", "from .a import x", ""),
        ("class A:\n    from kancl.b import x", "if True:\n    import kancl.a", ""),
        ("import kancl.b", "def f():\n    import kancl.a", ""),
        ("from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    import kancl.b", "def f():\n    import kancl.a", ""),
    ],
)
def test_a_cycle_is_found(tmp_path: Path, first: str, second: str, third: str) -> None:
    plant(tmp_path, kancl__a=first, kancl__b=second, kancl__c=third)
    assert cycles(tmp_path) == [["kancl.a", "kancl.b"]]


def test_a_long_cycle_is_found(tmp_path: Path) -> None:
    plant(tmp_path, kancl__a="import kancl.b", kancl__b="import kancl.c", kancl__c="import kancl.a", kancl__d="import kancl.a")
    assert cycles(tmp_path) == [["kancl.a", "kancl.b", "kancl.c"]]


def test_what_is_no_cycle_is_not_found(tmp_path: Path) -> None:
    plant(tmp_path, kancl__a="import kancl.b", kancl__b="")
    assert cycles(tmp_path) == []
    assert upward_imports(tmp_path) == []


IMPORT_ALL = """
import importlib
import os
import random
import sys

import numpy as np
import rich.style  # numbers its styles from a random start, which moves random's generator when it is imported
import torch

np.random.seed(11)
torch.manual_seed(12)
random.seed(13)
before = np.random.get_state()[1].copy(), torch.get_rng_state(), random.getstate(), os.getcwd(), set(os.environ)
kind, threads = torch.get_default_dtype(), torch.get_num_threads()
for name in sys.argv[1:]:
    importlib.import_module(name)
assert np.array_equal(before[0], np.random.get_state()[1]), "numpy's generator"
assert torch.equal(before[1], torch.get_rng_state()), "torch's generator"
assert before[2] == random.getstate(), "random's generator"
assert before[3] == os.getcwd(), "the working directory"
assert before[4] == set(os.environ), "the environment"
assert (kind, threads) == (torch.get_default_dtype(), torch.get_num_threads()), "torch's settings"
assert not os.listdir(), "files"
assert "avalanche" not in sys.modules
assert "scipy.stats" not in sys.modules, "it takes a third of a second"
assert "matplotlib.pyplot" not in sys.modules, "pyplot chooses a screen"
"""


def test_importing_does_nothing(tmp_path: Path) -> None:
    """Nothing printed, seeded, set, written, and no directory changed, by any module."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORT_ALL, *modules_of(ROOT)],
        capture_output=True, text=True, cwd=tmp_path, check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
