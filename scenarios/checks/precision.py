"""What a format of numbers keeps of a scenario: offsets that are taken out first, samples that become one, what is refused.

Single precision has 24 bits. A column such as the Unix time, 1.7e9 with a range of 300, loses nearly all of them to its offset:
float32 is 128 apart there. Every network has a bias or a grid at its inputs, so what can be learned of x can be learned of
x - c, and scores are those of the outputs; taken out in double precision before the numbers become single, c costs nothing.
Targets are another matter: a network has to learn their offset, so they are refused instead.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from kancl.errors import InputError
from scenarios.objectives import root_mean_squared_error
from scenarios.task import Scenario, Task, listed
from scenarios.tools.rows import rows_of

KEPT = 2.0**-16
"""A column's range in steps of the format: with fewer than 65,536 of them a change of the offset would change results."""
SORTED = 8
"""Columns that are looked at one by one for samples that may have become equal, before whole rows are."""
NULL_ERROR = 0.01
"""Relative error of a null score that is told."""


def spacing(magnitude: Float[Tensor, "N"], dtype: torch.dtype) -> Float[Tensor, "N"]:
    """Return the distance of neighbouring numbers of a format, at most, up to a magnitude.

    Args:
        magnitude: >= 0.
        dtype: the format.

    >>> spacing(torch.tensor([1.7e9]), torch.float32)  # the Unix time
    tensor([128.])
    """
    form = torch.finfo(dtype)
    exponent = magnitude.clamp_min(form.tiny).log2().floor()
    return form.eps * exponent.exp2()


def offset_to_take_out(scenario: Scenario, dtype: torch.dtype) -> Float[Tensor, "I"]:
    """Return what is subtracted from every input before it is converted; 0 where nothing would be lost.

    A column is shifted if the format is too coarse for its range (:data:`KEPT`) and numbers of it would change, or its range
    would be empty. The shift is the middle of the range, rounded to a power of two that is at least as large as the range, so
    that the subtraction is exact and seeds with about the same range have the same.

    Raises:
        InputError: what no shift would save: a column out of the format's reach, or one that an operator knows by its values.
    """
    low, high = scenario.input_range()
    magnitude = torch.maximum(low.abs(), high.abs())
    coarse = spacing(magnitude, dtype) > KEPT * (high - low)
    lost = coarse & ((low.to(dtype) >= high.to(dtype)) | _changed([x for x, _ in _pairs(scenario)], dtype))
    unit = (high - low).log2().ceil().exp2()
    offset = torch.where(lost, ((low + high) / 2 / unit).round() * unit, 0.0)
    reach = torch.maximum((low - offset).abs(), (high - offset).abs())
    hopeless = (reach > torch.finfo(dtype).max) | (lost & (spacing(reach, dtype) > KEPT * (high - low)))
    for place in hopeless.nonzero()[:1, 0].tolist():
        raise InputError(
            f"input {place} ranges from {low[place]:.10g} to {high[place]:.10g}, which {_name(dtype)} cannot tell apart or "
            "hold; scale it, or say --dtype float64"
        )
    for place in lost.nonzero()[:1, 0].tolist() if scenario.operator is not None else ():
        raise InputError(
            f"input {place} ranges from {low[place]:.10g} to {high[place]:.10g}, where numbers of {_name(dtype)} are "
            f"{spacing(magnitude, dtype)[place]:.3g} apart, and the scenario's operator knows it by its values; subtract an "
            "offset in the scenario, or say --dtype float64"
        )
    return offset


def without_offset(scenario: Scenario, offset: Float[Tensor, "I"]) -> Scenario:
    """Return the scenario with ``offset`` subtracted from its inputs in double precision; the same object if that is 0.

    What was one tensor is one tensor again. ``target`` still takes inputs with their offset.
    """
    if not offset.any():
        return scenario
    shifted = {id(x): x for x, _ in _pairs(scenario)}
    shifted = {place: x.double() - offset for place, x in shifted.items()}

    def shift(task: Task) -> Task:
        train, test = ((shifted[id(x)], y) for x, y in (task.train, task.test))
        return replace(task, train=train, test=test)

    low, high = (end - offset for end in scenario.input_range())
    domain = None if scenario.domain is None else tuple(zip(low.tolist(), high.tolist(), strict=True))
    tasks, pretrain = (tuple(map(shift, tasks)) for tasks in (scenario.tasks, scenario.pretrain))
    return replace(scenario, tasks=tasks, pretrain=pretrain, domain=domain)


def shift_remarks(offset: Float[Tensor, "I"], dtype: torch.dtype) -> Iterator[str]:
    """Yield a line for each input that is shifted."""
    steps = spacing(offset.abs(), dtype)
    for place in offset.nonzero()[:, 0].tolist():
        yield (
            f"input {place} lies around {offset[place]:.17g}, where numbers of {_name(dtype)} are {steps[place]:.3g} apart, "
            "too far for its range: it is learned as its value minus that (--dtype float64 takes it as it is)"
        )


