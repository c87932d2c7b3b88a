"""What happened to a layer's coefficients since an old task: stretches of training on one grid, and moves between grids."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from jaxtyping import Bool
from torch import Tensor

from kancl.locality.probe import State, key_of
from kancl.locality.usage import over


@dataclass(frozen=True, eq=False)
class Phase:
    """What is kept of the training of one task.

    Args:
        end: the networks' parameters and buffers at its end.
        moved: those that had been changed before its first step, by a move of a grid for example, as they then were.
        touched: by the name of the layer, the basis functions that samples of this task touched, (S, J, C).
    """

    end: State
    moved: State
    touched: dict[str, Bool[Tensor, "S J C"]]


@dataclass(frozen=True, eq=False)
class Segment:
    """Training on one grid: its buffers, the coefficients' name, their values at both ends, and the idle part of the change.

    The idle part is the sum over the tasks of the change of those coefficients that no sample of the task touched.
    """

    name: str
    grid: State
    start: Tensor
    end: Tensor
    idle: Tensor

    def with_coef(self, coef: Tensor) -> State:
        """Return the layer's state on this grid."""
        return {**self.grid, self.name: coef}

    @property
    def without_overlap(self) -> Tensor:
        """The coefficients if only the idle ones had changed; exactly the old ones where nothing idle did."""
        return self.start + self.idle

    @property
    def without_idle(self) -> Tensor:
        """The coefficients if no idle one had changed."""
        return self.end - self.idle


def segments(phases: Sequence[Phase], layer: str, name: str, buffers: Sequence[str]) -> list[Segment]:
    """Return the segments of a layer from the end of the first phase to the end of the last one.

    Args:
        phases: of the old task and of all tasks since, at least one.
        layer, name: the names of a layer and of its coefficients.
        buffers: the names of its buffers, which make its grid.
    """
    coef_key = key_of(layer, name)

    def grid_in(state: State) -> State:
        # Copies: layers may keep what they make of a buffer, and would take it for coefficients of another number, too.
        return {buffer: state[key_of(layer, buffer)].clone() for buffer in buffers}

    def fresh(state: State) -> Segment:
        coef = state[coef_key]
        return Segment(name, grid_in(state), coef, coef, torch.zeros_like(coef))

    found = [fresh(phases[0].end)]
    for before, phase in pairwise(phases):
        state = {**before.end, **phase.moved}
        if _moved(found[-1], grid_in(state), state[coef_key]):
            found.append(fresh(state))
        change = phase.end[coef_key] - state[coef_key]
        mask = phase.touched.get(layer)
        idle = torch.zeros_like(change) if mask is None else change.masked_fill(over(mask, change), 0.0)
        found[-1] = replace(found[-1], end=phase.end[coef_key], idle=found[-1].idle + idle)
        if _moved(found[-1], grid_in(phase.end), phase.end[coef_key]):  # a grid that moves while a task is learned
            found.append(fresh(phase.end))
    return found


def _moved(segment: Segment, grid: State, coef: Tensor) -> bool:
    return not same(segment.end, coef) or any(not same(segment.grid[name], grid[name]) for name in grid)


def same(one: Tensor, other: Tensor) -> bool:
    """Tell whether two tensors have equal shapes and values, NaN being equal to NaN.

    Args:
        one, other: on one device.
    """
    return one.shape == other.shape and bool(((one == other) | (one.isnan() & other.isnan())).all())
