"""Compile native.c once for each number type and degree, and keep the result.

A file's name in the cache holds a hash of all that its content depends on: source, compiler, flags, processor and OpenMP
library. Where the cache cannot be used (:mod:`kancl.splines.kept` says why), each process compiles for itself.
"""

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from kancl.splines import kept

HERE = Path(__file__).parent
SOURCES = ("native.c", "native_tile.h")
# Neither of the two changes a result: the kernel reads no errno and no floating-point exception flags. -ffast-math would.
FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-std=gnu11", "-fPIC", "-shared")
PATIENCE = 300
"""Seconds that the compiler may take."""


class BuildError(Exception):
    """The native kernel cannot be had on this machine; the message says why, in one line."""


@dataclass(frozen=True)
class Kernel:
    """A compiled kernel, and why it is not kept for the next process, if it is not."""

    library: ctypes.CDLL
    remark: str = ""


@cache
def library(dtype: torch.dtype, degree: int) -> ctypes.CDLL:
    """Return the compiled kernel for numbers of this type and splines of this degree, compiling it if need be.

    Raises:
        BuildError: no compiler, no place to write, or a compilation that fails; the same again at every further call.
    """
    outcome = _attempt(dtype, degree)
    if isinstance(outcome, BuildError):
        raise outcome
    return outcome.library


def problem(dtype: torch.dtype, degree: int) -> str | None:
    """Return why there is no native kernel for this type and degree, or None if there is one."""
    outcome = _attempt(dtype, degree)
    return str(outcome) if isinstance(outcome, BuildError) else None


# What torch.compiler.assume_constant_result does, without importing the compiler.
problem._dynamo_marked_constant = True  # type: ignore[attr-defined]


def remark(dtype: torch.dtype, degree: int) -> str:
    """Return why the kernel is compiled by every process anew, or nothing if it is kept or cannot be had."""
    outcome = _attempt(dtype, degree)
    return "" if isinstance(outcome, BuildError) else outcome.remark


@cache
def _attempt(dtype: torch.dtype, degree: int) -> Kernel | BuildError:
    """Failures are remembered as well: a compiler that failed once is not asked again at every step."""
    if dtype not in (torch.float32, torch.float64):
        return BuildError(f"written for float32 and float64, not for {dtype}")
    try:
        return _load_or_build(dtype, degree)
    except BuildError as error:
        return error
    except OSError as error:
        return BuildError(f"{type(error).__name__}: {error}")


@dataclass(frozen=True)
class _Recipe:
    """What a kernel is made from, and the name of its file."""

    compiler: list[str]
    flags: list[str]
    openmp: Path | None
    file: str
    what: str


def _recipe(dtype: torch.dtype, degree: int) -> _Recipe:
    cc, openmp, number = compiler(), _openmp(), str(dtype).removeprefix("torch.")
    flags = [*FLAGS, f"-DDEGREE={degree}", *(["-DDOUBLE"] if dtype == torch.float64 else []), *(["-fopenmp"] if openmp else [])]
    parts = [(HERE / name).read_text() for name in SOURCES]
    parts += [*cc, *_programs(cc), *flags, str(openmp), _processor()]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    return _Recipe(cc, flags, openmp, f"spline-{number}-{degree}-{key}.so", f"{number}, degree {degree}")


def _load_or_build(dtype: torch.dtype, degree: int) -> Kernel:
    recipe = _recipe(dtype, degree)
    try:
        folder = kept.folder()
        kept.sweep(folder)
        path = folder / recipe.file
        if kept.is_whole(path):
            return Kernel(_load(path, recipe.openmp))
        with kept.workshop(folder) as place:
            _say(f"kancl: compiling the spline kernel for {recipe.what} (once on this machine)")
            built = _build(recipe, place)
            return Kernel(built, kept.put(place / recipe.file, path))
    except kept.UnusableError as error:
        reason = str(error)
    try:
        with kept.private() as place:
            _say(f"kancl: compiling the spline kernel for {recipe.what} (for this process alone: {reason})")
            return Kernel(_build(recipe, place), reason)
    except (kept.UntrustedError, OSError) as error:
        raise BuildError(f"{reason}; nor can it be compiled for this process alone: {error}") from error


