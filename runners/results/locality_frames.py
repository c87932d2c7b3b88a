"""Locality records as tidy pandas frames: one row per seed, time, layer and task; tasks count from 1.

``after_task`` is the task at whose end the networks were looked at, 0 before any training.
"""

import numpy as np
import pandas as pd

from runners.measure.locality import Locality


def overlap_frame(record: Locality, seeds: tuple[int, ...]) -> pd.DataFrame:
    """Return seed, after_task, layer, task, other, overlap: of all pairs before and after training, and of the task that
    was just learned with all others at every task's end."""
    tasks = record.overlap.shape[1]
    frames = []
    for after, values in ((0, record.overlap_before), (tasks, record.overlap_after)):
        s, layer, task, other = np.indices(values.shape).reshape(4, -1)
        frames.append(_frame(record, seeds, s, after, layer, task, other=other + 1, overlap=values.ravel()))
    during = record.overlap[:, :-1]  # the pairs of the last end are among those after training
    s, task, layer, other = np.indices(during.shape).reshape(4, -1)
    frames.append(_frame(record, seeds, s, task + 1, layer, task, other=other + 1, overlap=during.ravel()))
    frame = pd.concat(frames, ignore_index=True)
    return frame[frame["task"] != frame["other"]].sort_values("after_task", kind="stable", ignore_index=True)


def occupancy_frame(record: Locality, seeds: tuple[int, ...]) -> pd.DataFrame:
    """Return seed, after_task, layer, task, off_grid (the share of inputs) and unused (the share of basis functions)."""
    s, after, layer, task = np.indices(record.unused.shape).reshape(4, -1)
    shares = {"off_grid": record.off_grid.ravel(), "unused": record.unused.ravel()}
    return _frame(record, seeds, s, after, layer, task, **shares)


def drift_frame(record: Locality, seeds: tuple[int, ...]) -> pd.DataFrame:
    """Return seed, after_task, layer, task, kind, drift.

    ``idle`` is the share of the layer's change during the task that happened to coefficients without a sample; ``input`` is how
    far the layer's inputs on an old task have moved since its end, in standard deviations.
    """
    s, task, layer = np.indices(record.idle_drift.shape).reshape(3, -1)
    idle = _frame(record, seeds, s, task + 1, layer, task, kind="idle", drift=record.idle_drift.ravel())
    s, after, layer, task = np.indices(record.input_drift.shape).reshape(4, -1)
    moved = _frame(record, seeds, s, after + 1, layer, task, kind="input", drift=record.input_drift.ravel())
    return pd.concat([idle, moved[moved["task"] < moved["after_task"]]], ignore_index=True)


def ledger_frame(record: Locality, seeds: tuple[int, ...]) -> pd.DataFrame:
    """Return seed, after_task, task (an old one), cause, part, by_drift, damage, loss_then, loss_now.

    The parts of all causes, ``interaction`` among them, sum up to the damage, loss_now - loss_then. ``by_drift`` is what the
    cause did by moving hidden inputs; it is a share of the part of ``drift``.
    """
    parts = np.concatenate([record.parts, record.interaction[..., None]], -1)
    by_drift = np.concatenate([record.drift_parts, np.full_like(record.interaction, np.nan)[..., None]], -1)
    s, after, task, cause = np.indices(parts.shape).reshape(4, -1)
    whole = {"damage": record.damage, "loss_then": record.loss_then, "loss_now": record.loss_now}
    frame = pd.DataFrame(
        {
            "seed": np.array(seeds)[s],
            "after_task": after + 1,
            "task": task + 1,
            "cause": np.array([*record.causes, "interaction"])[cause],
            "part": parts.ravel(),
            "by_drift": by_drift.ravel(),
            **{name: values[s, after, task] for name, values in whole.items()},
        }
    )
    return frame[frame["task"] < frame["after_task"]].reset_index(drop=True)


def _frame(
    record: Locality, seeds: tuple[int, ...], s: np.ndarray, after: np.ndarray | int, layer: np.ndarray, task: np.ndarray,
    **values: object,
) -> pd.DataFrame:  # fmt: skip
    columns = {"seed": np.array(seeds)[s], "after_task": after, "layer": np.array(record.layers, dtype=str)[layer]}
    return pd.DataFrame({**columns, "task": task + 1, **values})
