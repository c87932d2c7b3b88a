"""The fused backends as one differentiable operator: native.c on a CPU, Triton on a CUDA device.

Both are plain functions with hand-written gradients; here they meet torch. Ordinary training takes the short way, an
``autograd.Function`` straight to the kernel, since torch's dispatcher costs several times what a small layer does. Whoever
has to see the operation (torch.compile, FlopCounterMode, torch.func) gets it as ``torch.ops.kancl.spline``.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from kancl.splines import dense
from kancl.splines.grid import Grid, KnotGrid, UniformGrid
from kancl.splines.operator import Form, TransformedSpline, kernel

Gradients = tuple[Tensor | None, ...]


def evaluate(x: Tensor, coef: Tensor, grid: Grid, base: Tensor | None = None) -> Tensor:
    """Return the same as the dense backend, from the K + 1 coefficients that matter at each point.

    In forward mode (dual tensors, ``torch.func.jvp``, ``jacfwd`` and ``hessian``) it is the dense backend.
    """
    if forward_ad._current_level >= 0:
        return dense.evaluate(x, coef, grid, base)
    table = grid.table
    plain = {type(x), type(coef), type(base), type(table)} <= _PLAIN
    if torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack() or not plain:
        return torch.ops.kancl.spline(x, coef, base, table, *form(grid))
    if torch._C._functorch.peek_interpreter_stack() is not None:
        return TransformedSpline.apply(x, coef, base, table, form(grid))
    return _Spline.apply(x, coef, base, table, form(grid))


_PLAIN = {Tensor, torch.nn.Parameter, type(None)}


def form(grid: Grid) -> Form:
    """Return what tells the grid's table apart."""
    return grid.intervals, grid.degree, isinstance(grid, UniformGrid)


class _Spline(torch.autograd.Function):
    """y and its gradients, straight from the kernels."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, coef: Tensor, base: Tensor | None, table: Tensor, form: Form) -> Tensor:
        ctx.save_for_backward(x, coef, base, table)
        ctx.form = form
        return kernel(x).forward(x, coef, base, table, *form)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        x, coef, base, table = ctx.saved_tensors
        need = ctx.needs_input_grad[:3]
        if torch._C._functorch.is_legacy_batchedtensor(grad):  # many gradients at once: is_grads_batched=True
            found = torch.ops.kancl.spline_backward(grad, x, coef, base, table, *ctx.form, *need)
            found = [gradient if asked else None for gradient, asked in zip(found, need, strict=True)]
        elif torch.is_grad_enabled():
            found = _SplineGradients.apply(grad, x, coef, base, table, ctx.form, need)
        else:
            found = kernel(x).backward(grad, x, coef, base, table, *ctx.form, *need)
        return *found, None, None


class _SplineGradients(torch.autograd.Function):
    """The gradients, differentiable themselves: higher orders go through the dense definition."""

    @staticmethod
    def forward(
        ctx: Any, grad: Tensor, x: Tensor, coef: Tensor, base: Tensor | None, table: Tensor,
        form: Form, need: tuple[bool, bool, bool],
    ) -> Gradients:  # fmt: skip
        ctx.save_for_backward(grad, x, coef, base, table)
        ctx.form, ctx.need = form, need
        return kernel(x).backward(grad, x, coef, base, table, *form, *need)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor | None) -> Any:
        return *_second_order(ctx.saved_tensors, ctx.form, ctx.need, cotangents), None, None, None


def _second_order(
    saved: tuple[Tensor, ...], form: Form, need: tuple[bool, ...], cotangents: tuple[Tensor | None, ...]
) -> list[Tensor | None]:
    """Return the gradients in (grad, x, coef, base) of the sum of the first-order gradients times ``cotangents``."""
    further = torch.is_grad_enabled()

    def alias(tensor: Tensor) -> Tensor:
        # These are partial derivatives: what one of the tensors owes to another must not be followed.
        return tensor.view_as(tensor) if further and tensor.requires_grad else tensor.detach().requires_grad_()

    with torch.enable_grad():
        grad, x, coef, base = (None if tensor is None else alias(tensor) for tensor in saved[:4])
        y = dense.evaluate(x, coef, grid_of(saved[4], form), base)
        asked = [
            (tensor, cotangent)
            for tensor, needed, cotangent in zip((x, coef, base), need, cotangents, strict=True)
            if needed and tensor is not None and cotangent is not None
        ]
        first = torch.autograd.grad(y, [tensor for tensor, _ in asked], grad, create_graph=True, materialize_grads=True)
        inputs = [tensor for tensor in (grad, x, coef, base) if tensor is not None]
        products = [(gradient * cotangent).sum() for gradient, (_, cotangent) in zip(first, asked, strict=True)]
        found = torch.autograd.grad(products, inputs, create_graph=further, materialize_grads=True)
    return [*found, None][:4]


def grid_of(table: Tensor, form: Form) -> Grid:
    """Return the grid that a table belongs to, up to the rounding of its upper end."""
    intervals, degree, uniform = form
    if not uniform:
        return KnotGrid(table, degree, check=False)
    low, step = table[..., 0], table[..., 1]
    return UniformGrid(low, low + intervals * step, intervals, degree, check=False)
