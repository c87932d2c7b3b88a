"""Single cells as they are asked for, ``ARCHITECTURE/STRATEGY``: ``kan:intervals=20/ewc:strength=3``.

A path has slashes too, and so may the value of an option. The slash between the two is the one that leaves a name on either
side, and as few slashes as can be in values; one inside quotes or brackets never is.
"""

import re

from kancl.errors import InputError
from kancl.options import parse_spec

NAME = re.compile(r"(?:[^:]*\.py:)?[^:/]+(?=:|$)")
"""A name, or ``path/to/file.py:name``, before its options."""
PIECES = re.compile(r'"(?:[^"\\]|\\.)*"|.', re.DOTALL)


def parse_pair(text: str) -> tuple[str, str]:
    """Return the architecture and the strategy of ``ARCHITECTURE/STRATEGY``, each as :func:`kancl.options.parse_spec` reads it.

    Raises:
        InputError: no slash separates two names, or more than one could.

    >>> parse_pair("nets/mine.py:Net:width=3/replay:memory=100")
    ('nets/mine.py:Net:width=3', 'replay:memory=100')
    """
    found = [(text[:place].strip(), text[place + 1 :].strip()) for place in _slashes(text)]
    found = [pair for pair in found if all(map(_is_spec, pair))]
    fewest = min((_slashes_in_values(pair) for pair in found), default=0)
    found = [pair for pair in found if _slashes_in_values(pair) == fewest]
    if len(found) == 1:
        return found[0]
    if found:
        ways = " or ".join(f"{one} and {other}" for one, other in found[:3])
        raise InputError(f"cell {_shown(text)} could be {ways}; put the value that has a slash in quotes")
    raise InputError(
        f"cell {_shown(text)} is not of the form ARCHITECTURE/STRATEGY, e.g. mlp/naive, kan:intervals=20/ewc:strength=3 or "
        "path/to/file.py:Net/naive"
    )


def _slashes(text: str) -> list[int]:
    """Return the places of the slashes that are neither in quotes nor in brackets."""
    found, place, depth = [], 0, 0
    for piece in PIECES.findall(text):
        depth += (piece == "[") - (piece == "]")
        if piece == "/" and depth == 0:
            found.append(place)
        place += len(piece)
    return found


def _slashes_in_values(pair: tuple[str, str]) -> int:
    """Return how many slashes would belong to values of options."""
    return sum(len(_slashes(NAME.sub("", text, count=1))) for text in pair)


def _is_spec(text: str) -> bool:
    if not NAME.match(text):
        return False
    try:
        parse_spec(text)
    except InputError:
        return False
    return True


def _shown(text: str) -> str:
    return repr(text) if len(text) <= 80 else f"{text[:80]!r}..."
