"""A part of an experiment's cells, for machines that know nothing of each other."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from kancl.errors import InputError
from runners.config.cell import Cell

MOST = 100_000
"""Parts of one experiment."""


@dataclass(frozen=True)
class Part:
    """One of several parts of the same size, about.

    Args:
        number: from 1.
        count: of all parts.
    """

    number: int
    count: int

    def keys(self, cells: Iterable[Cell]) -> frozenset[str]:
        """Return the keys of this part's cells: every ``count``-th by the order of keys, however they were asked for."""
        return frozenset(sorted({cell.key for cell in cells})[self.number - 1 :: self.count])


def read_part(text: str) -> Part:
    """Return what is written as ``3/20``.

    Raises:
        InputError: it is written otherwise, or is none of so many parts.
    """
    found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    part = Part(int(found[1]), int(found[2])) if found else Part(0, 0)
    if not 1 <= part.number <= part.count <= MOST:
        said = f"a number and how many parts there are, such as 3/20 (at most {MOST:,})"
        raise InputError(f"--part takes {said}, got {text[:40]!r}")
    return part
