"""What every registered strategy owes: seeds side by side, resuming, the same numbers every time, and nothing at strength 0 or
without a memory.

Each strategy meets both main architectures in all three incremental settings and on a regression, or refuses with a reason.
"""

import copy
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from kancl import options
from kancl.errors import InputError
from kancl.options import Spec, parse_spec
from runners.config.cell import Cell
from runners.measure.record import Checkpoint
from runners.run import run_cell
from runners.strategies import Strategy, strategies
from runners.training.checks import check_policy
from runners.training.networks import build_network

SEEDS = (3, 0, 5)
SHORT: dict[str, Any] = {"optimizer": "adam", "lr": 0.01, "evaluations": 2, "dtype": "float64", "seeds": SEEDS}
SCENARIOS = {
    "class": ("split-digits:classes_per_task=5,setting=class,samples=8", {"steps": 2, "batch_size": 24}),
    "domain": ("split-digits:classes_per_task=5,setting=domain,samples=8", {"steps": 2, "batch_size": 24}),
    "task": ("split-digits:classes_per_task=5,setting=task,samples=8", {"steps": 2, "batch_size": 24}),
    "numbers": ("gaussian-peaks:tasks=3,samples=12", {"steps": 3, "batch_size": 8}),
}
ARCHITECTURES = {"kan": "kan:hidden=3,intervals=4,base=silu", "mlp": "mlp:hidden=5,activation=tanh"}
PLACES = [(scenario, architecture) for scenario in SCENARIOS for architecture in ARCHITECTURES]


@cache
def ground(tools: Any, scenario: str, architecture: str) -> Cell:
    """The cell of one place, with the naive strategy."""
    text, said = SCENARIOS[scenario]
    cell: Cell = tools.make_cell(text, ARCHITECTURES[architecture], **SHORT, **said)
    return cell


@cache
def made(text: str) -> tuple[Spec, Strategy]:
    """A strategy with all its options, and what they build."""
    spec = options.complete(strategies, parse_spec(text))
    built = options.build(strategies.get(spec.name), spec)
    assert isinstance(built, Strategy)
    return spec, built


def cell_of(tools: Any, text: str, scenario: str, architecture: str) -> Cell | str:
    """The cell of one strategy at one place, or why the strategy refuses the place, as it does when cells are made."""
    cell = ground(tools, scenario, architecture)
    spec, built = made(text)
    stream = tools.stream_of(cell)
    try:
        check_policy(build_network(cell, stream), stream, cell.policy, built, architecture)
    except InputError as error:
        return str(error)
    return replace(cell, strategy=spec)


def taken(tools: Any, cell: Cell, resume: Checkpoint | None = None) -> tuple[Any, list[Checkpoint]]:
    """The result and what was saved at every task end, as it was then."""
    kept: list[Checkpoint] = []
    result = run_cell(cell, tools.stream_of(cell), resume, save=lambda checkpoint: kept.append(copy.deepcopy(checkpoint)))
    tools.shapes_met()
    return result, kept


def assert_same(ours: tuple[Any, list[Checkpoint]], other: tuple[Any, list[Checkpoint]]) -> None:
    """Equal to the bit: scores, weights and state."""
    for name, R in ours[0].R.items():
        np.testing.assert_array_equal(R, other[0].R[name])
        np.testing.assert_array_equal(ours[0].curves[name], other[0].curves[name])
    for part in ("network", "state"):
        one, two = getattr(ours[1][-1], part), getattr(other[1][-1], part)
        assert one.keys() == two.keys()
        for name, tensor in one.items():
            assert torch.equal(tensor, two[name]), name


@pytest.mark.parametrize(("scenario", "architecture"), PLACES)
@pytest.mark.parametrize("strategy", strategies.names())
def test_the_contract(tools: Any, strategy: str, scenario: str, architecture: str) -> None:
    cell = cell_of(tools, strategy, scenario, architecture)
    if isinstance(cell, str):
        assert len(cell) > 40, "a refusal has to say why, and what to do"
        return
    ours = taken(tools, cell)
    result, ends = ours
    # State has the seed axis first, and everything is finite.
    for end in ends:
        for name, tensor in end.state.items():
            assert tensor.shape[:1] == (len(SEEDS),), name
            assert not tensor.is_floating_point() or bool(tensor.isfinite().all()), name
            assert not tensor.requires_grad, name
        assert all(bool(tensor.isfinite().all()) for tensor in end.network.values())
    # Killed after the first task and gone on: the same to the bit, which no use of a global generator would survive.
    torch.manual_seed(1)
    assert_same(taken(tools, cell, copy.deepcopy(ends[0])), ours)
    # A seed alone is the seed in the stack, up to rounding.
    alone, alone_ends = taken(tools, replace(cell, seeds=SEEDS[-1:]))
    for name, R in result.R.items():
        np.testing.assert_allclose(R[-1:], alone.R[name], rtol=1e-8, atol=1e-11)
    for part in ("network", "state"):
        for name, tensor in getattr(alone_ends[-1], part).items():
            torch.testing.assert_close(getattr(ends[-1], part)[name][-1:], tensor, rtol=1e-7, atol=1e-10, equal_nan=True)


