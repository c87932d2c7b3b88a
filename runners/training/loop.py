"""The native runner: one loop that trains all seeds of a cell in one batched program.

Read :func:`run_native_cell` from top to bottom; everything it calls is one screen long.
"""

from collections.abc import Callable
from functools import partial

from kancl.errors import one_line
from runners.config.cell import Cell
from runners.measure.evaluate import evaluation_steps
from runners.measure.record import Checkpoint, MisfitError, Progress, Record
from runners.measure.recorder import LocalityRecorder
from runners.measure.result import Result
from runners.stream.stream import Stream
from runners.training.logbook import Logbook
from runners.training.phase import begin_phase, end_phase
from runners.training.pretraining import pretrain
from runners.training.training import Training, start, training_of

SLICES = 50
"""Parts of a task after which progress is told."""


def run_native_cell(
    cell: Cell,
    stream: Stream,
    resume: Checkpoint | None = None,
    save: Callable[[Checkpoint], None] = lambda checkpoint: None,
    tell: Callable[[Progress], None] = lambda progress: None,
    measured: Callable[[Record], None] = lambda record: None,
) -> Result:
    """Train one cell, whose seeds all have tasks of the same sizes.

    Args:
        cell, stream, resume, save, tell, measured: as for :func:`runners.run.run_cell`.

    Raises:
        MisfitError: ``resume`` is of other networks, or of another optimiser.
    """
    training = begin(cell, stream, resume)
    log = Logbook(training, Record() if resume is None else resume.record, save, tell, measured)
    if resume is None:
        begin_sequence(training, log)
    for phase in range(training.done, training.tasks):
        begun = begin_phase(training, phase)
        evaluations = set(evaluation_steps(begun.steps, cell.evaluations))
        slices = set(range(0, begun.steps, max(1, begun.steps // SLICES))) - {0}
        for stop in sorted(evaluations | slices):
            steps = begun.take_steps_until(stop)
            if stop in evaluations:
                log.measure(phase + 1, stop, end=stop == begun.steps)
            log.taken(steps, phase + 1)
        end_phase(training, begun)
        log.save()
    return log.result()


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
        try:
            training.network.make_room(resume.network)
            training.network.load_state_dict(resume.network)
        except Exception as error:
            raise MisfitError(f"holds other networks than the cell's ({one_line(error)})") from error
        training.state = {name: tensor.to(stream.device) for name, tensor in resume.state.items()}
        training.done, training.learned = resume.phases_done, resume.learner
    if cell.locality:
        training.recorder = LocalityRecorder(stream, None if resume is None else resume.watch)
    return training


def begin_sequence(training: Training, log: Logbook) -> None:
    """Do what comes before the first task: pretraining, the strategy's start, the first row of R."""
    pretrained = training.stream.pretrain is not None
    if pretrained:
        pretrain(training, SLICES, partial(log.taken, task=0))
    start(training)
    log.measure(0, 0, end=True)
    if training.recorder is not None:
        training.recorder.start(training.network)
    if pretrained:
        log.save()