def _programs(command: list[str]) -> list[str]:
    """Return what tells apart the programs that a command names: in ``ccache gcc`` the second is the compiler."""
    found = [Path(program) for word in command if (program := shutil.which(word))]
    return [f"{path.resolve()} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in found]


def _build(recipe: _Recipe, folder: Path) -> ctypes.CDLL:
    """Compile into a folder, and load what came of it: it may be no library at all."""
    target, source = folder / recipe.file, HERE / SOURCES[0]
    _compile(recipe.compiler, recipe.flags, source, target)
    try:
        return _load(target, recipe.openmp)
    except OSError as error:
        if recipe.openmp is None:
            raise
        # clang's OpenMP calls functions that the library of gcc, torch's usually, does not have.
        _say(f"kancl: it cannot be loaded with torch's OpenMP library ({error}); compiling it for one thread")
        _compile(recipe.compiler, [flag for flag in recipe.flags if flag != "-fopenmp"], source, target)
        return _load(target, None)


def _compile(cc: list[str], flags: list[str], source: Path, target: Path) -> None:
    # OpenMP's functions are left open, to be found in torch's own library: hence no -fopenmp for the linker.
    compiling = [*cc, *(flag for flag in flags if flag != "-shared"), "-c", str(source), "-o", f"{target}.o"]
    linking = [*cc, "-shared", f"{target}.o", "-o", str(target), "-lm"]
    # Its temporary files lie beside what it makes, so that they go with it; whoever may read the folder may read the kernel.
    environment = {**os.environ, "TMPDIR": str(target.parent)}
    for command in (compiling, linking):
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, errors="replace", timeout=PATIENCE, env=environment, umask=0o022
            )
        except subprocess.TimeoutExpired:
            raise BuildError(f"{shlex.join(cc)} did not finish within {PATIENCE} s") from None
        if done.returncode:
            lines = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["it printed nothing"]
            reason = next((line for line in lines if "error" in line), lines[0])
            raise BuildError(f"{shlex.join(cc)} failed with exit code {done.returncode}: {reason[:200]}")


def _load(path: Path, openmp: Path | None) -> ctypes.CDLL:
    if openmp is not None:
        # A second OpenMP library would bring threads of its own, which wait for torch's.
        ctypes.CDLL(str(openmp), mode=ctypes.RTLD_GLOBAL)
    return ctypes.CDLL(str(path))


def _say(line: str) -> None:
    """Print to standard error, if there is one: a closed or full one is no reason to do without the kernel."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def compiler() -> list[str]:
    """Return the command of the C compiler: that of the variable CC, arguments included, else cc, gcc or clang."""
    wanted = os.environ.get("CC", "")
    try:
        words = [wanted] if shutil.which(wanted) else shlex.split(wanted)
    except ValueError as error:
        raise BuildError(f"the variable CC is no command: {wanted!r} ({error})") from None
    for name, *arguments in [words] if words else [["cc"], ["gcc"], ["clang"]]:
        if found := shutil.which(name):
            return [found, *arguments]
    raise BuildError(
        f"no C compiler: {words[0] if words else 'cc, gcc or clang'} not found; install one, or name it in the variable CC"
    )


def _openmp() -> Path | None:
    """Return the OpenMP library that torch runs its threads with, or None: the kernel then runs on one thread."""
    root = Path(torch.__file__).parent
    for folder in (root / "lib", root.parent / "torch.libs"):
        for pattern in ("libgomp*.so*", "libiomp5*.so*", "libomp*.so*"):
            if found := sorted(folder.glob(pattern)):
                return found[0]
    return None


def _processor() -> str:
    """Return what tells processors apart that do not run each other's code."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    wanted = ("model name", "flags", "Features", "CPU part")
    return "\n".join(dict.fromkeys(line for line in lines if line.startswith(wanted)))
