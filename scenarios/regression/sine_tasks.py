"""Sine waves of different amplitude and phase, one a task."""

import math
from typing import Literal

import torch
from torch import Tensor

from kancl.errors import InputError
from kancl.seeding import generator
from scenarios.registry import register
from scenarios.task import Advice, Scenario, Task
from scenarios.tools.advice import usual_policies
from scenarios.tools.heads import head_of
from scenarios.tools.sampling import draw_apart
from scenarios.tools.sizes import rivals_of_kan

AMPLITUDE = (0.1, 5.0)
PHASE = (0.0, math.pi)
REACH = 5.0


@register("sine-tasks")
def sine_tasks(
    seed: int,
    tasks: int = 5,
    samples: int = 500,
    test_samples: int = 200,
    setting: Literal["domain", "task"] = "domain",
    windows: bool = False,
) -> Scenario:
    """Sine waves y = A sin(x + phase), amplitude and phase drawn by the seed for each task (the waves of MAML).

    A is uniform on [0.1, 5], the phase on [0, pi], x on [-5, 5]: Finn, Abbeel and Levine, arXiv 1703.03400, section 5.1, who
    ask how fast a wave is learned from a few points; here each wave is learned fully and then forgotten. Targets are in the
    source's units, not standardised: the amplitude is part of the task, so a task of large amplitude weighs more in a mean of
    errors; retention, which compares each task with its own best constant, weighs them alike.

    Expected: in the domain setting the waves give other targets to the same inputs and nothing tells them apart, so every
    network of one output forgets, local or not: a control for methods that claim to forget nothing. With ``windows`` the
    targets no longer conflict, and only what is shared inside a network can make it forget.

    Args:
        tasks: number of waves.
        samples: training points per task, uniform on its range, without noise.
        test_samples: test points per task; none is a training point of any task.
        setting: ``domain``: one output for all waves; ``task``: an output for each, of which only the task's own is in use
            while it is trained and tested.
        windows: give each task its own part of [-5, 5], from left to right, instead of the whole.
    """
    if tasks < 1 or samples < 2 or test_samples < 1:
        raise InputError(f"needs tasks >= 1, samples >= 2 and test_samples >= 1, got {tasks=}, {samples=}, {test_samples=}")
    random = generator(seed, "sine-tasks")
    amplitudes, phases = (_uniform(low, high, tasks, random) for low, high in (AMPLITUDE, PHASE))
    edges = torch.linspace(-REACH, REACH, tasks + 1, dtype=torch.float64).tolist()
    boxes = [[(edges[number], edges[number + 1]) if windows else (-REACH, REACH)] for number in range(tasks)]
    points = draw_apart(boxes, samples, test_samples, random)

    def task(number: int) -> Task:
        amplitude, phase = float(amplitudes[number]), float(phases[number])
        train, test = ((x, (amplitude * torch.sin(x.double() + phase)).float()) for x in points[number])
        wave = Task(f"wave {number + 1}: {amplitude:.2f} sin(x + {phase:.2f})", train, test)
        return head_of(wave, number, tasks) if setting == "task" else wave

    return Scenario(
        tasks=tuple(map(task, range(tasks))),
        loss="mse",
        setting=setting,
        domain=((-REACH, REACH),),
        advice=_advice(tasks if setting == "task" else 1),
    )


def _uniform(low: float, high: float, count: int, random: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(count, generator=random, dtype=torch.float64)


def _advice(outputs: int) -> Advice:
    """A KAN [1,5,O] with ten intervals on every edge, and rivals of its size."""
    return Advice(
        architectures=rivals_of_kan(
            1, outputs, hidden=(5,), intervals=10, base="none", depth=2, activation="tanh", interpolation="linear"
        ),
        policies=usual_policies(adam={"lr": 3e-3, "steps": 2000}, sgd={"lr": 0.01, "steps": 2000}, lbfgs=100),
    )
