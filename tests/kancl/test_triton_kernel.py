"""Guards kancl.splines.triton_kernel against the dense backend: values, all gradients, and that it compiles for a GPU.

Triton decides when it is imported whether kernels are compiled or interpreted. So that neither leaks into other tests, both
kinds of checks run in a pytest of their own: ``interpret_*`` in Triton's interpreter, ``compile_*`` with its compiler.
"""

import os
import re
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import silu

from kancl.splines import MAX_DEGREE, Grid, KnotGrid, UniformGrid, spline

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed; it comes with torch for CUDA")

Layer = tuple[Tensor, Tensor, Tensor, Tensor]
Results = tuple[Tensor, ...]

KINDS = {"uniform": torch.float32, "uniform-each": torch.float64, "knots": torch.float64, "knots-each": torch.float32}
DTYPES = (torch.float32, torch.float64)
DEGREES = {torch.float32: (0, 3), torch.float64: range(MAX_DEGREE + 1)}
TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-12}
SHAPES = {  # (S, B, I, O, G)
    "one-input": (2, 9, 1, 4, 6),
    "one-output": (3, 9, 2, 1, 6),
    "one-of-all": (1, 1, 1, 1, 1),
    "empty": (2, 0, 3, 4, 6),
    "several-blocks": (1, 40, 3, 70, 5),
    "many-functions": (1, 40, 2, 3, 62),
}
COMPILED = [  # degree, kind, dtype, base, (S, B, I, O, G)
    (0, "knots", torch.float32, False, (1, 1, 1, 1, 2)),
    (3, "uniform", torch.float32, True, (128, 256, 256, 256, 5)),
    (2, "uniform", torch.float64, False, (128, 64, 32, 10, 8)),
    (5, "knots", torch.float64, True, (128, 256, 2, 8, 20)),
]


def older_than(name: str, *wanted: int) -> bool:
    return tuple(int(part) for part in version(name).split(".")[:2]) < wanted


