"""Data for avalanche: one seed's part of a stream, as a benchmark, and batches from tensors."""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor
from torch.utils.data import DataLoader

from runners.avalanche.strategy import Minibatch
from runners.stream.batches import Batch
from runners.stream.stream import Stream
from scenarios.objectives import OBJECTIVES
from scenarios.task import Scenario, Setting, Task


def stream_of_seed(stream: Stream, s: int) -> Stream:
    """Return the stream of one seed of a stack."""
    return stream.of_places(slice(s, s + 1))


def scenario_of(stream: Stream) -> Scenario:
    """Return the stream of one seed as a scenario: its samples as they are trained on, in the cell's number format."""
    active: list[tuple[int, ...] | None] = [None] * len(stream.names)
    if stream.heads is not None:
        active = [tuple(mask.nonzero().flatten().tolist()) for mask in stream.heads]
    tasks = tuple(
        Task(name, (train.x[0], train.y[0]), (test.x[0], test.y[0]), units)
        for name, train, test, units in zip(stream.names, stream.train, stream.test, active, strict=True)
    )
    loss = next(name for name, objective in OBJECTIVES.items() if objective is stream.objective)
    setting: Setting = stream.setting  # type: ignore[assignment]
    return Scenario(tasks, loss, outputs=stream.outputs, setting=setting)  # type: ignore[arg-type]


def masks_of(stream: Stream) -> Bool[Tensor, "L O"] | None:
    """Return the active units by task label, as :func:`scenarios.to_avalanche` numbers the heads: in order of appearance."""
    if stream.heads is None:
        return None
    rows = dict.fromkeys(tuple(mask.tolist()) for mask in stream.heads)
    return torch.tensor(list(rows), device=stream.device)


def minibatch(batch: Batch, masks: Bool[Tensor, "L O"] | None) -> Minibatch:
    """Return a batch of one seed as avalanche has them: inputs, targets, and each sample's task label."""
    x, y = batch.x[0], batch.y[0]
    if masks is None or batch.mask is None:
        return [x, y, torch.zeros(len(x), dtype=torch.long, device=x.device)]
    found = (batch.mask[0][:, None] == masks).all(-1)
    return [x, y, found.long().argmax(1)]


def read_dataset(dataset: Any) -> Minibatch:
    """Return the columns of an avalanche data set as tensors: inputs, targets, task labels, and what else there is."""
    (columns,) = DataLoader(dataset, batch_size=len(dataset))
    return list(columns)


def endless(columns: Minibatch, size: int, draw: torch.Generator, whole: bool = False) -> Iterator[Minibatch]:
    """Yield batches without end, shuffled anew for every pass.

    Args:
        columns: tensors of N samples each.
        size: of a batch; the last one of a pass may be smaller.
        draw: what the orders are drawn from.
        whole: leave smaller batches out; then ``size`` must not exceed N.
    """
    count = len(columns[0])
    last = count - size + 1 if whole else count
    assert last > 0, "no batch would ever be yielded"
    while True:
        order = torch.randperm(count, generator=draw).to(columns[0].device)
        for start in range(0, last, size):
            chosen = order[start : start + size]
            yield [column[chosen.to(column.device)] for column in columns]
