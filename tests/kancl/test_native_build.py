"""Guards the compilation of the native kernel: one file per variant, whatever happens to the compiler, the disk or the process.

Whoever cannot have the kernel is told why in one line, and ``auto`` computes with another backend.
"""

import ast
import contextlib
import os
import platform
import pwd
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from kancl.errors import InputError
from kancl.splines import UniformGrid, build, explain, kept, native, spline, unavailable

NAMES = [*filter(None, [os.environ.get("CC")]), "cc", "gcc", "clang"]
pytestmark = pytest.mark.skipif(not any(map(shutil.which, NAMES)), reason=f"no C compiler: none of {NAMES} is installed")

# Degree 0 compiles fastest, and a point's value is one coefficient, to the bit.
GRID = UniformGrid.over(-1, 1, intervals=4, degree=0)
X = torch.tensor([-0.9, -0.1, 0.3, 0.8, 2.0]).view(1, 5, 1)
COEF = torch.arange(1.0, 9.0).view(1, 1, 4, 2)
RIGHT = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 0.0, 0.0]


def value(backend: str = "native") -> list[float]:
    return spline(X, COEF, GRID, backend).flatten().tolist()  # type: ignore[arg-type]


def forget() -> None:
    """Make this process as good as new: what was loaded or has failed is looked for again."""
    for known in (native._functions, build.library, build._attempt):
        known.cache_clear()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache folder of the test's own, not made yet."""
    monkeypatch.setenv("KANCL_CACHE", str(tmp_path / "cache"))
    forget()
    yield tmp_path / "cache"
    forget()


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kernel of RIGHT, really compiled; not to be changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KANCL_CACHE", str(tmp_path_factory.mktemp("compiled")))
        build._load_or_build(torch.float32, 0)
        (file,) = kept.folder().iterdir()
    return file


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Put a shell script in the compiler's place, which is to write ``$out``; return the file with a line for every call."""

    def write(script: str) -> Path:
        program, calls = tmp_path / "compiler", tmp_path / "calls"
        words = 'for word; do [ "$before" = -o ] && out=$word; before=$word; done'
        program.write_text(f'#!/bin/sh\necho "$*" >> "{calls}"\n{words}\n{script}\n')
        program.chmod(0o755)
        monkeypatch.setenv("CC", str(program))
        calls.touch()
        forget()
        return calls

    return write


def files_in(folder: Path, pattern: str = "**/*") -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.glob(pattern)) if folder.is_dir() else []


class Child:
    """A forked process that computes RIGHT or whatever it is given; a fault there is no fault here."""

    def __init__(self, action: Callable[[], object] = value) -> None:
        self.outlet, inlet = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads; none of them computes
            self.pid = os.fork()
        if self.pid == 0:
            answer = "nothing"
            try:
                os.setsid()
                signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in what a shell runs beside it
                signal.alarm(60)
                answer = repr(action())
            except BaseException as error:
                answer = f"{type(error).__name__}: {error}"
            finally:
                os.write(inlet, answer.encode())
                os._exit(0)
        os.close(inlet)

    def end(self) -> str:
        """Wait for the process, and return what it found or how it died."""
        with open(self.outlet, "rb") as pipe:
            answer = pipe.read().decode()
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return answer if code == 0 else f"died of {signal.Signals(-code).name}"


def assert_told_and_replaced(told: str) -> None:
    """``told`` is part of the reason why there is no native kernel, and all goes on without it."""
    reason = unavailable("native", X, GRID)
    assert reason is not None
    assert reason.strip()
    assert "\n" not in reason
    assert told in reason
    choice = explain(X, COEF, GRID)
    assert choice.backend != "native"
    assert reason in choice.reason
    assert value("auto") == value("dense") == RIGHT
    with pytest.raises(InputError, match="'native'") as refusal:
        value("native")
    assert reason in str(refusal.value)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_with_a_compiler_there_is_a_native_backend(dtype: torch.dtype) -> None:
    """In the environment that all other tests run in: they leave out a backend that is not to be had."""
    grid = UniformGrid.over(-1, 1, intervals=4, degree=3, dtype=dtype)
    assert unavailable("native", X.to(dtype), grid) is None


