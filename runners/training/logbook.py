"""What a cell in training tells: the scores of all tasks, how far it is, and checkpoints to go on from."""

import time
from collections.abc import Callable

from kancl.global_generators import unmoved
from kancl.models import cost_of
from runners.measure.evaluate import Evaluator
from runners.measure.record import Checkpoint, Progress, Record, result_of
from runners.measure.result import Result
from runners.training.pretraining import pretraining_steps
from runners.training.training import Training


class Logbook:
    """Measures, tells and saves; counts the seconds of a cell.

    Args:
        training: the networks that it tells of.
        record: what was measured before.
        save: called with checkpoints.
        tell: called with the progress.
        measured: called with the record after every evaluation; its time does not count as the cell's.
    """

    def __init__(
        self,
        training: Training,
        record: Record,
        save: Callable[[Checkpoint], None],
        tell: Callable[[Progress], None],
        measured: Callable[[Record], None],
    ) -> None:
        self.training, self.record = training, record
        self.on_save, self.on_progress, self.on_measured = save, tell, measured
        self.evaluator = Evaluator(training.stream)
        self.total = pretraining_steps(training.policy, training.stream) + sum(training.step_counts)
        self.began, self.before = time.perf_counter(), record.seconds

    def measure(self, task: int, step: int, end: bool) -> None:
        """Evaluate all tasks.

        Args:
            task: in training, from 1; 0 before the first.
            step: taken in it.
            end: whether it ends here.
        """
        with unmoved("evaluation"):
            self.record.measure(self.evaluator, self.training.network, task, step, end, self.training.answers())
        paused = time.perf_counter()
        self.on_measured(self.record)
        self.began += time.perf_counter() - paused

    def taken(self, steps: int, task: int) -> None:
        """Count steps of a task, from 1, or of pretraining, 0, and tell the progress."""
        self.record.steps += steps
        self.on_progress(Progress(task, self.training.tasks, self.record.steps, self.total))

    def save(self) -> None:
        """Give a checkpoint of all that the rest of the run depends on."""
        training = self.training
        self.record.seconds = self.before + time.perf_counter() - self.began
        learned = training.learned if training.learner is None else training.learner.state_dict()
        looked = None if training.recorder is None else training.recorder.state_dict()
        kept = Checkpoint(training.done, training.network.state_dict(), learned, training.state, self.record, looked)
        self.on_save(kept)

    def result(self) -> Result:
        """Return what was measured, at the end."""
        training, stream = self.training, self.training.stream
        locality = None if training.recorder is None else training.recorder.record()
        cost = cost_of(training.network, stream.train[0].x[:, :2])  # as they are at the end: some networks grow
        return result_of(self.record, stream, training.strategy.metrics, cost, locality)
