"""Two equations to be solved window by window: what a physics-informed network forgets of the solution.

What a window is, and what is trained there, stands in :mod:`scenarios.regression.windows`; here are the equations.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from kancl.errors import InputError
from kancl.seeding import generator
from scenarios.registry import register
from scenarios.regression.windows import NARROWEST, Direction, Equation, Windows, solved_in_windows
from scenarios.task import Scenario
from scenarios.tools.differential import derivative, laplacian, second_derivative


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
    windows = _windows(tasks, samples, edge_samples, weight, direction, supervised, modes)

    def residual(y: Tensor, x: Tensor) -> Tensor:
        return -laplacian(y, x) - _modes(x, modes, lambda k: 2 * k * math.pi**2, _sine, _sine)

    equation = Equation(lambda x: _modes(x, modes, lambda k: 1 / k, _sine, _sine), residual, cut=0, ends=True)
    return solved_in_windows(equation, windows, generator(seed, "poisson-windows"))


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
    windows = _windows(tasks, samples, edge_samples, weight, direction, supervised, modes)
    if not 0 < diffusivity < math.inf:
        raise InputError(f"diffusivity must be positive and finite, got {diffusivity}")

    def exact(x: Tensor) -> Tensor:
        decay = lambda k, t: torch.exp(-diffusivity * (k * math.pi) ** 2 * t)  # noqa: E731
        return _modes(x, modes, lambda k: 1 / k, _sine, decay)

    def residual(y: Tensor, x: Tensor) -> Tensor:
        return derivative(y, x, 1) - diffusivity * second_derivative(y, x, 0)

    equation = Equation(exact, residual, cut=1, ends=False)
    return solved_in_windows(equation, windows, generator(seed, "heat-windows"))


def _windows(
    tasks: int, samples: int, edge_samples: int, weight: float, direction: Direction, supervised: bool, modes: int
) -> Windows:
    if min(tasks, samples, edge_samples, modes) < 1 or tasks > NARROWEST or not 0 < weight < math.inf:
        raise InputError(
            f"needs tasks from 1 to {NARROWEST}, samples, edge_samples and modes of at least 1, and a finite weight > 0, "
            f"got {tasks=}, {samples=}, {edge_samples=}, {modes=}, {weight=}"
        )
    return Windows(tasks, samples, edge_samples, weight, direction, supervised)


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
