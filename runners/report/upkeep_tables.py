"""The state of an experiment's cells as a table."""

from collections.abc import Iterable

from runners.report.sheet import Column, Sheet, Tone, Words
from runners.upkeep.survey import Standing, State

TONES: dict[State, Tone] = {
    "done": "good", "running": "strong", "begun": "doubtful", "failed": "bad", "damaged": "bad", "absent": "quiet",
}  # fmt: skip


def standings_sheet(cells: Iterable[Standing]) -> Sheet:
    """Return a row for each cell: what it is, the end of its key, its state, and what there is to say of it."""
    columns = (Column("cell"), Column("key", fold=False), Column("state", fold=False), Column(""))
    rows = [(cell.words, cell.key.rpartition("--")[2], Words(cell.state, TONES[cell.state]), cell.said) for cell in cells]
    return Sheet("", columns, tuple(rows))
