"""Where the time of one network's training step goes: its parts, each timed by itself, beside the whole."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional
from torch.optim import Adam

from kancl.models import Network
from kancl.splines.fused import form
from kancl.splines.operator import kernel
from runners.bench.loops import RATE, data, kancl_loop, kancl_network
from runners.bench.plan import Plan, Shape
from runners.bench.step import RUNNER, runner_of
from runners.measure.timing import Comparison, Contender, Run, compare
from runners.training.optimizers import DirectAdam
from scenarios.objectives import mean_squared_error_gradient

PARTS = "parts of one network's training step, splines by auto"
STEP = "plain loop"


def anatomy_comparisons(plan: Plan, threads: int) -> Iterator[Comparison]:
    """Take the steps of all shapes apart, and that of the widest layer of the sweep over G at its finest grid."""
    finest = (Shape(layer.widths, plan.grids[-1], layer.batch, layer.device) for layer in plan.sweep_layers[:1])
    for shape in (*plan.shapes, *finest):
        parts: dict[str, Callable[[Shape], Run]] = {
            STEP: lambda shape: kancl_loop(shape, 1),
            "- network, forward and backward": network_alone,
            "  - of it the kernels": kernels_alone,
            "- network through torch.ops.kancl.spline": network_by_operator,
            "- mean squared error by autograd": loss_by_autograd,
            "- torch.optim.Adam, fused": usual_adam,
            RUNNER: lambda shape: runner_of(shape, "auto", 1),
            "- its loss, gradient written out": loss_written_out,
            "- its Adam, straight to the fused kernel": direct_adam,
        }
        yield compare(
            {name: partial(_contender, name, make, shape) for name, make in parts.items()},
            group=PARTS, case=shape.label, threads=threads, rounds=plan.rounds, block=plan.block, reference=(STEP,),
            shares=True,
        )  # fmt: skip


def _contender(name: str, make: Callable[[Shape], Run], shape: Shape) -> Contender:
    return Contender(name, make(shape))


def _repeated(call: Callable[[], object]) -> Run:
    def run(steps: int) -> None:
        for _ in range(steps):
            call()

    return run


def network_alone(shape: Shape) -> Run:
    """Return forward and backward of the network: kernels and what autograd does around them."""
    network, (x, y) = kancl_network(shape, 1), data(shape, 1)
    parameters, above = list(network.parameters()), torch.ones_like(y)
    return _repeated(lambda: torch.autograd.grad(network(x), parameters, above))


def network_by_operator(shape: Shape) -> Run:
    """Return forward and backward of the same layers by way of torch's dispatcher, as transforms and compilers see them."""
    network, (x, y) = kancl_network(shape, 1), data(shape, 1)
    parameters, above = list(network.parameters()), torch.ones_like(y)
    layers = [(layer.coef, layer.base, layer.grid()) for layer in _layers(network)]  # type: ignore[operator]

    def forward() -> Tensor:
        values = x
        for coef, base, grid in layers:
            values = torch.ops.kancl.spline(values, coef, base, grid.table, *form(grid))
        return values

    return _repeated(lambda: torch.autograd.grad(forward(), parameters, above))


def kernels_alone(shape: Shape) -> Run:
    """Return the calls of the fused kernel that one step makes; the first layer's inputs need no gradient."""
    network, (x, _) = kancl_network(shape, 1), data(shape, 1)
    calls = [call for number, layer in enumerate(_layers(network)) for call in _kernel_calls(layer, x, shape, number)]

    def both() -> None:
        for call in calls:
            call()

    return _repeated(both)


def _layers(network: Network) -> list[torch.nn.Module]:
    return list(network.get_submodule("layers").children())


def _kernel_calls(layer: torch.nn.Module, x: Tensor, shape: Shape, number: int) -> list[Callable[[], object]]:
    inputs, outputs = list(pairwise(shape.widths))[number]
    grid = layer.grid()  # type: ignore[operator]
    coef, base = layer.coef.detach(), layer.base.detach()  # type: ignore[operator]
    points = x if number == 0 else 2 * torch.rand(1, shape.batch, inputs, device=x.device) - 1
    above, fused, known = points.new_ones(1, shape.batch, outputs), kernel(x), form(grid)
    return [
        partial(fused.forward, points, coef, base, grid.table, *known),
        partial(fused.backward, above, points, coef, base, grid.table, *known, number > 0, True, True),
    ]


def loss_by_autograd(shape: Shape) -> Run:
    """Return the mean squared error and its gradient in the outputs, as torch computes them."""
    _, target = data(shape, 1)
    outputs = torch.zeros_like(target, requires_grad=True)
    return _repeated(lambda: torch.autograd.grad(functional.mse_loss(outputs, target), outputs))


def loss_written_out(shape: Shape) -> Run:
    """Return the gradient that kancl's learners hand to autograd."""
    _, target = data(shape, 1)
    outputs = torch.zeros_like(target)
    return _repeated(lambda: mean_squared_error_gradient(outputs, target))


def usual_adam(shape: Shape) -> Run:
    """Return a step of torch's fused Adam through ``torch.optim``."""
    return _repeated(_with_gradients(shape).step)


def direct_adam(shape: Shape) -> Run:
    """Return the same step by kancl's short way to the same kernel."""
    return _repeated(DirectAdam(_with_gradients(shape)).step)


def _with_gradients(shape: Shape) -> Adam:
    parameters = list(kancl_network(shape, 1).parameters())
    for parameter in parameters:
        parameter.grad = torch.full_like(parameter, 1e-3)
    return Adam(parameters, lr=RATE, fused=True, capturable=parameters[0].is_cuda)
