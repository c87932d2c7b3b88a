"""``kancl``: reads the command line, hands over to one command, and turns errors into messages and exit codes."""

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
        print(f"kancl: {error}", file=sys.stderr)
        return 2
    except StorageError as error:
        print(f"kancl: {error}; what was finished is kept, and the same command goes on from there", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("kancl: interrupted; the same command continues after the last finished task", file=sys.stderr)
        return 130


def entry() -> None:
    """Entry point of the ``kancl`` command."""
    sys.exit(main())