def has(name: str, option: str) -> bool:
    """Whether a strategy has an option."""
    builder = strategies.get(name)
    return is_dataclass(builder) and any(field.name == option for field in fields(builder))


WEAK_AND_STRONG = [
    *((f"{name}:strength=0", f"{name}:strength=3") for name in strategies.names() if has(name, "strength")),
    *((f"{name}:memory=0", f"{name}:memory=30") for name in strategies.names() if has(name, "memory")),
    ("der++:alpha=0,beta=0", "der++:alpha=0.1,beta=0"),
]
"""Options with which a strategy does nothing, and others."""


@pytest.mark.parametrize(("scenario", "architecture"), [("task", "kan"), ("domain", "mlp"), ("numbers", "kan")])
@pytest.mark.parametrize(("without", "with_it"), WEAK_AND_STRONG)
def test_strength_0_is_naive_to_the_bit(tools: Any, without: str, with_it: str, scenario: str, architecture: str) -> None:
    weak, strong = (cell_of(tools, text, scenario, architecture) for text in (without, with_it))
    if isinstance(weak, str) or isinstance(strong, str):
        return  # the contract above asks for the reason
    naive, naive_ends = taken(tools, ground(tools, scenario, architecture))
    ours, ends = taken(tools, weak)
    for name, R in naive.R.items():
        np.testing.assert_array_equal(ours.R[name], R)
    for name, tensor in naive_ends[-1].network.items():
        assert torch.equal(ends[-1].network[name], tensor), name
    # And the strength has an effect at all, or the equality would say nothing.
    moved, _ = taken(tools, strong)
    assert any(not np.array_equal(moved.R[name], R) for name, R in naive.R.items())


@pytest.mark.parametrize("strategy", strategies.names())
def test_a_strategy_serves_somewhere_and_has_a_line_of_its_own(tools: Any, strategy: str) -> None:
    assert any(isinstance(cell_of(tools, strategy, *place), Cell) for place in PLACES), "refused everywhere"
    builder = strategies.get(strategy)
    assert issubclass(builder, Strategy)  # type: ignore[arg-type]
    first = (builder.__doc__ or "").splitlines()[0]
    assert first.endswith(".")
    assert 20 < len(first) < 128


@pytest.mark.parametrize("strategy", strategies.names())
def test_under_an_operator_it_trains_or_is_refused(tools: Any, strategy: str) -> None:
    """What judges outputs would take an operator's values for them."""
    said = {"optimizer": "adam", "steps": 3, "batch_size": 8, "evaluations": 2, "seeds": 1}
    asked = ("heat-windows:tasks=2,samples=16", "kan:hidden=2,backend=dense", strategy)
    if strategies.get(strategy)().judges_outputs or strategy == "packnet":  # which needs heads
        with pytest.raises(InputError, match=r"judges outputs|setting=task"):
            tools.make_cell(*asked, **said)
        return
    cell = tools.make_cell(*asked, **said)
    assert np.isfinite(tools.train(cell).result.R["rmse"]).all()


def test_an_anchor_by_information_is_refused_under_an_operator(tools: Any) -> None:
    with pytest.raises(InputError, match="use weight=mass"):
        tools.make_cell("heat-windows", "kan", "knot-anchor:weight=mass-fisher", optimizer="adam")


@pytest.mark.parametrize(
    ("name", "near"), [("begin_tasks", "begin_task"), ("after_steps", "after_step"), ("penality", "penalty")]
)
def test_a_misspelt_hook_is_refused(name: str, near: str) -> None:
    """It would run as naive, and say nothing."""
    with pytest.raises(InputError, match=f"strategy Mine has a method {name}, which nobody calls; did you mean {near}?"):
        type("Mine", (Strategy,), {name: lambda self: None})


def test_methods_of_a_strategys_own_are_its_own() -> None:
    own = dict.fromkeys(("penalties", "batch", "restart", "parameters_of", "_penalty"), lambda self: None)
    one = type("One", (Strategy,), own)
    assert issubclass(type("Two", (one,), own), one)

    class Uses(Strategy):
        def starts(self) -> int:
            return 1

        def starts_anew(self, phase: int) -> bool:
            return phase > self.starts()

    assert Uses().starts_anew(2)
