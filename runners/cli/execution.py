"""The options of ``kancl run`` that say how its cells are spread; no number depends on them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runners.config.request import Said

if TYPE_CHECKING:
    from runners.experiment.executors.executor import Terms


@dataclass(frozen=True)
class Execution:
    """How the cells of a run are spread."""

    jobs: Said[int] = None
    """Cells at a time, each in a process of its own; 1: one after another, in this process."""
    hang_after: float = 3600.0
    """Seconds without any sign of progress after which a cell's process is stopped and the cell tried again, like one whose
    process was killed; after two more tries it has failed."""
    quiet: bool = False
    """Print nothing but what went wrong."""

    def terms(self, threads: int) -> "Terms":
        """Return how cells are spread.

        Args:
            threads: of torch, for each job.

        Raises:
            InputError: an option is out of range.
        """
        from runners.experiment.executors.executor import Terms

        jobs = 1 if self.jobs is None else self.jobs
        return Terms("serial" if jobs == 1 else "processes", jobs, threads, self.hang_after)
