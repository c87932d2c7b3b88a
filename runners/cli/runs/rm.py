"""``kancl runs rm``: cells removed, after a question."""

import sys
from dataclasses import dataclass
from typing import Annotated

import tyro

from runners.cli.runs.folders import Flag, Folders
from runners.config.request import Said

Names = Annotated[tuple[str, ...], tyro.conf.arg(help_behavior_hint="")]


@dataclass(frozen=True)
class Rm:
    """Remove cells, with their files and their places in the list. What would go is shown first, and asked about.

    All that is said must hold: --architectures mlp --failed are the mlps that failed. A cell that a living process works on is
    refused, and then nothing is removed.
    """

    out: Folders
    """Folders that kancl run wrote."""
    scenarios: Names = ()
    """Cells of these scenarios, as they were asked for; a name alone is every set of options of it."""
    architectures: Names = ()
    """Cells of these architectures, in the same way."""
    strategies: Names = ()
    """Cells of these strategies, in the same way."""
    cells: Names = ()
    """Cells of these keys, or of keys that end so; kancl runs status shows them. Earlier cells can be named as well."""
    seeds: Said[str] = None
    """Cells that have none but these seeds: how many, a range or a list, as in kancl run."""
    failed: Flag = False
    """Cells that failed, and those whose result is damaged."""
    yes: Flag = False
    """Ask nothing."""

    def execute(self) -> int:
        """Show, ask, remove, and return the exit code: 1 if the answer was no."""
        from rich.text import Text

        from runners.cli.runs.folders import at_least_one
        from runners.cli.screen import make_console
        from runners.report.sheet import tables
        from runners.report.upkeep_tables import standings_sheet
        from runners.upkeep.remove import removal, remove
        from runners.upkeep.selection import Selection

        selection = Selection(self.scenarios, self.architectures, self.strategies, self.cells, self.seeds, self.failed)
        asked = [removal(folder, selection) for folder in at_least_one(self.out)]
        console = make_console()
        for one in asked:
            console.print(Text(str(one.path), style="bold"), soft_wrap=True)
            if one.cells:
                for table in tables(standings_sheet(one.cells), console.width):
                    console.print(table)
            if not self.yes:
                console.print(f"would remove {one}", soft_wrap=True)
        asked = [one for one in asked if one.cells]
        if asked and not self.yes and not _agreed():
            console.print("nothing was removed")
            return 1
        for one in asked:
            remove(one)
            console.print(f"removed {one} from {one.path}", soft_wrap=True)
        return 0


def _agreed() -> bool:
    """Ask, and return whether the answer is yes; where nobody can answer it is no."""
    sys.stdout.write("Remove them? [y/N] ")
    sys.stdout.flush()
    answer = sys.stdin.readline() if sys.stdin is not None else ""
    if not answer.endswith("\n"):
        sys.stdout.write("\n")
    return answer.strip().lower() in ("y", "yes")
