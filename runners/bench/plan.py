"""What is measured: the networks, their batches, the sweeps, and how long each contender is timed."""

from dataclasses import dataclass, replace
from itertools import pairwise

DEGREE = 3
"""K of every spline: cubic."""


@dataclass(frozen=True)
class Shape:
    """A KAN and its batch.

    Args:
        widths: of the layers, inputs and outputs included.
        intervals: G of every spline.
        batch: B, samples per step.
        device: where network and samples are, as torch names it.
    """

    widths: tuple[int, ...]
    intervals: int
    batch: int
    device: str = "cpu"

    @property
    def label(self) -> str:
        """For example ``[2,8,1] G20 B256``."""
        return f"[{','.join(map(str, self.widths))}] G{self.intervals} B{self.batch}"

    @property
    def layers(self) -> list[tuple[int, int]]:
        """Inputs and outputs of every layer."""
        return list(pairwise(self.widths))

    @property
    def coefficients(self) -> int:
        """C = G + K, per edge."""
        return self.intervals + DEGREE

    @property
    def parameters(self) -> int:
        """Numbers that kancl's KAN trains: C coefficients and a base weight per edge."""
        return sum(inputs * outputs * (self.coefficients + 1) for inputs, outputs in self.layers)

    @property
    def mlp_width(self) -> int:
        """Units of the one hidden layer that gives an MLP as many parameters, biases included, as near as they can be."""
        inputs, outputs = self.widths[0], self.widths[-1]
        return max(1, round((self.parameters - outputs) / (inputs + outputs + 1)))


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Args:
        rounds: how often every contender is timed.
        block: seconds that one timing should take.
        shapes: networks whose training step is timed, one network at a time.
        stacked: networks whose training step is timed in a stack of ``stack``.
        runner_stacks: numbers of networks for the comparison of kancl's runner with a bare loop.
        sweep_layers: layers that the sweep over ``grids`` (G) is made on.
        sweep_stacks: numbers of networks for the sweep over the stack, made on ``stacked``.
        memory: the network whose peak of memory is measured.
        seeds, steps: of the whole run; steps per task, None for the scenario's own.
        peer_seeds, peer_steps: the part of it that a peer without stacks does, one seed at a time; the rest is extrapolated.
        whole_rounds: how often the whole run is timed.
    """

    rounds: int
    block: float
    shapes: tuple[Shape, ...]
    stacked: tuple[Shape, ...]
    stack: int
    runner_stacks: tuple[int, ...]
    sweep_layers: tuple[Shape, ...]
    grids: tuple[int, ...]
    sweep_stacks: tuple[int, ...]
    memory: Shape
    seeds: int
    steps: int | None
    peer_seeds: int
    peer_steps: int
    whole_rounds: int

    def on(self, device: str) -> "Plan":
        """Return the same plan on another device."""

        def moved(shapes: tuple[Shape, ...]) -> tuple[Shape, ...]:
            return tuple(replace(shape, device=device) for shape in shapes)

        return replace(
            self, shapes=moved(self.shapes), stacked=moved(self.stacked), sweep_layers=moved(self.sweep_layers),
            memory=replace(self.memory, device=device),
        )  # fmt: skip


TOY = Shape((1, 1), 100, 100)
SMALL = Shape((2, 8, 1), 20, 256)
MIDDLE = Shape((64, 32, 10), 8, 64)
LARGE = Shape((784, 64, 10), 5, 64)
WIDE = Shape((256, 256, 256), 5, 256)

FULL = Plan(
    rounds=15,
    block=0.03,
    shapes=(TOY, SMALL, MIDDLE, LARGE, WIDE),
    stacked=(TOY, SMALL, MIDDLE),
    stack=128,
    runner_stacks=(1, 8, 128),
    sweep_layers=(Shape((64, 32), 5, 256), Shape((1, 1), 5, 100)),
    grids=(5, 10, 20, 50, 100, 200),
    sweep_stacks=(1, 2, 4, 8, 16, 32, 64, 128),
    memory=Shape((784, 64, 10), 5, 1024),
    seeds=32,
    steps=None,
    peer_seeds=2,
    peer_steps=500,
    whole_rounds=3,
)
QUICK = Plan(
    rounds=2,
    block=0.002,
    shapes=(Shape((1, 1), 5, 16), Shape((2, 3, 1), 5, 16)),
    stacked=(Shape((1, 1), 5, 16),),
    stack=4,
    runner_stacks=(1, 4),
    sweep_layers=(Shape((3, 2), 5, 16),),
    grids=(5, 10),
    sweep_stacks=(1, 4),
    memory=Shape((3, 2), 5, 64),
    seeds=2,
    steps=5,
    peer_seeds=1,
    peer_steps=3,
    whole_rounds=2,
)
"""For smoke tests: everything runs once, and no figure means anything."""
