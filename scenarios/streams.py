"""Streams made from any scenario: tasks left out, learned beforehand, repeated, or running into each other.

The parameters of :func:`as_stream` are options that every scenario has beside its own, written like them:
``split-digits:cycles=2,blur=0.5``.
"""

from dataclasses import replace

from torch import Tensor

from kancl import options
from kancl.errors import InputError
from scenarios.task import Scenario

MOST_TASKS = 10_000
"""In a repeated sequence: every task is scored after every other."""


def as_stream(scenario: Scenario, skip: int = 0, pretrain: int = 0, cycles: int = 1, blur: float = 0.0) -> Scenario:
    """Options of every scenario, applied in this order.

    Args:
        skip: the first tasks that are left out: the control for ``pretrain``.
        pretrain: the tasks after those that are learned together before the sequence and never scored.
        cycles: how often the sequence is gone through; visit 2 of task A is a task of its own, "A (2)".
        blur: how far neighbouring tasks run into each other, 0 (not at all) to 1 (always); nobody is told of tasks then.

    Raises:
        InputError: no task would be left, or a number is out of its range.
    """
    return blurred(repeated(pretrained(skipped(scenario, skip), pretrain), cycles), blur)


COMMON = options.schema(as_stream, ("scenario",))
"""The options that every scenario has, by name."""


def skipped(scenario: Scenario, count: int) -> Scenario:
    """Return the scenario without its first ``count`` tasks.

    Outputs and the inputs' range stay those of all tasks: the networks are the same as with these tasks in pretraining.
    """
    if not count:
        return scenario
    _refuse_all("skip", count, scenario)
    return replace(_without_first(scenario, count), domain=_range_of(scenario))


def pretrained(scenario: Scenario, count: int) -> Scenario:
    """Return the scenario with its first ``count`` tasks in pretraining, after those that are there already.

    Row 0 of R is then measured after pretraining, so that FWT tells what a task gained from the tasks before it in the
    sequence, not from pretraining.
    """
    if not count:
        return scenario
    _refuse_all("pretrain", count, scenario)
    return replace(_without_first(scenario, count), pretrain=(*scenario.pretrain, *scenario.tasks[:count]))


def repeated(scenario: Scenario, cycles: int) -> Scenario:
    """Return the scenario gone through ``cycles`` times: tasks A, B become A, B, A (2), B (2).

    A later visit has the same data as the first and a column of its own in R, equal to the first one's. With j the place of
    visit k > 1 of a task:

    - R[j-1,j], before the visit, is what was kept since the last one; beside R[0,j] and R[j,j] it shows savings.
    - FWT mixes two things: transfer to tasks that were never seen, and what was kept of those that were.
    - The learning score counts relearning beside learning for the first time.
    - BWT, forgetting and retention of an early visit take the end of the whole sequence, so they include what later visits
      relearned; only those of the last visits show forgetting alone.
    - ``independent`` trains a fresh network at every visit, ``joint`` sees a task's data once for each.

    Raises:
        InputError: ``cycles`` is below 1, or so large that nobody could run it.
    """
    most = max(1, MOST_TASKS // len(scenario.tasks))
    if not 1 <= cycles <= most:
        raise InputError(f"cycles must be from 1 to {most} for {len(scenario.tasks)} tasks, got {cycles}")
    if cycles == 1:
        return scenario
    later = [replace(task, name=f"{task.name} ({visit})") for visit in range(2, cycles + 1) for task in scenario.tasks]
    overlap = {name: table.repeat(cycles, cycles) for name, table in scenario.overlap.items()}
    return replace(scenario, tasks=(*scenario.tasks, *later), overlap=overlap)


def blurred(scenario: Scenario, blur: float) -> Scenario:
    """Return the scenario without borders between its tasks; :func:`share_of_later` says what is seen when.

    Raises:
        InputError: ``blur`` is outside [0, 1].
    """
    if not 0 <= blur <= 1:
        raise InputError(f"blur must be from 0 (tasks one after another) to 1 (the mixture never stands still), got {blur:g}")
    return replace(scenario, blur=float(blur)) if blur else scenario


def share_of_later(position: float, border: int, blur: float) -> float:
    """Return the share of the later task in the stream around a border, 0 to 1.

    It rises linearly from 0 at border - blur/2 to 1 at border + blur/2: clip((u - m) / b + 1/2, 0, 1).

    Args:
        position: u, in phases: phase t = 1 ... T covers [t - 1, t].
        border: m, 1 to T - 1: task m (from 1) ends there, and task m + 1 begins.
        blur: b, 0 to 1, so that no two borders' ramps overlap.

    >>> [share_of_later(u, 1, 0.5) for u in (0.5, 0.75, 1.0, 1.125, 1.5)]
    [0.0, 0.0, 0.5, 0.75, 1.0]
    """
    distance = position - border
    return float(distance >= 0) if blur == 0 else min(1.0, max(0.0, distance / blur + 0.5))


def _refuse_all(option: str, count: int, scenario: Scenario) -> None:
    tasks = len(scenario.tasks)
    if not 0 < count < tasks:
        raise InputError(f"{option} must be from 0 to {tasks - 1}, so that one of the {tasks} tasks is left, got {count}")


def _without_first(scenario: Scenario, count: int) -> Scenario:
    overlap: dict[str, Tensor] = {name: table[count:, count:] for name, table in scenario.overlap.items()}
    return replace(scenario, tasks=scenario.tasks[count:], overlap=overlap)


def _range_of(scenario: Scenario) -> tuple[tuple[float, float], ...]:
    low, high = scenario.input_range()
    return scenario.domain or tuple(zip(low.tolist(), high.tolist(), strict=True))
