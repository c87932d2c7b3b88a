"""Guards the fused spline layer as torch sees it: derivatives of every order, transforms, tracing, memory, bits, odd tensors.

That its numbers are the definition's is the business of test_splines.py; here they are compared where the way to them differs.
"""

import copy
import io
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, combinations, pairwise, product
from typing import Any

import jaxtyping
import pytest
import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.autograd import forward_ad
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from kancl.errors import InputError
from kancl.models import Problem, copy_seed
from kancl.models.kan import KAN, kan
from kancl.models.layers import SplineLayer
from kancl.splines import Grid, KnotGrid, UniformGrid, explain, native, spline, unavailable
from kancl.splines.fused import form

SINGLE, DOUBLE = torch.float32, torch.float64
ABSENT = unavailable("native", torch.zeros(0), UniformGrid.over(-1.0, 1.0, 1, 3))
pytestmark = pytest.mark.skipif(ABSENT is not None, reason=f"no native backend here: {ABSENT}")

KINDS = ("uniform", "uniform-each", "knots", "knots-each")
over_kinds = pytest.mark.parametrize("kind", KINDS)
over_bases = pytest.mark.parametrize("based", [True, False], ids=["base", "no-base"])
over_movable = pytest.mark.parametrize("movable", [False, True], ids=["uniform", "knots"])


class Case:
    """A layer's arguments: x, coef, base (or None) and grid."""

    def __init__(
        self,
        seeds: int = 2,
        batch: int = 4,
        inputs: int = 3,
        outputs: int = 2,
        *,
        kind: str = "uniform-each",
        based: bool = True,
        dtype: torch.dtype = DOUBLE,
        intervals: int = 4,
        degree: int = 3,
        key: int = 0,
    ) -> None:
        source = torch.Generator().manual_seed(key)

        def draw(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=source, dtype=DOUBLE)

        lead = (seeds, inputs) if kind.endswith("each") else (1, 1)
        self.grid: Grid
        if kind.startswith("uniform"):
            low = -0.5 - draw(*lead)
            self.grid = UniformGrid(low.to(dtype), (low + 1 + draw(*lead)).to(dtype), intervals, degree)
        else:
            steps = (0.3 + draw(*lead, intervals + 2 * degree + 1)) / intervals
            self.grid = KnotGrid((steps.cumsum(-1) - steps.sum(-1, keepdim=True) / 2).to(dtype), degree)
        self.x = (2.4 * draw(seeds, batch, inputs) - 1.2).to(dtype)
        self.coef = (draw(seeds, inputs, intervals + degree, outputs) - 0.5).to(dtype)
        self.base = (draw(seeds, inputs, outputs) - 0.5).to(dtype) if based else None
        self.form = form(self.grid)

    @property
    def tensors(self) -> list[Tensor]:
        return [tensor for tensor in (self.x, self.coef, self.base) if tensor is not None]

    def evaluate(self, x: Tensor, coef: Tensor, base: Tensor | None = None, backend: str = "native") -> Tensor:
        return spline(x, coef, self.grid, backend, base=base)  # type: ignore[arg-type]

    def results(self, backend: str = "native") -> list[Tensor]:
        """Return y and the gradients in x, coef and base of a weighted sum of it."""
        inputs = [tensor.detach().requires_grad_() for tensor in self.tensors]
        y = self.evaluate(*inputs, backend=backend)
        weights = torch.linspace(0.5, 1.5, y.numel(), dtype=y.dtype).view(y.shape)
        return [y.detach(), *torch.autograd.grad(y, inputs, weights)]


def assert_same_bits(actual: Sequence[Tensor], expected: Sequence[Tensor]) -> None:
    for ours, theirs in zip(actual, expected, strict=True):
        assert ours.dtype == theirs.dtype
        assert torch.equal(ours, theirs)


def assert_close(actual: Any, expected: Any, **tolerance: float) -> None:
    torch.testing.assert_close(actual, expected, **tolerance)


def subsets(based: bool) -> list[tuple[str, ...]]:
    names = ("x", "coef", "base") if based else ("x", "coef")
    return list(chain.from_iterable(combinations(names, count) for count in range(1, len(names) + 1)))


NEEDS = [
    pytest.param(based, need, id=("base " if based else "") + ",".join(need)) for based in (1, 0) for need in subsets(based)
]


@pytest.fixture
def no_leftovers() -> Iterator[None]:
    """Fill new memory with NaN, so that what is never written is seen."""
    torch.use_deterministic_algorithms(True)
    assert torch.empty(3).isnan().all()
    yield
    torch.use_deterministic_algorithms(False)


# Derivatives.


@pytest.mark.parametrize("kind", ["uniform-each", "knots"])
@pytest.mark.parametrize(("based", "need"), NEEDS)
def test_first_and_second_derivatives_are_finite_differences(kind: str, based: bool, need: tuple[str, ...]) -> None:
    case = Case(2, 2, 2, 2, kind=kind, based=based, intervals=2)
    for name in need:
        getattr(case, name).requires_grad_()
    assert torch.autograd.gradcheck(case.evaluate, case.tensors)
    assert torch.autograd.gradgradcheck(case.evaluate, case.tensors, fast_mode=True)  # along one direction drawn at random


@over_bases
@over_kinds
def test_third_and_fourth_derivatives_are_denses(kind: str, based: bool) -> None:
    """As in a loss on the second derivative of y, and the gradient of a penalty on that loss's own gradient."""

    def derivatives(backend: str) -> list[Tensor]:
        case = Case(kind=kind, based=based)
        inputs = [tensor.requires_grad_() for tensor in case.tensors]
        y = case.evaluate(*inputs, backend=backend)
        (slope,) = torch.autograd.grad(y.pow(2).sum(), inputs[0], create_graph=True)
        (bend,) = torch.autograd.grad(slope.sum(), inputs[0], create_graph=True)
        third = torch.autograd.grad(bend.pow(2).sum(), inputs, create_graph=True)
        fourth = torch.autograd.grad(sum(part.pow(2).sum() for part in third), inputs)
        return [y, slope, bend, *third, *fourth]

    actual, expected = derivatives("native"), derivatives("dense")
    assert all(bool(tensor.abs().max() > 1e-3) for tensor in expected)
    assert_close(actual, expected, rtol=1e-9, atol=1e-9)


