"""Bumps in several dimensions: where the centres lie decides what tasks share, the form decides what a KAN can represent."""

import math
from collections.abc import Callable
from typing import Literal

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

Form = Literal["product", "additive"]
Where = Literal["diagonal", "axis", "grid", "scattered"]


@register("peaks-nd")
def peaks_nd(
    seed: int,
    dims: int = 2,
    tasks: int = 5,
    samples: int = 1000,
    form: Form = "product",
    layout: Where = "diagonal",
    width: float | None = None,
    steepness: float = 2.0,
    noise: float = 0.0,
) -> Scenario:
    """Bumps in several dimensions, one task each, on a diagonal, an axis, a grid or scattered; product or additive form.

    Task t sees uniform points of the cube of half side ``width`` around its centre c_t; one target serves all tasks,

    - product: y(x) = sum over t of exp(-s |x - c_t|^2 / D), and
    - additive: y(x) = mean over inputs i of sum over places p of exp(-s (x_i - p)^2), the places being the different values of
      c_ti,

    with s = steepness / width^2. The mean over the D inputs in the exponent keeps a bump as visible in a cube of many
    dimensions as in one. This is the KAN paper's toy (arXiv 2404.19756, section 3) carried on to more inputs, where users of
    KANs reported that it stops working; ``gaussian-peaks:dims=D`` is the ``axis`` with narrow bumps.

    What locality predicts. Splines are local in each input alone, so what counts for a KAN is which ranges of single inputs
    tasks share (``Scenario.overlap``, ``marginal``), not whether their cubes do (``joint``):

    - ``diagonal``: cubes share no range of any input, and neighbours touch. In additive form a KAN [D,1] without hidden layer
      is exact and loses only what a few functions across the borders carry.
    - ``axis``: every task has the same range in all inputs but the first. In additive form these inputs need the same function
      in every task, yet it moves: while a bump is new, part of it is laid on them, and what a sum of functions has of a
      constant can lie in any of them. In product form the shared splines have to change.
    - ``grid``: two cubes of a grid of n to a side share no range with probability of about (1 - 1/n)^D, so conflicts grow
      with D although cubes stay apart.
    - ``scattered``: cubes may overlap, and partly share ranges.

    The product form has no exact KAN without hidden layer; with one, hidden units take values that all tasks use.

    Args:
        dims: D, input dimensions.
        tasks: number of bumps and tasks.
        samples: training points, and as many fresh test points, of each task.
        form: of the target.
        layout: of the centres; ``grid`` cells and ``scattered`` centres are drawn by the seed, in random order.
        width: half the side of a task's cube, at most 1; if not given the largest with which no two cubes of the layout overlap
            (that of the diagonal for scattered ones).
        steepness: of the bumps, relative to the cube: exp(-steepness) is left at its border in one dimension.
        noise: standard deviation of Gaussian noise on the training targets.
    """
    if dims < 1 or tasks < 1 or samples < 1 or not 0 < steepness < math.inf or not 0 <= noise < math.inf:
        raise InputError(
            "needs dims >= 1, tasks >= 1, samples >= 1, steepness > 0 and noise >= 0, "
            f"got {dims=}, {tasks=}, {samples=}, {steepness=}, {noise=}"
        )
    side = grid_side(tasks, dims) if layout == "grid" else tasks
    half = 1 / side if width is None else width
    if not 0 < half <= 1:
        raise InputError(f"width is half the side of a cube in [-1, 1], above 0 to 1, got {width}")
    centres = place_centres(layout, tasks, dims, half, generator(seed, "peaks-nd", "centres"))
    target = bumps(centres, steepness / half**2, form)
    random = generator(seed, "peaks-nd")

    def draw(centre: Tensor, deviation: float, test: bool) -> tuple[Tensor, Tensor]:
        spread = 2 * torch.rand(samples, dims, generator=random, dtype=torch.float64) - 1
        x = apart(centre + half * spread, test)
        y = target(x.double())
        return x, (y + deviation * torch.randn(y.shape, generator=random, dtype=y.dtype)).float()

    def task(number: int, centre: Tensor) -> Task:
        return Task(f"bump {number}", draw(centre, noise, test=False), draw(centre, 0.0, test=True))

    reach = max(1.0, 1 - 1 / side + half)  # a grid that ends before the data would be a confound
    return Scenario(
        tasks=tuple(task(number, centre) for number, centre in enumerate(centres, 1)),
        loss="mse",
        domain=((-reach, reach),) * dims,
        target=target if dims == 1 else None,
        advice=_advice(dims),
        overlap=overlap_of_cubes(centres, half),
    )


