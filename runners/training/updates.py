"""What a policy may do to a step beside its optimiser: clip the gradient of every seed, and leave idle numbers alone."""

from collections.abc import Iterable
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.optim import Optimizer


class TakesSteps(Protocol):
    """What an optimiser has to do."""

    def step(self) -> Any:
        """Take one step with the gradients that the parameters hold."""

    def zero_grad(self) -> None:
        """Forget the gradients."""

    def state_dict(self) -> Any:
        """Return the state."""

    def load_state_dict(self, state: Any) -> None:
        """Go on from a saved state."""


@torch.no_grad()
def clip_by_seed(gradients: Iterable[Tensor], limit: float) -> None:
    """Scale the gradient of every seed, in place, to a norm of at most ``limit``.

    g_s is multiplied by min(1, limit / (|g_s| + 1e-6)), with the 2-norm over all parameters of seed s alone, so that no seed
    depends on another: what ``torch.nn.utils.clip_grad_norm_`` does to one network.

    Args:
        gradients: tensors of shape (S, ...).
        limit: > 0.
    """
    gradients = list(gradients)
    if not gradients:
        return
    rows = [gradient.reshape(len(gradient), -1) for gradient in gradients]
    norms = torch.stack([torch.linalg.vector_norm(row, dim=1) for row in rows], dim=1)  # (S, P) for P parameters
    factor = (limit / (torch.linalg.vector_norm(norms, dim=1) + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(factor.view(-1, *[1] * (gradient.ndim - 1)))


class LazyUpdates:
    """An optimiser that leaves a number alone, to the bit, in every step in which its gradient is exactly 0.

    Its value and its moments stay as they are; neither momentum nor weight decay moves it. As in ``torch.optim.SparseAdam``,
    the count of steps that Adam's bias correction uses goes on for all: a number that first gets a gradient late takes a
    first step of up to (1 - beta1) / sqrt(1 - beta2), about 3, times the learning rate. A penalty is part of the loss, so
    its gradient counts as data do.

    Args:
        inner: takes the steps.
        state_of: torch's optimiser that holds the moments; ``inner`` itself, or what is inside it.
    """

    def __init__(self, inner: TakesSteps, state_of: Optimizer) -> None:
        self.inner = inner
        self.state_of = state_of

    @torch.no_grad()
    def step(self) -> None:
        """Take one step, and put back what was to stay."""
        trained = [p for group in self.state_of.param_groups for p in group["params"] if p.grad is not None]
        before = [(p, p.grad == 0, p.detach().clone(), _clones(self._moments(p))) for p in trained]
        self.inner.step()
        # Put back rather than masked beforehand: so it serves every optimiser, and does the same each time, for graphs.
        for p, still, value, moments in before:
            p.copy_(torch.where(still, value, p))
            for name, moment in self._moments(p).items():
                old = moments[name] if name in moments else torch.zeros_like(moment)  # made in this step
                moment.copy_(torch.where(still, old, moment))

    def zero_grad(self) -> None:
        """Forget the gradients."""
        self.inner.zero_grad()

    def state_dict(self) -> Any:
        """Return torch's state of the optimiser."""
        return self.inner.state_dict()

    def load_state_dict(self, state: Any) -> None:
        """Go on from a saved state."""
        self.inner.load_state_dict(state)

    def _moments(self, parameter: Tensor) -> dict[str, Tensor]:
        """Return the part of the state that has a number for each of the parameter's."""
        state = self.state_of.state.get(parameter, {})
        return {name: v for name, v in state.items() if isinstance(v, Tensor) and v.shape == parameter.shape and name != "step"}


def _clones(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in tensors.items()}
