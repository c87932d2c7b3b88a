"""A finished cell as it is read back: what was asked for, what came of it, and what it is called."""

from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np

from runners.choices.tuned import Tuning, labels_of_all
from runners.config.cell import Cell
from runners.measure.merge import pick
from runners.measure.result import Result

Key = TypeVar("Key", bound=Hashable)
Thing = TypeVar("Thing")

COSTS = ("parameters", "active", "flops", "step_flops", "step_seconds")
"""What a cell costs per network, as :class:`runners.measure.result.Result` names it."""

LABELS = ["scenario", "architecture", "strategy", "policy"]


@dataclass(frozen=True)
class Entry:
    """A finished cell with its result; ``labels`` tell it from every other cell of its experiment.

    Args:
        cell: the cell; of several that were tuned together, one with the seeds of all.
        result: of all seeds.
        labels: scenario, architecture, strategy and policy.
        tuning: how what was tuned was chosen, if anything was.
        parts: the stored cells that are read as one; the cell alone if there are none.
        also: what the policy's label says beside the policy, where labels would be those of another cell.
    """

    cell: Cell
    result: Result
    labels: dict[str, str]
    tuning: Tuning | None = None
    parts: tuple[Cell, ...] = ()
    also: tuple[str, ...] = ()

    @property
    def stored(self) -> tuple[Cell, ...]:
        """The cells as they are stored."""
        return self.parts or (self.cell,)

    @property
    def keys(self) -> dict[int, str]:
        """The key of the stored cell of every seed."""
        return {seed: part.key for part in self.stored for seed in part.seeds}

    @property
    def key(self) -> str:
        """The keys of the stored cells, with spaces between them."""
        return " ".join(part.key for part in self.stored)

    def of_seeds(self, seeds: Collection[int]) -> "Entry":
        """Return the entry with some of its seeds, in their order."""
        own = tuple(seed for seed in self.cell.seeds if seed in seeds)
        if own == self.cell.seeds:
            return self
        parts = tuple(part for part in self.stored if not set(part.seeds).isdisjoint(own))
        return replace(self, cell=replace(self.cell, seeds=own), result=pick(self.result, own), parts=parts)

    @property
    def alive(self) -> np.ndarray:
        """Which seeds never gave a value that is not finite."""
        return self.result.alive

    @property
    def strategy(self) -> str:
        """The strategy's label with the remarks on its result, e.g. ``avalanche:mir (equals naive)``."""
        return " ".join([self.labels["strategy"], *(f"({remark})" for remark in self.result.remarks)])

    @property
    def rate(self) -> str:
        """The learning rate as the policy's label says it; of several cells all of them: ``lr=tuned(0.003, 0.01)``."""
        return labels_of_all([{"rate": f"lr={part.policy.lr:g}"} for part in self.stored])["rate"]

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the policy's label but for the learning rate, which may be tuned for every cell."""
        return (*self.cell.policy.words(without="lr"), *self.also)

    def metrics(self) -> dict[str, np.ndarray]:
        """Return every metric of the main score per seed; NaN for diverged seeds, and where the strategy gives it no sense."""
        return dict(self._metrics)

    @cached_property
    def _metrics(self) -> dict[str, np.ndarray]:
        return self.result.per_seed()


def grouped(things: Iterable[Thing], key: Callable[[Thing], Key]) -> dict[Key, list[Thing]]:
    """Return things by what ``key`` says of them; groups and things in the order in which they come.

    >>> grouped(["kan", "mlp", "kaf"], lambda name: name[0])
    {'k': ['kan', 'kaf'], 'm': ['mlp']}
    """
    found: dict[Key, list[Thing]] = {}
    for thing in things:
        found.setdefault(key(thing), []).append(thing)
    return found
