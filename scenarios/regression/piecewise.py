"""One function on each interval, given as text: the smallest way to a scenario of one's own."""

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from kancl.errors import InputError
from kancl.seeding import generator
from scenarios.registry import register
from scenarios.task import Advice, Scenario, Task
from scenarios.tools.advice import usual_policies
from scenarios.tools.formula import Formula, parse
from scenarios.tools.sampling import draw_apart
from scenarios.tools.sizes import rivals_of_kan

PIECES = ("sin(15*x)", "1 - 8*abs(x + 0.4)", "20*x^2 - 0.5", "2*x - 1", "0.8 - exp(-150*(x - 0.75)^2)")


@register("piecewise-functions")
def piecewise_functions(
    seed: int,
    formulas: tuple[str, ...] = PIECES,
    edges: tuple[float, ...] = (),
    samples: int = 100,
    noise: float = 0.0,
    order: Literal["left-to-right", "right-to-left", "random"] = "left-to-right",
    test: Literal["fresh", "train"] = "fresh",
) -> Scenario:
    """Formulas of your own on neighbouring intervals, one learned after another, e.g. formulas=["sin(6*x)","x^2"].

    Task t sees points of its own interval only, drawn uniformly by the seed, and y = formula(x) there. The paper's toy
    (`gaussian-peaks`) vanishes where two tasks meet; here the pieces may end anywhere, so this is its test under one's own
    functions. The default pieces differ in kind: a wave, a kink, a parabola, a line, and a narrow dip, with a jump at every
    border.

    Expected: a network with local units changes a neighbour's piece near their common edge only, and the more so the larger
    the jump; a network with global units changes all of them. Between training points on both sides of a jump no smooth
    function is right, so errors next to an edge are no forgetting.

    On the command line a list with commas or brackets in its formulas needs quotes around the whole option:
    ``'piecewise-functions:formulas=["min(x,0)","x^2"],edges=[-1,0,1]'``.

    Args:
        formulas: of the variable x, one for each task; arithmetic, powers (^), pi, e, sin, cos, tan, exp, log, sqrt, abs, sign,
            min, max and others (:mod:`scenarios.tools.formula`).
        edges: where the intervals begin and end, one more than formulas, rising; [-1, 1] divided evenly if not given.
        samples: training points per task, and as many test points.
        noise: standard deviation of Gaussian noise on the training targets.
        order: of the tasks; ``random`` draws one per seed.
        test: score on fresh points of the same interval, without noise, or on the training points.
    """
    if not formulas or samples < 2 or noise < 0:
        raise InputError(f"needs a formula, samples >= 2 and noise >= 0, got {len(formulas)} formulas, {samples=}, {noise=}")
    pieces = [parse(text, ["x"]) for text in formulas]
    ends = _edges(edges, len(pieces))
    random = generator(seed, "piecewise-functions")
    intervals = list(pairwise(ends))
    points = draw_apart([[interval] for interval in intervals], samples, samples, random)

    def task(number: int) -> Task:
        piece, (x, fresh) = pieces[number], points[number]
        noisy = _values(piece, x) + noise * torch.randn(x.shape, generator=random)
        low, high = intervals[number]
        name = f"{formulas[number]} on [{low:g}, {high:g}]"
        return Task(name, (x, noisy), (x, noisy) if test == "train" else (fresh, _values(piece, fresh)))

    in_order = {
        "left-to-right": range(len(pieces)),
        "right-to-left": reversed(range(len(pieces))),
        "random": torch.randperm(len(pieces), generator=random).tolist(),
    }[order]
    return Scenario(
        tasks=tuple(task(number) for number in in_order),
        loss="mse",
        domain=((ends[0], ends[-1]),),
        test_is_train=test == "train",
        target=lambda x: _everywhere(pieces, ends, x),
        advice=_advice(),
    )


def _edges(edges: tuple[float, ...], count: int) -> list[float]:
    if not edges:
        return [-1 + 2 * number / count for number in range(count + 1)]
    if len(edges) != count + 1 or any(low >= high for low, high in pairwise(edges)):
        raise InputError(f"edges must be {count + 1} rising numbers, one more than there are formulas, got {list(edges)}")
    return list(edges)


def _values(piece: Formula, x: Tensor) -> Tensor:
    return piece(x)[:, None].to(x.dtype)


def _everywhere(pieces: list[Formula], ends: list[float], x: Tensor) -> Tensor:
    """Each piece on its own interval, the right one at an edge; the outermost pieces go on beyond the ends."""
    place = torch.bucketize(x[:, 0].double(), torch.tensor(ends[1:-1], dtype=torch.float64), right=True)
    y = torch.empty_like(x)
    for number, piece in enumerate(pieces):
        y[place == number] = _values(piece, x[place == number])
    return y


def _advice() -> Advice:
    """The paper's kind of KAN, [1,1], with 20 intervals to a task, and rivals of its size; five points to an interval.

    Widths cannot make an MLP of so few splines that small, so its splines are coarser. Under SGD the MLP learned one piece in
    five at the larger rate.
    """
    sizes = rivals_of_kan(1, 1, hidden=(), intervals=100, base="none", depth=2, activation="tanh", interpolation="linear")
    return Advice(
        architectures={**sizes, "mlp-bspline": {"hidden": (2,), "intervals": 45}},
        policies=usual_policies(adam={"lr": 3e-3, "steps": 2000}, sgd={"lr": 0.1, "steps": 2000}, lbfgs=100),
        own_policies={"mlp": {"sgd": {"lr": 0.03, "steps": 4000}}},
    )
