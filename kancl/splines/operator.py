"""The fused spline layer as an operator of torch's dispatcher, ``torch.ops.kancl.spline``.

For those who have to see the operation: torch.compile, FlopCounterMode, torch.func. Differentiable once; a gradient that is
not needed is an empty tensor here. Ordinary training takes the shorter way of fused.py.
"""

from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from kancl.splines import native

Form = tuple[int, int, bool]
"""What tells a grid's table apart: intervals, degree, and whether it is uniform."""


def kernel(x: Tensor) -> ModuleType:
    """Return the module whose forward and backward run where x is."""
    if x.is_cuda:
        from kancl.splines import triton_kernel

        return triton_kernel
    return native


@torch.library.custom_op("kancl::spline", mutates_args=())
def _spline_op(
    x: Tensor, coef: Tensor, base: Tensor | None, table: Tensor, intervals: int, degree: int, uniform: bool
) -> Tensor:
    return kernel(x).forward(x, coef, base, table, intervals, degree, uniform)


@torch.library.custom_op("kancl::spline_backward", mutates_args=())
def _backward_op(
    grad: Tensor, x: Tensor, coef: Tensor, base: Tensor | None, table: Tensor, intervals: int, degree: int, uniform: bool,
    need_x: bool, need_coef: bool, need_base: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    form, need = (intervals, degree, uniform), (need_x, need_coef, need_base)
    dx, dcoef, dbase = kernel(x).backward(grad, x, coef, base, table, *form, *need)
    return tuple(x.new_empty(0) if found is None else found for found in (dx, dcoef, dbase))  # type: ignore[return-value]


@_spline_op.register_fake
def _(x: Tensor, coef: Tensor, base: Tensor | None, table: Tensor, intervals: int, degree: int, uniform: bool) -> Tensor:
    return x.new_empty(x.shape[0], x.shape[1], coef.shape[3])


@_backward_op.register_fake
def _(
    grad: Tensor, x: Tensor, coef: Tensor, base: Tensor | None, table: Tensor, intervals: int, degree: int, uniform: bool,
    need_x: bool, need_coef: bool, need_base: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    shapes = (
        x.shape if need_x else (0,),
        coef.shape if need_coef else (0,),
        base.shape if need_base and base is not None else (0,),
    )
    return tuple(x.new_empty(shape) for shape in shapes)  # type: ignore[return-value]


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.save_for_backward(*inputs[:4])
    ctx.form = inputs[4:]


def _spline_gradients(ctx: Any, grad: Tensor) -> Any:
    need = ctx.needs_input_grad[:3]
    found = torch.ops.kancl.spline_backward(grad, *ctx.saved_tensors, *ctx.form, *need)
    return *(gradient if asked else None for gradient, asked in zip(found, need, strict=True)), *[None] * 4


_spline_op.register_autograd(_spline_gradients, setup_context=_remember)


def _fold(info: Any, in_dims: tuple[int | None, ...], args: tuple[Any, ...], count: int) -> list[Tensor | None]:
    """Return the first ``count`` arguments with their mapped axis folded into the seeds."""
    seeds = args[0].shape[0 if in_dims[0] != 0 else 1]
    folded = []
    for tensor, dim in zip(args[:count], in_dims[:count], strict=True):
        if tensor is None or (dim is None and tensor.shape[0] == 1 != seeds):  # one lane for all seeds goes on serving all
            folded.append(tensor)
            continue
        mapped = tensor.expand(info.batch_size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
        folded.append(mapped.expand(info.batch_size, seeds, *mapped.shape[2:]).flatten(0, 1))
    return folded


def _unfold(tensor: Tensor, info: Any) -> Tensor:
    return tensor.unflatten(0, (info.batch_size, -1))


def _unfolded(found: tuple[Tensor, ...], info: Any) -> tuple[tuple[Tensor, ...], tuple[int | None, ...]]:
    there = [gradient.ndim > 1 for gradient in found]
    gradients = tuple(_unfold(g, info) if given else g for g, given in zip(found, there, strict=True))
    return gradients, tuple(0 if given else None for given in there)


@_spline_op.register_vmap
def _(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Tensor, int]:
    return _unfold(torch.ops.kancl.spline(*_fold(info, in_dims, args, 4), *args[4:]), info), 0


@_backward_op.register_vmap
def _(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> Any:
    return _unfolded(torch.ops.kancl.spline_backward(*_fold(info, in_dims, args, 5), *args[5:]), info)


# torch.func.grad does not take the gradients that register_autograd gives an operator: it wants these two.


class TransformedSpline(torch.autograd.Function):
    """The operator under a transform of torch.func."""

    @staticmethod
    def forward(x: Tensor, coef: Tensor, base: Tensor | None, table: Tensor, form: Form) -> Tensor:
        return torch.ops.kancl.spline(x, coef, base, table, *form)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs[:4])
        ctx.form = inputs[4]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        need = ctx.needs_input_grad[:3]
        found = _TransformedGradients.apply(grad, *ctx.saved_tensors, ctx.form, need)
        return *(gradient if asked else None for gradient, asked in zip(found, need, strict=True)), None, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> tuple[Tensor, int]:
        return _unfold(TransformedSpline.apply(*_fold(info, in_dims, args, 4), *args[4:]), info), 0


class _TransformedGradients(torch.autograd.Function):
    """Its gradients, not differentiable again: use backend="dense" for higher orders under torch.func."""

    @staticmethod
    def forward(
        grad: Tensor, x: Tensor, coef: Tensor, base: Tensor | None, table: Tensor, form: Form, need: tuple[bool, ...]
    ) -> tuple[Tensor, Tensor, Tensor]:
        return torch.ops.kancl.spline_backward(grad, x, coef, base, table, *form, *need)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> Any:
        raise NotImplementedError('the fused spline is differentiable once under torch.func; use backend="dense" there')

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> Any:
        found = _TransformedGradients.apply(*_fold(info, in_dims, args, 5), *args[5:])
        return _unfolded(found, info)


# What the local kernels compute: K + 1 products per edge and point, and one for the base branch; as torch counts a matrix
# product, a multiplication and an addition are two operations, and what is done once per point (the basis) is left out.


def _products(x: Any, coef: Any, base: Any, degree: int) -> int:
    seeds, batch, inputs = x
    return seeds * batch * inputs * coef[-1] * (degree + 1 + (base is not None))


@register_flop_formula(torch.ops.kancl.spline)
def _(x: Any, coef: Any, base: Any, table: Any, intervals: int, degree: int, uniform: bool, *, out_shape: Any = None) -> int:
    return 2 * _products(x, coef, base, degree)


@register_flop_formula(torch.ops.kancl.spline_backward)
def _(
    grad: Any, x: Any, coef: Any, base: Any, table: Any, intervals: int, degree: int, uniform: bool,
    need_x: bool, need_coef: bool, need_base: bool, *, out_shape: Any = None,
) -> int:  # fmt: skip
    inward = 2 * _products(x, coef, base, degree) if need_x else 0
    return inward + (2 * _products(x, coef, base if need_base else None, degree) if need_coef or need_base else 0)
