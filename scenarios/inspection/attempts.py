"""One seed of a scenario built, to see what comes of it."""

import inspect
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kancl import global_generators, options
from kancl.errors import InputError, is_interrupt, one_line
from kancl.registry import Builder
from scenarios.checks.scenario import FaultyScenario, check_scenario
from scenarios.inspection.fingerprint import Part, fingerprint
from scenarios.task import Scenario, Task


@dataclass
class Attempt:
    """One seed built: what came, what is wrong with it, how long it took, which global generators it moved."""

    scenario: Scenario | None = None
    faults: list[str] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    seconds: float = 0.0
    moved: list[str] = field(default_factory=list)

    def without_data(self) -> "Attempt":
        """Return what is needed for comparisons; of a large data set no more than one seed is kept."""
        return replace(self, scenario=None)


def attempt(build: Callable[[int], Scenario], builder: Builder, seed: int) -> Attempt:
    """Build one seed, and note what is to be told of it.

    Args:
        build: builds and checks the scenario of a seed.
        builder: in whose code the places of errors are looked for.
        seed: given to ``build``.
    """
    made, before, began = Attempt(), global_generators.states(), time.perf_counter()
    try:
        made.scenario = build(seed)
    except FaultyScenario as error:
        made.scenario, made.faults = error.scenario, error.faults
    except InputError as error:
        refused = error.__cause__  # by the builder, or by a Task that it made: other errors say their place already
        made.faults = [f"{error}{options.place_in(refused, builder) if isinstance(refused, InputError) else ''}"]
    made.seconds = time.perf_counter() - began
    made.moved = [name for name, state in global_generators.states().items() if state != before[name]]
    tasks = () if made.scenario is None else made.scenario.all_tasks
    if made.scenario is not None and all(isinstance(task, Task) for task in tasks):
        made.parts = fingerprint(made.scenario)
    return made


def call_of(builder: Builder, reserved: Mapping[str, Any]) -> Callable[[int], Scenario] | None:
    """Return how to call a builder with a faulty signature all the same, at its own defaults, to see what else is wrong.

    None where it cannot be called like that.
    """
    signature = inspect.signature(builder)
    taken = {name: value for name, value in reserved.items() if name in signature.parameters}
    try:
        signature.bind(**taken)
    except TypeError:
        return None

    def call(seed: int) -> Scenario:
        try:
            built = builder(**(taken | ({"seed": seed} if "seed" in taken else {})))
        except InputError as error:
            raise InputError(str(error)) from error
        except BaseException as error:
            if is_interrupt(error):
                raise
            raise InputError(f"failed with {one_line(error)}{options.place_in(error, builder)}") from error
        return check_scenario(built, "it")

    return call
