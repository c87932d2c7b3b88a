"""The file of a place inside a task: what its steps changed, to be put over the checkpoint that it names."""

from collections.abc import Mapping
from typing import IO, Any

import numpy as np
import torch

from runners.measure.record import Record, Within
from runners.store.files import DamageError
from runners.store.formats import check_format, format_of
from runners.store.history import ends

WITHIN = "within.pt"
"""Its name, beside ``checkpoint.pt``."""


def write_within(file: IO[bytes], within: Within, after: str) -> None:
    """Write a place inside a task.

    Args:
        file: where to.
        within: what to write.
        after: names the checkpoint that it is to be put over; empty for none.
    """
    record = within.record
    content = {
        "format": format_of(WITHIN),
        "after": after,
        "phase": within.phase,
        "step": within.step,
        "network": within.network,
        "learner": within.learner,
        "state": within.state,
        "place": record.place,
        "rows": len(record.rows),
        "curve": [_tensors(scores) for scores in record.curve],
        "functions": [torch.from_numpy(values) for values in record.functions],
        "diverged_at": None if record.diverged_at is None else torch.from_numpy(record.diverged_at),
        "seconds": record.seconds,
        "steps": record.steps,
        "evaluation_seconds": record.evaluation_seconds,
    }
    torch.save(content, file)


def within_of(content: Mapping[str, Any]) -> Within:
    """Return the place that a file holds.

    Raises:
        DamageError: it is not what was written. What is no such content raises as Python does.
    """
    check_format(WITHIN, content["format"])
    place = [(int(task), int(step)) for task, step in content["place"]]
    curve = [{name: values.numpy() for name, values in scores.items()} for scores in content["curve"]]
    shapes = {values.shape for scores in curve for values in scores.values()}
    last, functions = ends(place), [values.numpy() for values in content["functions"]]
    rows, phase, step = content["rows"], content["phase"], content["step"]
    numbers = (
        all(type(number) is int for number in (rows, phase, step)) and 0 <= rows <= len(last) and phase >= -1 and step >= 0
    )
    if not numbers or len(shapes) > 1 or len(curve) != len(place) or len(functions) not in (0, rows):
        raise DamageError("holds a history that is none of a task")
    diverged = content["diverged_at"]
    record = Record(
        rows=[curve[number] for number in last[:rows]],
        curve=curve,
        place=place,
        functions=functions,
        diverged_at=None if diverged is None else diverged.numpy(),
        seconds=content["seconds"],
        steps=content["steps"],
        evaluation_seconds=content.get("evaluation_seconds", 0.0),
    )
    return Within(phase, step, content["network"], content["learner"], content["state"], record)


def _tensors(scores: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(values) for name, values in scores.items()}
