"""A cell whose seeds are trained in blocks, one after another; what is done is kept, block by block, in the cell's folder."""

from collections.abc import Callable

from runners.config.cell import Cell
from runners.experiment.keeping import Keeping, NetworkKeeper
from runners.measure.merge import merge
from runners.measure.record import NEVER, Keep, MisfitError, Pauses, Progress, Record, Saved, kept_nowhere
from runners.measure.result import Result
from runners.run import groups_of, run_cell
from runners.store.cell import CellStore
from runners.stream.stream import Stream


def run_blocks(
    cell: Cell,
    stream: Stream,
    files: CellStore,
    tell: Callable[[Progress], None],
    pauses: Pauses = NEVER,
    keeping: Keeping = "off",
) -> Result:
    """Train a cell whose seeds have tasks of different sizes and return what was measured.

    Blocks that are done are not trained again, and the one that was stopped goes on from its last checkpoint.

    Args:
        cell: the configuration.
        stream: the cell's scenario on the device to train on; the seeds of each of its groups are a block.
        files: of the cell.
        tell: called with the progress.
        pauses: when to save inside a task, and whether to stop.
        keeping: whether networks are kept.
    """
    results = []
    for own, group, own_tell in groups_of(cell, stream, tell):
        block = files.block(own.key)
        result = block.load_result()
        if result is None:
            resume = block.load_checkpoint()
            block.begin(own)
            keep = NetworkKeeper(block, cell, len(stream.names), keeping)
            result = run_in(block, own, group, resume, own_tell, pauses=pauses, keep=keep)
            block.save_result(result)
        results.append(result)
    return merge(results, cell.seeds)


def run_in(
    files: CellStore,
    cell: Cell,
    stream: Stream,
    resume: Saved | None,
    tell: Callable[[Progress], None],
    measured: Callable[[Record], None] = lambda record: None,
    pauses: Pauses = NEVER,
    keep: Keep = kept_nowhere,
) -> Result:
    """Train a cell with its checkpoints in its folder: from one of them, or from one before, or anew, if it does not fit.

    Args:
        files: where checkpoints are kept.
        cell, stream, resume, tell, measured, pauses, keep: as of :func:`runners.run.run_cell`.
    """
    try:
        return run_cell(cell, stream, resume, files.save_checkpoint, tell, measured, pauses, keep)
    except MisfitError as error:
        before = files.discard_checkpoint(resume, str(error))
        return run_in(files, cell, stream, before, tell, measured, pauses, keep)
