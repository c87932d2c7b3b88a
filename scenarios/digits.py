"""Handwritten digits as sequences of tasks: real data that ships inside scikit-learn, nothing to download.

1,797 images of 8 x 8 pixels (UCI "optical recognition of handwritten digits", Alpaydin and Kaynak 1998),
pixels scaled to [0, 1].
"""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from kancl.errors import InputError
from kancl.seeding import generator
from scenarios.registry import register
from scenarios.task import Advice, Scenario, Task

PIXELS = 64
TEST_SHARE = 0.2

ADVICE = Advice(
    # 10,656 parameters for ten outputs; mlp and lookup 10,660, mlp-bspline 10,634, linear 650. A joint grid of 64 pixels has
    # 2^64 tiles even with two for each, so the table is hashed.
    architectures={
        "kan": {"hidden": (16,), "intervals": 5},
        "mlp": {"hidden": (142,)},
        "kan-chebyshev": {"hidden": (16,), "degree": 7},
        "kan-fourier": {"hidden": (18,), "frequencies": 3},
        "kan-rbf": {"hidden": (16,), "intervals": 7},
        "mlp-bspline": {"hidden": (128,), "intervals": 5},
        "lookup": {"tiles": 2, "hashed": 1066},
    },
    policies={
        "adam": {"lr": 1e-3, "epochs": 20, "batch_size": 32},
        "adamw": {"lr": 1e-3, "epochs": 20, "batch_size": 32},
        "sgd": {"lr": 0.05, "momentum": 0.9, "epochs": 20, "batch_size": 32},
        "lbfgs": {"lr": 1.0, "steps": 50},
    },
)


@register("split-digits")
def split_digits(seed: int, classes_per_task: int = 2, setting: Literal["class", "domain", "task"] = "class") -> Scenario:
    """Handwritten digits 0-9, a few classes at a time (split protocol of van de Ven and Tolias 2019).

    Args:
        classes_per_task: 2 gives five tasks {0,1} ... {8,9}; must divide 10.
        setting: ``class``: one head with an output for each of the ten classes; ``task``: the same outputs, of which only
            the task's own are in use while it is trained and tested; ``domain``: the outputs are shared, a class's place
            within its task is the label.
    """
    if classes_per_task < 1 or 10 % classes_per_task:
        raise InputError(f"classes_per_task must be 1, 2, 5 or 10, got {classes_per_task}")
    train, test = _load(seed)
    tasks = []
    for first in range(0, 10, classes_per_task):
        classes = tuple(range(first, first + classes_per_task))
        offset = first if setting == "domain" else 0
        parts = [_pick(part, classes, offset) for part in (train, test)]
        name = " ".join(map(str, classes))
        tasks.append(Task(name, parts[0], parts[1], active=classes if setting == "task" else None))
    outputs = classes_per_task if setting == "domain" else 10
    return Scenario(tuple(tasks), "cross-entropy", outputs, setting, domain=((0.0, 1.0),) * PIXELS, advice=ADVICE)


@register("permuted-digits")
def permuted_digits(seed: int, tasks: int = 5) -> Scenario:
    """All ten handwritten digits in every task, the pixels in another order (Goodfellow et al. 2013).

    Args:
        tasks: number of tasks; the first sees the pixels as they are, each further one in an order drawn by the seed.
    """
    if tasks < 1:
        raise InputError(f"tasks must be at least 1, got {tasks}")
    (train_x, train_y), (test_x, test_y) = _load(seed)
    random = generator(seed, "permuted-digits")
    orders = [torch.arange(PIXELS), *(torch.randperm(PIXELS, generator=random) for _ in range(tasks - 1))]
    return Scenario(
        tuple(
            Task(f"permutation {number}", (train_x[:, order], train_y), (test_x[:, order], test_y))
            for number, order in enumerate(orders, 1)
        ),
        "cross-entropy",
        10,
        domain=((0.0, 1.0),) * PIXELS,
        advice=ADVICE,
    )


def _load(seed: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return the training and the test samples: the same share of every class, drawn by the seed."""
    from sklearn.datasets import load_digits

    data = load_digits()
    x = torch.from_numpy(np.asarray(data.data, dtype=np.float32) / 16)
    y = torch.from_numpy(np.asarray(data.target, dtype=np.int64))
    random = generator(seed, "digits")
    train, test = [], []
    for label in range(10):
        members = (y == label).nonzero()[:, 0]
        members = members[torch.randperm(len(members), generator=random)]
        cut = round(len(members) * TEST_SHARE)
        test.append(members[:cut])
        train.append(members[cut:])
    return _take(x, y, torch.cat(train)), _take(x, y, torch.cat(test))


def _take(x: Tensor, y: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    return x[rows], y[rows]


def _pick(part: tuple[Tensor, Tensor], classes: tuple[int, ...], offset: int) -> tuple[Tensor, Tensor]:
    x, y = part
    rows = torch.isin(y, torch.tensor(classes))
    return x[rows], y[rows] - offset