def check_targets(scenario: Scenario, dtype: torch.dtype) -> None:
    """See that a format keeps the targets of a regression.

    Args:
        scenario: of any kind.
        dtype: the format.

    Raises:
        InputError: a column whose offset leaves too little of its range, or that is out of the format's reach.
    """
    if scenario.loss != "mse":
        return
    for group in _target_groups(scenario):
        low = torch.stack([y.amin(0).double() for y in group]).amin(0)
        high = torch.stack([y.amax(0).double() for y in group]).amax(0)
        magnitude = torch.maximum(low.abs(), high.abs())
        beyond = magnitude.sqrt() > torch.finfo(dtype).max ** 0.25  # so that squares can be summed up
        coarse = (high > low) & (spacing(magnitude, dtype) > KEPT * (high - low))
        if bool(coarse.any()):
            coarse &= _changed(group, dtype)
        for place in (coarse | beyond).nonzero()[:1, 0].tolist():
            raise InputError(
                f"target {place} ranges from {low[place]:.10g} to {high[place]:.10g}, where numbers of {_name(dtype)} are "
                f"{spacing(magnitude, dtype)[place]:.3g} apart, so that errors cannot be told; standardise the targets, with "
                "one mean and one standard deviation for all tasks, or say --dtype float64"
            )


def null_remarks(scenario: Scenario, constants: Sequence[Tensor], dtype: torch.dtype) -> Iterator[str]:
    """Yield a line where the null score of a regression, which everything is measured against, is lost in a format.

    Args:
        scenario: the scenario.
        constants: the best constant predictor of every task.
        dtype: the format.
    """
    if scenario.loss != "mse":
        return
    lost = []
    for task, constant in zip(scenario.tasks, constants, strict=True):
        wide, narrow = (
            root_mean_squared_error(constant.to(form).expand(1, len(task.test[1]), -1), task.test[1].to(form)[None]).item()
            for form in (torch.float64, dtype)
        )
        if not abs(narrow - wide) <= NULL_ERROR * wide:
            lost.append(repr(task.name))
    if lost:
        yield (
            f"in {_name(dtype)} the null score of task{'s' * (len(lost) > 1)} {listed(lost)} comes out as 0, infinite or more "
            f"than {NULL_ERROR:.0%} off, so nothing can be said of what is retained there; standardise the targets, or say "
            "--dtype float64"
        )


def merged_samples(scenario: Scenario, dtype: torch.dtype) -> tuple[int, int]:
    """Return how many of the scenario's distinct inputs become equal to another one in a format, and how many there are.

    The second number is 0 where the first is.
    """
    parts = list({id(x): x for x, _ in _pairs(scenario)}.values())
    if all(x.dtype == dtype for x in parts) or not bool(_changed(parts, dtype).any()):
        return 0, 0
    left = torch.arange(sum(map(len, parts)))
    for place in range(min(SORTED, scenario.inputs)):
        column = torch.cat([x[:, place] for x in parts])[left].to(dtype)
        _, group, sizes = column.unique(return_inverse=True, return_counts=True)
        left = left[sizes[group] > 1]
        if not len(left):
            return 0, 0
    ends = torch.tensor([0, *map(len, parts)]).cumsum(0)
    rows = [x[left[(left >= begin) & (left < end)] - begin] for x, begin, end in zip(parts, ends, ends[1:], strict=False)]
    merged = _distinct(rows) - _distinct([x.to(dtype) for x in rows])
    return merged, _distinct(parts) if merged else 0


def merged_remark(seeds: Sequence[int], counts: Sequence[tuple[int, int]], dtype: torch.dtype) -> Iterator[str]:
    """Yield a line where :func:`merged_samples` found any, for the seed with most of them.

    Args:
        seeds: S of them.
        counts: what :func:`merged_samples` found for each.
        dtype: the format.
    """
    (merged, distinct), seed = max(zip(counts, seeds, strict=True), key=lambda found: found[0][0])
    if merged:
        yield (
            f"{merged:,} of {distinct:,} distinct inputs become equal to another one in {_name(dtype)} (seed {seed}); "
            "scale columns to like ranges, or say --dtype float64"
        )


def _distinct(parts: Sequence[Tensor]) -> int:
    return len({row for x in parts for row in rows_of(x)})


def _changed(parts: Sequence[Tensor], dtype: torch.dtype) -> Tensor:
    """Return for each column whether the format changes any of its numbers."""
    columns = torch.zeros(parts[0].shape[1], dtype=torch.bool)
    for x in parts:
        if x.dtype != dtype:
            columns |= (x.to(dtype).to(x.dtype) != x).any(0)
    return columns


def _pairs(scenario: Scenario) -> Iterator[tuple[Tensor, Tensor]]:
    for task in scenario.all_tasks:
        yield from (task.train, task.test)


def _target_groups(scenario: Scenario) -> list[list[Tensor]]:
    """Return the targets that are numbers of one kind: an operator's values stand apart from the network's outputs."""
    train, test = ([getattr(task, part)[1] for task in scenario.all_tasks] for part in ("train", "test"))
    return [train + test] if scenario.operator is None else [train, test]


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
