"""Guards knot insertion: the same function everywhere on a finer grid, for uniform and any knots, and in a whole network."""

from typing import Any

import pytest
import torch
from scipy.interpolate import BSpline
from torch import Tensor

from kancl.models import Network, Problem, architectures
from kancl.splines import MAX_DEGREE, Grid, KnotGrid, UniformGrid, refine, spline

DOUBLE = torch.float64
over_degrees = pytest.mark.parametrize("degree", range(MAX_DEGREE + 1))
over_grids = pytest.mark.parametrize("kind", ["uniform", "knots"])


def make_grid(kind: str, degree: int, intervals: int, dtype: torch.dtype = DOUBLE) -> Grid:
    """A grid per seed (2) and input (3)."""
    generator = torch.Generator().manual_seed(0)
    low = -1 - torch.rand(2, 3, generator=generator, dtype=dtype)
    if kind == "uniform":
        return UniformGrid(low, low.abs(), intervals, degree)
    steps = 0.1 + torch.rand(2, 3, intervals + 2 * degree, generator=generator, dtype=dtype)
    return KnotGrid(torch.cat([low[..., None], low[..., None] + steps.cumsum(-1)], -1), degree)


def make_coef(grid: Grid) -> Tensor:
    shape = (2, 3, grid.coefficients, 2)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=grid.table.dtype)


def points(grid: Grid, count: int = 1501) -> Tensor:
    """Points (S, B, I) on the range, on the extension and beyond it; they meet no knot."""
    knots = grid.knots()
    first, last = knots[..., 0], knots[..., -1]
    place = torch.linspace(-0.1003, 1.1007, count, dtype=knots.dtype)[:, None]
    return first[:, None] + place * (last - first)[:, None]


@over_degrees
@over_grids
@pytest.mark.parametrize("intervals", [1, 2, 7])
def test_the_function_stays_what_it_was_everywhere(kind: str, degree: int, intervals: int) -> None:
    grid = make_grid(kind, degree, intervals)
    coef, x = make_coef(grid), points(grid)
    before = spline(x, coef, grid, "dense")
    finer, fine = refine(coef, grid)
    assert type(fine) is type(grid)
    assert (fine.intervals, finer.shape) == (2 * (intervals + degree), (2, 3, 2 * grid.coefficients + degree, 2))
    torch.testing.assert_close(spline(x, finer, fine, "dense"), before, rtol=0, atol=1e-12)
    outside = ((x < grid.knots()[..., 0][:, None]) | (x > grid.knots()[..., -1][:, None])).all(-1)
    assert outside.any()
    assert not before[outside].any()
    # And once more: its own result is refined as well.
    again, finest = refine(finer, fine)
    torch.testing.assert_close(spline(x, again, finest, "dense"), before, rtol=0, atol=1e-12)


@over_degrees
@over_grids
def test_every_second_knot_is_an_old_one_and_the_others_lie_in_the_middle(kind: str, degree: int) -> None:
    grid = make_grid(kind, degree, 3)
    old, new = grid.knots(), refine(make_coef(grid), grid)[1].knots()
    torch.testing.assert_close(new[..., ::2], old, rtol=0, atol=1e-14)
    torch.testing.assert_close(new[..., 1::2], (old[..., 1:] + old[..., :-1]) / 2, rtol=0, atol=1e-14)


@over_degrees
def test_both_ways_agree_on_uniform_knots(degree: int) -> None:
    grid = make_grid("uniform", degree, 4)
    coef = make_coef(grid)
    torch.testing.assert_close(refine(coef, grid)[0], refine(coef, KnotGrid(grid.knots(), degree))[0], rtol=0, atol=1e-13)


