"""Which figure shows a scenario, and how it is written."""

import textwrap
from pathlib import Path

from kancl.errors import InputError, StorageError
from kancl.text import visible
from runners.authoring.previews.common import shown_tasks
from runners.authoring.previews.line import line_figure
from runners.authoring.previews.pictures import picture_figure
from runners.authoring.previews.plane import plane_figure
from runners.authoring.previews.rows import has_few_rows, rows_figure
from runners.authoring.previews.table import table_figure
from runners.report.drawing import Figure, finish, own_style, rendered
from runners.store.files import write_atomically
from scenarios import Scenario

SUFFIXES = (".png", ".svg", ".pdf")
TITLE_WIDTH = 70


def preview(scenario: Scenario, label: str, seed: int = 0) -> Figure:
    """Return a figure of a scenario's tasks.

    One input: points and targets. Two: regions of the plane. Pictures, where ``image_shape`` says so: some of each task. More
    inputs: a table of targets where only a few combinations of them occur, else their first two principal components, and
    histograms.

    Args:
        scenario: one seed's, checked.
        label: what the title calls it.
        seed: which seed's it is, for the title.
    """
    with own_style():
        if scenario.image_shape is not None:
            figure = picture_figure(scenario)
        elif scenario.inputs == 1:
            figure = line_figure(scenario)
        elif scenario.inputs == 2:
            figure = plane_figure(scenario)
        elif has_few_rows(scenario):
            figure = rows_figure(scenario)
        else:
            figure = table_figure(scenario)
        figure.suptitle(_title(scenario, label, seed), x=0.01, ha="left", fontsize=10)  # beside the legend
        return finish(figure)


MOST_DOTS = 1200
"""Dots per inch; the picture is held in memory."""


def draw_preview(scenario: Scenario, label: str, path: Path, seed: int = 0, dpi: int = 150) -> None:
    """Write the preview of a scenario to a file, in the format of its suffix; a PNG with ``dpi`` dots per inch.

    Raises:
        InputError: a format that is not written, or a place that cannot be written.
    """
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
    number = f"{count} task{'s' * (count > 1)}" if count == drawn else f"tasks 1 to {drawn} of {count}"
    facts = [number, f"{scenario.setting}-incremental", f"seed {seed}"]
    if scenario.pretrain:
        before = len(scenario.pretrain)
        facts.append(f"after {before} task{'s' * (before > 1)} of pretraining")
    if scenario.blur:
        facts.append(f"blur {scenario.blur:g}")
    return "\n".join([*textwrap.wrap(visible(label), TITLE_WIDTH), ", ".join(facts)])