def test_a_loss_on_the_second_derivative_reaches_the_coefficients() -> None:
    """d/dcoef of (d2y/dx2)^2 by hand: y'' is linear in the coefficients, so half the gradient times them is the loss."""
    case = Case(based=False)
    x, coef = (tensor.requires_grad_() for tensor in case.tensors)
    (slope,) = torch.autograd.grad(case.evaluate(x, coef)[..., 0].sum(), x, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), x, create_graph=True)
    loss = bend.pow(2).sum()
    (gradient,) = torch.autograd.grad(loss, coef)
    assert loss > 1
    assert_close((gradient * coef).sum() / 2, loss)


def test_gradients_of_many_outputs_at_once_are_those_one_by_one() -> None:
    case = Case(seeds=1)
    for argument in range(3):

        def through(tensor: Tensor, argument: int = argument) -> Tensor:
            arguments = list(case.tensors)
            arguments[argument] = tensor
            return case.evaluate(*arguments)

        one_by_one = torch.autograd.functional.jacobian(through, case.tensors[argument])
        at_once = torch.autograd.functional.jacobian(through, case.tensors[argument], vectorize=True)
        assert_close(at_once, one_by_one)


@pytest.mark.parametrize("reentrant", [True, False])
def test_recomputing_the_layer_in_the_backward_pass_gives_the_same_gradients(reentrant: bool) -> None:
    case = Case()

    def gradients(run: Callable[..., Tensor]) -> tuple[Tensor, ...]:
        inputs = [tensor.detach().requires_grad_() for tensor in case.tensors]
        return torch.autograd.grad(run(*inputs).pow(2).sum(), inputs) if not reentrant else leaves(run(*inputs), inputs)

    def leaves(y: Tensor, inputs: list[Tensor]) -> tuple[Tensor, ...]:
        y.pow(2).sum().backward()
        return tuple(tensor.grad for tensor in inputs if tensor.grad is not None)

    recomputed = gradients(lambda *inputs: checkpoint(case.evaluate, *inputs, use_reentrant=reentrant))
    assert_same_bits(recomputed, gradients(case.evaluate))


# The operator.


@over_bases
@pytest.mark.parametrize("kind", ["uniform", "knots-each"])
@pytest.mark.parametrize("dtype", [SINGLE, DOUBLE], ids=str)
@pytest.mark.parametrize("requires_grad", [True, False], ids=["grad", "no-grad"])
def test_the_operator_keeps_torchs_rules(kind: str, based: bool, dtype: torch.dtype, requires_grad: bool) -> None:
    case = Case(kind=kind, based=based, dtype=dtype)
    for tensor in case.tensors:
        tensor.requires_grad_(requires_grad)
    torch.library.opcheck(torch.ops.kancl.spline, (case.x, case.coef, case.base, case.grid.table, *case.form))


@pytest.mark.parametrize("kind", ["uniform-each", "knots"])
@pytest.mark.parametrize(("based", "need"), NEEDS)
def test_the_backward_operator_keeps_torchs_rules(kind: str, based: bool, need: tuple[str, ...]) -> None:
    case = Case(kind=kind, based=based)
    grad, needed = torch.ones_like(case.evaluate(*case.tensors)), [name in need for name in ("x", "coef", "base")]
    arguments = (grad, case.x, case.coef, case.base, case.grid.table, *case.form, *needed)
    torch.library.opcheck(torch.ops.kancl.spline_backward, arguments)


@over_bases
@over_kinds
def test_the_operator_gives_what_the_short_way_gives(kind: str, based: bool) -> None:
    case = Case(kind=kind, based=based)
    inputs = [tensor.detach().requires_grad_() for tensor in case.tensors]
    y = torch.ops.kancl.spline(*inputs[:2], inputs[2] if based else None, case.grid.table, *case.form)
    weights = torch.linspace(0.5, 1.5, y.numel(), dtype=y.dtype).view(y.shape)
    assert_same_bits([y.detach(), *torch.autograd.grad(y, inputs, weights)], case.results())


def test_a_second_derivative_of_the_operator_is_refused_and_not_wrong() -> None:
    case = Case()
    x = case.x.requires_grad_()
    y = torch.ops.kancl.spline(x, case.coef, case.base, case.grid.table, *case.form)
    (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="spline_backward"):
        torch.autograd.grad(slope.pow(2).sum(), x)


@pytest.mark.parametrize("kind", ["uniform", "knots-each"])
@pytest.mark.parametrize(("based", "need"), NEEDS)
def test_flops_are_counted_by_the_formula_and_nothing_else_is_counted(kind: str, based: bool, need: tuple[str, ...]) -> None:
    seeds, batch, inputs, outputs, degree = 2, 5, 3, 4, 2
    case = Case(seeds, batch, inputs, outputs, kind=kind, based=based, degree=degree)
    for name in need:
        getattr(case, name).requires_grad_()
    with FlopCounterMode(display=False) as counter:
        case.evaluate(*case.tensors).sum().backward()
    edges = 2 * seeds * batch * inputs * outputs
    forward = edges * (degree + 1 + based)
    inward = forward if "x" in need else 0
    outward = edges * (degree + 1 + ("base" in need)) if {"coef", "base"} & set(need) else 0
    ops = torch.ops.kancl
    assert counter.get_flop_counts()["Global"] == {ops.spline: forward, ops.spline_backward: inward + outward}


