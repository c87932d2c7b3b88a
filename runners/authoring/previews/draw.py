"""Which figure shows a scenario, and how it is written."""

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from kancl.errors import InputError, StorageError
from kancl.text import counted, visible
from runners.authoring.previews.common import shown_tasks
from runners.authoring.previews.line import draw_line, line_data
from runners.authoring.previews.pictures import draw_pictures, picture_data
from runners.authoring.previews.plane import draw_plane, plane_data
from runners.authoring.previews.rows import draw_rows, has_few_rows, rows_data
from runners.authoring.previews.table import draw_table, table_data
from runners.store.files import write_atomically
from scenarios import Scenario

if TYPE_CHECKING:
    from runners.report.drawing import Figure

SUFFIXES = (".png", ".svg", ".pdf")
TITLE_WIDTH = 70


def preview(scenario: Scenario, label: str, seed: int = 0) -> "Figure":
    """Return a figure of a scenario's tasks.

    One input: points and targets. Two: regions of the plane. Pictures, where ``image_shape`` says so: some of each task. More
    inputs: a table of targets where only a few combinations of them occur, else their first two principal components, and
    histograms.

    Args:
        scenario: one seed's, checked.
        label: what the title calls it.
        seed: which seed's it is, for the title.
    """
    from runners.report.drawing import finish, own_style

    with own_style():
        if scenario.image_shape is not None:
            figure = draw_pictures(picture_data(scenario))
        elif scenario.inputs == 1:
            figure = draw_line(line_data(scenario))
        elif scenario.inputs == 2:
            figure = draw_plane(plane_data(scenario))
        elif has_few_rows(scenario):
            figure = draw_rows(rows_data(scenario))
        else:
            figure = draw_table(table_data(scenario))
        figure.suptitle(_title(scenario, label, seed), x=0.01, ha="left", fontsize=10)  # beside the legend
        return finish(figure)


MOST_DOTS = 1200
"""Dots per inch; the picture is held in memory."""


def draw_preview(scenario: Scenario, label: str, path: Path, seed: int = 0, dpi: int = 150) -> None:
    """Write the preview of a scenario to a file, in the format of its suffix.

    Args:
        scenario: what is shown.
        label: its title.
        path: of the file.
        seed: of the scenario, for the title.
        dpi: dots per inch of a PNG.

    Raises:
        InputError: a format that is not written, or a place that cannot be written.
    """
    from runners.report.drawing import own_style, rendered

    if not 1 <= dpi <= MOST_DOTS:
        raise InputError(f"a picture has at least 1 dot per inch and at most {MOST_DOTS:,}, got {dpi}")
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"a figure is written as {', '.join(SUFFIXES)}, got {path.name}; give its name one of these endings")
    with own_style():
        content = rendered(preview(scenario, label, seed), path.suffix.lower()[1:], dpi=dpi)
    try:
        write_atomically(path, lambda file: file.write(content))
    except (OSError, StorageError) as error:
        raise InputError(f"the preview cannot be written: {error}; choose another place") from error


def _title(scenario: Scenario, label: str, seed: int) -> str:
    count, drawn = len(scenario.tasks), len(shown_tasks(scenario))
    number = counted(count, "task") if count == drawn else f"tasks 1 to {drawn} of {count}"
    facts = [number, f"{scenario.setting}-incremental", f"seed {seed}"]
    if scenario.pretrain:
        facts.append(f"after {counted(len(scenario.pretrain), 'task')} of pretraining")
    if scenario.blur:
        facts.append(f"blur {scenario.blur:g}")
    return "\n".join([*textwrap.wrap(visible(label), TITLE_WIDTH), ", ".join(facts)])
