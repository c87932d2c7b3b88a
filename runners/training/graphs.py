"""Training steps recorded once as a CUDA graph and replayed: a small network on a GPU otherwise waits for Python.

A step of a small stack starts some dozen kernels, each of which takes less time than starting it. A graph starts them all at
once. It repeats exactly what was recorded, on the same memory, so it serves steps that are alike: same shape of the batch, no
hook of a strategy that may act differently each time, and no learning rate that changes: a recorded one is a constant. Where an
operator of the network is trained, a scenario's own code, nothing is recorded.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol

import torch

from kancl.models import draws_numbers
from runners.measure.record import never
from runners.strategies import State
from runners.stream.batches import Batch
from runners.training.steps import Ask, Lesson, StackedLearner

Body = Callable[[], None]


class GraphRecorder(Protocol):
    """What records steps; CUDA's graphs, or a stand-in for tests."""

    def prepare(self, body: Body) -> None:
        """Run ``body`` as it has to be run before it can be recorded."""

    def record(self, body: Body) -> Body:
        """Note what ``body`` starts, without running it, and return what runs it."""


class CudaGraphs:
    """torch's CUDA graphs."""

    def prepare(self, body: Body) -> None:
        """Run ``body`` on a stream of its own: on the usual one, autograd would leave ties that a recording may not have."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            body()
        torch.cuda.current_stream().wait_stream(stream)

    def record(self, body: Body) -> Body:
        """Record a graph."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            body()
        return graph.replay


INNER_HOOKS = ("batches", "penalty", "correct", "after_step")
"""The hooks of a strategy that may do something else at every step."""

WARM_UP = 3
"""Steps taken before recording, as torch's documentation asks: libraries prepare themselves, and Adam makes its state."""


def can_be_recorded(lesson: Lesson) -> bool:
    """Tell whether every step does the same: on a GPU, none of the hooks inside a step in use, one rate, no operator."""
    if not next(lesson.network.parameters()).is_cuda or draws_numbers(
        lesson.network
    ):  # a recording would draw the same each time
        return False
    quiet = lesson.operator is None and not lesson.strategy.acts_in(*INNER_HOOKS)
    return quiet and lesson.policy.schedule == "constant"


class GraphedLearner(StackedLearner):
    """A StackedLearner whose steps on batches of the most common shape are replayed from a graph.

    Every source of batches, so every task, gets a recording of its own: between tasks a network may put other tensors (a grid
    that moved, say) in the place of those that were recorded.

    Args:
        recorder: CUDA's graphs if not given.
    """

    def __init__(self, lesson: Lesson, state: State, recorder: GraphRecorder | None = None) -> None:
        super().__init__(lesson, state)
        self.recorder = recorder or CudaGraphs()
        self.source: Iterator[Batch] | None = None
        self.batch: Batch | None = None
        self.replay: Body | None = None
        self.warm = 0

    def take_steps(self, source: Iterator[Batch], count: int, pause: Ask = never) -> int:
        """Take steps for all seeds at once."""
        if source is not self.source:
            self.source, self.batch, self.replay, self.warm = source, None, None, 0
        for taken in range(1, count + 1):
            self._take(next(source))
            if pause():
                return taken
        return count

    def _take(self, batch: Batch) -> None:
        """Take a step: record it, replay it, or, where the batch has another shape, do it."""
        if self.batch is None:
            self.batch = Batch(batch.x.clone(), batch.y.clone(), None if batch.mask is None else batch.mask.clone())
        if batch.x.shape != self.batch.x.shape:  # the last batch of an epoch
            self.step(batch)
            return
        _copy(batch, self.batch)
        body = partial(self.step, self.batch)
        if self.warm < WARM_UP:
            self.warm += 1
            self.recorder.prepare(body)
            return
        self.replay = self.replay or self.recorder.record(body)
        self.replay()


def _copy(source: Batch, target: Batch) -> None:
    target.x.copy_(source.x)
    target.y.copy_(source.y)
    if source.mask is not None and target.mask is not None:
        target.mask.copy_(source.mask)
