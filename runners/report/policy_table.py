"""How each cell was trained, and what of that was chosen by tuning, as a table."""

from collections.abc import Sequence

from runners.report.sheet import Column, Sheet, Value, figures
from runners.results.entry import Entry


def policy_sheet(entries: Sequence[Entry]) -> Sheet:
    """Return a row per cell: its policy, number format, seeds, runner, and what tuning chose."""
    heads = ("scenario", "architecture", "strategy", "policy", "number format")
    columns = (*map(Column, heads), figures("seeds", "count"), Column("runner"), Column("tuned"))
    rows: list[tuple[Value, ...]] = []
    for entry in entries:
        cell, labels = entry.cell, entry.labels
        tuned = "no" if entry.tuning is None else "; ".join((entry.tuning.said, *entry.tuning.notes))
        named = (labels["scenario"], labels["architecture"], entry.strategy, labels["policy"], cell.dtype)
        rows.append((*named, len(cell.seeds), cell.runner, tuned))
    return Sheet("Policies", columns, tuple(rows), keys=3)
