"""Guards kancl.blocks: which seeds are one observation, and what may be said of seeds that were lost."""

import math

import numpy as np
import pytest

from kancl.blocks import blocks_of, effect_over, interval_over, largest_p, p_over
from kancl.statistics import mean_interval, paired_effect_size, sign_flip_test


def test_seeds_that_share_a_choice_on_either_side_are_joined() -> None:
    seeds = [3, 5, 7, 9, 11]
    assert blocks_of(seeds).tolist() == [0, 1, 2, 3, 4]
    first, second = dict(zip(seeds, [1, 1, 2, 3, 3], strict=True)), dict(zip(seeds, [1, 2, 2, 3, 4], strict=True))
    assert blocks_of(seeds, first).tolist() == [0, 0, 1, 2, 2]
    assert blocks_of(seeds, first, second).tolist() == [0, 0, 0, 1, 1], "5 is with 3 on one side and with 7 on the other"
    assert blocks_of([]).tolist() == []


def test_blocks_of_one_are_seeds() -> None:
    values = np.random.default_rng(0).normal(size=9)
    block = np.arange(9)
    assert interval_over(values, block) == mean_interval(values)
    assert p_over(values, block) == sign_flip_test(values)
    assert effect_over(values, block) == paired_effect_size(values)


def test_what_seeds_of_a_block_share_counts_once() -> None:
    """The interval of a mean whose blocks are alike inside is that of the blocks; it covers, over seeds it would not."""
    rng = np.random.default_rng(1)
    block = np.repeat(np.arange(8), [1, 2, 3, 2, 2, 1, 3, 2])
    covered = {"blocks": 0, "seeds": 0}
    for _ in range(400):
        values = rng.normal(size=8)[block] + 0.1 * rng.normal(size=16)
        for name, interval in (("blocks", interval_over(values, block)), ("seeds", mean_interval(values))):
            assert interval.n == 16
            assert interval.mean == pytest.approx(values.mean())
            covered[name] += interval.low <= 0 <= interval.high
    assert covered["blocks"] >= 0.92 * 400
    assert covered["seeds"] < 0.9 * 400


def test_one_block_has_no_p() -> None:
    assert math.isnan(p_over(np.ones(5), np.zeros(5, int)))
    assert math.isnan(largest_p(np.ones(5), np.ones(5), np.zeros(5, int)))
    assert p_over(np.ones(1), np.zeros(1, int)) == 1.0
    assert math.isnan(p_over(np.empty(0), np.empty(0, int)))
