"""Where trackers are found by name, and how one whose package is missing is refused."""

import importlib
from collections.abc import Sequence
from types import ModuleType

from kancl.errors import InputError, is_interrupt, one_line
from kancl.options import place_in
from kancl.registry import Registry
from runners.trackers.tracker import Tracker

trackers = Registry(
    "tracker",
    {
        "mlflow": "runners.trackers.mlflow",
        "tensorboard": "runners.trackers.tensorboard",
        "wandb": "runners.trackers.wandb",
    },
)


def make_trackers(names: Sequence[str]) -> dict[str, Tracker]:
    """Return the trackers of these names, each once.

    Args:
        names: as ``--track`` takes them.

    Raises:
        InputError: a name that is unknown, or a tool that is not installed.
    """
    return {name: _made(name) for name in dict.fromkeys(names)}


def _made(name: str) -> Tracker:
    maker = trackers.get(name)
    try:
        made: Tracker = maker()
    except BaseException as error:
        if is_interrupt(error) or isinstance(error, InputError):
            raise
        raise InputError(f"tracker {name} cannot be made: {one_line(error)}{place_in(error, maker)}") from error
    return made


def imported(module: str, package: str) -> ModuleType:
    """Import what a tracker needs.

    Args:
        module: its dotted name.
        package: by which the tracker is asked for, and what pip installs.

    Raises:
        InputError: it is not there, or cannot be imported; says what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"--track {package} needs the package {package}, which cannot be imported ({error}); install it with "
            f"pip install {package}, or all trackers with pip install 'kancl[trackers]'"
        ) from error
