"""Which output units the classes of an avalanche benchmark get, and in which incremental setting they are learned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kancl.errors import InputError
from scenarios.task import Setting

Classes = frozenset[int]


@dataclass(frozen=True)
class Heads:
    """The setting, and for every task its output units: by class (None: classes are units) and those that are active."""

    setting: Setting
    outputs: int
    units: tuple[Mapping[int, int] | None, ...]
    active: tuple[tuple[int, ...] | None, ...]
    told: bool
    """Whether heads were told apart by the benchmark's task labels."""

    def relabelled(self, y: Tensor, task: int) -> Tensor:
        """Return targets of a task as output units; those of a regression as they are."""
        units = self.units[task]
        if units is None:
            return y
        table = torch.full((max(units) + 1,), -1)
        table[list(units)] = torch.tensor(list(units.values()))
        return table[y]


def heads_of(
    train: Sequence[Tensor], test: Sequence[Tensor], labels: Sequence[frozenset[int]], setting: Setting | None
) -> Heads:
    """Return the output units of every task.

    Args:
        train, test: targets of every task, class numbers (N,) or real numbers (N, O).
        labels: the task labels that occur in every task.
        setting: as asked for; None to take it from labels and classes.

    Raises:
        InputError: a setting that these labels or classes do not allow.
    """
    if train[0].is_floating_point():
        if setting in ("class", "task"):
            raise InputError(f"setting={setting!r} needs class numbers as targets; these are real numbers: setting='domain'")
        none = (None,) * len(train)
        return Heads("domain", train[0].shape[1], none, none, told=False)
    classes = [frozenset(torch.cat(pair).unique().tolist()) for pair in zip(train, test, strict=True)]
    differ = len(set(labels)) > 1
    if setting is None:
        setting = "task" if differ else "domain" if len(set(classes)) == 1 else "class"
    if setting == "task":
        return _task_heads(classes, labels, differ)
    if setting == "domain":
        return _domain_heads(classes)
    recur = len(classes) > 1 and len(set(classes)) == 1
    return _own_units(classes, range(len(classes)), "class", told=False) if recur else _as_numbered(classes, "class")


def _task_heads(classes: list[Classes], labels: Sequence[frozenset[int]], differ: bool) -> Heads:
    several = [number for number, found in enumerate(labels) if len(found) > 1]
    if differ and several:
        raise InputError(
            f"experience {several[0]} holds the tasks {sorted(labels[several[0]])}; a task has one head, so its samples need "
            "one task label. Say setting='domain' or 'class' to leave task labels out"
        )
    return _own_units(classes, [min(found) for found in labels] if differ else range(len(classes)), "task", told=differ)


def _domain_heads(classes: list[Classes]) -> Heads:
    if len(set(classes)) == 1:
        return _as_numbered(classes, "domain")
    if not _disjoint(classes):
        raise InputError(
            "setting='domain' needs tasks that have all classes in common, or none: here some classes come back among others, "
            "so a class's place within its task would mean different things; say setting='class'"
        )
    places = tuple({label: place for place, label in enumerate(sorted(found))} for found in classes)
    return Heads("domain", max(map(len, classes)), places, (None,) * len(classes), told=False)


def _as_numbered(classes: list[Classes], setting: Setting) -> Heads:
    none = (None,) * len(classes)
    return Heads(setting, 1 + max(map(max, classes)), none, none, told=False)


def _own_units(classes: list[Classes], keys: Sequence[int], setting: Setting, told: bool) -> Heads:
    """Every key gets a block of units, in order of appearance; in the task setting the block is its head."""
    heads: dict[int, Classes] = {}
    for key, found in zip(keys, classes, strict=True):
        heads[key] = heads.get(key, frozenset()) | found
    units: dict[int, dict[int, int]] = {}
    outputs = 0
    for key, found in heads.items():
        units[key] = {label: outputs + place for place, label in enumerate(sorted(found))}
        outputs += len(found)
    active = tuple(tuple(units[key].values()) if setting == "task" else None for key in keys)
    return Heads(setting, outputs, tuple(units[key] for key in keys), active, told)


def _disjoint(sets: list[Classes]) -> bool:
    return len(frozenset().union(*sets)) == sum(map(len, sets))
