"""How time and memory grow with tasks and cells: ``python benchmarks/sizes.py``, some five minutes; prints a Markdown table.

Each command runs in a process of its own, whose processor time and peak memory are read when it ends. Processor time stands
beside the time on the clock, since only the clock waits for disks and for other programs. This file is also the plug-in of the
runs.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scenarios import Scenario, Task

SHORT = 10
"""Tasks of the run whose time is taken from the others': what a run takes to begin and to end."""


def many(seed: int, tasks: int = 100, samples: int = 8) -> Scenario:
    """A sine in so many pieces, each a task of a few samples."""
    rng = np.random.default_rng(seed)

    def piece(k: int) -> Task:
        x = rng.uniform(k / tasks, (k + 1) / tasks, (samples + 4, 1))
        return Task(f"piece {k + 1}", (x[:samples], np.sin(20 * x[:samples])), (x[samples:], np.sin(20 * x[samples:])))

    return Scenario(tuple(piece(k) for k in range(tasks)), loss="mse")


@dataclass(frozen=True)
class Used:
    """What a process took: seconds on the clock, seconds of the processor, and its largest memory in MB."""

    clock: float
    processor: float
    memory: float


def measure(*arguments: str) -> Used:
    """Run Python with these arguments, quietly, and return what it took.

    Raises:
        SystemExit: it failed.
    """
    command = [sys.executable, *arguments]
    quiet = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_WRONLY, 0) for number in (1, 2)]
    began = time.perf_counter()
    process = os.posix_spawn(sys.executable, command, {**os.environ, "OMP_NUM_THREADS": "1"}, file_actions=quiet)
    _, status, usage = os.wait4(process, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(command)[:200]}")
    return Used(time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def kancl(*arguments: str) -> Used:
    """Run the command line."""
    return measure("-c", "import sys; from runners.cli.main import entry; sys.argv[0] = 'kancl'; sys.exit(entry())", *arguments)


def run_tasks(tasks: int, out: Path) -> Used:
    """Run one cell on a stream of so many tasks."""
    few = ("--architectures", "mlp", "--steps", "5", "--evaluations", "2", "--seeds", "2")
    return kancl("run", f"{Path(__file__).resolve()}:many:tasks={tasks}", *few, "--out", str(out))


def run_cells(cells: int, out: Path) -> Used:
    """Run so many cells, a fifth of them architectures, under five strategies."""
    architectures = [f"mlp:hidden={width}" for width in range(4, 4 + cells // 5)]
    strategies = ("naive", "replay", "l2-init", "cumulative", "independent")
    few = ("--steps", "5", "--evaluations", "2", "--seeds", "2", "--out", str(out))
    scenario = f"{Path(__file__).resolve()}:many:tasks=3"
    return kancl("run", scenario, "--architectures", *architectures, "--strategies", *strategies, *few)


READ = """
import json, sys, time
import runners.results.results
began = time.process_time()
results = runners.results.results.load(sys.argv[1])
loaded = time.process_time()
results.summary
print(json.dumps([loaded - began, time.process_time() - loaded]), file=open(sys.argv[2], "w"))
"""


def rows(tasks: list[int], cells: int, folder: Path) -> Iterator[tuple[str, ...]]:
    """Measure, and yield the table's rows."""
    start = run_tasks(SHORT, folder / "short")
    first: float | None = None
    for count in tasks:
        used = run_tasks(count, folder / f"{count}")
        each = 1e3 * (used.processor - start.processor) / (count - SHORT)
        first = each if first is None else first
        clock = 1e3 * (used.clock - start.clock) / (count - SHORT)
        per_task = f"{each:.1f} ms a task ({each / first:.2f} times that of {tasks[0]})"
        yield f"`run`, {count:,} tasks", f"{clock:.1f} ms a task", per_task, f"{used.memory:,.0f} MB"
        used = kancl("compare", str(folder / f"{count}"))
        yield f"`compare`, {count:,} tasks", f"{used.clock:.1f} s", f"{used.processor:.1f} s", f"{used.memory:,.0f} MB"
    used = run_cells(cells, folder / "cells")
    yield f"`run`, {cells:,} cells", f"{used.clock:.1f} s", f"{used.processor:.1f} s", f"{used.memory:,.0f} MB"
    told = folder / "read.json"
    used = measure("-c", READ, str(folder / "cells"), str(told))
    load, summary = json.loads(told.read_text())
    yield f"`runners.load`, {cells:,} cells", "", f"{load:.1f} s", f"{used.memory:,.0f} MB"
    yield f"`.summary`, {cells:,} cells", "", f"{summary:.1f} s", ""
    used = kancl("compare", str(folder / "cells"))
    yield f"`compare`, {cells:,} cells", f"{used.clock:.1f} s", f"{used.processor:.1f} s", f"{used.memory:,.0f} MB"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--tasks", type=int, nargs="+", default=[50, 400, 1000], help="lengths of streams, above 10")
    parser.add_argument("--cells", type=int, default=500, help="size of the sweep, five or more")
    asked = parser.parse_args()
    print("| what | clock | processor | memory |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for row in rows(asked.tasks, asked.cells, Path(folder)):
            print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
