"""Sequences of tasks made from any data set for classification: its classes split, its inputs permuted, its inputs rotated.

Pure functions of a data set and a seed; :mod:`scenarios.classification.builders` gives them names and options.
"""

import math
from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor

from kancl.errors import InputError
from kancl.seeding import generator
from scenarios.classification.advice import advice_for
from scenarios.data.dataset import DataSet
from scenarios.data.draw import draw
from scenarios.data.features import LIMIT, Features, random_convolution, standardiser
from scenarios.data.rotation import rotate_images, rotate_pairs
from scenarios.task import Scenario, Setting, Task

Pair = tuple[Tensor, Tensor]
"""Training and test inputs of a task."""
Order = Literal["numbered", "by-seed"] | tuple[int, ...]


def split(
    data: DataSet,
    seed: int,
    classes_per_task: int,
    setting: Setting = "class",
    order: Order = "numbered",
    samples: int | None = None,
    features: Features = "pixels",
) -> Scenario:
    """Return tasks of some classes each. A class's place in the order is its target; within its task where that is shared.

    Args:
        data: the data set.
        seed: draws the samples and, if asked to, the order.
        classes_per_task: must divide the number of classes in the order.
        setting: one head for all classes (class), outputs of its own for every task (task), or shared outputs (domain).
        order: of the classes: as numbered, drawn by the seed, or given; given, it may leave classes out.
        samples: training samples per class; None for all.
        features: of images.
    """
    places = class_order(data, seed, order)
    count = len(places)
    if classes_per_task < 1 or count % classes_per_task:
        divisors = [str(number) for number in range(1, count + 1) if count % number == 0]
        raise InputError(f"classes_per_task must be {_or(divisors)}, got {classes_per_task}")
    if classes_per_task == 1 and setting != "class":
        raise InputError(
            f"tasks of one class have nothing to tell apart where setting={setting}; give classes_per_task=2 or more, or "
            "setting=class"
        )
    drawn = draw(data, seed, places, samples, even=order == "by-seed")
    ((train_x, test_x),), span = _seen(data, [(drawn.train[0], drawn.test[0])], features)
    tasks = []
    for first in range(0, count, classes_per_task):
        offset = first if setting == "domain" else 0
        train, test = (
            _between(x, y, first, first + classes_per_task, offset)
            for x, y in ((train_x, drawn.train[1]), (test_x, drawn.test[1]))
        )
        name = " ".join(map(str, places[first : first + classes_per_task]))
        active = tuple(range(first, first + classes_per_task)) if setting == "task" else None
        tasks.append(Task(name, train, test, active))
    outputs = classes_per_task if setting == "domain" else count
    return _scenario(data, tasks, outputs, span or drawn.span, setting)


def permuted(data: DataSet, seed: int, tasks: int, samples: int | None = None, features: Features = "pixels") -> Scenario:
    """Return tasks of all classes, the inputs in another order in each; the first sees them as they are.

    Args:
        data: the data set.
        seed: draws the samples and the orders.
        tasks: number of tasks.
        samples: training samples per class; None for all.
        features: of images; it is they that are permuted.
    """
    if tasks < 1:
        raise InputError(f"tasks must be at least 1, got {tasks}")
    drawn = draw(data, seed, range(data.classes), samples)
    ((train_x, test_x),), span = _seen(data, [(drawn.train[0], drawn.test[0])], features)
    random, inputs = generator(seed, f"permuted-{data.name}"), train_x.shape[1]
    orders = [torch.arange(inputs), *(torch.randperm(inputs, generator=random) for _ in range(tasks - 1))]
    made = [
        Task(f"permutation {number}", (train_x[:, order], drawn.train[1]), (test_x[:, order], drawn.test[1]))
        for number, order in enumerate(orders, 1)
    ]
    return _scenario(data, made, data.classes, span or drawn.span)


