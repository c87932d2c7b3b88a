"""A cell's work ends in an outcome, whoever asks for it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kancl.errors import StorageError
from runners.config.cell import Cell
from runners.experiment.work import work
from runners.measure.record import Progress
from runners.run import run_cell
from runners.store.cell import CellStore
from runners.store.experiment import Store
from runners.strategies import State, Step, Strategy, strategies
from runners.stream.cache import StreamCache

SAID: dict[str, Any] = {"optimizer": "adam", "steps": 4, "evaluations": 2}


@pytest.fixture
def cell(tools: Any) -> Cell:
    """A small cell."""
    made: Cell = tools.make_cell("gaussian-peaks:tasks=2", "mlp:hidden=3", **SAID)
    return made


class Raises(Strategy):
    """Raises what it is given at its first step."""

    error: BaseException = ValueError("boom")

    def after_step(self, state: State, step: Step) -> None:
        raise self.error


def test_a_trial_is_the_same_cell_and_leaves_nothing(cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told: list[Progress] = []
    outcome = work(cell, None, tell=told.append)
    assert outcome.said == "done"
    assert outcome.result is not None
    assert told[-1].steps == told[-1].total_steps
    kept = work(cell, Store(tmp_path / "out"), step_seconds=lambda cell, stream: 0.5)
    assert kept.result is not None
    np.testing.assert_array_equal(outcome.result.R["rmse"], kept.result.R["rmse"])
    np.testing.assert_array_equal(outcome.result.R["rmse"], run_cell(cell, StreamCache().of(cell)).R["rmse"])
    assert (kept.result.step_seconds, np.isnan(outcome.result.step_seconds)) == (0.5, True)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_is_stored_is_taken(cell: Cell, tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert [work(cell, store).said for _ in range(2)] == ["done", "stored"]
    assert work(cell, store, step_seconds=lambda cell, stream: pytest.fail("timed again")).result is not None


def test_what_was_begun_goes_on(cell: Cell, tmp_path: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.task == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work(cell, Store(tmp_path), tell=stop)
    later: list[int] = []
    outcome = work(cell, Store(tmp_path), tell=lambda progress: later.append(progress.task))
    assert set(later) == {2}
    assert outcome.result is not None
    np.testing.assert_array_equal(outcome.result.R["rmse"], run_cell(cell, StreamCache().of(cell)).R["rmse"])


@pytest.mark.parametrize("stored", [True, False])
def test_a_failure_is_an_outcome(tools: Any, enrol: Callable[..., None], tmp_path: Path, stored: bool) -> None:
    enrol(strategies, "raises", Raises)
    failing = tools.make_cell("gaussian-peaks:tasks=2", "mlp:hidden=3", "raises", **SAID)
    outcome = work(failing, Store(tmp_path) if stored else None)
    assert outcome.result is None
    assert outcome.said.startswith("strategy raises failed in its hook after_step: ")
    assert "boom" in outcome.said
    status = Store(tmp_path).cell(failing.key).load_status() if stored else None
    assert (status or {}).get("error") == (outcome.said if stored else None)


def test_a_full_disk_is_no_outcome(cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: CellStore, checkpoint: Any) -> None:
        raise StorageError("no space left")

    monkeypatch.setattr(CellStore, "save_checkpoint", full)
    with pytest.raises(StorageError):
        work(cell, Store(tmp_path))
