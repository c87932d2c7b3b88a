"""A phase of training: the one way in which it is begun and ended, whoever asks for its steps.

The loop, pretraining, the timing of steps and the benchmarks all begin their phases here, so that each of them takes the steps
that training takes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from kancl.errors import Foreign, InputError, one_line
from kancl.global_generators import unmoved
from runners.config.policy import Policy
from runners.measure.record import MisfitError, never
from runners.strategies import Strategy
from runners.strategies.strategy import PART
from runners.stream.batches import PRETRAIN, Batch, Phase, batches
from runners.stream.mixtures import mixtures
from runners.stream.samples import Samples
from runners.stream.stream import Stream
from runners.training.learner import make_learner
from runners.training.networks import build_network
from runners.training.schedule import learning_rates
from runners.training.steps import Ask, Learner, Lesson
from runners.training.training import Training, checked

BATCHES = Foreign(PART, "its hook batches")


@dataclass
class BegunPhase:
    """A phase that was begun: its steps can be taken.

    Args:
        phase: its number, from 0, or that of pretraining.
        samples: what the strategy chose for it.
        steps: how many it has.
        learner: takes them.
        source: gives their batches.
    """

    phase: Phase
    samples: Samples
    steps: int
    learner: Learner
    source: Iterator[Batch]
    done: int = 0

    def take_steps_until(self, stop: int, pause: Ask = never) -> int:
        """Take steps until ``stop`` are taken, or ``pause`` asks after one to take no more; return how many that were."""
        with unmoved("pretraining" if self.phase == PRETRAIN else f"training on task {self.phase + 1}"):
            # What only begins to draw after many steps is met here.
            count = self.learner.take_steps(self.source, stop - self.done, pause)
        self.done += count
        return count


def begin_phase(training: Training, phase: int, steps: int | None = None, taken: int = 0) -> BegunPhase:
    """Begin a phase: fresh networks where the strategy asks for them, everybody is told, learner, rates and batches are made.

    Args:
        training: is changed: networks, state and learner are those of the phase from now on.
        phase: from 0.
        steps: that it will have; as many as the policy says if not given.
        taken: steps of it that were taken in an earlier run: batches and rates go on after them, and
            :func:`runners.training.resume.go_on` does the rest.

    Raises:
        MisfitError: the state of the optimiser that training was to go on with is another one's.
        InputError: a hook of the strategy gives what is no state.
    """
    strategy, stream, counts = training.strategy, training.stream, training.step_counts
    steps = counts[phase] if steps is None else steps
    if strategy.starts_anew(phase):
        training.network, training.learner, training.learned = build_network(training.cell, stream, phase), None, None
    network = training.network
    samples = training.samples_of(strategy.data_of(phase, training.tasks))
    if training.boundaries or phase == 0:
        network.begin_task(samples.x)
    if training.recorder is not None:
        alone = strategy.starts_anew(phase) or not strategy.boundaries
        training.recorder.begin_task(network, training.seen_in(phase), alone)
    with unmoved(f"the beginning of task {phase + 1}"):
        state = checked(strategy.begin_task(training.state, network, samples, phase), stream)
        training.state = checked(strategy.expect(state, steps), stream)
    learner = _learner_of(training)
    learner.state = training.state
    learner.rates = learning_rates(training.policy, counts, phase, training.boundaries, taken)
    return BegunPhase(phase, samples, steps, learner, _source(training, samples, phase, steps, taken), taken)


def pretraining_steps(policy: Policy, stream: Stream) -> int:
    """Return the steps of pretraining: the sum of what the policy gives each of its tasks."""
    if stream.pretrain is None:
        return 0
    counts = stream.pretrain.task.unique(return_counts=True)[1].tolist()
    return sum(map(policy.steps_per_task, counts))


def begin_pretraining(training: Training, steps: int, taken: int = 0) -> BegunPhase:
    """Begin the phase before the first, in which the strategy has no part.

    Args:
        training: of a stream with pretraining.
        steps: how many it will have; a schedule of the rate runs over them alone.
        taken: how many were taken in an earlier run, as for :func:`begin_phase`.
    """
    stream, policy = training.stream, training.policy
    assert stream.pretrain is not None
    training.network.begin_task(stream.pretrain.x)
    learner = make_learner(Lesson(training.network, policy, stream.objective, Strategy(), stream.operator), {})
    learner.rates = learning_rates(policy, [steps], 0, taken=taken)
    source = batches(stream, stream.pretrain, policy.batch_size, PRETRAIN, taken)
    return BegunPhase(PRETRAIN, stream.pretrain, steps, learner, source, taken)


def end_phase(training: Training, begun: BegunPhase) -> None:
    """End a phase: the strategy has its say about the past, and the recorder looks."""
    phase = begun.phase
    assert isinstance(phase, int)
    with unmoved(f"the end of task {phase + 1}"):
        state = training.strategy.end_task(training.state, training.network, begun.samples, phase)
        training.state = checked(state, training.stream)
    if training.recorder is not None:
        training.recorder.end_task(training.network, training.seen_in(phase), phase)
    training.done = phase + 1


def _learner_of(training: Training) -> Learner:
    """Return the learner of a phase: the last one's, or a fresh one, with the state of an optimiser to go on with."""
    stream, learner = training.stream, training.learner
    if learner is None or not training.keeps:
        lesson = Lesson(training.network, training.policy, stream.objective, training.strategy, stream.operator)
        learner = training.learner = make_learner(lesson, training.state)
        if training.learned is not None and training.keeps:
            try:
                learner.load_state_dict(training.learned)
            except Exception as error:
                raise MisfitError(f"holds the state of another optimiser than the cell's ({one_line(error)})") from error
    return learner


def _source(training: Training, samples: Samples, phase: int, steps: int, taken: int) -> Iterator[Batch]:
    """Return the batches of a phase after the first ones: mixtures, or batches of its samples.

    What a strategy makes of them is drawn from the beginning, and must not end.
    """
    stream, size, acts = training.stream, training.policy.batch_size, training.strategy.acts_in("batches")
    first = 0 if acts else taken
    made = mixtures(stream, size, phase, steps, first) if training.mixed else batches(stream, samples, size, phase, first)
    source = training.strategy.batches(training.state, made, stream, phase)
    if not acts:
        return source
    source = _endless(source)
    for _ in range(taken):
        next(source)
    return source


def _endless(source: Iterator[Batch]) -> Iterator[Batch]:
    """Yield batches such that an end of them is an error, and known to be the strategy's own."""
    count = 0
    while True:
        with BATCHES:
            batch = next(source, None)
            if batch is None:
                raise InputError(f"it ended after {count} batches, and must not end")
        yield batch
        count += 1
