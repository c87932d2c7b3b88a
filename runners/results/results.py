"""Stored results as tidy pandas frames."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from kancl.errors import InputError
from kancl.metrics import INTRANSIGENCE, METRICS, intransigence
from kancl.options import Spec
from kancl.statistics import mean_interval
from runners.avalanche.strategies import remarks_on
from runners.choices.tuned import Tuning, labels_of_all, tunings_of
from runners.config.cell import Cell
from runners.experiment.contents import same_content
from runners.measure.locality import Locality
from runners.measure.merge import merge
from runners.measure.result import Result
from runners.results.locality_frames import drift_frame, ledger_frame, occupancy_frame, overlap_frame
from runners.store.experiment import Store

COSTS = ("parameters", "active", "flops", "step_flops", "step_seconds")
"""What a cell costs per network, as :class:`runners.measure.result.Result` names it."""

LABELS = ["scenario", "architecture", "strategy", "policy"]


@dataclass(frozen=True)
class Entry:
    """A finished cell with its result; ``labels`` tell it from every other cell of its experiment.

    Args:
        cell: the cell; of several that were tuned together, one with the seeds of all.
        result: of all seeds.
        labels: scenario, architecture, strategy and policy.
        tuning: how what was tuned was chosen, if anything was.
        parts: the stored cells that are read as one; the cell alone if there are none.
    """

    cell: Cell
    result: Result
    labels: dict[str, str]
    tuning: Tuning | None = None
    parts: tuple[Cell, ...] = ()

    @property
    def stored(self) -> tuple[Cell, ...]:
        """The cells as they are stored."""
        return self.parts or (self.cell,)

    @property
    def keys(self) -> dict[int, str]:
        """The key of the stored cell of every seed."""
        return {seed: part.key for part in self.stored for seed in part.seeds}

    @property
    def key(self) -> str:
        """The keys of the stored cells, with spaces between them."""
        return " ".join(part.key for part in self.stored)

    @property
    def alive(self) -> np.ndarray:
        """Which seeds never gave a value that is not finite."""
        return self.result.diverged_at < 0

    @property
    def strategy(self) -> str:
        """The strategy's label with the remarks on its result, e.g. ``avalanche:mir (equals naive)``."""
        return " ".join([self.labels["strategy"], *(f"({remark})" for remark in self.result.remarks)])

    def metrics(self) -> dict[str, np.ndarray]:
        """Return every metric of the main score per seed; NaN for diverged seeds, and where the strategy gives it no sense."""
        return dict(self._metrics)

    @cached_property
    def _metrics(self) -> dict[str, np.ndarray]:
        result = self.result
        nothing = np.full(len(result.seeds), np.nan)
        values = {key: result.metric(key) if key in result.metrics else nothing for key in METRICS}
        return {key: np.where(self.alive, v, np.nan) for key, v in values.items()}


