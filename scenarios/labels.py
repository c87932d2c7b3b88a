"""Class labels as output units: a network has one for every number up to the largest label, so ids are renumbered first."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from kancl.errors import InputError
from scenarios.arrays import as_tensor
from scenarios.task import Task, listed


def remap(tasks: Iterable[Task], ids: Any = None) -> tuple[Task, ...]:
    """Return tasks whose labels are 0, 1, 2, ... in place of ids such as 4711 or -1, the same number for one id everywhere.

    ``active`` of a task, which names the ids of its head, is renumbered with them.

    Args:
        tasks: of a classification; those of pretraining belong in the same call.
        ids: all ids in the order of their output units; those that occur in the tasks, sorted, if not given. Give them where
            the seed draws which classes there are, so that an id has the same unit for every seed.

    Raises:
        InputError: an id of a task that is not in ``ids``, one that is there twice, or targets that are no labels.

    >>> tasks = [Task("a", train=([[0.0], [1.0]], [4711, 42]), test=([[0.5]], [42]))]
    >>> remap(tasks)[0].train[1].tolist(), remap(tasks, ids=[42, 43, 4711])[0].train[1].tolist()
    ([1, 0], [2, 0])
    """
    tasks = tuple(tasks)
    strangers = [type(task).__name__ for task in tasks if not isinstance(task, Task)]
    if strangers:
        raise InputError(f"remap takes scenarios.Task objects, got {listed(strangers)}")
    for task in tasks:
        if any(y.ndim != 1 or y.is_floating_point() for _, y in (task.train, task.test)):
            raise InputError(f"task {task.name!r}: remap takes labels, whole numbers of shape (N,)")
    used = sorted({label for task in tasks for _, y in (task.train, task.test) for label in y.unique().tolist()})
    known = used if ids is None else as_tensor(ids, "ids").tolist()
    units = {label: unit for unit, label in enumerate(known)}
    if len(units) < len(known):
        raise InputError(f"ids must differ, got {listed([label for label in units if known.count(label) > 1])} more than once")
    unknown = [label for label in {*used, *(unit for task in tasks for unit in task.active or ())} if label not in units]
    if unknown:
        raise InputError(f"labels {listed(sorted(unknown))} are not among the {len(units)} ids; give all of them")
    return tuple(_remapped(task, units) for task in tasks)


def _remapped(task: Task, units: dict[int, int]) -> Task:
    known = torch.tensor(sorted(units))
    places = torch.tensor([units[label] for label in sorted(units)])

    def renumbered(pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        x, y = pair
        return x, places[torch.searchsorted(known, y)]

    active = None if task.active is None else tuple(units[label] for label in task.active)
    return replace(task, train=renumbered(task.train), test=renumbered(task.test), active=active)
