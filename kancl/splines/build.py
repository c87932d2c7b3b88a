"""Compile native.c once for each number type and degree, and keep the result.

The cache lies in ``$KANCL_CACHE``, else ``$XDG_CACHE_HOME/kancl``, else ``~/.cache/kancl``; a file's name holds a hash of all
that its content depends on: source, compiler, flags, processor and OpenMP library. It may be deleted at any time.
"""

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

import torch

SOURCES = ("native.c", "native_tile.h")
# Neither of the two changes a result: the kernel reads no errno and no floating-point exception flags. -ffast-math would.
FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-std=gnu11", "-fPIC", "-shared")
PATIENCE = 300
"""Seconds that the compiler may take."""


class BuildError(Exception):
    """The native kernel cannot be had on this machine; the message says why, in one line."""


@cache
def library(dtype: torch.dtype, degree: int) -> ctypes.CDLL:
    """Return the compiled kernel for numbers of this type and splines of this degree, compiling it if need be.

    Raises:
        BuildError: no compiler, no place to write, or a compilation that fails; the same again at every further call.
    """
    outcome = _attempt(dtype, degree)
    if isinstance(outcome, BuildError):
        raise outcome
    return outcome


def problem(dtype: torch.dtype, degree: int) -> str | None:
    """Return why there is no native kernel for this type and degree, or None if there is one."""
    outcome = _attempt(dtype, degree)
    return str(outcome) if isinstance(outcome, BuildError) else None


# What torch.compiler.assume_constant_result does, without importing the compiler.
problem._dynamo_marked_constant = True  # type: ignore[attr-defined]


@cache
def _attempt(dtype: torch.dtype, degree: int) -> ctypes.CDLL | BuildError:
    """Failures are remembered as well: a compiler that failed once is not asked again at every step."""
    if dtype not in (torch.float32, torch.float64):
        return BuildError(f"written for float32 and float64, not for {dtype}")
    try:
        return _load_or_build(dtype, degree)
    except BuildError as error:
        return error
    except OSError as error:
        return BuildError(f"{type(error).__name__}: {error}")


def _load_or_build(dtype: torch.dtype, degree: int) -> ctypes.CDLL:
    cc = compiler()
    openmp = _openmp()
    flags = [*FLAGS, f"-DDEGREE={degree}", *(["-DDOUBLE"] if dtype == torch.float64 else []), *(["-fopenmp"] if openmp else [])]
    here = Path(__file__).parent
    parts = [(here / name).read_text() for name in SOURCES]
    parts += [*cc, *_programs(cc), *flags, str(openmp), _processor()]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    path = cache_folder() / f"spline-{str(dtype).removeprefix('torch.')}-{degree}-{key}.so"
    if _is_whole(path):
        return _load(path, openmp)
    return _build(cc, flags, here / SOURCES[0], path, openmp, f"{str(dtype).removeprefix('torch.')}, degree {degree}")


def _programs(command: list[str]) -> list[str]:
    """Return what tells apart the programs that a command names: in ``ccache gcc`` the second is the compiler."""
    found = [Path(program) for word in command if (program := shutil.which(word))]
    return [f"{path.resolve()} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in found]


def _build(cc: list[str], flags: list[str], source: Path, path: Path, openmp: Path | None, what: str) -> ctypes.CDLL:
    """Compile to a file of our own and move it into place: several processes may do this at once, the last one wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _say(f"kancl: compiling the spline kernel for {what} (once on this machine)")
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".build-") as folder:
        target = Path(folder) / path.name
        _compile(cc, flags, source, target)
        # Loaded before it is moved: what the compiler made of it may be no library at all.
        try:
            compiled = _load(target, openmp)
        except OSError as error:
            if openmp is None:
                raise
            # clang's OpenMP calls functions that the library of gcc, torch's usually, does not have.
            _say(f"kancl: it cannot be loaded with torch's OpenMP library ({error}); compiling it for one thread")
            _compile(cc, [flag for flag in flags if flag != "-fopenmp"], source, target)
            compiled = _load(target, None)
        with open(target, "r+b") as built:
            digest = hashlib.file_digest(built, "sha256").digest()
            built.write(digest)  # behind the end of the library, where nothing is loaded from
            built.flush()
            os.fsync(built.fileno())
        os.replace(target, path)
    return compiled


def _compile(cc: list[str], flags: list[str], source: Path, target: Path) -> None:
    # OpenMP's functions are left open, to be found in torch's own library: hence no -fopenmp for the linker.
    compiling = [*cc, *(flag for flag in flags if flag != "-shared"), "-c", str(source), "-o", f"{target}.o"]
    linking = [*cc, "-shared", f"{target}.o", "-o", str(target), "-lm"]
    for command in (compiling, linking):
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=PATIENCE)
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


def _is_whole(path: Path) -> bool:
    """Tell whether the file is there as it was written: running one that a crash cut short would end the process."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return False
    size = hashlib.sha256().digest_size
    return len(content) > size and hashlib.sha256(content[:-size]).digest() == content[-size:]


def _say(line: str) -> None:
    """Print to standard error, if there is one: a closed or full one is no reason to do without the kernel."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def cache_folder() -> Path:
    """Return the folder of compiled kernels."""
    if own := os.environ.get("KANCL_CACHE"):
        return Path(own).absolute()  # without a folder in its name, a library is looked for elsewhere
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared).absolute() / "kancl"
    try:
        return Path.home() / ".cache" / "kancl"
    except RuntimeError:
        raise BuildError("no place for compiled kernels, since this user has no home: name one in KANCL_CACHE") from None


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
