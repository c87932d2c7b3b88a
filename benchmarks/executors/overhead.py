"""What an executor adds to every cell: many cells of next to no training, and the memory of the process that spreads them.

python benchmarks/executors/overhead.py [CELLS] [EXECUTOR ...]
"""

import os
import resource
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from multiprocessing import forkserver
from pathlib import Path

import torch

import runners
from runners.config.cell import Cell
from runners.config.request import Request
from runners.experiment.executors.executor import Terms
from runners.experiment.executors.server import wait_for_server
from runners.experiment.expand import expand
from runners.experiment.sweep import run
from runners.measure.record import Progress
from runners.store.experiment import Store

JOBS = 2


class Memory:
    """Hears of cells, and notes this process's memory when a tenth, and when all of them are done."""

    def __init__(self) -> None:
        self.ended, self.noted = 0, dict[int, float]()

    def begin_cell(self, cell: Cell, number: int, count: int) -> None:
        self.count = count

    def progress(self, cell: Cell, progress: Progress) -> None:
        pass

    def end_cell(self, cell: Cell, outcome: str) -> None:
        assert outcome == "done", outcome
        self.ended += 1
        if self.ended in (self.count // 10, self.count):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.noted[self.ended] = pages * resource.getpagesize() / 1e6


def of_processes() -> float:
    """Return the CPU seconds of all processes that the server of processes has seen end."""
    wait_for_server()
    stat = Path(f"/proc/{forkserver._forkserver._forkserver_pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, stat[13:15])) / os.sysconf("SC_CLK_TCK")


def cells_of(count: int) -> list[Cell]:
    """Cells of two tasks and four steps, which differ in the learning rate."""
    said = {"optimizer": "adam", "steps": 4, "evaluations": 2, "seeds": 1}
    (cell,) = expand([Request(("gaussian-peaks:tasks=2",), ("mlp:hidden=3",), ("naive",), **said)])
    return [
        replace(cell, policy=replace(cell.policy, lr=1e-3 * (1 + k / count)), request=f"{k:016x}", question=f"{k:016x}")
        for k in range(count)
    ]


def measure(executor: str, cells: list[Cell]) -> str:
    """Run all cells and return a row: milliseconds a cell, memory after a tenth and after all, seconds to read them."""
    out, memory = Path(tempfile.mkdtemp()), Memory()
    try:
        before = of_processes() if executor == "processes" else 0.0
        began, own = time.perf_counter(), time.process_time()
        outcomes = run(cells, Store(out), memory, terms=Terms(executor, 1 if executor == "serial" else JOBS))
        others = f"{1000 * (of_processes() - before) / len(cells):.0f}" if executor == "processes" else ""
        seconds, own = time.perf_counter() - began, time.process_time() - own
        assert not outcomes.failures
        began = time.perf_counter()
        results = runners.load(out)
        assert results.summary["cell"].nunique() == len(cells), results.summary
        read = time.perf_counter() - began
    finally:
        shutil.rmtree(out)
    tenth, whole = memory.noted.values()
    times = f"{1000 * seconds / len(cells):.0f} | {1000 * own / len(cells):.0f} | {others}"
    return f"| {executor} | {len(cells):,} | {times} | {tenth:.0f} | {whole:.0f} | {read:.1f} |"


if __name__ == "__main__":
    torch.set_num_threads(1)
    count, *names = sys.argv[1:] or ["1000"]
    columns = ["executor", "cells", "ms a cell", "CPU ms here", "CPU ms there", "MB after a tenth", "MB at last", "s to read"]
    print(f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}", sep="\n")
    for name in names or ["serial", "processes", "dask"]:
        print(measure(name, cells_of(int(count))), flush=True)
