"""Entries as tidy pandas frames: scores in rows, records of locality in rows, and a summary with a row per metric."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from kancl.metrics import INTRANSIGENCE, METRICS, intransigence
from kancl.options import Spec
from kancl.statistics import mean_interval
from runners.config.cell import Cell
from runners.measure.locality import Locality
from runners.results.entry import COSTS, Entry, grouped
from runners.store.contents import same_content


def retention_frame(entries: Iterable[Entry]) -> pd.DataFrame:
    """Return R in rows; see :attr:`runners.results.results.Results.retention`."""
    return _long(
        [
            _Block(entry, name, R, {"after_task": np.arange(R.shape[1])})
            for entry in entries
            for name, R in entry.result.R.items()
        ]
    )


def curves_frame(entries: Iterable[Entry]) -> pd.DataFrame:
    """Return all scores at all evaluations in rows; see :attr:`runners.results.results.Results.curves`."""
    kept = list(entries)
    frame = _long(
        [
            _Block(entry, name, curve, {"training_task": entry.result.curve_task, "step": entry.result.curve_step})
            for entry in kept
            for name, curve in entry.result.curves.items()
        ]
    )
    alike = all(entry.result.curve_task.ndim == 1 for entry in kept)
    return frame if alike else frame[frame["step"] >= 0].reset_index(drop=True)


def records_frame(
    entries: Iterable[Entry], frame_of: Callable[[Locality, tuple[int, ...]], pd.DataFrame]
) -> pd.DataFrame:  # fmt: skip
    """Return a frame of :mod:`runners.results.locality_frames` for all cells with a locality record, each with its labels."""
    frames = []
    for entry in entries:
        if entry.result.locality is not None:
            frame = frame_of(entry.result.locality, entry.result.seeds)
            for place, (label, text) in enumerate(entry.labels.items()):
                frame.insert(place, label, text)
            frames.append(frame.assign(cell=frame["seed"].map(entry.keys)))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def summary_frame(entries: Sequence[Entry]) -> pd.DataFrame:
    """Return a row per cell and metric; see :attr:`runners.results.results.Results.summary`."""
    joints = grouped((e for e in entries if e.cell.strategy.name == "joint"), lambda entry: _but_for_strategy(entry.cell))
    rows = []
    for entry in entries:
        result = entry.result
        costs = {name: getattr(result, name) for name in COSTS}
        fixed = {"score": result.score, **costs, "diverged": int((~entry.alive).sum())}
        values = {key: (v, METRICS[key].formula) for key, v in entry.metrics().items() if key in result.metrics}
        joint = _joint_beside(entry, joints)
        if joint is not None:
            values["intransigence"] = (_intransigence(entry, joint), INTRANSIGENCE)
        for key, (per_seed, formula) in values.items():
            finite = per_seed[np.isfinite(per_seed)]
            median = float(np.median(finite)) if len(finite) else np.nan
            numbers = {**mean_interval(per_seed)._asdict(), "median": median}
            rows.append({**entry.labels, "metric": key, **numbers, **fixed, "formula": formula, "cell": entry.key})
    return pd.DataFrame(rows)


def _joint_beside(entry: Entry, joints: dict[str, list[Entry]]) -> Entry | None:
    """Return the run of the joint strategy that is otherwise like an entry of a sequential one.

    Args:
        joints: those runs, by what they have in common with the runs of others that they stand beside.
    """
    if not joints or "final_score" not in entry.result.metrics or entry.cell.strategy.name == "joint":
        return None
    alike = joints.get(_but_for_strategy(entry.cell), [])
    return next((joint for joint in alike if _same_cells(joint, entry)), None)


def _same_cells(one: Entry, other: Entry) -> bool:
    """Tell whether two entries differ in their strategies alone, in each of their stored cells."""
    ours, theirs = ({_but_for_strategy(cell): cell for cell in entry.stored} for entry in (one, other))
    return set(ours) == set(theirs) and all(same_content(ours[key], theirs[key]) for key in ours)


def _but_for_strategy(cell: Cell) -> str:
    """Return what is the same for cells that differ in their strategies alone, whatever files and data hold."""
    return replace(cell, strategy=Spec("any")).asked_key


def _intransigence(entry: Entry, joint: Entry) -> np.ndarray:
    name = entry.result.score
    values = intransigence(entry.result.R[name], joint.result.R[name][:, -1], entry.result.higher_is_better[name])
    return np.where(entry.alive & joint.alive, values, np.nan)


@dataclass(frozen=True)
class _Block:
    """One score of one cell, (S, rows, T), and what numbers its rows, by column."""

    entry: Entry
    score: str
    values: Float[np.ndarray, "S R T"]
    rows: dict[str, Int[np.ndarray, "R"] | Int[np.ndarray, "S R"]]


def _long(blocks: list[_Block]) -> pd.DataFrame:
    """Return a row for each number of the blocks; every column is made in one go."""
    if not blocks:
        return pd.DataFrame()
    first, sizes = blocks[0], [block.values.size for block in blocks]

    def texts(own: list[str]) -> np.ndarray:
        return np.repeat(np.array(own, dtype=object), sizes)

    def spread(own: list[np.ndarray]) -> np.ndarray:
        pairs = zip(own, blocks, strict=True)
        return np.concatenate([np.broadcast_to(values, block.values.shape).ravel() for values, block in pairs])

    columns = {label: texts([block.entry.labels[label] for block in blocks]) for label in first.entry.labels}
    columns["seed"] = spread([np.array(block.entry.result.seeds)[:, None, None] for block in blocks])
    columns |= {name: spread([block.rows[name][..., None] for block in blocks]) for name in first.rows}
    columns["task"] = spread([np.arange(1, block.values.shape[2] + 1) for block in blocks])
    columns["task_name"] = spread([np.array(block.entry.result.tasks, dtype=object) for block in blocks])
    columns["score"] = texts([block.score for block in blocks])
    columns["value"] = np.concatenate([block.values.ravel() for block in blocks])
    cells = [list(map(block.entry.keys.get, block.entry.result.seeds)) for block in blocks]
    columns["cell"] = spread([np.array(keys, dtype=object)[:, None, None] for keys in cells])
    return pd.DataFrame(columns)
