"""The spline layer on a CUDA device: Triton kernels for the whole stack of networks, forward and backward.

    y[s,b,o] = sum_i ( sum_c coef[s,i,c,o] B_c(x[s,b,i]) + base[s,i,o] silu(x[s,b,i]) )

The meaning is that of ``grid.basis``. Only the K + 1 rows of coefficients that matter at a point are read, and no basis
matrix is stored. Sums run in a fixed order without atomics, so that the same call gives the same bits. Block sizes follow
from the shapes of one network, not from their number. Nothing is read back: a CUDA graph can capture the calls.

``table`` (S|1, I|1, ·) is what the kernels know of the grid, in the dtype of x, float32 or (from Triton 3.5 on)
float64: of a uniform one ``low, step, first, last`` with first = low - K step and last = high + K step, else the G + 2K + 1
extended knots. In the kernels, ``sizes`` are B, I, O, G, ``strides`` those of x, table and grad, and HALVINGS 0 if uniform.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from typing import Any

import torch
import triton  # type: ignore[import-not-found, import-untyped, unused-ignore]
import triton.language as tl  # type: ignore[import-not-found, import-untyped, unused-ignore]
from torch import Tensor

from kancl.splines.dense import spread


@triton.jit
def _with(values, value):
    return values + (value,)  # noqa: RUF005 - Triton's compiler does not unpack


@triton.jit
def _find(x, table, stride, last, DEGREE: tl.constexpr, HALVINGS: tl.constexpr):
    """Return each point's cell e among the knots 0 .. last, and a tuple of t_{e-K} .. t_{e+K}, of which the first is idle."""
    place = tl.zeros_like(x).to(tl.int32)  # the largest j < last with t_j <= x
    for n in tl.static_range(HALVINGS):
        further = place + (1 << (HALVINGS - 1 - n))
        place = tl.where((further < last) & (tl.load(table + tl.minimum(further, last) * stride) <= x), further, place)
    cell = tl.where(x == x, place - DEGREE, 0)
    near = (x,)
    for n in tl.static_range(1, 2 * DEGREE + 1):
        # Knots beyond the ends bear only on functions that do not exist, and are dropped: any number does.
        near = _with(near, tl.load(table + tl.minimum(tl.maximum(cell + n, 0), last) * stride))
    return cell, near


@triton.jit
def _triangle(x, start, near, DEGREE: tl.constexpr, SLOPE: tl.constexpr):
    """Return start times the K + 1 functions at x, or their slopes: de Boor's triangle. No near: knots at whole numbers."""
    values = (tl.zeros_like(x) if SLOPE and DEGREE == 0 else start,)
    for k in tl.static_range(1, DEGREE + 1):
        row, saved = (), tl.zeros_like(x)
        for r in tl.static_range(k):
            if near is None:
                part, before, after = values[r] * (1.0 / k), x + (k - 1 - r), (r + 1) - x
            else:
                left, right = near[DEGREE + 1 + r - k], near[DEGREE + 1 + r]
                part, before, after = values[r] / (right - left), x - left, right - x
            if SLOPE and k == DEGREE:
                before, after = DEGREE, -DEGREE
            row = _with(row, saved + after * part)
            saved = before * part
        values = _with(row, saved)
    return values


