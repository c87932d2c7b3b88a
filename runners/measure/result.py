"""What a run leaves behind: numbers per seed, from which every metric is derived."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from kancl.metrics import METRICS, Measured
from runners.measure.locality import Locality


@dataclass(eq=False)
class Result:
    """The outcome of one cell.

    Args:
        seeds, tasks: the seeds and the names of the tasks, the axes of what follows.
        setting: the scenario's incremental setting.
        metrics: the names of the metrics that mean something under the strategy.
        higher_is_better: direction by score name; the first score is the main one.
        R: the retention matrix by score name, R[s, i, j] after training task i, row 0 before any training.
        null: by score name, what each task's best constant predictor reaches.
        curves: by score name, the scores of all tasks at every evaluation; at the ends of tasks they are the rows of R,
            elsewhere they may be those of some of the test samples (a remark says so).
        curve_task, curve_step: the task in training (from 1, 0 before any) and the steps taken in it, at every evaluation:
            (E,) where all seeds have the same, else (S, E), with -1 after a seed's last one
            (:func:`runners.measure.merge.merge`).
        diverged_at: the first evaluation at which a seed's network gave a value that is not finite, or -1.
        functions: for one-dimensional scenarios the outputs at ``plot_x`` after every task.
        parameters: trained numbers per network.
        active, flops, step_flops: trained numbers that bear on one sample, and operations per network and sample of a forward
            pass and of a training step (see :mod:`kancl.models.cost`); None in results of older versions.
        step_seconds: measured time of a training step of the second phase per network (:mod:`runners.training.step_time`; by
            the avalanche runner: of all phases but the first); NaN if it was not measured.
        seconds, steps: wall time in training and evaluation, and optimiser steps, for the whole stack.
        evaluation_seconds: the part of it that evaluations took; NaN in results of older versions.
        locality: the locality record, if the cell asked for one.
        input_offset: what was subtracted from the inputs of each seed before they were converted to the cell's number format
            (:mod:`scenarios.checks.precision`); None where nothing was. ``plot_x`` has it in.
        remarks: what a reader has to know of these numbers, for example that a strategy equals naive.
    """

    seeds: tuple[int, ...]
    tasks: tuple[str, ...]
    setting: str
    metrics: tuple[str, ...]
    higher_is_better: dict[str, bool]
    R: dict[str, Float[np.ndarray, "S T1 T"]]
    null: dict[str, Float[np.ndarray, "S T"]]
    curves: dict[str, Float[np.ndarray, "S E T"]]
    curve_task: Int[np.ndarray, "*S E"]
    curve_step: Int[np.ndarray, "*S E"]
    diverged_at: Int[np.ndarray, "S"]
    parameters: int
    seconds: float
    steps: int
    active: int | None = None
    flops: float | None = None
    step_flops: float | None = None
    step_seconds: float = math.nan
    functions: Float[np.ndarray, "S T1 P O"] | None = None
    plot_x: Float[np.ndarray, "P 1"] | None = None
    plot_target: Float[np.ndarray, "P O"] | None = None
    locality: Locality | None = None
    remarks: tuple[str, ...] = ()
    input_offset: Float[np.ndarray, "S I"] | None = None
    evaluation_seconds: float = math.nan

    @property
    def score(self) -> str:
        """The name of the main score."""
        return next(iter(self.higher_is_better))

    def measured(self) -> Iterator[tuple[list[int], Measured]]:
        """Yield the main score of the seeds that were evaluated at the same steps, with their places among the seeds."""
        name, places = self.score, list(range(len(self.seeds)))
        alike: dict[bytes, list[int]] = {b"": places}
        if self.curve_task.ndim == 2:
            alike = {}
            for s in places:
                alike.setdefault(self.curve_task[s].tobytes() + self.curve_step[s].tobytes(), []).append(s)
        for rows in alike.values():
            task = self.curve_task if self.curve_task.ndim == 1 else self.curve_task[rows[0]]
            count = int((task >= 0).sum())
            curves = self.curves[name][rows][:, :count]
            yield rows, Measured(self.R[name][rows], self.null[name][rows], curves, task[:count], self.higher_is_better[name])

    @property
    def alive(self) -> Bool[np.ndarray, "S"]:
        """Which seeds never gave a value that is not finite."""
        return self.diverged_at < 0

    def metric(self, name: str) -> Float[np.ndarray, "S"]:
        """Return a metric of the main score, per seed."""
        values = np.empty(len(self.seeds))
        for rows, measured in self.measured():
            values[rows] = METRICS[name].compute(measured)
        return values

    def per_seed(self) -> dict[str, Float[np.ndarray, "S"]]:
        """Return every metric of the main score per seed; NaN for diverged seeds, and where the strategy gives it no sense."""
        nothing = np.full(len(self.seeds), np.nan)
        return {
            name: np.where(self.alive, self.metric(name), np.nan) if name in self.metrics else nothing.copy()
            for name in METRICS
        }

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return everything as arrays that need no pickle."""
        arrays: dict[str, np.ndarray] = {
            "seeds": np.array(self.seeds, dtype=np.int64),
            "tasks": np.array(self.tasks, dtype=str),
            "setting": np.array(self.setting),
            "metrics": np.array(self.metrics, dtype=str),
            "scores": np.array(list(self.higher_is_better), dtype=str),
            "higher_is_better": np.array(list(self.higher_is_better.values()), dtype=bool),
            "curve_task": self.curve_task,
            "curve_step": self.curve_step,
            "diverged_at": self.diverged_at,
            "parameters": np.array(self.parameters),
            "seconds": np.array(self.seconds),
            "steps": np.array(self.steps),
            "step_seconds": np.array(self.step_seconds),
            "evaluation_seconds": np.array(self.evaluation_seconds),
        }
        costs = {"active": self.active, "flops": self.flops, "step_flops": self.step_flops}
        arrays |= {name: np.array(value) for name, value in costs.items() if value is not None}
        for name in self.higher_is_better:
            arrays |= {f"R/{name}": self.R[name], f"null/{name}": self.null[name], f"curves/{name}": self.curves[name]}
        if self.remarks:
            arrays["remarks"] = np.array(self.remarks, dtype=str)
        if self.input_offset is not None:
            arrays["input_offset"] = self.input_offset
        if self.functions is not None and self.plot_x is not None and self.plot_target is not None:
            arrays |= {"functions": self.functions, "plot_x": self.plot_x, "plot_target": self.plot_target}
        return arrays if self.locality is None else arrays | self.locality.to_arrays()

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "Result":
        """Read what :meth:`to_arrays` made."""
        scores = [str(name) for name in arrays["scores"]]
        return cls(
            seeds=tuple(int(seed) for seed in arrays["seeds"]),
            tasks=tuple(str(name) for name in arrays["tasks"]),
            setting=str(arrays["setting"]),
            metrics=tuple(str(name) for name in arrays["metrics"]),
            higher_is_better=dict(zip(scores, map(bool, arrays["higher_is_better"]), strict=True)),
            R={name: arrays[f"R/{name}"] for name in scores},
            null={name: arrays[f"null/{name}"] for name in scores},
            curves={name: arrays[f"curves/{name}"] for name in scores},
            curve_task=arrays["curve_task"],
            curve_step=arrays["curve_step"],
            diverged_at=arrays["diverged_at"],
            parameters=int(arrays["parameters"]),
            seconds=float(arrays["seconds"]),
            steps=int(arrays["steps"]),
            active=int(arrays["active"]) if "active" in arrays else None,
            flops=float(arrays["flops"]) if "flops" in arrays else None,
            step_flops=float(arrays["step_flops"]) if "step_flops" in arrays else None,
            step_seconds=float(arrays.get("step_seconds", np.nan)),
            evaluation_seconds=float(arrays.get("evaluation_seconds", np.nan)),
            functions=arrays.get("functions"),
            plot_x=arrays.get("plot_x"),
            plot_target=arrays.get("plot_target"),
            locality=Locality.from_arrays(arrays),
            input_offset=arrays.get("input_offset"),
            remarks=tuple(str(remark) for remark in arrays.get("remarks", ())),
        )
