"""What the verbs of ``kancl runs`` have in common: the folders that they are given, and JSON on standard output."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

Folders = Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="OUT ...", help_behavior_hint="")]
"""Folders that ``kancl run`` wrote, at least one."""

Flag = Annotated[tyro.conf.FlagCreatePairsOff[bool], tyro.conf.arg(help_behavior_hint="")]
"""What is not so unless it is said."""


def at_least_one(folders: Sequence[Path]) -> list[Path]:
    """Return the folders, ``~`` spelled out.

    Raises:
        InputError: there is none.
    """
    from kancl.errors import InputError
    from scenarios.data.files import at_home

    if not folders:
        raise InputError("name at least one folder that kancl run wrote, e.g. runs/gaussian-peaks-0f53c776")
    return [at_home(folder) for folder in folders]


def print_json(values: Sequence[Any]) -> None:
    """Print what belongs to the folders as JSON: one value, or a list where there are several folders."""
    import json

    unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    sys.stdout.write(json.dumps(values[0] if len(values) == 1 else list(values), indent=1, ensure_ascii=not unicode) + "\n")
    sys.stdout.flush()
