"""For authors of scenarios: a file to start from, and whether architectures can be trained on what they wrote."""

import ast
import inspect
import keyword
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

from kancl.errors import InputError
from runners.authoring import template as template_module
from runners.config.request import Request
from runners.experiment.expand import expand
from scenarios import Scenario
from scenarios.data.files import DATA_ROOT
from scenarios.inspection.findings import Finding

PLACEHOLDER = "my_scenario"
USUAL = ("kan", "mlp")


def write_template(path: Path, name: str) -> None:
    """Write a new file with two scenarios, ``name`` and ``name`` + ``_classes``.

    Raises:
        InputError: a file that exists, a folder that does not, or a name that cannot be taken.
    """
    if path.suffix != ".py":
        raise InputError(f"a scenario is a Python file, so its name must end in .py, got {path}")
    content = template(name)
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {path.parent}; make it first, or choose another place")
    try:
        with path.open("x", encoding="utf-8") as file:
            _write(file, content, path)
    except FileExistsError as error:
        raise InputError(f"{path} exists and is not overwritten; choose another name") from error
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); choose another place") from error


def _write(file: IO[str], content: str, path: Path) -> None:
    """Write a new file whole; of one that the disk has no room for, nothing stays."""
    try:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def template(name: str = PLACEHOLDER) -> str:
    """Return the text of a file with two scenarios.

    Raises:
        InputError: a name that Python does not take, or that the file uses for something else.
    """
    text = inspect.getsource(template_module)
    if not name.isidentifier() or keyword.iskeyword(name):
        raise InputError(f"--name must be a Python name such as my_tasks, got {name!r}")
    taken = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)} - {PLACEHOLDER}
    if name in taken or f"{name}_classes" in taken:
        raise InputError(f"--name {name} is used for something else in the file; choose another")
    return re.sub(rf"\b{PLACEHOLDER}(?=\b|_classes\b)", name, text)


def advice_findings(text: str, scenario: Scenario, data_root: Path = DATA_ROOT) -> Iterator[Finding]:
    """Tell whether ``kancl run`` would train the usual architectures, and all that the scenario advises on.

    Args:
        text: the scenario as it was asked for.
        scenario: what its builder gave.
        data_root: the folder of data files.
    """
    advice = scenario.advice
    request = Request(scenarios=(text,), seeds=2, data_root=data_root)
    names = list(dict.fromkeys([*USUAL, *advice.architectures, *advice.optimizers, *advice.own_policies]))
    try:
        expand([replace(request, architectures=tuple(names))])
    except InputError:
        told: dict[str, None] = {}
        for name in names:
            try:
                expand([replace(request, architectures=(name,))])
            except InputError as error:
                told.setdefault(str(error))
        for message in told:
            yield Finding("fault", f"kancl run would refuse it: {message}")
    else:
        yield Finding("fine", f"{', '.join(names)} can be trained on it, with the numbers that it advises")
