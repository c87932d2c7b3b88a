"""Which stored cells answer what is asked for: a cell of more seeds is those that are there, and one of the seeds that are not.

A seed's numbers do not depend on the seeds it is trained with, so blocks that were stored at different times are read as one
cell (:mod:`runners.results.results`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from kancl.errors import InputError
from runners.choices.file import Choices
from runners.choices.plans import Plan, place_of_plan, plan_of, planned
from runners.choices.tuned import tunings_of
from runners.config.cell import Cell
from runners.config.request import Request
from runners.experiment.contents import as_built, content_of
from runners.run import RUNNERS
from runners.store.contents import BUILT, family
from runners.store.experiment import Store
from runners.store.listing import seeds_of
from runners.stream.cache import StreamCache
from runners.training.networks import build_network


class Growth:
    """What a folder holds, for those who ask for more.

    Args:
        store: of the folder.
        streams: the scenarios that were built before.
    """

    def __init__(self, store: Store, streams: StreamCache) -> None:
        self.store, self.streams = store, streams

    def settled(self, cells: Sequence[Cell]) -> list[Cell]:
        """Return the cells to run for those that are asked for: stored ones, finished or not, and new ones of the other seeds.

        What was tuned is never split: whose values were chosen together is stored together.
        """
        self.__dict__.pop("blocks", None)  # others may have added some
        listed = self.store.listing().cells
        found: dict[str, Cell] = {}
        for cell in cells:
            alone = cell.key in listed or not cell.question
            found |= {own.key: own for own in ([cell] if alone else self._parts(cell))}
        return list(found.values())

    def _parts(self, cell: Cell) -> Iterator[Cell]:
        """Yield the stored blocks that have seeds of a cell, as they would be stored today, and a cell of the other seeds."""
        left = set(cell.seeds)
        for seeds, key in self.blocks.get(family(cell), ()):
            if left.isdisjoint(seeds):
                continue
            own = for_seeds(cell, seeds, self.streams)
            if own.key == key:
                left -= set(seeds)
                yield replace(own, request=str(self.store.listing().records.get(key, {}).get("request", "")))
        if left:
            yield for_seeds(cell, tuple(seed for seed in cell.seeds if seed in left), self.streams)

    @cached_property
    def blocks(self) -> dict[str, list[tuple[tuple[int, ...], str]]]:
        """Seeds and keys of the listed cells that were not tuned, by family."""
        listing = self.store.listing()
        found: dict[str, list[tuple[tuple[int, ...], str]]] = {}
        older: list[Cell] = []
        for key in listing.cells:
            record = listing.records.get(key, {})
            if record.get("question") and record.get("family") and "taken_for" not in record:
                found.setdefault(record["family"], []).append((tuple(sorted(seeds_of(record))), key))
            elif "question" not in record and (cell := self.store.cell(key).load_cell()) is not None and cell.content:
                older.append(cell)
        for cell in self._untuned(older):
            found.setdefault(family(cell), []).append((cell.seeds, cell.key))
        return found

    def _untuned(self, cells: Sequence[Cell]) -> Iterable[Cell]:
        try:
            groups = tunings_of(self.store.out, cells)
        except InputError:  # which of them were tuned is not known any more
            return []
        return [cells[place] for tuning, places in groups if tuning is None for place in places]


def for_seeds(cell: Cell, seeds: tuple[int, ...], streams: StreamCache) -> Cell:
    """Return a cell as it is with other seeds, with digests of their data and of their initial networks.

    Args:
        cell: the configuration.
        seeds: in the order of the seed axis.
        streams: where their data are, or will be.
    """
    if seeds == cell.seeds:
        return cell
    some = replace(cell, seeds=seeds)
    stream = streams.of(some)
    content = content_of(some, stream)
    some = replace(some, content={**content, **{name: cell.content[name] for name in BUILT[1:] if name in cell.content}})
    if BUILT[0] not in cell.content:
        return some
    strategy = RUNNERS[cell.runner].make_strategy(cell.asked["strategy"])[1]
    return as_built(some, build_network(some, stream), strategy)


def tunings_for(
    cell: Cell, request: Request, reported: Sequence[int], kept: Choices, streams: StreamCache
) -> list[tuple[Cell, Plan]]:
    """Return the tunings that a cell needs: those that were made for some of its seeds, and one for the others.

    Args:
        cell: as it would be without tuning.
        request: that it comes from.
        reported: the seeds of the whole experiment.
        kept: the tunings of earlier commands.
        streams: those of the command.

    Raises:
        InputError: seeds are to be reported on which something was chosen, or to be tried once more.
    """
    records = [(place, record) for place, record in kept.entries.items() if record.get("question") == cell.question]
    found: list[tuple[Cell, Plan]] = []
    left, tried = set(cell.seeds), set[int]()
    for place, record in records if cell.question else []:
        seeds = _reported(record)
        if not seeds or left.isdisjoint(seeds):
            continue
        own = for_seeds(cell, seeds, streams)
        plan = planned(own, request, record)
        if place_of_plan(own, plan) == place:
            found.append((own, plan))
            left -= set(seeds)
            tried |= set(plan.seeds)
    if both := sorted(tried & set(reported)):
        raise InputError(
            f"{_listed(both)} would be reported, and on {'it' if len(both) == 1 else 'them'} was chosen what other seeds of "
            f"this experiment were trained with; ask for other seeds, from {max(tried) + 1} on"
        )
    if left:
        rest = for_seeds(cell, tuple(seed for seed in cell.seeds if seed in left), streams)
        known = {seed for own, _ in found for seed in own.seeds}
        others = [seed for seed in reported if seed not in known]
        found.append((rest, plan_of(request, rest, others, sorted({*reported, *tried}))))
    return found


def _reported(record: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the seeds that a tuning was made for; none if it is not finished, or none that can have been made."""
    try:
        found = [seed for choice in record.get("choices", ()) for seed in choice["reported"] if choice["seeds"]]
        return tuple(sorted(map(int, found)))
    except (TypeError, ValueError, LookupError):
        return ()


def _listed(seeds: Sequence[int]) -> str:
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
