"""What ``--tune`` plans: how many trials, over which rates, and on which seeds values are chosen for which reported seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kancl.errors import InputError
from runners.config.cell import Cell
from runners.config.request import Request
from runners.config.seeds import parse_seeds

MOST_TRIALS = 1000
"""Each is a run."""
SEEDS = 2
"""Seeds of a choice. One makes choices scatter and two differences of retention from that; a third adds little."""


@dataclass(frozen=True)
class Choice:
    """Reported seeds whose values are chosen together, and the seeds on which they are: no other choice uses these."""

    reported: tuple[int, ...]
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """How a cell is tuned: so many trials, by a score, over a range of learning rates; and who chooses for whom."""

    trials: int
    by: str
    rates: tuple[float, float]
    choices: tuple[Choice, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the trials."""
        return tuple(seed for choice in self.choices for seed in choice.seeds)

    def __str__(self) -> str:
        reported, seeds = sum(len(choice.reported) for choice in self.choices), len(self.seeds)
        whom = "one choice for all" if len(self.choices) == 1 else f"{len(self.choices)} choices"
        return (
            f"tuning takes {self.trials} trials with {seeds} seeds each, {self.trials * seeds} networks beside the {reported} "
            f"that are reported ({whom}, on {seeds / len(self.choices):.3g} seeds each), for every cell"
        )


def check_tune(request: Request, reported: Sequence[int]) -> None:
    """Refuse what cannot be tuned, before anything is done.

    Args:
        request: what was asked for.
        reported: the seeds of the whole experiment.
    """
    if request.tune is None:
        for name in ("tune_by", "tune_seeds", "tune_choices", "tune_range"):
            if getattr(request, name) is not None:
                raise InputError(f"--{name.replace('_', '-')} says how to tune; give the number of trials too, e.g. --tune 8")
        return
    if not 1 <= request.tune <= MOST_TRIALS:
        raise InputError(f"--tune must be at least 1 trial and at most {MOST_TRIALS:,}, got {request.tune}")
    if request.lr is not None:
        raise InputError(f"--tune chooses the learning rate and --lr {request.lr:g} gives it; leave one of them out")
    low, high = request.tune_range or (1.0, 1.0)
    if not 0 < low <= high < np.inf:
        raise InputError(f"--tune-range needs 0 < smallest <= largest learning rate, got {low:g} and {high:g}")
    if request.tune_choices is not None and not 1 <= request.tune_choices <= len(reported):
        raise InputError(
            f"--tune-choices must be from 1 (one for all) to {len(reported)} (one for every reported seed), "
            f"got {request.tune_choices}"
        )
    pools = _pools(request, reported)
    if not all(pools):
        raise InputError(
            f"--tune-seeds {request.tune_seeds} are too few for {len(pools)} choices; each needs a seed of its own"
        )
    shared = {seed for pool in pools for seed in pool} & set(reported)
    if shared:
        raise InputError(
            f"--tune-seeds {request.tune_seeds} has reported seeds ({', '.join(map(str, sorted(shared)))}); what is chosen on "
            "a seed must not be reported on it"
        )


def plan_of(request: Request, cell: Cell, reported: Sequence[int], used: Sequence[int] = ()) -> Plan:
    """Return how a cell of a request that asks for tuning is tuned.

    What is chosen on a few seeds is as random as they are, so unless ``tune_choices`` says fewer, every reported seed has its
    own choice, on seeds of its own: reported seeds then differ by what tuning might have chosen, too, and a test over them
    holds its level for the procedure as a whole.

    Args:
        request: what was asked for.
        cell: the cell; the seeds that choose for one reported seed are the same for every cell.
        reported: the seeds of the whole experiment, but for those that were tuned for before.
        used: seeds that cannot be tried any more: those that are reported, and those of earlier trials.

    Raises:
        InputError: seeds are to be tried that were used.
    """
    assert request.tune is not None
    pools, reported = _pools(request, reported, used), sorted(reported)
    again = {seed for pool in pools for seed in pool} & set(used)
    if again:
        raise InputError(
            f"--tune-seeds {request.tune_seeds} has seeds that other choices of this experiment were made on "
            f"({', '.join(map(str, sorted(again)))}); name others, or only how many"
        )
    chooser = {seed: number * len(pools) // len(reported) for number, seed in enumerate(reported)}
    choices = [Choice(tuple(s for s in cell.seeds if chooser[s] == number), pool) for number, pool in enumerate(pools)]
    rates = request.tune_range or cell.policy.row.rates
    return Plan(request.tune, request.tune_by or "learning", rates, tuple(choice for choice in choices if choice.reported))


def planned(cell: Cell, request: Request, record: Mapping[str, Any]) -> Plan:
    """Return the plan that a record of the same question was made by.

    Args:
        cell: one of its cells.
        request: that it comes from.
        record: with its choices.
    """
    assert request.tune is not None
    choices = tuple(Choice(tuple(choice["reported"]), tuple(choice["seeds"])) for choice in record["choices"])
    return Plan(request.tune, request.tune_by or "learning", request.tune_range or cell.policy.row.rates, choices)


def _pools(request: Request, reported: Sequence[int], used: Sequence[int] = ()) -> list[tuple[int, ...]]:
    """Return the seeds of each choice: a number of them each, or the seeds that were named, dealt out."""
    said = str(SEEDS if request.tune_seeds is None else request.tune_seeds)
    seeds = parse_seeds(said)
    if said.strip().isdigit():
        count, first = request.tune_choices or len(reported), max([*reported, *used]) + 1
        return [tuple(first + number * len(seeds) + seed for seed in seeds) for number in range(count)]
    count = request.tune_choices or max(1, min(len(reported), len(seeds) // SEEDS))
    return [seeds[number * len(seeds) // count : (number + 1) * len(seeds) // count] for number in range(count)]


def place_of_plan(cell: Cell, plan: Plan) -> str:
    """Return the name under which a cell's trials are remembered."""
    seeds = ";".join(",".join(map(str, choice.seeds)) for choice in plan.choices)
    return f"{cell.key}/{plan.trials} by {plan.by} on {seeds} from {plan.rates[0]:g} to {plan.rates[1]:g}"
