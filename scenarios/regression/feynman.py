"""Equations of physics as tasks."""

from collections import Counter
from typing import Literal

import torch
from torch import Tensor

from kancl.errors import InputError
from kancl.seeding import generator
from kancl.text import near_misses
from scenarios.registry import register
from scenarios.regression.feynman_equations import EQUATIONS, Equation
from scenarios.task import Advice, Scenario, Task
from scenarios.tools.advice import usual_policies
from scenarios.tools.heads import head_of
from scenarios.tools.sampling import draw_apart
from scenarios.tools.sizes import rivals_of_kan

TASKS, VARIABLES = 5, 2
"""How many tasks of how many variables, where nothing is said."""


@register("feynman")
def feynman(
    seed: int,
    equations: tuple[str, ...] = (),
    variables: int | None = None,
    tasks: int | None = None,
    samples: int = 1000,
    test_samples: int = 500,
    setting: Literal["domain", "task"] = "domain",
    task_input: bool = False,
) -> Scenario:
    """Equations of the Feynman Lectures, learned one after another (the Feynman Symbolic Regression Database).

    Each task is one equation of Udrescu and Tegmark, Science Advances 6 (2020), arXiv 1905.11481; every variable is uniform
    on its published range (:mod:`scenarios.regression.feynman_equations`). Inputs are scaled so that this range becomes [-1,
    1]. Targets are standardised by the mean and standard deviation of the task's training targets, so the RMSE is in standard
    deviations and R^2 = 1 - RMSE^2, up to the difference between the variances of training and test samples. An equation with
    fewer variables than another is padded with inputs that do not matter: uniform noise on [-1, 1].

    Equations as tasks are the setting of Lee et al. (AAAI 2025), who compare naive KANs and MLPs with EWC and SI on them.

    Expected: in the domain setting all equations live on the same inputs and share one output, and nothing says which is
    asked for: then only what they have in common can be kept, by any network. The default's I.12.1 and I.14.4 nearly agree
    (their correlation over the inputs is 0.96), I.6.2, I.25.13 and I.26.2 agree in part (0.5 to 0.7) and contradict the
    first two (-0.1 to -0.8). What a network forgets beyond that shows with ``setting=task`` or ``task_input=true``, where
    nothing contradicts anything and a network that keeps tasks apart could keep all.

    On the command line a list is written ``feynman:equations=[I.12.1,II.3.24]``.

    Args:
        equations: names, in the order in which they are learned; if not given, those of ``variables`` variables, in the order
            of the book.
        variables: the number of variables of the equations; 2 if nothing is said.
        tasks: how many of them; 5 if nothing is said.
        samples: training samples of each task.
        test_samples: test samples of each task; none is a training sample of any task.
        setting: ``domain``: one output for all equations; ``task``: an output for each, of which only the task's own is in
            use while it is trained and tested.
        task_input: append to the inputs a one-hot of the task (1 for its own number, 0 for the others), so that the equations
            no longer contradict each other: a control.
    """
    if equations:
        chosen = _named(equations, variables, tasks)
    else:
        chosen = _of_size(VARIABLES if variables is None else variables, TASKS if tasks is None else tasks)
    if samples < 2 or test_samples < 1:
        raise InputError(f"needs samples >= 2 and test_samples >= 1, got {samples=}, {test_samples=}")
    width, count = max(len(equation.ranges) for equation in chosen), len(chosen)
    points = draw_apart([[(-1.0, 1.0)] * width] * count, samples, test_samples, generator(seed, "feynman"))
    learned = []
    for number, equation in enumerate(chosen):
        train, test = _standardised(equation, *points[number])
        if task_input:
            train, test = (_with_one_hot(pair, number, count) for pair in (train, test))
        task = Task(equation.name, train, test)
        learned.append(head_of(task, number, count) if setting == "task" else task)
    extra = count if task_input else 0
    return Scenario(
        tasks=tuple(learned),
        loss="mse",
        setting=setting,
        domain=((-1.0, 1.0),) * width + ((0.0, 1.0),) * extra,
        advice=_advice(width + extra, count if setting == "task" else 1),
    )


def _named(equations: tuple[str, ...], variables: int | None, tasks: int | None) -> list[Equation]:
    if variables is not None or tasks is not None:
        raise InputError(f"equations are given by name, so leave out variables and tasks, got {variables=}, {tasks=}")
    if len(set(equations)) < len(equations):
        raise InputError(f"equations must differ, got {', '.join(equations)}")
    for name in equations:
        if name not in EQUATIONS:
            near = near_misses(name, EQUATIONS)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(EQUATIONS)}"
            raise InputError(f"unknown equation {name!r}; {hint}")
    return [EQUATIONS[name] for name in equations]


def _of_size(variables: int, tasks: int) -> list[Equation]:
    found = [equation for equation in EQUATIONS.values() if len(equation.ranges) == variables]
    if not 1 <= tasks <= len(found):
        sizes = Counter(len(equation.ranges) for equation in EQUATIONS.values())
        listed = ", ".join(f"{count} of {size}" for size, count in sorted(sizes.items()))
        raise InputError(f"{tasks} equations of {variables} variables are asked for; by number of variables there are {listed}")
    return found[:tasks]


def values(equation: Equation, inputs: Tensor) -> Tensor:
    """Return an equation's values (N, 1), float64, for inputs (N, >= V) on [-1, 1]; only its V variables matter."""
    low, high = torch.tensor(list(equation.ranges.values()), dtype=torch.float64).unbind(1)
    share = (inputs[:, : len(low)].double() + 1) / 2
    return equation.formula(low + (high - low) * share)[:, None]


def _standardised(equation: Equation, train: Tensor, test: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    known, fresh = values(equation, train), values(equation, test)
    mean, deviation = known.mean(), known.std(correction=0)
    return (train, ((known - mean) / deviation).float()), (test, ((fresh - mean) / deviation).float())


def _with_one_hot(pair: tuple[Tensor, Tensor], number: int, count: int) -> tuple[Tensor, Tensor]:
    x, y = pair
    which = torch.zeros(len(x), count)
    which[:, number] = 1
    return torch.cat([x, which], 1), y


def _advice(inputs: int, outputs: int) -> Advice:
    """A KAN [I,8,O] with ten intervals on every edge, and rivals of its size."""
    return Advice(
        architectures=rivals_of_kan(
            inputs, outputs, hidden=(8,), intervals=10, base="silu", depth=2, activation="tanh", interpolation="linear"
        ),
        policies=usual_policies(
            adam={"lr": 3e-3, "steps": 2000, "batch_size": 100},
            sgd={"lr": 0.02, "steps": 2000, "batch_size": 100},
            lbfgs=100,
        ),
    )
