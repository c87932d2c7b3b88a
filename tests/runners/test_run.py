"""Every runner has a row, and every row holds the same contract."""

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest

from kancl.errors import InputError
from runners.config.cell import Runner
from runners.config.request import Request
from runners.measure.record import Checkpoint, Progress
from runners.run import RUNNERS, run_cell
from runners.training.networks import build_network

TOY = ("gaussian-peaks:tasks=3", "mlp:hidden=3", "naive")
SAID: dict[str, Any] = {"optimizer": "adam", "steps": 4, "evaluations": 2}


def test_every_runner_that_can_be_asked_for_has_a_row() -> None:
    assert tuple(RUNNERS) == get_args(Runner)


@pytest.mark.parametrize("runner", RUNNERS)
class TestRow:
    """The contract."""

    def test_naive_is_made_and_taken(self, tools: Any, runner: Runner) -> None:
        row, cell = RUNNERS[runner], tools.make_cell(*TOY, runner=runner, **SAID)
        stream = tools.stream_of(cell)
        spec, strategy = row.make_strategy("naive")
        assert (spec.name, spec.name in row.strategies.available()) == ("naive", True)
        row.check_request(Request(scenarios=(TOY[0],), runner=runner), "cpu")
        row.check_scenario(stream, TOY[0])
        row.check_cell(build_network(cell, stream), cell, stream, strategy, "naive")

    def test_an_unknown_strategy_is_refused(self, runner: Runner) -> None:
        with pytest.raises(InputError, match="nobody"):
            RUNNERS[runner].make_strategy("nobody")

    def test_a_cell_is_trained_measured_told_and_saved(self, tools: Any, runner: Runner) -> None:
        cell = tools.make_cell(*TOY, runner=runner, seeds=2, **SAID)
        told: list[Progress] = []
        saved: list[Checkpoint] = []
        result = run_cell(cell, tools.stream_of(cell), save=saved.append, tell=told.append)
        assert {name: R.shape for name, R in result.R.items()} == dict.fromkeys(result.R, (2, 4, 3))
        assert all(np.isfinite(R).all() for R in result.R.values())
        assert (told[-1].steps, told[-1].task) == (told[-1].total_steps, 3)
        assert saved
        assert np.isfinite(result.step_seconds) != RUNNERS[runner].times_steps  # the others measure their own

    def test_a_seed_is_trained_as_it_is_by_the_others(self, tools: Any, runner: Runner) -> None:
        cell = tools.make_cell(*TOY, runner=runner, dtype="float64", **SAID)
        native = replace(cell, runner="native")
        ours, theirs = (run_cell(one, tools.stream_of(one)) for one in (cell, native))
        np.testing.assert_allclose(ours.R["rmse"], theirs.R["rmse"], rtol=1e-9)
