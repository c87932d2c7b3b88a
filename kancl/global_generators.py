"""The random generators that all code of a process shares: torch's, numpy's and random's. No experiment may use them.

What they give follows from everything that was drawn before, so it is another thing alone and in a stack, in a run that is
repeated and in one that is resumed.
"""

import ctypes
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from kancl.errors import InputError

ELSEWHERE = 7919
"""Seed of the state that nobody else puts these generators into."""

WORDS = 624
"""Numbers of 32 bits that a Mersenne twister's state consists of, beside the place of the next one."""

CHECKERS = {"random": ("beartype",)}
"""Generators that others, once imported, draw from for ends that bear on no result: which items of a list a checker of types
looks at."""

REASON = "which no seed governs: a seed would give other numbers alone, in a stack, and when the run is repeated or resumed"
REMEDY = "draw from kancl.seeding.generator(seed, purpose, ...)"


class UngovernedError(InputError):
    """Something random that does not follow from the seed."""


class _Numpy:
    """The state of numpy's generator, which takes numpy as long to tell as a small network to take a step.

    It is asked for again only where it may be another one. What the bits come from can be seen in memory at once; a second
    normal number, kept from a pair, cannot, and is taken without moving that. But none comes to be there without moving it,
    so that a state without one stays what it is for as long as its memory does.
    """

    def __init__(self) -> None:
        self.memory: bytes | None = None
        self.state: tuple[object, ...] = ()

    def look(self) -> tuple[object, ...]:
        """Return the state, as something that can be compared."""
        memory = self._memory()
        if memory is None or memory != self.memory:
            kind, keys, place, kept, number = np.random.get_state(legacy=True)
            bits = np.asarray(keys).tobytes()
            self.state = (kind, bits, place, kept, number)
            self.memory = memory if not kept and memory == bits + bytes(ctypes.c_int(int(place))) else None
        return self.state

    def forget(self) -> None:
        """Ask numpy the next time: the state was set, not moved."""
        self.memory = None

    @staticmethod
    def _memory() -> bytes | None:
        source = np.random.mtrand.get_bit_generator()
        if type(source).__name__ != "MT19937":
            return None
        return ctypes.string_at(source.ctypes.state_address, WORDS * 4 + ctypes.sizeof(ctypes.c_int))


_NUMPY = _Numpy()


def states() -> dict[str, object]:
    """Return the state of each generator, by its module, as something that can be compared."""
    found: dict[str, object] = {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy.random": _NUMPY.look(),
        "random": random.getstate(),
    }
    if torch.cuda.is_initialized():
        found["torch.cuda"] = [state.numpy().tobytes() for state in torch.cuda.get_rng_state_all()]
    return found


def moved(before: dict[str, object]) -> list[str]:
    """Return the modules whose generators are in another state than before, but for those that a checker of types moves."""
    idle = {name for name, users in CHECKERS.items() if any(user in sys.modules for user in users)}
    return [name for name, state in states().items() if name in before and name not in idle and state != before[name]]


@contextmanager
def unmoved(what: str) -> Iterator[None]:
    """See that no generator moves.

    Args:
        what: is done, for the message.

    Raises:
        UngovernedError: which one moved.
    """
    before = states()
    yield
    if names := moved(before):
        raise UngovernedError(f"{what} used the global generator of {' and '.join(names)}, {REASON}; {REMEDY}")


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
        _NUMPY.forget()
        random.setstate(random_state)
