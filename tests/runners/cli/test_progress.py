"""What a run shows while it works, on a narrow terminal, without one, and where nobody wants to see it."""

from collections.abc import Callable
from typing import Any

import pytest

from runners.cli import progress
from runners.cli.progress import Screen
from runners.measure.record import Progress

RUN = ("run", "gaussian-peaks:tasks=2", "--architectures", "mlp:hidden=3", "--optimizer", "adam", "--steps", "4",
       "--seeds", "2", "--evaluations", "2")  # fmt: skip


def test_cells_that_run_at_once_are_told_with_what_is_left_of_all(
    tools: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    one, two = (tools.make_cell("gaussian-peaks:tasks=2", "mlp:hidden=3", name) for name in ("naive", "ewc"))
    with Screen() as screen:
        for number, cell in enumerate((one, two), 1):
            screen.begin_cell(cell, number, 2)
            screen.progress(cell, Progress(1, 2, 0, 100))
        for second in range(1, 41):
            now[0] = float(second)
            screen.progress(one, Progress(1, 2, second, 100))
            screen.progress(two, Progress(1, 2, 2 * second, 100))
        screen.end_cell(two, "left to process 7 on elsewhere")
        screen.end_cell(one, "done")
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 4, "one report of each cell in forty seconds, five apart"
    assert out[0].startswith("[1/2] gaussian-peaks:tasks=2 / mlp:hidden=3 / naive")
    assert out[0].endswith("task 1/2, 1 steps/s, about 1 min left; 0 of 2 cells done, about 37 s left")
    assert out[1].startswith("[2/2]")
    assert out[2].endswith("left to process 7 on elsewhere")
    assert out[3].endswith("done in 40.0 s")


def test_quiet_is_quiet_and_says_what_went_wrong(
    kancl: Callable[..., Any], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.py").write_text(
        "from multiprocessing import current_process\nfrom pathlib import Path\nfrom runners.strategies import Strategy\n"
        "class Bad(Strategy):\n    def end_task(self, state, network, samples, phase):\n"
        "        if Path('out').exists(): raise ValueError('boom')\n        return state\n"
    )
    ended = kancl(*RUN, "--strategies", "naive", "--out", "well", "--quiet")
    assert (ended.code, ended.out) == (0, "")
    ended = kancl(*RUN, "--strategies", "naive", "bad.py:Bad", "--out", "out", "--quiet")
    assert ended.code == 1
    assert [line for line in ended.out.splitlines() if line.startswith("failed: ")]
    assert all("boom" in line or "status.json" in line for line in ended.out.splitlines())
