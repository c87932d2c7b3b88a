"""How many cells run at a time where nobody said it: as many as there are cores, unless all of them are soon done."""

from collections.abc import Callable
from dataclasses import replace

from runners.experiment.executors.executor import Terms

WORTH = 10.0
"""Seconds of work, all cells together, below which they run one after another in this process: processes take a few seconds to
start, and build the data again that this process has."""


def settled(terms: Terms, cells: int, device: str, seconds: Callable[[], float]) -> Terms:
    """Return terms that say how many cells run at a time.

    Args:
        terms: with what was said of it.
        cells: how many are to be done.
        device: where; a GPU is not shared unless somebody says so.
        seconds: tells about how long all cells will take; asked only if it matters.
    """
    if terms.scheduler is not None:  # whose workers do as many as they can
        return terms
    if terms.jobs is not None:
        return replace(terms, jobs=min(terms.jobs, max(1, cells))) if terms.executor == "processes" else terms
    jobs = min(cores() // terms.threads, cells) if device == "cpu" else 1
    if terms.executor == "processes" and (jobs < 2 or seconds() < WORTH):
        return replace(terms, executor="serial", jobs=1)
    return replace(terms, jobs=jobs)


def cores() -> int:
    """Return how many physical cores this process may use, by its affinity and the quota of its container."""
    import joblib  # on use, since it is slow to import

    return int(joblib.cpu_count(only_physical_cores=True))