@pytest.mark.parametrize("degree", [1, 2, 3, 5])
def test_the_new_coefficients_are_scipys(degree: int) -> None:
    """scipy inserts knots one by one, within the range; far from the ends of a longer spline nothing else is different."""
    grid = make_grid("knots", degree, 2)
    coef, knots = make_coef(grid)[0, 0, :, 0], grid.knots()[0, 0]
    finer, fine = refine(make_coef(grid), grid)
    step = torch.arange(1, 3 * degree + 1, dtype=DOUBLE)
    padded = torch.cat([knots[0] - step.flip(0), knots, knots[-1] + step])
    nothing = torch.zeros(3 * degree, dtype=DOUBLE)
    long = BSpline(padded.numpy(), torch.cat([nothing, coef, nothing]).numpy(), degree)
    for middle in ((knots[1:] + knots[:-1]) / 2).tolist():
        long = long.insert_knot(middle)
    inserted = torch.from_numpy(long.c[3 * degree : 3 * degree + finer.shape[2]])
    torch.testing.assert_close(finer[0, 0, :, 0], inserted, rtol=0, atol=1e-12)
    assert fine.knots().shape[-1] == 2 * len(knots) - 1


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE], ids=str)
def test_refining_a_constant_keeps_it(dtype: torch.dtype) -> None:
    grid = UniformGrid.over(0.0, 1.0, 4, 3, dtype)
    coef, fine = refine(torch.full((1, 1, 7, 1), 2.0, dtype=dtype), grid)
    x = torch.linspace(0, 1, 101, dtype=dtype).view(1, -1, 1)
    torch.testing.assert_close(spline(x, coef, fine, "dense"), torch.full_like(x, 2.0), rtol=0, atol=1e-6)


# In a network.


def make_kan(dtype: torch.dtype = DOUBLE, seeds: tuple[int, ...] = (0, 3, 5), **options: Any) -> Network:
    ends = torch.ones(len(seeds), 2, dtype=dtype)
    network: Network = architectures.get("kan")(Problem(2, 1, seeds, -ends, ends, dtype=dtype), **options)
    return network


def samples(tasks: int = 1, seeds: int = 3) -> Tensor:
    return 3 * torch.rand(seeds, 200, 2, generator=torch.Generator().manual_seed(tasks), dtype=DOUBLE) - 1.5


@pytest.mark.parametrize(
    "options", [{}, {"hidden": (), "scales": "trainable"}, {"hidden": (4, 3), "layernorm": True, "bias": True}]
)
def test_a_refined_network_computes_the_same(options: dict[str, Any]) -> None:
    network = make_kan(grid="refine", noise=3.0, intervals=4, degree=2, **options)
    x, before = samples(), network(samples())
    network.begin_task(x)
    assert [layer.intervals for layer in network.layers] == [4] * len(network.layers)
    for intervals in (12, 28):  # 2 (G + K)
        network.begin_task(x)
        for layer in network.layers:
            assert (layer.intervals, layer.coef.shape[2]) == (intervals, intervals + 2)
            assert layer.coef.requires_grad
        torch.testing.assert_close(network(x), before, rtol=0, atol=1e-12)
    trained = dict(network.named_parameters())
    network(x).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.shape == parameter.shape for parameter in trained.values())


def test_a_refined_seed_is_the_seed_alone() -> None:
    stack, alone = make_kan(grid="refine"), make_kan(grid="refine", seeds=(3,))
    for _ in range(3):
        stack.begin_task(samples())
        alone.begin_task(samples()[1:2])
    for name, tensor in stack.state_dict().items():
        assert torch.equal(tensor[1:2], alone.state_dict()[name]), name


def test_a_saved_network_that_grew_is_read_into_a_fresh_one() -> None:
    network, fresh = make_kan(grid="refine"), make_kan(grid="refine")
    for _ in range(3):
        network.begin_task(samples())
    fresh.make_room(network.state_dict())
    fresh.load_state_dict(network.state_dict())
    for kan in (network, fresh):
        kan.begin_task(samples())
    assert torch.equal(network(samples()), fresh(samples()))


def test_first_task_moves_the_grid_once_and_as_each_task_does() -> None:
    first, each = make_kan(grid="first-task"), make_kan(grid="each-task")
    for network in (first, each):
        network.begin_task(samples(1))
    moved = {name: tensor.clone() for name, tensor in first.state_dict().items() if name != "tasks_begun"}
    for name, tensor in each.state_dict().items():
        assert torch.equal(moved[name], tensor)
    for network in (first, each):
        network.begin_task(samples(2))
    assert all(torch.equal(first.state_dict()[name], tensor) for name, tensor in moved.items())
    assert not torch.equal(each.state_dict()["layers.0.knots"], moved["layers.0.knots"])
    # Read back, it knows that its first task is over.
    fresh = make_kan(grid="first-task")
    fresh.load_state_dict(first.state_dict())
    fresh.begin_task(samples(3))
    assert torch.equal(fresh.state_dict()["layers.0.knots"], moved["layers.0.knots"])


def test_a_fixed_grid_stays() -> None:
    network = make_kan()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert "tasks_begun" not in before
    network.begin_task(samples())
    network.begin_task(samples())
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in before.items())
