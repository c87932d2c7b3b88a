"""What is asked of ``Scenario.operator``, found out by applying it to a small smooth function."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from kancl.errors import is_interrupt, one_line
from scenarios.task import Operator, Scenario

POINTS = 16
"""Training samples per task that an operator is tried on, evenly spaced."""


def operator_faults(scenario: Scenario) -> Iterator[str]:
    """Yield what is wrong with a scenario's operator and its training targets; nothing if there is no operator."""
    operator = scenario.operator
    if operator is None:
        return
    if scenario.loss != "mse":
        yield f"an operator's values are numbers that are to be met: its loss must be 'mse', got {scenario.loss!r}"
        return
    if scenario.setting == "task":
        yield "setting='task' masks outputs, which an operator's values cannot be matched with: let all tasks share the outputs"
        return
    for task in scenario.all_tasks:
        x, y = task.train
        fault = _fault(operator, x, scenario.outputs or 0, y.shape[1])
        if fault:
            yield f"task {task.name!r}: {fault}"
            return


def same_operator(one: Scenario, other: Scenario) -> bool:
    """Tell whether two seeds' operators give the same values on the first seed's samples; also where neither has one."""
    if one.operator is None or other.operator is None:
        return one.operator is other.operator
    samples = [(task.train[0], one.outputs or 0) for task in one.tasks]
    return all(torch.equal(_trial(one.operator, *given)[0], _trial(other.operator, *given)[0]) for given in samples)


def _fault(operator: Operator, x: Float[Tensor, "N I"], outputs: int, columns: int) -> str | None:
    try:
        values, weights = _trial(operator, x, outputs)
        reached = torch.autograd.grad(values[0].sum(), weights)[0] if isinstance(values, Tensor) else weights
    except BaseException as error:  # the user's own code, and what it gives may be no part of a graph
        if is_interrupt(error):
            raise
        return (
            f"the operator failed on a smooth function: {one_line(error)}; it must give values that can be "
            "differentiated in the function's parameters (create_graph=True; see scenarios/tools/differential.py)"
        )
    shape = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
    points = min(POINTS, len(x))
    if shape != (2, points, columns):
        return (
            f"the operator must return as many numbers as a training target has, (2, {points}, {columns}) for inputs "
            f"{(2, points, x.shape[1])}, got {shape}"
        )
    if not bool(values.isfinite().all()):
        return "the operator gives NaN or infinity for a smooth function"
    if bool(reached[1].any()):
        return "the operator's values of one seed depend on the function of another seed"
    return None


def _trial(operator: Operator, x: Float[Tensor, "N I"], outputs: int) -> tuple[Tensor, Tensor]:
    """Return what the operator gives for u_o(x) = sin(sum_i w_io x_i), two seeds of it, and the parameters w (2, I, O)."""
    inputs = x.shape[1]
    weights = torch.linspace(0.5, 1.5, 2 * inputs * outputs, dtype=x.dtype).view(2, inputs, outputs).requires_grad_()
    with torch.enable_grad():
        points = x[torch.linspace(0, len(x) - 1, min(POINTS, len(x))).round().long()]
        return operator(lambda z: torch.sin(z @ weights), points.expand(2, -1, -1)), weights
