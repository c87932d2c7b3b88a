"""What each cell costs per network, as a table: all four costs, whichever of them was matched."""

from collections.abc import Sequence

from runners.measure.result import Result
from runners.report.sheet import Column, Kind, Sheet, figures
from runners.results.entry import Entry

COST_NOTES = (
    "cost: of one network. parameters: trained numbers; active: those of them that can bear on one sample",
    "FLOPs: of a forward pass of one sample, and with its backward pass (step): the products that are really computed",
    "µs/step: measured time of an optimiser step of the second task, on one batch, divided by the seeds that train at once",
)
SHOWN_COSTS: dict[str, Kind] = {
    "parameters": "count",
    "active": "count",
    "FLOPs": "count",
    "FLOPs (step)": "count",
    "µs/step": "number",
}
"""What is shown of a cell's costs, and how it is written."""


def cost_sheet(entries: Sequence[Entry]) -> Sheet:
    """Return a row per cell; strategies differ in the time of a step alone."""
    columns = (Column("architecture"), Column("strategy"), *(figures(head, kind) for head, kind in SHOWN_COSTS.items()))
    rows = tuple((entry.labels["architecture"], entry.strategy, *costs(entry.result)) for entry in entries)
    return Sheet("cost", columns, rows, keys=2, first=3)


def costs(result: Result) -> tuple[float | None, ...]:
    """Return the costs in the order of :data:`SHOWN_COSTS`; None or NaN for what an older version did not measure."""
    return result.parameters, result.active, result.flops, result.step_flops, result.step_seconds * 1e6
