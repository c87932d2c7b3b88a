"""The native runner: one loop that trains all seeds of a cell in one batched program.

Read :func:`run_cell` from top to bottom; everything it calls is one screen long.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kancl import options
from kancl.errors import Foreign, InputError
from kancl.global_generators import unmoved
from kancl.metrics import METRICS
from kancl.models import Cost, Network, Problem, architectures, cost_of
from runners.config.cell import Cell
from runners.measure.evaluate import Answers, Evaluator, evaluation_steps
from runners.measure.locality import Locality
from runners.measure.merge import merge
from runners.measure.recorder import Watch
from runners.measure.result import Result
from runners.strategies import State, Strategy, strategies
from runners.strategies.strategy import PART
from runners.stream.batches import Batch
from runners.stream.mixtures import is_mixed, phase_batches, seen_in
from runners.stream.samples import union
from runners.stream.stream import Stream
from runners.training.learners import Learner, make_learner
from runners.training.pretraining import pretrain, pretraining_steps
from runners.training.schedule import learning_rates

BATCHES = Foreign(PART, "its hook batches")

SLICES = 50
"""Parts of a task after which progress is told."""


@dataclass(frozen=True)
class Progress:
    """How far a cell is: told after every slice of a task; task 0 is pretraining."""

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

    def measure(
        self, evaluator: Evaluator, network: Network, task: int, step: int, end: bool, answers: Answers | None = None
    ) -> None:
        """Evaluate all tasks; at the end of a task (or before the first) the scores are also a row of R."""
        scores = evaluator.scores(network, answers)
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
    """Everything that the rest of a run depends on, at the end of a task or, with no phase done, of pretraining."""

    phases_done: int
    network: dict[str, Tensor]
    learner: Any
    state: State
    record: Record
    watch: dict[str, Any] | None = None


class MisfitError(Exception):
    """A checkpoint does not fit the cell that it is said to be of."""


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
    measured: Callable[[Record], None] = lambda record: None,
) -> Result:
    """Train one cell on its stream of tasks and return what was measured.

    Seeds whose tasks differ in size are trained group by group, without ``resume``, ``save`` and ``measured``;
    :func:`runners.experiment.blocks.run_blocks` does the same and keeps what is done.

    Args:
        cell: the configuration.
        stream: the cell's scenario, stacked over the cell's seeds, on the device to train on.
        resume: where to go on from, as given to ``save`` by an earlier run of the same cell.
        save: called at the end of pretraining, if there is one, and of every task.
        tell: called with the progress.
        measured: called with the record after every evaluation; its time does not count as the cell's.

    Raises:
        MisfitError: ``resume`` is of other networks, or of another optimiser; nothing was done yet.
    """
    if stream.groups:
        return merge(
            [run_cell(own, group, tell=own_tell) for own, group, own_tell in groups_of(cell, stream, tell)], cell.seeds
        )
    if cell.runner == "avalanche":
        from runners.avalanche.runner import run_avalanche_cell

        return run_avalanche_cell(cell, stream, resume, save, tell)
    strategy: Strategy = options.build(strategies.get(cell.strategy.name), cell.strategy)
    evaluator, tasks, mixed = Evaluator(stream), len(stream.train), is_mixed(strategy, stream)
    step_counts = [cell.policy.steps_per_task(samples.x.shape[1]) for samples in stream.train]
    total = pretraining_steps(cell.policy, stream) + sum(step_counts)
    network, record, first, saved_learner = build_network(cell, stream), Record(), 0, None
    watch = Watch(stream, None if resume is None else resume.watch) if cell.locality else None
    samples_of = lru_cache(1)(lambda numbers: union([stream.train[number] for number in numbers]))  # joint's stay the same
    if resume is not None:
        try:
            network.make_room(resume.network)
            network.load_state_dict(resume.network)
        except Exception as error:
            raise MisfitError(f"holds other networks than the cell's ({_line(error)})") from error
        state = {name: tensor.to(stream.device) for name, tensor in resume.state.items()}
        record, first, saved_learner = resume.record, resume.phases_done, resume.learner
    began, before = time.perf_counter(), record.seconds

    def measure(task: int, step: int, end: bool) -> None:
        nonlocal began
        asked = type(strategy).parameters_for is not Strategy.parameters_for
        answers = partial(strategy.parameters_for, state, network) if asked else None
        with unmoved("evaluation"):
            record.measure(evaluator, network, task, step, end, answers)
        paused = time.perf_counter()
        measured(record)
        began += time.perf_counter() - paused

    def taken(steps: int, phase: int) -> None:
        record.steps += steps
        tell(Progress(phase, tasks, record.steps, total))

    def keep(phases_done: int, learned: Any) -> None:
        record.seconds = before + time.perf_counter() - began
        kept = None if watch is None else watch.state_dict()
        save(Checkpoint(phases_done, network.state_dict(), learned, state, record, kept))

    if resume is None:
        if stream.pretrain is not None:
            saved_learner = pretrain(network, cell.policy, stream, SLICES, partial(taken, phase=0))
        with unmoved("the strategy's start"):
            state = _checked(strategy.start(network, stream), stream)
        measure(0, 0, end=True)
        if watch is not None:
            watch.start(network)
        if stream.pretrain is not None:
            keep(0, saved_learner)

    learner: Learner | None = None
    boundaries = strategy.boundaries and not mixed
    keeps = cell.policy.state == "keep" or not boundaries
    for phase in range(first, tasks):
        if strategy.starts_anew(phase):
            network, learner, saved_learner = build_network(cell, stream, phase), None, None
        samples, steps = samples_of(tuple(strategy.data_of(phase, tasks))), step_counts[phase]
        if boundaries or phase == 0:
            network.begin_task(samples.x)
        if watch is not None:
            watched = samples_of(tuple(seen_in(phase, stream))) if mixed else samples
            watch.begin_task(network, watched, alone=strategy.starts_anew(phase) or not strategy.boundaries)
        with unmoved(f"the beginning of task {phase + 1}"):
            state = _checked(strategy.begin_task(state, network, samples, phase), stream)
            state = _checked(strategy.expect(state, steps), stream)
        if learner is None or not keeps:
            learner = make_learner(network, cell.policy, stream.objective, strategy, state, stream.operator)
            if saved_learner is not None and keeps:
                _go_on(learner, saved_learner)
        learner.state = state
        learner.rates = learning_rates(cell.policy, step_counts, phase, boundaries)
        source = phase_batches(stream, samples, strategy, cell.policy, phase, steps)
        source, done = endless(strategy, strategy.batches(state, source, stream, phase)), 0
        evaluations = set(evaluation_steps(steps, cell.evaluations))
        for stop in sorted(evaluations | set(range(0, steps, max(1, steps // SLICES))) - {0}):
            with unmoved(f"training on task {phase + 1}"):  # what only begins to draw after many steps is met here
                learner.take_steps(source, stop - done)
            if stop in evaluations:
                measure(phase + 1, stop, end=stop == steps)
            taken(stop - done, phase + 1)
            done = stop
        with unmoved(f"the end of task {phase + 1}"):
            state = _checked(strategy.end_task(state, network, samples, phase), stream)
        if watch is not None:
            watch.end_task(network, watched, phase)
        keep(phase + 1, learner.state_dict())
    locality = None if watch is None else watch.record()
    # Of the networks as they are at the end: some grow.
    return result_of(record, stream, strategy.metrics, cost_of(network, stream.train[0].x[:, :2]), locality)


def endless(strategy: Strategy, source: Iterator[Batch]) -> Iterator[Batch]:
    """Return the batches of a phase such that an end of those that a strategy makes is an error, and known to be its own."""
    return source if type(strategy).batches is Strategy.batches else _endless(source)


def _endless(source: Iterator[Batch]) -> Iterator[Batch]:
    count = 0
    while True:
        with BATCHES:
            batch = next(source, None)
            if batch is None:
                raise InputError(f"it ended after {count} batches, and must not end")
        yield batch
        count += 1


def groups_of(
    cell: Cell, stream: Stream, tell: Callable[[Progress], None]
) -> Iterator[tuple[Cell, Stream, Callable[[Progress], None]]]:
    """Yield a cell for each group of seeds that are trained together, with its stream and how its progress is told."""
    done = 0

    def told(progress: Progress, before: int, share: int) -> None:
        nonlocal done
        done = before + progress.steps
        # What the groups to come will take is not known yet; about as much as this one.
        tell(replace(progress, steps=done, total_steps=before + progress.total_steps * share))

    for number, group in enumerate(stream.groups):
        yield replace(cell, seeds=group.seeds), group, partial(told, before=done, share=len(stream.groups) - number)


def _go_on(learner: Learner, saved: Any) -> None:
    try:
        learner.load_state_dict(saved)
    except Exception as error:
        raise MisfitError(f"holds the state of another optimiser than the cell's ({_line(error)})") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _checked(state: State, stream: Stream) -> State:
    if not isinstance(state, dict):
        raise InputError(
            "a strategy's start, begin_task, expect and end_task must return its state, a dictionary, got "
            f"{type(state).__name__}"
        )
    for name, value in state.items():
        if not isinstance(value, Tensor) or value.ndim == 0 or len(value) != len(stream.seeds):
            shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise InputError(f"strategy state {name!r} must be a tensor with {len(stream.seeds)} seeds first, got {shape}")
    return state


def result_of(record: Record, stream: Stream, metrics: tuple[str, ...] | None, cost: Cost, locality: Locality | None) -> Result:
    """Return what was measured as a result; ``metrics`` names those that mean something, None for all."""

    def gathered(rows: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        return {name: np.stack([row[name] for row in rows], 1) for name in stream.objective.scores}

    assert record.diverged_at is not None
    place = np.array(record.place, dtype=np.int64)
    return Result(
        seeds=stream.seeds,
        tasks=stream.names,
        setting=stream.setting,
        metrics=tuple(METRICS) if metrics is None else metrics,
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
        plot_x=_plot_x(stream),
        plot_target=None if stream.plot_target is None else stream.plot_target.numpy(),
        locality=locality,
        input_offset=None if stream.offset is None else stream.offset.numpy(),
    )


def _plot_x(stream: Stream) -> np.ndarray | None:
    """Return the points of the function figure as the scenario means them."""
    if stream.plot_x is None:
        return None
    x = stream.plot_x.cpu()
    # All seeds have the same points, hence the same offset.
    return (x if stream.offset is None else x.double() + stream.offset[:1]).numpy()
