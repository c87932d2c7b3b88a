"""The options of ``kancl run`` that say how its cells are spread; no number depends on them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runners.config.request import Request, Said

if TYPE_CHECKING:
    from runners.experiment.executors.executor import Terms
    from runners.measure.record import Pauses

LONG = 3000
"""Steps of training, all combinations together, from which processes are started before it is known whether they are needed."""


@dataclass(frozen=True)
class Execution:
    """How the cells of a run are spread."""

    jobs: Said[int] = None
    """Cells at a time, each in a process of its own; 1: one after another, in this process. Not given: as many as there are
    physical cores for --threads each, and 1 where all cells together take a few seconds."""
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

        return Terms("serial" if self.jobs == 1 else "processes", self.jobs, threads, self.hang_after)

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

    def warm_up(self, requests: Sequence[Request]) -> None:
        """Start what processes need, where it is likely that they will be used, while this one reads, checks and builds.

        Args:
            requests: what is asked for.
        """
        if self.jobs == 1:
            return
        parts = ("scenarios", "architectures", "strategies", "cells")
        cells = [math.prod(len(getattr(request, part) or (None,)) for part in parts) for request in requests]
        steps = sum(
            count * (LONG if request.steps is None else request.steps) for count, request in zip(cells, requests, strict=True)
        )
        if sum(cells) > 1 and (self.jobs is not None or steps > LONG):
            from runners.experiment.executors.choose import cores
            from runners.experiment.executors.server import start_server

            if self.jobs is not None or cores() > 1:
                start_server()
