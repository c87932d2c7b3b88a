"""Frames with a column for each metric: a row for each cell, or for each of its seeds."""

from collections.abc import Iterable

import pandas as pd

from kancl.statistics import mean_interval
from runners.results.entry import COSTS, Entry


def wide_frame(entries: Iterable[Entry]) -> pd.DataFrame:
    """Return a row for each cell: its labels, its score, of each metric mean, low, high and n, its costs and lost seeds.

    Args:
        entries: the cells.
    """
    rows = []
    for entry in entries:
        row: dict[str, object] = {**entry.labels, "score": entry.result.score, "setting": entry.result.setting}
        for name, values in entry.metrics().items():
            mean, low, high, n = mean_interval(values)
            row |= {name: mean, f"{name}_low": low, f"{name}_high": high, f"{name}_n": n}
        row |= {name: getattr(entry.result, name) for name in COSTS}
        rows.append({**row, "seeds": len(entry.alive), "diverged": int((~entry.alive).sum()), "cell": entry.key})
    return pd.DataFrame(rows)


def seeds_frame(entries: Iterable[Entry]) -> pd.DataFrame:
    """Return a row for each seed of each cell: its labels, the seed, its score, each metric, and whether it diverged.

    Args:
        entries: the cells.
    """
    rows = []
    for entry in entries:
        metrics, keys = entry.metrics(), entry.keys
        for place, seed in enumerate(entry.result.seeds):
            own = {name: values[place] for name, values in metrics.items()}
            fixed = {**entry.labels, "seed": seed, "score": entry.result.score}
            rows.append({**fixed, **own, "diverged": not entry.alive[place], "cell": keys.get(seed)})
    return pd.DataFrame(rows)
