"""``kancl compare``: tables and figures from stored results."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from runners.config import Said


@dataclass(frozen=True)
class Compare:
    """Compare the stored cells of an experiment: a table with intervals, and figures as PNG and SVG.

    With --format json, csv or markdown the rows go to standard output and everything else to standard error.
    """

    out: tyro.conf.Positional[Path]
    """Folder that kancl run wrote."""
    format: Literal["table", "json", "csv", "markdown"] = "table"
    """How to print the comparison."""
    figures: Said[Path] = None
    """Folder for the figures; OUT/figures if not given."""
    no_figures: bool = False
    """Draw nothing."""

    def execute(self) -> int:
        """Print, draw and return the exit code."""
        from rich.console import Console

        from kancl.errors import InputError
        from runners import tables
        from runners.cli.screen import make_console
        from runners.plots import draw_all
        from runners.results import load

        results = load(self.out)
        if not results.entries:
            raise InputError(f"{self.out} holds no finished cell yet; repeat the kancl run that made it")
        notes = Console(stderr=True, highlight=False, soft_wrap=True)
        if self.format == "table":
            console = make_console()
            for table in tables.summary_tables(results, console.width):
                console.print(table)
        else:
            text = {"json": tables.as_json, "csv": tables.as_csv, "markdown": tables.as_markdown}[self.format](results)
            sys.stdout.write(text if text.endswith("\n") else text + "\n")
            sys.stdout.flush()
        if results.missing:
            notes.print(
                f"left out, not finished: {', '.join(results.missing)} (repeat the kancl run to finish them)", style="yellow"
            )
        if self.no_figures:
            return 0
        folder = self.figures or self.out / "figures"
        try:
            for path in draw_all(results, folder):
                notes.print(f"wrote {path}")
        except OSError as error:
            raise InputError(
                f"figures cannot be written to {folder}: {error.strerror}; choose another with --figures"
            ) from error
        return 0
