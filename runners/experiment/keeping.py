"""Which cells keep their networks after each task, to be looked at later: small ones, unless something else is asked for."""

from collections.abc import Mapping, Sequence
from typing import Literal

from torch import Tensor

from kancl.text import counted
from runners.config.cell import Cell
from runners.store.cell import CellStore
from runners.store.experiment import Store

Keeping = Literal["auto", "on", "off"]
"""``auto``: where all networks of a cell take :data:`MOST` bytes at most."""

MOST = 16 * 1024**2
"""Bytes of a cell's networks, those before the first task and after each, of all seeds together."""


class NetworkKeeper:
    """Keeps networks in the files of a cell, or of a block of its seeds; no number depends on it.

    Args:
        files: of the cell or the block.
        cell: all of it.
        tasks: how many it has.
        keeping: what was asked for.
    """

    def __init__(self, files: CellStore, cell: Cell, tasks: int, keeping: Keeping) -> None:
        self.files, self.count, self.keeping = files, len(cell.seeds) * (1 + tasks), keeping
        if keeping == "off":
            files.networks.discard()  # of a run that kept them

    def __call__(self, moment: int, network: Mapping[str, Tensor], seed: int = 0) -> None:
        """Keep networks, as :class:`runners.measure.record.Keep` has it, or let go of all where they take too much room."""
        if self.keeping == "auto":
            size = sum(tensor[0].nbytes for tensor in network.values()) * self.count
            if size > MOST:
                self.keeping = "off"
                self.files.networks.discard()
        if self.keeping != "off":
            self.files.networks.append(moment, network, seed)


def left_out_line(cells: Sequence[Cell], store: Store) -> str | None:
    """Return, in a line, of how many cells no networks are kept, and what keeps them; None where all have theirs."""
    without = sum(not store.cell(cell.key).networks_size() for cell in cells)
    if not without:
        return None
    return (
        f"kancl show has nothing to draw of {counted(without, 'cell')} of {len(cells):,}: networks after each task are kept "
        f"where they take {MOST // 1024**2} MB a cell at most, and anywhere with --keep-networks on when a cell is trained"
    )
