"""Tell the author of a scenario everything that is wrong with it, at once."""

import hashlib
import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from kancl.errors import InputError, is_interrupt, one_line
from scenarios.checks.fields import description_faults, kind_faults
from scenarios.checks.operators import operator_faults
from scenarios.task import Scenario, Task, listed

ROWS_AT_ONCE = 4096
FEW = 8
"""Inputs up to which a sample is kept as it is; the digests of a large data set take a hundredth of its memory."""


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
    names = [task.name for task in _all_tasks(scenario)]
    if len(set(names)) < len(names):
        yield f"task names must differ, got {names}"
    shapes = list(_shape_faults(scenario))
    yield from shapes
    if shapes:
        return
    yield from description_faults(scenario)
    yield from _blur_faults(scenario)
    yield from _heads_faults(scenario)
    yield from operator_faults(scenario)
    for task in _different(_all_tasks(scenario)):
        yield from _value_faults(scenario, task)
    if not scenario.test_is_train:
        yield from _leaks(scenario)
    yield from _domain_faults(scenario)
    yield from _target_faults(scenario)


def _all_tasks(scenario: Scenario) -> tuple[Task, ...]:
    return (*scenario.pretrain, *scenario.tasks)


def _different(tasks: Iterable[Task]) -> list[Task]:
    """Return the tasks without later visits of the same data: what is wrong with these is said once."""
    return list({(*map(id, (*task.train, *task.test)), task.active): task for task in reversed(list(tasks))}.values())[::-1]


def _blur_faults(scenario: Scenario) -> Iterator[str]:
    if isinstance(scenario.blur, bool) or not isinstance(scenario.blur, int | float) or not 0 <= scenario.blur <= 1:
        yield f"blur must be a number from 0 to 1, got {scenario.blur!r}"


def _heads_faults(scenario: Scenario) -> Iterator[str]:
    tasks = _all_tasks(scenario)
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
        for task in _different(_all_tasks(scenario)):
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
    known = {row for task in _different(_all_tasks(scenario)) for row in rows_of(task.train[0])}
    for task in _different(scenario.tasks):
        shared = sum(row in known for row in rows_of(task.test[0]))
        if shared:
            yield (
                f"task {task.name!r}: {shared} of {len(task.test[0])} test samples are also training samples, of this task or "
                "another; separate them, or say test_is_train=True"
            )


def _shape_faults(scenario: Scenario) -> Iterator[str]:
    classes = scenario.loss == "cross-entropy"
    inputs = next((task.train[0].shape[1] for task in scenario.tasks if task.train[0].ndim == 2), 0)
    for task in _all_tasks(scenario):
        for part in ("train", "test"):
            x, y = getattr(task, part)
            where = f"task {task.name!r}, {part}"
            if x.ndim == 0 or y.ndim == 0:
                yield f"{where}: expected arrays of samples, got single numbers"
                continue
            if x.ndim != 2 or not x.is_floating_point():
                yield f"{where}: inputs must be real numbers of shape (N, I), got {_describe(x)}{_input_remedy(x)}"
            elif len(x) == 0:
                yield f"{where}: there are no samples"
            elif x.shape[1] == 0:
                yield f"{where}: inputs have no column; give every sample one number or more"
            elif x.shape[1] != inputs:
                yield f"{where}: inputs have {x.shape[1]} columns, those of the first task {inputs}"
            if classes and (y.ndim != 1 or y.is_floating_point()):
                yield f"{where}: targets must be class numbers of shape (N,), got {_describe(y)}{_class_remedy(y)}"
            elif not classes:
                columns = "R" if part == "train" and scenario.operator is not None else scenario.outputs  # R: see operators.py
                if y.ndim != 2 or not y.is_floating_point() or columns not in ("R", y.shape[1]):
                    wanted = f"real numbers of shape (N, {columns})"
                    yield f"{where}: targets must be {wanted}, got {_describe(y)}{_target_remedy(y)}"
            if len(x) != len(y):
                yield f"{where}: {len(x)} inputs but {len(y)} targets; give every input one target"


def _input_remedy(x: Tensor) -> str:
    """Return what to write instead of inputs that were given in another form."""
    if x.ndim > 2:
        return "; give each sample as one row: x.reshape(len(x), -1)"
    if x.ndim == 1:
        return "; give a single input as a column: x.reshape(-1, 1)"
    return "; give whole numbers as real ones, e.g. pixels as x / 255 and counts as x * 1.0"


def _class_remedy(y: Tensor) -> str:
    if y.ndim == 2 and y.shape[1] == 1:
        return "; give y.reshape(-1)"
    if y.ndim == 2 and len(y) and bool(((y != 0).sum(1) == 1).all()):
        return "; they look one-hot: give y.argmax(1)"
    if y.ndim == 1 and bool((y == y.floor()).all()):
        return "; give y.astype(int), of a tensor y.long()"
    return "; one class a sample is what cross-entropy is for: targets of another kind are learned with loss='mse'"


def _target_remedy(y: Tensor) -> str:
    if y.ndim == 1:
        return "; give a single output as a column: y.reshape(-1, 1)" + ("" if y.is_floating_point() else " * 1.0")
    return "" if y.is_floating_point() else "; give whole numbers as real ones: y * 1.0"


def _value_faults(scenario: Scenario, task: Task) -> Iterator[str]:
    outputs = scenario.outputs or 0
    active = task.active
    if active is not None and (not active or len(set(active)) < len(active) or not 0 <= min(active) <= max(active) < outputs):
        yield f"task {task.name!r}: active must name different output units below {outputs}, got {task.active}"
        return
    for part in ("train", "test"):
        x, y = getattr(task, part)
        where = f"task {task.name!r}, {part}"
        if not all(bool(end.isfinite()) for end in x.aminmax()):  # NaN is its own extreme
            yield f"{where}: inputs hold NaN or infinity in {_broken(x)} samples; leave these out, or fill them in"
        if scenario.loss == "mse":
            if not bool(y.isfinite().all()):
                yield f"{where}: targets hold NaN or infinity in {_broken(y)} samples; leave these out"
        else:
            labels = y.unique().tolist()
            wrong = [label for label in labels if (label not in active if active is not None else not 0 <= label < outputs)]
            if wrong:
                units = f"active output units {listed(active)}" if active is not None else f"{outputs} output units from 0"
                ids = min(wrong) < 0 or max(wrong) >= outputs
                remedy = "; leave samples without a label out, or number the labels by scenarios.remap" if ids else ""
                yield f"{where}: labels {listed(wrong)} are not among the {units}{remedy}"


def _broken(values: Tensor) -> str:
    return f"{int((~values.isfinite()).any(1).sum())} of {len(values)}"


def rows_of(x: Tensor) -> Iterator[bytes]:
    """Yield what tells a sample from every other: its numbers, or a digest of them where they are many."""
    for part in x.detach().split(ROWS_AT_ONCE):
        for row in (part.to(torch.float64) + 0.0).numpy():  # + 0.0: -0.0 is 0.0
            numbers = row.tobytes()
            yield numbers if len(row) <= FEW else hashlib.blake2b(numbers, digest_size=16).digest()


def _describe(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)}"
