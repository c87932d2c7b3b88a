"""Seeds, as a user writes them."""

import re
from collections.abc import Sequence

from kancl.errors import InputError

SHOWN = 6
"""Seeds that are written one by one."""

MOST_SEEDS = 10_000
"""Seeds of one cell: all their networks and samples are in memory at once."""


def parse_seeds(text: int | str) -> tuple[int, ...]:
    """Read seeds: a number of them (``8`` is 0 to 7), a range ``16-31``, or a list ``3,5,8``.

    >>> parse_seeds("3-5")
    (3, 4, 5)
    """
    written = "" if isinstance(text, bool) else str(text).strip()
    if match := re.fullmatch(r"(\d{1,18})-(\d{1,18})", written):
        seeds: Sequence[int] = range(int(match[1]), int(match[2]) + 1)
    elif re.fullmatch(r"\d{1,18}(,\d{1,18})*,?", written):
        numbers = tuple(int(part) for part in written.split(",") if part)
        seeds = numbers if "," in written else range(numbers[0])
    else:
        shown = repr(text) if len(written) < 60 else f"{written[:60]!r}..."
        raise InputError(f"seeds must be a number (8), a range (16-31) or a list (3,5,8), each below 10^18, got {shown}")
    if len(seeds) > MOST_SEEDS:
        raise InputError(f"seeds must be at most {MOST_SEEDS:,}, got {len(seeds):,} ({written[:60]})")
    if not seeds or len(set(seeds)) < len(seeds):
        raise InputError(f"seeds must be at least one and all different, got {written[:60]!r}")
    return tuple(seeds)


def said_seeds(seeds: Sequence[int]) -> str:
    """Return seeds in words: how many where they are the first ones, else which.

    >>> said_seeds([0, 1]), said_seeds([2, 3, 4]), said_seeds([3, 8])
    ('2 seeds', 'seeds 2-4', 'seeds 3,8')
    """
    count, first = len(seeds), seeds[0]
    if list(seeds) == list(range(first, first + count)) and (first == 0 or count > 1):
        return f"{count} seed{'s' * (count > 1)}" if first == 0 else f"seeds {first}-{first + count - 1}"
    shown = ",".join(map(str, seeds[:SHOWN])) + ",..." * (count > SHOWN)
    return f"seed{'s' * (count > 1)} {shown}"
