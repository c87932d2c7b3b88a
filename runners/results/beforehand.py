"""What verdicts will be able to say, told before anything is trained: whether there are seeds enough for any."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from kancl.statistics import seed_warning, seeds_needed
from runners.choices.plans import Plan
from runners.config.cell import Cell
from runners.results.entry import grouped
from runners.results.pairing import pairs_of
from runners.run import RUNNERS

ALPHA = 0.05


@dataclass(frozen=True)
class Awaited:
    """A cell that is not trained yet.

    Args:
        cell: with all seeds that are asked for.
        choices: how many choices of a tuning its seeds rest on; None where nothing is tuned.
    """

    cell: Cell
    choices: int | None
    tuning: None = None

    @property
    def labels(self) -> dict[str, str]:
        """What it will be called."""
        return {**self.cell.labels, "policy": self.cell.policy.label}


def seeds_line(steps: Sequence[tuple[Cell, Plan | None]]) -> str | None:
    """Return in a line that the seeds cannot reach 5 % in any verdict, and how many would, or None where they can.

    Counted are the comparisons that ``kancl compare`` would make of these cells, one family for Holm's correction.

    Args:
        steps: the cells that are asked for, and how each is tuned that is.
    """
    pairs = pairs_of([side for side in _awaited(steps) if _is_sequence(side.cell)])
    independent = [_independent(*pair) for pair in pairs]
    if not pairs or any(seed_warning(count, ALPHA, len(pairs)) is None for count, _ in independent):
        return None
    count, unit = max(independent)
    needed, warning = seeds_needed(ALPHA, len(pairs)), seed_warning(count, ALPHA, len(pairs), unit)
    more = f"--seeds {needed}" if unit == "seed" else f"--tune-choices {needed}"
    return f"kancl compare will find no difference that counts: {warning} ({more}), unless the folder holds more"


def _awaited(steps: Iterable[tuple[Cell, Plan | None]]) -> list[Awaited]:
    """Return the cells with all of their seeds; in steps those that were tuned before stand apart."""
    groups = grouped(steps, lambda step: (*step[0].labels.values(), step[0].policy, step[0].dtype, step[0].runner))
    found = []
    for own in groups.values():
        seeds = tuple(dict.fromkeys(seed for cell, _ in own for seed in cell.seeds))
        plans = [plan for _, plan in own if plan is not None]
        choices = sum(len(plan.choices) for plan in plans) if plans else None
        found.append(Awaited(replace(own[0][0], seeds=seeds), choices))
    return found


def _is_sequence(cell: Cell) -> bool:
    """Tell whether retention means something under a cell's strategy."""
    metrics = RUNNERS[cell.runner].make_strategy(cell.asked["strategy"])[1].metrics
    return metrics is None or "retention" in metrics


def _independent(first: Awaited, second: Awaited) -> tuple[int, str]:
    """Return how many independent observations a pair will have, and what one is."""
    seeds = len(set(first.cell.seeds) & set(second.cell.seeds))
    choices = min((side.choices for side in (first, second) if side.choices is not None), default=seeds)
    return (choices, "tuning") if choices < seeds else (seeds, "seed")
