"""TensorBoard: one folder of event files per cell."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from runners.trackers.events import Evaluation
from runners.trackers.registry import imported, trackers
from runners.trackers.tracker import Description, State

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


@trackers.register("tensorboard")
class TensorBoard:
    """Event files in ``<folder>/<cell>/``; the configuration and the final numbers are in the HPARAMS tab.

    A cell that is told again replaces its event files.
    """

    def __init__(self) -> None:
        imported("tensorboard", "tensorboard")
        imported("torch.utils.tensorboard", "tensorboard")

    def begin(self, cell: Description, folder: Path) -> "EventFiles":
        """Open an event file; see :meth:`runners.trackers.Tracker.begin`."""
        from torch.utils.tensorboard import SummaryWriter

        place = folder / cell.key
        replaced = list(place.glob("events.out.tfevents.*"))
        for old in replaced:
            old.unlink()
        # From step 0 on: a TensorBoard that is open forgets what it had read.
        return EventFiles(cell, SummaryWriter(str(place), purge_step=0 if replaced else None))

    def hint(self, folder: Path) -> str:
        """Return the command that shows the files."""
        return f"tensorboard --logdir {folder}"


class EventFiles:
    """A cell in event files; see :class:`runners.trackers.Sink`."""

    def __init__(self, cell: Description, writer: "SummaryWriter") -> None:
        self.cell = cell
        self.writer = writer
        self.last = 0
        tasks = "".join(f"\n{number}. {name}" for number, name in enumerate(cell.config["tasks"], 1))
        writer.add_text("cell", f"{cell.title}\n{tasks}")

    def log(self, evaluation: Evaluation) -> None:
        """Write an evaluation; at a task's end the files are brought up to date."""
        self.last = evaluation.total_step
        for name, value in evaluation.series().items():
            self.writer.add_scalar(name, value, self.last)
        for name, value in evaluation.row().items():
            self.writer.add_scalar(name, value, evaluation.task)
        if evaluation.end:
            self.writer.flush()

    def finish(self, summary: Mapping[str, float]) -> None:
        """Write the final numbers, beside the configuration that they belong to."""
        self.writer.add_hparams(self.cell.flat(), dict(summary), run_name=".", global_step=self.last)

    def close(self, state: State) -> None:
        """Write what is left and close the file."""
        self.writer.close()
