"""What cells will cost, before they are run: the time is that of a few steps and evaluations, measured, times their number."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from kancl.models import Cost, Network, cost_of
from runners.config.cell import Cell
from runners.experiment.forecast import memory_of, shortened
from runners.measure.evaluate import Evaluator, evaluation_steps, thinned
from runners.run import RUNNERS, run_cell
from runners.stream.cache import StreamCache
from runners.stream.stream import Stream
from runners.training.networks import build_network
from runners.training.phase import pretraining_steps
from runners.training.step_time import step_seconds

FEW = 2
"""Seeds of the short run that is timed first; if it is over soon, all are timed."""
SOON = 1.0
"""Seconds."""


@dataclass(frozen=True)
class Forecast:
    """What a cell will take.

    Args:
        parameters: of one network.
        steps: of the optimiser, on all tasks.
        flops: of all seeds' training steps, forward and backward, one evaluation of the loss each.
        seconds: on one thread here, evaluations and the ends of tasks included.
        memory: bytes at most, beside what the process holds before.
    """

    parameters: int
    steps: int
    flops: float
    seconds: float
    memory: int


@dataclass(frozen=True)
class _Measured:
    """What was measured of a kind of cell: seconds of one step of all seeds, of one evaluation, and of a short run."""

    cost: Cost
    memory: int
    step: float
    evaluation: float
    short: float
    short_steps: int
    short_evaluations: int


class Forecaster:
    """Foretells cells; those that differ in rates and numbers of steps alone are measured once.

    Args:
        streams: the scenarios that were built.
        device: where cells will be trained.
        free: bytes that measuring may take; as many as there are if None.
    """

    def __init__(self, streams: StreamCache, device: str = "cpu", free: int | None = None) -> None:
        self.streams, self.device, self.free = streams, device, free_memory() if free is None else free
        self._known: dict[str, _Measured] = {}

    def of(self, cell: Cell) -> Forecast:
        """Return what a cell will take. It trains for a few steps and keeps nothing."""
        stream, seeds = self.streams.of(cell), len(cell.seeds)
        kind = repr(replace(cell, policy=replace(cell.policy, lr=1.0, steps=1, epochs=None), asked={}, request="", question=""))
        if kind not in self._known:
            self._known[kind] = self._measure(cell, stream)
        found, (steps, evaluations) = self._known[kind], _counts(cell, stream)
        more, looks = steps - found.short_steps, evaluations - found.short_evaluations
        counts = [samples.x.shape[1] for samples in stream.train]
        seen = sum(cell.policy.steps_per_task(count) * _batch(cell, count) for count in counts)
        seconds = found.short + more * found.step + looks * found.evaluation
        return Forecast(found.cost.parameters, steps, seen * seeds * found.cost.step_flops, seconds, found.memory)

    def _measure(self, cell: Cell, stream: Stream) -> _Measured:
        memory, seeds = memory_of(cell, stream), len(cell.seeds)
        stream = self.streams.on(self.device, cell)
        room = max(1, min(seeds, int(seeds * self.free / (2 * memory))))
        short = shortened(cell, stream)
        few = 1 if cell.runner == "avalanche" else min(FEW, room)
        seconds, step = _short_run(short, stream, few)
        if few < room and seconds * room / few < SOON:
            few = room
            seconds, step = _short_run(short, stream, few)
        some = stream if stream.groups else stream.of_places(slice(room))
        own = replace(cell, seeds=some.seeds)
        if RUNNERS[cell.runner].times_steps:
            (step,) = step_seconds([own], some)
        network = build_network(own, some)
        looked_at = some if cell.curve_samples == "all" else thinned(some, cell.curve_samples)
        cost, evaluation = cost_of(network, some.train[0].x[:, :2]), _evaluation(network, looked_at)
        scale = 1.0 if stream.groups else seeds / few
        steps, evaluations = _counts(short, stream)
        return _Measured(cost, memory, step * seeds, evaluation * seeds / len(some.seeds), seconds * scale, steps, evaluations)


def _short_run(short: Cell, stream: Stream, seeds: int) -> tuple[float, float]:
    """Return the seconds of a run with so many seeds, and of its steps per network if it measured them."""
    some = stream if stream.groups else stream.of_places(slice(seeds))
    began = time.perf_counter()
    result = run_cell(replace(short, seeds=some.seeds), some)
    return time.perf_counter() - began, result.step_seconds


def _evaluation(network: Network, stream: Stream) -> float:
    """Return the seconds of an evaluation of all tasks."""
    evaluator = Evaluator(stream)
    evaluator.scores(network)
    began = time.perf_counter()
    evaluator.scores(network)
    return time.perf_counter() - began


def _counts(cell: Cell, stream: Stream) -> tuple[int, int]:
    """Return the numbers of steps and of evaluations of a cell, pretraining included."""
    counts = [cell.policy.steps_per_task(samples.x.shape[1]) for samples in stream.train]
    return pretraining_steps(cell.policy, stream) + sum(counts), 1 + sum(len(_places(cell, count)) for count in counts)


def _places(cell: Cell, steps: int) -> list[int]:
    return evaluation_steps(steps, cell.evaluations)


def _batch(cell: Cell, count: int) -> int:
    """Return how many samples of each seed a step takes, of so many."""
    return count if cell.policy.batch_size == "full" else min(count, cell.policy.batch_size)


def free_memory() -> int:
    """Return the bytes that this machine can still give; as good as endless where it does not say."""
    return _bytes_of(_lines("/proc/meminfo"), "MemAvailable") or 1 << 50


def held_memory() -> int:
    """Return the bytes that this process holds; 0 where the system does not say."""
    return _bytes_of(_lines("/proc/self/status"), "VmRSS")


def _lines(path: str) -> Iterable[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def _bytes_of(lines: Iterable[str], key: str) -> int:
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:")), 0)
