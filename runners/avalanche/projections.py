"""Avalanche's strategies that project gradients: GEM and AGEM."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kancl.errors import InputError
from kancl.models import Network
from kancl.seeding import generator
from runners.avalanche.data import endless, read_dataset
from runners.avalanche.registry import avalanche_strategies
from runners.avalanche.strategy import AvalancheStrategy, Minibatch, TrainsSeed, check_numbers, find_plugin
from runners.config.policy import Policy
from runners.stream.stream import Stream

DAMPING = 1e-3
"""What avalanche, like the authors' code, adds to the diagonal of GEM's quadratic programme."""


def project(references: Float[np.ndarray, "T P"], gradient: Float[np.ndarray, "P"], margin: float) -> Float[np.ndarray, "P"]:
    """Return GEM's projection of a gradient, g + G^T v.

    v minimises v^T (G G^T + 1e-3 I) v / 2 + (G g)^T v subject to v >= margin: Lopez-Paz and Ranzato 2017 (arXiv 1706.08840),
    equation 11, with the damping of the authors' code. With v = u + margin this is the non-negative least squares problem
    min |A u + b|^2, A = [G^T; sqrt(1e-3) I] and b = A margin + [g; 0], which scipy solves; avalanche asks for a
    solver of quadratic programmes whose licence is the GPL.
    """
    from scipy.optimize import nnls  # on use: slow to import

    tasks = len(references)
    system = np.vstack([references.T, np.sqrt(DAMPING) * np.eye(tasks)])
    shift = system @ np.full(tasks, margin) + np.concatenate([gradient, np.zeros(tasks)])
    # R of a QR factorisation has the same normal equations, and T rows instead of P.
    orthogonal, small = np.linalg.qr(system)
    return gradient + references.T @ (nnls(small, -orthogonal.T @ shift)[0] + margin)


@avalanche_strategies.register("gem")
@dataclass(frozen=True)
class GEM(AvalancheStrategy):
    """Avalanche's GEM: gradients are projected until no old task's remembered loss grows.

    Its quadratic programme is solved by non-negative least squares, which gives the same projection. At every step the
    gradient of every old task's whole memory is computed.

    Args:
        patterns_per_exp: samples kept of each task, at least 1.
        memory_strength: lower bound of every multiplier, >= 0, in favour of backward transfer.
    """

    template: ClassVar[str] = "GEM"
    carried: ClassVar[tuple[str, ...] | None] = ("GEMPlugin.memory_x", "GEMPlugin.memory_y", "GEMPlugin.memory_tid")
    patterns_per_exp: int = 256
    memory_strength: float = 0.5

    def __post_init__(self) -> None:
        check_numbers(1, patterns_per_exp=self.patterns_per_exp)
        check_numbers(0, memory_strength=self.memory_strength)

    def prepare(self, strategy: Any, run: TrainsSeed) -> None:
        """Replace the solver."""
        plugin = find_plugin(strategy, "GEMPlugin")

        def solve(gradient: Tensor) -> Tensor:
            own, old = gradient.double().cpu().numpy(), plugin.G.double().cpu().numpy()
            if not (np.isfinite(own).all() and np.isfinite(old).all()):
                return gradient  # the seed has diverged, and its scores will say so
            return torch.from_numpy(project(old, own, self.memory_strength)).to(gradient.dtype)

        plugin.solve_quadprog = solve


@avalanche_strategies.register("agem")
@dataclass(frozen=True)
class AGEM(AvalancheStrategy):
    """Avalanche's AGEM: a gradient against that of a sample of the memory is projected.

    Chaudhry et al. 2019 (arXiv 1812.00420), equation 11. The sample holds sample_size // (old tasks) of each old task.

    Args:
        patterns_per_exp: samples kept of each task, at least 1.
        sample_size: samples of the memory at a step, at least one for each old task.
    """

    template: ClassVar[str] = "AGEM"
    carried: ClassVar[tuple[str, ...] | None] = ("AGEMPlugin.buffers",)
    patterns_per_exp: int = 256
    sample_size: int = 64

    def __post_init__(self) -> None:
        check_numbers(1, patterns_per_exp=self.patterns_per_exp, sample_size=self.sample_size)

    def check(self, network: Network, stream: Stream, policy: Policy) -> None:
        """Refuse samples of the memory that could not hold every old task."""
        super().check(network, stream, policy)
        if self.sample_size < len(stream.train):
            raise InputError(
                f"sample_size={self.sample_size} is shared by all old tasks, each of which needs one sample: give at least "
                f"{len(stream.train)}, the number of tasks"
            )

    def begin_task(self, strategy: Any, run: TrainsSeed, phase: int) -> None:
        """Draw from the memory as tensors: avalanche's loader reads sample by sample."""
        plugin = find_plugin(strategy, "AGEMPlugin")
        parts = [read_dataset(part) for part in plugin.buffers]
        if parts:
            draw = generator(run.seed, "avalanche-agem", len(parts))
            sources = [endless(part, self.sample_size // len(parts), draw) for part in parts]
            plugin.buffer_dliter = _side_by_side(sources)

    def go_on(self, strategy: Any, run: TrainsSeed, steps: int) -> None:
        """Draw what was drawn."""
        plugin = find_plugin(strategy, "AGEMPlugin")
        for _ in range(steps if plugin.buffers else 0):
            next(plugin.buffer_dliter)


def _side_by_side(sources: list[Iterator[Minibatch]]) -> Iterator[Minibatch]:
    while True:
        yield [torch.cat(parts) for parts in zip(*map(next, sources), strict=True)]
