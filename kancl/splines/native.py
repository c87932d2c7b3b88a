"""The native backend: the kernel of native.c on the tensors of a CPU. Plain functions; fused.py makes them differentiable."""

import ctypes
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from kancl.splines import build

Sizes = ctypes.c_int64 * 10


def forward(x: Tensor, coef: Tensor, base: Tensor | None, table: Tensor, intervals: int, degree: int, uniform: bool) -> Tensor:
    """Return y (S, B, O) for x (S, B, I), coef (S, I, C, O), base (S, I, O) and a grid's table (see ``Grid.table``)."""
    x, coef, base, table = _rows(x), coef.contiguous(), None if base is None else base.contiguous(), table.contiguous()
    y = x.new_empty((x.shape[0], x.shape[1], coef.shape[3]))
    if x.shape[2] == 0:
        return y.zero_()
    if y.numel():
        run, _ = _functions(x.dtype, degree)
        sizes = _sizes(x.shape, coef.shape[3], table.shape, intervals, uniform, x.stride(0), torch.get_num_threads())
        _check(run(sizes, *_pointers(x, coef, base, table, y)))
    return y


def backward(
    grad: Tensor, x: Tensor, coef: Tensor, base: Tensor | None, table: Tensor, intervals: int, degree: int, uniform: bool,
    need_x: bool, need_coef: bool, need_base: bool,
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:  # fmt: skip
    """Return the gradients in x, coef and base that are needed, None for the others."""
    x, coef, table, grad = _rows(x), coef.contiguous(), table.contiguous(), grad.contiguous()
    base = None if base is None else base.contiguous()
    dx = x.new_empty(x.shape) if need_x else None
    dbase = torch.empty_like(base) if need_base and base is not None else None
    dcoef = torch.empty_like(coef) if need_coef or dbase is not None else None
    if x.numel() == 0 or coef.shape[3] == 0:
        for found in (dx, dcoef, dbase):
            if found is not None:
                found.zero_()
        return dx, dcoef if need_coef else None, dbase
    _, run = _functions(x.dtype, degree)
    sizes = _sizes(x.shape, coef.shape[3], table.shape, intervals, uniform, x.stride(0), torch.get_num_threads())
    _check(run(sizes, *_pointers(x, coef, base, table, grad, dx, dcoef, dbase)))
    return dx, dcoef if need_coef else None, dbase


@cache
def _functions(dtype: torch.dtype, degree: int) -> tuple[Callable[..., int], Callable[..., int]]:
    compiled = build.library(dtype, degree)
    for function, pointers in ((compiled.forward, 5), (compiled.backward, 8)):
        function.argtypes = [ctypes.c_void_p] * (1 + pointers)
        function.restype = ctypes.c_int
    return compiled.forward, compiled.backward


@cache
def _sizes(
    x: torch.Size, outputs: int, table: torch.Size, intervals: int, uniform: bool, x_seed: int, threads: int
) -> ctypes.Array[ctypes.c_int64]:
    """Return the numbers of the C side's Sizes, in its order."""
    seeds, inputs, numbers = table
    lanes = (0 if seeds == 1 else inputs * numbers, 0 if inputs == 1 else numbers)
    return Sizes(*x, outputs, intervals, x_seed, 0 if uniform else numbers, *lanes, threads)


def _pointers(*tensors: Tensor | None) -> list[int | None]:
    return [None if tensor is None else tensor.data_ptr() for tensor in tensors]


def _rows(x: Tensor) -> Tensor:
    """Return x with its last two axes contiguous; seeds that share their points go on sharing them."""
    return x if x.stride()[1:] == (x.shape[2], 1) else x.contiguous()


def _check(code: int) -> None:
    if code:
        raise MemoryError("the native spline kernel could not get the memory for its scratch space")
