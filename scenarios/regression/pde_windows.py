"""Partial differential equations learned window by window: what a physics-informed network forgets of the solution.

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

from kancl.errors import InputError
from kancl.seeding import generator
from scenarios.registry import register
from scenarios.task import Advice, Operator, Scenario, Task
from scenarios.tools.advice import usual_policies
from scenarios.tools.differential import derivative, laplacian, second_derivative, variable
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
class _Equation:
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


@register("poisson-windows")
def poisson_windows(
    seed: int,
    tasks: int = 4,
    samples: int = 100,
    edge_samples: int = 60,
    weight: float = 100.0,
    modes: int = 2,
    direction: Direction = "forward",
    supervised: bool = False,
) -> Scenario:
    """The Poisson equation in a plane, solved by a physics-informed loss on one vertical strip after another.

    -(u_xx + u_yy) = f on [0, 1]^2, with f such that u(x, y) = sum over k = 1 .. modes of sin(k pi x) sin(k pi y) / k is the
    solution. Each strip has the equation inside and the exact values on all of its edge, which make its solution unique.
    Errors are those of u on fresh points inside. Neighbouring strips agree on the line between them, and no two points
    conflict: a strip is forgotten by what a network does elsewhere while it learns another one.

    The KAN paper (arXiv 2404.19756, section 3.4) solves a Poisson equation on a square in one piece, with a KAN [2,10,1] and
    a hundredth of the edge's weight inside. Cutting it into a sequence is kancl's. Networks without second derivatives (an MLP
    of ReLU units, `lookup`, `linear`) see the values on the edges alone and learn no strip; the advised MLP is of tanh.

    Args:
        tasks: number of strips.
        samples: points inside a strip, for training; as many fresh ones for testing.
        edge_samples: points on the edge of a strip, uniform along it.
        weight: of the squared error on the edge against the squared residual.
        modes: of the solution; more of them are harder to learn.
        direction: of the sequence: from x = 0 to 1, back, or in an order drawn by the seed.
        supervised: train on the solution's values at the same points instead of the equation: the control that tells what is
            forgotten by physics-informed training from what is forgotten anyway.
    """
    _check(tasks, samples, edge_samples, weight, modes)

    def residual(y: Tensor, x: Tensor) -> Tensor:
        return -laplacian(y, x) - _modes(x, modes, lambda k: 2 * k * math.pi**2, _sine, _sine)

    equation = _Equation(lambda x: _modes(x, modes, lambda k: 1 / k, _sine, _sine), residual, cut=0, ends=True)
    return _scenario(equation, "poisson-windows", seed, tasks, samples, edge_samples, weight, direction, supervised)


@register("heat-windows")
def heat_windows(
    seed: int,
    tasks: int = 4,
    samples: int = 100,
    edge_samples: int = 60,
    weight: float = 100.0,
    modes: int = 2,
    diffusivity: float = 0.1,
    direction: Direction = "forward",
    supervised: bool = False,
) -> Scenario:
    """The heat equation on a rod, solved by a physics-informed loss on one window of time after another.

    u_t = a u_xx for x and t in [0, 1]; its solution is u(x, t) = sum over k = 1 .. modes of exp(-a (k pi)^2 t) sin(k pi x) / k.
    Each window has the equation inside, the exact values at its beginning, and u = 0 at the rod's ends, which make its solution
    unique. Errors are those of u on fresh points inside. Training one network window after window is how physics-informed
    networks march in time (Krishnapriyan et al. 2021; Mattey and Ghosh 2022, who keep the earlier windows in the loss lest they
    be forgotten). Here the values at a window's beginning are exact, so that the error of one window does not pass to the next.
    As in `poisson-windows`, networks without second derivatives learn no window.

    Args:
        tasks: number of windows.
        samples: points inside a window, for training; as many fresh ones for testing.
        edge_samples: points at a window's beginning and at the rod's ends, uniform along these.
        weight: of the squared error at the edges against the squared residual.
        modes: of the solution; more of them are harder to learn.
        diffusivity: a; the larger, the less is left to learn in late windows.
        direction: of the sequence: onward in time, back, or in an order drawn by the seed.
        supervised: train on the solution's values at the same points instead of the equation, as in `poisson-windows`.
    """
    _check(tasks, samples, edge_samples, weight, modes)
    if not 0 < diffusivity < math.inf:
        raise InputError(f"diffusivity must be positive and finite, got {diffusivity}")

    def exact(x: Tensor) -> Tensor:
        decay = lambda k, t: torch.exp(-diffusivity * (k * math.pi) ** 2 * t)  # noqa: E731
        return _modes(x, modes, lambda k: 1 / k, _sine, decay)

    def residual(y: Tensor, x: Tensor) -> Tensor:
        return derivative(y, x, 1) - diffusivity * second_derivative(y, x, 0)

    equation = _Equation(exact, residual, cut=1, ends=False)
    return _scenario(equation, "heat-windows", seed, tasks, samples, edge_samples, weight, direction, supervised)


def _check(tasks: int, samples: int, edge_samples: int, weight: float, modes: int) -> None:
    if min(tasks, samples, edge_samples, modes) < 1 or tasks > NARROWEST or not 0 < weight < math.inf:
        raise InputError(
            f"needs tasks from 1 to {NARROWEST}, samples, edge_samples and modes of at least 1, and a finite weight > 0, "
            f"got {tasks=}, {samples=}, {edge_samples=}, {modes=}, {weight=}"
        )


def _sine(k: int, z: Tensor) -> Tensor:
    return torch.sin(k * math.pi * z)


def _modes(
    x: Tensor,
    modes: int,
    factor: Callable[[int], float],
    first: Callable[[int, Tensor], Tensor],
    second: Callable[[int, Tensor], Tensor],
) -> Tensor:
    """Return the sum over k of factor(k) first(k, x_1) second(k, x_2), of shape (..., 1)."""
    terms = [factor(k) * first(k, x[..., :1]) * second(k, x[..., 1:]) for k in range(1, modes + 1)]
    return torch.stack(terms).sum(0)


def _scenario(
    equation: _Equation,
    purpose: str,
    seed: int,
    tasks: int,
    samples: int,
    edge_samples: int,
    weight: float,
    direction: Direction,
    supervised: bool,
) -> Scenario:
    random = generator(seed, purpose)
    borders = [number / tasks for number in range(tasks + 1)]
    windows = list(pairwise(borders))
    order = {
        "forward": list(range(tasks)),
        "backward": list(reversed(range(tasks))),
        "random": torch.randperm(tasks, generator=random).tolist(),
    }[direction]
    given = borders if equation.ends else borders[:-1]

    def task(low: float, high: float) -> Task:
        inside, fresh = (_inside(samples, low, high, equation.cut, random) for _ in range(2))
        edge = _edge(edge_samples, low, high, equation, random)
        x = torch.cat([inside, edge])
        values = torch.cat([torch.zeros(samples, 1, dtype=x.dtype), math.sqrt(weight) * equation.exact(edge)])
        y = equation.exact(x) if supervised else values
        name = f"{'xt'[equation.cut]} from {low:.3g} to {high:.3g}"
        return Task(name, (x.float(), y.float()), (fresh.float(), equation.exact(fresh).float()))

    return Scenario(
        tasks=tuple(task(*windows[number]) for number in order),
        loss="mse",
        domain=((0.0, 1.0), (0.0, 1.0)),
        operator=None if supervised else _operator(equation, given, weight),
        advice=_advice(supervised),
    )


def _operator(equation: _Equation, given: list[float], weight: float) -> Operator:
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


def _edge(count: int, low: float, high: float, equation: _Equation, random: torch.Generator) -> Tensor:
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
