"""What ``kancl`` can be told to do; importing it imports what reads command lines, so ``main`` does so on use."""

import io
import sys
from contextlib import redirect_stdout, suppress
from dataclasses import replace
from typing import Annotated, Any, get_args

import tyro

from runners.cli.bench import Bench
from runners.cli.compare import Compare
from runners.cli.completion import Completion, cleaned
from runners.cli.doctor import Doctor
from runners.cli.list import List
from runners.cli.report import Report
from runners.cli.run import Run
from runners.cli.runs import Runs
from runners.cli.scenario import Scenario
from runners.cli.show import Show

Command = (
    Annotated[List, tyro.conf.subcommand("list")]
    | Annotated[Run, tyro.conf.subcommand("run")]
    | Annotated[Compare, tyro.conf.subcommand("compare")]
    | Annotated[Report, tyro.conf.subcommand("report")]
    | Annotated[Show, tyro.conf.subcommand("show")]
    | Annotated[Runs, tyro.conf.subcommand("runs")]
    | Annotated[Scenario, tyro.conf.subcommand("scenario")]
    | Annotated[Bench, tyro.conf.subcommand("bench")]
    | Annotated[Doctor, tyro.conf.subcommand("doctor")]
    | Annotated[Completion, tyro.conf.subcommand("completion")]
)


def verbs() -> list[str]:
    """Return the names of all commands."""
    return [own.name for command in get_args(Command) for own in get_args(command)[1:]]


def read(arguments: list[str] | None) -> List | Run | Compare | Report | Show | Runs | Scenario | Bench | Doctor | Completion:
    """Return the command that these arguments (the process's own if None) ask for; leaves where they ask for help."""
    grouped = grouped_help(arguments)
    if grouped is not None:
        print(grouped, end="")
        raise SystemExit(0)
    command = _parsed(arguments)
    if isinstance(command, Completion):
        return replace(command, script=cleaned(_printed(["--tyro-print-completion", command.shell])))
    return command


def grouped_help(arguments: list[str] | None) -> str | None:
    """Return the help of ``run`` with its options in groups, where these arguments ask for it.

    Where the output has no lines to draw boxes with, None: the help is then tyro's own.
    """
    from runners.cli.help_groups import in_groups

    words = sys.argv[1:] if arguments is None else arguments
    boxes = (getattr(sys.stdout, "encoding", None) or "").lower().startswith("utf")
    if words[:1] != ["run"] or not {"-h", "--help"} & set(words) or not boxes:
        return None
    return in_groups(_printed(["run", "--help"]))


def _printed(arguments: list[str]) -> str:
    """Return what tyro prints for arguments that ask it for a text."""
    text = Drawn()
    with redirect_stdout(text), suppress(SystemExit):
        _parsed(arguments)
    return text.getvalue()


class Drawn(io.StringIO):
    """What is printed, as for an output with all letters."""

    encoding = "utf-8"


def _parsed(arguments: list[str] | None) -> Any:
    return tyro.cli(
        Command,
        prog="kancl",
        description="Does this network forget? Train KANs and their rivals on sequences of tasks, and measure what each keeps."
        " kancl VERB --help tells more; kancl --version, kancl doctor: what is installed.",
        args=arguments,
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.DisallowNone),
    )
