"""Which cells are compared: pairs of architectures of one scenario and strategy, trained as much alike as there are."""

import re
from collections.abc import Container, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import combinations
from typing import Protocol, TypeVar

from kancl.errors import InputError
from kancl.models.tunable import tunables_of
from kancl.options import Spec, parse_spec
from runners.choices.tuned import Tuning
from runners.config.cell import Cell
from runners.results.entry import grouped
from runners.run import RUNNERS

REFERENCE = "mlp"
"""The architecture that the others are compared with where it was run and no other is asked for."""


class Side(Protocol):
    """A cell as pairing sees it, finished or not."""

    @property
    def cell(self) -> Cell:
        """The cell."""

    @property
    def labels(self) -> dict[str, str]:
        """What it is called: scenario, architecture, strategy and policy."""

    @property
    def tuning(self) -> Tuning | None:
        """How what was tuned was chosen."""


Own = TypeVar("Own", bound=Side)


def pairs_of(sides: Sequence[Own], against: str | None = None) -> list[tuple[Own, Own]]:
    """Return the pairs that are compared.

    A cell is paired with the other architecture's of the same policy; if there is none, with those of another learning rate, or
    of other tunable options of the strategy, as after tuning; if there is none either, with all.

    Args:
        sides: the cells, of strategies whose verdicts mean something.
        against: compare with this architecture only: its label (``mlp:hidden=20``) or else its name (``mlp``). If None it is
            ``mlp`` where that was run; elsewhere every pair is compared.
    """
    groups = grouped(sides, lambda side: (side.labels["scenario"], f"{side.cell.runner} {strategy_but_for_tuned(side)}"))
    return [pair for group in groups.values() for pair in _pairs(group, against)]


def architecture_of(side: Side) -> str:
    """Return what a cell's architecture is called."""
    return side.labels["architecture"]


def named(sides: Sequence[Side], name: str) -> list[str]:
    """Return the labels that a name stands for: that very label, else all variants of the architecture."""
    labels = dict.fromkeys(architecture_of(side) for side in sides)
    if name in labels:
        return [name]
    return list(dict.fromkeys(architecture_of(side) for side in sides if side.cell.architecture.name == name))


def strategy_but_for_tuned(side: Side) -> str:
    """Return the strategy but for what tuning chooses for each architecture by itself."""
    said = parse_spec(side.cell.asked["strategy"])
    tuned: Container[str] = ()
    if ".py:" in said.name:  # results may be anybody's, and no code is run that they name
        tuned = re.findall(r"([^\s=]+)=", side.tuning.said) if side.tuning else ()
    else:
        with suppress(InputError):  # of a package that is not there any more
            tuned = tunables_of(RUNNERS[side.cell.runner].strategies.get(said.name))
    return Spec(said.name, {key: value for key, value in said.options.items() if key not in tuned}).label


def condition(side: Side) -> tuple[object, ...]:
    """Return how a cell was trained; equal where nothing differs."""
    values = () if side.tuning is None else tuple(side.tuning.values_of(seed) for seed in side.cell.seeds)
    tuned = values if len(set(values)) > 1 else ()
    return side.cell.policy, side.cell.dtype, side.labels["strategy"], tuned


def but_for_rate(side: Side) -> tuple[object, ...]:
    """Return how a cell was trained, whatever its learning rate."""
    return replace(side.cell.policy, lr=1.0), side.cell.dtype, side.labels["strategy"]


def but_for_tuned(side: Side) -> tuple[object, ...]:
    """Return how a cell was trained, whatever tuning may choose."""
    return replace(side.cell.policy, lr=1.0), side.cell.dtype


def _pairs(group: list[Own], against: str | None) -> Iterator[tuple[Own, Own]]:
    """Yield which cells of one scenario and strategy are compared."""
    cells = grouped(group, architecture_of)
    labels = list(cells)
    references = named(group, against or REFERENCE)
    if references:
        wanted = [(label, reference) for label in labels if label not in references for reference in references]
    else:
        wanted = list(combinations(labels, 2)) if against is None else []
    for first, second in wanted:
        yield from _matched(cells[first], cells[second])


def _matched(own: list[Own], other: list[Own]) -> Iterator[tuple[Own, Own]]:
    """Yield for each of one architecture's cells those of the other's that are most like it in how they were trained."""
    for a in own:
        mates = [b for b in other if not set(a.cell.seeds).isdisjoint(b.cell.seeds)] or other
        for alike in (condition, but_for_rate, but_for_tuned):
            if found := [b for b in mates if alike(a) == alike(b)]:
                mates = found
                break
        yield from ((a, b) for b in mates)
