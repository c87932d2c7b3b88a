"""The random generators that all code of a process shares: torch's, numpy's and random's. A scenario must not use them."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

ELSEWHERE = 7919
"""Seed of the state that nobody else puts these generators into."""


def states() -> dict[str, str]:
    """Return the state of each generator, by its module, as a text that can be compared."""
    kind, keys, *place = np.random.get_state(legacy=True)
    return {
        "torch": torch.get_rng_state().numpy().tobytes().hex(),
        "numpy.random": f"{kind} {np.asarray(keys).tobytes().hex()} {place}",
        "random": repr(random.getstate()),
    }


def shift() -> None:
    """Put every generator into another state."""
    torch.set_rng_state(torch.Generator().manual_seed(ELSEWHERE).get_state())
    np.random.seed(ELSEWHERE)
    random.seed(ELSEWHERE)


@contextmanager
def restored() -> Iterator[None]:
    """Put every generator back at the end into the state that it was in."""
    torch_state, numpy_state, random_state = torch.get_rng_state(), np.random.get_state(), random.getstate()
    try:
        yield
    finally:
        torch.set_rng_state(torch_state)
        np.random.set_state(numpy_state)
        random.setstate(random_state)
