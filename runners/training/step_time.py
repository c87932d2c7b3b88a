"""Seconds per training step, measured: the cells take turns in short blocks, so that a busy moment hits all of them alike."""

from collections.abc import Sequence

import torch

from kancl import options
from kancl.errors import is_interrupt
from runners.config.cell import Cell
from runners.measure.timing import Contender, Run, race
from runners.strategies import Strategy, strategies
from runners.stream.mixtures import phase_batches
from runners.stream.samples import union
from runners.stream.stream import Stream
from runners.training.learners import make_learner
from runners.training.loop import build_network

ROUNDS = 5
BLOCK = 0.005
"""Seconds of steps per cell and round, where the cells are few."""
TOTAL = 3.0
"""Seconds of steps for all cells and rounds: where the cells are many, each one's turns are shorter."""


def step_seconds(
    cells: Sequence[Cell], stream: Stream, rounds: int = ROUNDS, block: float = BLOCK, total: float = TOTAL
) -> list[float]:
    """Return the median seconds that one training step of each cell takes per network: a step of the stack divided by S.

    Steps are those of the first task, on networks of their own: forward, backward, optimiser, and what the strategy does at
    a step; for L-BFGS with its line search. A cell whose networks cannot be trained gets NaN; training it will tell why.
    So does one of another runner, which measures its own steps.
    One that fails, at whatever step, takes nobody along.

    Args:
        cells: of one scenario and the same seeds.
        stream: theirs, on the device to train on.
        rounds, block: how often each has its turn, and for how many seconds.
        total: seconds of all turns together; more cells than fit get shorter turns, of one step at the least.
    """
    contenders = []
    for number, cell in enumerate(cells):
        if cell.runner != "native":
            continue
        try:
            run = _stepper(cell, stream)
            run(1)
        except BaseException as error:  # of a plug-in, or memory; the cell itself fails with it, and says so
            if is_interrupt(error):
                raise
            continue
        contenders.append(Contender(str(number), run, networks=len(cell.seeds)))
    turn = min(block, total / (rounds * max(1, len(contenders))))
    medians = {timing.name: timing.median for timing in race(contenders, rounds, turn)}
    return [medians.get(str(number), float("nan")) for number in range(len(cells))]


def _stepper(cell: Cell, stream: Stream) -> Run:
    strategy: Strategy = options.build(strategies.get(cell.strategy.name), cell.strategy)
    network = build_network(cell, stream)
    samples = union([stream.train[number] for number in strategy.data_of(0, len(stream.train))])
    state = strategy.start(network, stream)
    network.begin_task(samples.x)
    state = strategy.begin_task(state, network, samples, 0)
    steps = cell.policy.steps_per_task(stream.train[0].x.shape[1])
    state = strategy.expect(state, steps)
    learner = make_learner(network, cell.policy, stream.objective, strategy, state, stream.operator)
    source = strategy.batches(state, phase_batches(stream, samples, strategy, cell.policy, 0, steps), stream, 0)

    def run(steps: int) -> None:
        learner.take_steps(source, steps)
        if stream.device.type == "cuda":
            torch.cuda.synchronize()

    return run
