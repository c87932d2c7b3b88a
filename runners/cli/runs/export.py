"""``kancl runs export``: results as tables for other programs."""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from runners.cli.runs.folders import Folders


@dataclass(frozen=True)
class Export:
    """Write the frames that runners.load gives (summary, retention, curves, and records of locality) as files, a table each.

    Several folders are read as one. manifest.json says what the tables are made of: the commands, the cells with the
    checksums of their files, and the versions.
    """

    out: Folders
    """Folders that kancl run wrote."""
    to: Path
    """Folder for the tables, made if it is not there."""
    format: Literal["csv", "parquet"] = "csv"
    """What to write; parquet needs pyarrow (pip install 'kancl[parquet]')."""

    def execute(self) -> int:
        """Write, say what was written, and return the exit code."""
        from kancl.text import counted
        from runners.cli.runs.folders import at_least_one
        from runners.cli.screen import make_console
        from runners.upkeep.export import export
        from scenarios.data.files import at_home

        done = export(at_least_one(self.out), at_home(self.to), self.format, shlex.join(["kancl", *sys.argv[1:]]))
        console, notes = make_console(), make_console(stderr=True)
        for name, rows, size in done.files:
            console.print(f"wrote {done.folder / name}: {counted(rows, 'row')}, {counted(size, 'byte')}", soft_wrap=True)
        console.print(f"wrote {done.folder / 'manifest.json'}", soft_wrap=True)
        for line in done.damaged:
            notes.print(f"damaged: {line}", style="yellow", soft_wrap=True)
        if done.missing:
            notes.print(f"left out, not finished: {', '.join(done.missing)}", style="yellow", soft_wrap=True)
        return 0
