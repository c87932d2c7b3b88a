"""The native runner: one loop that trains all seeds of a cell in one batched program.

Read :func:`run_cell` from top to bottom; everything it calls is one screen long.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kancl import options
from kancl.errors import InputError
from kancl.metrics import METRICS
from kancl.models import Cost, Network, Problem, architectures, cost_of
from runners.batches import batches, union
from runners.config import Cell
from runners.evaluate import Evaluator, evaluation_steps
from runners.learners import Learner, make_learner
from runners.locality import Locality
from runners.result import Result
from runners.schedule import learning_rates
from runners.strategies import State, Strategy, strategies
from runners.stream import Stream
from runners.watch import Watch

SLICES = 50
"""Parts of a task after which progress is told."""


@dataclass(frozen=True)
class Progress:
    """How far a cell is: told after every slice of a task."""

    task: int
    tasks: int
    steps: int
    total_steps: int


@dataclass
class Record:
    """What has been measured so far; saved at every task end and turned into a :class:`Result` at the end."""

    rows: list[dict[str, np.ndarray]] = field(default_factory=list)
    curve: list[dict[str, np.ndarray]] = field(default_factory=list)
    place: list[tuple[int, int]] = field(default_factory=list)
    functions: list[np.ndarray] = field(default_factory=list)
    diverged_at: np.ndarray | None = None
    seconds: float = 0.0
    steps: int = 0

    def measure(self, evaluator: Evaluator, network: Network, task: int, step: int, end: bool) -> None:
        """Evaluate all tasks; at the end of a task (or before the first) the scores are also a row of R."""
        scores = evaluator.scores(network)
        broken = ~np.isfinite(np.stack(list(scores.values()))).all((0, 2))
        if self.diverged_at is None:
            self.diverged_at = np.full(len(broken), -1)
        self.diverged_at[broken & (self.diverged_at < 0)] = len(self.place)
        self.curve.append(scores)
        self.place.append((task, step))
        if end:
            self.rows.append(scores)
            function = evaluator.function(network)
            if function is not None:
                self.functions.append(function)


@dataclass
class Checkpoint:
    """Everything that the rest of a run depends on, at the end of a task."""

    phases_done: int
    network: dict[str, Tensor]
    learner: Any
    state: State
    record: Record
    watch: dict[str, Any] | None = None


def problem_of(cell: Cell, stream: Stream, phase: int = 0) -> Problem:
    """Return what the cell's networks are built for; a later phase gives other, independent initial weights."""
    # On the CPU, wherever they are trained: initial weights are the same everywhere.
    low, high = stream.low.cpu(), stream.high.cpu()
    return Problem(stream.inputs, stream.outputs, stream.seeds, low, high, phase, getattr(torch, cell.dtype))


def build_network(cell: Cell, stream: Stream, phase: int = 0) -> Network:
    """Build the cell's networks, where the stream's samples are."""
    problem = problem_of(cell, stream, phase)
    return options.build(architectures.get(cell.architecture.name), cell.architecture, problem=problem).to(stream.device)


