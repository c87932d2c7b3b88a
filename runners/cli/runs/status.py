"""``kancl runs status``: what is done, what runs where, what failed and why."""

from dataclasses import dataclass
from typing import Literal

from runners.cli.runs.folders import Folders


@dataclass(frozen=True)
class Status:
    """Show how far the cells of experiments are: done, running (where), begun, failed (why), damaged, or absent.

    Nothing is written, and a run that is going on is not waited for.
    """

    out: Folders
    """Folders that kancl run wrote."""
    format: Literal["table", "json"] = "table"
    """How to print it."""

    def execute(self) -> int:
        """Print the state of every cell, and return the exit code."""
        from rich.text import Text

        from runners.cli.runs.folders import at_least_one, print_json
        from runners.cli.screen import make_console
        from runners.report.sheet import tables
        from runners.report.upkeep_tables import standings_sheet
        from runners.upkeep.survey import survey

        surveys = [survey(folder) for folder in at_least_one(self.out)]
        if self.format == "json":
            print_json([found.to_json() for found in surveys])
            return 0
        console, notes = make_console(), make_console(stderr=True)
        for found in surveys:
            console.print(Text(str(found.path), style="bold"), soft_wrap=True)
            for table in tables(standings_sheet(found.cells), console.width):
                console.print(table)
            console.print(str(found), soft_wrap=True)
            for line in found.damaged:
                notes.print(f"damaged: {line}", style="yellow", soft_wrap=True)
        return 0
