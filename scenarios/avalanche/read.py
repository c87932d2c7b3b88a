"""The samples of an avalanche benchmark, experience by experience, as tensors."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kancl.errors import InputError
from kancl.seeding import generator
from scenarios.tools.rows import rows_of

CHANNELS = (1, 3, 4)
"""What the first or the last of three axes must count to be the colours of a picture."""


@dataclass(frozen=True, eq=False)
class Part:
    """The samples of one experience: inputs (N, I), targets (N,) or (N, O), the shape of one input, and the task labels."""

    x: Tensor
    y: Tensor
    shape: tuple[int, ...]
    labels: frozenset[int]
    rows: tuple[int, ...]
    """Where the samples stand in the data set."""


def without_tested(benchmark: Any, train: list[Part], test: list[Part], limit: int | None, seed: int) -> list[Part]:
    """Return the training parts without samples that are also test samples, read again for as long as there are any."""

    tested = {x for part in test for x in rows_of(part.x)}
    left_out: list[set[int]] = [set() for _ in train]
    while True:
        found = [{row for row, x in zip(part.rows, rows_of(part.x), strict=True) if x in tested} for part in train]
        if not any(found) or any(2 * len(own) > len(part.rows) for own, part in zip(found, train, strict=True)):
            return train
        left_out = [known | own for known, own in zip(left_out, found, strict=True)]
        train = read_stream(benchmark, "train", limit, seed, left_out)


def read_stream(
    benchmark: Any, name: str, limit: int | None, seed: int, left_out: Sequence[set[int]] | None = None
) -> list[Part]:
    """Return the samples of every experience of a stream.

    Args:
        benchmark: has the stream as its attribute ``<name>_stream``.
        name: of the stream.
        limit: samples of each class, or of a regression, at most; None for all.
        seed: draws them.
        left_out: rows of each experience that are not to be taken.

    Raises:
        InputError: there is no such stream, or its samples cannot be read.
    """
    stream = getattr(benchmark, f"{name}_stream", None)
    if stream is None:
        raise InputError(
            f"expected an avalanche benchmark with a train_stream and a test_stream, got {type(benchmark).__name__} "
            f"without {name}_stream"
        )
    parts = [
        _read(
            experience,
            f"{name} experience {number}",
            limit,
            generator(seed, "avalanche", name, number),
            set() if left_out is None else left_out[number],
        )
        for number, experience in enumerate(stream)
    ]
    if not parts:
        raise InputError(f"the benchmark's {name}_stream has no experience; give at least one")
    return parts


def _read(experience: Any, where: str, limit: int | None, random: torch.Generator, left_out: set[int]) -> Part:
    data: Any = getattr(experience, "dataset", None)
    if not (hasattr(data, "__len__") and hasattr(data, "__getitem__")):
        raise InputError(f"{where} has no dataset of samples; only supervised benchmarks can be scenarios")
    if hasattr(data, "eval"):
        data = data.eval()
    if limit is None:
        rows: Sequence[int] = [row for row in range(len(data)) if row not in left_out]
    else:
        rows = _draw(data, where, limit, random, left_out)
    if not rows:
        raise InputError(f"{where} has no samples; leave it out")
    inputs: Tensor | None = None
    targets: list[Any] = []
    shape: tuple[int, ...] = ()
    for place, row in enumerate(rows):
        sample = data[row]
        if not isinstance(sample, tuple | list) or len(sample) < 2:
            raise InputError(f"{where}: samples must be (input, target, ...), got {type(sample).__name__}")
        x = _input(sample[0], where)
        if inputs is None:  # once its size is known; a list of samples would need the memory twice
            shape = tuple(x.shape)
            inputs = torch.empty(len(rows), x.numel(), dtype=torch.float64 if x.dtype == torch.float64 else torch.float32)
        if tuple(x.shape) != shape:
            raise InputError(f"{where}: samples have shapes {shape} and {tuple(x.shape)}; give an eval transform that resizes")
        inputs[place] = (x.movedim(0, -1) if is_channels_first(shape) else x).flatten()
        targets.append(sample[1])
    assert inputs is not None
    labels = getattr(data, "targets_task_labels", None)
    found = (0,) if labels is None else getattr(labels, "uniques", labels)
    return Part(inputs, _targets(targets, where), shape, frozenset(int(label) for label in found), tuple(rows))


def _draw(data: Any, where: str, limit: int, random: torch.Generator, left_out: set[int]) -> list[int]:
    """Return the rows of at most ``limit`` samples of each class, or of all of a regression, in their order."""
    given = getattr(data, "targets", None)
    targets = _targets([data[row][1] for row in range(len(data))] if given is None else list(given), where)
    everyone = torch.arange(len(targets))
    groups = [everyone] if targets.is_floating_point() else [everyone[targets == label] for label in targets.unique()]
    orders = [group[torch.randperm(len(group), generator=random)].tolist() for group in groups]
    return sorted(row for order in orders for row in [row for row in order if row not in left_out][:limit])


def _input(value: Any, where: str) -> Tensor:
    if type(value).__module__.partition(".")[0] == "PIL":
        functional = importlib.import_module("torchvision.transforms.functional")  # whoever made the picture has imported it
        return functional.to_tensor(value)
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{where}: inputs must be tensors, arrays or pictures, got {type(value).__name__}") from error


def _targets(values: list[Any], where: str) -> Tensor:
    """Return class numbers (N,) or real targets (N, O)."""
    try:
        y = torch.stack([torch.as_tensor(value) for value in values]) if values else torch.empty(0, dtype=torch.long)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{where}: targets must be class numbers or real numbers, got {values[0]!r}") from error
    if y.is_floating_point():
        return y.flatten(1) if y.ndim > 1 else y[:, None]
    if y.numel() != len(y):
        raise InputError(f"{where}: a class target must be one whole number, got one of shape {tuple(y.shape[1:])}")
    if len(y) and int(y.min()) < 0:
        raise InputError(f"{where}: class numbers begin at 0, got {int(y.min())}")
    return y.flatten().long()


def is_channels_first(shape: tuple[int, ...]) -> bool:
    """Tell whether samples of this shape are pictures as torch has them."""
    return len(shape) == 3 and shape[0] in CHANNELS
