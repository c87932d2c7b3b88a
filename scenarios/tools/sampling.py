"""Points for tasks, such that no test point of any task is a training point of any other.

Boxes are drawn from by :func:`draw_apart`; points that come from elsewhere are told apart by :func:`apart`.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from kancl.errors import InputError
from scenarios.tools.rows import rows_of

LATTICE = 2.0**-22
Box = Sequence[tuple[float, float]]
"""One (low, high) for each input."""
TRIES = 100


def draw_apart(boxes: Sequence[Box], samples: int, test_samples: int, random: torch.Generator) -> list[tuple[Tensor, Tensor]]:
    """Draw training and test points uniformly in the box of each task: pairs of (samples, I) and (test_samples, I), float32.

    Two draws of one float32 coordinate often coincide: of a thousand test points among five thousand training points on [-1, 1]
    about one time in four. A test point that equals a training point of any task is drawn again.

    Args:
        boxes: for each task, the (low, high) of every input.
        samples: training points of each task.
        test_samples: test points of each task.
        random: of the seed.

    Raises:
        InputError: a box so narrow that it holds hardly any other points.
    """
    train = [_uniform(box, samples, random) for box in boxes]
    known = {row for x in train for row in rows_of(x)}
    return [(x, _fresh(box, test_samples, known, random)) for box, x in zip(boxes, train, strict=True)]


def _fresh(box: Box, count: int, known: set[bytes], random: torch.Generator) -> Tensor:
    x = _uniform(box, count, random)
    for _ in range(TRIES):
        repeated = [number for number, row in enumerate(rows_of(x)) if row in known]
        if not repeated:
            return x
        x[repeated] = _uniform(box, len(repeated), random)
    raise InputError(f"the range {list(box)} holds too few different numbers for separate training and test points; widen it")


def _uniform(box: Box, count: int, random: torch.Generator) -> Tensor:
    low, high = torch.tensor(box, dtype=torch.float64).unbind(1)
    return (low + (high - low) * torch.rand(count, len(box), generator=random, dtype=torch.float64)).float()


def apart(x: Float[Tensor, "N I"], test: bool) -> Float[Tensor, "N I"]:
    """Round points, all below 2 in size, to float32: training points down to multiples of 2^-22, test points half a step above.

    A few thousand uniform numbers on an interval meet in float32, which knows some millions there, so in one dimension some
    test points would be training points too. On these two lattices, which float32 holds exactly, none can be.

    Args:
        x: the points.
        test: whether they are test points.
    """
    return (LATTICE * torch.floor(x.double() / LATTICE) + (LATTICE / 2 if test else 0.0)).float()
