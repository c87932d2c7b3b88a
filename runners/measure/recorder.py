"""The locality recorder: looks at a stack of networks at the ends of tasks and writes down the locality record.

It works on copies, so a watched run has the same numbers as any other to the bit. Losses of old tasks are those of the outputs
on test samples, also where an operator of the network was trained: what is to be kept is the function, however it was learned.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kancl.locality import (
    Ledger,
    Phase,
    Probe,
    State,
    coefficients_of,
    idle_drift,
    input_drift,
    key_of,
    ledger,
    mass,
    off_grid,
    overlap,
    same,
    touched,
    unused,
)
from kancl.models import Network
from kancl.parts import in_parts
from runners.measure.locality import Locality
from runners.stream.samples import Samples
from runners.stream.stream import Stream

SAMPLES = 512
"""Test samples per task that are looked at, evenly spaced: bounds time and memory."""

Row = dict[str, Tensor]


class LocalityRecorder:
    """One per run of a cell; the order of calls is start, then begin_task and end_task for every task.

    Args:
        stream: the cell's tasks.
        saved: what :meth:`state_dict` gave in an earlier run of the cell.
    """

    def __init__(self, stream: Stream, saved: dict[str, Any] | None = None) -> None:
        self.stream = stream
        self.test = [_thinned(samples) for samples in stream.test]
        self.layers: list[str] = []
        self.rows: list[Row] = []
        self.history: dict[int, Phase] = {}
        self.before: State = {}
        self.touched: dict[str, Tensor] = {}
        if saved is not None:
            self.layers, self.rows = list(saved["layers"]), [dict(row) for row in saved["rows"]]
            move = partial(_moved, device=stream.device)
            self.history = {
                number: Phase(*(move(kept[part]) for part in ("end", "moved", "touched")))
                for number, kept in saved["history"].items()
            }

    def state_dict(self) -> dict[str, Any]:
        """Return what the rest of a run depends on, at the end of a task."""
        history = {number: vars(phase) for number, phase in self.history.items()}
        return {"layers": self.layers, "rows": self.rows, "history": history}

    def start(self, network: Network) -> None:
        """Look at the networks before any training."""
        probe = Probe(network)
        seen = probe.run(self.test[0].x).inputs
        self.layers = [name for name in probe.layers if name in seen and all(map(self._is_batch, seen[name]))]
        masses, row = self._use(probe)
        self.rows = [row | {"overlap_before": self._all_overlaps(masses)}]

    def begin_task(self, network: Network, samples: Samples, alone: bool = False) -> None:
        """Look at the networks before the first step on a task, after they were told of it.

        Args:
            alone: there is no past to damage: the networks begin anew, or learn all tasks at once.
        """
        probe = Probe(network)
        if alone:
            self.history = {}
        self.before, self.touched = probe.state(), self._touched(probe, samples)

    def end_task(self, network: Network, samples: Samples, number: int) -> None:
        """Look at the networks at the end of task ``number``, from 0."""
        probe, tasks = Probe(network), len(self.test)
        reached = self._touched(probe, samples)
        reached = {name: mask | self.touched[name] for name, mask in reached.items()}
        last = self.history.get(number - 1)
        moved = {} if last is None else {k: v for k, v in self.before.items() if not same(v, last.end[k])}
        end = probe.state()
        masses, row = self._use(probe)
        row["idle_drift"] = self._idle_drift(probe, end, reached)
        of_task = [[overlap(own[number], own[other]) for other in range(tasks)] for own in masses]
        row["overlap"] = self._table(of_task)
        self.history[number] = Phase(end, moved, reached)
        row |= self._damage(probe, number)
        if number == tasks - 1:
            row["overlap_after"] = self._all_overlaps(masses)
        self.rows.append({name: values.cpu() for name, values in row.items()})

    def record(self) -> Locality:
        """Return the record of a finished run."""

        def gathered(name: str) -> np.ndarray:
            return torch.stack([row[name] for row in self.rows if name in row], 1).numpy()

        def by_cause(kind: str) -> np.ndarray:
            nothing = torch.full_like(self.rows[-1]["loss_now"], torch.nan)
            columns = [torch.stack([row.get(f"{kind}/{cause}", nothing) for row in self.rows[1:]], 1) for cause in causes]
            return torch.stack(columns, -1).numpy() if columns else np.empty((*gathered("loss_now").shape, 0), np.float32)

        causes = list(dict.fromkeys(name[5:] for row in self.rows for name in row if name.startswith("part/")))
        names = ("overlap", "off_grid", "unused", "idle_drift", "input_drift", "loss_then", "loss_now")
        return Locality(
            layers=tuple(self.layers),
            causes=tuple(causes),
            overlap_before=self.rows[0]["overlap_before"].numpy(),
            overlap_after=self.rows[-1]["overlap_after"].numpy(),
            parts=by_cause("part"),
            drift_parts=by_cause("drift"),
            **{name: gathered(name) for name in names},
        )

    def _is_batch(self, x: Tensor) -> bool:
        """Tell whether a layer was given one number or more per seed and sample; others are not understood."""
        return x.ndim >= 3 and x.shape[:2] == self.test[0].x.shape[:2] and x.is_floating_point()

    def _use(self, probe: Probe) -> tuple[list[list[Tensor]], Row]:
        """Return the masses by layer and task, and what they say of occupancy."""
        masses: list[list[Tensor]] = [[] for _ in self.layers]
        outside: list[list[Tensor]] = [[] for _ in self.layers]
        for samples in self.test:
            seen = probe.run(samples.x).inputs
            for place, name in enumerate(self.layers):
                layer = probe.layers[name]
                masses[place].append(mass(layer, seen[name]))
                share = off_grid(layer, seen[name])
                outside[place].append(self._nan() if share is None else share)
        never = [[unused(own) for own in tasks] for tasks in masses]
        return masses, {"off_grid": self._table(outside), "unused": self._table(never)}

    def _all_overlaps(self, masses: list[list[Tensor]]) -> Tensor:
        """Return (S, L, T, T)."""
        tables = [self._table([[overlap(p, q) for q in own] for p in own]) for own in masses]
        empty = self._nan().new_empty(len(self.stream.seeds), 0, len(self.test), len(self.test))
        return torch.stack(tables, 1) if tables else empty.cpu()

    def _touched(self, probe: Probe, samples: Samples) -> dict[str, Tensor]:
        """Return by layer which coefficients the training samples touch, (S, J, C)."""
        found: dict[str, Tensor] = {}
        for part in in_parts(samples.x):
            seen = probe.run(part).inputs
            for name in self.layers:
                if coefficients_of(probe.layers[name]) is not None:
                    mask = touched(probe.layers[name], seen[name])
                    found[name] = mask | found[name] if name in found else mask
        return found

    def _idle_drift(self, probe: Probe, end: State, reached: dict[str, Tensor]) -> Tensor:
        columns = []
        for name in self.layers:
            key = key_of(name, coefficients_of(probe.layers[name]) or "")
            known = name in reached and self.before[key].shape == end[key].shape
            columns.append(idle_drift(end[key] - self.before[key], reached[name]) if known else self._nan())
        return torch.stack(columns, 1) if columns else self._nan()[:, None][:, :0]

    def _damage(self, probe: Probe, number: int) -> Row:
        """Return the ledger and the drift of the hidden inputs for every old task of the same networks."""
        nothing = self._nan()
        drift = [[nothing] * len(self.test) for _ in self.layers]
        ledgers: dict[int, Ledger] = {}
        for old in sorted(self.history):
            if old == number:
                continue
            samples = self.test[old]
            phases = [phase for task, phase in sorted(self.history.items()) if task >= old]
            ledgers[old] = ledger(probe, phases, samples.x, self._loss(samples))
            then, now = probe.run(samples.x, phases[0].end).inputs, probe.run(samples.x).inputs
            for place, name in enumerate(self.layers):
                drift[place][old] = input_drift(then[name], now[name])

        def column(value: Callable[[Ledger], Tensor]) -> Tensor:
            values = [value(ledgers[task]) if task in ledgers else nothing for task in range(len(self.test))]
            return torch.stack(values, 1)

        causes = next(iter(ledgers.values())).parts if ledgers else {}
        row: Row = {}
        for cause in causes:
            row[f"part/{cause}"] = column(lambda one, cause=cause: one.parts[cause])  # type: ignore[misc]
            row[f"drift/{cause}"] = column(lambda one, cause=cause: one.drift_parts.get(cause, nothing))  # type: ignore[misc]
        row |= {"loss_then": column(lambda one: one.before), "loss_now": column(lambda one: one.after)}
        return row | {"input_drift": self._table(drift)}

    def _loss(self, samples: Samples) -> Callable[[Tensor], Tensor]:
        mask = self.stream.mask(samples.task)

        def loss(outputs: Tensor) -> Tensor:
            return self.stream.objective.loss(outputs, samples.y, None if mask is None else mask.expand_as(outputs))

        return loss

    def _nan(self) -> Tensor:
        return self.test[0].x.new_full((len(self.stream.seeds),), torch.nan)

    def _table(self, layers: Sequence[Sequence[Tensor]]) -> Tensor:
        """Stack values (S,) by layer and task: (S, L, T), which is empty for networks without a layer that is understood."""
        rows = [torch.stack(list(row), 1) for row in layers]
        empty = self._nan().new_empty(len(self.stream.seeds), 0, len(self.test))
        return (torch.stack(rows, 1) if rows else empty).cpu()


def _thinned(samples: Samples) -> Samples:
    every = -(-samples.x.shape[1] // SAMPLES)
    return Samples(samples.x[:, ::every], samples.y[:, ::every], samples.task[::every])


def _moved(tensors: State, device: torch.device) -> State:
    return {name: tensor.to(device) for name, tensor in tensors.items()}
