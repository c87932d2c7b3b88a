"""``kancl report``: stored results as one HTML file that can be opened anywhere, offline."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from runners.cli.shown import Shown
from runners.config.request import Said

if TYPE_CHECKING:
    from runners.results.results import Results

NAME = "report.html"


@dataclass(frozen=True)
class Report(Shown):
    """Write a report on the stored cells of experiments: one HTML file with answer, verdicts, figures, tables and origin.

    The file asks for nothing from anywhere: it can be sent, opened offline and printed. Several folders are read as one.
    """

    output: Annotated[Said[Path], tyro.conf.arg(aliases=["-o"])] = None
    """The file to write; report.html in the first OUT if not given."""

    def execute(self) -> int:
        """Write the report, say where it is, and return the exit code."""
        from kancl.errors import InputError, StorageError
        from runners.cli.screen import make_console
        from scenarios.data.files import at_home

        results, lost = self.results("report"), list[str]()
        try:
            path = self.write(results, lost, None if self.output is None else at_home(self.output))
        except StorageError as error:
            raise InputError(f"{error}; choose another place with --output") from error
        make_console().print(f"wrote {path}", soft_wrap=True)
        notes = make_console(stderr=True)
        for line in lost:
            notes.print(line, style="red", soft_wrap=True)
        return 1 if lost else 0

    def write(self, results: "Results", lost: list[str], path: Path | None = None) -> Path:
        """Write the report and return its path.

        Args:
            results: what is shown.
            lost: is given a line for each figure that could not be made.
            path: of the file; beside the results if None.

        Raises:
            StorageError: it cannot be written, or a link would lead it out of the results' folder.
        """
        from kancl.errors import one_line
        from runners.report.html.page import write_report
        from runners.store.files import refuse_elsewhere

        if path is None:
            path = self.out[0] / NAME
            refuse_elsewhere(path, self.out[0])

        def left_out(name: str, error: Exception) -> None:
            lost.append(f"left out, cannot be drawn: {name} ({one_line(error)})")

        write_report(path, results, self.comparisons(results), self.rules(), left_out)
        return path