def run_apart(prefix: str, *options: str, **variables: str) -> None:
    """Run the functions of this file whose names begin with the prefix, as tests, in a process of their own."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "TRITON_"))}
    command = [sys.executable, "-m", "pytest", __file__, "-q", "-p", "no:cacheprovider", "-o", f"python_functions={prefix}_*"]
    command += ["--noconftest", "-o", "addopts=--import-mode=importlib"]  # neither shapes nor data files: these take seconds
    done = subprocess.run([*command, *options], env=inherited | variables, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_the_kernels_in_the_interpreter_agree_with_dense() -> None:
    if older_than("triton", 3, 9) and not older_than("numpy", 2, 4):
        pytest.skip("the interpreter of older versions of Triton does not run on numpy 2.4")
    # numpy, which stands in for the GPU, warns of infinities.
    run_apart("interpret", "-W", "ignore::RuntimeWarning", TRITON_INTERPRET="1")


def test_the_kernels_compile_for_a_gpu(tmp_path: Path) -> None:
    run_apart("compile", TRITON_CACHE_DIR=str(tmp_path))


def make_grid(kind: str, degree: int, seeds: int, inputs: int, dtype: torch.dtype, intervals: int = 6) -> Grid:
    rng = np.random.default_rng(degree)
    lead = (seeds, inputs) if kind.endswith("each") else (1, 1)
    low = torch.as_tensor(rng.uniform(-2, -0.5, lead), dtype=dtype)
    if kind.startswith("uniform"):
        return UniformGrid(low, low + torch.as_tensor(rng.uniform(1, 3, lead), dtype=dtype), intervals, degree)
    steps = torch.as_tensor(rng.uniform(0.1, 0.8, (*lead, intervals + 2 * degree)), dtype=dtype)
    return KnotGrid(torch.cat([low[..., None], low[..., None] + steps.cumsum(-1)], -1), degree)


def known_of(grid: Grid) -> dict[str, Any]:
    uniform = isinstance(grid, UniformGrid)
    return {"table": grid.table, "intervals": grid.intervals, "degree": grid.degree, "uniform": uniform}


def make_layer(grid: Grid, seeds: int, batch: int, inputs: int, outputs: int, dtype: torch.dtype) -> Layer:
    """Return x, coef, base and grad: points inside all cells, beyond the ends, and on every knot that there is room for."""
    rng = np.random.default_rng(1)
    knots = grid.knots().double().expand(seeds, inputs, -1)
    first, last = knots[..., :1], knots[..., -1:]
    edges = torch.cat([first - 0.5, knots, last + 0.5], -1)
    cell = torch.as_tensor(rng.integers(0, edges.shape[-1] - 1, (seeds, inputs, batch)))
    share = torch.as_tensor(rng.uniform(0.05, 0.95, cell.shape))
    x = (1 - share) * edges.gather(-1, cell) + share * edges.gather(-1, cell + 1)
    x = x.to(dtype)
    if batch > 5:
        # Not the outer two knots: there a degree 1 spline has two slopes, and rounding decides between them.
        inner = grid.knots().expand(seeds, inputs, -1)[..., 1:-1][..., : batch // 2]
        x[..., : inner.shape[-1]] = inner
    shapes = (seeds, inputs, grid.coefficients, outputs), (seeds, inputs, outputs), (seeds, batch, outputs)
    coef, base, grad = (torch.as_tensor(rng.normal(size=shape), dtype=dtype) for shape in shapes)
    return x.mT.contiguous(), coef, base, grad


def by_dense(grid: Grid, x: Tensor, coef: Tensor, base: Tensor | None, grad: Tensor) -> Results:
    leaves = [leaf.detach().clone().requires_grad_() for leaf in (x, coef, base) if leaf is not None]
    y = spline(leaves[0], leaves[1], grid, "dense")
    if base is not None:
        y = y + silu(leaves[0]) @ leaves[2]
    return y.detach(), *torch.autograd.grad(y, leaves, grad, materialize_grads=True)


def by_triton(grid: Grid, x: Tensor, coef: Tensor, base: Tensor | None, grad: Tensor) -> Results:
    from kancl.splines import triton_kernel

    known = known_of(grid)
    y = triton_kernel.forward(x, coef, base, **known)
    gradients = triton_kernel.backward(grad, x, coef, base, **known, need_x=True, need_coef=True, need_base=True)
    return y, *(gradient for gradient in gradients if gradient is not None)


def assert_same(actual: Results, expected: Results) -> None:
    assert len(actual) == len(expected)
    for ours, theirs in zip(actual, expected, strict=True):
        assert ours.dtype == theirs.dtype
        assert ours.shape == theirs.shape
        size = max(1.0, float(theirs.nan_to_num().abs().max())) if theirs.numel() else 1.0
        torch.testing.assert_close(ours, theirs, rtol=0, atol=TOLERANCE[ours.dtype] * size, equal_nan=True)


# Single precision would not show more of a degree than double precision does.
AGREEING = [(degree, kind, dtype) for kind, dtype in KINDS.items() for degree in DEGREES[dtype]]


@pytest.mark.parametrize(("degree", "kind", "dtype"), AGREEING, ids=str)
def interpret_agreement(degree: int, kind: str, dtype: torch.dtype) -> None:
    grid = make_grid(kind, degree, 2, 3, dtype, intervals=4)
    x, coef, base, grad = make_layer(grid, 2, 14, 3, 4, dtype)
    assert_same(by_triton(grid, x, coef, base, grad), by_dense(grid, x, coef, base, grad))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("kind", ["uniform-each", "knots"])
def interpret_shapes(kind: str, shape: tuple[int, int, int, int, int]) -> None:
    *sizes, intervals = shape
    grid = make_grid(kind, 2, sizes[0], sizes[2], torch.float64, intervals)
    layer = make_layer(grid, *sizes, torch.float64)
    assert_same(by_triton(grid, *layer), by_dense(grid, *layer))


def interpret_weights_that_are_not_finite_make_their_outputs_nan() -> None:
    from kancl.splines import triton_kernel

    grid = make_grid("uniform", 3, 2, 2, torch.float32)
    x, coef, base, _ = make_layer(grid, 2, 9, 2, 4, torch.float32)
    for weights, place in ((coef, (1, 0, 2, 3)), (base, (0, 1, 2))):
        for value in (torch.nan, torch.inf):
            weights[place] = value
            with torch.no_grad():
                expected = spline(x, coef, grid, "dense", base=base)
            found = triton_kernel.forward(x, coef, base, **known_of(grid))
            assert found[place[0], :, place[-1]].isnan().all()
            assert torch.equal(found.isnan(), expected.isnan())
            weights[place] = 1.0


def interpret_many_seeds() -> None:
    grid = make_grid("knots-each", 1, 9, 1, torch.float64)
    layer = make_layer(grid, 9, 2, 1, 2, torch.float64)
    assert_same(by_triton(grid, *layer), by_dense(grid, *layer))


def interpret_sums_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    from kancl.splines import triton_kernel

    monkeypatch.setattr(triton_kernel, "_parts", lambda length, block, programs: (-(-length // block), block))
    grid = make_grid("uniform-each", 3, 2, 10, torch.float32)  # two parts of inputs, 8 and 2, and two of samples, 32 and 8
    layer = make_layer(grid, 2, 40, 10, 2, torch.float32)
    assert_same(by_triton(grid, *layer), by_dense(grid, *layer))


def interpret_without_base() -> None:
    grid = make_grid("uniform", 3, 2, 3, torch.float64)
    x, coef, _, grad = make_layer(grid, 2, 9, 3, 4, torch.float64)
    assert_same(by_triton(grid, x, coef, None, grad), by_dense(grid, x, coef, None, grad))


@pytest.mark.parametrize("needs", [(True, False, False), (False, True, False), (False, False, True), (False,) * 3], ids=str)
def interpret_only_what_is_needed(needs: tuple[bool, bool, bool]) -> None:
    from kancl.splines import triton_kernel

    grid = make_grid("uniform", 3, 2, 2, torch.float64)
    x, coef, base, grad = make_layer(grid, 2, 4, 2, 3, torch.float64)
    wanted = by_dense(grid, x, coef, base, grad)[1:]
    known = known_of(grid)
    made = triton_kernel.backward(grad, x, coef, base, **known, need_x=needs[0], need_coef=needs[1], need_base=needs[2])
    assert [gradient is not None for gradient in made] == list(needs)
    assert_same(tuple(g for g in made if g is not None), tuple(g for g, need in zip(wanted, needs, strict=True) if need))


def interpret_any_strides() -> None:
    grid = make_grid("uniform-each", 1, 2, 2, torch.float64)
    x, coef, base, grad = make_layer(grid, 2, 5, 2, 4, torch.float64)
    views = x[:1].expand(2, -1, -1), x.transpose(0, 1).contiguous().transpose(0, 1), x[:, ::2].transpose(1, 2).contiguous().mT
    for view in views:
        above = grad[:1, :1].expand(2, view.shape[1], -1)
        assert not view.is_contiguous()
        assert not above.is_contiguous()
        assert_same(by_triton(grid, view, coef, base, above), by_dense(grid, view, coef, base, above))
    turned = coef.mT.contiguous().mT, base.mT.contiguous().mT
    assert_same(by_triton(grid, x, *turned, grad), by_dense(grid, x, *turned, grad))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("intervals", [1, 20])
@pytest.mark.parametrize("kind", ["uniform", "knots"])
def interpret_cells_at_the_knots(kind: str, intervals: int, dtype: torch.dtype) -> None:
    from kancl.splines import triton_kernel

    low = torch.tensor([-1.0, 0.0, -0.3, 0.1, -2.3, -1 / 3], dtype=dtype)[:, None]
    high = torch.tensor([1.0, 1.0, 0.7, 0.7, 4.9, 5.1], dtype=dtype)[:, None]
    grid: Grid = UniformGrid(low, high, intervals, degree=0)
    if kind == "knots":
        grid = KnotGrid(grid.knots(), degree=0)
    knots = grid.knots().squeeze(1)
    far = torch.tensor(torch.inf, dtype=dtype)
    x = torch.cat([knots, knots.nextafter(far), knots.nextafter(-far)], 1)[..., None]
    coef = torch.arange(1, intervals + 1, dtype=dtype).expand(6, 1, 1, -1).mT.contiguous()
    assert torch.equal(triton_kernel.forward(x, coef, None, **known_of(grid)), spline(x, coef, grid, "dense"))


@pytest.mark.parametrize("kind", ["uniform", "knots"])
@pytest.mark.parametrize("degree", [0, 1, 5])
def interpret_beyond_the_knots(degree: int, kind: str) -> None:
    grid = make_grid(kind, degree, 1, 1, torch.float32)
    first, last = grid.knots().flatten()[[0, -1]].tolist()
    beyond = [-np.inf, -1e30, first - 1e-3, last + 1e-3, 1e30, np.inf]
    x = torch.tensor(beyond, dtype=torch.float32).view(1, -1, 1)
    _, coef, base, grad = make_layer(grid, 1, 6, 1, 2, torch.float32)
    for result in by_triton(grid, x, coef, None, grad):
        assert torch.equal(result, torch.zeros_like(result))
    finite = x[:, 1:-1]
    assert_same(by_triton(grid, finite, coef, base, grad[:, 1:-1]), by_dense(grid, finite, coef, base, grad[:, 1:-1]))


@pytest.mark.parametrize("kind", ["uniform", "knots"])
@pytest.mark.parametrize("degree", [0, 3])
def interpret_nan(degree: int, kind: str) -> None:
    grid = make_grid(kind, degree, 2, 3, torch.float64)
    x, coef, base, grad = make_layer(grid, 2, 4, 3, 2, torch.float64)
    healthy = by_triton(grid, x, coef, base, grad)
    x[1, 3, 1] = torch.nan
    y, dx, dcoef, dbase = by_triton(grid, x, coef, base, grad)
    assert_same((y, dcoef, dbase), (lambda y, _, dcoef, dbase: (y, dcoef, dbase))(*by_dense(grid, x, coef, base, grad)))
    assert y[1, 3].isnan().all()
    assert dx[1, 3, 1].isnan()
    others = torch.ones(x.shape, dtype=torch.bool)
    others[1, 3, 1] = False
    assert torch.equal(dx[others], healthy[1][others])


@pytest.mark.parametrize("kind", ["uniform", "knots-each"])
@pytest.mark.parametrize("degree", [0, 3])
def interpret_idle_coefficients(degree: int, kind: str) -> None:
    grid = make_grid(kind, degree, 2, 2, torch.float32, intervals=20)
    knots, cell = grid.knots().expand(2, 2, -1), degree + 4
    x = (0.3 * knots[..., cell] + 0.7 * knots[..., cell + 1])[:, None]
    _, coef, base, grad = make_layer(grid, 2, 1, 2, 3, torch.float32)
    dcoef = by_triton(grid, x, coef, base, grad)[2]
    busy = torch.zeros(grid.coefficients, dtype=torch.bool)
    busy[cell - degree : cell + 1] = True
    assert (dcoef[:, :, busy] != 0).all()
    assert torch.equal(dcoef[:, :, ~busy], torch.zeros_like(dcoef[:, :, ~busy]))


@pytest.mark.parametrize("kind", ["uniform-each", "knots-each"])
def interpret_the_same_again_and_alone(kind: str) -> None:
    grid = make_grid(kind, 3, 2, 2, torch.float32)
    layer = make_layer(grid, 2, 6, 2, 4, torch.float32)
    once, again = by_triton(grid, *layer), by_triton(grid, *layer)
    own: Grid
    if isinstance(grid, UniformGrid):
        own = UniformGrid(grid.low[1:2], grid.high[1:2], grid.intervals, 3)
    else:
        own = KnotGrid(grid.extended[1:2], 3)
    alone = by_triton(own, *(part[1:2] for part in layer))
    for first, second, single in zip(once, again, alone, strict=True):
        assert torch.equal(first, second)
        assert torch.equal(first[1:2], single)


def interpret_sizes_of_blocks() -> None:
    from kancl.splines import triton_kernel

    for batch, inputs, outputs in product((0, 1, 5, 16, 100, 5000), (1, 2, 3, 64, 784), (1, 3, 10, 64, 1000)):
        tile = triton_kernel._tile(torch.empty(1, batch, inputs), outputs, room=128)
        stack = triton_kernel._stack(inputs, outputs, outputs)
        assert all(size & (size - 1) == 0 for size in (*tile.values(), *stack.values()))
        assert 1 <= tile["TALL"] * tile["DEEP"] <= 128
        assert 16 <= stack["DEEP"] * stack["HIGH"] <= 64
    for length, block, programs in product((0, 1, 31, 784, 100_000), (1, 32), (0, 1, 100, 1000)):
        parts, share = triton_kernel._parts(length, block, programs)
        assert share % block == 0
        assert (parts - 1) * share < max(length, 1) <= max(parts * share, 1)


@pytest.mark.parametrize(("degree", "kind", "dtype", "base", "shape"), COMPILED, ids=str)
def compile_for_hopper(
    degree: int, kind: str, dtype: torch.dtype, base: bool, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    import triton
    from triton.backends.compiler import GPUTarget

    from kancl.splines import triton_kernel

    if dtype == torch.float64 and older_than("triton", 3, 5):
        pytest.skip("this version of Triton multiplies no float64 matrices")

    class Hopper:
        """Stands in for the driver of a GPU: enough to compile for one, not to launch."""

        get_current_target = staticmethod(lambda: GPUTarget("cuda", 90, 32))
        get_current_device = staticmethod(lambda: 0)
        get_current_stream = staticmethod(lambda device: 0)

    triton.runtime.driver.set_active(Hopper())
    made: dict[str, dict[str, Any]] = {}
    for name in ("_forward", "_backward_points", "_backward_coefficients"):
        kernel = getattr(triton_kernel, name)

        def compile_only(*args: Any, name: str = name, run: Any = kernel.run, **options: Any) -> None:
            made[name] = run(*args, **options | {"warmup": True}).asm

        monkeypatch.setattr(kernel, "run", compile_only)
    seeds, batch, inputs, outputs, intervals = shape
    grid = make_grid(kind, degree, 1, 1, dtype, intervals)
    x, grad = torch.empty(1, batch, inputs, dtype=dtype), torch.empty(1, 1, 1, dtype=dtype)
    coef = torch.empty(1, 1, 1, 1, dtype=dtype).expand(seeds, inputs, intervals + degree, outputs)
    own = torch.empty(1, 1, 1, dtype=dtype).expand(seeds, inputs, outputs) if base else None
    by_triton(grid, x.expand(seeds, -1, -1), coef, own, grad.expand(seeds, batch, outputs))
    assert set(made) == {"_forward", "_backward_points", "_backward_coefficients"}
    for binary in made.values():
        assert binary["cubin"]
        assert not re.search(r"\b(atom|red)\.|tf32", binary["ptx"])  # neither atomics nor rounded products
        if kind == "uniform" and dtype == torch.float32:
            assert "div.rn.f32" in binary["ptx"]
