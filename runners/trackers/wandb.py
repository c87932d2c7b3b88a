"""Weights & Biases: one run per cell, offline unless the user's environment says otherwise."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from runners.trackers.events import Evaluation
from runners.trackers.registry import imported, trackers
from runners.trackers.tracker import Description, State

if TYPE_CHECKING:
    from wandb import Run


@trackers.register("wandb")
class WeightsAndBiases:
    """Runs of the project ``kancl``, grouped by experiment.

    The environment is respected: WANDB_MODE (offline if unset), WANDB_PROJECT, WANDB_ENTITY, WANDB_DIR and the others.
    A cell that is told again replaces its offline run under the same id; online the run is resumed, and what the server has is
    skipped.
    """

    def __init__(self) -> None:
        imported("wandb", "wandb")

    def begin(self, cell: Description, folder: Path) -> "OneRun":
        """Open a run; see :meth:`runners.trackers.Tracker.begin`."""
        import wandb

        environment = os.environ
        place, offline = _place(folder), _is_offline()
        if offline:
            for old in place.glob(f"*wandb/offline-run-*-{cell.id}"):
                shutil.rmtree(old)
        run = wandb.init(
            project=environment.get("WANDB_PROJECT") or "kancl",
            group=environment.get("WANDB_RUN_GROUP") or cell.experiment,
            name=cell.title,
            id=cell.id,
            resume=None if offline else "allow",
            config=dict(cell.config),
            dir=place,
            mode=None if environment.get("WANDB_MODE") else "offline",
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off"),
        )
        return OneRun(run)

    def hint(self, folder: Path) -> str:
        """Return how offline runs are sent, or where the files of others are."""
        runs = f"{_place(folder)}/wandb"
        return f"wandb sync {runs}/offline-run-*" if _is_offline() else f"W&B, files in {runs}"


class OneRun:
    """A cell as a run; see :class:`runners.trackers.Sink`."""

    def __init__(self, run: "Run") -> None:
        self.run = run
        self.first = run.step  # of a resumed run the step after its last
        run.define_metric("R_*", step_metric="training/task")

    def log(self, evaluation: Evaluation) -> None:
        """Log an evaluation, with the row of R at a task's end."""
        if evaluation.total_step >= self.first:
            self.run.log({**evaluation.series(), **evaluation.row()}, step=evaluation.total_step, commit=True)

    def finish(self, summary: Mapping[str, float]) -> None:
        """Put the final numbers into the run's summary."""
        self.run.summary.update(dict(summary))

    def close(self, state: State) -> None:
        """Finish the run; it counts as failed unless all is done."""
        self.run.finish(exit_code=0 if state == "done" else 1)


def _is_offline() -> bool:
    return os.environ.get("WANDB_MODE", "") in ("", "offline", "dryrun")


def _place(folder: Path) -> Path:
    return Path(os.environ.get("WANDB_DIR") or folder)
