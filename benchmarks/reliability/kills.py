"""Kills: a sweep of mixed cells is ended by SIGKILL at random moments, again and again, and then left to finish."""

import random
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from commands import here, numbers, start

SWEEP = (
    "run", "gaussian-peaks:tasks=4,samples=60,noise=0.05", "split-digits:samples=60,setting=task",
    "--architectures", "kan:hidden=[4],intervals=8,base=none", "mlp:hidden=12", "lookup",
    "--strategies", "naive", "joint", "independent", "ewc", "si", "replay",
    "--optimizer", "adam", "--steps", 250, "--batch-size", 16, "--seeds", 3, "--locality", "off",
)  # fmt: skip
"""36 cells: two scenarios, three architectures, six strategies; with batches, penalties, memories and frozen states."""


@dataclass(frozen=True)
class Kills:
    """Outcome: cells of the sweep, kills, times the sweep was finished, and cells whose numbers were lost or different."""

    cells: int
    kills: int
    sweeps: int
    lost: int
    different: int


def kill_again_and_again(kills: int, seed: int = 0) -> Kills:
    """Kill a sweep so many times, let it finish, and compare with one that was never disturbed, to the bit.

    A moment is drawn evenly from the 4 seconds after the sweep has begun to write. A sweep that finishes before it is killed
    often enough is followed by another in a new folder.

    Args:
        kills: how many.
        seed: of the moments.
    """
    moments = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = folder / "undisturbed"
        ended = here((*SWEEP, "--out", whole))
        assert ended.code == 0, ended.said
        right = numbers(whole)
        done, sweeps, lost, different = 0, 0, 0, 0
        while done < kills:
            out = folder / f"killed-{sweeps}"
            done += _kill_until_finished(out, folder / "log", moments, kills - done)
            came = numbers(out)
            lost += len(right.keys() - came.keys())
            different += sum(came[key] != right[key] for key in right.keys() & came.keys())
            sweeps += 1
    return Kills(len(right), done, sweeps, lost, different)


def _kill_until_finished(out: Path, log: Path, moments: random.Random, most: int) -> int:
    """Run the sweep until it ends by itself, killing it at most so many times; return how many it were."""
    killed = 0
    while True:
        before = _written(out)
        process = start((*SWEEP, "--out", out), log)
        if killed < most:
            while process.poll() is None and _written(out) == before:
                time.sleep(0.005)
            until = time.monotonic() + moments.uniform(0, 4)
            while process.poll() is None and time.monotonic() < until:
                time.sleep(0.005)
            if process.poll() is None:
                process.kill()
                process.wait()
                killed += 1
                continue
        if process.wait() != 0:
            raise RuntimeError(f"the sweep ended with {process.returncode}: {log.read_text(errors='replace')[-2000:]}")
        return killed


def _written(out: Path) -> int:
    """Return a number that changes with everything that is written below a folder."""
    newest = 0
    for path in out.rglob("*") if out.exists() else ():
        try:
            newest = max(newest, path.stat().st_mtime_ns)
        except FileNotFoundError:  # a temporary file that has taken its name
            continue
    return newest