def test_flops_of_a_network_are_those_of_its_layers() -> None:
    seeds, batch, widths, degree = 2, 6, (3, 5, 2), 3
    network = kan(make_problem(seeds), hidden=(5,), degree=degree)
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(seeds, batch, 3)).sum().backward()
    passes = [2 * seeds * batch * i * o * (degree + 2) for i, o in pairwise(widths)]
    ops, first = torch.ops.kancl, passes[0]  # whose x needs no gradient
    assert counter.get_flop_counts()["Global"] == {ops.spline: sum(passes), ops.spline_backward: 2 * sum(passes) - first}


# torch.func.


@pytest.mark.parametrize("seeds", [1, 2])
@over_bases
@over_kinds
@pytest.mark.parametrize("way", ["spline", "operator"])
def test_a_mapped_layer_is_a_loop(way: str, kind: str, based: bool, seeds: int) -> None:
    count, dims = 3, {"x": 1, "coef": -1, "base": 0}
    cases = [Case(seeds, kind=kind, based=based, key=key) for key in range(count)]
    case = cases[0]

    def layer(x: Tensor, coef: Tensor, *base: Tensor) -> Tensor:
        if way == "spline":
            return case.evaluate(x, coef, *base)
        return torch.ops.kancl.spline(x, coef, base[0] if base else None, case.grid.table, *case.form)

    names = ("x", "coef", "base")[: len(case.tensors)]
    for mapped in subsets(based):
        chosen = [[getattr(cases[n if name in mapped else 0], name) for name in names] for n in range(count)]
        expected = torch.stack([case.evaluate(*arguments, backend="dense") for arguments in chosen])
        in_dims = tuple(dims[name] if name in mapped else None for name in names)
        stacked = [
            parts[0] if dim is None else torch.stack(parts, dim)
            for dim, parts in zip(in_dims, zip(*chosen, strict=True), strict=True)
        ]
        assert_close(torch.func.vmap(layer, in_dims)(*stacked), expected)


@pytest.mark.parametrize("lead", [(1, 1), (1, 3), (2, 1), (2, 3)], ids=str)
@pytest.mark.parametrize("uniform", [True, False])
def test_the_grid_may_be_mapped_as_well(uniform: bool, lead: tuple[int, int]) -> None:
    case, source = Case(), torch.Generator().manual_seed(5)
    steps = 0.3 + torch.rand(3, *lead, 2 if uniform else 11, generator=source, dtype=DOUBLE)
    places = steps.cumsum(-1) - (1.5 if uniform else 5)

    def layer(place: Tensor, x: Tensor, backend: str = "native") -> Tensor:
        grid: Grid = KnotGrid(place, 3, check=False)
        if uniform:
            grid = UniformGrid(place[..., 0], place[..., 1], 4, 3, check=False)
        return spline(x, case.coef, grid, backend, base=case.base)  # type: ignore[arg-type]

    expected = torch.stack([layer(place, case.x, "dense") for place in places])
    assert_close(torch.func.vmap(layer, (0, None))(places, case.x), expected)
    expected = torch.stack([layer(place, case.x + n, "dense") for n, place in enumerate(places)])
    moved = torch.stack([case.x + n for n in range(3)])
    assert_close(torch.func.vmap(layer)(places, moved), expected)


@over_bases
@over_kinds
def test_per_sample_gradients_are_a_loop_over_samples(kind: str, based: bool) -> None:
    case = Case(2, 5, kind=kind, based=based)

    def loss(x: Tensor, *weights: Tensor) -> Tensor:
        return case.evaluate(x[:, None], *weights).pow(2).sum()

    arguments = tuple(range(len(case.tensors)))
    per_sample = torch.func.vmap(torch.func.grad(loss, arguments), (1, *[None] * (len(arguments) - 1)))
    expected = []
    for n in range(5):
        inputs = [tensor.detach().requires_grad_() for tensor in (case.x[:, n], *case.tensors[1:])]
        y = case.evaluate(inputs[0][:, None], *inputs[1:], backend="dense")
        expected.append(torch.autograd.grad(y.pow(2).sum(), inputs))
    assert_close(per_sample(*case.tensors), tuple(map(torch.stack, zip(*expected, strict=True))))


def test_gradients_mapped_over_networks_are_a_loop_over_networks() -> None:
    cases = [Case(key=key) for key in range(3)]
    stacked = [torch.stack(parts) for parts in zip(*(case.tensors for case in cases), strict=True)]

    def loss(x: Tensor, coef: Tensor, base: Tensor) -> Tensor:
        return cases[0].evaluate(x, coef, base).pow(2).sum()

    each = [torch.func.grad(loss, (0, 1, 2))(*case.tensors) for case in cases]
    assert_close(torch.func.vmap(torch.func.grad(loss, (0, 1, 2)))(*stacked), tuple(map(torch.stack, zip(*each, strict=True))))


def test_the_jacobian_of_torch_func_is_denses() -> None:
    case = Case()

    def jacobians(backend: str) -> Any:
        return torch.func.jacrev(lambda *inputs: case.evaluate(*inputs, backend=backend), (0, 1, 2))(*case.tensors)

    assert_close(jacobians("native"), jacobians("dense"))


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")  # torch's own use of it
@over_bases
@over_kinds
def test_derivatives_in_forward_mode_are_denses(kind: str, based: bool) -> None:
    case = Case(kind=kind, based=based)
    places = tuple(range(len(case.tensors)))
    directions = tuple(torch.cos(7 * tensor) for tensor in case.tensors)

    def derivatives(backend: str) -> Any:
        def layer(*inputs: Tensor) -> Tensor:
            return case.evaluate(*inputs, backend=backend)

        def error(*inputs: Tensor) -> Tensor:
            return layer(*inputs).pow(2).sum()

        with forward_ad.dual_level():
            duals = [forward_ad.make_dual(*pair) for pair in zip(case.tensors, directions, strict=True)]
            tangent = forward_ad.unpack_dual(layer(*duals)).tangent
        inputs = tuple(case.tensors)
        return (
            tangent,
            torch.func.jvp(layer, inputs, directions)[1],
            torch.func.jvp(torch.func.grad(error, places), inputs, directions)[1],
            torch.func.jacfwd(layer, places)(*inputs),
            torch.func.hessian(error)(*inputs),
        )

    assert_close(derivatives("native"), derivatives("dense"))