def rotated(
    data: DataSet,
    seed: int,
    tasks: int,
    degrees: float,
    samples: int | None = None,
    features: Features = "pixels",
) -> Scenario:
    """Return tasks of all classes, the inputs turned by 0 to ``degrees`` in equal steps.

    Args:
        data: the data set.
        seed: draws the samples.
        tasks: number of tasks.
        degrees: the angle of the last task; images turn counter-clockwise, tables in the planes of neighbouring columns.
        samples: training samples per class; None for all.
        features: of images, computed from the turned ones.
    """
    if tasks < 1 or not math.isfinite(degrees) or (tasks > 1 and degrees == 0):
        raise InputError(f"needs tasks >= 1 and a finite angle other than 0, got {tasks=}, {degrees=}")
    drawn, shape = draw(data, seed, range(data.classes), samples), data.image_shape
    angles = [degrees * number / max(1, tasks - 1) for number in range(tasks)]

    def turned(x: Tensor, angle: float) -> Tensor:
        if angle == 0:
            return x
        return rotate_pairs(x, angle) if shape is None else rotate_images(x, shape, angle)

    pixels = ((turned(drawn.train[0], angle), turned(drawn.test[0], angle)) for angle in angles)  # one task at a time
    pairs, span = _seen(data, pixels, features)
    made = [
        Task(f"{angle:g} degrees", (train_x, drawn.train[1]), (test_x, drawn.test[1]))
        for angle, (train_x, test_x) in zip(angles, pairs, strict=True)
    ]
    if shape is None:  # the corners of the square that a pair of columns fills reach further than its sides
        span = (-LIMIT * math.sqrt(2), LIMIT * math.sqrt(2))
    return _scenario(data, made, data.classes, span or drawn.span)


def class_order(data: DataSet, seed: int, order: Order) -> tuple[int, ...]:
    """Return the classes in the order in which they are learned.

    Args:
        data: the data set.
        seed: draws the order if it is ``by-seed``.
        order: as numbered, drawn, or given.

    Raises:
        InputError: a given order that names a class twice or that there is not.
    """
    if order == "numbered":
        return tuple(range(data.classes))
    if order == "by-seed":
        return tuple(torch.randperm(data.classes, generator=generator(seed, f"order-{data.name}")).tolist())
    assert isinstance(order, tuple)
    if not order or len(set(order)) < len(order) or not set(order) <= set(range(data.classes)):
        raise InputError(f"order must name different classes of 0 to {data.classes - 1}, got {list(order)}")
    return order


def _seen(data: DataSet, pairs: Iterable[Pair], features: Features) -> tuple[list[Pair], tuple[float, float] | None]:
    """Return the features of pairs of training and test images, scaled by the first pair's training images, and their range.

    None for the range if the inputs stay what they are.
    """
    if features == "pixels" or data.image_shape is None:
        return list(pairs), None
    shape = data.image_shape
    answers = [(random_convolution(train, shape), random_convolution(test, shape)) for train, test in pairs]
    standardise = standardiser(answers[0][0])
    return [(standardise(train), standardise(test)) for train, test in answers], (-LIMIT, LIMIT)


def _between(x: Tensor, y: Tensor, first: int, end: int, offset: int) -> tuple[Tensor, Tensor]:
    """Return the samples of the classes ``first`` to ``end - 1``: a view, and the classes counted from ``offset``."""
    low, high = torch.searchsorted(y, torch.tensor([first, end])).tolist()
    return x[low:high], y[low:high] - offset


def _scenario(
    data: DataSet, tasks: list[Task], outputs: int, span: tuple[float, float], setting: Setting = "domain"
) -> Scenario:
    inputs = tasks[0].train[0].shape[1]
    pixels = data.image_shape is not None and inputs == math.prod(data.image_shape)
    return Scenario(
        tuple(tasks),
        "cross-entropy",
        outputs,
        setting,
        domain=(span,) * inputs,
        advice=advice_for(data.name, inputs, outputs),
        image_shape=data.image_shape if pixels else None,
        files=data.files,
    )


def _or(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
