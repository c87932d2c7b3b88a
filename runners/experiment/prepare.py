"""From requests to the cells that are run: expanded, matched (``--match``) and tuned (``--tune``)."""

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from kancl.options import parse_spec
from runners.choices.file import Choices
from runners.choices.plans import Plan, check_tune, place_of_plan
from runners.choices.tuned import TUNING
from runners.config.cell import Cell
from runners.config.request import DEFAULTS, Request
from runners.experiment.executors.executor import SERIAL, Terms
from runners.experiment.expand import expand
from runners.experiment.faults import Faults
from runners.experiment.growth import tunings_for
from runners.experiment.listener import Heard, Listener
from runners.experiment.matching import check_match, match_cells
from runners.experiment.parts import Part
from runners.experiment.step_times import say_if_disturbed
from runners.experiment.trying import Bench
from runners.experiment.tuning import tune_cell
from runners.results.beforehand import seeds_line
from runners.run import RUNNERS
from runners.store.claims import claim
from runners.store.experiment import Store
from runners.stream.cache import StreamCache
from runners.stream.stream import Stream

MATCHING = "matching.json"

PAUSE = 0.2
"""Seconds between two looks at whether another process has chosen."""


@dataclass(frozen=True)
class Preparation:
    """What is known of an experiment before anything is written, or any trial is run.

    Args:
        folder: for the results.
        steps: the cells with matched widths, and how each is tuned that is; of these the seeds that were tuned before apart.
        matched: what was solved for.
        matching: the widths of this and earlier commands; None where nothing is matched or tuned.
        tuning: the trials of earlier commands.
    """

    folder: Path
    steps: list[tuple[Cell, Plan | None]]
    matched: list[object] = field(default_factory=list)
    matching: Choices | None = None
    tuning: Choices | None = None

    def is_chosen(self, cell: Cell, plan: Plan) -> bool:
        """Tell whether a tuning is done, and costs nothing more."""
        assert self.tuning is not None
        return "choices" in (self.tuning.get(place_of_plan(cell, plan)) or {})


def planned_cells(
    requests: Sequence[Request],
    out: Path | None,
    tell: Callable[[object], None],
    device: str,
    streams: StreamCache,
    choices: type[Choices] = Choices,
    part: Part | None = None,
) -> Preparation:
    """Return what :func:`prepare` does before it writes.

    Args:
        requests, out, tell, device, streams, part: as there.
        choices: reads those of earlier commands.

    Raises:
        InputError: anything that cannot be run, matched or tuned.
    """
    faults = Faults()
    for faults.number, request in enumerate(requests):
        with faults.of("match"):
            check_match(request)
        with faults.of("runner"):
            RUNNERS[request.over(DEFAULTS).runner or "native"].check_request(request, device)
    asked = expand(requests, streams=streams, faults=faults)
    reported = sorted({seed for cell in asked for seed in cell.seeds})
    for faults.number, request in enumerate(requests):
        with faults.of("tune"):
            check_tune(request, reported)
    faults.refuse()
    chosen = [request for request in requests if request.match or request.tune]
    folder = out or _default_out(asked, chosen)
    Store(folder, tell).refuse_strangers()
    if not chosen:
        keys = part.keys(asked) if part else {cell.key for cell in asked}
        return Preparation(folder, [(cell, None) for cell in asked if cell.key in keys])
    if any(request.match == "time" for request in chosen):
        say_if_disturbed("--match time", folder, tell)
    kept = choices(folder / MATCHING, tell)
    cells: list[tuple[Cell, Request]] = []
    told: dict[str, object] = {}  # what blocks of a file share is told once

    def adjust(request: Request, own: list[Cell], stream: Stream) -> list[Cell]:
        own = match_cells(request, own, stream.to(device), kept, lambda matched: told.setdefault(str(matched), matched))
        cells.extend((cell, request) for cell in own)
        return own

    expand(requests, adjust, streams)
    if part is not None:
        keys = part.keys(cell for cell, _ in cells)
        cells = [(cell, request) for cell, request in cells if cell.key in keys]
    trials = choices(folder / TUNING, tell)
    steps: list[tuple[Cell, Plan | None]] = []
    for cell, request in cells:
        steps += [(cell, None)] if request.tune is None else tunings_for(cell, request, reported, trials, streams)
    return Preparation(folder, steps, list(told.values()), kept, trials)