def test_networks_with_swapped_parameters_map_over_them() -> None:
    network = kan(make_problem(1), hidden=(4,))
    x = torch.rand(1, 6, 3)
    others = [
        {name: parameter + n for name, parameter in network.named_parameters() if parameter.requires_grad} for n in range(3)
    ]
    expected = torch.stack([torch.func.functional_call(network, other, (x,)) for other in others])
    stacked = {name: torch.stack([other[name] for other in others]) for name in others[0]}
    mapped = torch.func.vmap(lambda weights: torch.func.functional_call(network, weights, (x,)))(stacked)
    assert_close(mapped, expected)


def test_a_second_derivative_under_torch_func_is_refused_and_the_way_out_told() -> None:
    case = Case()
    slope = torch.func.grad(lambda x: case.evaluate(x, case.coef).pow(2).sum())
    with pytest.raises(NotImplementedError, match='backend="dense"'):
        torch.func.grad(lambda x: slope(x).sum())(case.x)


# torch.compile.


@pytest.fixture
def compiling() -> Iterator[None]:
    """No compiled graph of another test, and no checks of annotations, which a compiler cannot follow."""
    import torch._dynamo  # on use: slow to import

    torch._dynamo.reset()
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
    torch._dynamo.reset()


def make_problem(seeds: int, dtype: torch.dtype = SINGLE) -> Problem:
    low = torch.full((seeds, 3), -1.0, dtype=dtype)
    return Problem(3, 2, tuple(range(seeds)), low, -low, dtype=dtype)


@pytest.mark.parametrize("grid", ["fixed", "each-task"])
def test_a_compiled_network_is_the_eager_one_for_every_batch_size(compiling: None, grid: str) -> None:
    from torch._dynamo.testing import CompileCounterWithBackend

    network = kan(make_problem(2, DOUBLE), hidden=(5,), grid=grid, scales="trainable", bias=True)
    graphs = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(network, backend=graphs, fullgraph=True)

    def results(run: Callable[[Tensor], Tensor], x: Tensor) -> list[Tensor]:
        x = x.clone().requires_grad_()
        parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        y = run(x)
        return [y.detach(), *torch.autograd.grad(y.pow(2).sum(), [x, *parameters])]

    for batch in (4, 7, 30, 5):
        x = torch.rand(2, batch, 3, dtype=DOUBLE) * 3 - 1.5
        assert_close(results(compiled, x), results(network, x))
    assert graphs.frame_count <= 2, "one for the first batch size, one for all others"
    if grid == "each-task":
        network.begin_task(torch.rand(2, 40, 3, dtype=DOUBLE) + 1)
        x = torch.rand(2, 7, 3, dtype=DOUBLE) + 1
        assert_close(results(compiled, x), results(network, x))
        assert graphs.frame_count <= 2, "moved knots are other numbers, not another program"


def test_a_network_is_exported_whole(compiling: None) -> None:
    network = kan(make_problem(2), hidden=(5,))
    x = torch.rand(2, 6, 3)
    program = torch.export.export(network, (x,))
    assert [node.target for node in program.graph.nodes].count(torch.ops.kancl.spline.default) == 2
    assert_close(program.module()(x), network(x))


# Tensors of other kinds.


@over_bases
@pytest.mark.parametrize("kind", ["uniform", "knots"])
@pytest.mark.parametrize("batch", [0, 6])
def test_fake_tensors_get_shapes_without_numbers(kind: str, based: bool, batch: int) -> None:
    case = Case(2, batch, 3, 5, kind=kind, based=based)
    with FakeTensorMode() as mode:
        inputs = [mode.from_tensor(tensor).requires_grad_() for tensor in case.tensors]
        grid: Grid
        if isinstance(case.grid, UniformGrid):
            ends = mode.from_tensor(case.grid.low), mode.from_tensor(case.grid.high)
            grid = UniformGrid(*ends, case.grid.intervals, 3, check=False)
        else:
            grid = KnotGrid(mode.from_tensor(case.grid.extended), 3, check=False)
        y = spline(*inputs[:2], grid, base=inputs[2] if based else None)
        gradients = torch.autograd.grad(y.sum(), inputs)
    assert y.shape == (2, batch, 5)
    assert y.dtype == DOUBLE
    assert [gradient.shape for gradient in gradients] == [tensor.shape for tensor in case.tensors]


class Tagged(Tensor):
    """A subclass that only has another name."""


