"""The time of a step is measured in turns that become shorter where the cells are many."""

from typing import Any

import pytest

from runners.measure.timing import Timing
from runners.stream.stream import stack
from runners.training import step_time
from runners.training.step_time import BLOCK, ROUNDS, TOTAL, step_seconds


@pytest.mark.parametrize("count", [1, 100, 1000])
def test_the_turns_of_all_cells_together_are_bounded(count: int, tools: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[float] = []

    def race(contenders: Any, rounds: int, block: float) -> tuple[Timing, ...]:
        turns.append(block)
        return tuple(Timing(c.name, 1.0, 1.0, 1.0, rounds, 1, c.networks, "") for c in contenders)

    cell = tools.make_cell("gaussian-peaks", "mlp", steps=5)
    stream = stack(cell.scenario, cell.seeds)
    monkeypatch.setattr(step_time, "race", race)
    monkeypatch.setattr(step_time, "_stepper", lambda cell, stream: lambda steps: None)
    assert step_seconds([cell] * count, stream) == [1.0] * count
    assert turns[0] * ROUNDS * count <= TOTAL + 1e-9
    assert turns[0] == BLOCK or count > 1
