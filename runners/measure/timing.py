"""Timing: contenders take turns in short blocks, so that a busy moment of the machine hits all of them alike."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch

from kancl.errors import is_interrupt, one_line

Run = Callable[[int], None]
"""Takes so many steps."""


@dataclass(frozen=True)
class Contender:
    """Something that can be timed.

    Args:
        name: as shown.
        run: takes a number of steps.
        networks: how many networks a step trains; times are given per network.
        steps: per block; None to choose as many as fill a block.
        most: steps per block where they are chosen.
        note: what else a reader has to know of this figure.
    """

    name: str
    run: Run
    networks: int = 1
    steps: int | None = None
    note: str = ""
    most: float = math.inf


@dataclass(frozen=True)
class Timing:
    """What one contender took, in seconds per step and network: median and quartiles over the rounds."""

    name: str
    median: float
    low: float
    high: float
    rounds: int
    steps: int
    networks: int = 1
    note: str = ""

    @property
    def iqr(self) -> float:
        """Interquartile range in seconds."""
        return self.high - self.low


@dataclass(frozen=True)
class Comparison:
    """Contenders that were timed together, on the same work.

    Args:
        group: what was timed; comparisons of one group share a table.
        case: the shape that it was timed on.
        threads: of torch.
        timings: one per contender.
        reference: the contender that the others are compared with.
        refused: contenders that could not run, and why.
        unit, scale: how a table shows seconds per step and network: multiplied by ``scale``.
        place: the value of G or S for a point of a sweep.
        shares: the contenders are parts of the reference: a table shows their share of its time.
    """

    group: str
    case: str
    threads: int
    timings: tuple[Timing, ...]
    reference: str
    refused: Mapping[str, str] = field(default_factory=dict)
    unit: str = "µs"
    scale: float = 1e6
    place: int | None = None
    shares: bool = False

    def timing(self, name: str) -> Timing | None:
        """Return the timing of a contender, or None if it did not take part."""
        return next((timing for timing in self.timings if timing.name == name), None)

    def times_faster(self, name: str, than: str) -> float | None:
        """Return how many times the median of ``name`` goes into that of ``than``; above 1 means faster."""
        own, other = self.timing(name), self.timing(than)
        return None if own is None or other is None else other.median / own.median


def compare(
    makers: Mapping[str, Callable[[], Contender]],
    *,
    group: str,
    case: str,
    threads: int,
    rounds: int,
    block: float,
    reference: Sequence[str],
    unit: str = "µs",
    scale: float = 1e6,
    place: int | None = None,
    shares: bool = False,
) -> Comparison:
    """Build the contenders, let each take one step, and time those that can.

    Args:
        makers: by the contender's name; what one raises, or its first step, is told as the reason why it is missing.
        reference: names in order of preference; the first that took part is the reference, or else the first contender.
    """
    with threads_set_to(threads):
        contenders, refused = [], {}
        for name, make in makers.items():
            try:
                contender = make()
                contender.run(1)
            except Exception as error:  # whatever a foreign package, or a backend on a shape it does not serve, may raise
                refused[name] = reason_of(error)
            else:
                contenders.append(contender)
        timings = race(contenders, rounds, block, lost=lambda one, error: refused.update({one.name: reason_of(error)}))
    names = [timing.name for timing in timings]
    chosen = next((name for name in reference if name in names), names[0] if names else "")
    return Comparison(group, case, threads, timings, chosen, refused, unit, scale, place, shares)


def race(
    contenders: Sequence[Contender],
    rounds: int,
    block: float,
    clock: Callable[[], float] = time.perf_counter,
    lost: Callable[[Contender, BaseException], object] = lambda contender, error: None,
) -> tuple[Timing, ...]:
    """Time all contenders in every round, starting each round with another one, and return them in their own order.

    One that raises, at whatever step, is out: told to ``lost`` and missing from what is returned.

    Args:
        contenders: what is timed.
        rounds: in each of which every contender is timed once.
        block: seconds that a contender runs in a round, about; how many steps these are is found out beforehand.
        clock: tells the seconds.
        lost: hears who is out, and why.
    """
    steps: dict[int, int] = {}
    seconds: list[list[float]] = [[] for _ in contenders]

    def attempt(place: int, act: Callable[[], None]) -> None:
        try:
            act()
        except BaseException as error:
            if is_interrupt(error):
                raise
            steps.pop(place, None)
            lost(contenders[place], error)

    def calibrate(place: int) -> None:
        steps[place] = contenders[place].steps or _calibrate(contenders[place], block, clock)

    def take_turn(place: int) -> None:
        seconds[place].append(_time(contenders[place].run, steps[place], clock))

    for place in range(len(contenders)):
        attempt(place, partial(calibrate, place))
    for number in range(rounds):
        for offset in range(len(contenders)):
            place = (number + offset) % len(contenders)
            if place in steps:
                attempt(place, partial(take_turn, place))
    return tuple(_summary(contenders[place], steps[place], seconds[place]) for place in sorted(steps))


def reason_of(error: BaseException) -> str:
    """Return an error in one line: the first of what it says."""
    return one_line(error, first=True)


@contextmanager
def threads_set_to(count: int) -> Iterator[None]:
    """Give torch so many threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _calibrate(contender: Contender, block: float, clock: Callable[[], float]) -> int:
    """Return how many steps take about ``block`` seconds."""
    steps = 1
    while (elapsed := _time(contender.run, steps, clock)) < block / 2 and steps < contender.most:
        steps *= min(10, math.ceil(block / max(elapsed, block / 10)))
        steps = int(min(steps, contender.most))
    return max(1, round(min(steps * block / elapsed, contender.most)))


def _time(run: Run, steps: int, clock: Callable[[], float]) -> float:
    began = clock()
    run(steps)
    if torch.cuda.is_initialized():  # a GPU works on after its orders have been given
        torch.cuda.synchronize()
    return clock() - began


def _summary(contender: Contender, steps: int, seconds: list[float]) -> Timing:
    low, median, high = (np.quantile(seconds, (0.25, 0.5, 0.75)) / (steps * contender.networks)).tolist()
    return Timing(contender.name, median, low, high, len(seconds), steps, contender.networks, contender.note)
