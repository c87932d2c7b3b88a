"""Avalanche benchmarks as scenarios: every experience a task."""

import importlib
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kancl.errors import InputError
from kancl.seeding import generator
from scenarios.avalanche_heads import Heads, heads_of
from scenarios.sizes import rivals_of_kan
from scenarios.task import Advice, Scenario, Setting, Task

MARK = "kancl_scenario"
"""The attribute by which a benchmark names the scenario it was made from: what avalanche has no place for."""

CHANNELS = (1, 3, 4)
"""What the first or the last of three axes must count to be the colours of a picture."""


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
    share one range, from the lowest to the highest of all tasks. Only the samples that are kept are ever read.

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
        train = _read_stream(benchmark, "train", samples, seed)
        test = _read_stream(benchmark, "test", test_samples, seed)
        if isinstance(known, Scenario) and setting is None and len(known.tasks) == len(train):
            before = _read_stream(benchmark, "pretrain", samples, seed) if known.pretrain else []
            its_test = _read_stream(benchmark, "pretrain_test", test_samples, seed) if known.pretrain else []
            tasks, pretrain = _as_known(known.tasks, train, test), _as_known(known.pretrain, before, its_test)
            return replace(known, tasks=tasks, pretrain=pretrain, advice=advice or known.advice)
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


@dataclass(frozen=True, eq=False)
class _Part:
    """The samples of one experience: inputs (N, I), targets (N,) or (N, O), the shape of one input, and the task labels."""

    x: Tensor
    y: Tensor
    shape: tuple[int, ...]
    labels: frozenset[int]


def _read_stream(benchmark: Any, name: str, limit: int | None, seed: int) -> list[_Part]:
    stream = getattr(benchmark, f"{name}_stream", None)
    if stream is None:
        raise InputError(
            f"expected an avalanche benchmark with a train_stream and a test_stream, got {type(benchmark).__name__} "
            f"without {name}_stream"
        )
    parts = [
        _read(experience, f"{name} experience {number}", limit, generator(seed, "avalanche", name, number))
        for number, experience in enumerate(stream)
    ]
    if not parts:
        raise InputError(f"the benchmark's {name}_stream has no experience; give at least one")
    return parts


def _read(experience: Any, where: str, limit: int | None, random: torch.Generator) -> _Part:
    data: Any = getattr(experience, "dataset", None)
    if not (hasattr(data, "__len__") and hasattr(data, "__getitem__")):
        raise InputError(f"{where} has no dataset of samples; only supervised benchmarks can be scenarios")
    if hasattr(data, "eval"):
        data = data.eval()
    rows: Sequence[int] = range(len(data)) if limit is None else _draw(data, where, limit, random)
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
        inputs[place] = (x.movedim(0, -1) if _is_channels_first(shape) else x).flatten()
        targets.append(sample[1])
    assert inputs is not None
    labels = getattr(data, "targets_task_labels", None)
    found = (0,) if labels is None else getattr(labels, "uniques", labels)
    return _Part(inputs, _targets(targets, where), shape, frozenset(int(label) for label in found))


def _draw(data: Any, where: str, limit: int, random: torch.Generator) -> list[int]:
    """Return the rows of at most ``limit`` samples of each class, or of all of a regression, in their order."""
    given = getattr(data, "targets", None)
    targets = _targets([data[row][1] for row in range(len(data))] if given is None else list(given), where)
    everyone = torch.arange(len(targets))
    groups = [everyone] if targets.is_floating_point() else [everyone[targets == label] for label in targets.unique()]
    kept = [group[torch.randperm(len(group), generator=random)[:limit]] for group in groups]
    return sorted(torch.cat(kept).tolist()) if kept else []


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


def _compare(parts: list[_Part]) -> None:
    shapes = sorted({part.shape for part in parts})
    if len(shapes) > 1:
        raise InputError(f"all experiences must have inputs of one shape, got {' and '.join(map(str, shapes))}")
    if len({part.y.is_floating_point() for part in parts}) > 1:
        raise InputError("targets are whole numbers in some experiences and real numbers in others; use one kind")


def _paired(train: list[_Part], test: list[_Part]) -> list[_Part]:
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


def _part_for(task: _Part, whole: _Part, number: int) -> _Part:
    if task.y.is_floating_point():
        return whole
    rows = torch.isin(whole.y, task.y.unique())
    if not bool(rows.any()):
        raise InputError(
            f"the single test experience has no sample of the classes {task.y.unique().tolist()} of train experience {number}"
        )
    return whole if bool(rows.all()) else replace(whole, x=whole.x[rows], y=whole.y[rows])


def _compare_labels(train: list[_Part], test: list[_Part]) -> None:
    for number, (one, other) in enumerate(zip(train, test, strict=True)):
        if one.labels != other.labels:
            raise InputError(
                f"experience {number} has the task labels {sorted(one.labels)} in training and {sorted(other.labels)} in the "
                "test; a head needs the same label in both. Say setting='domain' or 'class' to leave task labels out"
            )


def _task(number: int, heads: Heads, train: _Part, test: _Part) -> Task:
    pairs = [(part.x, heads.relabelled(part.y, number)) for part in (train, test)]
    return Task(f"experience {number + 1}", pairs[0], pairs[1], active=heads.active[number])


def _as_known(tasks: tuple[Task, ...], train: list[_Part], test: list[_Part]) -> tuple[Task, ...]:
    return tuple(
        Task(task.name, (one.x, one.y), (other.x, other.y), task.active)
        for task, one, other in zip(tasks, train, test, strict=True)
    )


def _is_channels_first(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3 and shape[0] in CHANNELS


def _picture_of(shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the image shape, (H, W) or (H, W, C), of samples of this shape; None if they are no pictures."""
    if _is_channels_first(shape):
        return shape[1:] if shape[0] == 1 else (*shape[1:], shape[0])
    return shape if len(shape) == 2 or (len(shape) == 3 and shape[-1] in CHANNELS) else None


def _range(parts: list[_Part]) -> tuple[tuple[float, float], ...]:
    """Return the lowest and the highest value of all, for each input."""
    low, high = min(float(part.x.min()) for part in parts), max(float(part.x.max()) for part in parts)
    return ((low, high if high > low else low + 1.0),) * parts[0].x.shape[1]


def _advice(inputs: int, outputs: int) -> Advice:
    few = {"epochs": 20, "batch_size": 32}
    return Advice(
        architectures=rivals_of_kan(inputs, outputs, hidden=(16,)),
        policies={
            "adam": {"lr": 1e-3, **few},
            "adamw": {"lr": 1e-3, **few},
            "sgd": {"lr": 0.05, "momentum": 0.9, **few},
            "lbfgs": {"lr": 1.0, "steps": 20},
        },
        own_policies={"kan": {"sgd": {"lr": 3e-3}}},  # at 0.05 it stops learning after a task or two
    )
