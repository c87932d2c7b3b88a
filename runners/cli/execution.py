"""The options of ``kancl run`` that say how its cells are spread; no number depends on them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runners.config.request import Said

if TYPE_CHECKING:
    from runners.experiment.executors.executor import Terms
    from runners.measure.record import Pauses


@dataclass(frozen=True)
class Execution:
    """How the cells of a run are spread."""

    jobs: Said[int] = None
    """Cells at a time, each in a process of its own; 1: one after another, in this process."""
    hang_after: float = 3600.0
    """Seconds without any sign of progress after which a cell's process is stopped and the cell tried again, like one whose
    process was killed; after two more tries it has failed."""
    checkpoint_every: float = 300.0
    """Seconds of training after which a cell is saved inside a task as well; at the ends of tasks it always is."""
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

    def pauses(self, asked: "Callable[[], bool]") -> "Pauses":
        """Return when cells are saved inside a task.

        Args:
            asked: tells whether to stop.

        Raises:
            InputError: the interval is none.
        """
        from kancl.errors import InputError
        from runners.measure.record import Pauses

        if not self.checkpoint_every > 0:
            raise InputError(f"--checkpoint-every must be more than 0 seconds, got {self.checkpoint_every:g}")
        return Pauses(self.checkpoint_every, asked)
