"""What a figure leaves out where there is much to show, so that it can be read and drawn whatever the number of tasks is.

Nothing is left out silently: what is drawn says what is not.
"""

import textwrap
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

HIGHLIGHTED = 10
"""Tasks with a colour, a band and a place in the legend."""
QUIET = 50
"""Further tasks, as thin grey lines."""
MOMENTS = 400
"""Points along a line."""
ROWS = 200
"""Tasks in a matrix."""
TICKS = 12
"""Numbered tasks along an axis."""
NAMES = 24
"""Names in a legend."""


def evenly(count: int, most: int) -> list[int]:
    """Return at most ``most`` of the numbers from 0 to ``count`` - 1, evenly spaced, both ends among them.

    >>> evenly(4, 10), evenly(1000, 4)
    ([0, 1, 2, 3], [0, 333, 666, 999])
    """
    return list(dict.fromkeys(np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()))


def moments(task_of: Int[np.ndarray, "E"], shown: Sequence[int], most: int = MOMENTS) -> Int[np.ndarray, "e"]:
    """Return which evaluations a line goes through: all, or where they are many those at the ends of tasks, and evenly spaced
    ones of these.

    Args:
        task_of: the task in training at each evaluation, from 1; 0 before any.
        shown: tasks, from 0, that have a line: their own ends stay, since a task's best moment is there.
        most: evaluations that are kept, those of ``shown`` aside.
    """
    if len(task_of) <= most:
        return np.arange(len(task_of))
    ends = np.flatnonzero(np.diff(task_of, append=task_of[-1] + 1))
    own = ends[np.isin(task_of[ends], np.array(shown) + 1)]
    return np.unique(np.concatenate([[0], ends[evenly(len(ends), most)], own]))


def ticks(count: int, most: int = TICKS) -> list[int]:
    """Return the numbers of tasks, from 1, that stand along an axis: all, or multiples of a round number.

    >>> ticks(5), ticks(40), ticks(1000)
    ([1, 2, 3, 4, 5], [5, 10, 15, 20, 25, 30, 35, 40], [100, 200, 300, 400, 500, 600, 700, 800, 900, 1000])
    """
    steps = (base * 10**power for power in range(12) for base in (1, 2, 5))
    step = next(step for step in steps if count // step <= most)
    return list(range(step, count + 1, step))


def fold(text: str, width: int) -> str:
    """Return a text in lines; blanks and commas of long labels are where they break, if there are any.

    >>> fold("mlp:hidden=5,activation=tanh, naive", 24)
    'mlp:hidden=5,\\nactivation=tanh, naive'
    """
    lines, line = [], ""
    for word in text.replace(",", ",\0").replace("\0 ", " ").replace(" ", " \0").split("\0"):
        if line and len(line + word.rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        line += word
    return "\n".join(piece for full in (*lines, line.rstrip()) for piece in textwrap.wrap(full, width) or [""])
