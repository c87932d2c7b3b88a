"""The toy of the KAN paper: one peak after another."""

from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from kancl.errors import InputError
from kancl.seeding import generator
from scenarios.registry import register
from scenarios.task import Advice, Scenario, Task
from scenarios.tools.advice import usual_policies

SHARPNESS = 300.0


@register("gaussian-peaks")
def gaussian_peaks(
    seed: int,
    tasks: int = 5,
    samples: int = 100,
    width: float = 0.2,
    slope: float = 0.0,
    shift: float = 0.0,
    noise: float = 0.0,
    dims: int = 1,
    order: Literal["left-to-right", "right-to-left", "random"] = "left-to-right",
    test: Literal["train", "fresh"] = "train",
) -> Scenario:
    """Gaussian peaks side by side, learned one by one (the KAN paper's Fig. 3.4).

    y(x) = slope x_1 + sum over the centres c of exp(-300 |x - c|^2) on [-1, 1]; the centres divide the range evenly, at
    -0.8, -0.4, 0, 0.4, 0.8 for five tasks. Task t sees only the points around its own centre. Liu et al., arXiv 2404.19756,
    section 3 "continual learning"; the defaults are the paper's, where the tests are the training points. Without slope,
    shift and noise a spline has nothing to unlearn here: the target is about 1e-5 where two tasks meet.

    With ``dims`` > 1 the centres lie on the first axis, the others at 0: every task uses the same range of the other
    coordinates, so that splines, which are local in each coordinate alone, share coefficients across all tasks.

    Args:
        tasks: number of peaks and tasks.
        samples: training points per task, evenly spaced for one dimension, uniform at random for more.
        width: half the width of the interval that a task sees.
        slope: of a line added to the target, so that it does not vanish between the peaks.
        shift: of all intervals to the right, away from their peaks' centres; the domain reaches as far as they do.
        noise: standard deviation of Gaussian noise on the training targets.
        dims: input dimensions.
        order: of the tasks; ``random`` draws one per seed.
        test: score on the training points, as the paper does, or on fresh uniform points of the same interval, without noise.
    """
    if tasks < 1 or samples < 2 or width <= 0 or dims < 1 or noise < 0:
        raise InputError(
            "needs tasks >= 1, samples >= 2, width > 0, dims >= 1 and noise >= 0, "
            f"got {tasks=}, {samples=}, {width=}, {dims=}, {noise=}"
        )
    centres = -1 + (2 * torch.arange(tasks, dtype=torch.float64) + 1) / tasks
    random = generator(seed, "gaussian-peaks")
    target = partial(_target, centres=centres, slope=slope)

    def points(centre: float, evenly: bool) -> Tensor:
        middle = torch.zeros(dims, dtype=torch.float64)
        middle[0] = centre + shift
        line = torch.linspace(-1, 1, samples, dtype=torch.float64)[:, None]
        spread = line if evenly else 2 * torch.rand(samples, dims, generator=random, dtype=torch.float64) - 1
        return (middle + width * spread).float()

    def task(centre: float) -> Task:
        x = points(centre, evenly=dims == 1)
        y = target(x)
        noisy = y + noise * torch.randn(y.shape, generator=random)
        if test == "train":
            return Task(f"peak at {centre:.2g}", (x, noisy), (x, noisy))
        fresh = points(centre, evenly=False)
        return Task(f"peak at {centre:.2g}", (x, noisy), (fresh, target(fresh)))

    in_order = {
        "left-to-right": range(tasks),
        "right-to-left": reversed(range(tasks)),
        "random": torch.randperm(tasks, generator=random).tolist(),
    }[order]
    return Scenario(
        tasks=tuple(task(centres[number].item()) for number in in_order),
        loss="mse",
        domain=_domain(centres + shift, width, dims),
        test_is_train=test == "train",
        target=target if dims == 1 else None,
        advice=_advice(dims),
    )


def _target(x: Tensor, centres: Tensor, slope: float) -> Tensor:
    first, rest = x[:, :1].double(), x[:, 1:].double().square().sum(1, keepdim=True)
    peaks = torch.exp(-SHARPNESS * ((first - centres).square() + rest)).sum(1, keepdim=True)
    return (slope * first + peaks).to(x.dtype)


def _domain(middles: Tensor, width: float, dims: int) -> tuple[tuple[float, float], ...]:
    """[-1, 1], widened where an interval reaches further: a grid that ends before the data would be a confound."""
    slack = 1e-9  # of rounding in centre - width
    low, high = middles.min().item() - width, middles.max().item() + width
    first = (low if low < -1 - slack else -1.0, high if high > 1 + slack else 1.0)
    return (first, *((-max(1.0, width), max(1.0, width)),) * (dims - 1))


def _advice(dims: int) -> Advice:
    """The paper's KAN [1,1] under L-BFGS, and rivals of the same size that learn every task as far as they can.

    In one dimension 203 parameters each, 207 for the `mlp` and 2 for `linear`. L-BFGS leaves this MLP, and a single hidden
    layer of any activation leaves Adam, without some of the peaks (docs/failure-modes.md), so the MLP gets Adam and a depth of
    two. Where the outputs are linear in the parameters, as in the KAN [1,1], L-BFGS solves each task. A table constant on its
    tiles would stop at an RMSE of 0.02, seven times the MLP's, so the advised one interpolates. `linear` learns no peak.
    """
    policies = usual_policies(adam={"lr": 3e-3, "steps": 5000}, sgd={"lr": 0.1, "steps": 5000}, lbfgs=100)
    if dims > 1:
        return Advice(architectures=_sizes(dims), policies=policies)
    edges = {"hidden": (), "base": "none"}
    return Advice(
        architectures={
            "kan": {**edges, "intervals": 200},
            "mlp": {"hidden": (13, 12), "activation": "tanh"},
            "kan-chebyshev": {**edges, "degree": 202},
            "kan-fourier": {**edges, "frequencies": 101},
            "kan-rbf": {**edges, "intervals": 202},
            "mlp-bspline": {"hidden": (2,), "intervals": 95, "hidden_range": (-1.0, 1.0)},
            "lookup": {"tiles": 203, "interpolation": "linear"},
        },
        optimizers=dict.fromkeys(("kan", "kan-chebyshev", "kan-fourier", "kan-rbf", "linear", "lookup"), "lbfgs"),
        policies=policies,
        own_policies={name: {"adam": {"lr": 1e-3}} for name in ("kan-chebyshev", "kan-fourier", "kan-rbf")},
    )


def _sizes(dims: int) -> dict[str, dict[str, Any]]:
    """A KAN [D,5,1] with 23 coefficients on each of 5 (D + 1) edges, and rivals of about its size."""
    edges = {"hidden": (5,), "base": "none"}
    parameters = 23 * 5 * (dims + 1)
    tiles = int(parameters ** (1 / dims))
    return {
        "kan": {**edges, "intervals": 20},
        "mlp": {"hidden": (16, 17), "activation": "tanh"},
        "kan-chebyshev": {**edges, "degree": 22},
        "kan-fourier": {**edges, "frequencies": 11},
        "kan-rbf": {**edges, "intervals": 22},
        "mlp-bspline": {"hidden": (8,), "intervals": 36},
        "lookup": {"tiles": tiles} if tiles > 1 else {"tiles": 2, "hashed": parameters},
    }
