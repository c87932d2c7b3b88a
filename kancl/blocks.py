"""What of paired seeds is independent evidence: blocks of seeds that share a choice, and seeds that one side lost.

A learning rate that was chosen on other seeds is a random number like any other. Seeds that rest on the same choice move
together if the choice falls otherwise, so they are one observation, a *block*; seeds without a choice, or each with a choice
of its own, are blocks of one. Every statistic here is over blocks, and equals that over seeds where each is its own block.

A *lost* seed has no value on a side: it diverged, or learned nothing that it could retain. Those that are left were not drawn
at random, so nothing is assumed of the lost but that their values lie within the metric's reach.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int

from kancl.statistics import Interval, mean_interval, paired_effect_size, sign_flip_test

PerSeed = Float[np.ndarray, "n"]
Block = Int[np.ndarray, "n"]


def blocks_of(seeds: Sequence[int], *choices: Mapping[int, int] | None) -> Block:
    """Return the number of the block of each seed: two seeds that share a choice of any side are in one block.

    Args:
        seeds: all different.
        choices: of each side the choice that a seed rests on; None for a side where nothing was chosen.

    >>> blocks_of([0, 1, 2, 3], {0: 7, 1: 7, 2: 8, 3: 9}, None)
    array([0, 0, 1, 2])
    """
    parent = list(range(len(seeds)))

    def root(place: int) -> int:
        while parent[place] != place:
            place = parent[place]
        return place

    for own in choices:
        first: dict[int, int] = {}
        for place, seed in enumerate(seeds if own is not None else ()):
            assert own is not None
            one, other = root(first.setdefault(own[seed], place)), root(place)
            parent[max(one, other)] = min(one, other)
    numbers: dict[int, int] = {}
    return np.array([numbers.setdefault(root(place), len(numbers)) for place in range(len(seeds))], int)


def interval_over(values: PerSeed, block: Block) -> Interval:
    """Return the mean of finite values with the interval that blocks give it; ``n`` counts the values.

    The mean's spread is that of the blocks' sums about what their sizes let expect, s_b - n_b m (the linearised ratio
    estimator of cluster sampling; Cochran 1977, section 9A.2): with blocks of one it is :func:`mean_interval`.
    """
    if len(values) == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    mean = float(values.mean())
    sizes, sums = np.bincount(block), np.bincount(block, weights=values - mean)
    own = values if len(sizes) == len(values) else mean + sums * len(sizes) / len(values)
    return mean_interval(own)._replace(n=len(values))


def p_over(differences: PerSeed, block: Block) -> float:
    """Return p of the sign-flip test whose signs are the blocks'; NaN if several seeds are one block, or there is none."""
    if len(differences) == 0 or (block.max() == 0 and len(differences) > 1):
        return math.nan
    return sign_flip_test(differences if block.max() + 1 == len(differences) else np.bincount(block, weights=differences))


def effect_over(differences: PerSeed, block: Block) -> float:
    """Return Hedges' g_z (:func:`paired_effect_size`) of the means of the blocks."""
    sizes = np.bincount(block)
    alone = len(sizes) == len(differences)
    return paired_effect_size(differences if alone else np.bincount(block, weights=differences) / sizes)


def bounds(first: PerSeed, second: PerSeed, reach: tuple[float, float] = (0.0, 1.0)) -> tuple[PerSeed, PerSeed]:
    """Return the least and the largest difference of two values of which one, or both, may be lost (NaN).

    Args:
        first, second: the values.
        reach: the least and the largest value that a lost one may have had; infinite where there is no bound.

    >>> bounds(np.array([0.75, np.nan, np.nan]), np.array([0.5, 0.5, np.nan]))
    (array([ 0.25, -0.5 , -1.  ]), array([0.25, 0.5 , 1.  ]))
    >>> bounds(np.array([0.75, np.nan]), np.array([np.nan, 0.5]), (0.0, np.inf))
    (array([-inf, -0.5]), array([0.75,  inf]))
    """
    least, most = reach
    low = np.where(np.isfinite(first), first, least) - np.where(np.isfinite(second), second, most)
    high = np.where(np.isfinite(first), first, most) - np.where(np.isfinite(second), second, least)
    return low, high


def largest_p(low: PerSeed, high: PerSeed, block: Block) -> float:
    """Return the largest p of :func:`p_over` that differences between ``low`` and ``high`` can have.

    1 if they can add up to 0, whose distance from 0 no signs fall short of; else that of the bound nearer to 0: to move a
    difference towards 0 takes as much from the observed sum as from any other in which it keeps its sign, and adds to the
    rest, so p only grows.
    """
    if low.sum() <= 0 <= high.sum():
        return p_over(np.zeros(len(low)), block)  # 1, or NaN where there is no p
    return p_over(low if low.sum() > 0 else high, block)
