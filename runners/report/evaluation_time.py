"""Where evaluations took more of the time than they should, and what changes it."""

from collections.abc import Sequence

from runners.report.numbers import counts
from runners.results.entry import Entry

SHARE = 0.2
"""Of the time of a cell, from which on it is said."""
SAMPLES = 200
"""Test samples of a task that are proposed for the evaluations inside tasks."""


def evaluation_line(entries: Sequence[Entry]) -> str | None:
    """Return a line on cells whose evaluations took more than a fifth of the time, and which option changes it, or None.

    Args:
        entries: results of one run; those of versions that did not measure it say nothing.
    """
    slow = [entry for entry in entries if entry.result.evaluation_seconds > SHARE * entry.result.seconds]
    if not slow:
        return None
    share = sum(entry.result.evaluation_seconds for entry in slow) / sum(entry.result.seconds for entry in slow)
    options = []
    if any(entry.cell.curve_samples == "all" for entry in slow):
        options.append(f"--curve-samples {SAMPLES} makes those inside tasks on {SAMPLES} test samples each")
    most = max(entry.cell.evaluations for entry in slow)
    if most > 2:
        options.append(f"an --evaluations below {most} makes fewer")
    if not options:
        return None  # what is left are the rows of R
    return f"Evaluations took {share:.0%} of the time of {counts([len(slow)], 'cell')}: {', '.join(options)}."
