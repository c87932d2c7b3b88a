"""Text of others, made fit to be shown: names, labels and messages may hold anything that Python takes for text."""

import unicodedata

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
