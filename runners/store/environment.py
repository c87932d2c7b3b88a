"""What a result is made with: versions, commit, machine and device."""

import os
import platform
import shlex
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import kancl
from kancl.errors import InputError
from kancl.splines.build import BuildError, compiler, problem


def check_device(device: str) -> None:
    """Refuse a device that is not here.

    Raises:
        InputError: ``cuda`` without a GPU that torch can use.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda needs a CUDA device that torch can use, and there is none; leave the option out")


MOST_THREADS = 1024
"""Each takes memory of its own, whether there is a core for it or not."""


def check_threads(*counts: int) -> None:
    """Refuse numbers of threads that torch cannot run.

    Raises:
        InputError: none is given, or one is out of range.
    """
    if not counts or not all(1 <= count <= MOST_THREADS for count in counts):
        raise InputError(
            f"--threads must be at least 1 and at most {MOST_THREADS}, got {' '.join(map(str, counts)) or 'nothing'}"
        )


@cache
def environment() -> dict[str, Any]:
    """Return versions, the commit of the source tree if it is one, and the machine."""
    return {
        "kancl": kancl.__version__,
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "numpy", "scikit-learn", "avalanche-lib")},
        "commit": _commit(),
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "compiler": _compiler(),
        # Of the usual cubic splines. Without it they are evaluated by torch, with other rounding.
        "native kernel": problem(torch.float32, 3) or "usable",
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def _compiler() -> str | None:
    """Return the command of the native kernel's compiler."""
    try:
        return shlex.join(compiler())
    except BuildError:
        return None


def _commit() -> str | None:
    """Return the commit of the source tree, with ``+changes`` if it was edited since; None for an installed package."""
    root = Path(kancl.__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    try:
        run = ["git", "-C", str(root), "describe", "--always", "--abbrev=12", "--dirty=+changes"]
        return subprocess.run(run, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