class Wrapped(Tensor):
    """A subclass without numbers of its own: they are in ``inner``."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> "Wrapped":
        made = Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)
        made.inner = inner
        return made

    def data_ptr(self) -> int:
        raise TypeError("there is nothing to point to")

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        args, kwargs = torch.utils._pytree.tree_map_only(Wrapped, lambda wrapped: wrapped.inner, (args, kwargs or {}))
        return function(*args, **kwargs)


@pytest.mark.parametrize("wrapped", ["x", "coef", "base", "grid"])
def test_a_tensor_that_only_wraps_another_counts_as_that_one(wrapped: str) -> None:
    case = Case(kind="knots-each")
    expected = case.results()[0]
    if wrapped == "grid":
        case.grid = KnotGrid(Wrapped(case.grid.table), 3, check=False)
    else:
        setattr(case, wrapped, Wrapped(getattr(case, wrapped)))
    y = case.evaluate(case.x, case.coef, case.base)
    assert_close(y, expected, rtol=0, atol=0)


@pytest.mark.parametrize("tagged", ["x", "coef", "base"])
def test_a_tensor_of_a_subclass_gives_the_same_numbers_and_gradients(tagged: str) -> None:
    case = Case()
    expected = case.results()
    setattr(case, tagged, getattr(case, tagged).as_subclass(Tagged))
    assert_same_bits([result.as_subclass(Tensor) for result in case.results()], expected)


# Strides.

LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "axes turned": lambda t: t.permute(*reversed(range(t.ndim))).contiguous().permute(*reversed(range(t.ndim))),
    "every second": lambda t: torch.stack([t, torch.full_like(t, torch.nan)], -1).flatten(-2)[..., ::2],
    "rows apart": lambda t: torch.cat([t, torch.full_like(t, torch.nan)], 1)[:, : t.shape[1]],
    "seeds apart": lambda t: torch.stack([t, torch.full_like(t, torch.nan)], 1)[:, 0],
    "one number further": lambda t: torch.cat([t.new_full((1,), torch.nan), t.flatten()])[1:].view(t.shape),
    "columns apart": lambda t: torch.cat([torch.full_like(t, torch.nan), t], -1)[..., t.shape[-1] :],
}


@pytest.mark.parametrize("which", ["x", "coef", "base", "grad", "knots"])
@pytest.mark.parametrize("shape", [(2, 70, 3, 33), (1, 4, 2, 5), (3, 1, 4, 1), (2, 5, 1, 3)], ids=str)
def test_the_layout_in_memory_does_not_matter(shape: tuple[int, ...], which: str) -> None:
    case = Case(*shape, kind="knots-each", dtype=SINGLE)

    def results(turn: Callable[[Tensor], Tensor]) -> list[Tensor]:
        tensors = {"x": case.x, "coef": case.coef, "base": case.base, "knots": case.grid.knots()}
        tensors["grad"] = torch.linspace(-1, 1, shape[0] * shape[1] * shape[3]).view(shape[0], shape[1], shape[3])
        laid = {name: turn(tensor) if name == which else tensor for name, tensor in tensors.items()}  # type: ignore[arg-type]
        inputs = [laid[name].detach().requires_grad_() for name in ("x", "coef", "base")]
        y = spline(*inputs[:2], KnotGrid(laid["knots"], 3), "native", base=inputs[2])
        return [y.detach(), *torch.autograd.grad(y, inputs, laid["grad"])]

    plain = results(lambda tensor: tensor)
    for layout in LAYOUTS.values():
        assert_same_bits(results(layout), plain)


def test_a_gradient_that_is_one_number_everywhere_is_read_as_such() -> None:
    case = Case(dtype=SINGLE)
    inputs = [tensor.requires_grad_() for tensor in case.tensors]
    y = case.evaluate(*inputs)
    expanded = torch.autograd.grad(y, inputs, torch.full((), 0.7).expand_as(y), retain_graph=True)
    assert_same_bits(expanded, torch.autograd.grad(y, inputs, torch.full(y.shape, 0.7)))


@over_kinds
def test_seeds_that_share_their_points_are_seeds_with_copies_of_them(kind: str) -> None:
    case = Case(5, 40, 3, 4, kind=kind)
    shared = case.x[:1].requires_grad_()
    case.x = shared.detach().expand(5, -1, -1).contiguous()
    y, of_x, *others = case.results()
    x = shared.expand(5, -1, -1)
    assert x.stride(0) == 0
    weights = [case.coef.requires_grad_(), case.base.requires_grad_()]  # type: ignore[union-attr]
    found = case.evaluate(x, *weights)
    grad = torch.linspace(0.5, 1.5, y.numel(), dtype=y.dtype).view(y.shape)
    of_shared, *found_others = torch.autograd.grad(found, [shared, *weights], grad)
    assert_same_bits([found.detach(), *found_others], [y, *others])
    assert_close(of_shared, of_x.sum(0, keepdim=True), rtol=1e-13, atol=1e-13)


def test_an_argument_changed_before_the_backward_pass_is_noticed() -> None:
    case = Case()
    y = case.evaluate(case.x, case.coef.requires_grad_())
    case.x.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


# Bits.

BITS = {  # (S, B, I, O): strips of all widths, sorted by cell and not, one block of points and several
    "small": (4, 6, 3, 5),
    "wide": (3, 300, 8, 75),
    "long": (2, 2500, 3, 17),
    "long-one-output": (3, 9000, 2, 1),
    "one-seed": (1, 700, 33, 16),
}
over_bits = pytest.mark.parametrize("shape", BITS.values(), ids=BITS.keys())


@over_bits
@pytest.mark.parametrize("kind", ["uniform-each", "knots"])
@pytest.mark.parametrize("dtype", [SINGLE, DOUBLE], ids=str)
def test_every_run_and_every_number_of_threads_gives_the_same_bits(
    shape: tuple[int, ...], kind: str, dtype: torch.dtype
) -> None:
    case = Case(*shape, kind=kind, dtype=dtype)
    once = case.results()
    assert_same_bits(case.results(), once)
    threads = torch.get_num_threads()
    try:
        for count in (2, 3):
            torch.set_num_threads(count)
            assert_same_bits(case.results(), once)
    finally:
        torch.set_num_threads(threads)


@over_bits
@pytest.mark.parametrize("kind", ["uniform-each", "knots", "knots-each"])
@pytest.mark.parametrize("dtype", [SINGLE, DOUBLE], ids=str)
def test_a_seed_alone_gives_the_same_bits_as_in_a_stack(shape: tuple[int, ...], kind: str, dtype: torch.dtype) -> None:
    case = Case(*shape, kind=kind, dtype=dtype)
    whole = case.results()
    grad = torch.linspace(0.5, 1.5, whole[0].numel(), dtype=dtype).view(whole[0].shape)
    for s in range(shape[0]):
        grid, table = case.grid, case.grid.table[s : s + 1] if kind.endswith("each") else case.grid.table
        if isinstance(grid, KnotGrid):
            grid = KnotGrid(table, 3)
        else:
            grid = UniformGrid(grid.low[s : s + 1], grid.high[s : s + 1], grid.intervals, 3)
        inputs = [tensor[s : s + 1].clone().requires_grad_() for tensor in case.tensors]
        y = spline(*inputs[:2], grid, "native", base=inputs[2])
        alone = [y.detach(), *torch.autograd.grad(y, inputs, grad[s : s + 1])]
        assert_same_bits(alone, [result[s : s + 1] for result in whole])


def test_several_python_threads_at_once_do_not_disturb_each_other() -> None:
    cases = [Case(2, 300, 5, 20, key=key) for key in range(4)]
    expected = [case.results() for case in cases]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            for actual, right in zip(pool.map(Case.results, cases), expected, strict=True):
                assert_same_bits(actual, right)


# Work and memory.


def allocations(action: Callable[[], object]) -> list[int]:
    """Return the sizes in bytes of all memory that torch hands out while ``action`` runs."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        action()
    events = profile.profiler.kineto_results.events()  # type: ignore[union-attr]
    return [event.nbytes() for event in events if event.name() == "[memory]" and event.nbytes() > 0]


