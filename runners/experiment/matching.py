"""``--match``: the widths at which the architectures of a request cost as much as one of them."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from kancl import options
from kancl.errors import InputError
from kancl.models import architectures, cost_of
from kancl.models.matching import match_width, width_of
from kancl.options import Spec, parse_spec
from runners.choices.file import Choices
from runners.config.cell import Cell
from runners.config.request import Request
from runners.experiment.blame import refusing
from runners.experiment.expand import advised
from runners.stream.stream import Stream
from runners.training.networks import build_network
from runners.training.step_time import step_seconds

UNITS = {
    "parameters": "parameters",
    "active": "active parameters per sample",
    "flops": "FLOPs per sample",
    "time": "µs per step",
}
TIME_ROUNDS = 9
FAR = 0.1
"""Relative difference of costs from which a match is called a poor one."""


@dataclass(frozen=True)
class Matched:
    """How close an architecture came.

    Args:
        architecture: as it was asked for, without the matched option.
        option, value: what was solved for.
        by, to, target: the cost that was matched, and the architecture whose cost it is.
        cost: what the matched architecture costs.
    """

    scenario: str
    architecture: str
    option: str
    value: Any
    by: str
    to: str
    target: float
    cost: float

    def __str__(self) -> str:
        scale = 1e6 if self.by == "time" else 1
        shown = Spec(self.architecture.partition(":")[0], {self.option: self.value}).label
        off = self.cost / self.target - 1
        far = ", and no width comes closer" if abs(off) > FAR else ""
        cost = f"{_shown(self.cost * scale)} {UNITS[self.by]}"
        return (
            f"matched on {self.scenario}: {self.architecture} becomes {shown} with {cost}; "
            f"{self.to} has {_shown(self.target * scale)} ({off:+.1%}{far})"
        )


def _shown(cost: float) -> str:
    return f"{cost:,.0f}" if cost >= 100 else f"{cost:.3g}"


def check_match(request: Request) -> None:
    """Refuse half of what a matching needs."""
    if (request.match is None) != (request.to is None):
        said, other = ("--to", "--match") if request.match is None else ("--match", "--to")
        raise InputError(
            f"{said} needs {other}: e.g. --match parameters --to kan scales the other architectures to the kan's parameters"
        )


def match_cells(
    request: Request, cells: list[Cell], stream: Stream, kept: Choices, tell: Callable[[Matched], object]
) -> list[Cell]:
    """Return a request's cells of one scenario with the widths solved for; see :data:`runners.experiment.expand.Adjust`.

    What was measured is remembered, so that the same command asks for the same cells again.

    Args:
        request: says what is to be equal, and to whose.
        cells: of one scenario.
        stream: the scenario.
        kept: what was measured before, and is now.
        tell: hears what was solved for each architecture.

    Raises:
        InputError: an architecture that cannot be widened, or whose cost does not grow.
    """
    if request.match is None or request.to is None or not cells:
        return cells
    reference = _reference(request.to, cells, stream, request)
    name = reference.asked["architecture"]
    solved: dict[str, Matched] = {}
    for cell in cells:
        asked = cell.asked["architecture"]
        if asked in solved or cell.architecture == reference.architecture:
            continue
        alike = (reference, replace(cell, strategy=reference.strategy))
        place = "/".join([request.match, *(one.key for one in alike)])
        known = kept.take_over("/".join([request.match, *(one.old_key for one in alike)]), place)
        if known and not _is_match(known):
            kept.distrust(place, f"a match of {asked} that is none")
            known = None
        if known:
            solved[asked] = Matched(**known)
        else:
            with refusing(cell):
                solved[asked] = _solve(cell, reference, name, request.match, stream)
        kept.put(place, vars(solved[asked]))
        tell(solved[asked])
    return [_with_width(cell, solved.get(cell.asked["architecture"])) for cell in cells]


def _is_match(known: dict[str, Any]) -> bool:
    """Tell whether a remembered match is one: somebody may have written it by hand."""
    texts, numbers = ("scenario", "architecture", "option", "by", "to"), ("target", "cost")
    return (
        known.keys() == {*texts, *numbers, "value"}
        and all(isinstance(known[name], str) for name in texts)
        and all(isinstance(known[name], int | float) and 0 < known[name] < math.inf for name in numbers)
        and isinstance(known["value"], int | float | list)
        and known["by"] in UNITS
    )


def _reference(text: str, cells: list[Cell], stream: Stream, request: Request) -> Cell:
    """Return the cell that the others are matched to: of the request, or one of its own that is not run."""
    label = parse_spec(text).label
    firsts = {cell.asked["architecture"]: cell for cell in reversed(cells)}
    if label in firsts:
        return firsts[label]
    same = [asked for asked, cell in firsts.items() if cell.architecture.name == text]
    if len(same) > 1:
        raise InputError(f"--to {text} could be any of {' and '.join(sorted(same))}; name one of them in full")
    if same:
        return firsts[same[0]]
    spec, policy = advised(text, stream, request, cells[0].asked["scenario"])
    return replace(cells[0], architecture=spec, policy=policy, asked={**cells[0].asked, "architecture": label})


def _solve(cell: Cell, reference: Cell, to: str, by: str, stream: Stream) -> Matched:
    builder, asked = architectures.get(cell.architecture.name), cell.asked["architecture"]
    width = width_of(asked, builder, cell.architecture.options)

    def scaled(number: int) -> Cell:
        wanted = {**cell.architecture.options, width.option: width.at(number)}
        return replace(cell, architecture=Spec(cell.architecture.name, wanted))

    x = stream.train[0].x[:, :2]
    for one, name in ((cell, asked), (reference, to)):
        if by == "parameters" and build_network(one, stream).grows:
            raise InputError(f"--match parameters: {name} grows from task to task; match active, flops or time")

    @cache
    def cost(number: int) -> float:
        if by == "time":  # in turns with the reference, so that what slows the machine slows both
            own = scaled(number)
            build_network(own, stream)  # tells what is wrong with it, if anything is
            return _timed(step_seconds([own, replace(reference, strategy=cell.strategy)], stream, TIME_ROUNDS), target)
        return float(getattr(cost_of(build_network(scaled(number), stream), x), by))

    if by == "time":
        target = step_seconds([replace(reference, strategy=cell.strategy)], stream, TIME_ROUNDS)[0]
        _timed([target, target], target)
    else:
        target = float(getattr(cost_of(build_network(reference, stream), x), by))
    number, found = match_width(cost, target, asked, monotone=by != "time")
    return Matched(cell.asked["scenario"], asked, width.option, width.at(number), by, to, target, found)


def _timed(seconds: list[float], target: float) -> float:
    """Return the first of two times that were taken in turns, in units in which the second is ``target``.

    Raises:
        InputError: one of them is NaN: its steps fail.
    """
    if not all(map(math.isfinite, seconds)):
        raise InputError("--match time: steps of one of the architectures fail; a run without --match tells why")
    return seconds[0] / seconds[1] * target


def _with_width(cell: Cell, matched: Matched | None) -> Cell:
    if matched is None:
        return cell
    solved = {matched.option: matched.value}
    said = parse_spec(cell.asked["architecture"])
    label = Spec(said.name, {**said.options, **solved}).label
    wanted = Spec(cell.architecture.name, {**cell.architecture.options, **solved})
    spec = options.complete(architectures, wanted, ("problem",))
    return replace(cell, architecture=spec, asked={**cell.asked, "architecture": label})
