"""A run that is only looked at: its cells, what they will take, and what is there already; nothing is written."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kancl.errors import is_interrupt
from runners.choices.file import Looked
from runners.choices.plans import Plan
from runners.config.cell import Cell
from runners.config.request import Request
from runners.experiment.blame import told
from runners.experiment.executors.executor import SERIAL
from runners.experiment.foresight import Forecast, Forecaster
from runners.experiment.growth import Growth
from runners.experiment.listener import Listener
from runners.experiment.parts import Part
from runners.experiment.prepare import Preparation, planned_cells
from runners.experiment.trying import Bench
from runners.experiment.tuning import tune_cell
from runners.results.beforehand import seeds_line
from runners.store.experiment import Store, describe
from runners.stream.cache import StreamCache
from runners.upkeep.survey import standing


@dataclass(frozen=True)
class Planned:
    """A cell that would be run.

    Args:
        cell: the configuration, with any rate if it is to be tuned.
        state: done, running, begun, failed or damaged; new where nothing is there, and "to tune" where trials come first.
        forecast: what it will take; None if it is done, or fails when it is tried.
        plan: of its tuning, if that is to be done.
        said: why it cannot be foretold, in a line: it will fail.
    """

    cell: Cell
    state: str
    forecast: Forecast | None
    plan: Plan | None = None
    said: str = ""

    @property
    def seconds(self) -> float:
        """The seconds that are left, trials included."""
        if self.forecast is None:
            return 0.0
        trials = 0.0 if self.plan is None else self.plan.trials * len(self.plan.seeds) / len(self.cell.seeds)
        return self.forecast.seconds * (1 + trials)


@dataclass(frozen=True)
class DryRun:
    """What a command would do: in which folder, with what matched widths, its cells in order, and whether seeds are too few."""

    folder: Path
    matched: Sequence[object]
    cells: Sequence[Planned]
    warning: str | None = None


def dry_run(
    requests: Sequence[Request],
    out: Path | None,
    listener: Listener,
    tell: Callable[[object], None],
    device: str,
    streams: StreamCache,
    part: Part | None = None,
) -> DryRun:
    """Return what a run of these requests would do.

    Args:
        requests, out, listener, tell, device, streams, part: as of :func:`runners.experiment.prepare.prepare`.

    Raises:
        InputError: as there.
    """
    prepared = planned_cells(requests, out, tell, device, streams, Looked, part)
    store = Store(prepared.folder, tell)
    growth, forecaster = Growth(store, streams), Forecaster(streams, device)
    found: dict[str, Planned] = {}
    for cell, plan in _known(prepared, listener, Bench(device, streams, SERIAL, tell)):
        for own in [cell] if plan else growth.settled([cell]):
            state = "to tune" if plan else _state(store, own)
            forecast, said = (None, "") if state == "done" else _foretold(forecaster, own)
            found.setdefault(own.key, Planned(own, state, forecast, plan, said))
    return DryRun(prepared.folder, prepared.matched, list(found.values()), None if part else seeds_line(prepared.steps))


def _foretold(forecaster: Forecaster, cell: Cell) -> tuple[Forecast | None, str]:
    """Return what a cell will take, or why it fails already now."""
    try:
        return forecaster.of(cell), ""
    except BaseException as error:
        if is_interrupt(error):
            raise
        return None, told(error, cell)


def _known(prepared: Preparation, listener: Listener, bench: Bench) -> Iterator[tuple[Cell, Plan | None]]:
    """Yield the cells with what was chosen for them, or with a plan where that is still to be done."""
    for cell, plan in prepared.steps:
        if plan is None or prepared.tuning is None:
            yield cell, None
        elif prepared.is_chosen(cell, plan):
            yield from ((own, None) for own in tune_cell(cell, plan, prepared.tuning, listener, bench).cells)
        else:
            yield cell, plan


def _state(store: Store, cell: Cell) -> str:
    state = standing(store.cell(cell.key), cell.key, describe(cell)).state
    return "new" if state == "absent" else state