def grid_side(tasks: int, dims: int) -> int:
    """Return the smallest n with n^dims >= tasks.

    >>> grid_side(5, 2), grid_side(9, 2), grid_side(5, 3)
    (3, 3, 2)
    """
    side = 1
    while side**dims < tasks:
        side += 1
    return side


def place_centres(layout: Where, tasks: int, dims: int, half: float, random: torch.Generator) -> Float[Tensor, "T D"]:
    """Return the centres in the order of the tasks.

    Args:
        layout: where they lie.
        tasks: T.
        dims: D.
        half: half the side of a cube, above 0 to 1; cubes around scattered centres stay in [-1, 1].
        random: draws what is drawn.
    """
    if layout == "scattered":
        return (1 - half) * (2 * torch.rand(tasks, dims, generator=random, dtype=torch.float64) - 1)
    if layout == "grid":
        side = grid_side(tasks, dims)
        cells = _distinct_cells(side, tasks, dims, random)
        return (2 * cells.double() + 1) / side - 1
    line = -1 + (2 * torch.arange(tasks, dtype=torch.float64) + 1) / tasks
    if layout == "diagonal":
        return line[:, None].repeat(1, dims)
    return torch.cat([line[:, None], torch.zeros(tasks, dims - 1, dtype=torch.float64)], 1)


def _distinct_cells(side: int, tasks: int, dims: int, random: torch.Generator) -> Tensor:
    """Draw so many different cells of a grid without listing the grid: cells that were drawn before are drawn again."""
    cells: dict[tuple[int, ...], None] = {}
    while len(cells) < tasks:
        cells[tuple(torch.randint(side, (dims,), generator=random).tolist())] = None
    return torch.tensor(list(cells))


def bumps(centres: Float[Tensor, "T D"], steepness: float, form: Form) -> Callable[[Tensor], Tensor]:
    """Return the target (N, D) -> (N, 1); see :func:`peaks_nd` for the formulas.

    Args:
        centres: of the bumps.
        steepness: s, per squared unit of length.
        form: product or additive.
    """
    if form == "product":

        def product(x: Tensor) -> Tensor:
            squares = (x.double()[:, None] - centres).square().mean(2)
            return torch.exp(-steepness * squares).sum(1, keepdim=True).to(x.dtype)

        return product
    places = [column.unique() for column in centres.T]

    def additive(x: Tensor) -> Tensor:
        columns = [
            torch.exp(-steepness * (values[:, None] - own).square()).sum(1)
            for values, own in zip(x.double().T, places, strict=True)
        ]
        return torch.stack(columns, 1).mean(1, keepdim=True).to(x.dtype)

    return additive


def overlap_of_cubes(centres: Float[Tensor, "T D"], half: float) -> dict[str, Float[Tensor, "T T"]]:
    """Return the overlaps of uniform densities on cubes: the common share of the side, its product and its mean over inputs."""
    shares = (1 - (centres[:, None] - centres).abs() / (2 * half)).clamp(min=0.0)
    shares = torch.where(shares < 1e-9, 0.0, shares)  # cubes that touch, up to rounding
    return {"joint": shares.prod(2), "marginal": shares.mean(2)}


def _advice(dims: int) -> Advice:
    """A KAN with one hidden layer and rivals of its size; in additive form ``kan:hidden=[]`` is exact."""
    return Advice(
        architectures=rivals_of_kan(dims, 1, hidden=(8,), intervals=20, base="none", depth=2, activation="tanh"),
        policies=usual_policies(
            adam={"lr": 1e-2, "steps": 1000, "batch_size": 100},
            sgd={"lr": 0.1, "steps": 2000, "batch_size": 100},
            lbfgs=100,
        ),
    )
