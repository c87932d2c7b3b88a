"""What is installed and what works here, a line each: for people who report a bug, or wonder what they have."""

import locale
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from kancl.errors import one_line
from kancl.splines import UniformGrid, explain, spline
from kancl.splines.kept import folder
from runners.store.environment import environment

NEEDED = ("torch", "numpy", "scipy", "pandas", "scikit-learn", "matplotlib", "rich", "tyro", "pydantic", "avalanche-lib")
EXTRAS = ("torchvision", "triton", "dask", "distributed", "pyarrow", "tensorboard", "wandb", "mlflow", "playwright")
ENVIRONMENT = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CC", "COLUMNS", "NO_COLOR", "MPLBACKEND", "CUDA_VISIBLE_DEVICES")
CUBIC = "S=8, B=64, I=1, O=8, G=20, K=3"


@dataclass(frozen=True)
class Line:
    """What was found of a thing; ``broken`` where nothing can be trained without it."""

    name: str
    said: str
    broken: bool = False


def checkup() -> list[Line]:
    """Return what was found, a line for each thing; what cannot be told says why."""
    found = [*_versions(), *_machine()]
    for name, look in (("spline kernel", _kernel), ("kernel cache", _cache), ("GPU", _gpu), ("temporary files", _temporary)):
        try:
            found.append(Line(name, look()))
        except Exception as error:  # whatever is wrong is what is to be told
            found.append(Line(name, f"broken: {one_line(error)}", broken=name in ("spline kernel", "temporary files")))
    return [*found, *_terminal()]


def _versions() -> Iterator[Line]:
    here = environment()
    yield Line("kancl", f"{here['kancl']}{' at ' + here['commit'] if here['commit'] else ''}, {Path(__file__).parents[2]}")
    yield Line("python", f"{here['python']}, {sys.executable}")
    for name in NEEDED:
        there = _version(name)
        yield Line(name, there or "missing", broken=there is None)
    extras = {name: _version(name) for name in EXTRAS}
    yield Line("extras", ", ".join(f"{name} {own}" for name, own in extras.items() if own) or "none")
    yield Line("not installed", ", ".join(name for name, own in extras.items() if not own) or "nothing")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _machine() -> Iterator[Line]:
    here = environment()
    yield Line("system", platform.platform())
    yield Line("processor", f"{here['processor']}, {os.cpu_count()} logical cores, {_usable()} usable")
    yield Line("threads of torch", f"{torch.get_num_threads()} ({torch.__config__.parallel_info().splitlines()[1].strip()})")
    yield Line("compiler", here["compiler"] or "none: splines are evaluated by torch")
    yield Line("native kernel", str(here["native kernel"]))
    said = [f"{name}={os.environ[name]}" for name in ENVIRONMENT if name in os.environ]
    yield Line("environment", " ".join(said) or "nothing set that matters")


def _usable() -> int:
    count: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    return len(count(0)) if count is not None else os.cpu_count() or 1


def _kernel() -> str:
    """Return which backend a usual layer gets, after a look at whether it agrees with the definition."""
    grid = UniformGrid.over(-1.0, 1.0, 20, 3)
    x = torch.linspace(-0.99, 0.99, 64).reshape(1, 64, 1).expand(8, 64, 1).contiguous()
    coef = torch.linspace(0, 40, 8 * grid.coefficients * 8).sin().reshape(8, 1, grid.coefficients, 8)
    chosen = explain(x, coef, grid)
    apart = (spline(x, coef, grid) - spline(x, coef, grid, backend="dense")).abs().max().item()
    if not apart < 1e-4:
        raise RuntimeError(f"{chosen.backend} differs from the definition by {apart:.2g}")
    return f"{chosen.backend} for a layer of {CUBIC}, as the definition within {apart:.0e}"


def _cache() -> str:
    return f"{folder()}"


def _gpu() -> str:
    if not torch.cuda.is_available():
        return f"none that torch can use (built for {torch.version.cuda or 'CPU only'})"
    names = [torch.cuda.get_device_name(place) for place in range(torch.cuda.device_count())]
    return f"{', '.join(names)}, CUDA {torch.version.cuda}"


def _temporary() -> str:
    with tempfile.TemporaryDirectory() as place:
        free = shutil.disk_usage(place).free
        Path(place, "file").write_bytes(b"kancl")
        return f"{Path(place).parent} can be written, {free / 2**30:,.1f} GB free"


def _terminal() -> Iterator[Line]:
    columns = shutil.get_terminal_size().columns
    kind = "a terminal" if sys.stdout.isatty() else "no terminal"
    yield Line("output", f"{kind}, {columns} columns, {getattr(sys.stdout, 'encoding', None)}, locale {locale.getlocale()[0]}")
