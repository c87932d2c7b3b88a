"""The time of a step is that of the second phase, measured in turns that become shorter where the cells are many."""

from typing import Any

import pytest

from kancl.models import Network
from runners.measure.timing import Timing
from runners.strategies import State, Step, Strategy
from runners.stream import Samples
from runners.stream.stack import stack
from runners.training import step_time
from runners.training.phase import begin_phase, end_phase
from runners.training.step_time import BLOCK, FIRST, ROUNDS, TOTAL, second_phase, step_seconds
from runners.training.training import start, training_of


@pytest.mark.parametrize("count", [1, 100, 1000])
def test_the_turns_of_all_cells_together_are_bounded(count: int, tools: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[float] = []

    def race(contenders: Any, rounds: int, block: float) -> tuple[Timing, ...]:
        turns.append(block)
        return tuple(Timing(c.name, 1.0, 1.0, 1.0, rounds, 1, c.networks, "") for c in contenders)

    cell = tools.make_cell("gaussian-peaks", "mlp", steps=5)
    stream = stack(cell.scenario, cell.seeds)
    monkeypatch.setattr(step_time, "race", race)
    monkeypatch.setattr(step_time, "second_phase", lambda cell, stream: lambda steps: None)
    assert step_seconds([cell] * count, stream) == [1.0] * count
    assert turns[0] * ROUNDS * count <= TOTAL + 1e-9
    assert turns[0] == BLOCK or count > 1


@pytest.mark.parametrize("steps", [1, 20])
def test_no_more_steps_are_timed_than_are_trained(tools: Any, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    taken: list[int] = []
    cell = tools.make_cell("gaussian-peaks:tasks=2", "mlp", steps=steps)
    monkeypatch.setattr(step_time, "second_phase", lambda cell, stream: taken.append)
    assert step_seconds([cell], stack(cell.scenario, cell.seeds), as_trained=True)[0] > 0
    assert taken[-ROUNDS:] == [max(1, 2 * steps // ROUNDS)] * ROUNDS
    step_seconds([cell], stack(cell.scenario, cell.seeds))
    assert taken[-1] > 8


class Notes(Strategy):
    """Writes down in which phase, and after what, its hooks are called."""

    def __init__(self) -> None:
        self.called: list[tuple[str, int]] = []

    def begin_task(self, state: State, network: Network, samples: Samples, phase: int) -> State:
        self.called.append(("begin", phase))
        return state

    def expect(self, state: State, steps: int) -> State:
        self.called.append(("expect", steps))
        return state

    def after_step(self, state: State, step: Step) -> None:
        self.called.append(("step", len(step.batch.x)))

    def end_task(self, state: State, network: Network, samples: Samples, phase: int) -> State:
        self.called.append(("end", phase))
        return state


def test_steps_are_those_of_the_second_phase_after_a_short_first(tools: Any) -> None:
    cell, strategy = tools.make_cell("gaussian-peaks", "mlp", optimizer="adam", steps=5, seeds=2), Notes()
    run = second_phase(cell, stack(cell.scenario, cell.seeds), strategy)
    before = [("begin", 0), ("expect", FIRST), *[("step", 2)] * FIRST, ("end", 0), ("begin", 1), ("expect", 5)]
    assert strategy.called == before
    run(7)  # more than the phase has
    assert strategy.called == [*before, *[("step", 2)] * 7]


def test_of_one_task_its_own_steps_are_timed(tools: Any) -> None:
    cell, strategy = tools.make_cell("gaussian-peaks:tasks=1", "mlp", optimizer="adam", steps=5), Notes()
    second_phase(cell, stack(cell.scenario, cell.seeds), strategy)(1)
    assert [what for what, _ in strategy.called] == ["begin", "expect", "step"]


@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("over", ["task", "sequence"])
def test_a_schedule_does_not_end_the_timing(tools: Any, steps: int, over: str) -> None:
    cell = tools.make_cell("gaussian-peaks", "mlp", optimizer="adam", steps=steps, schedule="linear", schedule_over=over)
    assert step_seconds([cell], stack(cell.scenario, cell.seeds))[0] > 0


@pytest.mark.parametrize("strategy", ["ewc", "si", "replay:memory=20", "lwf", "agem", "der++", "packnet"])
def test_what_is_timed_knows_a_past(tools: Any, strategy: str) -> None:
    """The same numbers of floats are in use as in training: the state of the second phase is not that of the first."""
    setting = "split-digits:setting=task" if strategy in ("lwf", "packnet", "der++") else "gaussian-peaks"
    cell = tools.make_cell(setting, "mlp", strategy, optimizer="adam", steps=5)
    training = training_of(cell, stack(cell.scenario, cell.seeds))
    start(training)
    begun = begin_phase(training, 0, FIRST)
    first = set(training.state)
    begun.take_steps_until(FIRST)
    end_phase(training, begun)
    begin_phase(training, 1)
    assert set(training.state) - first or any(bool(tensor.any()) for tensor in training.state.values())
    assert step_seconds([cell], training.stream)[0] > 0
