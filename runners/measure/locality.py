"""The locality record of a cell: what :mod:`kancl.locality` measured at the task ends, as arrays."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Float

PREFIX = "locality/"


@dataclass(eq=False)
class Locality:
    """How local the learning was. L layers, in the order in which samples reach them; i and j count tasks from 0.

    Args:
        layers: their names; "" is the network itself.
        causes: of damage, the last axis of ``parts``.
        overlap_before, overlap_after: of tasks i and j in each layer, before any training and at the end.
        overlap: of the tasks i, just learned, and j at the end of i; [s, i, l, j].
        off_grid, unused: the shares of inputs off the grid (NaN for layers without one) and of basis functions without a
            sample; [s, r, l, j] after r tasks.
        idle_drift: the share of a layer's change during task i that happened to coefficients which no sample of i touched;
            NaN for layers without coefficients. In hidden layers samples are taken as they were at both ends of the task.
        input_drift: of the layer's inputs on old task j from its end to the end of i, in standard deviations; [s, i, l, j].
        loss_then, loss_now: on old task j, at its end and at the end of i; [s, i, j], NaN but for j < i.
        parts: what each cause added to the loss; loss_now - loss_then - their sum is interaction.
        drift_parts: the part of ``drift`` that each cause brought about; NaN for drift itself.
    """

    layers: tuple[str, ...]
    causes: tuple[str, ...]
    overlap_before: Float[np.ndarray, "S L T T"]
    overlap_after: Float[np.ndarray, "S L T T"]
    overlap: Float[np.ndarray, "S T L T"]
    off_grid: Float[np.ndarray, "S T1 L T"]
    unused: Float[np.ndarray, "S T1 L T"]
    idle_drift: Float[np.ndarray, "S T L"]
    input_drift: Float[np.ndarray, "S T L T"]
    loss_then: Float[np.ndarray, "S T T"]
    loss_now: Float[np.ndarray, "S T T"]
    parts: Float[np.ndarray, "S T T P"]
    drift_parts: Float[np.ndarray, "S T T P"]

    @property
    def damage(self) -> Float[np.ndarray, "S T T"]:
        """The change of the loss on old task j from its end to the end of i."""
        return self.loss_now - self.loss_then

    @property
    def interaction(self) -> Float[np.ndarray, "S T T"]:
        """The damage that no cause alone accounts for."""
        return self.damage - self.parts.sum(-1)

    def final_ledger(self) -> tuple[dict[str, Float[np.ndarray, "S"]], Float[np.ndarray, "S"]]:
        """Return what every cause added to the loss of the old tasks by the end of the run, summed over them, and the damage.

        Made for :func:`kancl.locality.explain_damage`.
        """
        parts, damage = self.parts[:, -1, :-1].sum(1), self.damage[:, -1, :-1].sum(1)
        if self.parts.shape[1] == 1:  # there is no old task, and a sum of nothing is no finding
            damage = np.full_like(damage, np.nan)
        return dict(zip(self.causes, parts.T, strict=True)), damage

    def final_drift(self) -> dict[str, Float[np.ndarray, "S"]]:
        """Return what every cause did to the old tasks by moving hidden inputs; empty without hidden layers."""
        parts = self.drift_parts[:, -1, :-1].sum(1)
        found = dict(zip(self.causes, parts.T, strict=True))
        return {cause: values for cause, values in found.items() if cause != "drift" and np.isfinite(values).any()}

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return everything as arrays that need no pickle."""
        names = {PREFIX + name: np.array(getattr(self, name), dtype=str) for name in ("layers", "causes")}
        return names | {PREFIX + f.name: getattr(self, f.name) for f in fields(self) if PREFIX + f.name not in names}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "Locality | None":
        """Read what :meth:`to_arrays` made, or None if there is nothing."""
        if PREFIX + "layers" not in arrays:
            return None
        values: dict[str, Any] = {f.name: arrays[PREFIX + f.name] for f in fields(cls)}
        for name in ("layers", "causes"):
            values[name] = tuple(str(text) for text in values[name])
        return cls(**values)
