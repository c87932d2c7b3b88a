"""Outputs of its own for each task of a regression: the task-incremental setting."""

import torch
from torch import Tensor

from scenarios.task import Task


def head_of(task: Task, number: int, outputs: int) -> Task:
    """Return a task of one output as a task of many whose only active output is its own; the targets of the others are 0 and
    never looked at.

    Args:
        task: a regression of one output.
        number: the task's own output, from 0.
        outputs: how many there are.
    """

    def spread(pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        x, y = pair
        wide = torch.zeros(len(y), outputs, dtype=y.dtype)
        wide[:, number] = y[:, 0]
        return x, wide

    return Task(task.name, spread(task.train), spread(task.test), active=(number,))
