"""Sequences of tasks made from any data set for classification: its classes split, its inputs permuted, its inputs rotated.

Pure functions of a data set and a seed; :mod:`scenarios.classification` gives them names and options.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from kancl.errors import InputError
from kancl.seeding import generator
from scenarios.data import DataSet, Drawn, draw
from scenarios.data.advice import advice_for
from scenarios.data.draw import Part
from scenarios.data.features import LIMIT, Features, random_convolution
from scenarios.data.rotation import rotate_images, rotate_pairs
from scenarios.task import Scenario, Setting, Task

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
    drawn = _seen(draw(data, seed, places, samples, even=order == "by-seed"), features)
    tasks = []
    for first in range(0, count, classes_per_task):
        train, test = (_between(part, first, first + classes_per_task) for part in (drawn.train, drawn.test))
        if setting == "domain":
            train, test = (train[0], train[1] - first), (test[0], test[1] - first)
        name = " ".join(str(label) for label in places[first : first + classes_per_task])
        active = tuple(range(first, first + classes_per_task)) if setting == "task" else None
        tasks.append(Task(name, train, test, active))
    return _scenario(data, drawn, tasks, classes_per_task if setting == "domain" else count, setting)


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
    drawn = _seen(draw(data, seed, range(data.classes), samples), features)
    (train_x, train_y), (test_x, test_y) = drawn.train, drawn.test
    random, inputs = generator(seed, f"permuted-{data.name}"), train_x.shape[1]
    orders = [torch.arange(inputs), *(torch.randperm(inputs, generator=random) for _ in range(tasks - 1))]
    made = [
        Task(f"permutation {number}", (train_x[:, order], train_y), (test_x[:, order], test_y))
        for number, order in enumerate(orders, 1)
    ]
    return _scenario(data, drawn, made, data.classes)


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
    drawn = draw(data, seed, range(data.classes), samples)
    shape, compute = drawn.image_shape, _features_of(drawn, features)
    angles = [degrees * number / max(1, tasks - 1) for number in range(tasks)]

    def turned(x: Tensor, angle: float) -> Tensor:
        if angle != 0:
            x = rotate_pairs(x, angle) if shape is None else rotate_images(x, shape, angle)
        return x if compute is None else compute(x)

    (train_x, train_y), (test_x, test_y) = drawn.train, drawn.test
    made = [Task(f"{angle:g} degrees", (turned(train_x, angle), train_y), (turned(test_x, angle), test_y)) for angle in angles]
    if shape is None:  # the corners of the square that the columns of a pair fill reach further than its sides
        reach = LIMIT * math.sqrt(2)
        drawn = Drawn(drawn.train, drawn.test, (-reach, reach), None)
    elif compute is not None:
        drawn = Drawn(drawn.train, drawn.test, (-LIMIT, LIMIT), None)
    return _scenario(data, drawn, made, data.classes)


def class_order(data: DataSet, seed: int, order: Order) -> tuple[int, ...]:
    """Return the classes in the order in which they are learned.

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


def _seen(drawn: Drawn, features: Features) -> Drawn:
    compute = _features_of(drawn, features)
    if compute is None:
        return drawn
    (train_x, train_y), (test_x, test_y) = drawn.train, drawn.test
    return Drawn((compute(train_x), train_y), (compute(test_x), test_y), (-LIMIT, LIMIT), None)


def _features_of(drawn: Drawn, features: Features) -> Callable[[Tensor], Tensor] | None:
    if features == "pixels" or drawn.image_shape is None:
        return None
    return random_convolution(drawn.train[0], drawn.image_shape)


def _between(part: Part, first: int, end: int) -> Part:
    """Return views of the samples of the classes ``first`` to ``end - 1``."""
    x, y = part
    low, high = torch.searchsorted(y, torch.tensor([first, end])).tolist()
    return x[low:high], y[low:high]


def _scenario(data: DataSet, drawn: Drawn, tasks: list[Task], outputs: int, setting: Setting = "domain") -> Scenario:
    inputs = tasks[0].train[0].shape[1]
    return Scenario(
        tuple(tasks),
        "cross-entropy",
        outputs,
        setting,
        domain=(drawn.span,) * inputs,
        advice=advice_for(data.name, inputs, outputs),
        image_shape=drawn.image_shape,
        files=data.files,
    )


def _or(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
