"""The script that has a Slurm cluster do an experiment: an array of tasks, each of which does a part of the cells."""

import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

MOST_TASKS = 1000
"""Of one array: what Slurm takes unless its administrator says otherwise."""
REPLACED = ("--emit", "--part", "--jobs")
"""Options that the script has in words of its own."""

SCRIPT = """#!/bin/bash
# Tasks: {count}. Cells: {cells}. A task that is out of time saves what it has; submit the script again to go on from there,
# until kancl runs status finds all cells done. Time and memory of a task are guesses: change them here.
#SBATCH --job-name=kancl
#SBATCH --array=1-{count}
#SBATCH --cpus-per-task={cores}
#SBATCH --mem-per-cpu=4G
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --output=kancl-%A_%a.txt
set -e
cd {folder}
exec {command} --part "$SLURM_ARRAY_TASK_ID/{count}"
"""


def slurm_script(words: Sequence[str], cells: int, parts: int | None, jobs: int, threads: int) -> str:
    """Return the script for a command.

    Args:
        words: of the command: ``kancl``, ``run`` and what follows.
        cells: how many are asked for, before any is matched or tuned.
        parts: into how many they are to be divided; a cell a task, as far as one array goes, if None.
        jobs: cells at a time in each task.
        threads: of torch, for each of them.
    """
    count = parts or max(1, min(MOST_TASKS, -(-cells // jobs)))
    command = shlex.join([_kancl(), *_without(words[1:], REPLACED), "--jobs", str(jobs)])
    folder = shlex.quote(str(Path.cwd()))
    return SCRIPT.format(count=count, cells=cells, cores=jobs * threads, folder=folder, command=command)


def _kancl() -> str:
    """Return the command by its place, which jobs on other machines find without an environment of this one's."""
    beside = Path(sys.executable).parent / "kancl"
    return str(beside) if beside.is_file() else "kancl"


def _without(words: Sequence[str], options: Sequence[str]) -> Iterator[str]:
    """Yield words without options that take a value, written apart or with an equals sign."""
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in options:
            skip = True
        elif word.partition("=")[0] not in options:
            yield word
