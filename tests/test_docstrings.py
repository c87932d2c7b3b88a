"""Guards the docstrings that authors of plug-ins meet first: they name every argument of what is called or written."""

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kancl.models import Network
from runners.avalanche.strategy import AvalancheStrategy
from runners.strategies.strategy import Strategy
from runners.trackers import Sink, Tracker

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = re.compile(r":(?:func|mod|class|data|meth|attr):`((?:kancl|scenarios|runners)\.[\w.]+)`")
PACKAGES = (
    "scenarios",
    "runners",
    "runners.strategies",
    "runners.avalanche",
    "runners.trackers",
    "kancl.locality",
    "kancl.models",
    "kancl.splines",
)
MODULES = (
    "kancl.models.architecture", "kancl.models.layers", "kancl.models.tunable", "kancl.options", "kancl.seeding",
    "runners.strategies.tools.anchors", "runners.strategies.tools.gradients", "runners.strategies.tools.local_bases",
    "runners.strategies.tools.memories", "runners.strategies.tools.written_out", "runners.stream.batches",
    "scenarios.tools.advice", "scenarios.tools.differential", "scenarios.tools.formula", "scenarios.tools.heads",
    "scenarios.tools.random_function", "scenarios.tools.rows", "scenarios.tools.sampling", "scenarios.tools.sizes",
)  # fmt: skip
"""Tools for authors: all that they define without a leading underscore."""
CONTRACTS: tuple[type, ...] = (Strategy, AvalancheStrategy, Tracker, Sink, Network)


def hooks_of(contract: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the methods that a contract's own code defines for others to write: those without a leading underscore."""
    for name, found in vars(contract).items():
        if inspect.isfunction(found) and not name.startswith("_"):
            yield f"{contract.__name__}.{name}", found


def seams() -> dict[str, Callable[..., Any]]:
    """Every hook, and every public function and class of the packages that plug-ins are written with, by name."""
    found: dict[str, Callable[..., Any]] = {}
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isfunction(thing) or inspect.ismethod(thing):
                found[f"{package}.{name}"] = thing
            elif inspect.isclass(thing) and thing not in CONTRACTS:
                found[f"{package}.{name}"] = thing
                found |= dict(hooks_of(thing))
    for contract in CONTRACTS:
        found |= dict(hooks_of(contract))
    for tools in MODULES:
        own = vars(importlib.import_module(tools))
        ours = (thing for name, thing in own.items() if not name.startswith("_") and getattr(thing, "__module__", "") == tools)
        found |= {f"{tools}.{thing.__name__}": thing for thing in ours if inspect.isfunction(thing)}
    return found


def missing(function: Callable[..., Any]) -> list[str]:
    """Return the parameters that the section Args of a docstring does not name."""
    doc = inspect.getdoc(function) or ""
    _, _, section = doc.partition("Args:\n")
    named = set()
    for line in section.splitlines():
        if re.match(r"\S", line):  # the next section
            break
        if match := re.match(r"    ([\w*, ]+):", line):
            named |= {name.strip().lstrip("*") for name in match[1].split(",")}
    asked = [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]
    return [name for name in asked if name not in named]


def leads_somewhere(name: str) -> bool:
    """Tell whether a dotted name is a module, or what can be reached in one."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def test_the_seams_are_found() -> None:
    found = set(seams())
    assert {"Strategy.penalty", "AvalancheStrategy.prepare", "Tracker.begin", "Sink.log", "Network.forward"} <= found
    assert {"scenarios.remap", "scenarios.Task", "runners.strategies.Step", "kancl.models.Problem"} <= found


@pytest.mark.parametrize("name", seams())
def test_every_argument_is_told(name: str) -> None:
    assert missing(seams()[name]) == []


@pytest.mark.parametrize("package", ["kancl", "scenarios", "runners"])
def test_references_lead_somewhere(package: str) -> None:
    lost = []
    for path in sorted((ROOT / package).rglob("*.py")):
        names = set(REFERENCE.findall(path.read_text()))
        lost += [f"{path.relative_to(ROOT)}: {name}" for name in sorted(names) if not leads_somewhere(name)]
    assert lost == []


def test_a_lost_reference_is_found() -> None:
    assert leads_somewhere("scenarios.task.Scenario.inputs")
    assert not leads_somewhere("scenarios.task.Scenario.outcomes")
    assert not leads_somewhere("scenarios.tusk")


def test_a_missing_argument_is_found() -> None:
    def told(one: int, other: int) -> None:
        """Do.

        Args:
            one: first.

        Raises:
            other: this names no argument.
        """

    def plain(one: int) -> None:
        """Do."""

    assert missing(told) == ["other"]
    assert missing(plain) == ["one"]
