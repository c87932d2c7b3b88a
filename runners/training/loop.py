"""The native runner: one loop that trains all seeds of a cell in one batched program.

Read :func:`run_native_cell` from top to bottom; everything it calls is one screen long.
"""

from collections.abc import Callable

from runners.config.cell import Cell
from runners.measure.evaluate import evaluation_steps
from runners.measure.record import NEVER, Checkpoint, Keep, Pauses, Progress, Record, Saved, Within, kept_nowhere
from runners.measure.recorder import LocalityRecorder
from runners.measure.result import Result
from runners.stream.stream import Stream
from runners.training.logbook import Logbook, slices_of
from runners.training.phase import begin_phase, end_phase
from runners.training.pretraining import pretrain
from runners.training.resume import go_on, restore_network
from runners.training.training import Training, start, training_of


def run_native_cell(
    cell: Cell,
    stream: Stream,
    resume: Saved | None = None,
    save: Callable[[Saved], None] = lambda saved: None,
    tell: Callable[[Progress], None] = lambda progress: None,
    measured: Callable[[Record], None] = lambda record: None,
    pauses: Pauses = NEVER,
    keep: Keep = kept_nowhere,
) -> Result:
    """Train one cell, whose seeds all have tasks of the same sizes.

    Args:
        cell, stream, resume, save, tell, measured, pauses, keep: as for :func:`runners.run.run_cell`.

    Raises:
        MisfitError: ``resume`` is of other networks, or of another optimiser.
        Stopped: ``pauses`` asked for it; ``save`` was given where to go on.
    """
    within, ended = (resume, resume.before) if isinstance(resume, Within) else (None, resume)
    training = begin(cell, stream, ended)
    record = Record() if ended is None else ended.record
    log = Logbook(training, record, within, save, tell, measured, pauses, keep)
    if ended is None:
        begin_sequence(training, log, within)
    for phase in range(training.done, training.tasks):
        log.stop_if_asked()
        train_phase(training, log, phase, within if within is not None and within.phase == phase else None)
    return log.result()


def train_phase(training: Training, log: Logbook, phase: int, within: Within | None) -> None:
    """Train on the tasks of a phase, and save at its end.

    Args:
        training: with the networks as the last phase left them.
        log: measures, tells and saves.
        phase: from 0.
        within: where to go on, if it was begun before.
    """
    begun = begin_phase(training, phase, taken=0 if within is None else within.step)
    if within is not None:
        go_on(training, begun, within)
    evaluations = set(evaluation_steps(begun.steps, training.cell.evaluations))
    for stop in sorted(evaluations | slices_of(begun.steps)):
        while begun.done < stop:
            steps = begun.take_steps_until(stop, log.is_due)
            if begun.done in evaluations:
                log.measure(phase + 1, stop, end=stop == begun.steps)
            log.taken(steps, phase + 1)
            if begun.done < begun.steps:
                log.pause(begun)
    end_phase(training, begun)
    log.keep()
    log.save()


def begin(cell: Cell, stream: Stream, resume: Checkpoint | None) -> Training:
    """Return the networks of a cell, as they were when a checkpoint was made of them if there is one.

    Args:
        cell: the configuration.
        stream: its scenario, on the device to train on.
        resume: the checkpoint, or None.

    Raises:
        MisfitError: the checkpoint is of other networks.
    """
    training = training_of(cell, stream)
    if resume is not None:
        restore_network(training.network, resume.network)
        training.state = {name: tensor.to(stream.device) for name, tensor in resume.state.items()}
        training.done, training.learned = resume.phases_done, resume.learner
    if cell.locality:
        training.recorder = LocalityRecorder(stream, None if resume is None else resume.watch)
    return training


def begin_sequence(training: Training, log: Logbook, within: Within | None) -> None:
    """Do what comes before the first task: pretraining, the strategy's start, the first row of R.

    Args:
        training: with fresh networks.
        log: measures, tells and saves.
        within: a place that an earlier run came to, in pretraining or in the first task; then the row is there already.
    """
    pretrained = training.stream.pretrain is not None
    if pretrained:
        pretrain(training, log, within)
    start(training)
    if not log.record.rows:
        log.measure(0, 0, end=True)
    log.keep()
    if training.recorder is not None:
        training.recorder.start(training.network)
    if pretrained:
        log.save()
