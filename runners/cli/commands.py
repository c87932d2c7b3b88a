"""What ``kancl`` can be told to do; importing it imports what reads command lines, so ``main`` does so on use."""

from typing import Annotated

import tyro

from runners.cli.bench import Bench
from runners.cli.compare import Compare
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
)


def read(arguments: list[str] | None) -> List | Run | Compare | Report | Show | Runs | Scenario | Bench:
    """Return the command that these arguments (the process's own if None) ask for; leaves where they ask for help."""
    return tyro.cli(
        Command,
        prog="kancl",
        description="Does this network forget? Train KANs and their rivals on sequences of tasks, and measure what each keeps.",
        args=arguments,
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.DisallowNone),
    )
