"""Two interleaved half circles that turn from task to task."""

import math

import torch
from torch import Tensor

from kancl.errors import InputError
from kancl.seeding import generator
from scenarios import Advice, Scenario, Task


def turning_moons(seed: int, tasks: int = 4, turn: float = 45.0, noise: float = 0.1, samples: int = 200) -> Scenario:
    """Two interleaved moons, turned further with every task; the two classes stay the same.

    Domain-incremental: after half a turn each moon lies where the other was, so old and new targets conflict.

    Args:
        tasks: number of tasks.
        turn: degrees from one task to the next.
        noise: standard deviation of the noise on the points.
        samples: training samples of each task; as many again are test samples.
    """
    if tasks < 1 or samples < 2 or noise <= 0:
        raise InputError(f"needs tasks >= 1, samples >= 2 and noise > 0, got {tasks=}, {samples=}, {noise=}")

    def part(number: int, purpose: str) -> tuple[Tensor, Tensor]:
        random = generator(seed, "turning-moons", number, purpose)
        labels = torch.arange(samples) % 2
        along = math.pi * torch.rand(samples, generator=random)
        upper = torch.stack((along.cos() - 0.5, along.sin() - 0.25), 1)
        x = torch.where(labels[:, None] == 0, upper, -upper) + noise * torch.randn(samples, 2, generator=random)
        angle = torch.tensor(math.radians(turn * number))
        rotation = torch.stack((torch.stack((angle.cos(), angle.sin())), torch.stack((-angle.sin(), angle.cos()))))
        return x @ rotation, labels

    return Scenario(
        tuple(Task(f"turned by {turn * k:g} degrees", part(k, "train"), part(k, "test")) for k in range(tasks)),
        loss="cross-entropy",
        advice=Advice(
            architectures={"kan": {"hidden": (8,), "intervals": 5}, "mlp": {"hidden": (57,)}},  # 288 and 287 parameters
            policies={"adam": {"lr": 1e-2, "steps": 300}},
        ),
    )
