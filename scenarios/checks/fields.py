"""Whether the fields of a scenario are of the kinds that :class:`scenarios.Scenario` names."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields
from numbers import Integral

from torch import Tensor

from scenarios.objectives import OBJECTIVES
from scenarios.task import MOST_OUTPUTS, Advice, Scenario, Task


def kind_faults(scenario: Scenario) -> Iterator[str]:
    """Yield what is wrong with fields that everything else builds on; the tasks' tensors may be of any shape."""
    if scenario.loss not in tuple(OBJECTIVES):
        yield f"loss must be one of {', '.join(OBJECTIVES)}, got {scenario.loss!r}"
    if not scenario.tasks:
        yield "it has no task; give at least one"
    for what in ("tasks", "pretrain"):
        strangers = [type(task).__name__ for task in getattr(scenario, what) if not isinstance(task, Task)]
        if strangers:
            yield f"{what} must be scenarios.Task objects, got {', '.join(strangers)}"
            return
    unnamed = [task.name for task in scenario.all_tasks if not isinstance(task.name, str)]
    if unnamed:
        yield f"task names must be texts, got {', '.join(map(repr, unnamed))}"
    outputs: object = scenario.outputs
    if scenario.tasks and not (isinstance(outputs, Integral) and int(outputs) >= 1):
        yield f"outputs must be a whole number of at least 1, got {outputs!r}"
    elif isinstance(outputs, Integral) and int(outputs) > MOST_OUTPUTS:
        yield f"outputs must be at most {MOST_OUTPUTS:,}, got {int(outputs):,}; scenarios.remap numbers labels that are ids"
    yield from _advice_faults(scenario.advice)
    if not _maps_to(scenario.files, str):
        yield f"files must give a SHA-256 as text for every file's name, got {scenario.files!r}"


def description_faults(scenario: Scenario) -> Iterator[str]:
    """Yield what is wrong with fields that describe a scenario whose tasks have the right shapes."""
    count, shape = len(scenario.tasks), scenario.image_shape
    if shape is not None:
        numbers = isinstance(shape, tuple | list) and len(shape) in (2, 3) and all(isinstance(size, int) for size in shape)
        if not numbers or min(shape) < 1 or math.prod(shape) != scenario.inputs:
            yield (
                f"image_shape must be (height, width) or (height, width, channels) with as many numbers as the "
                f"{scenario.inputs} inputs, got {shape!r}"
            )
    if not _maps_to(scenario.overlap, Tensor) or any(table.shape != (count, count) for table in scenario.overlap.values()):
        yield f"overlap must give a tensor of shape {(count, count)}, tasks by tasks, for every name"


def _advice_faults(advice: object) -> Iterator[str]:
    if not isinstance(advice, Advice):
        yield f"advice must be a scenarios.Advice, got {type(advice).__name__}"
        return
    for field in fields(advice):
        given = getattr(advice, field.name)
        fits = _maps_to(given, str if field.name == "optimizers" else Mapping)
        if not fits or (field.name == "own_policies" and not all(_maps_to(own, Mapping) for own in given.values())):
            yield f"advice: {field.name} is not of the form that scenarios.Advice describes, got {given!r}"


def _maps_to(given: object, kind: type) -> bool:
    return isinstance(given, Mapping) and all(isinstance(value, kind) for value in given.values())
