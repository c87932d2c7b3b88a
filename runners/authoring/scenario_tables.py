"""What ``kancl scenario show`` prints: a scenario's facts, its tasks, and how far they overlap."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from runners.report.numbers import count, fixed, span
from runners.report.sheet import Column, Sheet, Value, Words
from scenarios import Scenario, Task
from scenarios.objectives import OBJECTIVES, best_constant

NAMED = 6
"""Classes or output units that are named one by one."""
CROWD = 12
"""Tasks up to which overlaps are printed pair by pair."""

FIRST, LAST = 40, 10
"""Rows of a table of tasks: where there are more tasks, those between are counted."""


def facts(scenario: Scenario, options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what can be said in a line each, with its name."""
    yield "options", ", ".join(f"{key}={value}" for key, value in options.items()) or "none"
    yield "loss", f"{scenario.loss}, scored by {', '.join(OBJECTIVES[scenario.loss].scores)}"
    yield "setting", f"{scenario.setting}-incremental"
    inputs = str(scenario.inputs)
    if scenario.image_shape is not None:
        inputs += f", pictures of {' x '.join(map(str, scenario.image_shape))}"
    low, high = scenario.input_range()
    yield "inputs", f"{inputs}, {span(float(low.min()), float(high.max()))}"
    yield "outputs", str(scenario.outputs)
    if scenario.operator is not None:
        yield "trained", f"an operator of the network, {scenario.tasks[0].train[1].shape[1]} values for each sample"
    if scenario.test_is_train:
        yield "tests", "the training samples, on purpose"
    if scenario.blur:
        yield "blur", f"{scenario.blur:g}"
    if scenario.pretrain:
        yield "pretrain", f"{', '.join(task.name for task in scenario.pretrain)}; learned together before, never scored"
    for name, checksum in scenario.files.items():
        yield "file", f"{name}  sha256 {checksum}"


def facts_sheet(scenario: Scenario, options: Mapping[str, Any]) -> Sheet:
    """Return the facts, a row each."""
    rows = tuple((Words(name, strong=True), value) for name, value in facts(scenario, options))
    return Sheet("", (Column("", fold=False), Column("")), rows)


def tasks_sheet(scenario: Scenario) -> Sheet:
    """Return a row for each task, those of pretraining first; of very many, the first and the last ones."""
    score = next(iter(OBJECTIVES[scenario.loss].scores))
    classes = scenario.loss == "cross-entropy"
    heads = any(task.active is not None for task in scenario.tasks)
    columns = (
        Column("", align="right"),
        Column("task"),
        Column("train", "count", "right"),
        Column("test", "count", "right"),
        Column("classes" if classes else "targets"),
        *([Column("active outputs")] if heads else []),
        Column(f"null {score}", "four digits", "right"),
    )
    lines: list[tuple[Value, ...]] = []
    rows = [("pre", task) for task in scenario.pretrain] + [(str(n), task) for n, task in enumerate(scenario.tasks, 1)]
    left_out = range(FIRST, len(rows) - LAST)
    for place, (number, task) in enumerate(rows):
        if place in left_out:
            if place == FIRST:
                lines.append(("…", f"{count(len(left_out))} more", *[""] * (len(columns) - 2)))
            continue
        targets = _classes(task) if classes else _range(task, scenario.operator is not None)
        active = [_numbers(task.active) if task.active is not None else "all"] if heads else []
        samples = len(task.train[0]), len(task.test[0])
        lines.append((number, task.name, *samples, targets, *active, null_score(scenario, task)))
    return Sheet("", columns, tuple(lines))


def null_note(scenario: Scenario) -> str:
    """Return what the last column of the table of tasks means."""
    score = next(iter(OBJECTIVES[scenario.loss].scores))
    fitted = "training" if scenario.operator is None else "test"
    return f"null {score}: what the best constant predictor, fitted to the {fitted} targets, reaches on the test samples"


def overlap_note(name: str, overlap: Tensor) -> str:
    """Return what one overlap of the tasks' input distributions is, and its mean over pairs of tasks."""
    apart = overlap[~torch.eye(len(overlap), dtype=torch.bool)]
    mean = f", mean over pairs {fixed(float(apart.mean()), 3)}" if len(apart) else ""
    return f"{name} overlap of the tasks' inputs, 0 (apart) to 1 (the same){mean}"


def overlap_sheet(overlap: Tensor) -> Sheet:
    """Return the overlap of every pair of tasks; nothing where these are too many to be read."""
    if len(overlap) > CROWD:
        return Sheet("", (), ())
    heads = (str(number) for number in range(1, len(overlap) + 1))
    columns = (Column("", align="right"), *(Column(head, "hundredths", "right") for head in heads))
    return Sheet("", columns, tuple((str(number), *row) for number, row in enumerate(overlap.tolist(), 1)))


def null_score(scenario: Scenario, task: Task) -> float:
    """Return what the best constant output, fitted to the task's training targets, scores on its test samples.

    Where an operator of the network is trained, training targets are no outputs: the constant is fitted to the test targets.
    """
    (_, fitted), (_, tested) = (task.train if scenario.operator is None else task.test), task.test
    outputs = scenario.outputs or 0
    constant = best_constant(scenario.loss, fitted, outputs).to(torch.float64).expand(1, len(tested), -1)
    mask = None
    if task.active is not None:
        mask = torch.zeros(constant.shape, dtype=torch.bool)
        mask[..., list(task.active)] = True
    score = next(iter(OBJECTIVES[scenario.loss].scores.values()))
    return float(score.compute(constant, tested[None] if scenario.loss != "mse" else tested[None].double(), mask))


def _classes(task: Task) -> str:
    trained, tested = (set(part[1].unique().tolist()) for part in (task.train, task.test))
    unseen = f", only in test: {_numbers(tuple(sorted(tested - trained)))}" if tested - trained else ""
    return _numbers(tuple(sorted(trained))) + unseen


def _range(task: Task, operator: bool) -> str:
    """Return the range of what the network gives; where an operator of it is trained, the training targets are none of that."""
    y = task.test[1] if operator else torch.cat([task.train[1], task.test[1]])
    return span(float(y.min()), float(y.max()))


def _numbers(values: tuple[int, ...]) -> str:
    if len(values) > NAMED and values == tuple(range(values[0], values[-1] + 1)):
        return f"{values[0]} to {values[-1]}"
    shown = " ".join(map(str, values[:NAMED]))
    return shown if len(values) <= NAMED else f"{shown} ... ({len(values)})"
