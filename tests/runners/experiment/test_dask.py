"""Cells on workers of dask's: complete with the same numbers, also where a worker is killed in a cell."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kancl.errors import InputError
from runners.config.request import Request
from runners.experiment.executors.executor import Terms
from runners.experiment.expand import expand
from runners.experiment.sweep import run
from runners.measure.record import Progress
from runners.run import run_cell
from runners.store.experiment import Store
from runners.stream.cache import StreamCache

KILLS = """
import os, signal, time
from multiprocessing import parent_process
from pathlib import Path

from runners.strategies import Strategy

class Kills(Strategy):
    # Its worker, which started this process, in the second task of the first try.
    def begin_task(self, state, network, samples, phase):
        marker = Path(__file__).parent / "killed"
        if phase == 1 and parent_process() is not None and not marker.exists():
            marker.write_text(str(parent_process().pid))
            os.kill(parent_process().pid, signal.SIGKILL)
        return state

class HangsOnce(Strategy):
    def after_step(self, state, step):
        marker = Path(__file__).parent / "hung"
        if parent_process() is not None and not marker.exists():
            marker.touch()
            time.sleep(600)
        return state

class Raises(Strategy):
    def begin_task(self, state, network, samples, phase):
        if parent_process() is not None:
            print("about to raise")
            raise ValueError("boom")
        return state
"""


class Heard:
    def __init__(self) -> None:
        self.ended: dict[str, str] = {}
        self.begun: list[str] = []

    def begin_cell(self, cell: Any, number: int, count: int) -> None:
        self.begun.append(cell.strategy.name)

    def progress(self, cell: Any, progress: Progress) -> None:
        assert cell.strategy.name in self.begun

    def end_cell(self, cell: Any, outcome: str) -> None:
        self.ended[cell.strategy.name] = outcome


def test_two_workers_of_which_one_is_killed_in_a_cell_and_a_cell_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kills.py").write_text(KILLS)
    monkeypatch.chdir(tmp_path)
    names = ("kills.py:Kills", "naive", "kills.py:HangsOnce", "kills.py:Raises", "ewc", "joint")
    asked = Request(("gaussian-peaks:tasks=2",), ("mlp:hidden=3",), names, seeds=2, optimizer="adam", steps=6, evaluations=2)
    cells, heard, said = expand([asked]), Heard(), list[object]()
    outcomes = run(cells, Store(Path("out")), heard, tell=said.append, terms=Terms("dask", jobs=2, hang_after=5.0))
    assert (tmp_path / "killed").exists()
    assert any("HangsOnce" in str(line) and "gave no sign of progress for 5 s; trying again" in str(line) for line in said), (
        said
    )
    boom = "strategy kills.py:Raises failed in its hook begin_task: ValueError: boom"
    # The process that lost its worker may have come to the end by itself.
    assert heard.ended.pop("kills.py:Kills") in ("done", "stored")
    assert heard.ended == {name: boom if "Raises" in name else "done" for name in names[1:]}
    assert list(outcomes.failures.values()) == [boom]
    for cell in cells[:3]:
        alone = run_cell(cell, StreamCache().of(cell))
        np.testing.assert_array_equal(outcomes.results[cell.key].R["rmse"], alone.R["rmse"])
    status = json.loads((tmp_path / "out" / "cells" / cells[0].key / "status.json").read_text())
    assert status["state"] == "done"


def test_a_cluster_that_does_not_come_up_is_started_again_and_then_told(
    monkeypatch: pytest.MonkeyPatch, tools: Any, tmp_path: Path
) -> None:
    tried: list[int] = []

    def cluster(**more: Any) -> None:
        tried.append(more["n_workers"])
        raise RuntimeError("Nanny failed to start.")

    monkeypatch.setattr("distributed.LocalCluster", cluster)
    cell = tools.make_cell("gaussian-peaks:tasks=2", "mlp")
    with pytest.raises(InputError, match="Nanny failed to start"):
        run([cell], Store(tmp_path), Heard(), terms=Terms("dask", jobs=2))
    assert tried == [2, 2, 2]


def test_a_scheduler_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch, tools: Any, tmp_path: Path) -> None:
    monkeypatch.setattr("runners.experiment.executors.dask.CONNECT", 0.2)
    cell = tools.make_cell("gaussian-peaks:tasks=2", "mlp")
    with pytest.raises(InputError, match="does not answer"):
        run([cell], Store(tmp_path), Heard(), terms=Terms("dask", scheduler="tcp://127.0.0.1:9"))
