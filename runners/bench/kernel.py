"""Spline layers alone, for every backend in the registry: forward, and forward with backward; the sweeps over G and S."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, cast

import torch

from kancl.splines import BACKENDS, UniformGrid, spline
from runners.bench import PeerName
from runners.bench.plan import DEGREE, Plan, Shape
from runners.bench.step import Makers, kancl_makers, mlp_stack, peer_makers
from runners.measure.timing import Comparison, Contender, Run, compare

FORWARD = "spline layer, forward"
BACKWARD = "spline layer, forward and backward (coefficients and inputs)"
GRID_FORWARD = "spline layer against G, forward"
GRID_BACKWARD = "spline layer against G, forward and backward"
GRID_STEP = "training step of one layer against G"
STACK_STEP = "training step per network against S"
DENSE = "kancl dense"
PRODUCT = "matrix products alone"


def kernel_comparisons(plan: Plan, peers: tuple[PeerName, ...], threads: int) -> Iterator[Comparison]:
    """Time the layers of all shapes, and the sweeps."""
    timed = partial(compare, threads=threads, rounds=plan.rounds, block=plan.block, reference=(DENSE,))
    layers = dict.fromkeys(replace(shape, widths=ends) for shape in plan.shapes for ends in shape.layers)
    for group, backward in ((FORWARD, False), (BACKWARD, True)):
        for layer in layers:
            yield timed(layer_makers(layer, backward), group=group, case=layer.label)
    efficient: tuple[PeerName, ...] = tuple(name for name in peers if name == "efficient-kan")
    for first in plan.sweep_layers:
        where = f"[{first.widths[0]},{first.widths[1]}] B{first.batch}"
        for intervals in plan.grids:
            layer = replace(first, intervals=intervals)
            swept = partial(timed, case=f"G {intervals}", place=intervals)
            yield swept(layer_makers(layer, backward=False), group=f"{GRID_FORWARD}: {where}")
            yield swept(layer_makers(layer, backward=True), group=f"{GRID_BACKWARD}: {where}")
            steps = kancl_makers(layer, 1, auto=False) | peer_makers(layer, efficient)
            yield swept(steps, group=f"{GRID_STEP}: {where}")
    for shape in plan.stacked:
        for seeds in plan.sweep_stacks:
            makers: Makers = {**kancl_makers(shape, seeds, auto=False), "mlp stack": partial(mlp_stack, shape, seeds)}
            makers |= peer_makers(shape, efficient)
            group = f"{STACK_STEP}: {shape.label}"
            yield timed(makers, group=group, case=f"S {seeds}", place=seeds, reference=("mlp stack",))


def layer_makers(layer: Shape, backward: bool) -> Makers:
    """Return one spline layer under every backend."""

    def make(name: str) -> Contender:
        return Contender(f"kancl {name}", layer_loop(layer, name, backward))

    bare = partial(Contender, PRODUCT, product_loop(layer, backward))
    return {**{f"kancl {name}": partial(make, name) for name in BACKENDS}, PRODUCT: bare}


def product_loop(layer: Shape, backward: bool) -> Run:
    """Return the matrix products alone that a dense evaluation of the layer needs: the floor of every such implementation."""
    inputs, outputs = layer.widths
    basis, coef, above = (
        torch.ones(rows, columns, device=layer.device)
        for rows, columns in (
            (layer.batch, inputs * layer.coefficients), (inputs * layer.coefficients, outputs), (layer.batch, outputs),
        )
    )  # fmt: skip

    def run(steps: int) -> None:
        for _ in range(steps):
            torch.mm(basis, coef)
            if backward:
                torch.mm(basis.T, above)
                torch.mm(above, coef.T)

    return run


def layer_loop(layer: Shape, backend: str, backward: bool) -> Run:
    """Return the evaluation of one spline layer by one backend, with gradients of coefficients and inputs or without."""
    call, inputs = layer_call(layer, backend)
    if not backward:

        def forward_only(steps: int) -> None:
            with torch.no_grad():
                for _ in range(steps):
                    call()

        return forward_only
    weight = torch.ones_like(call())

    def with_gradients(steps: int) -> None:
        for _ in range(steps):
            torch.autograd.grad(call(), inputs, weight)

    return with_gradients


def layer_call(
    layer: Shape, backend: str, seeds: int = 1, degree: int = DEGREE
) -> tuple[Callable[[], torch.Tensor], list[torch.Tensor]]:
    """Return a function that evaluates one layer, and what it has gradients in."""
    (inputs, outputs), generator = layer.widths, torch.Generator().manual_seed(0)
    ends = torch.tensor([[[-1.0]], [[1.0]]], device=layer.device)
    grid = UniformGrid(ends[0], ends[1], layer.intervals, degree)
    x = (2 * torch.rand(seeds, layer.batch, inputs, generator=generator) - 1).to(layer.device).requires_grad_()
    coef = torch.randn(seeds, inputs, grid.coefficients, outputs, generator=generator).to(layer.device).requires_grad_()
    # The names come from the registry; the type knows only those that were there when it was written.
    return (lambda: spline(x, coef, grid, cast(Any, backend))), [coef, x]
