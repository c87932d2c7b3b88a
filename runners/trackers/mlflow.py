"""MLflow: one run per cell, in a database file unless the user's environment names a server."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from runners.trackers.events import Evaluation
from runners.trackers.registry import imported, trackers
from runners.trackers.tracker import Description, State

if TYPE_CHECKING:
    from mlflow import MlflowClient

BATCH = 1000
"""Metrics that MLflow takes in one request."""

PARAMS, LENGTH = 100, 6000
"""Parameters in one request, and letters of a value."""

MARK = "training/task"
"""The metric that is sent last of an evaluation: a run that has it has the whole evaluation."""

FINAL = "final/diverged"
"""One of the final numbers, which are all sent at once."""

TAG = "kancl_id"
"""The tag by which a cell's run is found again."""

STATES: Mapping[State, str] = {"done": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}


@trackers.register("mlflow")
class MLflow:
    """Runs of an experiment named after the results' folder (or MLFLOW_EXPERIMENT_NAME).

    They are kept in ``<folder>/mlflow.db``, or where MLFLOW_TRACKING_URI says. A cell that is told again goes on in its run,
    and what that has is skipped.
    """

    def __init__(self) -> None:
        imported("mlflow", "mlflow")
        if not os.environ.get("MLFLOW_TRACKING_URI"):
            imported("sqlalchemy", "mlflow")  # mlflow-skinny goes without: it has no database of its own

    def begin(self, cell: Description, folder: Path) -> "OneRun":
        """Open a run; see :meth:`runners.trackers.Tracker.begin`."""
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=_place(folder))
        experiment = _experiment(client, cell, folder)
        run_id = _found(client, experiment, cell.id)
        if run_id is None:
            run_id = client.create_run(experiment, tags={TAG: cell.id, "kancl_cell": cell.key}, run_name=cell.title).info.run_id
        _describe(client, run_id, cell)
        return OneRun(client, run_id)

    def hint(self, folder: Path) -> str:
        """Return the command that shows the runs."""
        return f"mlflow ui --backend-store-uri {_place(folder)}"


class OneRun:
    """A cell as a run; see :class:`runners.trackers.Sink`."""

    def __init__(self, client: "MlflowClient", run_id: str) -> None:
        self.client = client
        self.run_id = run_id
        steps = [metric.step for metric in client.get_metric_history(run_id, MARK)]
        self.last = max(steps, default=-1)  # that the run has
        self.finished = FINAL in client.get_run(run_id).data.metrics

    def log(self, evaluation: Evaluation) -> None:
        """Send an evaluation, with the row of R at a task's end."""
        if evaluation.total_step <= self.last:
            return
        series = evaluation.series()
        mark = series.pop(MARK)
        points = [(name, value, evaluation.task) for name, value in evaluation.row().items()]
        points += [(name, value, evaluation.total_step) for name, value in series.items()]
        self._send([*points, (MARK, mark, evaluation.total_step)])

    def finish(self, summary: Mapping[str, float]) -> None:
        """Send the final numbers, once."""
        if not self.finished:
            self._send([(name, value, 0) for name, value in summary.items()])

    def close(self, state: State) -> None:
        """End the run."""
        self.client.set_terminated(self.run_id, STATES[state])

    def _send(self, points: list[tuple[str, float, int]]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, step) for name, value, step in points]
        for start in range(0, len(metrics), BATCH):
            self.client.log_batch(self.run_id, metrics=metrics[start : start + BATCH])


def _place(folder: Path) -> str:
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{folder.resolve() / 'mlflow.db'}"


def _found(client: "MlflowClient", experiment: str, own_id: str) -> str | None:
    """Open the run of this id again, if there is one that was not deleted."""
    runs = client.search_runs([experiment], filter_string=f"tags.{TAG} = '{own_id}'", max_results=1)
    if not runs:
        return None
    client.update_run(runs[0].info.run_id, status="RUNNING")
    return runs[0].info.run_id


def _experiment(client: "MlflowClient", cell: Description, folder: Path) -> str:
    """Return the id of the experiment, made if it is not there."""
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or cell.experiment
    found = client.get_experiment_by_name(name)
    if found is not None:
        return found.experiment_id
    own = not os.environ.get("MLFLOW_TRACKING_URI")
    artifacts = (folder.resolve() / "artifacts").as_uri() if own else None  # else the server's, or below the working folder
    return client.create_experiment(name, artifact_location=artifacts)


def _describe(client: "MlflowClient", run_id: str, cell: Description) -> None:
    from mlflow.entities import Param

    params = [Param(name, str(value)[:LENGTH]) for name, value in cell.flat().items()]
    for start in range(0, len(params), PARAMS):
        client.log_batch(run_id, params=params[start : start + PARAMS])
