"""Tasks of your own: two scenarios to start from, one with numbers and one with classes for targets.

A scenario is a function that returns an ordered sequence of tasks. Its arguments are its options, so each needs a type and a
default; ``seed`` is filled in by kancl and must determine every number that is drawn. The first line of a docstring is what
``kancl list`` and ``kancl scenario show`` print.
"""

import torch
from torch import Tensor

from kancl.seeding import generator
from scenarios import Advice, Scenario, Task


def my_scenario(
    seed: int,
    tasks: int = 4,
    samples: int = 200,
    noise: float = 0.02,
) -> Scenario:
    """One wave on [0, 1], learned piece by piece from left to right.

    Args:
        tasks: number of pieces.
        samples: training samples of each task.
        noise: standard deviation of the noise on the training targets.
    """

    def wave(x: Tensor) -> Tensor:
        return torch.sin(6.0 * torch.pi * x) + x

    def task(number: int) -> Task:
        # A generator is named by the seed and a purpose: every task has one of its own, and none depends on another's draws.
        random = generator(seed, "my_scenario", number)
        # Inputs (N, I) and targets (N, O). Test samples are drawn anew: a score on training samples says nothing of what was
        # learned. Leave the test targets without noise, and scale inputs and targets to about one.
        x, fresh = ((number + torch.rand(samples, 1, generator=random)) / tasks for _ in range(2))
        y = wave(x) + noise * torch.randn(samples, 1, generator=random)
        return Task(f"piece {number + 1}", train=(x, y), test=(fresh, wave(fresh)))

    return Scenario(
        tuple(task(number) for number in range(tasks)),
        loss="mse",  # scored by RMSE
        domain=((0.0, 1.0),),  # the range of every input, for grids; taken from the samples if left out
        target=wave,  # of one input only: figures show it beside what was learned
        # What suits these tasks where the command line says nothing; all of it may be left out.
        advice=Advice(
            architectures={"kan": {"hidden": (5,), "intervals": 20}, "mlp": {"hidden": (32, 32), "activation": "tanh"}},
            policies={"adam": {"lr": 0.01, "steps": 500}},
        ),
    )


def my_scenario_classes(
    seed: int,
    tasks: int = 3,
    samples: int = 100,
    spread: float = 0.25,
) -> Scenario:
    """Two new clouds of points in the plane with every task, each a class of its own.

    Args:
        tasks: number of tasks.
        samples: training samples of each class; as many again are test samples.
        spread: standard deviation of a cloud.
    """
    classes = 2 * tasks

    def cloud(label: int) -> Tensor:
        angle = torch.tensor(2 * torch.pi * label / classes)
        centre = torch.stack((angle.cos(), angle.sin()))
        random = generator(seed, "my_scenario_classes", label)
        return centre + spread * torch.randn(2 * samples, 2, generator=random)

    def task(number: int) -> Task:
        labels = (2 * number, 2 * number + 1)
        clouds = [cloud(label) for label in labels]
        # Targets are class numbers (N,), counted from 0 over all tasks.
        y = torch.tensor(labels).repeat_interleave(samples)
        return Task(
            f"classes {labels[0]} and {labels[1]}",
            train=(torch.cat([points[:samples] for points in clouds]), y),
            test=(torch.cat([points[samples:] for points in clouds]), y),
        )

    return Scenario(
        tuple(task(number) for number in range(tasks)),
        loss="cross-entropy",  # scored by accuracy
        # What changes from task to task: "class", the set of classes, under one head with an output for each; "domain", the
        # inputs, with the same classes in every task; "task": as "class", but every Task says active=(...), its own outputs.
        setting="class",
        advice=Advice(
            architectures={"kan": {"hidden": (8,), "intervals": 5}, "mlp": {"hidden": (60,)}},
            policies={"adam": {"lr": 0.01, "steps": 200}},
        ),
    )
