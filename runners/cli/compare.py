"""``kancl compare``: tables and figures from stored results."""

import sys
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from runners.cli.shown import Shown
from runners.config.request import Said

if TYPE_CHECKING:
    from kancl.verdict import Rules
    from runners.report.figures.look import Look
    from runners.results.results import Results
    from runners.results.verdicts import Comparison


@dataclass(frozen=True)
class Compare(Shown):
    """Compare the stored cells of experiments: tables with intervals, verdicts on who retains more, and figures.

    Several folders are read as one; seeds that were trained at different times are one cell.

    With --format json, csv, markdown or latex the rows go to standard output and everything else to standard error.
    """

    explain: tyro.conf.FlagCreatePairsOff[bool] = False
    """Say after the tables what every column means, by its formula, and how verdicts are reached."""
    format: Literal["table", "json", "csv", "markdown", "latex"] = "table"
    """How to print the comparison; latex is for the package booktabs."""
    rows: Literal["cells", "wide", "seeds", "scores", "verdicts"] = "cells"
    """What a row of csv is, which has room for one table: a metric of a cell (cells); a cell with a column for each metric
    (wide); a seed of a cell with a column for each metric (seeds); a score of a seed on one task after another (scores); a
    verdict (verdicts). The other formats hold cells and verdicts."""
    figures: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FORMAT ...")] = ("png", "svg")
    """As which files to draw every figure: png, svg and pdf."""
    figures_to: Said[Path] = None
    """Folder for the figures; figures in the first OUT if not given."""
    only_figures: Annotated[tuple[str, ...], tyro.conf.arg(metavar="KIND ...", help_behavior_hint="")] = ()
    """Draw these alone: headline, size, dial, overlap, network, curves, retention, functions."""
    overlay: bool = False
    """Forgetting curves of all architectures in one panel, one for each task, instead of a panel for each cell."""
    width: Said[str] = None
    """How wide figures are: inches, or single or double for the columns of a page (3.35 and 7 inches). Texts become smaller
    with it, and panels for which a line has no room stand below the others."""
    dpi: int = 150
    """Dots per inch of PNG."""
    style: Literal["paper", "slides"] = "paper"
    """What figures are for: texts and lines are larger on slides."""
    no_figures: bool = False
    """Draw nothing."""

    def execute(self) -> int:
        """Print, draw and return the exit code."""
        from runners.cli.screen import make_console

        look = self._look()
        results, rules = self.results("compare"), self.rules()
        comparisons = self.comparisons(results)
        self._print(results, comparisons, rules)
        notes = make_console(stderr=True)
        for line in results.damaged:
            notes.print(f"damaged: {line}", style="yellow", soft_wrap=True)
        if results.missing:
            left_out = f"left out, not finished: {', '.join(results.missing)} (repeat the kancl run to finish them)"
            notes.print(left_out, style="yellow", soft_wrap=True)
        return 0 if self.no_figures else self._draw(results, comparisons, look)

    def _look(self) -> "Look":
        """Return how figures look.

        Raises:
            InputError: a format, kind, width or resolution that makes no sense.
        """
        from kancl.errors import InputError
        from runners.report.figures.draw_all import KINDS
        from runners.report.figures.look import FORMATS, Look

        for text in self.figures:
            if text not in FORMATS:
                folder = f"; the folder for figures is asked for by --figures-to {text}" if len(self.figures) == 1 else ""
                raise InputError(f"--figures takes formats, {', '.join(FORMATS)}, got {text!r}{folder}")
        for kind in self.only_figures:
            if kind not in KINDS:
                raise InputError(f"there are no figures called {kind!r}; --only-figures takes {', '.join(KINDS)}")
        formats = tuple(known for known in FORMATS if known in self.figures)
        return Look(formats, self.width, self.dpi, self.style)

    def _draw(self, results: "Results", comparisons: "list[Comparison]", look: "Look") -> int:
        """Draw what is asked for and return the exit code."""
        from kancl.errors import InputError, StorageError, one_line
        from runners.cli.screen import make_console
        from runners.report.figures.draw_all import PANELS, draw_all
        from runners.report.pages import pages_of
        from runners.store.files import reason_of, refuse_elsewhere
        from scenarios.data.files import at_home

        notes = make_console(stderr=True)
        folder, lost = at_home(self.figures_to or self.out[0] / "figures"), []
        chosen = {"comparisons": comparisons, "only": self.only_figures, "overlay": self.overlay}
        try:
            if self.figures_to is None:
                refuse_elsewhere(folder, self.out[0])
            drawn = draw_all(results, folder, lambda name, error: lost.append(f"{name} ({one_line(error)})"), look, **chosen)
            for place, (stem, paths) in enumerate(groupby(drawn, lambda path: path.stem)):
                if not place:
                    notes.print(f"figures in {folder}:", soft_wrap=True)
                notes.print(f"  {stem} ({', '.join(path.suffix[1:] for path in paths)})", soft_wrap=True)
            panels = not self.only_figures or not {name for name, *_ in PANELS}.isdisjoint(self.only_figures)
            for line in pages_of(results)[1] if panels else ():
                notes.print(line, style="yellow", soft_wrap=True)
        except (OSError, StorageError) as error:
            reason = reason_of(error) if isinstance(error, OSError) else error
            raise InputError(f"figures cannot be written to {folder}: {reason}; choose another with --figures-to") from error
        for name in lost:
            notes.print(f"left out, cannot be drawn: {name}", style="red", soft_wrap=True)
        return 1 if lost else 0

    def _print(self, results: "Results", comparisons: "list[Comparison]", rules: "Rules") -> None:
        """Print everything that goes to standard output."""
        from runners.report import written

        if self.format == "table":
            self._print_tables(results, comparisons, rules)
            return
        unicode = (sys.stdout.encoding or "").lower().startswith("utf")
        forms = {
            "json": lambda: written.as_json(results, comparisons, rules, not unicode),
            "csv": lambda: written.as_csv(results, comparisons, self.rows),
            "markdown": lambda: written.as_markdown(results, comparisons, rules),
            "latex": lambda: written.as_latex_tables(results, comparisons, rules),
        }
        text = forms[self.format]()
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        sys.stdout.flush()

    def _print_tables(self, results: "Results", comparisons: "list[Comparison]", rules: "Rules") -> None:
        """Print the answers in words, then the tables."""
        from runners.cli.screen import make_console
        from runners.report.tables import summary_tables
        from runners.report.verdict_tables import verdict_tables
        from runners.report.words import answers
        from runners.results.mechanism import mechanisms

        console = make_console()
        for answer in answers(comparisons):
            console.print(answer, style="bold")
        console.print()
        for table in summary_tables(results, console.width, self.explain):
            console.print(table)
        for table in verdict_tables(comparisons, rules, console.width, self.explain):
            console.print(table)
        for mechanism in mechanisms(results):
            console.print(f"Overlap and forgetting   {mechanism.sentence()}\n")
        if not self.explain:
            console.print("What the columns mean, and how verdicts are reached: --explain", style="dim")
