"""Kills: a sweep of mixed cells loses processes by SIGKILL at random moments, again and again, and is then left to finish."""

import os
import random
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from commands import Process, numbers, start, warm_up

SWEEP = """
scenarios = ["gaussian-peaks:tasks=3,samples=40,noise=0.05", "split-digits:samples=40,setting=task"]
architectures = ["kan:hidden=[4],intervals=8,base=none", "mlp:hidden=12"]
seeds = 2
evaluations = 3
steps = 150

[[block]]
optimizer = "adam"
batch-size = 16
strategies = ["naive", "joint", "ewc", "replay"]

[[block]]
optimizer = "sgd"

[[block]]
optimizer = "adamw"
state = "keep"
schedule = "cosine"

[[block]]
optimizer = "lbfgs"
steps = 10

[[block]]
optimizer = "adam"
steps = 40
runner = "avalanche"
strategies = ["naive", "ewc"]

[[block]]
optimizer = "adam"
steps = 60
locality = "on"

[[block]]
optimizer = "adam"
scenarios = ["gaussian-peaks:tasks=3,samples=40,noise=0.05"]
steps = 50
tune = 2
tune-seeds = 1
"""
"""Some 40 cells: every optimiser, batches, penalties, memories, schedules, avalanche, locality records, and tuned ones."""

EXECUTORS = {"serial": ("--jobs", 1), "processes": ("--jobs", 2), "dask": ("--executor", "dask", "--jobs", 2)}
MOMENTS = 2.0
"""Seconds after a sweep has begun to write, or to write again, from which the moment of a kill is drawn."""
ORPHANS = 180.0
"""Seconds that the workers of a killed run have to end by themselves: one that imports hears of it when it has, which on a busy
machine takes its time."""


@dataclass(frozen=True)
class Kills:
    """Outcome: cells of the sweep, kills (of the run itself, of others), sweeps that were finished, cells whose numbers were
    lost or different, and processes that outlived their run."""

    cells: int
    runs: int
    workers: int
    sweeps: int
    lost: int
    different: int
    orphans: int


@dataclass(frozen=True)
class Sweep:
    """A sweep that was never disturbed: a folder for it and others, its file, and its numbers."""

    folder: Path
    file: Path
    right: dict[str, dict[str, bytes]]


def undisturbed(folder: Path) -> Sweep:
    """Run the sweep from its beginning to its end, in a folder."""
    file, log = folder / "sweep.toml", folder / "log"
    file.write_text(SWEEP)
    warm_up()
    if code := start(("run", "--file", file, "--jobs", 1, "--out", folder / "undisturbed"), log).wait():
        raise RuntimeError(f"the undisturbed sweep ended with {code}: {log.read_text(errors='replace')[-2000:]}")
    return Sweep(folder, file, numbers(folder / "undisturbed"))


def kill_again_and_again(sweep: Sweep, kills: int, executor: str, seconds: float, seed: int = 0) -> Kills:
    """Kill processes of a sweep so many times, let it finish, and compare with one that was never disturbed, to the bit.

    A moment is drawn evenly from the :data:`MOMENTS` after the sweep has written something new, and the process from all that
    belong to it: as often the run itself, which is then started again, as one of the others, if there are some. So a sweep goes
    through many kills. One that finishes before there were enough is followed by another in a new folder.

    Args:
        sweep: as it ends undisturbed.
        kills: how many.
        executor: one of :data:`EXECUTORS`.
        seconds: after which no more are killed, however few it were.
        seed: of the moments.
    """
    chance, right, until = random.Random(seed), sweep.right, time.monotonic() + seconds
    runs, workers, sweeps, lost, different, orphans = 0, 0, 0, 0, 0, 0
    while runs + workers < kills and (time.monotonic() < until or not sweeps):
        out = sweep.folder / f"{executor}-{sweeps}"
        command = ("run", "--file", sweep.file, *EXECUTORS[executor], "--checkpoint-every", 0.2, "--out", out)
        killed = _kill_until_finished(command, out, sweep.folder / "log", chance, kills - runs - workers, until)
        came = numbers(out)
        runs, workers, orphans = runs + killed[0], workers + killed[1], orphans + killed[2]
        lost += len(right.keys() - came.keys()) + len(came.keys() - right.keys())
        different += sum(came[key] != right[key] for key in right.keys() & came.keys())
        sweeps += 1
    return Kills(len(right), runs, workers, sweeps, lost, different, orphans)


def _kill_until_finished(
    command: Sequence[object], out: Path, log: Path, chance: random.Random, most: int, until: float
) -> tuple[int, int, int]:
    """Run the sweep until it ends by itself; return how often the run was killed, other processes, and how many outlived it."""
    runs, workers, orphans = 0, 0, 0
    while True:
        before, hurt = _written(out), False
        process = start(command, log)
        while runs + workers < most and time.monotonic() < until and _wait_for_writing(process, out, before):
            moment = time.monotonic() + chance.uniform(0, MOMENTS)
            while process.poll() is None and time.monotonic() < moment:
                time.sleep(0.005)
            others = list(_below(process.pid))
            if process.poll() is not None:
                break
            if others and chance.random() < 0.5:
                with suppress(ProcessLookupError):
                    os.kill(chance.choice(others), signal.SIGKILL)
                    workers, hurt = workers + 1, True
                before = _written(out)
                continue
            process.kill()
            process.wait()
            runs += 1
            orphans += _outlived(others)
        code = process.wait()
        if code == 0:
            return runs, workers, orphans
        if code != -signal.SIGKILL and not (code == 1 and hurt):  # a cell has failed whose processes were killed three times
            raise RuntimeError(f"the sweep ended with {code}: {log.read_text(errors='replace')[-3000:]}")


def _wait_for_writing(process: Process, out: Path, before: int) -> bool:
    """Wait until a run writes something new; return whether it still runs."""
    while process.poll() is None and _written(out) == before:
        time.sleep(0.005)
    return process.poll() is None


def _below(process: int) -> Iterator[int]:
    """Yield the processes that a process started, and those that they did."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return
    for child in map(int, children):
        yield child
        yield from _below(child)


def _outlived(processes: Sequence[int]) -> int:
    """Return how many processes are still there after a while, and end them."""
    until = time.monotonic() + ORPHANS
    while (left := [process for process in processes if _lives(process)]) and time.monotonic() < until:
        time.sleep(0.05)
    for process in left:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    return len(left)


def _lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _written(out: Path) -> int:
    """Return a number that changes with everything that is written below a folder."""
    newest = 0
    for path in out.rglob("*") if out.exists() else ():
        try:
            newest = max(newest, path.stat().st_mtime_ns)
        except FileNotFoundError:  # a temporary file that has taken its name
            continue
    return newest
