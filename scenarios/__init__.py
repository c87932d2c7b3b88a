"""Sequences of tasks, found by name; ``@scenarios.register("name")`` adds your own."""

from scenarios.avalanche.incoming import from_avalanche
from scenarios.avalanche.outgoing import to_avalanche
from scenarios.build import build_scenario, complete_scenario
from scenarios.checks.scenario import check_scenario
from scenarios.labels import remap
from scenarios.registry import register, scenarios
from scenarios.task import Advice, Scenario, Task

__all__ = [
    "Advice",
    "Scenario",
    "Task",
    "build_scenario",
    "check_scenario",
    "complete_scenario",
    "from_avalanche",
    "register",
    "remap",
    "scenarios",
    "to_avalanche",
]
