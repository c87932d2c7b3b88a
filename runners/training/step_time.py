"""Seconds per training step, measured: the cells take turns in short blocks, so that a busy moment hits all of them alike."""

import math
from collections.abc import Sequence
from itertools import repeat

import torch

from kancl.errors import is_interrupt
from runners.config.cell import Cell
from runners.measure.timing import Contender, Run, race
from runners.strategies import Strategy
from runners.stream.stream import Stream
from runners.training.phase import BegunPhase, begin_phase, end_phase
from runners.training.training import Training, start, training_of

ROUNDS = 5
BLOCK = 0.005
"""Seconds of steps per cell and round, where the cells are few."""
TOTAL = 3.0
"""Seconds of steps for all cells and rounds: where the cells are many, each one's turns are shorter."""
FIRST = 3
"""Steps of the first phase: enough for what a strategy remembers of it."""


def step_seconds(
    cells: Sequence[Cell],
    stream: Stream,
    rounds: int = ROUNDS,
    block: float = BLOCK,
    total: float = TOTAL,
    as_trained: bool = False,
) -> list[float]:
    """Return the median seconds that one training step of each cell takes per network: a step of the stack divided by S.

    Steps are those of :func:`second_phase`, on networks of their own: forward, backward, optimiser, and what the strategy does
    at a step once there is a past; for L-BFGS with its line search. A cell whose networks cannot be trained gets NaN; training
    it will tell why. One that fails, at whatever step, takes nobody along.

    Args:
        cells: of one scenario and the same seeds, for the native runner.
        stream: theirs, on the device to train on.
        rounds, block: how often each has its turn, and for how many seconds.
        total: seconds of all turns together; more cells than fit get shorter turns, of one step at the least.
        as_trained: whether a cell's steps are timed no longer than they are trained; a short training then says less exactly
            what a step takes.
    """
    contenders = []
    for number, cell in enumerate(cells):
        try:
            run = second_phase(cell, stream)
            run(1)
        except BaseException as error:  # of a plug-in, or memory; the cell itself fails with it, and says so
            if is_interrupt(error):
                raise
            continue
        trained = sum(cell.policy.steps_per_task(samples.x.shape[1]) for samples in stream.train)
        most = max(1, trained // rounds) if as_trained else math.inf
        contenders.append(Contender(str(number), run, networks=len(cell.seeds), most=most))
    turn = min(block, total / (rounds * max(1, len(contenders))))
    medians = {timing.name: timing.median for timing in race(contenders, rounds, turn)}
    return [medians.get(str(number), float("nan")) for number in range(len(cells))]


def second_phase(cell: Cell, stream: Stream, strategy: Strategy | None = None) -> Run:
    """Return what takes steps of the second phase, in which penalties, memories and masks act; of the only one if there is one.

    A few steps of the first are taken before. What a strategy does when a task begins or ends is no part of a step.

    Args:
        cell: the configuration.
        stream: its scenario, on the device to train on.
        strategy: in place of the one that the cell names.
    """
    training = training_of(cell, stream, strategy=strategy)
    start(training)
    begun = _begun(training, 0, FIRST if training.tasks > 1 else None)
    if training.tasks > 1:
        begun.take_steps_until(FIRST)
        end_phase(training, begun)
        begun = _begun(training, 1)

    def run(steps: int) -> None:
        begun.learner.take_steps(begun.source, steps)
        if stream.device.type == "cuda":
            torch.cuda.synchronize()

    return run


def _begun(training: Training, phase: int, steps: int | None = None) -> BegunPhase:
    begun = begin_phase(training, phase, steps)
    if begun.learner.rates is not None:  # a schedule ends with its phase, and more steps than that may be taken here
        begun.learner.rates = repeat(training.policy.lr)
    return begun