def prepare(
    requests: Sequence[Request],
    out: Path | None,
    listener: Listener,
    tell: Callable[[object], None],
    device: str = "cpu",
    streams: StreamCache | None = None,
    terms: Terms = SERIAL,
    part: Part | None = None,
) -> tuple[list[Cell], Path]:
    """Return the cells to run, and the folder for them.

    What was measured to choose them is kept in the folder, so that the same command means the same cells again: matched
    widths in ``matching.json``, trials and chosen values in ``tuning.json``.

    Args:
        requests: what was asked for.
        out: the folder; named after the scenarios and a hash of what was asked for if None.
        listener: hears of the trials.
        tell: hears what was matched and tuned; each says so as text.
        device: where trials are run and times are measured.
        streams: keeps the scenarios that were built.
        terms: how trials are spread over processes or machines.
        part: of the cells, which alone is tuned and returned; the folder is that of all.

    Raises:
        InputError: anything that cannot be run, matched or tuned; before anything is written, but for trials that all fail.
    """
    streams = StreamCache() if streams is None else streams
    prepared = planned_cells(requests, out, tell, device, streams, part=part)
    for matched in prepared.matched:
        tell(matched)
    if part is None and (few := seeds_line(prepared.steps)):
        tell(few)
    if prepared.matching is not None and prepared.matching.changed:
        prepared.matching.save()
    for cost in dict.fromkeys(str(plan) for cell, plan in prepared.steps if plan and not prepared.is_chosen(cell, plan)):
        tell(cost)
    ready, bench = list[Cell](), Bench(device, streams, terms, tell)
    for cell, plan in prepared.steps:
        if plan is None or prepared.tuning is None:
            ready.append(cell)
            continue
        with alone(prepared.folder, place_of_plan(cell, plan), prepared.tuning):
            tuned = tune_cell(cell, plan, prepared.tuning, Heard(listener), bench)
        tell(tuned)
        ready += tuned.cells
    return list({cell.key: cell for cell in ready}.values()), prepared.folder


@contextmanager
def alone(folder: Path, place: str, kept: Choices) -> Iterator[None]:
    """Choose for a place while no other process does: one that came first is waited for, and what it chose is taken.

    Args:
        folder: of the experiment.
        place: under which the choice is remembered.
        kept: the choices.
    """
    own = folder / "tuning" / hashlib.sha256(place.encode()).hexdigest()[:16]
    while (held := claim(own, folder)) is None:
        time.sleep(PAUSE)
    try:
        with held:
            kept.refresh()
            yield
    finally:
        with suppress(OSError):  # another process may wait there
            own.rmdir()
            own.parent.rmdir()


def _default_out(cells: Sequence[Cell], chosen: Sequence[Request]) -> Path:
    """Return a folder that is named after what was asked for, whatever its contents; files count by their places.

    Where there is one whose name has the contents of files, as it was made before contents were recorded, that one is taken.
    """
    names = dict.fromkeys(re.sub(r"\W+", "-", Path(cell.scenario.name).name.split(":")[-1]) for cell in cells)
    specs = [spec for cell in cells for spec in (cell.scenario, cell.architecture, cell.strategy)]
    files = sorted({os.path.relpath(spec.name) for spec in specs if ".py:" in spec.name})

    def folder(*said: str) -> Path:
        digest = hashlib.sha256(" ".join([*said, *map(repr, chosen)]).encode()).hexdigest()[:8]
        return Path("runs") / f"{'-'.join(names)[:60]}-{digest}"

    by_contents = folder(*sorted(cell.old_key for cell in cells))
    by_place = folder(*sorted(_as_asked(cell).asked_key for cell in cells), *files)
    return by_contents if by_contents.is_dir() and not by_place.is_dir() else by_place


def _as_asked(cell: Cell) -> Cell:
    """Return a cell without the defaults of other people's builders, which may change like the rest of their code."""
    others = [part for part in cell.asked if any(name.startswith(f"{part}: ") for name in cell.content)]
    return replace(cell, **{part: parse_spec(cell.asked[part]) for part in others})  # type: ignore[arg-type]
