"""Stored cells become entries: those of one question are one, however many seeds each of them has."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from runners.choices.tuned import Tuning, labels_of_all, tunings_of
from runners.config.cell import Cell
from runners.measure.merge import merge
from runners.measure.result import Result
from runners.results.entry import Entry, grouped
from runners.store.contents import family


@dataclass(frozen=True)
class Stored:
    """A finished cell of a folder."""

    folder: Path
    cell: Cell
    result: Result

    @property
    def labels(self) -> dict[str, str]:
        """What it is called by itself."""
        return {**self.cell.labels, "policy": self.cell.policy.label}


def entries_of(stored: Sequence[Stored]) -> list[Entry]:
    """Return what stored cells make up: blocks of seeds of one cell as one entry, and seeds that were tuned together.

    A seed's numbers do not depend on the seeds it is trained with. Blocks that have a seed in common stay apart, and so do
    cells of other contents; the same cell in two folders counts once.

    Args:
        stored: finished cells, those of a folder one after another.
    """
    alone: dict[str, list[Stored]] = {}
    found: dict[object, tuple[Tuning | None, list[Stored]]] = {}
    seen: set[str] = set()
    for folder, own in grouped(stored, lambda one: one.folder).items():
        for tuning, places in tunings_of(folder, [one.cell for one in own]):
            cells = [own[place] for place in places]
            if tuning is not None:
                found[len(found)] = (tuning, cells)
                continue
            for one in cells:
                if one.cell.key not in seen:
                    seen.add(one.cell.key)
                    name = family(one.cell)
                    blocks = alone.setdefault(name, [])
                    found.setdefault(("family", name), (None, blocks))
                    blocks.append(one)
    return list(_labelled([entry for tuning, cells in found.values() for entry in _joined(tuning, cells)]))


def _joined(tuning: Tuning | None, cells: Sequence[Stored]) -> Iterator[Entry]:
    """Yield cells as one entry; each as one of its own where they have a seed in common."""
    seeds = sorted(seed for one in cells for seed in one.cell.seeds)
    if len(cells) == 1 or len(set(seeds)) < len(seeds):
        yield from (Entry(one.cell, one.result, one.labels, tuning) for one in cells)
        return
    whole = replace(cells[0].cell, seeds=tuple(seeds))
    labels = cells[0].labels if tuning is None else labels_of_all([one.labels for one in cells])
    yield Entry(whole, merge([one.result for one in cells], seeds), labels, tuning, tuple(one.cell for one in cells))


def _labelled(entries: list[Entry]) -> Iterator[Entry]:
    """Yield the entries; where two would be named alike, the names have what else may tell them apart."""
    alike = Counter(tuple(entry.labels.values()) for entry in entries)
    for entry in entries:
        label, cell = entry.labels, entry.cell
        if alike[tuple(label.values())] > 1:
            also = (cell.dtype, f"seeds={','.join(map(str, cell.seeds))}", f"#{entry.key[-4:]}")
            label = {**label, "policy": " ".join([label["policy"], *also])}
            yield replace(entry, labels=label, also=also)
        else:
            yield entry
