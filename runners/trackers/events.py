"""What trackers are told: the numbers of a record, one evaluation after the other, under names that every tool takes."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kancl.statistics import mean_interval
from runners.config.cell import Cell
from runners.measure.record import Record
from runners.measure.result import Result
from runners.results.entry import COSTS

SEEDS_SHOWN = 8
"""Up to so many seeds each has series of its own beside the mean; of more, these tools' charts show nothing any longer."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The scores of all tasks at one moment of a run.

    Args:
        task: the task in training, from 1; 0 before any.
        step: optimiser steps taken in it.
        total_step: optimiser steps since the first task began (none of pretraining): the horizontal axis.
        end: whether the scores are a row of R, the one after ``task``.
        seeds: the seeds.
        alive: which of them gave finite values only up to here, (S,).
        scores: by name, (S, T).
    """

    task: int
    step: int
    total_step: int
    end: bool
    seeds: tuple[int, ...]
    alive: np.ndarray
    scores: dict[str, np.ndarray]

    def series(self) -> dict[str, float]:
        """Return what is drawn over :attr:`total_step`.

        ``<score>/task_<j>`` is the mean over the living seeds and ``<score>/seen`` its mean over the tasks 1 to ``task``;
        ``<score>_seed_<s>/task_<j>`` are single seeds (2 to ``SEEDS_SHOWN`` of them); ``training/task`` and
        ``training/seeds_alive``. Seeds without finite values have no points any longer.
        """
        values = {"training/task": float(self.task), "training/seeds_alive": float(self.alive.sum())}
        for score, name in self._named():
            living = self.scores[score][self.alive]
            values |= _by_task(name, living.mean(0))
            if self.task:
                values[f"{name}/seen"] = float(living[:, : self.task].mean())
            if 1 < len(self.seeds) <= SEEDS_SHOWN:
                for seed, row in zip(np.array(self.seeds)[self.alive], living, strict=True):
                    values |= _by_task(f"{name}_seed_{seed}", row)
        return values

    def row(self) -> dict[str, float]:
        """Return the row of R as ``R_<score>/task_<j>``, the mean over the living seeds; empty if this is no task's end.

        It is drawn over the number of tasks that were trained.
        """
        if not self.end:
            return {}
        rows = [_by_task(f"R_{name}", self.scores[score][self.alive].mean(0)) for score, name in self._named()]
        return {name: value for row in rows for name, value in row.items()}

    def _named(self) -> list[tuple[str, str]]:
        """Return every score and its name in the tools; none where no seed is alive."""
        return [(score, _plain(score)) for score in self.scores] if self.alive.any() else []


class Evaluations:
    """Turns a growing record, and at the end the result, into evaluations: each comes once."""

    def __init__(self, seeds: tuple[int, ...]) -> None:
        self.seeds = seeds
        self.told = 0
        self.task = self.step = self.before = 0  # where the last one was; steps of the tasks before it

    def of_record(self, record: Record) -> Iterator[Evaluation]:
        """Yield the evaluations that came since the last call."""
        assert record.diverged_at is not None
        yield from self._further(record.place, record.curve, len(record.rows), record.diverged_at)

    def of_result(self, result: Result) -> Iterator[Evaluation]:
        """Yield the evaluations that no record showed: all of them, for a result that was stored before."""
        if result.curve_task.ndim == 2:
            yield from self._of_ends(result)
            return
        place = list(zip(result.curve_task.tolist(), result.curve_step.tolist(), strict=True))
        curve = [{name: values[:, number] for name, values in result.curves.items()} for number in range(len(place))]
        yield from self._further(place, curve, len(result.tasks) + 1, result.diverged_at)

    def _of_ends(self, result: Result) -> Iterator[Evaluation]:
        """Yield the ends of tasks alone, where seeds were evaluated at steps of their own; the step is the largest of them."""
        ends = range(len(result.tasks) + 1)
        place = [(task, int(result.curve_step[result.curve_task == task].max())) for task in ends]
        rows = [{name: R[:, task] for name, R in result.R.items()} for task in ends]
        seeds = np.arange(len(result.seeds))
        diverged_in = np.where(result.diverged_at < 0, -1, result.curve_task[seeds, result.diverged_at])
        yield from self._further(place, rows, len(ends), diverged_in)

    def _further(
        self,
        place: Sequence[tuple[int, int]],
        curve: Sequence[dict[str, np.ndarray]],
        rows: int,
        diverged_at: np.ndarray,
    ) -> Iterator[Evaluation]:
        for number in range(self.told, len(place)):
            task, step = place[number]
            if task != self.task:
                self.before += self.step
            self.told, self.task, self.step = number + 1, task, step
            # Row i of R is there once task i has ended, and is that task's last evaluation.
            end = task < rows and (number + 1 == len(place) or place[number + 1][0] != task)
            alive = (diverged_at < 0) | (diverged_at > number)
            yield Evaluation(task, step, self.before + step, end, self.seeds, alive, curve[number])


def summary(cell: Cell, result: Result) -> dict[str, float]:
    """Return a cell's final numbers.

    ``final/<metric>`` is the mean over the seeds that did not diverge, with ``_low`` and ``_high`` of its 95 % interval
    (:func:`kancl.statistics.mean_interval`); ``cost/...`` are per network, but ``seconds`` and ``steps``, which are the
    stack's; ``final/diverged`` counts seeds. What has no value is left out.
    """
    values: dict[str, float] = {"final/diverged": int((result.diverged_at >= 0).sum())}
    for metric, per_seed in result.per_seed().items():
        if metric in result.metrics:
            interval = mean_interval(per_seed)
            values |= {
                f"final/{metric}": interval.mean,
                f"final/{metric}_low": interval.low,
                f"final/{metric}_high": interval.high,
            }
    for cost in (*COSTS, "seconds", "steps"):
        value = getattr(result, cost)
        values[f"cost/{cost}"] = np.nan if value is None else value
    return {name: float(value) for name, value in values.items() if np.isfinite(value)}


def _by_task(name: str, values: np.ndarray) -> dict[str, float]:
    digits = len(str(len(values)))  # so that the tools' alphabetical order is that of the tasks
    return {f"{name}/task_{task:0{digits}d}": float(value) for task, value in enumerate(values, 1)}


def _plain(name: str) -> str:
    """Return a score's name in letters that every tool takes; a slash would open a group."""
    return re.sub(r"[^\w.-]", "_", name)