@pytest.mark.parametrize("kind", ["uniform", "knots-each"])
@pytest.mark.parametrize("shape", [(1, 256, 16, 24), (2, 512, 8, 1)], ids=str)
def test_no_tensor_with_an_axis_of_coefficients_per_point_is_ever_made(shape: tuple[int, ...], kind: str) -> None:
    case = Case(*shape, kind=kind, dtype=SINGLE, intervals=61)
    basis = case.x.nbytes * case.grid.coefficients
    largest = max(tensor.nbytes for tensor in (*case.results(), case.grid.table))
    assert largest < basis / 4
    assert max(allocations(lambda: case.results("dense"))) >= basis
    assert max(allocations(case.results)) == largest


@pytest.mark.parametrize(("based", "need"), NEEDS)
def test_gradients_that_are_not_needed_are_not_computed(based: bool, need: tuple[str, ...]) -> None:
    case = Case(2, 50, 7, 9, based=based, dtype=SINGLE)
    grad = torch.ones(2, 50, 9)
    needed = [name in need for name in ("x", "coef", "base")]
    found = native.backward(grad, case.x, case.coef, case.base, case.grid.table, *case.form, *needed)
    assert [gradient is not None for gradient in found] == needed

    for name in need:
        getattr(case, name).requires_grad_()
    y = case.evaluate(*case.tensors)
    made = allocations(lambda: y.backward(grad))
    assert len(made) <= len(need) + ("base" in need and "coef" not in need), "base's gradient takes coef's along"
    for name, wanted in zip(("x", "coef", "base"), needed, strict=True):
        tensor = getattr(case, name)
        assert tensor is None or (tensor.grad is not None) == wanted


# The grid of a layer.


def make_layer(movable: bool, seeds: int = 2, dtype: torch.dtype = SINGLE) -> SplineLayer:
    low = torch.full((seeds, 1), -1.0, dtype=dtype)
    generators = [torch.Generator().manual_seed(seed) for seed in range(seeds)]
    return SplineLayer(
        low, -low, 2, generators, intervals=4, degree=2, noise=1.0, base=True, scales=False, bias=False, movable=movable
    )  # fmt: skip


@torch.no_grad()
def shift(layer: SplineLayer, by: float = 0.3) -> None:
    """Move the grid by changing the buffers in place."""
    for buffer in layer.buffers():
        buffer.add_(by)


def load(layer: SplineLayer, **options: bool) -> None:
    other = make_layer(layer.knots is not None)
    shift(other)
    layer.load_state_dict(other.state_dict(), **options)


def copy_one_seed(layer: SplineLayer) -> None:
    other = make_layer(layer.knots is not None)
    shift(other)
    source, target = (KAN([each], grid="fixed", layernorm=False, regularization=0.0) for each in (other, layer))
    copy_seed(source, 0, target, 1)


def replace(layer: SplineLayer) -> None:
    for name, buffer in list(layer.named_buffers()):
        setattr(layer, name, buffer + 0.3)


CHANGES: dict[str, Callable[[SplineLayer], object]] = {
    "in place": shift,
    "a slice in place": lambda layer: [buffer[1].sub_(0.2) for buffer in layer.buffers()],
    "load_state_dict": load,
    "load_state_dict, assigned": lambda layer: load(layer, assign=True),
    "copy_seed": copy_one_seed,
    "other buffers": replace,
    "refit_grid": lambda layer: layer.refit_grid(torch.linspace(-0.5, 2, 40).expand(2, 40).unsqueeze(-1)),
}
COPIES: dict[str, Callable[[SplineLayer], SplineLayer]] = {
    "itself": lambda layer: layer,
    "deepcopy": copy.deepcopy,
    "pickle": lambda layer: pickle.loads(pickle.dumps(layer)),
}
POINTS = torch.linspace(-2, 2, 30).view(1, 30, 1).expand(2, 30, 1)


