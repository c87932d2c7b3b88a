"""The ledger of damage: what each cause added to the loss on old tasks by the end, a stack for each cell."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from kancl.locality.ledger import GROUPS
from kancl.statistics import Interval, mean_interval
from kancl.text import counted
from runners.report.figures.data import seeds_told
from runners.results.entry import Entry, grouped

INTERACTION = "interaction: what no cause alone accounts for"
MOST = 24
"""Cells of a scenario that are drawn."""


@dataclass(frozen=True, eq=False)
class Stack:
    """One cell.

    Args:
        architecture, policy: what it is called.
        parts: what each cause added, mean over seeds; 0 where the network has no such part.
        damage: all of it, mean over seeds and 95 % interval.
    """

    architecture: str
    policy: str
    parts: Float[np.ndarray, "P"]
    damage: Interval


@dataclass(frozen=True, eq=False)
class LedgerData:
    """The cells of one scenario and strategy.

    Args:
        heading: lines over the figure.
        strategy: of all.
        causes: P of them, in words.
        stacks: one per cell.
    """

    heading: tuple[str, ...]
    strategy: str
    causes: tuple[str, ...]
    stacks: tuple[Stack, ...]


def ledgers(scenario: str, entries: Sequence[Entry]) -> list[LedgerData]:
    """Return the ledgers of a scenario's cells that have one and living seeds, those of a strategy together."""
    recorded = [entry for entry in entries if _is_recorded(entry)]
    shown = recorded[:MOST]
    names = [name for name in GROUPS if any(name in _causes(entry) for entry in shown)]
    names += list(dict.fromkeys(name for entry in shown for name in _causes(entry) if name not in names))
    causes = (*(GROUPS.get(name, name) for name in names), INTERACTION)
    more = len(recorded) - len(shown)
    told = (
        "what each cause added to the loss on old tasks, summed over them; mean over seeds, the whole with its 95 % interval",
        seeds_told(shown) if shown else "",
        f"{counted(more, 'further cell')} not drawn" if more else "",
    )
    heading = (f"{scenario}: where the damage comes from", *told)
    return [
        LedgerData(heading, strategy, causes, tuple(_stack(entry, names) for entry in own))
        for strategy, own in grouped(shown, lambda entry: entry.strategy).items()
    ]


def _is_recorded(entry: Entry) -> bool:
    result = entry.result
    return result.locality is not None and bool(entry.alive.any()) and len(result.tasks) > 1 and "retention" in result.metrics


def _causes(entry: Entry) -> tuple[str, ...]:
    assert entry.result.locality is not None
    return entry.result.locality.causes


def _stack(entry: Entry, names: Sequence[str]) -> Stack:
    assert entry.result.locality is not None
    parts, damage = entry.result.locality.final_ledger()
    alive = entry.alive
    known = np.array([float(parts[name][alive].mean()) if name in parts else 0.0 for name in names])
    whole = mean_interval(np.where(alive, damage, np.nan))
    return Stack(entry.labels["architecture"], entry.labels["policy"], np.append(known, whole.mean - known.sum()), whole)