@dataclass(frozen=True)
class Results:
    """The finished cells of one experiment, in the order in which they were asked for.

    ``missing`` names the cells that are left out; ``damaged`` says, in a line each, which files cannot be read and why.
    """

    path: Path
    entries: tuple[Entry, ...]
    missing: tuple[str, ...]
    damaged: tuple[str, ...] = ()

    @cached_property
    def retention(self) -> pd.DataFrame:
        """R in rows: scenario, architecture, strategy, policy, seed, after_task, task, task_name, score, value, cell.

        ``after_task`` counts from 0 (before any training), ``task`` from 1.
        """
        blocks = [
            _Block(entry, name, R, {"after_task": np.arange(R.shape[1])})
            for entry in self.entries
            for name, R in entry.result.R.items()
        ]
        return _long(blocks)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """All scores at all evaluations: as ``retention``, with training_task (from 1; 0 before any) and step within it.

        Where seeds took steps of their own, each has its own rows.
        """
        blocks = [
            _Block(entry, name, curve, {"training_task": entry.result.curve_task, "step": entry.result.curve_step})
            for entry in self.entries
            for name, curve in entry.result.curves.items()
        ]
        frame = _long(blocks)
        alike = all(entry.result.curve_task.ndim == 1 for entry in self.entries)
        return frame if alike else frame[frame["step"] >= 0].reset_index(drop=True)

    @cached_property
    def overlap(self) -> pd.DataFrame:
        """Shared mass of pairs of tasks; see :func:`runners.results.locality_frames.overlap_frame`."""
        return self._of_records(overlap_frame)

    @cached_property
    def occupancy(self) -> pd.DataFrame:
        """Shares off the grid and unused; see :func:`runners.results.locality_frames.occupancy_frame`."""
        return self._of_records(occupancy_frame)

    @cached_property
    def drift(self) -> pd.DataFrame:
        """Drift of idle coefficients and of inputs; see :func:`runners.results.locality_frames.drift_frame`."""
        return self._of_records(drift_frame)

    @cached_property
    def ledger(self) -> pd.DataFrame:
        """Where damage came from; see :func:`runners.results.locality_frames.ledger_frame`."""
        return self._of_records(ledger_frame)

    def _of_records(self, frame_of: Callable[[Locality, tuple[int, ...]], pd.DataFrame]) -> pd.DataFrame:
        """Return the frames of the cells that have a locality record, each with its labels."""
        frames = []
        for entry in self.entries:
            if entry.result.locality is not None:
                frame = frame_of(entry.result.locality, entry.result.seeds)
                for place, (label, text) in enumerate(entry.labels.items()):
                    frame.insert(place, label, text)
                frames.append(frame.assign(cell=frame["seed"].map(entry.keys)))
        return _concat(frames)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row per cell and metric: mean, low, high, median, n, diverged, score, formula, cell.

        low and high bound the 95 % interval over seeds (:func:`kancl.statistics.mean_interval`). Beside them stand the costs:
        parameters, active, flops and step_flops (per sample), step_seconds, all per network. Diverged seeds are left out of
        the mean and counted in ``diverged``; ``n`` is the number of seeds that have a value. Metrics that mean nothing under a
        strategy are left out. Intransigence is there where the joint strategy was run beside.
        """
        rows = []
        for entry in self.entries:
            result = entry.result
            costs = {name: getattr(result, name) for name in COSTS}
            fixed = {"score": result.score, **costs, "diverged": int((~entry.alive).sum())}
            values = {key: (v, METRICS[key].formula) for key, v in entry.metrics().items() if key in result.metrics}
            joint = self._joint_beside(entry)
            if joint is not None:
                values["intransigence"] = (_intransigence(entry, joint), INTRANSIGENCE)
            for key, (per_seed, formula) in values.items():
                finite = per_seed[np.isfinite(per_seed)]
                median = float(np.median(finite)) if len(finite) else np.nan
                numbers = {**mean_interval(per_seed)._asdict(), "median": median}
                rows.append({**entry.labels, "metric": key, **numbers, **fixed, "formula": formula, "cell": entry.key})
        return pd.DataFrame(rows)

    @cached_property
    def _joints(self) -> dict[str, list[Entry]]:
        """The runs of the joint strategy, by what they have in common with those of others that they stand beside."""
        found: dict[str, list[Entry]] = {}
        for entry in self.entries:
            if entry.cell.strategy.name == "joint":
                found.setdefault(_but_for_strategy(entry.cell), []).append(entry)
        return found

    def _joint_beside(self, entry: Entry) -> Entry | None:
        """Return the run of the joint strategy that is otherwise like an entry of a sequential one."""
        if not self._joints or "final_score" not in entry.result.metrics or entry.cell.strategy.name == "joint":
            return None
        alike = self._joints.get(_but_for_strategy(entry.cell), [])
        return next((joint for joint in alike if _same_cells(joint, entry)), None)


def _same_cells(one: Entry, other: Entry) -> bool:
    """Tell whether two entries differ in their strategies alone, in each of their stored cells."""
    ours, theirs = ({_but_for_strategy(cell): cell for cell in entry.stored} for entry in (one, other))
    return set(ours) == set(theirs) and all(same_content(ours[key], theirs[key]) for key in ours)


def _but_for_strategy(cell: Cell) -> str:
    """Return what is the same for cells that differ in their strategies alone, whatever files and data hold."""
    return replace(cell, strategy=Spec("any")).asked_key


def load(path: str | Path) -> Results:
    """Load the finished cells of an experiment folder.

    Cells that are missing, unfinished or damaged are left out and named in ``missing``; what is damaged is said in ``damaged``.

    Raises:
        InputError: there is no experiment at ``path``.
    """
    damaged: list[str] = []
    store = Store(Path(path), damaged.append)
    keys = store.keys()
    if not keys:
        also = "".join(f"\n  - {line}" for line in damaged)
        raise InputError(f"{path} holds no kancl experiment; expected a folder written by kancl run --out{also}")
    found: list[tuple[Cell, Result]] = []
    missing = []
    for key in keys:
        stored = store.cell(key).load()
        if stored is None:
            missing.append(key)
        else:
            cell, result = stored
            found.append((cell, _remarked(cell, result)))
    return Results(Path(path), tuple(_labelled(list(_joined(Path(path), found)))), tuple(missing), tuple(damaged))


def _remarked(cell: Cell, result: Result) -> Result:
    """Return a result with what is remarked on all of its strategy's; a result stored before that was a remark lacks it."""
    known = remarks_on(cell.strategy.name) if cell.runner == "avalanche" else ()
    return replace(result, remarks=(*known, *(remark for remark in result.remarks if remark not in known)))


def _joined(path: Path, found: list[tuple[Cell, Result]]) -> Iterator[Entry]:
    """Yield the cells, those that one tuning made as one."""
    for tuning, places in tunings_of(path, [cell for cell, _ in found]):
        cells, results = [found[place][0] for place in places], [found[place][1] for place in places]
        plain = [{**cell.labels, "policy": cell.policy.label} for cell in cells]
        seeds = sorted(seed for cell in cells for seed in cell.seeds)
        if tuning is None or len(cells) == 1 or len(set(seeds)) < len(seeds):
            yield from (Entry(*own, label, tuning) for own, label in zip(zip(cells, results, strict=True), plain, strict=True))
            continue
        whole = replace(cells[0], seeds=tuple(seeds))
        yield Entry(whole, merge(results, seeds), labels_of_all(plain), tuning, tuple(cells))


def _labelled(entries: list[Entry]) -> Iterator[Entry]:
    """Yield the entries; where two would be named alike, the names have what else may tell them apart."""
    alike = Counter(tuple(entry.labels.values()) for entry in entries)
    for entry in entries:
        label, cell = entry.labels, entry.cell
        if alike[tuple(label.values())] > 1:
            seeds = ",".join(map(str, cell.seeds))
            label = {**label, "policy": f"{label['policy']} {cell.dtype} seeds={seeds} #{entry.key[-4:]}"}
        yield replace(entry, labels=label)


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


def _concat(frames: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
