"""What has been measured so far, told and saved while a cell is in training, and made into its result at the end."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from kancl.errors import Stopped as Stopped
from kancl.metrics import METRICS
from kancl.models import Cost, Network
from runners.measure.evaluate import Answers, Evaluator
from runners.measure.locality import Locality
from runners.measure.result import Result
from runners.stream.stream import Stream


@dataclass(frozen=True)
class Progress:
    """How far a cell is: told after every slice of a task; task 0 is pretraining."""

    task: int
    tasks: int
    steps: int
    total_steps: int


def never() -> bool:
    """Ask for no stop."""
    return False


CHECKPOINT_EVERY = 300.0
"""Seconds of training after which a run saves inside a task."""


@dataclass(frozen=True)
class Pauses:
    """When a run saves inside a task, and whether it is to stop. No number depends on it.

    Args:
        every: seconds of training between two checkpoints inside a task; infinity for none.
        asked: tells whether the run is to stop. It is asked after every step, so it must be quick; once true, the run saves
            where it is and raises :class:`kancl.errors.Stopped`.
    """

    every: float = CHECKPOINT_EVERY
    asked: Callable[[], bool] = never


NEVER = Pauses(math.inf)
"""For runs of which nothing is kept."""


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
    evaluation_seconds: float = 0.0

    def measure(
        self, evaluator: Evaluator, network: Network, task: int, step: int, end: bool, answers: Answers | None = None
    ) -> None:
        """Evaluate all tasks; at the end of a task (or before the first) the scores are also a row of R."""
        synchronize(evaluator.stream.device)  # or the steps that it still has to take would count as evaluation
        began = time.perf_counter()
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
        self.evaluation_seconds += time.perf_counter() - began

    def since(self, rows: int, evaluations: int) -> "Record":
        """Return what came after the first rows and evaluations; whether seeds diverged, seconds and steps are as they are."""
        rest = replace(self, rows=self.rows[rows:], functions=self.functions[rows:])
        rest.curve, rest.place = self.curve[evaluations:], self.place[evaluations:]
        return rest

    def followed_by(self, later: "Record") -> "Record":
        """Return this record with what :meth:`since` took off."""
        return replace(
            later,
            rows=self.rows + later.rows,
            curve=self.curve + later.curve,
            place=self.place + later.place,
            functions=self.functions + later.functions,
        )


@dataclass
class Checkpoint:
    """Everything that the rest of a run depends on, at the end of a task or, with no phase done, of pretraining."""

    phases_done: int
    network: dict[str, Tensor]
    learner: Any
    state: dict[str, Tensor]
    record: Record
    watch: dict[str, Any] | None = None


@dataclass
class Within:
    """A place inside a phase: what its steps changed, to be put over a phase that was begun anew at the end of the last one.

    Args:
        phase: its number, from 0, or :data:`PRETRAINING`; by the avalanche runner of the seed after those of ``before``.
        step: steps of it that were taken; all that was to be measured until then is in the record.
        network, learner, state: as of a :class:`Checkpoint`.
        record: what was measured since the end of the last phase; its seconds and steps are those of everything until now.
        before: the end of the last phase; None where there is none, and everything is begun anew. It has files of its
            own. By the avalanche runner it is the end of the last seed, and ``record`` that of the seed in training.
    """

    phase: int
    step: int
    network: dict[str, Tensor]
    learner: Any
    state: dict[str, Any]
    record: Record
    before: Checkpoint | None = None

    @property
    def phases_done(self) -> int:
        """The phases that are over, pretraining not counted."""
        return max(self.phase, 0)


PRETRAINING = -1
"""The phase before the first, as :class:`Within` counts."""

Saved = Checkpoint | Within
"""What a run gives to be kept, and can go on from."""


class Keep(Protocol):
    """Hears of the networks before the first task, after pretraining, and after each, whose tensors the next step changes."""

    def __call__(self, moment: int, network: Mapping[str, Tensor], seed: int = 0) -> object:
        """Hear of some of the networks.

        Args:
            moment: 0 before the first task, n after task n.
            network: parameters and buffers by name, (S, ...).
            seed: the place of their first seed among those of the cell.
        """


def kept_nowhere(moment: int, network: Mapping[str, Tensor], seed: int = 0) -> None:
    """Keep nothing."""


class MisfitError(Exception):
    """A checkpoint does not fit the cell that it is said to be of."""


def result_of(
    record: Record,
    stream: Stream,
    metrics: tuple[str, ...] | None,
    cost: Cost,
    locality: Locality | None,
    remarks: tuple[str, ...] = (),
) -> Result:
    """Return what was measured as a result.

    Args:
        record: of the whole run.
        stream: what was trained on.
        metrics: those that mean something under the strategy; None for all.
        cost: of the networks as they are at the end.
        locality: the locality record, if the cell asked for one.
        remarks: what a reader has to know of it.
    """

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
        evaluation_seconds=record.evaluation_seconds,
        remarks=remarks,
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


def synchronize(device: torch.device) -> None:
    """Wait until a device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
