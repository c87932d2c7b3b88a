"""Samples that go through a network part by part, so that memory does not grow with their number."""

import math

from jaxtyping import Shaped
from torch import Tensor

AT_ONCE = 1 << 22
"""Numbers that are held at once: in single precision 16 MB."""


def samples_at_once(per_sample: int) -> int:
    """Return how many samples make a part, at least one, where a sample takes ``per_sample`` numbers of all seeds together."""
    return max(1, AT_ONCE // max(1, per_sample))


def in_parts(x: Shaped[Tensor, "S B ..."], per_sample: int | None = None) -> tuple[Tensor, ...]:
    """Return the samples in order as views (S, b, ...), each of as many samples as :data:`AT_ONCE` allows.

    Args:
        x: of S seeds and B samples.
        per_sample: numbers that one sample takes, of all seeds together; those of x itself if not given.

    >>> import torch
    >>> [len(part[0]) for part in in_parts(torch.zeros(2, 5, 3), per_sample=2 * 1024**2)]
    [2, 2, 1]
    """
    return x.split(samples_at_once(x.shape[0] * math.prod(x.shape[2:]) if per_sample is None else per_sample), dim=1)
