"""From requests to the cells that are run: expanded, matched (``--match``) and tuned (``--tune``)."""

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from kancl.options import parse_spec
from runners.choices.file import Choices
from runners.choices.plans import Plan, check_tune, place_of_plan
from runners.choices.tuned import TUNING
from runners.config.cell import Cell
from runners.config.request import DEFAULTS, Request
from runners.experiment.executors.executor import SERIAL, Terms
from runners.experiment.expand import expand
from runners.experiment.growth import tunings_for
from runners.experiment.listener import Heard, Listener
from runners.experiment.matching import check_match, match_cells
from runners.experiment.parts import Part
from runners.experiment.trying import Bench
from runners.experiment.tuning import tune_cell
from runners.run import RUNNERS
from runners.store.claims import claim
from runners.store.experiment import Store
from runners.stream.cache import StreamCache
from runners.stream.stream import Stream

MATCHING = "matching.json"

PAUSE = 0.2
"""Seconds between two looks at whether another process has chosen."""


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
    for request in requests:
        check_match(request)
        RUNNERS[request.over(DEFAULTS).runner or "native"].check_request(request, device)
    streams = StreamCache() if streams is None else streams
    asked = expand(requests, streams=streams)
    reported = sorted({seed for cell in asked for seed in cell.seeds})
    for request in requests:
        check_tune(request, reported)
    chosen = [request for request in requests if request.match or request.tune]
    folder = out or _default_out(asked, chosen)
    Store(folder, tell).refuse_strangers()
    if not chosen:
        keys = part.keys(asked) if part else {cell.key for cell in asked}
        return [cell for cell in asked if cell.key in keys], folder
    kept = Choices(folder / MATCHING, tell)
    cells: list[tuple[Cell, Request]] = []
    told: dict[str, object] = {}  # what blocks of a file share is told once

    def adjust(request: Request, own: list[Cell], stream: Stream) -> list[Cell]:
        own = match_cells(request, own, stream.to(device), kept, lambda matched: told.setdefault(str(matched), matched))
        cells.extend((cell, request) for cell in own)
        return own

    expand(requests, adjust, streams)
    for matched in told.values():
        tell(matched)
    if kept.changed:
        kept.save()
    if part is not None:
        keys = part.keys(cell for cell, _ in cells)
        cells = [(cell, request) for cell, request in cells if cell.key in keys]
    trials = Choices(folder / TUNING, tell)
    steps: list[tuple[Cell, Plan | None]] = []
    for cell, request in cells:
        steps += [(cell, None)] if request.tune is None else tunings_for(cell, request, reported, trials, streams)
    for cost in dict.fromkeys(str(plan) for cell, plan in steps if plan and not _is_chosen(cell, plan, trials)):
        tell(cost)
    ready, bench = list[Cell](), Bench(device, streams, terms, tell)
    for cell, plan in steps:
        if plan is None:
            ready.append(cell)
            continue
        with alone(folder, place_of_plan(cell, plan), trials):
            tuned = tune_cell(cell, plan, trials, Heard(listener), bench)
        tell(tuned)
        ready += tuned.cells
    return list({cell.key: cell for cell in ready}.values()), folder


def _is_chosen(cell: Cell, plan: Plan, kept: Choices) -> bool:
    """Tell whether a tuning is done, and costs nothing more."""
    return "choices" in (kept.get(place_of_plan(cell, plan)) or {})


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
