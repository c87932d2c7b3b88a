"""Losses and scores: how predictions are judged, per seed.

Every loss and every score takes the outputs y (S, B, O), the targets t, numbers (S, B, O) or class numbers (S, B), and a mask
(S, B, O) of active output units, which serves scenarios whose tasks have heads of their own: inactive units count neither in
the loss nor in a score. None means that all units are active. Returned is a number for each seed, of that seed alone.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor
from torch.nn import functional

Outputs = Float[Tensor, "S B O"]
Targets = Shaped[Tensor, "S B ..."]
Mask = Bool[Tensor, "S B O"] | None
PerSeed = Float[Tensor, "S"]


def mean_squared_error(outputs: Outputs, targets: Targets, mask: Mask = None) -> PerSeed:
    """Mean of (y - t)^2 over samples and active units."""
    squares = (outputs - targets).square()
    if mask is None:
        return squares.mean((1, 2))
    return squares.where(mask, 0.0).sum((1, 2)) / mask.sum((1, 2))


def cross_entropy(outputs: Outputs, targets: Targets, mask: Mask = None) -> PerSeed:
    """Mean over samples of -log softmax(y)_t, in nats, the softmax taken over the active units."""
    logits = outputs if mask is None else outputs.masked_fill(~mask, -torch.inf)
    losses = functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    return losses.view(targets.shape).mean(1)


def mean_squared_error_gradient(outputs: Outputs, targets: Targets, mask: Mask = None) -> Outputs:
    """Gradient of each seed's mean squared error in its outputs: 2 (y - t) / count."""
    differences = outputs - targets
    if mask is None:
        return differences.mul_(2 / max(1, outputs.shape[1] * outputs.shape[2]))
    return differences.masked_fill_(~mask, 0.0).mul_(2).div_(mask.sum((1, 2), keepdim=True))


def root_mean_squared_error(outputs: Outputs, targets: Targets, mask: Mask = None) -> PerSeed:
    """Square root of the mean squared error."""
    return mean_squared_error(outputs, targets, mask).sqrt()


def cross_entropy_gradient(outputs: Outputs, targets: Targets, mask: Mask = None) -> Outputs:
    """Gradient of each seed's cross-entropy in its outputs: (softmax(y) - one-hot(t)) / B."""
    logits = outputs if mask is None else outputs.masked_fill(~mask, -torch.inf)
    shares = logits.softmax(-1)
    return shares.scatter_add_(-1, targets[..., None], shares.new_full((1,), -1.0).expand(*targets.shape, 1)).div_(
        max(1, targets.shape[1])
    )


def accuracy(outputs: Outputs, targets: Targets, mask: Mask = None) -> PerSeed:
    """Share of samples whose largest active output is the target's; NaN where an output is NaN, not the class it points at."""
    logits = outputs if mask is None else outputs.masked_fill(~mask, -torch.inf)
    hits = (logits.argmax(-1) == targets).to(outputs.dtype).mean(1)
    return hits.masked_fill(outputs.isnan().any(-1).any(-1), torch.nan)


@dataclass(frozen=True)
class Score:
    """A score.

    Args:
        compute: of outputs, targets and a mask, (S,).
        higher_is_better: its direction.
    """

    compute: Callable[[Outputs, Targets, Mask], PerSeed]
    higher_is_better: bool


@dataclass(frozen=True)
class Objective:
    """What a scenario's loss name stands for: the loss, its gradient, and the scores it reports, the main one first.

    Args:
        loss: of outputs, targets and a mask, (S,).
        gradient: of the sum over seeds of each seed's loss, in the outputs, (S, B, O). It is written out since autograd takes
            longer for it than for a small network.
        scores: by name.

    >>> mse, y, t = OBJECTIVES["mse"], torch.tensor([[[1.0], [3.0]]]), torch.zeros(1, 2, 1)
    >>> mse.loss(y, t, None).tolist(), mse.gradient(y, t, None).tolist()
    ([5.0], [[[1.0], [3.0]]])
    """

    loss: Callable[[Outputs, Targets, Mask], PerSeed]
    gradient: Callable[[Outputs, Targets, Mask], Outputs]
    scores: dict[str, Score]


OBJECTIVES = {
    "mse": Objective(
        mean_squared_error,
        mean_squared_error_gradient,
        {"rmse": Score(root_mean_squared_error, higher_is_better=False)},
    ),
    "cross-entropy": Objective(
        cross_entropy,
        cross_entropy_gradient,
        {"accuracy": Score(accuracy, higher_is_better=True), "cross-entropy": Score(cross_entropy, higher_is_better=False)},
    ),
}
"""Objectives by the name of the loss."""


def best_constant(loss: str, targets: Shaped[Tensor, "N ..."], outputs: int) -> Float[Tensor, "1 1 O"]:
    """Return the outputs of the constant predictor fitted to training targets: their mean, or the log of the class shares.

    The largest of the log shares is the majority class, so the same constant serves accuracy and cross-entropy. One is added
    to each count (Laplace), so that a class seen only in the test set costs much but not infinitely much.

    Args:
        loss: ``mse`` or ``cross-entropy``.
        targets: of one seed's task.
        outputs: O, for classes.
    """
    if loss == "mse":
        return targets.mean(0).view(1, 1, -1)
    counts = torch.bincount(targets, minlength=outputs).double() + 1
    return (counts / counts.sum()).log().view(1, 1, -1)
