"""Results of several blocks of seeds of one cell as one result: every seed's numbers as they are alone."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from runners.measure.locality import Locality
from runners.measure.result import Result

NOTHING = -1
"""In ``curve_task`` and ``curve_step``: where a seed has no evaluation any more."""


def merge(results: Sequence[Result], seeds: Sequence[int]) -> Result:
    """Return one result of all seeds, in the order asked for.

    A seed's numbers do not depend on the stack it was trained in, so nothing but the seed axis changes. Where seeds were
    evaluated at steps of their own, ``curve_task`` and ``curve_step`` are (S, E), and a seed with fewer evaluations than
    others has -1 there and NaN in the curves after its last one. What is counted for whole stacks (``seconds``, ``steps``) is
    summed, costs per network are the mean over seeds, functions are kept where all seeds have the same points.

    Args:
        results: of the same cell but for its seeds, no seed twice.
        seeds: all of theirs.
    """
    if len(results) == 1 and results[0].seeds == tuple(seeds):
        return results[0]
    first, counts = results[0], [len(result.seeds) for result in results]
    together = [seed for result in results for seed in result.seeds]
    order = [together.index(seed) for seed in seeds]

    def gathered(parts: Sequence[np.ndarray]) -> np.ndarray:
        return np.concatenate(parts)[order]

    def of_scores(name: str) -> dict[str, np.ndarray]:
        return {score: gathered([getattr(result, name)[score] for result in results]) for score in first.higher_is_better}

    def mean(values: Sequence[float]) -> float:
        return values[0] if len(set(values)) == 1 else float(np.average(values, weights=counts))

    places = _places(results)
    evaluations = max(task.shape[-1] for task, _ in places)
    if places[0][0].ndim == 2:
        task, step = (gathered([_padded(place[part], evaluations, NOTHING) for place in places]) for part in (0, 1))
    else:
        task, step = places[0]
    return replace(
        first,
        seeds=tuple(seeds),
        tasks=_same([result.tasks for result in results]) or tuple(f"task {n + 1}" for n in range(len(first.tasks))),
        R=of_scores("R"),
        null=of_scores("null"),
        curves={
            score: gathered([_padded(result.curves[score], evaluations, np.nan) for result in results])
            for score in first.higher_is_better
        },
        curve_task=task,
        curve_step=step,
        diverged_at=gathered([result.diverged_at for result in results]),
        seconds=sum(result.seconds for result in results),
        steps=sum(result.steps for result in results),
        evaluation_seconds=sum(result.evaluation_seconds for result in results),
        step_seconds=mean([result.step_seconds for result in results]),
        locality=_localities([result.locality for result in results], order),
        input_offset=_offsets(results, order),
        remarks=tuple(dict.fromkeys(remark for result in results for remark in result.remarks)),
        **_functions(results, order),
    )


def pick(result: Result, seeds: Sequence[int]) -> Result:
    """Return the part of a result that is of some of its seeds; ``seconds`` and ``steps`` stay those of the whole stack.

    Args:
        result: of these and other seeds.
        seeds: in the order wanted.
    """
    rows = [result.seeds.index(seed) for seed in seeds]

    def of_scores(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {score: table[rows] for score, table in values.items()}

    by_seed = result.curve_task.ndim == 2
    return replace(
        result,
        seeds=tuple(seeds),
        R=of_scores(result.R),
        null=of_scores(result.null),
        curves=of_scores(result.curves),
        curve_task=result.curve_task[rows] if by_seed else result.curve_task,
        curve_step=result.curve_step[rows] if by_seed else result.curve_step,
        diverged_at=result.diverged_at[rows],
        functions=None if result.functions is None else result.functions[rows],
        locality=_localities([result.locality], rows),
        input_offset=None if result.input_offset is None else result.input_offset[rows],
    )


def _places(results: Sequence[Result]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return each result's tasks and steps of evaluation: (E,) where all seeds have the same, else (S, E)."""
    found = [(result.curve_task, result.curve_step) for result in results]
    if all(np.array_equal(place[part], found[0][part]) for place in found for part in (0, 1)):
        return found
    shapes = [(len(result.seeds), task.shape[-1]) for result, (task, _) in zip(results, found, strict=True)]
    return [
        (np.broadcast_to(task, shape), np.broadcast_to(step, shape)) for (task, step), shape in zip(found, shapes, strict=True)
    ]


def _padded(values: np.ndarray, length: int, filler: float) -> np.ndarray:
    missing = [(0, length - values.shape[1] if axis == 1 else 0) for axis in range(values.ndim)]
    return np.pad(values, missing, constant_values=filler)


def _functions(results: Sequence[Result], order: list[int]) -> dict[str, Any]:
    points = [result.plot_x for result in results]
    if any(x is None or not np.array_equal(x, points[0]) for x in points):  # type: ignore[arg-type]
        return {"functions": None, "plot_x": None, "plot_target": None}
    outputs = [result.functions for result in results if result.functions is not None]
    return {"functions": np.concatenate(outputs)[order]} if len(outputs) == len(results) else {}


def _localities(records: Sequence[Locality | None], order: list[int]) -> Locality | None:
    kept = [record for record in records if record is not None]
    if len(kept) < len(records):
        return None
    named = ("layers", "causes")
    values: dict[str, Any] = {
        field.name: np.concatenate([getattr(record, field.name) for record in kept])[order]
        for field in fields(Locality)
        if field.name not in named
    }
    return replace(kept[0], **values)


def _offsets(results: Sequence[Result], order: list[int]) -> np.ndarray | None:
    if all(result.input_offset is None for result in results):
        return None
    inputs = next(result.input_offset.shape[1] for result in results if result.input_offset is not None)
    nothing = [np.zeros((len(result.seeds), inputs)) for result in results]
    own = [result.input_offset for result in results]
    return np.concatenate([zero if offset is None else offset for zero, offset in zip(nothing, own, strict=True)])[order]


def _same(values: Sequence[Any]) -> Any:
    return values[0] if all(value == values[0] for value in values) else None