def run_cell(
    cell: Cell,
    stream: Stream,
    resume: Checkpoint | None = None,
    save: Callable[[Checkpoint], None] = lambda checkpoint: None,
    tell: Callable[[Progress], None] = lambda progress: None,
) -> Result:
    """Train one cell on its stream of tasks and return what was measured.

    Args:
        cell: the configuration.
        stream: the cell's scenario, stacked over the cell's seeds, on the device to train on.
        resume: where to go on from, as given to ``save`` by an earlier run of the same cell.
        save: called at the end of every task.
        tell: called with the progress.
    """
    strategy: Strategy = options.build(strategies.get(cell.strategy.name), cell.strategy)
    evaluator, tasks = Evaluator(stream), len(stream.train)
    step_counts = [cell.policy.steps_per_task(samples.x.shape[1]) for samples in stream.train]
    network, record, first, saved_learner = build_network(cell, stream), Record(), 0, None
    state = _checked(strategy.start(network, stream), stream)
    if resume is not None:
        network.make_room(resume.network)
        network.load_state_dict(resume.network)
        state = {name: tensor.to(stream.device) for name, tensor in resume.state.items()}
        record, first, saved_learner = resume.record, resume.phases_done, resume.learner
    began, before = time.perf_counter(), record.seconds
    watch = Watch(stream, None if resume is None else resume.watch) if cell.locality else None
    if not record.place:
        record.measure(evaluator, network, 0, 0, end=True)
        if watch is not None:
            watch.start(network)

    learner: Learner | None = None
    keeps = cell.policy.state == "keep" or not strategy.boundaries
    for phase in range(first, tasks):
        if strategy.starts_anew(phase):
            network, learner, saved_learner = build_network(cell, stream, phase), None, None
        samples = union([stream.train[number] for number in strategy.data_of(phase, tasks)])
        if strategy.boundaries or phase == 0:
            network.begin_task(samples.x)
        if watch is not None:
            watch.begin_task(network, samples, alone=strategy.starts_anew(phase) or not strategy.boundaries)
        state = _checked(strategy.begin_task(state, network, samples, phase), stream)
        if learner is None or not keeps:
            learner = make_learner(network, cell.policy, stream.objective, strategy, state)
            if saved_learner is not None and keeps:
                learner.load_state_dict(saved_learner)
        learner.state = state
        learner.rates = learning_rates(cell.policy, step_counts, phase, strategy.boundaries)
        source = strategy.batches(state, batches(stream, samples, cell.policy.batch_size, phase), stream, phase)
        done, steps = 0, step_counts[phase]
        evaluations = set(evaluation_steps(steps, cell.evaluations))
        for stop in sorted(evaluations | set(range(0, steps, max(1, steps // SLICES))) - {0}):
            learner.take_steps(source, stop - done)
            record.steps += stop - done
            done = stop
            if stop in evaluations:
                record.measure(evaluator, network, phase + 1, stop, end=stop == steps)
            tell(Progress(phase + 1, tasks, record.steps, sum(step_counts)))
        state = _checked(strategy.end_task(state, network, samples, phase), stream)
        if watch is not None:
            watch.end_task(network, samples, phase)
        record.seconds = before + time.perf_counter() - began
        kept = None if watch is None else watch.state_dict()
        save(Checkpoint(phase + 1, network.state_dict(), learner.state_dict(), state, record, kept))
    locality = None if watch is None else watch.record()
    # Of the networks as they are at the end: some grow.
    return _result(record, stream, strategy, cost_of(network, stream.train[0].x[:, :2]), locality)


def _checked(state: State, stream: Stream) -> State:
    if not isinstance(state, dict):
        raise InputError(
            f"a strategy's start, begin_task and end_task must return its state, a dictionary, got {type(state).__name__}"
        )
    for name, value in state.items():
        if not isinstance(value, Tensor) or value.ndim == 0 or len(value) != len(stream.seeds):
            shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise InputError(f"strategy state {name!r} must be a tensor with {len(stream.seeds)} seeds first, got {shape}")
    return state


def _result(record: Record, stream: Stream, strategy: Strategy, cost: Cost, locality: Locality | None) -> Result:
    def gathered(rows: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        return {name: np.stack([row[name] for row in rows], 1) for name in stream.objective.scores}

    assert record.diverged_at is not None
    place = np.array(record.place, dtype=np.int64)
    return Result(
        seeds=stream.seeds,
        tasks=stream.names,
        setting=stream.setting,
        metrics=tuple(METRICS) if strategy.metrics is None else strategy.metrics,
        higher_is_better={name: score.higher_is_better for name, score in stream.objective.scores.items()},
        R=gathered(record.rows),
        null={name: values.numpy() for name, values in stream.null.items()},
        curves=gathered(record.curve),
        curve_task=place[:, 0],
        curve_step=place[:, 1],
        diverged_at=record.diverged_at,
        **asdict(cost),
        seconds=record.seconds,
        steps=record.steps,
        functions=np.stack(record.functions, 1) if record.functions else None,
        plot_x=None if stream.plot_x is None else stream.plot_x.cpu().numpy(),
        plot_target=None if stream.plot_target is None else stream.plot_target.numpy(),
        locality=locality,
    )