@triton.jit
def _at(x, table, sizes, strides, s, b, i, DEGREE: tl.constexpr, HALVINGS: tl.constexpr, SLOPE: tl.constexpr):
    """Return first, weights and silu: the edge is sum_r weights[r] coef[first + r] + silu base at x[s,b,i], or its slope."""
    batch, inputs, _, intervals = sizes
    there, i = (b < batch) & (i < inputs), tl.minimum(i, inputs - 1)
    x = tl.load(x + s * strides[0] + b * strides[1] + i * strides[2], mask=there, other=0.0)
    sigmoid = tl.sigmoid(x)
    silu = sigmoid * (1 + x * (1 - sigmoid)) if SLOPE else x * sigmoid
    table, stride, final = table + s * strides[3] + i * strides[4], strides[5], intervals + 2 * DEGREE
    low, high = tl.load(table + (0 if HALVINGS else 2) * stride), tl.load(table + (final if HALVINGS else 3) * stride)
    outside = (x < low) | (x > high)  # false for NaN, which must go through
    start = tl.where(there & ~outside, tl.where(x == x, 1.0, x), 0.0)
    x = tl.where(outside, low, x)
    if HALVINGS:
        cell, near = _find(x, table, stride, final, DEGREE, HALVINGS)
        values = _triangle(x, start, near, DEGREE, SLOPE)
    else:
        step, offset = tl.load(table + stride), x - tl.load(table)
        # Rounded correctly, as in torch, so that points on knots fall in the same cell; float32's `/` is less exact.
        u = tl.math.div_rn(offset, step) if x.dtype == tl.float32 else offset / step
        cell = tl.where(x == x, tl.floor(u), 0.0)  # casting NaN is undefined
        cell = tl.minimum(tl.maximum(cell, -DEGREE), intervals + (DEGREE - 1)).to(tl.int32)
        values = _triangle(u - cell, start / step if SLOPE else start, None, DEGREE, SLOPE)
    # Some functions of the outer cells do not exist. Their place is taken by ones further in, which are 0 there.
    first, weights = tl.minimum(tl.maximum(cell, 0), intervals - 1), ()
    for r in tl.static_range(DEGREE + 1):
        weight = tl.zeros_like(x)
        for n in tl.static_range(DEGREE + 1):
            weight = tl.where(first - cell == n - r, values[n], weight)
        weights = _with(weights, weight)
    return first, weights, silu


@triton.jit
def _edges(total, first, weights, silu, coef, base, sizes, s, i, o, DEGREE: tl.constexpr):
    """Return total + sum_r weights[r] coef[s,i,first + r,o] + silu base[s,i,o] as (B, I, O)."""
    _, inputs, outputs, intervals = sizes
    # All loads have the same shape, and so the same layout; converting between layouts is dear.
    lane, o = s * inputs + tl.minimum(i, inputs - 1) + tl.zeros_like(first), o[:, None, :]
    rows = coef + ((lane * (intervals + DEGREE) + first) * outputs)[:, :, None] + o
    for r in tl.static_range(DEGREE + 1):
        total += weights[r][:, :, None] * tl.load(rows + r * outputs, mask=o < outputs, other=0.0)
    if base is not None:
        total += silu[:, :, None] * tl.load(base + (lane * outputs)[:, :, None] + o, mask=o < outputs, other=0.0)
    return total


