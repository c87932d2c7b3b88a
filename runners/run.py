"""The runners: who can train a cell. The one place that knows what they are made of: another one is a folder, a
row here, and a name that can be asked for in :data:`runners.config.cell.Runner`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from kancl.models import Network
from kancl.options import Spec
from kancl.registry import Registry
from runners.avalanche import avalanche_strategies
from runners.avalanche import checks as avalanche_checks
from runners.avalanche.runner import run_avalanche_cell
from runners.avalanche.strategies import caution_on, remarks_on
from runners.avalanche.strategies import make_strategy as make_avalanche_strategy
from runners.config.cell import Cell, Runner
from runners.config.request import Request
from runners.measure.merge import merge
from runners.measure.record import NEVER, Keep, Pauses, Progress, Record, Saved, kept_nowhere
from runners.measure.result import Result
from runners.strategies import strategies
from runners.stream.stream import Stream
from runners.training import native
from runners.training.loop import run_native_cell


class CheckCell(Protocol):
    """Sees that a cell can be carried out, before anything is trained."""

    def __call__(self, network: Network, cell: Cell, stream: Stream, strategy: Any, text: str) -> None:
        """Raise an InputError if it cannot; ``network`` is any of the cell's, ``text`` the strategy as it was asked for."""


class RunCell(Protocol):
    """Trains one cell on a stream whose seeds have tasks of the same sizes; see :func:`run_cell`."""

    def __call__(
        self,
        cell: Cell,
        stream: Stream,
        resume: Saved | None = None,
        save: Callable[[Saved], None] = ...,
        tell: Callable[[Progress], None] = ...,
        measured: Callable[[Record], None] = ...,
        pauses: Pauses = ...,
        keep: Keep = ...,
    ) -> Result:
        """Return what was measured."""


@dataclass(frozen=True)
class RunnerRow:
    """What a runner is to everybody else.

    Args:
        strategies: its strategies by name.
        make_strategy: from a text to the name with every option, and the strategy; refuses unknown ones.
        check_request: refuses what the runner does not have, for a device to train on.
        check_scenario: refuses a scenario, which is called by a name, that it cannot carry.
        check_cell: refuses an architecture or a policy under a strategy.
        run: trains a cell.
        remarks_on: what has to be known of every result of a strategy, by its name.
        caution_on: what has to be said when a cell of a strategy begins; empty for nothing.
        times_steps: whether a training step can be timed apart, in turns with others; else the runner measures its own.
    """

    strategies: Registry
    make_strategy: Callable[[str], tuple[Spec, Any]]
    check_request: Callable[[Request, str], None]
    check_scenario: Callable[[Stream, str], None]
    check_cell: CheckCell
    run: RunCell
    remarks_on: Callable[[str], tuple[str, ...]]
    caution_on: Callable[[Spec], str]
    times_steps: bool


RUNNERS: dict[Runner, RunnerRow] = {
    "native": RunnerRow(
        strategies, native.make_strategy, native.check_request, native.check_scenario, native.check_cell, run_native_cell,
        native.remarks_on, native.caution_on, times_steps=True,
    ),
    "avalanche": RunnerRow(
        avalanche_strategies, make_avalanche_strategy, avalanche_checks.check_request, avalanche_checks.check_scenario,
        avalanche_checks.check_cell, run_avalanche_cell, remarks_on, caution_on, times_steps=False,
    ),
}  # fmt: skip


def run_cell(
    cell: Cell,
    stream: Stream,
    resume: Saved | None = None,
    save: Callable[[Saved], None] = lambda saved: None,
    tell: Callable[[Progress], None] = lambda progress: None,
    measured: Callable[[Record], None] = lambda record: None,
    pauses: Pauses = NEVER,
    keep: Keep = kept_nowhere,
) -> Result:
    """Train one cell on its stream of tasks, by the runner that it names, and return what was measured.

    Seeds whose tasks differ in size are trained group by group, without ``resume``, ``save``, ``measured`` and ``keep``;
    :func:`runners.experiment.blocks.run_blocks` does the same and keeps what is done.

    Args:
        cell: the configuration.
        stream: the cell's scenario, stacked over the cell's seeds, on the device to train on.
        resume: where to go on from, as given to ``save`` by an earlier run of the same cell.
        save: called at the end of pretraining, if there is one, and of every task; by the avalanche runner of every seed; and
            inside them, with a :class:`runners.measure.record.Within`, when ``pauses`` says so. What it is given is changed by
            the next step.
        tell: called with the progress.
        measured: called with the record after every evaluation of all seeds; its time does not count as the cell's. The
            avalanche runner has none before the end.
        pauses: when to save inside a task, and whether to stop.
        keep: called with the networks before the first task and after each, before ``save`` is; by the avalanche runner seed by
            seed.

    Raises:
        MisfitError: ``resume`` is of other networks, or of another optimiser; nothing was done yet.
        Stopped: ``pauses`` asked for it; where to go on was given to ``save``.
    """
    if stream.groups:
        parts = [run_cell(own, group, tell=own_tell, pauses=pauses) for own, group, own_tell in groups_of(cell, stream, tell)]
        return merge(parts, cell.seeds)
    return RUNNERS[cell.runner].run(cell, stream, resume, save, tell, measured, pauses, keep)


def groups_of(
    cell: Cell, stream: Stream, tell: Callable[[Progress], None]
) -> Iterator[tuple[Cell, Stream, Callable[[Progress], None]]]:
    """Yield a cell for each group of seeds that are trained together, with its stream and how its progress is told.

    Args:
        cell: of all seeds.
        stream: with groups.
        tell: hears the progress of all groups together.
    """
    done = 0

    def told(progress: Progress, before: int, share: int) -> None:
        nonlocal done
        done = before + progress.steps
        # What the groups to come will take is not known yet; about as much as this one.
        tell(replace(progress, steps=done, total_steps=before + progress.total_steps * share))

    for number, group in enumerate(stream.groups):
        yield replace(cell, seeds=group.seeds), group, partial(told, before=done, share=len(stream.groups) - number)