# Once compiled.


def test_the_first_use_compiles_one_file_and_says_so_in_one_line(cache: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert value() == RIGHT
    said = capfd.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("kancl: compiling")
    assert "float32" in line
    (file,) = files_in(cache)
    assert file.endswith(".so")
    assert value() == value("auto") == RIGHT
    assert capfd.readouterr().err == ""


def test_the_second_process_loads_the_file_silently(
    cache: Path, compiled: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    cache.mkdir()
    file = Path(shutil.copy2(compiled, cache))
    before = file.stat()
    assert Child().end() == repr(RIGHT)
    assert value() == RIGHT
    assert capfd.readouterr() == ("", "")
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert files_in(cache) == [file.name]


@pytest.mark.parametrize("kind", ["none", "closed", "full"])
def test_where_nothing_can_be_said_the_kernel_is_compiled_all_the_same(
    cache: Path, compiled: Path, compiler: Callable[[str], Path], capfd: pytest.CaptureFixture[str], kind: str
) -> None:
    compiler(f'cp "{compiled}" "$out"')

    def without_a_word() -> list[float]:
        stream = sys.stderr = None if kind == "none" else open("/dev/full", "w")  # type: ignore[assignment]  # noqa: SIM115
        if stream and kind == "closed":
            stream.close()
        return value()

    assert Child(without_a_word).end() == repr(RIGHT)
    assert capfd.readouterr() == ("", "")


def test_a_cache_that_was_deleted_is_filled_again(cache: Path, compiled: Path, compiler: Callable[[str], Path]) -> None:
    compiler(f'cp "{compiled}" "$out"')
    assert value() == RIGHT
    before = files_in(cache)
    shutil.rmtree(cache)
    assert value() == RIGHT  # what is loaded stays
    forget()
    assert value() == RIGHT
    assert files_in(cache) == before


def test_without_an_openmp_library_the_kernel_runs_on_one_thread(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "_openmp", lambda: None)
    x, threads = X.repeat(1, 50_000, 1), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert torch.equal(spline(x, COEF, GRID, "native"), spline(x, COEF, GRID, "dense"))
    finally:
        torch.set_num_threads(threads)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="this system does not tell what a process has loaded")
def test_the_kernel_runs_on_torchs_own_threads(compiled: Path) -> None:
    script = r"""
import os, re, torch
from kancl.splines import UniformGrid, build, spline

def libraries():
    return {line.split()[-1] for line in open("/proc/self/maps") if re.search(r"/lib(g|i)?omp", line)}

def threads():
    return len(os.listdir("/proc/self/task"))

torch.set_num_threads(2)
x, coef, grid = torch.zeros(1, 30_000, 1), torch.zeros(1, 1, 4, 8), UniformGrid.over(-1, 1, intervals=4, degree=0)
before = libraries(), threads()
spline(x, coef, grid, "native")
print(len(libraries() - before[0]), threads() - before[1], build._openmp() is None)
"""
    environment = {**os.environ, "KANCL_CACHE": str(compiled.parent), "OMP_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert run.stderr == "", "compiled anew"
    assert run.stdout.split() in (["0", "1", "False"], ["0", "0", "True"])


# No compiler, or a bad one.


def test_without_a_compiler_its_name_is_told(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    assert_told_and_replaced("no-such-compiler")
    assert files_in(cache) == []


def test_without_any_compiler_on_the_path_the_way_out_is_told(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert_told_and_replaced("variable CC")


@pytest.mark.parametrize(
    ("script", "told"),
    [
        pytest.param("echo 'In file x:' >&2; echo 'x.c:1: error: it broke' >&2; exit 1", "error: it broke", id="error"),
        pytest.param("exit 3", "exit code 3", id="silent"),
        pytest.param("printf 'it broke\\nsee above\\n' >&2; exit 1", "it broke", id="lines"),
        pytest.param("printf '\\377\\376 error \\200\\n' >&2; exit 1", "error", id="no-text"),
        pytest.param("kill -9 $$", "-9", id="killed"),
        pytest.param("exit 0", "", id="writes-nothing"),
        pytest.param('echo "garbage" > "$out"', "", id="writes-garbage"),
        pytest.param('cat /dev/zero > /dev/full || { rm -f "$out"; exit 1; }', "No space left", id="disk-full"),
        pytest.param('head -c 5000 /dev/zero > "$out"; cat /dev/zero > /dev/full', "No space left", id="disk-full-midway"),
    ],
)
def test_a_compiler_that_fails_is_told_once_and_not_asked_again(
    cache: Path, compiler: Callable[[str], Path], script: str, told: str
) -> None:
    calls = compiler(script)
    reason = unavailable("native", X, GRID)
    asked = calls.read_text()
    # It fails at once, or after compiling and linking, with and then without OpenMP, no library is there.
    assert len(asked.splitlines()) == (1 if told else 4 if build._openmp() else 2)
    assert_told_and_replaced(told)
    assert unavailable("native", X, GRID) == reason
    assert calls.read_text() == asked
    assert files_in(cache) == []


@pytest.mark.skipif(build._openmp() is None, reason="torch has no OpenMP library here")
def test_a_compiler_whose_openmp_is_not_torchs_makes_a_kernel_of_one_thread(
    cache: Path, tmp_path: Path, compiler: Callable[[str], Path], capfd: pytest.CaptureFixture[str]
) -> None:
    """As clang's, which calls functions that the library of gcc does not have."""
    missing = tmp_path / "missing.h"
    missing.write_text("int __kmpc_nobody(void);\n__attribute__((used)) static int (*needed)(void) = __kmpc_nobody;\n")
    real = shlex.join(build.compiler())
    calls = compiler(f'case "$*" in *-fopenmp*) set -- "$@" -include "{missing}";; esac; exec {real} "$@"')
    x, threads = X.repeat(1, 50_000, 1), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert torch.equal(spline(x, COEF, GRID, "native"), spline(x, COEF, GRID, "dense"))
    finally:
        torch.set_num_threads(threads)
    first, second = capfd.readouterr().err.splitlines()
    assert first.startswith("kancl: compiling")
    assert "__kmpc_nobody" in second
    assert "one thread" in second
    assert ["-fopenmp" in call for call in calls.read_text().splitlines() if " -c " in call] == [True, False]
    calls.write_text("")
    assert Child().end() == repr(RIGHT)
    assert calls.read_text() == capfd.readouterr().err == ""
    assert len(files_in(cache)) == 1


def test_a_compiler_may_have_arguments(
    cache: Path, compiled: Path, tmp_path: Path, compiler: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = compiler(f'cp "{compiled}" "$out"')
    program, names = os.environ["CC"], [name_of()]
    monkeypatch.setenv("CC", f"env NAME='two words' {program} -O1")
    names.append(name_of())
    assert value() == RIGHT
    assert [call.split()[0] for call in calls.read_text().splitlines()] == ["-O1", "-O1"]
    monkeypatch.setenv("CC", f"env NAME='two words' {program} -O2")
    names.append(name_of())
    os.utime(program, (1e9, 1e9))  # another version of the compiler behind the first word
    names.append(name_of())
    assert len(set(names)) == len(names)
    spaced = tmp_path / "two words"
    shutil.copy2(program, spaced)
    monkeypatch.setenv("CC", str(spaced))
    assert build.compiler() == [str(spaced)]


@pytest.mark.parametrize(("command", "told"), [("no-such-compiler -m64", "no-such-compiler not found"), ("cc 'oh", "cc 'oh")])
def test_a_compilers_command_that_is_none_is_told(
    cache: Path, monkeypatch: pytest.MonkeyPatch, command: str, told: str
) -> None:
    monkeypatch.setenv("CC", command)
    assert_told_and_replaced(told)


def test_a_compiler_that_cannot_be_executed_is_told(cache: Path, compiler: Callable[[str], Path]) -> None:
    compiler("")
    Path(os.environ["CC"]).write_bytes(b"\x7fELF" + bytes(100))
    assert_told_and_replaced("")
    assert files_in(cache) == []


def test_a_compiler_that_hangs_is_given_up(
    cache: Path, compiler: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "PATIENCE", 0.3)
    compiler("exec sleep 30")
    start = time.monotonic()
    assert_told_and_replaced("did not finish")
    assert time.monotonic() - start < 10
    assert files_in(cache) == []


@pytest.mark.parametrize("limit", [0, 20_000])
def test_on_a_disk_without_room_the_real_compiler_fails_and_nothing_stays(cache: Path, limit: int) -> None:
    def try_it() -> tuple[str | None, bool]:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):  # what is said needs no room
            return unavailable("native", X, GRID), value("auto") == RIGHT

    reason, right = ast.literal_eval(Child(try_it).end())
    assert "failed with exit code" in reason
    assert right
    assert files_in(cache) == []


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_refused_without_asking_a_compiler(
    cache: Path, compiler: Callable[[str], Path], dtype: torch.dtype
) -> None:
    calls = compiler("exit 1")
    grid = UniformGrid.over(-1, 1, intervals=4, degree=0, dtype=dtype)
    x, coef = X.to(dtype), COEF.to(dtype)
    reason = unavailable("native", x, grid)
    assert reason is not None
    assert str(dtype) in reason
    assert reason in explain(x, coef, grid).reason
    assert spline(x, coef, grid).flatten().tolist() == RIGHT
    with pytest.raises(InputError, match=re.escape(str(dtype))):
        spline(x, coef, grid, "native")
    assert calls.read_text() == ""


# The cache folder.


@pytest.mark.parametrize("bad", ["a file", "below a file", "a loop", "a name too long", "no disk"])
def test_without_a_cache_folder_a_process_compiles_for_itself(
    cache: Path, compiled: Path, compiler: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, bad: str,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    calls = compiler(f'cp "{compiled}" "$out"')
    if bad == "a file":
        cache.touch()
    elif bad == "below a file":
        cache.touch()
        monkeypatch.setenv("KANCL_CACHE", str(cache / "below"))
    elif bad == "a loop":
        cache.symlink_to(cache)
    else:
        monkeypatch.setenv("KANCL_CACHE", str(cache / ("n" * 300)) if bad == "a name too long" else "/proc/self/cache")
    before = files_in(Path(tempfile.gettempdir()), "kancl-*")
    assert value() == value("auto") == RIGHT
    (line,) = capfd.readouterr().err.splitlines()
    assert f"for this process alone: the cache {os.environ['KANCL_CACHE']} cannot be used" in line
    assert os.environ["KANCL_CACHE"] in explain(X, COEF, GRID).reason
    assert "compiled for this process alone" in explain(X, COEF, GRID).reason
    assert len(calls.read_text().splitlines()) == 2
    assert files_in(Path(tempfile.gettempdir()), "kancl-*") == before
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", "/proc/self/nowhere")
        forget()
        assert_told_and_replaced("nor can it be compiled for this process alone")


@pytest.mark.parametrize("name", ["two words", "Grüße 空白", 'it\'s "$HOME" `here` \\n;', "-o", "deep/er/still"])
def test_a_cache_folder_may_have_any_name(cache: Path, monkeypatch: pytest.MonkeyPatch, compiled: Path, name: str) -> None:
    folder = cache / name
    monkeypatch.setenv("KANCL_CACHE", str(folder))
    if name == "Grüße 空白":  # with the real compiler, which has to write there as well
        assert value() == RIGHT
    else:
        folder.mkdir(parents=True)
        shutil.copy2(compiled, folder)
        assert Child().end() == repr(RIGHT)
    assert files_in(folder) == [compiled.name]


@pytest.mark.parametrize("name", [".", "here", "../cache"])
def test_a_cache_folder_may_be_relative(
    cache: Path, compiled: Path, compiler: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    compiler(f'cp "{compiled}" "$out"')
    cache.mkdir()
    monkeypatch.chdir(cache)
    monkeypatch.setenv("KANCL_CACHE", name)
    assert unavailable("native", X, GRID) is None
    assert value() == RIGHT
    assert len(list(cache.rglob("*.so"))) == 1


def test_the_cache_folder_is_the_first_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, folder in (("HOME", "/c"), ("XDG_CACHE_HOME", "/b"), ("KANCL_CACHE", "/a")):
        monkeypatch.setenv(variable, folder)
    assert kept.named() == Path("/a")
    monkeypatch.setenv("KANCL_CACHE", "")
    assert kept.named() == Path("/b/kancl")
    for nowhere in ("", "relative/folder"):
        monkeypatch.setenv("XDG_CACHE_HOME", nowhere)
        assert kept.named() == Path("/c/.cache/kancl")
    for nowhere in ("", "relative/folder"):
        monkeypatch.setenv("HOME", nowhere)
        with pytest.raises(kept.UnusableError, match="HOME"):
            kept.folder()
    monkeypatch.delenv("HOME")
    assert kept.named() == Path(pwd.getpwuid(os.getuid()).pw_dir) / ".cache" / "kancl"


def test_a_user_without_a_home_still_computes(
    cache: Path, compiled: Path, compiler: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container that runs under a number that no user has."""
    compiler(f'cp "{compiled}" "$out"')

    def nobody(number: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    for variable in ("KANCL_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(variable, raising=False)
    assert value() == value("auto") == RIGHT
    assert "no home" in explain(X, COEF, GRID).reason


# Damage, interruption, company.

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda whole: b"",
    "one-byte": lambda whole: whole[:1],
    "garbage": lambda whole: bytes(range(256)) * 64,
    "zeros": lambda whole: bytes(len(whole)),
    "file-header": lambda whole: whole[:64],
    "all-headers": lambda whole: whole[:1000],
    "half": lambda whole: whole[: len(whole) // 2],
    "first-page-of-code": lambda whole: whole[:8192],
    "half-and-zeros": lambda whole: whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_compiled_anew(cache: Path, compiled: Path, compiler: Callable[[str], Path], damage: str) -> None:
    calls = compiler(f'cp "{compiled}" "$out"')
    assert Child().end() == repr(RIGHT)
    (file,) = cache.iterdir()
    file.write_bytes(DAMAGES[damage](compiled.read_bytes()))
    calls.write_text("")
    assert Child().end() == repr(RIGHT)
    assert calls.read_text()
    assert Child().end() == repr(RIGHT)
    assert files_in(cache) == [file.name]


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT], ids=str)
def test_a_build_that_was_killed_midway_does_not_trouble_the_next(
    cache: Path, tmp_path: Path, compiled: Path, compiler: Callable[[str], Path], ending: signal.Signals
) -> None:
    slow, begun = tmp_path / "slow", tmp_path / "begun"
    compiler(f'if [ -e "{slow}" ]; then head -c 9000 "{compiled}" > "$out"; touch "{begun}"; exec sleep 60; fi\n'
             f'cp "{compiled}" "$out"')  # fmt: skip
    slow.touch()
    child = Child()
    for _ in range(500):
        if begun.exists():
            break
        time.sleep(0.02)
    assert files_in(cache)
    os.killpg(child.pid, ending)
    assert child.end().startswith("died of SIGKILL" if ending == signal.SIGKILL else "KeyboardInterrupt")
    assert not list(cache.glob("*.so"))
    if ending == signal.SIGINT:
        assert files_in(cache) == []
    slow.unlink()
    assert value() == RIGHT
    assert files_in(cache) == [name_of()], "what the dead process left is still there"


def test_what_a_living_process_compiles_is_not_swept(
    cache: Path, tmp_path: Path, compiled: Path, compiler: Callable[[str], Path]
) -> None:
    begun, go = tmp_path / "begun", tmp_path / "go"
    compiler(f'touch "{begun}"; for i in $(seq 500); do [ -e "{go}" ] && break; sleep 0.02; done; cp "{compiled}" "$out"')
    child = Child()
    while not begun.exists():
        time.sleep(0.01)
    (half,) = files_in(cache)
    (cache / ".build-dead").mkdir()
    (cache / ".build-dead" / "half.o").touch()
    kept.sweep(kept.folder())
    assert files_in(cache) == [half]
    go.touch()
    assert child.end() == repr(RIGHT)
    assert files_in(cache) == [name_of()]


def test_processes_that_compile_at_the_same_time_agree_on_one_file(
    cache: Path, tmp_path: Path, compiled: Path, compiler: Callable[[str], Path]
) -> None:
    count, marks = 4, tmp_path / "marks"
    marks.mkdir()
    half = compiled.stat().st_size // 2
    calls = compiler(f"""
touch "{marks}/$$"
for i in $(seq 200); do [ $(ls "{marks}" | wc -l) -ge {count} ] && break; sleep 0.05; done
head -c {half} "{compiled}" > "$out"; sleep 0.1; tail -c +{half + 1} "{compiled}" >> "$out"
""")
    children = [Child() for _ in range(count)]
    assert [child.end() for child in children] == [repr(RIGHT)] * count
    assert len(calls.read_text().splitlines()) == 2 * count, "they were to compile at the same time"
    calls.write_text("")
    assert Child().end() == repr(RIGHT)
    assert calls.read_text() == "", "what they left was not good"
    assert len(files_in(cache)) == 1


def test_threads_that_compile_at_the_same_time_agree_on_one_file(
    cache: Path, compiled: Path, compiler: Callable[[str], Path]
) -> None:
    compiler(f'cp "{compiled}" "$out"; sleep 0.1')
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(value, ["native"] * 4)) == [RIGHT] * 4
    assert len(files_in(cache)) == 1


# What a file's name depends on.


def name_of(dtype: torch.dtype = torch.float32, degree: int = 0) -> str:
    """Return the name of the file that would be compiled now."""
    return build._recipe(dtype, degree).file


def test_every_type_and_degree_has_a_file_of_its_own(cache: Path) -> None:
    variants = [(dtype, degree) for dtype in (torch.float32, torch.float64) for degree in range(6)]
    assert len({name_of(*variant) for variant in variants}) == len(variants)
    assert name_of() == name_of()


def test_another_compiler_or_another_version_of_it_has_another_file(
    cache: Path, compiler: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [name_of()]
    compiler("exit 0")
    names.append(name_of())
    compiler("exit 0 # updated")
    names.append(name_of())
    os.utime(os.environ["CC"], (1e9, 1e9))
    names.append(name_of())
    assert name_of() == names[-1]
    compiler("exit 0 # updated under an old date")
    os.utime(os.environ["CC"], (1e9, 1e9))
    names.append(name_of())
    other = tmp_path / "other"
    shutil.copy2(os.environ["CC"], other)
    monkeypatch.setenv("CC", str(other))
    names.append(name_of())
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("piece", "other"),
    [
        ("FLAGS", (*build.FLAGS, "-funroll-loops")),
        ("FLAGS", tuple(flag.replace("-O3", "-O2") for flag in build.FLAGS)),
        ("_processor", lambda: "another processor"),
        ("_openmp", lambda: None),
        ("_openmp", lambda: Path("/another/libgomp.so.1")),
    ],
)
def test_other_flags_another_processor_or_openmp_have_another_file(
    cache: Path, monkeypatch: pytest.MonkeyPatch, piece: str, other: object
) -> None:
    before = name_of()
    monkeypatch.setattr(build, piece, other)
    assert name_of() != before


@pytest.mark.skipif(platform.machine() != "x86_64" or sys.platform != "linux", reason="written for one system's /proc/cpuinfo")
def test_processors_are_told_apart_by_all_that_they_can_do() -> None:
    (able,) = {line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")}
    assert "sse2" in able
    assert able in build._processor()


@pytest.mark.parametrize("changed", build.SOURCES)
def test_another_source_has_another_file(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str) -> None:
    before = name_of()
    for source in build.SOURCES:
        shutil.copy(Path(build.__file__).parent / source, tmp_path)
    monkeypatch.setattr(build, "SOURCES", tuple(str(tmp_path / source) for source in build.SOURCES))
    assert name_of() == before
    with open(tmp_path / changed, "a") as file:
        file.write("/* changed */\n")
    assert name_of() != before


def test_every_file_that_the_source_includes_counts() -> None:
    folder = Path(build.__file__).parent
    included = {name for source in build.SOURCES for name in re.findall(r'#include "(.+?)"', (folder / source).read_text())}
    assert included
    assert included <= set(build.SOURCES)
