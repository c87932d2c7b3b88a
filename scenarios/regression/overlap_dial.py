"""Regression with a dial for what the tasks share: of their inputs jointly, of every single input, and of their targets."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from kancl.errors import InputError
from kancl.seeding import generator
from scenarios.registry import register
from scenarios.task import Advice, Scenario, Task
from scenarios.tools.advice import usual_policies
from scenarios.tools.sampling import apart
from scenarios.tools.sizes import rivals_of_kan

MAX_DIMS = 16
FEATURES = 64
"""Cosines whose sum is a target; with a few dozen of them its values are nearly normal."""
ROUNDING = 1e-9
"""Overlaps closer than this are equal."""


@register("overlap-dial")
def overlap_dial(
    seed: int,
    dims: int = 2,
    tasks: int = 5,
    samples: int = 2000,
    joint: float = 0.0,
    marginal: float | None = None,
    conflict: float = 1.0,
    sharpness: float = 1.0,
    gap: float = 0.0,
    roughness: float = 0.5,
    form: Literal["smooth", "additive"] = "smooth",
    order: Literal["as-laid", "reversed", "random"] = "as-laid",
    noise: float = 0.0,
) -> Scenario:
    """Regression with dials for the overlap of the tasks, jointly and per input, and for the conflict of their targets.

    The overlap of two densities p and q is the integral of min(p, q), 0 to 1. Each task's density is constant on a few blocks
    of [-1, 1]^dims that have no point in common with one another, so every overlap is a finite sum (``Scenario.overlap``).
    Every axis is cut into zones A, B and C_1 ... C_T, and a task's inputs lie

    - with the share ``joint`` in A^dims, the same block for all tasks;
    - with the share ``marginal - joint`` in its cells of B^dims: B is cut into T slabs on every axis, and the cells whose slab
      numbers add up to t modulo T are task t's (a Latin square in two dimensions). Each coordinate alone, and indeed any
      dims - 1 of them, are uniform on B for every task, though no point is in two tasks' cells;
    - with the share ``1 - marginal`` in C_t^dims, a cube of its own on the diagonal.

    Hence the two overlaps are what the options say. A projection cannot lower an overlap (data-processing inequality), so
    marginal >= joint; in one dimension they are the same.

    Task t's target is sqrt(1 - conflict) f + sqrt(conflict) g_t, with f and g_t drawn independently of each other: random
    Fourier features of a Gaussian kernel (Rahimi and Recht 2007), mean 0 and variance 1 at every point over the draws, so that
    1 - conflict is the correlation of two tasks' targets at one input.

    What else moves with the dial: the less the tasks share, the more room they need together, and the axes are finite. Zone
    widths are proportional to one task's mass, so that each task's coordinates always have one density over one length,
    2 / (marginal + T (1 - marginal)) without gaps, and the targets are as rough per that length; what a task asks for is thus
    about the same at every position (its volume is not: two blocks instead of one halve it in two dimensions). But where tasks
    share little, that length is a small part of the axis, the whole is rougher, and a network of one size has fewer functions
    for each task. So compare learning scores, too, along a dial.

    Expected: with conflict, what is shared must be unlearned, and no network without knowledge of the task can keep it. At
    joint 0 a table over all inputs keeps what it learned, whatever the marginal overlap; splines, local in each coordinate
    alone, lose what marginals share, and a few grid intervals beside it: where two tasks' cubes touch, cubic splines have three
    functions in common, on which independent targets disagree (``gap`` keeps cubes apart). A hidden layer mixes coordinates,
    and with them tasks. Without conflict overlap is practice: the more of it, the less is forgotten.

    Args:
        dims: input dimensions, 1 to 16.
        tasks: number of tasks.
        samples: training samples, and as many fresh test samples, of each task.
        joint: overlap of any two tasks' densities, 0 to 1, where ``sharpness`` is 1.
        marginal: overlap of their densities of any single input, joint to 1, likewise; as large as ``joint`` if not given.
        conflict: 0, one target for all, to 1, independent targets.
        sharpness: share of the private mass that stays in the task's own cube, above 0 to 1; half of the rest lies in each of
            the neighbours' cubes (at the ends, in its own for the neighbour that is missing), so neighbours overlap more.
        gap: empty length before every cube but one at the axis' start, in lengths that one task covers; overlaps do not change.
        roughness: root mean square frequency of the targets, in periods per length that a task covers; the same for all dims.
        form: ``smooth`` targets depend on all inputs at once; ``additive`` ones are a sum of functions of one input each, which
            a KAN without hidden layer can represent.
        order: of learning; as the cubes lie along the diagonal, the reverse, or drawn by the seed.
        noise: standard deviation of Gaussian noise on the training targets.
    """
    layout = _layout(dims, tasks, joint, marginal, sharpness, gap)
    if samples < 1 or not 0 <= conflict <= 1 or not 0 <= roughness < math.inf or not 0 <= noise < math.inf:
        raise InputError(
            "needs samples >= 1, 0 <= conflict <= 1, roughness >= 0 and noise >= 0, "
            f"got {samples=}, {conflict=}, {roughness=}, {noise=}"
        )
    shared = random_function(generator(seed, "overlap-dial", "shared"), dims, roughness / layout.unit, form)

    def task(number: int) -> Task:
        random = generator(seed, "overlap-dial", number)
        own = random_function(random, dims, roughness / layout.unit, form)

        def draw(deviation: float, test: bool) -> tuple[Tensor, Tensor]:
            x = apart(layout.draw(number, samples, random), test)
            y = math.sqrt(1 - conflict) * shared(x) + math.sqrt(conflict) * own(x)
            y = y + deviation * torch.randn(y.shape, generator=random, dtype=y.dtype)
            return x, y.float()

        return Task(f"t = {number + 1}", draw(noise, test=False), draw(0.0, test=True))

    sequence = torch.arange(tasks)
    if order == "random":
        sequence = torch.randperm(tasks, generator=generator(seed, "overlap-dial", "order"))
    elif order == "reversed":
        sequence = sequence.flip(0)
    return Scenario(
        tasks=tuple(task(number) for number in sequence.tolist()),
        loss="mse",
        domain=((-1.0, 1.0),) * dims,
        advice=_advice(dims, tasks),
        overlap={name: values[sequence][:, sequence] for name, values in layout.overlap().items()},
    )


@dataclass(frozen=True)
class Layout:
    """Where the tasks' inputs lie: blocks of [-1, 1]^dims and each task's mass in them; see :func:`overlap_dial`.

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


