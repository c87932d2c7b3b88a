"""What a cell in training tells: the scores of all tasks, how far it is, and checkpoints to go on from."""

import time
from collections.abc import Callable

from kancl.global_generators import unmoved
from kancl.models import cost_of
from runners.measure.evaluate import Evaluator, thinned, thinned_remark
from runners.measure.record import (
    PRETRAINING,
    Checkpoint,
    Keep,
    Pauses,
    Progress,
    Record,
    Saved,
    Stopped,
    Within,
    kept_nowhere,
    result_of,
)
from runners.measure.result import Result
from runners.training.phase import BegunPhase, pretraining_steps
from runners.training.training import Training

SLICES = 50
"""Parts of a task after which progress is told."""


def slices_of(steps: int) -> set[int]:
    """Return the numbers of the steps after which progress is told, the last one left out."""
    return set(range(0, steps, max(1, steps // SLICES))) - {0}


class Logbook:
    """Measures, tells and saves; counts the seconds of a cell.

    Args:
        training: the networks that it tells of.
        record: what was measured until the end of the last phase.
        within: a place that an earlier run came to in the next one, with what was measured in it.
        save: called with checkpoints.
        tell: called with the progress.
        measured: called with the record after every evaluation; its time does not count as the cell's.
        pauses: when to save inside a phase, and whether to stop.
        keep: called with the networks before the first task and after each; its time does not count as the cell's.
    """

    def __init__(
        self,
        training: Training,
        record: Record,
        within: Within | None,
        save: Callable[[Saved], None],
        tell: Callable[[Progress], None],
        measured: Callable[[Record], None],
        pauses: Pauses,
        keep: Keep = kept_nowhere,
    ) -> None:
        self.training, self.kept = training, (len(record.rows), len(record.place))
        self.record = record if within is None else record.followed_by(within.record)
        self.on_save, self.on_progress, self.on_measured = save, tell, measured
        self.pauses, self.on_keep = pauses, keep
        self.evaluator = self.dense = Evaluator(training.stream)
        if training.cell.curve_samples != "all":
            self.dense = Evaluator(thinned(training.stream, training.cell.curve_samples))
        self.total = pretraining_steps(training.policy, training.stream) + sum(training.step_counts)
        self.began, self.before = time.perf_counter(), self.record.seconds
        self.due = self.began + pauses.every

    def measure(self, task: int, step: int, end: bool) -> None:
        """Evaluate all tasks, on all test samples at the end of one.

        Args:
            task: in training, from 1; 0 before the first.
            step: taken in it.
            end: whether it ends here.
        """
        evaluator = self.evaluator if end else self.dense
        with unmoved("evaluation"):
            self.record.measure(evaluator, self.training.network, task, step, end, self.training.answers())
        paused = time.perf_counter()
        self.on_measured(self.record)
        self.began += time.perf_counter() - paused

    def taken(self, steps: int, task: int) -> None:
        """Count steps of a task, from 1, or of pretraining, 0, and tell the progress."""
        self.record.steps += steps
        self.on_progress(Progress(task, self.training.tasks, self.record.steps, self.total))

    def is_due(self) -> bool:
        """Tell whether it is time to save, or to stop."""
        return self.pauses.asked() or time.perf_counter() >= self.due

    def pause(self, begun: BegunPhase) -> None:
        """Save the place inside a phase, if it is time to.

        Raises:
            Stopped: somebody asked for it.
        """
        asked = self.pauses.asked()
        if not asked and time.perf_counter() < self.due:
            return
        self._count()
        phase = begun.phase if isinstance(begun.phase, int) else PRETRAINING
        network, learner = self.training.network.state_dict(), begun.learner
        self.on_save(Within(phase, begun.done, network, learner.state_dict(), learner.state, self.record.since(*self.kept)))
        self.due = time.perf_counter() + self.pauses.every
        if asked:
            raise Stopped

    def stop_if_asked(self) -> None:
        """Stop between two phases, where all is saved.

        Raises:
            Stopped: somebody asked for it.
        """
        if self.pauses.asked():
            raise Stopped

    def _count(self) -> None:
        """Note how many seconds it took so far."""
        self.record.seconds = self.before + time.perf_counter() - self.began

    def save(self) -> None:
        """Give a checkpoint of all that the rest of the run depends on."""
        training = self.training
        self._count()
        learned = training.learned if training.learner is None else training.learner.state_dict()
        looked = None if training.recorder is None else training.recorder.state_dict()
        kept = Checkpoint(training.done, training.network.state_dict(), learned, training.state, self.record, looked)
        self.on_save(kept)
        self.kept = len(self.record.rows), len(self.record.place)
        self.due = time.perf_counter() + self.pauses.every

    def keep(self) -> None:
        """Give the networks, before the first task or after one."""
        paused = time.perf_counter()
        self.on_keep(self.training.done, self.training.network.state_dict())
        self.began += time.perf_counter() - paused

    def result(self) -> Result:
        """Return what was measured, at the end."""
        training, stream = self.training, self.training.stream
        locality = None if training.recorder is None else training.recorder.record()
        remarks = thinned_remark(stream, training.cell.curve_samples)
        cost = cost_of(training.network, stream.train[0].x[:, :2])  # as they are at the end: some networks grow
        return result_of(self.record, stream, training.strategy.metrics, cost, locality, remarks)
