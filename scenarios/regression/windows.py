"""An equation on the unit square, solved window by window: the points of each window, and what is trained on them.

The loss is the mean over a window's points of the squared residual of the equation inside, and of ``weight`` times the squared
error on the part of the window's edge where the solution is given (Raissi, Perdikaris and Karniadakis, Journal of
Computational Physics 378, 2019). Which of both a point gets is told by its place: points inside keep a distance from the edges
of all windows. So a batch may mix windows, as joint training does, and one number per point is enough.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from scenarios.task import Advice, Operator, Scenario, Task
from scenarios.tools.advice import usual_policies
from scenarios.tools.differential import variable
from scenarios.tools.sizes import rivals_of_kan

ON_EDGE = 1e-5
"""How far from an edge, at most, a point counts as lying on it: above the rounding of float32 on [0, 1]."""

INSIDE = 1e-3
"""How far points inside a window keep from its edges, in units of the square's side and at most."""

NARROWEST = 1000
"""How many windows there may be: in narrower ones no point inside would be far enough from the edges."""

Direction = Literal["forward", "backward", "random"]
Function = Callable[[Tensor], Tensor]
"""Of points (..., 2); gives (..., 1)."""


@dataclass(frozen=True)
class Equation:
    """An equation on [0, 1]^2.

    Args:
        exact: its solution.
        residual: of u's values y (S, B, 1) at x (S, B, 2): left side minus right side.
        cut: the coordinate that windows are cut along.
        ends: whether the solution is given at the windows' upper ends too; at the lower ends and on the sides it always is.
    """

    exact: Function
    residual: Callable[[Tensor, Tensor], Tensor]
    cut: int
    ends: bool


@dataclass(frozen=True)
class Windows:
    """How the square is cut, and how each window is learned.

    Args:
        count: W, the number of windows, all of one size.
        samples: points inside a window, for training; as many fresh ones for testing.
        edge_samples: points on its edge, where the solution is given.
        weight: of the squared error on the edge against the squared residual.
        direction: of the sequence: from 0 to 1, back, or in an order drawn by the seed.
        supervised: train on the solution's values instead of the equation.
    """

    count: int
    samples: int
    edge_samples: int
    weight: float
    direction: Direction
    supervised: bool


def solved_in_windows(equation: Equation, windows: Windows, random: torch.Generator) -> Scenario:
    """Return the scenario of an equation that is solved in one window after another.

    Args:
        equation: with its solution.
        windows: how the square is cut.
        random: draws the order, if it is to be drawn, and the points.
    """
    borders = [number / windows.count for number in range(windows.count + 1)]
    places = list(pairwise(borders))
    order = {
        "forward": list(range(windows.count)),
        "backward": list(reversed(range(windows.count))),
        "random": torch.randperm(windows.count, generator=random).tolist(),
    }[windows.direction]
    given = borders if equation.ends else borders[:-1]

    def task(low: float, high: float) -> Task:
        inside, fresh = (_inside(windows.samples, low, high, equation.cut, random) for _ in range(2))
        edge = _edge(windows.edge_samples, low, high, equation, random)
        x = torch.cat([inside, edge])
        values = torch.cat([torch.zeros(windows.samples, 1, dtype=x.dtype), math.sqrt(windows.weight) * equation.exact(edge)])
        y = equation.exact(x) if windows.supervised else values
        name = f"{'xt'[equation.cut]} from {low:.3g} to {high:.3g}"
        return Task(name, (x.float(), y.float()), (fresh.float(), equation.exact(fresh).float()))

    return Scenario(
        tasks=tuple(task(*places[number]) for number in order),
        loss="mse",
        domain=((0.0, 1.0), (0.0, 1.0)),
        operator=None if windows.supervised else _operator(equation, given, windows.weight),
        advice=_advice(windows.supervised),
    )


def _operator(equation: Equation, given: list[float], weight: float) -> Operator:
    """Return what gives the residual inside, and sqrt(weight) u on the edges: squared, the two terms of the loss."""

    def operator(u: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        x = variable(x)
        y = u(x)
        edge = _on_edge(x.detach(), equation.cut, given)
        return torch.where(edge, math.sqrt(weight) * y, equation.residual(y, x))

    return operator


def _on_edge(x: Tensor, cut: int, given: list[float]) -> Tensor:
    """Tell which points (..., 2) lie on a side, or where a window begins or ends with given values; shape (..., 1)."""
    along, across = x[..., cut : cut + 1], x[..., 1 - cut : 2 - cut]
    distances = [(along - border).abs() for border in given] + [across.abs(), (across - 1).abs()]
    return torch.stack(distances).amin(0) < ON_EDGE


def _inside(count: int, low: float, high: float, cut: int, random: torch.Generator) -> Tensor:
    """Draw points uniformly inside a window, away from all of its edges."""
    x = torch.rand(count, 2, generator=random, dtype=torch.float64)
    margin = min(INSIDE, (high - low) / 4)
    bottom, top = torch.zeros(2, dtype=x.dtype), torch.ones(2, dtype=x.dtype)
    bottom[cut], top[cut] = low, high
    return bottom + margin + x * (top - bottom - 2 * margin)


def _edge(count: int, low: float, high: float, equation: Equation, random: torch.Generator) -> Tensor:
    """Draw points uniformly on the part of a window's edge where the solution is given."""
    side = high - low  # both sides have this length, the beginning and the end are 1 long
    place = torch.rand(count, generator=random, dtype=torch.float64) * (2 * side + 1 + equation.ends)
    on_sides = place < 2 * side
    at_end = place >= 2 * side + 1
    along = torch.where(on_sides, low + place % side, torch.where(at_end, high, low))
    across = torch.where(on_sides, (place >= side).double(), (place - 2 * side) % 1)
    return torch.stack([along, across] if equation.cut == 0 else [across, along], 1)


def _advice(supervised: bool) -> Advice:
    """A KAN [2,8,1] of 216 numbers and rivals of its size.

    The second derivatives of every spline backend are those of the dense one, and that is the fastest from the beginning: a
    step takes half the time.
    """
    sizes = rivals_of_kan(2, 1, hidden=(8,), intervals=5, depth=2, activation="tanh", interpolation="linear")
    if not supervised:
        sizes["kan"]["backend"] = "dense"
    return Advice(
        architectures=sizes,
        policies=usual_policies(
            adam={"lr": 0.02, "steps": 500},
            sgd={"lr": 0.01, "clip": 1.0, "steps": 1000},
            lbfgs=200,
        ),
    )
