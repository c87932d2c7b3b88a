"""Guards what is said of a cell before it runs: the memory that it will take, which splits seeds into blocks."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from runners.experiment.forecast import GROUND, SLACK, data_bytes, memory_of
from runners.measure.allocations import Allocations
from runners.run import run_cell
from runners.stream.stack import stack

FLOAT = 4


def test_what_is_held_is_counted_and_views_and_what_was_there_are_not() -> None:
    before = torch.zeros(1000)
    with Allocations() as seen:
        view = before[:10]
        doubled = view * 2
        whole = torch.zeros(5, 10)
        rows = [whole[k] for k in range(5)]
        del whole
    assert seen.held == seen.peak == 10 * FLOAT + 50 * FLOAT
    del rows
    assert (seen.held, seen.peak) == (doubled.nbytes, 60 * FLOAT)


def test_gradients_and_graphs_are_held_until_they_are_let_go() -> None:
    w = torch.ones(100, requires_grad=True)
    with Allocations() as seen:
        loss = w.exp().sin().sum()
        held = seen.held
        loss.backward()
    assert held == w.nbytes + loss.nbytes, "what exp gave is kept for the gradients of both"
    assert seen.peak >= 3 * w.nbytes, "it, and what goes back through it"
    assert seen.held == w.nbytes + loss.nbytes, "the gradient and the loss stay"


@pytest.mark.parametrize(("strategy", "said"), [("naive", {}), ("replay:memory=64", {"batch_size": 8})])
def test_two_seeds_tell_what_many_take(tools: Any, strategy: str, said: dict[str, object]) -> None:
    cell = tools.make_cell("gaussian-peaks:tasks=2", "mlp:hidden=64x64", strategy, optimizer="adam", steps=4, seeds=12, **said)
    stream = tools.stream_of(cell)
    with Allocations() as seen:
        run_cell(cell, stream)
    expected = data_bytes(stream, 12) + SLACK * seen.peak + GROUND
    assert memory_of(cell, stream) == pytest.approx(expected, rel=0.02)
    assert memory_of(cell, stream.of_places(slice(2))) == pytest.approx(expected, rel=0.02)


def test_what_is_taken_in_parts_is_never_underestimated(tools: Any) -> None:
    """ewc's gradients of single samples: so many at once as fit a bound that two seeds do not reach."""
    cell = tools.make_cell("gaussian-peaks:tasks=2", "mlp:hidden=64x64", "ewc", optimizer="adam", steps=2, seeds=12)
    stream = tools.stream_of(cell)
    with Allocations() as seen:
        run_cell(cell, stream)
    assert SLACK * seen.peak < memory_of(cell, stream) - GROUND < 4 * seen.peak


def test_parameters_optimiser_and_seeds_are_in_it(tools: Any) -> None:
    cell = tools.make_cell("gaussian-peaks:tasks=2", "mlp:hidden=256x256", optimizer="sgd", momentum=0.9, steps=2)
    stream, parameters = tools.stream_of(cell), 256 * 256
    sgd, adam = (memory_of(replace(cell, policy=replace(cell.policy, **own)), stream) for own in ({}, ADAM))
    assert adam - sgd == pytest.approx(SLACK * 2 * parameters * FLOAT, rel=0.1), "one more moment of two seeds"
    many = memory_of(replace(cell, seeds=tuple(range(100))), stream)
    assert many > 98 * 3 * parameters * FLOAT, "weights, gradients and momentum of each"


ADAM = {"optimizer": "adam", "momentum": 0.0}


def test_seeds_in_groups_take_what_the_largest_group_does(tools: Any) -> None:
    cell = tools.make_cell("gaussian-peaks:tasks=2", "mlp:hidden=64x64", optimizer="adam", steps=2, seeds=4)
    stream = tools.stream_of(cell)
    halves = tuple(stream.of_places(own) for own in (slice(1), slice(1, 4)))
    grouped = replace(stream, groups=halves)
    parts = [memory_of(replace(cell, seeds=half.seeds), half) for half in halves]
    assert max(parts) <= memory_of(cell, grouped) < memory_of(cell, stream)


def test_nothing_is_changed_by_a_rehearsal(tools: Any) -> None:
    cell = tools.make_cell("gaussian-peaks:tasks=2", "kan", optimizer="adam", steps=2)
    stream, before = stack(cell.scenario, cell.seeds), torch.get_rng_state()
    memory_of(cell, stream)
    assert torch.equal(torch.get_rng_state(), before)
    assert stream.digest == stack(cell.scenario, cell.seeds).digest
