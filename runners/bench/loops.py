"""Training loops over kancl's networks, each as a function that takes a number of steps."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Adam

from kancl import options
from kancl.models import Network, Problem, architectures
from kancl.options import Spec
from runners.bench.plan import DEGREE, Shape
from runners.config.cell import Cell
from runners.config.policy import Policy
from runners.measure.timing import Run
from runners.stream.samples import Samples
from runners.stream.stream import Stream
from runners.training.phase import begin_phase
from runners.training.training import training_of
from scenarios import Advice
from scenarios.objectives import OBJECTIVES

RATE = 1e-3


def kancl_network(shape: Shape, seeds: int, kind: str = "auto") -> Network:
    """Return a stack of kancl's networks.

    Args:
        shape: of the KAN.
        seeds: S, the number of networks.
        kind: the spline backend of the KAN, or ``mlp`` for MLPs (one hidden layer) with as many parameters.
    """
    low = torch.full((seeds, shape.widths[0]), -1.0)
    problem = Problem(shape.widths[0], shape.widths[-1], tuple(range(seeds)), low, -low)
    if kind == "mlp":
        spec = Spec("mlp", {"hidden": [shape.mlp_width]})
    else:
        settings = {"intervals": shape.intervals, "degree": DEGREE, "backend": kind}
        spec = Spec("kan", {"hidden": list(shape.widths[1:-1]), **settings})
    return options.build(architectures.get(spec.name), spec, problem=problem).to(shape.device)


def data(shape: Shape, seeds: int, batches_of_data: int = 1) -> tuple[Tensor, Tensor]:
    """Return inputs (S, N, I) from U(-1, 1) and a smooth target (S, N, O), so that activations stay where the grids are."""
    generator = torch.Generator().manual_seed(0)
    x = 2 * torch.rand(seeds, batches_of_data * shape.batch, shape.widths[0], generator=generator) - 1
    y = (torch.pi * x).sin().mean(-1, keepdim=True).expand(-1, -1, shape.widths[-1]).contiguous()
    return x.to(shape.device), y.to(shape.device)


def kancl_loop(shape: Shape, seeds: int, kind: str = "auto") -> Run:
    """Return the plain loop over a stack of kancl's networks."""
    return plain_loop(kancl_network(shape, seeds, kind), *data(shape, seeds))


def plain_loop(network: nn.Module, x: Tensor, y: Tensor) -> Run:
    """Return the loop that everyone writes: mean squared error and fused Adam on one batch, without copies or checks."""
    optimizer = Adam([p for p in network.parameters() if p.requires_grad], lr=RATE, fused=True)
    # A stack is trained on the sum over its networks of their mean errors.
    weight = torch.tensor(float(len(x) if x.ndim == 3 else 1), device=x.device)

    def run(steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad(set_to_none=True)
            functional.mse_loss(network(x), y).backward(weight)
            optimizer.step()

    return run


def shuffling_loop(network: nn.Module, x: Tensor, y: Tensor, size: int) -> Run:
    """Return the plain loop with batches: each network of the stack sees its samples in an order of its own, every epoch."""
    optimizer = Adam(network.parameters(), lr=RATE, fused=True)
    weight, rows = torch.tensor(float(len(x)), device=x.device), torch.arange(len(x), device=x.device)[:, None]

    def shuffled() -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            order = torch.stack([torch.randperm(x.shape[1]) for _ in range(len(x))]).to(x.device)
            yield from zip(x[rows, order].split(size, 1), y[rows, order].split(size, 1), strict=True)

    source = shuffled()

    def run(steps: int) -> None:
        for _ in range(steps):
            part, target = next(source)
            optimizer.zero_grad(set_to_none=True)
            functional.mse_loss(network(part), target).backward(weight)
            optimizer.step()

    return run


def runner_loop(network: Network, x: Tensor, y: Tensor, size: int) -> Run:
    """Return kancl's own loop: its batches, its learner, the naive strategy."""
    samples = Samples(x, y, torch.zeros(x.shape[1], dtype=torch.long, device=x.device))
    low = torch.full((len(x), x.shape[2]), -1.0, device=x.device)
    stream = Stream(
        seeds=tuple(range(len(x))), names=("only",), setting="domain", outputs=y.shape[2], objective=OBJECTIVES["mse"],
        low=low, high=-low, train=(samples,), test=(samples,), heads=None, null={}, plot_x=None, plot_target=None,
        advice=Advice(),
    )  # fmt: skip
    policy = Policy(lr=RATE, steps=1, batch_size=size)
    cell = Cell(Spec("only"), Spec(type(network).__name__), Spec("naive"), policy, stream.seeds)
    begun = begin_phase(training_of(cell, stream, network), 0)

    def run(steps: int) -> None:
        begun.learner.take_steps(begun.source, steps)

    return run
