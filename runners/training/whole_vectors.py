"""Optimiser steps that do not depend on where in memory a number lies.

torch's fused optimisers take a tensor's numbers in vectors on a CPU; what is left at the end is computed one by one, with
fewer roundings. Where that end lies follows from the size of the stack, so a seed alone would differ from itself in a stack by
a unit in the last place of a moment: no error, but where a ReLU then stands at its kink, it decides. So tensors that end in a
part of a vector are given room for the rest.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from runners.training.updates import TakesSteps

VECTOR = 64
"""Bytes of the longest vector that a CPU has."""


class WholeVectors:
    """An optimiser that sees whole vectors alone: what ends in a part of one is moved to the beginning of a longer row.

    Args:
        make: makes the optimiser, on groups of parameters as torch has them.
        groups: of the parameters to train.
    """

    def __init__(self, make: Callable[[list[dict[str, Any]]], TakesSteps], groups: list[dict[str, Any]]) -> None:
        parameters = [parameter for group in groups for parameter in group["params"]]
        self.rows = {number: _Row(parameter) for number, parameter in enumerate(parameters) if is_ragged(parameter)}
        """By the number that a parameter has in the optimiser's state."""
        seen = iter(self.rows[n].whole if n in self.rows else parameter for n, parameter in enumerate(parameters))
        self.inner = make([{**group, "params": [next(seen) for _ in group["params"]]} for group in groups])

    def step(self) -> None:
        """Take one step with the gradients that the parameters hold."""
        for row in self.rows.values():
            row.take_gradient()
        self.inner.step()

    def zero_grad(self) -> None:
        """Forget the gradients."""
        self.inner.zero_grad()
        for row in self.rows.values():
            row.parameter.grad = None

    def state_dict(self) -> Any:
        """Return the optimiser's state, as if the parameters were its own."""
        return self._changed(self.inner.state_dict(), lambda moment, like: moment[: like.numel()].view(like.shape).clone())

    def load_state_dict(self, state: Any) -> None:
        """Go on from a saved state."""
        self.inner.load_state_dict(self._changed(state, lambda moment, like: _lengthened(moment)))

    def _changed(self, saved: Any, change: Callable[[Tensor, Tensor], Tensor]) -> dict[str, Any]:
        """Return the state with the moments of rows changed, not so the count of steps, which is one number."""
        state = dict(saved["state"])
        for number in self.rows.keys() & state.keys():
            like = self.rows[number].parameter
            state[number] = {
                name: change(value, like) if isinstance(value, Tensor) and name != "step" else value
                for name, value in state[number].items()
            }
        return {**saved, "state": state}


class _Row:
    """Whole vectors that begin with a parameter's numbers; ``whole`` is what the optimiser steps."""

    def __init__(self, parameter: nn.Parameter) -> None:
        self.parameter = parameter
        self.whole = nn.Parameter(_lengthened(parameter.detach()))
        self.gradient = torch.zeros_like(self.whole)
        self._own = self.gradient[: parameter.numel()].view(parameter.shape)
        self._move_in()

    def _move_in(self) -> None:
        own = self.whole.detach()[: self.parameter.numel()].view(self.parameter.shape)
        own.copy_(self.parameter.detach())
        self.parameter.data = own

    def take_gradient(self) -> None:
        """Take over the parameter's gradient, and the parameter itself where it was given other storage."""
        if self.parameter.data_ptr() != self.whole.data_ptr():
            self._move_in()
        if self.parameter.grad is None:
            self.whole.grad = None
            return
        self._own.copy_(self.parameter.grad)
        self.whole.grad = self.gradient


def is_ragged(tensor: Tensor) -> bool:
    """Tell whether a tensor on a CPU ends in a part of a vector."""
    return not tensor.is_cuda and tensor.numel() * tensor.element_size() % VECTOR != 0


def _lengthened(tensor: Tensor) -> Tensor:
    """Return the numbers in a row, with zeros up to a whole vector."""
    room = -tensor.numel() % (VECTOR // tensor.element_size())
    return torch.cat([tensor.flatten(), tensor.new_zeros(room)])
