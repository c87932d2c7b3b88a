"""A cell whose seeds are trained in blocks, one after another; what is done is kept, block by block, in the cell's folder."""

from collections.abc import Callable

from runners.config import Cell
from runners.merge import merge
from runners.result import Result
from runners.store import CellStore
from runners.stream import Stream
from runners.train import Progress, groups_of, run_cell

FOLDER = "blocks"
"""Below a cell's folder: a folder for each block, with the files of a cell."""


def run_blocks(cell: Cell, stream: Stream, files: CellStore, tell: Callable[[Progress], None]) -> Result:
    """Train a cell whose seeds have tasks of different sizes and return what was measured.

    Blocks that are done are not trained again, and the one that was stopped goes on from its last checkpoint.

    Args:
        cell: the configuration.
        stream: the cell's scenario on the device to train on; the seeds of each of its groups are a block.
        files: of the cell.
        tell: called with the progress.
    """
    results = []
    for own, group, own_tell in groups_of(cell, stream, tell):
        block = CellStore(files.folder / FOLDER / own.key)
        result = block.load_result()
        if result is None:
            block.begin(own)
            result = run_cell(own, group, block.load_checkpoint(), block.save_checkpoint, own_tell)
            block.save_result(result)
        results.append(result)
    return merge(results, cell.seeds)
