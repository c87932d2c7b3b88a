"""Text of others, made fit to be shown: names, labels and messages may hold anything that Python takes for text."""

import difflib
import unicodedata
from collections.abc import Iterable

HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Kinds of characters that have no picture of their own: controls, marks of direction, half surrogates, line separators."""
JOINERS = "\u200c\u200d"
"""Invisible, and part of how words and emoji are written."""


def visible(text: str, keep: str = "") -> str:
    r"""Return a text whose characters can all be seen and written: others stand as Python writes them.

    Args:
        text: anything.
        keep: characters that stay as they are, for example line ends.

    >>> visible("50 \x1b[31m% \ud800"), visible("Größe ✓ 任务")
    ('50 \\x1b[31m% \\ud800', 'Größe ✓ 任务')
    """
    if text.isprintable():
        return text
    return "".join(_escaped(character) if _is_hidden(character) and character not in keep else character for character in text)


def counted(number: int, thing: str) -> str:
    """Return how many of a thing there are.

    >>> counted(1, "seed"), counted(2000, "task")
    ('1 seed', '2,000 tasks')
    """
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) in HIDDEN and character not in JOINERS


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def near_misses(name: str, known: Iterable[str], most: int = 3, cutoff: float = 0.5) -> list[str]:
    """Return what somebody may have meant by a name that is not known: one that differs in its case alone, else those like it.

    Args:
        name: that was given.
        known: the names that there are.
        most: of those like it.
        cutoff: how much alike they have to be, 0 to 1.

    >>> near_misses("EWC", ["ewc", "ewd"]), near_misses("gausian-peaks", ["gaussian-peaks", "si"]), near_misses("x", ["ewc"])
    (['ewc'], ['gaussian-peaks'], [])
    """
    names = list(known)
    same = [own for own in names if own.casefold() == name.casefold()]
    lowered: dict[str, str] = {own.casefold(): own for own in reversed(names)}
    return same or [lowered[own] for own in difflib.get_close_matches(name.casefold(), lowered, n=most, cutoff=cutoff)]
