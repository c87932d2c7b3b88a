"""Guards the mathematics of kancl.splines: the dense backend against scipy and exact rationals, every backend against dense."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import BSpline
from torch import Tensor

from kancl.errors import InputError
from kancl.splines import BACKENDS, MAX_DEGREE, Grid, KnotGrid, UniformGrid, basis_matrix, explain, spline, unavailable

DEGREES = range(MAX_DEGREE + 1)
KINDS = ("uniform", "uniform-each", "knots", "knots-each")
DTYPES = (torch.float32, torch.float64)
# Single precision would not show more of a degree than double precision does.
MEETINGS = [*((torch.float64, degree) for degree in DEGREES), (torch.float32, 0), (torch.float32, 3)]
SHAPES = {  # (S, B, I, O)
    "plain": (2, 9, 3, 4),
    "one-input": (2, 9, 1, 4),
    "one-output": (3, 9, 2, 1),
    "one-of-all": (1, 1, 1, 1),
    "empty": (2, 0, 3, 4),
    "empty-one-output": (2, 0, 3, 1),
    "one-seed": (1, 9, 2, 3),
    "many-seeds": (33, 5, 2, 3),
    # More than a block of points, and strips of every width: sorted by cell in the native kernel, and not.
    "wide": (1, 70, 9, 127),
    "long": (1, 2100, 2, 35),
    "long-one-output": (2, 1100, 1, 1),
}
# What runs on a CPU; without a C compiler the native backend is left out, which tests/kancl/test_native_build.py tells.
HERE = sorted(name for name in BACKENDS if not unavailable(name, torch.zeros(0), UniformGrid.over(-1, 1, 1, 3)))
TOLERANCE = {torch.float32: 3e-4, torch.float64: 1e-10}


def make_grid(kind: str, degree: int, seeds: int, inputs: int, dtype: torch.dtype, intervals: int = 6) -> Grid:
    rng = np.random.default_rng(degree)
    lead = (seeds, inputs) if kind.endswith("each") else (1, 1)
    low = torch.as_tensor(rng.uniform(-2, -0.5, lead), dtype=dtype)
    if kind.startswith("uniform"):
        return UniformGrid(low, low + torch.as_tensor(rng.uniform(1, 3, lead), dtype=dtype), intervals, degree)
    steps = rng.uniform(0.1, 0.8, (*lead, intervals + 2 * degree))
    return KnotGrid(torch.cat([low[..., None], low[..., None] + torch.as_tensor(steps, dtype=dtype).cumsum(-1)], -1), degree)


def knots_of(grid: Grid, seeds: int, inputs: int) -> np.ndarray:
    if isinstance(grid, KnotGrid):
        knots = grid.extended.double().numpy()
    else:
        low, high = grid.low.double().numpy()[..., None], grid.high.double().numpy()[..., None]
        places = np.arange(-grid.degree, grid.intervals + grid.degree + 1)
        knots = low + places * (high - low) / grid.intervals
    return np.broadcast_to(knots, (seeds, inputs, knots.shape[-1]))


def points_between_knots(grid: Grid, seeds: int, batch: int, inputs: int, dtype: torch.dtype, inside: bool = False) -> Tensor:
    """Return points well away from every knot (where rounding decides and derivatives jump), some beyond the last knots."""
    rng = np.random.default_rng(1)
    knots = knots_of(grid, seeds, inputs)
    steps = np.diff(knots[..., :2]), np.diff(knots[..., -2:])
    edges = np.concatenate([knots[..., :1] - steps[0], knots, knots[..., -1:] + steps[1]], -1)
    margin = grid.degree + 1 if inside else 0
    cell = rng.integers(margin, edges.shape[-1] - 1 - margin, (seeds, inputs, batch))
    left, right = np.take_along_axis(edges, cell, -1), np.take_along_axis(edges, cell + 1, -1)
    x = left + rng.uniform(0.1, 0.9, cell.shape) * (right - left)
    return torch.as_tensor(x.transpose(0, 2, 1).copy(), dtype=dtype)


def coefficients(grid: Grid, seeds: int, inputs: int, outputs: int, dtype: torch.dtype) -> Tensor:
    rng = np.random.default_rng(2)
    return torch.as_tensor(rng.normal(size=(seeds, inputs, grid.coefficients, outputs)), dtype=dtype)


def scipy_edge(knots: np.ndarray, coef: np.ndarray, degree: int) -> BSpline:
    """Return one edge's spline, with idle knots added so that scipy's base interval is all of the extended knots."""
    far = np.arange(1, degree + 1)
    padded = np.concatenate([knots[0] - far[::-1], knots, knots[-1] + far])
    idle = np.zeros((degree, *coef.shape[1:]))
    return BSpline(padded, np.concatenate([idle, coef, idle]), degree, extrapolate=False)


def scipy_layer(x: Tensor, coef: Tensor, grid: Grid, derivative: int = 0) -> np.ndarray:
    seeds, batch, inputs = x.shape
    knots, points, weights = knots_of(grid, seeds, inputs), x.double().numpy(), coef.double().numpy()
    out = np.zeros((seeds, batch, inputs, coef.shape[-1]))
    for s in range(seeds):
        for i in range(inputs):
            edge = scipy_edge(knots[s, i], weights[s, i], grid.degree)
            out[s, :, i] = np.nan_to_num(edge(points[s, :, i], nu=derivative))
    return out


def evaluate_with_gradients(
    x: Tensor, coef: Tensor, grid: Grid, backend: str, base: Tensor | None = None
) -> tuple[Tensor, ...]:
    inputs = [tensor.clone().requires_grad_() for tensor in (x, coef, base) if tensor is not None]
    y = spline(inputs[0], inputs[1], grid, backend, base=inputs[2] if base is not None else None)  # type: ignore[arg-type]
    weights = torch.linspace(0.5, 1.5, y.numel(), dtype=y.dtype).view(y.shape)
    gradients = torch.autograd.grad((y * weights).sum(), inputs)
    return y.detach(), *gradients


def assert_close(actual: Tensor, expected: Tensor | np.ndarray, dtype: torch.dtype, scale: float = 1.0) -> None:
    np.testing.assert_allclose(
        actual.detach().double().numpy(), np.asarray(expected, dtype=float), rtol=0, atol=TOLERANCE[dtype] * scale
    )


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("degree", DEGREES)
def test_values_and_derivatives_are_scipys(degree: int, kind: str, dtype: torch.dtype) -> None:
    seeds, batch, inputs, outputs = 3, 40, 2, 3
    grid = make_grid(kind, degree, seeds, inputs, dtype)
    x = points_between_knots(grid, seeds, batch, inputs, dtype)
    coef = coefficients(grid, seeds, inputs, outputs, dtype)
    x.requires_grad_()
    y = spline(x, coef, grid, "dense")
    assert_close(y, scipy_layer(x.detach(), coef, grid).sum(2), dtype)
    slopes = scipy_layer(x.detach(), coef, grid, derivative=1) if degree else np.zeros((seeds, batch, inputs, outputs))
    for o in range(outputs):
        (gradient,) = torch.autograd.grad(y[..., o].sum(), x, retain_graph=True)
        assert_close(gradient, slopes[..., o], dtype, scale=100)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("degree", DEGREES)
def test_basis_is_scipys_function_by_function(degree: int, kind: str, dtype: torch.dtype) -> None:
    grid = make_grid(kind, degree, 2, 2, dtype)
    x = points_between_knots(grid, 2, 50, 2, dtype)
    basis, knots = basis_matrix(x, grid), knots_of(grid, 2, 2)
    for s, i, c in np.ndindex(2, 2, grid.coefficients):
        element = BSpline.basis_element(knots[s, i, c : c + degree + 2], extrapolate=False)
        assert_close(basis[s, :, i, c], np.nan_to_num(element(x[s, :, i].double().numpy())), dtype)


def cox_de_boor(knots: list[Fraction], c: int, k: int, x: Fraction) -> Fraction:
    if k == 0:
        return Fraction(int(knots[c] <= x < knots[c + 1]))
    rising = (x - knots[c]) / (knots[c + k] - knots[c]) * cox_de_boor(knots, c, k - 1, x)
    falling = (knots[c + k + 1] - x) / (knots[c + k + 1] - knots[c + 1]) * cox_de_boor(knots, c + 1, k - 1, x)
    return rising + falling


@pytest.mark.parametrize("point", ["-1", "-5/8", "-1/2", "0", "1/16", "3/4", "1", "-7/4", "9/4"])
@pytest.mark.parametrize("kind", ["uniform", "knots"])
def test_cubic_basis_is_the_exact_rational(kind: str, point: str) -> None:
    x, degree = Fraction(point), 3
    if kind == "uniform":
        grid: Grid = UniformGrid.over(-1, 1, intervals=4, degree=degree, dtype=torch.float64)
        knots = [Fraction(n, 2) for n in range(-5, 6)]
    else:
        knots = [Fraction(n, 8) for n in (-20, -17, -11, -8, -5, -4, 1, 9, 12, 13, 20)]
        grid = KnotGrid(torch.tensor([[[float(t) for t in knots]]], dtype=torch.float64), degree)
    exact = [float(cox_de_boor(knots, c, degree, x)) for c in range(grid.coefficients)]
    assert any(exact)
    basis = basis_matrix(torch.full((1, 1, 1), float(x), dtype=torch.float64), grid).flatten()
    np.testing.assert_allclose(basis.numpy(), exact, rtol=0, atol=4e-16)


def test_cubic_basis_at_a_knot_is_one_sixth_two_thirds_one_sixth() -> None:
    grid = UniformGrid.over(0.0, 4.0, intervals=4, degree=3, dtype=torch.float64)
    basis = basis_matrix(torch.tensor([[[1.0]]], dtype=torch.float64), grid).flatten().tolist()
    assert basis == pytest.approx([0, 1 / 6, 2 / 3, 1 / 6, 0, 0, 0], abs=1e-16)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("degree", DEGREES)
def test_basis_on_the_range_sums_to_one_and_is_never_negative_and_local(degree: int, kind: str, dtype: torch.dtype) -> None:
    grid = make_grid(kind, degree, 2, 2, dtype)
    knots = grid.knots().expand(2, 2, -1)
    low, high = knots[..., degree], knots[..., -1 - degree]
    share = torch.linspace(0, 1, 101, dtype=dtype)[:, None]
    x = (low[:, None] + share * (high - low)[:, None]).clamp(low[:, None], high[:, None])
    basis = basis_matrix(x, grid)
    assert_close(basis.sum(-1), np.ones(x.shape), dtype, scale=0.01)
    assert (basis >= 0).all()
    used = basis != 0
    assert (used.sum(-1) <= degree + 1).all()
    first = used.int().argmax(-1)
    last = grid.coefficients - 1 - used.flip(-1).int().argmax(-1)
    assert (last - first <= degree).all()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("backend", HERE)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("degree", DEGREES)
def test_beyond_the_extended_knots_all_is_zero_and_finite(degree: int, kind: str, backend: str, dtype: torch.dtype) -> None:
    grid = make_grid(kind, degree, 1, 1, dtype)
    knots = knots_of(grid, 1, 1)[0, 0]
    beyond = [-np.inf, -1e30, knots[0] - 1e-3, knots[-1] + 1e-3, 1e30, np.inf]
    x = torch.tensor(beyond, dtype=dtype).view(1, -1, 1)
    for result in evaluate_with_gradients(x, coefficients(grid, 1, 1, 2, dtype), grid, backend):
        assert torch.equal(result, torch.zeros_like(result))


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("backend", HERE)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("degree", DEGREES)
def test_nan_shows_for_its_own_sample_only(degree: int, kind: str, backend: str, outputs: int) -> None:
    dtype = torch.float64
    grid = make_grid(kind, degree, 2, 2, dtype)
    x, coef = points_between_knots(grid, 2, 5, 2, dtype), coefficients(grid, 2, 2, outputs, dtype)
    y, slopes, *_ = evaluate_with_gradients(x, coef, grid, backend)
    sick = x.clone()
    sick[1, 3, 0] = torch.nan
    sick_y, sick_slopes, gradient = evaluate_with_gradients(sick, coef, grid, backend)
    expected = y.clone()
    expected[1, 3] = torch.nan
    torch.testing.assert_close(sick_y, expected, equal_nan=True)
    others = torch.ones(x.shape, dtype=torch.bool)
    others[1, 3, 0] = False
    torch.testing.assert_close(sick_slopes[others], slopes[others])
    assert gradient[0].isfinite().all()
    assert gradient[1, 1].isfinite().all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("weights", ["coef", "base"])
@pytest.mark.parametrize("outputs", [1, 3, 20])
@pytest.mark.parametrize("backend", HERE)
@pytest.mark.parametrize("kind", KINDS)
def test_a_weight_that_is_not_finite_makes_its_output_nan_at_every_point(
    kind: str, backend: str, outputs: int, weights: str, value: float
) -> None:
    """Of its own seed: at the points that do not need it as well, which a backend may not read it for."""
    dtype, degree = torch.float64, 2
    grid = make_grid(kind, degree, 2, 3, dtype)
    x, coef = points_between_knots(grid, 2, 40, 3, dtype), coefficients(grid, 2, 3, outputs, dtype)
    base = torch.ones(2, 3, outputs, dtype=dtype)
    x[:, 0], x[:, 1] = -1e3, 1e3  # beyond the grid no coefficient is needed at all
    expected = spline(x, coef, grid, backend, base=base)
    last = outputs - 1
    for c in range(coef.shape[2]) if weights == "coef" else [0]:
        sick, sick_base = coef.clone(), base.clone()
        if weights == "coef":
            sick[1, 2, c, last] = value
        else:
            sick_base[1, 2, last] = value
        found = spline(x, sick, grid, backend, base=sick_base)
        assert found[1, :, last].isnan().all()
        found[1, :, last] = expected[1, :, last]
        assert torch.equal(found, expected)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, 1.0), (-0.3, 0.7), (0.1, 0.7), (-2.3, 4.9), (-1 / 3, 5.1)])
@pytest.mark.parametrize("kind", ["uniform", "knots"])
def test_every_point_of_the_range_has_exactly_one_owner(kind: str, low: float, high: float, dtype: torch.dtype) -> None:
    lost = []
    for intervals in range(1, 60):
        grid: Grid = UniformGrid.over(low, high, intervals, degree=0, dtype=dtype)
        ends = torch.tensor([low, high], dtype=dtype)
        points = torch.cat([grid.knots().flatten()[:-1], ends])
        if kind == "knots":
            grid = KnotGrid(grid.knots(), degree=0)
            points = grid.knots().flatten()
        sums = basis_matrix(points.view(1, -1, 1), grid).sum(-1).flatten()
        lost += [(intervals, float(x), float(total)) for x, total in zip(points, sums, strict=True) if total != 1]
    assert not lost, f"(intervals, point, sum of the basis): {lost[:5]}"


@pytest.mark.parametrize("backend", HERE)
@pytest.mark.parametrize("kind", ["uniform", "knots"])
def test_the_cell_to_the_right_owns_a_knot_and_the_last_cell_the_last(kind: str, backend: str) -> None:
    grid: Grid = UniformGrid.over(-1.0, 1.0, intervals=4, degree=0, dtype=torch.float64)
    if kind == "knots":
        grid = KnotGrid(torch.tensor([[[-1.0, -0.9, 0.0, 0.1, 1.0]]], dtype=torch.float64), degree=0)
    x = grid.knots().view(1, -1, 1)
    coef = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64).view(1, 1, 4, 1)
    assert spline(x, coef, grid, backend).flatten().tolist() == [1.0, 2.0, 3.0, 4.0, 4.0]  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("degree", DEGREES[1:])
def test_at_the_first_and_last_extended_knot_the_spline_is_zero(degree: int, kind: str) -> None:
    grid = make_grid(kind, degree, 2, 2, torch.float64)
    ends = grid.knots().expand(2, 2, -1)[..., [0, -1]].transpose(1, 2)
    y = spline(ends, coefficients(grid, 2, 2, 3, torch.float64), grid, "dense")
    assert_close(y, np.zeros(y.shape), torch.float64)


@pytest.mark.parametrize(("dtype", "degree"), MEETINGS, ids=str)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backend", sorted(set(HERE) - {"dense"}))
def test_backend_is_dense_gradients_included(
    backend: str, degree: int, kind: str, shape: tuple[int, int, int, int], dtype: torch.dtype
) -> None:
    seeds, batch, inputs, outputs = shape
    grid = make_grid(kind, degree, seeds, inputs, dtype)
    x = points_between_knots(grid, seeds, batch, inputs, dtype)
    x[:, 3:4] = grid.knots().expand(seeds, inputs, -1)[:, None, :, degree + 2]  # a point on a knot
    coef = coefficients(grid, seeds, inputs, outputs, dtype)
    base = coefficients(grid, seeds, inputs, outputs, dtype)[:, :, 0] if seeds % 2 else None
    expected = evaluate_with_gradients(x, coef, grid, "dense", base)
    actual = evaluate_with_gradients(x, coef, grid, backend, base)
    assert actual[0].shape == (seeds, batch, outputs)
    for ours, theirs in zip(actual, expected, strict=True):
        assert ours.dtype == theirs.dtype == dtype
        assert ours.shape == theirs.shape
        assert_close(ours, theirs, dtype, scale=max(1.0, float(theirs.abs().max()) if theirs.numel() else 1.0))


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("kind", ["uniform-each", "knots-each"])
@pytest.mark.parametrize("degree", [1, 3])
@pytest.mark.parametrize("backend", HERE)
def test_gradients_are_finite_differences(backend: str, degree: int, kind: str, outputs: int) -> None:
    grid = make_grid(kind, degree, 2, 2, torch.float64, intervals=3)
    x = points_between_knots(grid, 2, 4, 2, torch.float64).requires_grad_()
    coef = coefficients(grid, 2, 2, outputs, torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, coef: spline(x, coef, grid, backend), (x, coef))  # type: ignore[arg-type]


@st.composite
def layers(draw: st.DrawFn) -> tuple[Tensor, Tensor, KnotGrid]:
    seeds, inputs, intervals = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 6))
    batch, outputs, degree = draw(st.integers(0, 4)), draw(st.integers(1, 3)), draw(st.integers(0, MAX_DEGREE))

    def numbers(low: float, high: float, *shape: int) -> Tensor:
        count = int(np.prod(shape))
        values = draw(st.lists(st.floats(low, high), min_size=count, max_size=count))
        return torch.tensor(values, dtype=torch.float64).view(shape)

    lead = (seeds, inputs) if draw(st.booleans()) else (1, 1)
    steps = numbers(0.01, 1, *lead, intervals + 2 * degree + 1)
    grid = KnotGrid(steps.cumsum(-1) - intervals / 2, degree)
    return numbers(-6, 6, seeds, batch, inputs), numbers(-1, 1, seeds, inputs, grid.coefficients, outputs), grid


@settings(max_examples=60, deadline=None)
@given(layers())
def test_any_knots_and_shapes_in_every_backend(layer: tuple[Tensor, Tensor, KnotGrid]) -> None:
    x, coef, grid = layer
    expected = scipy_layer(x, coef, grid).sum(2)
    for backend in HERE:
        assert_close(spline(x, coef, grid, backend), expected, torch.float64)  # type: ignore[arg-type]


@pytest.mark.parametrize("backend", HERE)
@pytest.mark.parametrize("outputs", [1, 4])
@pytest.mark.parametrize("kind", ["uniform", "knots-each"])
@pytest.mark.parametrize("degree", DEGREES)
def test_idle_coefficients_get_a_gradient_of_exactly_zero(degree: int, kind: str, outputs: int, backend: str) -> None:
    seeds, inputs, intervals = 2, 2, 20
    grid = make_grid(kind, degree, seeds, inputs, torch.float32, intervals=intervals)
    knots = knots_of(grid, seeds, inputs)
    cell = degree + 4
    x = torch.as_tensor(0.3 * knots[..., cell] + 0.7 * knots[..., cell + 1], dtype=torch.float32)[:, None]
    gradient = evaluate_with_gradients(x, coefficients(grid, seeds, inputs, outputs, torch.float32), grid, backend)[2]
    busy = torch.zeros(grid.coefficients, dtype=torch.bool)
    busy[cell - degree : cell + 1] = True
    assert (gradient[:, :, busy] != 0).all()
    assert torch.equal(gradient[:, :, ~busy], torch.zeros_like(gradient[:, :, ~busy]))


@pytest.mark.parametrize(("intervals", "batch", "outputs"), [(5, 8, 1), (5, 8, 10), (200, 4, 10), (200, 400, 10), (5, 0, 3)])
def test_auto_is_the_backend_that_explain_names(intervals: int, batch: int, outputs: int) -> None:
    grid = UniformGrid.over(-1, 1, intervals=intervals, degree=3)
    x = torch.linspace(-1.2, 1.2, batch).view(1, batch, 1)
    coef = coefficients(grid, 1, 1, outputs, torch.float32)
    choice = explain(x, coef, grid)
    assert choice.backend in BACKENDS
    assert choice.reason.strip()
    assert torch.equal(spline(x, coef, grid), BACKENDS[choice.backend](x, coef, grid))


@pytest.mark.parametrize(
    ("x", "coef"),
    [
        ((2, 4), (2, 3, 8, 1)),
        ((2, 4, 3), (2, 3, 8)),
        ((2, 4, 3), (2, 3, 7, 1)),
        ((2, 4, 3), (2, 4, 8, 1)),
        ((2, 4, 3), (3, 3, 8, 1)),
    ],
)
def test_shapes_that_do_not_fit_are_refused(x: tuple[int, ...], coef: tuple[int, ...]) -> None:
    grid = UniformGrid.over(-1, 1, intervals=5, degree=3)
    with pytest.raises(InputError) as refusal:
        spline(torch.zeros(x), torch.zeros(coef), grid)
    assert str(x) in str(refusal.value)
    assert str(coef) in str(refusal.value)


@pytest.mark.parametrize("backend", ["auto", *HERE])
@pytest.mark.parametrize("kind", ["uniform-each", "knots-each"])
def test_a_grid_for_other_seeds_or_inputs_is_refused(kind: str, backend: str) -> None:
    grid = make_grid(kind, 3, 3, 2, torch.float32)
    with pytest.raises(InputError, match="3"):
        spline(torch.zeros(4, 5, 2), torch.zeros(4, 2, grid.coefficients, 2), grid, backend)  # type: ignore[arg-type]


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("kind", ["low", "high", "knots"])
def test_gradients_in_the_grid_are_given_or_refused(kind: str, outputs: int) -> None:
    source = torch.Generator().manual_seed(0)
    x = torch.rand(2, 7, 3, dtype=torch.float64, generator=source)
    coef = torch.randn(2, 3, 8, outputs, dtype=torch.float64, generator=source)
    ends = {"low": torch.full((1, 1), -0.2, dtype=torch.float64), "high": torch.full((1, 1), 1.3, dtype=torch.float64)}
    learned = ends[kind] if kind in ends else UniformGrid(**ends, intervals=5, degree=3).knots()
    learned.requires_grad_()

    def evaluate(backend: str) -> Tensor:
        grid = KnotGrid(learned, 3) if kind == "knots" else UniformGrid(**ends, intervals=5, degree=3)
        return spline(x, coef, grid, backend)  # type: ignore[arg-type]

    (expected,) = torch.autograd.grad(evaluate("dense").pow(2).sum(), learned)
    assert expected.any()
    (found,) = torch.autograd.grad(evaluate("auto").pow(2).sum(), learned)
    torch.testing.assert_close(found, expected)
    for backend in {"native", "triton"} & set(HERE):
        with pytest.raises(InputError, match="no gradients in the grid's knots"):
            evaluate(backend)
        with torch.no_grad():
            torch.testing.assert_close(evaluate(backend), evaluate("dense"))


def test_an_unknown_backend_is_refused() -> None:
    grid = UniformGrid.over(-1, 1, intervals=5, degree=3)
    with pytest.raises(InputError, match="'fastest'"):
        spline(torch.zeros(1, 2, 1), torch.zeros(1, 1, 8, 1), grid, "fastest")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("low", "high", "intervals", "degree", "came"),
    [
        (-1.0, 1.0, 5, 6, "6"),
        (-1.0, 1.0, 5, -1, "-1"),
        (-1.0, 1.0, 0, 3, "0"),
        (-1.0, 1.0, -2, 3, "-2"),
        (0.25, 0.25, 5, 3, "0.25"),
        (0.5, -0.75, 5, 3, "-0.75"),
        (float("nan"), 1.0, 5, 3, "nan"),
        (0.0, 1e-38, 5, 3, "1e-38"),
    ],
)
def test_uniform_grids_that_make_no_sense_are_refused(low: float, high: float, intervals: int, degree: int, came: str) -> None:
    with pytest.raises(InputError) as refusal:
        UniformGrid.over(low, high, intervals, degree)
    assert came in str(refusal.value)


@pytest.mark.parametrize(
    ("knots", "degree", "came"),
    [
        ([0.0, 1.0, 2.0], 6, "6"),
        ([0.0, 1.0, 2.0], 1, "0"),
        ([0.0], 0, "0"),
        ([0.0, 0.375, 0.375, 1.0], 1, "0.375"),
        ([0.0, 0.5, 0.125, 1.0], 0, "0.125"),
        ([0.0, float("nan"), 1.0], 0, "nan"),
    ],
)
def test_knots_that_make_no_sense_are_refused(knots: list[float], degree: int, came: str) -> None:
    with pytest.raises(InputError) as refusal:
        KnotGrid(torch.tensor([[knots]]), degree)
    assert came in str(refusal.value)