def _layout(dims: int, tasks: int, joint: float, marginal: float | None, sharpness: float, gap: float) -> Layout:
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


def random_function(
    random: torch.Generator, dims: int, frequency: float, form: Literal["smooth", "additive"]
) -> Callable[[Float[Tensor, "N D"]], Float[Tensor, "N 1"]]:
    """Draw sqrt(2 / F) sum over k of cos(2 pi w_k . x + b_k): mean 0 and variance 1 at every x over the draws.

    Args:
        random: draws the normal w_k and the uniform b_k.
        dims: D.
        frequency: root mean square of |w_k|, in periods per unit of length, whatever D.
        form: ``smooth``: w_k in any direction, the covariance of two points is exp(-2 (pi frequency)^2 |x - x'|^2 / D);
            ``additive``: along one axis each, in turn.
    """
    normal = torch.randn(FEATURES, dims, generator=random, dtype=torch.float64)
    if form == "additive":
        axis = torch.arange(FEATURES)[:, None] % dims == torch.arange(dims)
        waves = frequency * torch.where(axis, normal, 0.0)
    else:
        waves = frequency / math.sqrt(dims) * normal
    phases = torch.rand(FEATURES, generator=random, dtype=torch.float64)

    def function(x: Tensor) -> Tensor:
        return math.sqrt(2 / FEATURES) * torch.cos(2 * math.pi * (x.double() @ waves.T + phases)).sum(1, keepdim=True)

    return function


def _advice(dims: int, tasks: int) -> Advice:
    """A KAN with one hidden layer and rivals of its size; one rate at which each of them learns nearly every position.

    The table's tiles are a multiple of the tasks, so that none is cut by the slabs of tasks that share all marginals, or by
    the cubes of tasks that share nothing. In more than four dimensions a table of this size is too coarse to learn anything.
    """
    rivals: dict[str, dict[str, Any]] = rivals_of_kan(
        dims, 1, hidden=(8,), intervals=20, base="none", depth=2, activation="tanh"
    )
    table = rivals["lookup"]
    if "hashed" not in table and table["tiles"] >= tasks:
        rivals["lookup"] = {**table, "tiles": tasks * round(table["tiles"] / tasks)}
    return Advice(
        architectures=rivals,
        policies=usual_policies(
            adam={"lr": 1e-2, "steps": 1000, "batch_size": 100},
            sgd={"lr": 0.02, "steps": 2000, "batch_size": 100},
            lbfgs=100,
        ),
    )
