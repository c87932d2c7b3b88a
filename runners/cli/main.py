"""``kancl``: reads the command line, hands over to one command, and turns errors into messages and exit codes."""

import io
import os
import sys
from typing import Annotated

import tyro

from runners.cli.bench import Bench
from runners.cli.compare import Compare
from runners.cli.list import List
from runners.cli.run import Run
from runners.cli.scenario import Scenario

Command = (
    Annotated[List, tyro.conf.subcommand("list")]
    | Annotated[Run, tyro.conf.subcommand("run")]
    | Annotated[Compare, tyro.conf.subcommand("compare")]
    | Annotated[Scenario, tyro.conf.subcommand("scenario")]
    | Annotated[Bench, tyro.conf.subcommand("bench")]
)


def main(arguments: list[str] | None = None) -> int:
    """Run ``kancl`` with these arguments (the process's own if None) and return the exit code.

    0: all went well. 1: a cell failed. 2: the input or the disk cannot be used. 130: interrupted.
    """
    from kancl.errors import InputError, StorageError

    if any("\0" in argument for argument in (sys.argv[1:] if arguments is None else arguments)):
        return _refused("an argument holds the character NUL, which no name can hold")
    try:
        os.getcwd()
    except OSError as error:
        return _refused(f"the folder you are in cannot be used ({error.strerror}): it was removed, perhaps; change to another")
    command = tyro.cli(
        Command,
        prog="kancl",
        description="Does this network forget? Train KANs and their rivals on sequences of tasks, and measure what each keeps.",
        args=arguments,
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.DisallowNone),
    )
    try:
        return command.execute()
    except InputError as error:
        return _refused(str(error))
    except StorageError as error:
        return _refused(f"{error}; what was finished is kept, and the same command goes on from there")
    except KeyboardInterrupt:
        print("kancl: interrupted; the same command continues after the last finished task", file=sys.stderr)
        return 130


LONGEST = 5000
"""Characters of a message; what came may be of any length."""


def _refused(message: str) -> int:
    """Say what is wrong and return the exit code."""
    from kancl.text import visible

    shown = visible(message[:LONGEST], "\n\t")
    print(f"kancl: {shown}{'...' if len(message) > LONGEST else ''}", file=sys.stderr)
    return 2


def entry() -> None:
    """Entry point of the ``kancl`` command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # where a terminal knows ascii alone, a plus-minus is no reason to end
            stream.reconfigure(errors="replace" if stream is sys.stdout else "backslashreplace")
    sys.exit(main())
