"""Regression with a dial for what the tasks share: of their inputs jointly, of every single input, and of their targets."""

import math
from typing import Any, Literal

import torch
from torch import Tensor

from kancl.errors import InputError
from kancl.seeding import generator
from scenarios.registry import register
from scenarios.regression.overlap_layout import layout_of
from scenarios.task import Advice, Scenario, Task
from scenarios.tools.advice import usual_policies
from scenarios.tools.random_function import random_function
from scenarios.tools.sampling import apart
from scenarios.tools.sizes import rivals_of_kan


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
    layout = layout_of(dims, tasks, joint, marginal, sharpness, gap)
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