def assert_grid_is_that_of_the_buffers(layer: SplineLayer) -> None:
    fresh = make_layer(layer.knots is not None, dtype=layer.coef.dtype)
    fresh.load_state_dict(layer.state_dict())
    points = POINTS.to(layer.coef.dtype)
    assert torch.equal(layer(points), fresh(points))


@pytest.mark.parametrize("before", [0, 2])
@pytest.mark.parametrize("copied", COPIES)
@pytest.mark.parametrize(
    ("movable", "change"),
    [(movable, change) for movable in (False, True) for change in CHANGES if movable or change != "refit_grid"],
)
def test_a_changed_grid_counts_at_the_next_call(movable: bool, change: str, copied: str, before: int) -> None:
    """``before``: how often the grid has moved before."""
    layer = make_layer(movable)
    for _ in range(before):
        shift(layer, 0.1)
    old = layer(POINTS)
    layer = COPIES[copied](layer)
    for _ in range(3):
        CHANGES[change](layer)
        new = layer(POINTS)
        assert_grid_is_that_of_the_buffers(layer)
    assert not torch.equal(new, old)


@pytest.mark.parametrize("copied", ["deepcopy", "pickle"])
@over_movable
def test_a_copys_grid_may_change_before_its_first_call(movable: bool, copied: str) -> None:
    stale = []
    for before, times in product(range(6), range(4)):
        layer = make_layer(movable)
        for _ in range(before):
            shift(layer, 0.1)
        old = layer(POINTS)
        twin = COPIES[copied](layer)
        for _ in range(times):
            shift(twin)
        if torch.equal(twin(POINTS), old) != (times == 0):
            stale.append((before, times))
        assert torch.equal(layer(POINTS), old)
    assert not stale, "(changes before the copy, changes after it)"


@over_movable
def test_another_number_type_counts_at_the_next_call(movable: bool) -> None:
    layer = make_layer(movable)
    single = layer(POINTS)
    double = layer.double()(POINTS.double())
    assert double.dtype == DOUBLE
    assert_close(double.float(), single)
    assert_grid_is_that_of_the_buffers(layer)
    assert torch.equal(layer.float()(POINTS), single)


@over_movable
def test_a_backward_pass_takes_the_grid_of_its_forward_pass(movable: bool) -> None:
    layer = make_layer(movable)
    (expected,) = torch.autograd.grad(layer(POINTS).sum(), layer.coef)
    y = layer(POINTS)
    shift(layer)
    assert torch.equal(torch.autograd.grad(y.sum(), layer.coef)[0], expected)
    assert not torch.equal(torch.autograd.grad(layer(POINTS).sum(), layer.coef)[0], expected)


@over_movable
def test_a_layer_used_in_inference_mode_trains_afterwards(movable: bool) -> None:
    layer = make_layer(movable)
    with torch.inference_mode():
        inferred = layer(POINTS).clone()
    y = layer(POINTS)
    y.sum().backward()
    assert layer.coef.grad is not None
    assert layer.coef.grad.abs().sum() > 0
    assert torch.equal(y.detach(), inferred)


@over_movable
def test_a_layer_made_in_inference_mode_can_be_used(movable: bool) -> None:
    expected = make_layer(movable)(POINTS)
    with torch.inference_mode():
        layer = make_layer(movable)
        inside = layer(POINTS).clone()
        shift(layer)
        moved = layer(POINTS)
        fresh = make_layer(movable)
        shift(fresh)
        assert torch.equal(moved, fresh(POINTS))
    assert torch.equal(inside, expected)


@over_movable
def test_a_grid_that_came_to_make_no_sense_is_refused(movable: bool) -> None:
    layer = make_layer(movable)
    layer(POINTS)
    with torch.no_grad():
        for buffer in layer.buffers():
            buffer.zero_()
    with pytest.raises(InputError, match="0"):
        layer(POINTS)


# Refused, and unusual.


@pytest.mark.parametrize("backend", ["auto", "native", "dense"])
@pytest.mark.parametrize(("dtype", "other"), [(SINGLE, DOUBLE), (DOUBLE, SINGLE), (SINGLE, torch.float16)], ids=str)
@pytest.mark.parametrize("which", ["coef", "base", "grid"])
def test_number_types_that_differ_are_refused_by_name(which: str, dtype: torch.dtype, other: torch.dtype, backend: str) -> None:
    case, foreign = Case(dtype=dtype), Case(dtype=other)
    setattr(case, which, getattr(foreign, which))
    with pytest.raises(InputError) as refusal:
        case.evaluate(case.x, case.coef, case.base, backend)
    for part in (str(dtype), str(other), which):
        assert part in str(refusal.value)


def test_points_on_another_device_are_refused_by_name() -> None:
    case = Case()
    with pytest.raises(InputError, match=r"meta.*cpu"):
        case.evaluate(case.x.to("meta"), case.coef, case.base)
    x, coef = case.x.to("meta"), case.coef.to("meta")
    assert "meta" in str(unavailable("native", x, case.grid))
    assert explain(x, coef, case.grid).backend != "native"


EXTREME = [torch.inf, 3e38, 1e30, 1e10, 1000.0, 200.0, 89.0, 80.5, 79.5, 30.0]


@over_bases
@over_kinds
@pytest.mark.parametrize("dtype", [SINGLE, DOUBLE], ids=str)
def test_extreme_points_give_what_the_dense_backend_gives(dtype: torch.dtype, kind: str, based: bool) -> None:
    values = torch.tensor([torch.nan, *EXTREME, *(-value for value in EXTREME)])
    case = Case(len(values), 3, 2, 19, kind=kind, based=based, dtype=dtype)
    case.x[:, 1, 1] = values  # one for each seed, so that each is seen for itself
    for actual, expected in zip(case.results(), case.results("dense"), strict=True):
        assert_close(actual, expected, equal_nan=True, rtol=1e-5, atol=1e-6 if dtype == SINGLE else 1e-14)


