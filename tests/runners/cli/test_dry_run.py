"""Guards ``kancl run --dry-run``: what a run would do, with its cost, and nothing written."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runners.experiment import foresight
from runners.experiment.foresight import Forecaster
from runners.stream.cache import StreamCache

Kancl = Callable[..., Any]
RUN = ("run", "gaussian-peaks:tasks=2", "--optimizer", "adam", "--steps", "4", "--seeds", "2", "--out", "out", "--jobs", "1")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(printed: str) -> list[list[str]]:
    """The cells of the table: state, parameters, steps and more, as words."""
    return [line.split() for line in printed.splitlines() if " adam " in line]


def states(printed: str) -> list[str]:
    return [next(word for word in row if word in ("new", "begun", "done", "failed", "tune")) for row in rows(printed)]


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


def test_cells_are_shown_and_nothing_is_written(kancl: Kancl, desk: Path) -> None:
    said = kancl(*RUN, "--cells", "mlp/naive", "kan/naive", "--lr", "0.1", "0.2", "--dry-run")
    assert said.code == 0
    assert files(desk) == {}
    assert states(said.out) == ["new"] * 4
    assert [row[-3:-1] for row in rows(said.out)] == [["207", "8"], ["203", "8"]] * 2
    assert "4 cells in out (not there yet): 4 new" in said.out
    assert "Nothing was written." in said.out


def test_what_is_there_is_told(kancl: Kancl, desk: Path) -> None:
    assert kancl(*RUN, "--cells", "mlp/naive", "kan/naive").code == 0
    (key,) = [path.name for path in (desk / "out/cells").iterdir() if "--kan--" in path.name]
    (desk / "out/cells" / key / "arrays.npz").unlink()  # as a kill before the end leaves it
    before = files(desk)
    said = kancl(*RUN, "--cells", "mlp/naive", "kan/naive", "linear/naive", "--dry-run")
    assert states(said.out) == ["done", "begun", "new"]
    assert "3 cells in out: 1 done, 1 begun, 1 new" in said.out
    more = kancl(*(part if part != "2" else "3" for part in RUN), "--cells", "mlp/naive", "--dry-run")
    assert [(row[row.index("steps=4") + 1], state) for row, state in zip(rows(more.out), states(more.out), strict=True)] == [
        ("2", "done"), ("1", "new"),
    ]  # fmt: skip
    assert files(desk) == before


def test_matched_widths_are_shown_and_trials_are_counted(kancl: Kancl, desk: Path) -> None:
    tuned = (*RUN, "--cells", "mlp/naive", "kan/naive", "--match", "parameters", "--to", "kan", "--tune", "2")
    said = kancl(*tuned, "--dry-run")
    assert files(desk) == {}
    assert "mlp becomes mlp:hidden=" in said.out
    assert "2 trials with 4 seeds each" in said.out
    assert states(said.out) == ["tune", "tune"]
    assert "lr to tune" in said.out
    assert kancl(*tuned).code == 0
    before = files(desk)
    said = kancl(*tuned, "--dry-run")
    assert set(states(said.out)) == {"done"}
    assert "lr to tune" not in said.out
    assert files(desk) == before


def test_a_forecast_is_what_was_measured_times_what_will_be_done(tools: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = tools.make_cell("gaussian-peaks:tasks=2", "mlp", optimizer="adam", steps=1003, batch_size=8, seeds=2)
    runs: list[int] = []
    monkeypatch.setattr(foresight, "step_seconds", lambda cells, stream: [0.5])
    monkeypatch.setattr(foresight, "_evaluation", lambda network, stream: 3.0)
    monkeypatch.setattr(foresight, "_short_run", lambda cell, stream, seeds: (runs.append(seeds) or 10.0, 0.0))
    forecaster = Forecaster(StreamCache())
    found = forecaster.of(cell)
    steps, looks = 2 * 1003, 1 + 2 * 12
    assert found.steps == steps
    assert found.flops == pytest.approx(2 * steps * 8 * 1060, rel=1e-6)
    short_steps, short_looks = 2 * 3, 1 + 2 * 2
    assert found.seconds == pytest.approx(10.0 + (steps - short_steps) * 1.0 + (looks - short_looks) * 3.0)
    slower = forecaster.of(replace(cell, policy=replace(cell.policy, lr=0.5, steps=2006)))
    assert slower.seconds - found.seconds == pytest.approx(2006.0, rel=0.02), "measured once for all rates and steps"
    assert runs == [2]


def test_where_memory_is_short_fewer_seeds_are_measured(tools: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = tools.make_cell("gaussian-peaks:tasks=2", "mlp", optimizer="adam", steps=4, seeds=6)
    timed: list[int] = []
    monkeypatch.setattr(foresight, "step_seconds", lambda cells, stream: timed.append(len(stream.seeds)) or [0.5])
    Forecaster(StreamCache(), free=1).of(cell)
    Forecaster(StreamCache()).of(cell)
    assert timed == [1, 6]


def test_a_cell_that_fails_when_it_is_tried_is_told_beside_the_others(
    kancl: Kancl, desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = foresight.memory_of

    def memory_of(cell: Any, stream: Any) -> int:
        if cell.architecture.name == "kan":
            raise RuntimeError("no memory today")
        return whole(cell, stream)

    monkeypatch.setattr(foresight, "memory_of", memory_of)
    said = kancl(*RUN, "--cells", "mlp/naive", "kan/naive", "--dry-run")
    assert said.code == 0
    assert "kan / naive fails: " in said.out
    assert "no memory today" in said.out
    assert rows(said.out)[0][-3:-1] == ["207", "8"]
