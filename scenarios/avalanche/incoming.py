"""Avalanche benchmarks as scenarios: every experience a task."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from kancl.errors import InputError
from kancl.seeding import generator
from scenarios.avalanche.heads import Heads, heads_of
from scenarios.avalanche.read import CHANNELS, Part, is_channels_first, read_stream, without_tested
from scenarios.task import Advice, Scenario, Setting, Task
from scenarios.tools.advice import usual_policies
from scenarios.tools.sizes import rivals_of_kan

MARK = "kancl_scenario"
"""The attribute by which a benchmark names the scenario it was made from: what avalanche has no place for."""


def from_avalanche(
    benchmark: Any,
    *,
    samples: int | None = None,
    test_samples: int | None = None,
    setting: Setting | None = None,
    seed: int = 0,
    advice: Advice | None = None,
) -> Scenario:
    """Return an avalanche benchmark as a scenario; experience t of its training stream becomes task t.

    **Inputs** are read through the data sets' transforms of the ``eval`` group, those of the training stream too: the ``train``
    group usually draws crops and flips at random, and would give other data at every pass. Samples are flattened to (N, I);
    pictures (C, H, W), as torch has them, are kept in the order (H, W, C), and ``image_shape`` says so. All pixels of pictures
    share one range, from the lowest to the highest of all tasks. Only the samples that are kept are ever read. A training
    sample that is also a test sample is left out, and another one drawn in its place; where most of an experience's are, as
    where tests are the training samples on purpose, nothing is.

    **Targets**: whole numbers are classes, floating-point ones make it a regression (``mse``).

    **Setting**, unless given. Task labels that differ between experiences make the setting ``task``: experiences of one label
    share a head. Without them it is ``domain`` if all experiences have the same classes, else ``class``. A regression is always
    ``domain``: all its outputs are in use in every task, so a task label changes nothing.

    **Output units**. In ``task`` every label gets units of its own, in order of appearance and then of class number: so classes
    that restart at 0 in each task are told apart, and seeds with other class orders have the same heads. In ``class`` and
    ``domain`` class numbers are the units, except in two cases that must be asked for: in a ``class`` setting where all
    tasks have the same classes every task gets its own units, and in a ``domain`` setting where no two tasks share a class the
    label is a class's place within its task.

    **Test stream**: as long as the training stream, or a single experience that is the whole test set (CORe50,
    ``ni_benchmark``): each task is then tested on those of its samples whose class the task has.

    A benchmark of :func:`scenarios.to_avalanche` gives back the names, heads and everything else of its scenario.

    Args:
        benchmark: any object with ``train_stream`` and ``test_stream``, whose experiences have a ``dataset`` of (x, y, ...).
        samples: training samples of each class in each task at most, drawn by ``seed``, in their old order (in a regression:
            of each task); None keeps all.
        test_samples: the same of the test stream.
        setting: instead of the one that follows from the labels.
        seed: draws the samples, and whatever the transforms draw all the same.
        advice: sizes and policies; by default a KAN with a hidden layer of 16 and its rivals, trained by Adam.

    Raises:
        InputError: what is no such benchmark or cannot be a scenario, and why.
    """
    for limit in (samples, test_samples):
        if limit is not None and limit < 1:
            raise InputError(f"samples and test_samples must be at least 1 or none, got {samples} and {test_samples}")
    known = getattr(benchmark, MARK, None)
    with own_randomness(seed, "avalanche-transforms"):
        train = read_stream(benchmark, "train", samples, seed)
        test = read_stream(benchmark, "test", test_samples, seed)
        if isinstance(known, Scenario) and setting is None and len(known.tasks) == len(train):
            before = read_stream(benchmark, "pretrain", samples, seed) if known.pretrain else []
            its_test = read_stream(benchmark, "pretrain_test", test_samples, seed) if known.pretrain else []
            tasks, pretrain = _as_known(known.tasks, train, test), _as_known(known.pretrain, before, its_test)
            return replace(known, tasks=tasks, pretrain=pretrain, advice=advice or known.advice)
        train = without_tested(benchmark, train, test, samples, seed)
    _compare([*train, *test])
    test = _paired(train, test)
    classes = not train[0].y.is_floating_point()
    heads = heads_of([part.y for part in train], [part.y for part in test], [part.labels for part in train], setting)
    if heads.told:
        _compare_labels(train, test)
    pictures = _picture_of(train[0].shape)
    outputs = heads.outputs if classes else train[0].y.shape[1]
    return Scenario(
        tuple(_task(number, heads, *pair) for number, pair in enumerate(zip(train, test, strict=True))),
        "cross-entropy" if classes else "mse",
        outputs,
        heads.setting,
        domain=_range([*train, *test]) if pictures else None,
        image_shape=pictures,
        advice=advice or _advice(train[0].x.shape[1], outputs),
    )


@contextmanager
def own_randomness(seed: int, purpose: str) -> Iterator[None]:
    """Let what is drawn from the global generators of torch, numpy and random follow from ``seed``; their states come back."""
    start = generator(seed, purpose).initial_seed() % 2**32
    python, array = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        try:
            torch.manual_seed(start)
            np.random.seed(start)
            random.seed(start)
            yield
        finally:
            random.setstate(python)
            np.random.set_state(array)


def _compare(parts: list[Part]) -> None:
    shapes = sorted({part.shape for part in parts})
    if len(shapes) > 1:
        raise InputError(f"all experiences must have inputs of one shape, got {' and '.join(map(str, shapes))}")
    if len({part.y.is_floating_point() for part in parts}) > 1:
        raise InputError("targets are whole numbers in some experiences and real numbers in others; use one kind")


def _paired(train: list[Part], test: list[Part]) -> list[Part]:
    """Return one test part for each training part."""
    if len(train) == len(test):
        return test
    if len(test) > 1:
        raise InputError(
            f"the benchmark has {len(train)} training and {len(test)} test experiences; every task needs a test of its own: "
            "as many of both, or one test experience that is the whole test set"
        )
    (whole,) = test
    return [_part_for(task, whole, number) for number, task in enumerate(train)]


def _part_for(task: Part, whole: Part, number: int) -> Part:
    if task.y.is_floating_point():
        return whole
    rows = torch.isin(whole.y, task.y.unique())
    if not bool(rows.any()):
        raise InputError(
            f"the single test experience has no sample of the classes {task.y.unique().tolist()} of train experience {number}"
        )
    if bool(rows.all()):
        return whole
    return replace(whole, x=whole.x[rows], y=whole.y[rows], rows=tuple(np.array(whole.rows)[rows.numpy()].tolist()))


def _compare_labels(train: list[Part], test: list[Part]) -> None:
    for number, (one, other) in enumerate(zip(train, test, strict=True)):
        if one.labels != other.labels:
            raise InputError(
                f"experience {number} has the task labels {sorted(one.labels)} in training and {sorted(other.labels)} in the "
                "test; a head needs the same label in both. Say setting='domain' or 'class' to leave task labels out"
            )


def _task(number: int, heads: Heads, train: Part, test: Part) -> Task:
    pairs = [(part.x, heads.relabelled(part.y, number)) for part in (train, test)]
    return Task(f"experience {number + 1}", pairs[0], pairs[1], active=heads.active[number])


def _as_known(tasks: tuple[Task, ...], train: list[Part], test: list[Part]) -> tuple[Task, ...]:
    return tuple(
        Task(task.name, (one.x, one.y), (other.x, other.y), task.active)
        for task, one, other in zip(tasks, train, test, strict=True)
    )


def _picture_of(shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the image shape, (H, W) or (H, W, C), of samples of this shape; None if they are no pictures."""
    if is_channels_first(shape):
        return shape[1:] if shape[0] == 1 else (*shape[1:], shape[0])
    return shape if len(shape) == 2 or (len(shape) == 3 and shape[-1] in CHANNELS) else None


def _range(parts: list[Part]) -> tuple[tuple[float, float], ...]:
    """Return the lowest and the highest value of all, for each input."""
    low, high = min(float(part.x.min()) for part in parts), max(float(part.x.max()) for part in parts)
    return ((low, high if high > low else low + 1.0),) * parts[0].x.shape[1]


def _advice(inputs: int, outputs: int) -> Advice:
    few = {"epochs": 20, "batch_size": 32}
    return Advice(
        architectures=rivals_of_kan(inputs, outputs, hidden=(16,)),
        policies=usual_policies(adam={"lr": 1e-3, **few}, sgd={"lr": 0.05, **few}, lbfgs=20),
        own_policies={"kan": {"sgd": {"lr": 3e-3}}},  # at 0.05 it stops learning after a task or two
    )
