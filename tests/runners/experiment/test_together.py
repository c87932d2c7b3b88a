"""Several ``kancl run`` at once on one folder: real processes, which meet at every cell."""

import multiprocessing
import re
import runpy
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import runners
from runners.cli.main import main
from runners.experiment.executors.server import start_server

COMMAND = (
    "run", "gaussian-peaks:tasks=3,samples=20", "--cells", "mlp:hidden=3/naive", "mlp:hidden=3/ewc", "--lr", "1e-2", "3e-3",
    "1e-3", "--optimizer", "adam", "--steps", "60", "--seeds", "2", "--jobs", "1",
)  # fmt: skip
CELLS = 6


SCRIPT = """
import sys
from runners.cli.main import main

sys.stdout = sys.stderr = log.open("w")
barrier.wait()
raise SystemExit(main(command))
"""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one command leaves."""
    out = tmp_path_factory.mktemp("alone")
    assert main([*COMMAND, "--quiet", "--out", str(out)]) == 0
    return out


@pytest.mark.skipif("forkserver" not in multiprocessing.get_all_start_methods(), reason="starts processes from a server")
@pytest.mark.parametrize("count", [2, 4])
def test_each_cell_is_done_once_and_all_end_well(tmp_path: Path, alone: Path, count: int) -> None:
    context = start_server()
    barrier, out = context.Barrier(count), tmp_path / "out"
    script, logs = tmp_path / "script.py", [tmp_path / f"log-{k}" for k in range(count)]
    script.write_text(SCRIPT)
    command = [*COMMAND, "--out", str(out)]
    started = [
        context.Process(target=runpy.run_path, args=(str(script), {"command": command, "log": log, "barrier": barrier}))
        for log in logs
    ]
    for process in started:
        process.start()
    for process in started:
        process.join()
    said = [log.read_text() for log in logs]
    assert [process.exitcode for process in started] == [0] * count, said
    done = Counter(number for text in said for number in re.findall(rf"\[(\d+)/{CELLS}\][^\n]*: done in", text))
    assert done == {str(number): 1 for number in range(1, CELLS + 1)}, said
    assert sum(bool(re.search(r": done in", text)) for text in said) > 1, "one of them did everything"
    assert not [*out.rglob("claim.json"), *out.rglob("*.tmp")]
    ours, theirs = runners.load(out), runners.load(alone)
    assert (ours.missing, ours.damaged) == ((), ())
    assert [entry.key for entry in ours.entries] == [entry.key for entry in theirs.entries]
    for one, other in zip(ours.entries, theirs.entries, strict=True):
        np.testing.assert_array_equal(one.result.R["rmse"], other.result.R["rmse"])
