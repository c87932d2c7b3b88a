"""Where the tasks of `overlap-dial` lie: blocks of a cube whose masses say exactly what any two tasks share."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kancl.errors import InputError

MAX_DIMS = 16
ROUNDING = 1e-9
"""Overlaps closer than this are equal."""


@dataclass(frozen=True)
class Layout:
    """Where the tasks' inputs lie: blocks of [-1, 1]^dims and each task's mass in them; see
    :func:`scenarios.regression.overlap_dial.overlap_dial`.

    Args:
        dims: D.
        shared: mass of every task in A^D.
        latin: mass of every task in its cells of B^D.
        private: masses (T, T) of the tasks in the cubes C_1^D ... C_T^D.
        gap: empty length between neighbouring zones of which one is private, in units.
    """

    dims: int
    shared: float
    latin: float
    private: Float[Tensor, "T T"]
    gap: float

    @property
    def tasks(self) -> int:
        """T."""
        return len(self.private)

    @property
    def unit(self) -> float:
        """The length on an axis that one task covers (where no neighbours lie in its cube), so that the zones fill [-1, 1]."""
        common, own = self.shared + self.latin, 1 - self.shared - self.latin
        gaps = 0 if own == 0 else self.tasks if common else self.tasks - 1
        return 2 / (common + self.tasks * own + gaps * self.gap)

    def zones(self) -> tuple[Float[Tensor, "T+2"], Float[Tensor, "T+2"]]:
        """Return the low and the high ends of the zones A, B, C_1 ... C_T on every axis; empty ones have no width."""
        common, own = self.shared + self.latin, 1 - self.shared - self.latin
        places = torch.arange(self.tasks, dtype=torch.float64)
        start = common + (self.gap if common else 0.0)
        cubes = start + places * (own + self.gap)
        low = torch.cat([torch.tensor([0.0, self.shared], dtype=torch.float64), cubes])
        high = torch.cat([torch.tensor([self.shared, common], dtype=torch.float64), cubes + own])
        return self.unit * low - 1, (self.unit * high - 1).clamp(max=1.0)

    def masses(self) -> Float[Tensor, "T T+2"]:
        """Return each task's mass in A^D, in its own cells of B^D, and in the cubes."""
        common = torch.tensor([[self.shared, self.latin]], dtype=torch.float64).expand(self.tasks, 2)
        return torch.cat([common, self.private], 1)

    def draw(self, task: int, count: int, random: torch.Generator) -> Float[Tensor, "N D"]:
        """Draw so many points of a task: a block by its mass, then a point of the block, uniformly."""
        block = torch.multinomial(self.masses()[task], count, replacement=True, generator=random)
        slab = torch.randint(self.tasks, (count, self.dims), generator=random)
        slab[:, -1] = (task - slab[:, :-1].sum(1)) % self.tasks
        place = torch.rand(count, self.dims, generator=random, dtype=torch.float64)
        low, high = (ends[block][:, None] for ends in self.zones())
        in_latin = (block == 1)[:, None]
        return low + (high - low) * torch.where(in_latin, (slab + place) / self.tasks, place)

    def overlap(self) -> dict[str, Float[Tensor, "T T"]]:
        """Return the overlaps of all pairs of tasks: the sum over blocks of the smaller mass, jointly and for one coordinate.

        Only the Latin cells differ: jointly they are each task's own, and every coordinate of them is the same for all.
        """
        cubes = torch.minimum(self.private[:, None], self.private).sum(2)
        latin = self.latin * torch.eye(self.tasks, dtype=torch.float64)
        return {"joint": self.shared + latin + cubes, "marginal": self.shared + self.latin + cubes}


def layout_of(dims: int, tasks: int, joint: float, marginal: float | None, sharpness: float, gap: float) -> Layout:
    """Return where the tasks lie by the options of `overlap-dial`, whose names the arguments have.

    Raises:
        InputError: an option out of its range, or overlaps that no densities have.
    """
    if not 1 <= dims <= MAX_DIMS or tasks < 1 or not 0 <= joint <= 1 or not 0 < sharpness <= 1:
        raise InputError(
            f"needs 1 <= dims <= {MAX_DIMS}, tasks >= 1, 0 <= joint <= 1 and 0 < sharpness <= 1, "
            f"got {dims=}, {tasks=}, {joint=}, {sharpness=}"
        )
    if not 0 <= gap < math.inf:
        raise InputError(f"gap must be a length of at least 0, in lengths that a task covers, got {gap}")
    both = joint if marginal is None else marginal
    if not joint - ROUNDING <= both <= 1:
        raise InputError(
            f"marginal must lie between joint and 1, got {marginal=} and {joint=}: projecting two densities on a coordinate "
            "cannot lower their overlap (data-processing inequality)"
        )
    if dims == 1 and both > joint + ROUNDING:
        raise InputError(f"in one dimension the marginal overlap is the joint one, got {marginal=} and {joint=}; leave it out")
    own = torch.eye(tasks, dtype=torch.float64)
    beside = torch.zeros(tasks, tasks, dtype=torch.float64)
    for number in range(tasks):
        for neighbour in (max(number - 1, 0), min(number + 1, tasks - 1)):
            beside[number, neighbour] += 0.5
    private = (1 - both) * (sharpness * own + (1 - sharpness) * beside)
    return Layout(dims, joint, max(both - joint, 0.0), private, gap)
