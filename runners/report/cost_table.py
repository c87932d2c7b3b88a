"""What each cell costs per network, as a table: all four costs, whichever of them was matched."""

import math
from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from runners.measure.result import Result
from runners.results.entry import Entry

COST_NOTES = (
    "cost: of one network. parameters: trained numbers; active: those of them that can bear on one sample",
    "FLOPs: of a forward pass of one sample, and with its backward pass (step): the products that are really computed",
    "µs/step: measured time of an optimiser step on one batch, divided by the number of seeds that are trained at once",
)


def cost_table(entries: Sequence[Entry]) -> Table:
    """Return a table with a row per cell; strategies differ in the time of a step alone."""
    table = Table(title="cost", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("architecture", overflow="fold")
    table.add_column("strategy", overflow="fold")
    for name in costs_shown(entries[0].result):
        table.add_column(name, justify="right", no_wrap=True)
    for entry in entries:
        table.add_row(Text(entry.labels["architecture"]), Text(entry.labels["strategy"]), *costs_shown(entry.result).values())
    return table


def costs_shown(result: Result) -> dict[str, str]:
    """Return the costs as text, by title; a dash for what an older version did not measure."""
    seconds = result.step_seconds
    return {
        "parameters": f"{result.parameters:,}",
        "active": _whole(result.active),
        "FLOPs": _whole(result.flops),
        "FLOPs (step)": _whole(result.step_flops),
        "µs/step": "–" if math.isnan(seconds) else f"{seconds * 1e6:.3g}" if seconds < 1e-3 else f"{seconds * 1e6:,.0f}",
    }


def _whole(number: float | None) -> str:
    return "–" if number is None else f"{number:,.0f}"
