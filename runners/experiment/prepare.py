"""From requests to the cells that are run: expanded, matched (``--match``) and tuned (``--tune``)."""

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from kancl.errors import InputError
from kancl.options import parse_spec
from runners.choices.file import Choices
from runners.choices.plans import check_tune, place_of_plan, plan_of
from runners.choices.tuned import PARTS, TUNING
from runners.config.cell import Cell
from runners.config.request import DEFAULTS, Request
from runners.experiment.expand import expand
from runners.experiment.listener import Heard, Listener
from runners.experiment.matching import check_match, match_cells
from runners.experiment.tuning import tune_cell
from runners.run import RUNNERS
from runners.store.experiment import Store
from runners.stream.cache import StreamCache
from runners.stream.stream import Stream

MATCHING = "matching.json"


def prepare(
    requests: Sequence[Request],
    out: Path | None,
    listener: Listener,
    tell: Callable[[object], None],
    device: str = "cpu",
    streams: StreamCache | None = None,
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
    store = Store(folder, tell)
    if not chosen:
        return asked, folder
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
    trials = Choices(folder / TUNING, tell)
    _refuse_untuned(cells, reported, trials, store)
    with store.locked():
        if kept.changed and (kept.taken_over or not store.keys() or store.was_asked(cell for cell, _ in cells)):
            kept.save()
        for plan in dict.fromkeys(_plans(cells, reported, trials)):
            tell(plan)
        tune = partial(
            _tuned, reported=reported, kept=trials, listener=Heard(listener), tell=tell, device=device, streams=streams
        )
        ready = [own for cell, request in cells for own in tune(cell, request)]
    return list({cell.key: cell for cell in ready}.values()), folder


def _tuned(
    cell: Cell,
    request: Request,
    reported: Sequence[int],
    kept: Choices,
    listener: Listener,
    tell: Callable[[object], None],
    device: str,
    streams: StreamCache,
) -> tuple[Cell, ...]:
    if request.tune is None:
        return (cell,)
    tuned = tune_cell(cell, plan_of(request, cell, reported), kept, listener, device, streams)
    tell(tuned)
    return tuned.cells


def _plans(cells: Iterable[tuple[Cell, Request]], reported: Sequence[int], kept: Choices) -> Iterator[str]:
    """Yield what the tunings cost that are not done yet."""
    for cell, request in cells:
        if request.tune is None:
            continue
        plan = plan_of(request, cell, reported)
        if "choices" not in (kept.get(place_of_plan(cell, plan)) or {}):
            yield str(plan)


def _refuse_untuned(cells: Iterable[tuple[Cell, Request]], reported: Sequence[int], kept: Choices, store: Store) -> None:
    """Refuse a folder that holds another experiment before any trial is run for it."""
    for cell, request in cells:
        if request.tune is None or kept.lost or not store.keys():
            continue
        plan = plan_of(request, cell, reported)
        known = kept.get(place_of_plan(cell, plan)) or kept.get(place_of_plan(replace(cell, content={}), plan))
        if not {"chosen", "choices"} & set(known or {}) and not store.was_asked([cell]):
            asked = " / ".join(cell.labels[part] for part in PARTS)  # without the rate, which nobody has asked for
            raise InputError(
                f"--out {store.out} holds a different experiment: {asked} was not tuned there like this; choose "
                f"another --out, or repeat the command that made it{_tuned_once(request, cell, reported, kept)}"
            )


def _tuned_once(request: Request, cell: Cell, reported: Sequence[int], kept: Choices) -> str:
    """Return how to repeat what earlier versions meant by the same command; empty if that is not what the folder holds."""
    once = replace(request, tune_choices=1, tune_seeds=request.tune_seeds or 3)
    plan = plan_of(once, cell, reported)
    places = (place_of_plan(cell, plan), place_of_plan(replace(cell, content={}), plan))
    if request.tune_choices is not None or not any(map(kept.get, places)):
        return ""
    return f" (chosen once for all seeds, as earlier versions did: --tune-choices 1 --tune-seeds {once.tune_seeds})"


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
