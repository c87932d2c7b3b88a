"""Sequences of tasks, found by name; ``@scenarios.register("name")`` adds your own."""

from scenarios.checks import check_scenario
from scenarios.registry import register, scenarios
from scenarios.task import Advice, Scenario, Task

__all__ = ["Advice", "Scenario", "Task", "check_scenario", "register", "scenarios"]