@triton.jit
def _forward(
    x, coef, base, table, y, sizes, strides, share, DEGREE: tl.constexpr, HALVINGS: tl.constexpr,
    TALL: tl.constexpr, DEEP: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """One program sums a share of the inputs, DEEP at a time, for TALL samples and WIDE outputs of a seed."""
    batch, inputs, outputs, _ = sizes
    s, blocks = tl.program_id(2).to(tl.int64), tl.cdiv(outputs, WIDE)
    part, o = tl.program_id(1) // blocks, tl.program_id(1) % blocks * WIDE + tl.arange(0, WIDE)[None, :]
    b = (tl.program_id(0) * TALL + tl.arange(0, TALL)).to(tl.int64)[:, None]
    total = tl.zeros((TALL, DEEP, WIDE), y.dtype.element_ty)
    for begin in range(part * share, tl.minimum(part * share + share, inputs), DEEP):
        i = begin + tl.arange(0, DEEP)[None, :]
        first, weights, silu = _at(x, table, sizes, strides, s, b, i, DEGREE, HALVINGS, False)
        total = _edges(total, first, weights, silu, coef, base, sizes, s, i, o, DEGREE)
    rows = ((part * tl.num_programs(2) + s) * batch + b) * outputs
    tl.store(y + rows + o, tl.sum(total, 1), mask=(b < batch) & (o < outputs))


@triton.jit
def _backward_points(
    grad, x, coef, base, table, dx, sizes, strides, DEGREE: tl.constexpr, HALVINGS: tl.constexpr,
    TALL: tl.constexpr, DEEP: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """One program makes dx for TALL samples and DEEP inputs of a seed, WIDE outputs at a time."""
    batch, inputs, outputs, _ = sizes
    s, i = tl.program_id(2).to(tl.int64), tl.program_id(1) * DEEP + tl.arange(0, DEEP)[None, :]
    b = (tl.program_id(0) * TALL + tl.arange(0, TALL)).to(tl.int64)[:, None]
    first, slopes, silu = _at(x, table, sizes, strides, s, b, i, DEGREE, HALVINGS, True)
    total = tl.zeros((TALL, DEEP, WIDE), dx.dtype.element_ty)
    for begin in range(0, outputs, WIDE):
        o = begin + tl.arange(0, WIDE)[None, :]
        above = tl.load(grad + s * strides[6] + b * strides[7] + o * strides[8], mask=(b < batch) & (o < outputs), other=0.0)
        total += above[:, None, :] * _edges(tl.zeros_like(total), first, slopes, silu, coef, base, sizes, s, i, o, DEGREE)
    tl.store(dx + (s * batch + b) * inputs + i, tl.sum(total, 2), mask=(b < batch) & (i < inputs))


@triton.jit
def _backward_coefficients(
    grad, x, table, dcoef, dbase, sizes, strides, functions, share, DEGREE: tl.constexpr, HALVINGS: tl.constexpr,
    TALL: tl.constexpr, DEEP: tl.constexpr, HIGH: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """One program sums a share of the batch, for DEEP inputs, HIGH of their functions (and silu) and WIDE outputs of a seed."""
    batch, inputs, outputs, _ = sizes
    s, blocks = tl.program_id(2).to(tl.int64), tl.cdiv(outputs, WIDE)
    part, stacks = tl.program_id(1) // blocks, tl.cdiv(functions if dbase is None else functions + 1, HIGH)
    i = (tl.program_id(0) // stacks * DEEP + tl.arange(0, DEEP))[:, None]
    c = (tl.program_id(0) % stacks * HIGH + tl.arange(0, HIGH))[None, :, None]
    o = (tl.program_id(1) % blocks * WIDE + tl.arange(0, WIDE))[None, :]
    total = tl.zeros((DEEP * HIGH, WIDE), grad.dtype.element_ty)
    for begin in range(part * share, tl.minimum(part * share + share, batch), TALL):
        b = (begin + tl.arange(0, TALL)).to(tl.int64)
        first, weights, silu = _at(x, table, sizes, strides, s, b[None, :], i, DEGREE, HALVINGS, False)
        basis = tl.zeros((DEEP, HIGH, TALL), total.dtype)
        for r in tl.static_range(DEGREE + 1):
            basis = tl.where(c == (first + r)[:, None, :], weights[r][:, None, :], basis)
        basis = tl.reshape(tl.where(c == functions, silu[:, None, :], basis), (DEEP * HIGH, TALL))
        above = grad + s * strides[6] + b[:, None] * strides[7] + o * strides[8]
        above = tl.load(above, mask=(b < batch)[:, None] & (o < outputs), other=0.0)
        total = tl.dot(basis, above, total, input_precision="ieee", out_dtype=total.dtype)
    total = tl.reshape(total, (DEEP, HIGH, WIDE))
    lane, o = ((part * tl.num_programs(2) + s) * inputs + i)[:, :, None], o[None, :, :]
    there = (i < inputs)[:, :, None] & (o < outputs)
    if dcoef is not None:
        tl.store(dcoef + (lane * functions + c) * outputs + o, total, mask=there & (c < functions))
    if dbase is not None:
        tl.store(dbase + lane * outputs + o + 0 * c, total, mask=there & (c == functions))


def _power(size: int, least: int, most: int) -> int:
    return min(max(triton.next_power_of_2(size), least), most)


def _tile(x: Tensor, outputs: int, room: int) -> dict[str, int]:
    """Choose blocks for y and dx: up to 128 points, one per thread, whose sums in more than room bytes would spill."""
    deep = _power(x.shape[2], 1, 128 // _power(x.shape[1], 1, 16))
    tall, wide = _power(x.shape[1], 1, min(128 // deep, 32)), _power(outputs, 1, room // x.element_size())
    return {"TALL": tall, "DEEP": deep, "WIDE": wide, "num_warps": _power(tall * deep // 32, 1, 4)}


def _stack(inputs: int, functions: int, outputs: int) -> dict[str, int]:
    """Choose blocks for the coefficients' gradient: a matrix product of 16 to 64 rows and columns."""
    high, wide = _power(functions, 1, 64), _power(outputs, 16, 64)
    deep = _power(inputs, max(16 // high, 1), 64 // high)
    return {"TALL": 32, "DEEP": deep, "HIGH": high, "WIDE": wide, "num_warps": _power(deep * high * wide // 512, 1, 4)}


def _parts(length: int, block: int, programs: int) -> tuple[int, int]:
    """Divide loops of over 32 rounds where one network has few programs: return how many parts, and the length of each."""
    rounds = max(triton.cdiv(length, block), 1)
    share = triton.cdiv(rounds, min(triton.cdiv(rounds, 32), triton.cdiv(256, max(programs, 1))))
    return triton.cdiv(rounds, share), share * block


def _common(x: Tensor, table: Tensor, outputs: int, intervals: int, degree: int, uniform: bool, *above: int) -> dict[str, Any]:
    strides = *x.stride(), *table.expand(x.shape[0], x.shape[2], -1).stride(), *above
    spline = {"DEGREE": degree, "HALVINGS": 0 if uniform else (intervals + 2 * degree).bit_length()}
    # More stages would prefetch the knots as well; fusion is said, as Triton is to change its default.
    options = {"num_stages": 1, "enable_fp_fusion": True}
    return {"x": x, "table": table, "sizes": (*x.shape[1:], outputs, intervals), "strides": strides} | spline | options


def forward(x: Tensor, coef: Tensor, base: Tensor | None, table: Tensor, intervals: int, degree: int, uniform: bool) -> Tensor:
    """Return y (S, B, O) for x (S, B, I), of which no copy is made, coef (S, I, C, O) and base (S, I, O) or None."""
    (seeds, batch, inputs), outputs = x.shape, coef.shape[-1]
    coef, base = coef.contiguous(), base if base is None else base.contiguous()
    common, tile = _common(x, table, outputs, intervals, degree, uniform), _tile(x, outputs, room=128)
    rows, columns = triton.cdiv(batch, tile["TALL"]), triton.cdiv(outputs, tile["WIDE"])
    parts, share = _parts(inputs, tile["DEEP"], rows * columns)
    y = x.new_empty(parts, seeds, batch, outputs)
    with torch.cuda.device_of(x):
        _forward[rows, columns * parts, seeds](coef=coef, base=base, y=y, share=share, **common, **tile)
    return spread(y.sum(0) if parts > 1 else y[0], coef, base)


def backward(
    grad: Tensor, x: Tensor, coef: Tensor, base: Tensor | None, table: Tensor, intervals: int, degree: int, uniform: bool,
    need_x: bool, need_coef: bool, need_base: bool,
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:  # fmt: skip
    """Return dx, dcoef and dbase for grad = dy (S, B, O); None for what is not needed or not there."""
    (seeds, batch, inputs), outputs, functions = x.shape, coef.shape[-1], coef.shape[2] if need_coef else 0
    common = {"grad": grad} | _common(x, table, outputs, intervals, degree, uniform, *grad.stride())
    coef, base = coef.contiguous(), base if base is None else base.contiguous()
    dx, dcoef, dbase, need_base = None, None, None, need_base and base is not None
    with torch.cuda.device_of(x):
        if need_x:
            dx, tile = x.new_empty(x.shape), _tile(x, outputs, room=64)
            rows, columns = triton.cdiv(batch, tile["TALL"]), triton.cdiv(inputs, tile["DEEP"])
            _backward_points[rows, columns, seeds](coef=coef, base=base, dx=dx, **common, **tile)
        if need_coef or need_base:
            tile = _stack(inputs, functions + need_base, outputs)
            rows = triton.cdiv(inputs, tile["DEEP"]) * triton.cdiv(functions + need_base, tile["HIGH"])
            columns = triton.cdiv(outputs, tile["WIDE"])
            parts, share = _parts(batch, tile["TALL"], rows * columns)
            dcoef = x.new_empty(parts, *coef.shape) if need_coef else None
            dbase = x.new_empty(parts, seeds, inputs, outputs) if need_base else None
            made = {"dcoef": dcoef, "dbase": dbase, "functions": functions, "share": share}
            _backward_coefficients[rows, columns * parts, seeds](**common, **made, **tile)
            dcoef, dbase = (part if part is None else part.sum(0) if parts > 1 else part[0] for part in (dcoef, dbase))
    return dx, dcoef, dbase
