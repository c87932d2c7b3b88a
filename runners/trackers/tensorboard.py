"""TensorBoard: one folder of event files per cell."""

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from runners.trackers.events import Evaluation
from runners.trackers.registry import imported, trackers
from runners.trackers.tracker import Description, State


@trackers.register("tensorboard")
class TensorBoard:
    """An event file in ``<folder>/<cell>/``; the configuration and the final numbers are in the HPARAMS tab.

    A cell that is told again gets one more file, which replaces the earlier ones when they are read.
    """

    def __init__(self) -> None:
        imported("tensorboard", "tensorboard")
        imported("torch.utils.tensorboard", "tensorboard")

    def begin(self, cell: Description, folder: Path) -> "EventFile":
        """Open an event file; see :meth:`runners.trackers.Tracker.begin`."""
        place = folder / cell.key
        place.mkdir(exist_ok=True)
        again = any(place.glob("events.out.tfevents.*"))
        file = EventFile(cell, place / f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.{os.getpid()}")
        try:
            file.start(again)
        except BaseException:
            with suppress(OSError):  # the disk that was full is full still
                file.close("failed")
            raise
        return file

    def hint(self, folder: Path) -> str:
        """Return the command that shows the files."""
        return f"tensorboard --logdir {folder}"


class EventFile:
    """A cell in an event file; see :class:`runners.trackers.Sink`.

    It is written in place. torch's SummaryWriter hands events to a thread, which prints a traceback of its own if the disk
    is full and tells of it only later; it also takes one event for every number.
    """

    def __init__(self, cell: Description, path: Path) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        self.cell = cell
        self.event = Event
        self.last = 0
        self.file = path.open("wb")
        self.records = RecordWriter(self.file)

    def start(self, again: bool) -> None:
        """Write what the file begins with; ``again`` makes readers forget what they read in earlier files of the cell.

        Those stay: a TensorBoard that is open reads no further in a folder where a file has gone.
        """
        from tensorboard.compat.proto.event_pb2 import SessionLog
        from torch.utils.tensorboard.summary import text

        self._write(file_version="brain.Event:2")
        if again:
            self._write(session_log=SessionLog(status=SessionLog.START))
        else:  # readers keep texts
            tasks = "".join(f"\n{number}. {name}" for number, name in enumerate(self.cell.config["tasks"], 1))
            self._write(summary=text("cell", f"{self.cell.title}\n{tasks}"))
        self.file.flush()

    def log(self, evaluation: Evaluation) -> None:
        """Write an evaluation; at a task's end the file is brought up to date."""
        self.last = evaluation.total_step
        self._scalars(evaluation.series(), self.last)
        if evaluation.end:
            self._scalars(evaluation.row(), evaluation.task)
            self.file.flush()

    def finish(self, summary: Mapping[str, float]) -> None:
        """Write the final numbers, beside the configuration that they belong to."""
        from torch.utils.tensorboard.summary import hparams

        for part in hparams(self.cell.flat(), dict(summary)):
            self._write(summary=part)
        self._scalars(summary, self.last)

    def close(self, state: State) -> None:
        """Write what is left and close the file."""
        self.file.close()

    def _scalars(self, values: Mapping[str, float], step: int) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._write(step, summary=Summary(value=[Summary.Value(tag=name, simple_value=v) for name, v in values.items()]))

    def _write(self, step: int = 0, **what: Any) -> None:
        self.records.write(self.event(wall_time=time.time(), step=step, **what).SerializeToString())
