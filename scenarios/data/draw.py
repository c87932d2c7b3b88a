"""From a data set to what one seed sees of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kancl.errors import InputError
from kancl.seeding import generator
from scenarios.data.dataset import DataSet
from scenarios.data.features import LIMIT, standardiser

TEST_SHARE = 0.2
"""Of the samples of a class, where each seed sets its own test samples aside."""

Part = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class Drawn:
    """The samples of one seed, class after class, so that a task of neighbouring classes is a view.

    Args:
        train, test: inputs (N, I), float32, and each sample's class by its place in the order of classes (N,).
        span: the range of every input.
    """

    train: Part
    test: Part
    span: tuple[float, float]


def draw(data: DataSet, seed: int, order: Sequence[int], samples: int | None = None, even: bool = False) -> Drawn:
    """Return a seed's training and test samples.

    Where there are no published test samples, a fifth of each class, drawn by the seed, is set aside for it. Images become
    numbers in [0, 1]; the columns of tables are standardised (:func:`scenarios.data.features.standardiser`).

    Args:
        data: the data set.
        seed: draws what is set aside, and which training samples are taken if not all are.
        order: the classes that are used; the first becomes class 0.
        samples: training samples per class; None for all.
        even: every class gets as many samples as the smallest, in training and in test.

    Raises:
        InputError: a class without samples, or with fewer than asked for.
    """
    train_rows, test_rows = _rows(data, seed)
    _check_counts(data, train_rows, test_rows, order, samples)
    if samples is None and even:
        samples = min(len(train_rows[label]) for label in order)
    tested = min(len(test_rows[label]) for label in order) if even else None
    parts = [
        _gathered(source, [_some(rows[label], count, data, seed, part, label) for label in order])
        for part, source, rows, count in (
            ("train", data.train, train_rows, samples),
            ("test", data.test or data.train, test_rows, tested),
        )
    ]
    if data.image_shape is not None:
        (train_x, train_y), (test_x, test_y) = parts
        white = (train_x.float().div_(data.white), train_y), (test_x.float().div_(data.white), test_y)
        return Drawn(*white, (0.0, 1.0))
    standardise = standardiser(parts[0][0])
    train, test = ((standardise(x), y) for x, y in parts)
    return Drawn(train, test, (-LIMIT, LIMIT))


def _rows(data: DataSet, seed: int) -> tuple[list[Tensor], list[Tensor]]:
    """Return the rows of every class, for training and for tests."""
    train = [(data.train[1] == label).nonzero()[:, 0] for label in range(data.classes)]
    if data.test is not None:
        return train, [(data.test[1] == label).nonzero()[:, 0] for label in range(data.classes)]
    random = generator(seed, data.name)
    shuffled = [members[torch.randperm(len(members), generator=random)] for members in train]
    cuts = [round(len(members) * TEST_SHARE) for members in shuffled]
    pairs = list(zip(shuffled, cuts, strict=True))
    return [members[cut:] for members, cut in pairs], [members[:cut] for members, cut in pairs]


def _check_counts(data: DataSet, train: list[Tensor], test: list[Tensor], order: Sequence[int], samples: int | None) -> None:
    for what, rows in (("training", train), ("test", test)):
        empty = [label for label in order if not len(rows[label])]
        if empty:
            raise InputError(f"{data.name} has no {what} samples of {', '.join(f'class {label}' for label in empty)}")
    smallest = min(order, key=lambda label: len(train[label]))
    if samples is not None and not 1 <= samples <= len(train[smallest]):
        raise InputError(
            f"samples must be 1 to {len(train[smallest])}, the training samples of {data.name}'s class {smallest}, or none for "
            f"all of them, got {samples}"
        )


def _some(rows: Tensor, count: int | None, data: DataSet, seed: int, part: str, label: int) -> Tensor:
    if count is None or count == len(rows):
        return rows
    return rows[torch.randperm(len(rows), generator=generator(seed, data.name, part, label))[:count]]


def _gathered(source: Part, rows: list[Tensor]) -> Part:
    places = torch.repeat_interleave(torch.arange(len(rows)), torch.tensor([len(own) for own in rows]))
    return source[0][torch.cat(rows)], places
