"""A bank of trained networks, from which simulations of verdicts draw: what every seed scored at every rate.

``python benchmarks/statistics/bank.py`` trains two networks that are alike but for one hidden unit, on split-digits in two
settings, at the eight rates of ``--tune 8``, and writes ``bank.npz`` beside this file.
"""

import sys
from pathlib import Path

import numpy as np

from runners.config.optimizers import OPTIMIZERS
from runners.config.request import Request
from runners.experiment.expand import expand
from runners.results.entry import Entry
from runners.run import run_cell
from runners.stream.cache import StreamCache

SETTINGS = ("domain", "task")
NETWORKS = ("mlp:hidden=20", "mlp:hidden=21")
TRIALS = 8
RATES = tuple(float(f"{rate:.3g}") for rate in np.geomspace(*OPTIMIZERS["adam"].rates, TRIALS))
VALUES = ("learning_score", "learned", "retention")
SEEDS, STACK = 512, 128
BANK = Path(__file__).with_name("bank.npz")


def main() -> None:
    """Train the bank, a stack of seeds at a time, and write it after each."""
    bank = np.full((len(SETTINGS), len(NETWORKS), TRIALS, SEEDS, len(VALUES)), np.nan, dtype=np.float32)
    gap = np.full((len(SETTINGS), SEEDS), np.nan, dtype=np.float32)
    for first in range(0, SEEDS, STACK):
        seeds = slice(first, first + STACK)
        for place, setting in enumerate(SETTINGS):
            streams = StreamCache()
            for number, rate in enumerate(RATES):
                request = Request(
                    scenarios=(f"split-digits:setting={setting}",), architectures=NETWORKS, lr=rate,
                    seeds=f"{first}-{first + STACK - 1}", evaluations=2,
                )  # fmt: skip
                for network, cell in enumerate(expand([request], streams=streams)):
                    entry = Entry(cell, run_cell(cell, streams.of(cell)), cell.labels)
                    values = entry.metrics()
                    bank[place, network, number, seeds] = np.stack([values[name] for name in VALUES], -1)
                    gap[place, seeds] = 1 - entry.result.null[entry.result.score].mean(1)
                print(f"seeds from {first}, {setting}, rate {rate:g}", file=sys.stderr, flush=True)
        np.savez_compressed(BANK, values=bank, gap=gap, rates=np.array(RATES))


if __name__ == "__main__":
    main()