def test_doubles_beyond_single_precision_give_what_the_dense_backend_gives() -> None:
    values = torch.tensor([-1e308, -1e100, -750.0, 750.0, 1e100, 1e308], dtype=DOUBLE)
    case = Case(len(values), 3, 2, 19)
    case.x[:, 1, 1] = values
    assert_close(case.results(), case.results("dense"), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", [SINGLE, DOUBLE], ids=str)
def test_the_base_branch_is_good_to_the_last_digits(dtype: torch.dtype) -> None:
    x = torch.cat([torch.linspace(-78, 78, 5001, dtype=DOUBLE), torch.logspace(-30, 1.8, 500, dtype=DOUBLE)])
    exact = x.to(dtype).double().requires_grad_()
    (slopes,) = torch.autograd.grad(torch.nn.functional.silu(exact).sum(), exact)
    grid = UniformGrid.over(-1.0, 1.0, 4, 3, dtype=dtype)
    ours = x.to(dtype).view(1, -1, 1).requires_grad_()
    y = spline(ours, torch.zeros(1, 1, 7, 1, dtype=dtype), grid, "native", base=torch.ones(1, 1, 1, dtype=dtype))
    (found,) = torch.autograd.grad(y.sum(), ours)
    eps = torch.finfo(dtype).eps
    assert_close(y.detach().flatten().double(), torch.nn.functional.silu(exact).detach(), rtol=8 * eps, atol=0)
    assert_close(found.flatten().double(), slopes, rtol=100 * eps, atol=2 * eps)


@pytest.mark.parametrize("dtype", [SINGLE, DOUBLE], ids=str)
@pytest.mark.parametrize("kind", ["uniform", "knots"])
def test_points_within_rounding_of_a_knot_fall_on_the_side_where_dense_has_them(kind: str, dtype: torch.dtype) -> None:
    source, wrong = torch.Generator().manual_seed(0), []
    for intervals in (*range(1, 12), 20, 33, 64, 100, 333):
        low = (6 * torch.rand((), generator=source, dtype=DOUBLE) - 3).to(dtype)
        high = low + 5 * torch.rand((), generator=source, dtype=DOUBLE).to(dtype)
        grid: Grid = UniformGrid(low.view(1, 1), high.view(1, 1), intervals, 0)
        knots = grid.knots()
        if kind == "knots":
            grid = KnotGrid(knots, 0)
        far = torch.full_like(knots, torch.inf)
        steps = [knots, knots.nextafter(far), knots.nextafter(-far), knots.nextafter(far).nextafter(far)]
        x = torch.cat(steps, -1).view(1, -1, 1)
        coef = torch.arange(1, intervals + 1, dtype=dtype).view(1, 1, -1, 1)
        both = [spline(x, coef, grid, backend).flatten() for backend in ("native", "dense")]  # type: ignore[arg-type]
        wrong += [(intervals, point.item()) for point in x.flatten()[both[0] != both[1]]]
    assert not wrong


@pytest.mark.parametrize(
    "shape",
    [(200, 13, 5, 3), (200, 70, 2, 40), (1, 64, 3, 1), (1, 64, 3, 40), (1, 3000, 1, 17)],
    ids=["many-seeds", "many-seeds-wide", "many-intervals-one-output", "many-intervals", "many-intervals-long"],
)
@pytest.mark.parametrize("kind", ["uniform-each", "knots-each"])
def test_large_stacks_and_fine_grids_are_denses(kind: str, shape: tuple[int, ...]) -> None:
    case = Case(*shape, kind=kind, intervals=8 if shape[0] > 1 else 2000)
    assert_close(case.results(), case.results("dense"), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("intervals", [1, 2, 5, 16, 17, 32, 33, 200])
def test_every_number_is_written(no_leftovers: None, intervals: int) -> None:
    for batch, outputs in product((1, 5, 130), (1, 7, 8, 31, 64, 75)):
        case = Case(2, batch, 3, outputs, dtype=SINGLE, intervals=intervals)
        assert_close(case.results(), case.results("dense"), rtol=1e-3, atol=1e-4)


def test_axes_of_no_length_give_what_the_dense_backend_gives() -> None:
    """In a process of its own, since a fault may end it."""
    script = """
import itertools
import torch
from kancl.splines import KnotGrid, UniformGrid, spline

torch.use_deterministic_algorithms(True)  # fills new memory with NaN
wrong = []
knots = torch.linspace(-2, 2, 11).view(1, 1, 11)
grids = [UniformGrid.over(-1.0, 1.0, 4, 3), KnotGrid(knots, 3)]
for *shape, grid, based in itertools.product((0, 2), (0, 40), (0, 3), (0, 5), grids, (True, False)):
    S, B, I, O = shape
    print(shape, flush=True)
    results = []
    for backend in ("native", "dense"):
        inputs = [torch.zeros(size, requires_grad=True) for size in ((S, B, I), (S, I, 7, O), (S, I, O))[: 2 + based]]
        y = spline(*inputs[:2], grid, backend, base=inputs[2] if based else None)
        results.append([y.detach(), *torch.autograd.grad(y.sum(), inputs)])
    if not all(map(torch.allclose, *results)):
        wrong.append(tuple(shape))
assert not wrong, sorted(set(wrong))
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    reached = run.stdout.splitlines()[-1:]
    assert run.returncode == 0, f"ended with {run.returncode} at (S, B, I, O) = {reached}: {run.stderr[-500:]}"


def test_a_layer_is_saved_and_loaded_whole() -> None:
    layer = make_layer(movable=True)
    shift(layer)
    before, file = layer(POINTS), io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    assert torch.equal(loaded(POINTS), before)
    shift(loaded)
    assert_grid_is_that_of_the_buffers(loaded)
