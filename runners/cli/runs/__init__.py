"""``kancl runs``: look after folders of results, one verb a file."""

from dataclasses import dataclass
from typing import Annotated

import tyro

from runners.cli.runs.export import Export
from runners.cli.runs.gc import Gc
from runners.cli.runs.rm import Rm
from runners.cli.runs.status import Status
from runners.cli.runs.verify import Verify


@dataclass(frozen=True)
class Runs:
    """Look after folders of results: what is done, what is damaged, what can go."""

    action: tyro.conf.OmitSubcommandPrefixes[
        Annotated[Status, tyro.conf.subcommand("status")]
        | Annotated[Verify, tyro.conf.subcommand("verify")]
        | Annotated[Rm, tyro.conf.subcommand("rm")]
        | Annotated[Gc, tyro.conf.subcommand("gc")]
        | Annotated[Export, tyro.conf.subcommand("export")]
    ]

    def execute(self) -> int:
        """Do what was chosen and return the exit code."""
        return self.action.execute()
