"""Seeds that do not fit in memory are trained in blocks, with the numbers of the stack."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runners.experiment import memory
from runners.experiment.forecast import memory_of
from runners.experiment.memory import Fitted, Room, _free_in_container, fitted, peak, room_on
from runners.experiment.work import work
from runners.store.experiment import Store


def test_seeds_that_do_not_fit_are_divided_into_as_few_blocks_as_do(tools: Any) -> None:
    cell = tools.make_cell("gaussian-peaks:tasks=2", "mlp:hidden=512x512", optimizer="adam", steps=2, seeds=6)
    stream = tools.stream_of(cell)
    need = {count: memory_of(replace(cell, seeds=cell.seeds[:count]), stream.of_places(slice(count))) for count in (1, 2, 3, 6)}
    assert fitted(cell, stream, Room(need[6] + 1)).stream is stream
    assert not fitted(cell, stream, Room()).stream.groups
    assert [group.seeds for group in fitted(cell, stream, Room(need[3] + (1 << 20))).stream.groups] == [(0, 1, 2), (3, 4, 5)]
    assert [len(group.seeds) for group in fitted(cell, stream, Room(need[2] + (1 << 20))).stream.groups] == [2, 2, 2]
    assert [len(group.seeds) for group in fitted(cell, stream, Room(1)).stream.groups] == [1] * 6
    assert fitted(cell, stream, Room(1 << 50)).expected is None, "nobody rehearses where there is plenty of room"


def test_a_stack_that_is_split_has_the_same_numbers_and_says_what_it_took(tools: Any, tmp_path: Path) -> None:
    cell = tools.make_cell("gaussian-peaks:tasks=2", "mlp:hidden=64", "ewc", optimizer="adam", steps=6, evaluations=2, seeds=3)
    whole, split = (work(cell, Store(tmp_path / str(room.bytes)), room=room).result for room in (Room(), Room(1)))
    assert whole is not None
    assert split is not None
    for name in whole.R:
        np.testing.assert_array_equal(split.R[name], whole.R[name])
        np.testing.assert_array_equal(split.curves[name], whole.curves[name])
    status = Store(tmp_path / "1").cell(cell.key).load_status() or {}
    assert (status["blocks"], status["expected_memory"] > 0) == (3, True)
    assert 1 << 20 < status["peak_memory"] <= peak()
    assert "expected_memory" not in (Store(tmp_path / "None").cell(cell.key).load_status() or {})


def test_memory_beyond_what_was_foretold_is_said(tools: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest memory grows by a terabyte while the cell trains."""
    cell = tools.make_cell("gaussian-peaks:tasks=2", "mlp:hidden=3", optimizer="adam", steps=4, evaluations=2, seeds=4)
    for grown, lines in ((0, 0), (1 << 40, 1)):
        most = iter([1 << 20, *[(1 << 20) + grown] * 9])
        monkeypatch.setattr(memory, "peak", lambda most=most: next(most))
        said: list[str] = []
        assert work(cell, Store(tmp_path / str(grown), said.append), room=Room(1)).state == "done"
        assert len(said) == lines
    assert re.match(rf"{cell.key}: 4 seeds in 4 blocks took 1,04\d,\d+ MB of memory, and \d+ MB were foretold", said[0])
    most = iter([1 << 20, 1 << 40])
    assert Fitted(tools.stream_of(cell)).exceeded() == "", "nothing was foretold"


def test_the_room_of_a_container_is_what_its_limit_leaves(tmp_path: Path) -> None:
    for name, said in {"max": "1000\n", "current": "700\n", "stat": "anon 400\ninactive_file 100\n"}.items():
        (tmp_path / f"memory.{name}").write_text(said)
    assert _free_in_container(tmp_path) == 400
    (tmp_path / "memory.max").write_text("max\n")
    assert _free_in_container(tmp_path) is None
    assert _free_in_container(tmp_path / "none") is None
    assert (room_on("cpu").bytes or 0) > 1 << 20
    assert Room(100).shared(3) == Room(33)
    assert Room().shared(3) == Room()


def test_a_cell_that_was_begun_together_goes_on_together(tools: Any, tmp_path: Path) -> None:
    cell = tools.make_cell("gaussian-peaks:tasks=2", "mlp:hidden=3", optimizer="adam", steps=4, evaluations=2)

    def stop(progress: Any) -> None:
        if progress.task == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work(cell, Store(tmp_path), tell=stop)
    assert work(cell, Store(tmp_path), room=Room(1)).state == "done"
    assert not (Store(tmp_path).cell(cell.key).folder / "blocks").exists()
