"""The options of ``kancl run`` that say how its cells are spread; no number depends on them."""

import math
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from runners.config.request import DEFAULTS, Request, Said

if TYPE_CHECKING:
    from runners.experiment.executors.executor import Terms
    from runners.experiment.parts import Part
    from runners.measure.record import Pauses

LONG = 3000
"""Steps of training, all combinations together, from which processes are started before it is known whether they are needed."""


@dataclass(frozen=True)
class Execution:
    """How the cells of a run are spread."""

    jobs: Said[int] = None
    """Cells at a time, each in a process of its own; 1: one after another, in this process. Not given: as many as there are
    physical cores for --threads each, and 1 where all cells together take a few seconds."""
    executor: Said[Literal["serial", "processes", "dask"]] = None
    """Who does the cells: this process, processes of this machine (--jobs), or workers of dask's (--scheduler, or --jobs
    workers on this machine). Not given: as --jobs and --scheduler say."""
    scheduler: Said[str] = None
    """Address of a scheduler of dask's, such as tcp://head:8786, whose workers see the results' folder at the same place."""
    part: Said[str] = None
    """Do a part of the cells: 3/20 is the third of twenty, wherever and whenever the others are done."""
    emit: Said[Literal["slurm"]] = None
    """Run nothing, and print a script that has a Slurm cluster do it: an array with a cell a task, or as many tasks as
    --part has parts."""
    hang_after: float = 3600.0
    """Seconds without any sign of progress after which a cell's process is stopped and the cell tried again, like one whose
    process was killed; after two more tries it has failed."""
    checkpoint_every: float = 300.0
    """Seconds of training after which a cell is saved inside a task as well; at the ends of tasks it always is."""
    keep_networks: Literal["auto", "on", "off"] = "auto"
    """Keep the networks before the first task and after each, for kancl show; auto: where they take 16 MB a cell at most."""
    quiet: Annotated[tyro.conf.FlagCreatePairsOff[bool], tyro.conf.arg(help_behavior_hint="")] = False
    """Print nothing but what went wrong."""

    def terms(self, threads: int) -> "Terms":
        """Return how cells are spread.

        Args:
            threads: of torch, for each job.

        Raises:
            InputError: an option is out of range.
        """
        from kancl.errors import InputError
        from runners.experiment.executors.executor import Terms

        usual = "dask" if self.scheduler else "serial" if self.jobs == 1 else "processes"
        executor = self.executor or usual
        if self.scheduler and executor != "dask":
            raise InputError(f"--scheduler is for --executor dask, got --executor {executor}; leave one of them out")
        if executor == "serial" and self.jobs not in (None, 1):
            raise InputError(f"--executor serial does one cell at a time, got --jobs {self.jobs}; leave one of them out")
        jobs = 1 if executor == "serial" else self.jobs
        return Terms(executor, jobs, threads, self.hang_after, scheduler=self.scheduler)

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

    def part_of(self) -> "Part | None":
        """Return which part of the cells is to be done; None for all.

        Raises:
            InputError: it is none.
        """
        from runners.experiment.parts import read_part

        return None if self.part is None else read_part(self.part)

    def print_script(self, command: str, requests: Sequence[Request], threads: int) -> int:
        """Print the script for a cluster, and return the exit code.

        Args:
            command: as it was typed.
            requests: what is asked for.
            threads: of torch, for each cell.
        """
        from runners.cli.slurm import slurm_script

        part = self.part_of()
        words = shlex.split(command)
        print(slurm_script(words, sum(counts(requests)), part.count if part else None, self.jobs or 1, threads), end="")
        return 0

    def warm_up(self, requests: Sequence[Request]) -> None:
        """Start what processes need, where it is likely that they will be used, while this one reads, checks and builds.

        Args:
            requests: what is asked for.
        """
        if self.jobs == 1 or self.executor not in (None, "processes") or self.scheduler:
            return
        cells = counts(requests)
        steps = sum(
            count * (LONG if request.steps is None else request.steps) for count, request in zip(cells, requests, strict=True)
        )
        if sum(cells) > 1 and (self.jobs is not None or steps > LONG):
            from runners.experiment.executors.choose import cores
            from runners.experiment.executors.server import start_server

            if self.jobs is not None or cores() > 1:
                start_server()


def counts(requests: Sequence[Request]) -> list[int]:
    """Return how many cells each request asks for, before any is matched or tuned."""
    parts = ("scenarios", "architectures", "strategies", "cells")
    whole = [request.over(DEFAULTS) for request in requests]
    return [math.prod(len(getattr(request, part) or (None,)) for part in parts) for request in whole]
