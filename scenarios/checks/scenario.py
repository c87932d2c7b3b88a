"""Tell the author of a scenario everything that is wrong with it, at once."""

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from kancl.errors import InputError, is_interrupt, one_line
from scenarios.checks.fields import description_faults, kind_faults
from scenarios.checks.operators import operator_faults
from scenarios.checks.samples import shape_faults, value_faults
from scenarios.task import Scenario, Task
from scenarios.tools.rows import rows_of


class FaultyScenario(InputError):  # noqa: N818, InputError says it already
    """A scenario that cannot be run.

    Args:
        name: of the scenario.
        faults: everything that is wrong with it.
        scenario: what was checked.
    """

    def __init__(self, name: str, faults: list[str], scenario: Scenario) -> None:
        super().__init__(f"{name} cannot be run:" + "".join(f"\n  - {fault}" for fault in faults))
        self.faults, self.scenario = faults, scenario


def check_scenario(scenario: object, name: str = "scenario") -> Scenario:
    """Return ``scenario`` if it can be run.

    Args:
        scenario: what a builder returned.
        name: of the scenario, for messages.

    Raises:
        InputError: no scenario, or a :class:`FaultyScenario` listing every fault: shapes, types, NaN, labels out of range, test
            samples among the training samples.
    """
    if not isinstance(scenario, Scenario):
        raise InputError(f"{name} must return a scenarios.Scenario, got {type(scenario).__name__}")
    faults = list(_faults(scenario))
    if faults:
        raise FaultyScenario(name, faults, scenario)
    return scenario


def _faults(scenario: Scenario) -> Iterator[str]:
    kinds = list(kind_faults(scenario))
    yield from kinds
    if scenario.setting not in ("domain", "class", "task"):
        yield f"setting must be domain, class or task, got {scenario.setting!r}"
    if kinds:
        return
    names = [task.name for task in scenario.all_tasks]
    if len(set(names)) < len(names):
        yield f"task names must differ, got {names}"
    shapes = list(shape_faults(scenario))
    yield from shapes
    if shapes:
        return
    yield from description_faults(scenario)
    yield from _blur_faults(scenario)
    yield from _heads_faults(scenario)
    yield from operator_faults(scenario)
    for task in _different(scenario.all_tasks):
        yield from value_faults(scenario, task)
    if not scenario.test_is_train:
        yield from _leaks(scenario)
    yield from _domain_faults(scenario)
    yield from _target_faults(scenario)


def _different(tasks: Iterable[Task]) -> list[Task]:
    """Return the tasks without later visits of the same data: what is wrong with these is said once."""
    return list({(*map(id, (*task.train, *task.test)), task.active): task for task in reversed(list(tasks))}.values())[::-1]


def _blur_faults(scenario: Scenario) -> Iterator[str]:
    if isinstance(scenario.blur, bool) or not isinstance(scenario.blur, int | float) or not 0 <= scenario.blur <= 1:
        yield f"blur must be a number from 0 to 1, got {scenario.blur!r}"


def _heads_faults(scenario: Scenario) -> Iterator[str]:
    tasks = scenario.all_tasks
    named = [task.name for task in tasks if task.active is not None]
    if scenario.setting == "task" and len(named) < len(tasks):
        yield "setting='task' means that each task has outputs of its own: give active=(...) to every task"
    if scenario.setting != "task" and named:
        yield "tasks name their active outputs, which gives the task away at test time: say setting='task'"


def _domain_faults(scenario: Scenario) -> Iterator[str]:
    if scenario.domain is None:
        return
    try:
        ranges = [(float(low), float(high)) for low, high in scenario.domain]
        if any(isinstance(end, str) for pair in scenario.domain for end in pair):
            raise TypeError
    except (TypeError, ValueError, OverflowError):
        yield f"domain must be one (low, high) per input, got {scenario.domain!r}"
        return
    if len(ranges) != scenario.inputs:
        yield f"domain has {len(ranges)} ranges for {scenario.inputs} inputs; give one (low, high) per input"
    elif any(not -math.inf < low < high < math.inf for low, high in ranges):
        yield f"domain needs finite low < high for every input, got {scenario.domain}"
    else:
        low, high = torch.tensor(ranges, dtype=torch.float64).unbind(1)
        slack = 1e-6 * (high - low)
        low, high = low - slack, high + slack
        for task in _different(scenario.all_tasks):
            inputs = (task.train[0], task.test[0])
            if all(bool(((x.amin(0) >= low) & (x.amax(0) <= high)).all()) for x in inputs):
                continue  # the usual case, without a copy of the data
            outside = sum(int(((x < low) | (x > high)).any(1).sum()) for x in inputs)
            if outside:
                count = sum(map(len, inputs))
                yield f"task {task.name!r}: {outside} of {count} samples lie outside the domain; widen it, or leave it out"


def _target_faults(scenario: Scenario) -> Iterator[str]:
    if scenario.target is None or scenario.inputs != 1:
        return
    x = scenario.tasks[0].train[0][:3]
    try:
        y = scenario.target(x)
    except BaseException as error:  # the user's own code
        if is_interrupt(error):
            raise
        yield f"target failed on inputs of shape {tuple(x.shape)}: {one_line(error)}"
        return
    if not isinstance(y, Tensor) or tuple(y.shape) != (len(x), scenario.outputs):
        shape = tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__
        yield f"target must return a tensor of shape {(len(x), scenario.outputs)} for inputs {tuple(x.shape)}, got {shape}"


def _leaks(scenario: Scenario) -> Iterator[str]:
    known = {row for task in _different(scenario.all_tasks) for row in rows_of(task.train[0])}
    for task in _different(scenario.tasks):
        shared = sum(row in known for row in rows_of(task.test[0]))
        if shared:
            yield (
                f"task {task.name!r}: {shared} of {len(task.test[0])} test samples are also training samples, of this task or "
                "another; separate them, or say test_is_train=True"
            )
