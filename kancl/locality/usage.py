"""What a task uses of a layer, and how much of it another task uses too.

A layer with basis functions has a method ``usage(x)`` from (S, B, I) to (S, B, J, C): the values of C basis functions for
each of J inputs (or groups of inputs). Their coefficients are the parameter ``coef``, or the one that the layer's attribute
``used_parameter`` names, of shape (S, J, C, ...), or (S, C, ...) where J = 1. Any other layer uses its inputs themselves:
J inputs, C = 1. A layer with a bounded grid may also have ``off_grid(x)``, (S, B, I) of bool.
"""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kancl.locality.probe import coefficients_of, has_usage
from kancl.parts import in_parts


def mass(layer: nn.Module, calls: Sequence[Tensor], dtype: torch.dtype | None = None) -> Float[Tensor, "S J C"]:
    """Return the mean over samples of |B_c(x_j)|; for layers without basis functions of |x_j|, with C = 1.

    Args:
        layer: with J inputs and C basis functions of each.
        calls: the layer's inputs, (S, B, ...) for each call of the layer in one pass.
        dtype: that samples are summed in; that of the inputs if None.
    """
    parts = [used.abs().sum(1, dtype=dtype) for used in _usages(layer, calls)]
    return torch.stack(parts).sum(0) / sum(x.shape[1] for x in calls)


def touched(layer: nn.Module, calls: Sequence[Tensor]) -> Bool[Tensor, "S J C"]:
    """Tell which basis functions are not exactly 0 at some sample: only their coefficients have a gradient.

    Args:
        layer, calls: as for :func:`mass`.
    """
    return torch.stack([(used != 0).any(1) for used in _usages(layer, calls)]).any(0)


def overlap(one: Float[Tensor, "S J C"], other: Float[Tensor, "S J C"]) -> Float[Tensor, "S"]:
    """Return the share of mass that two tasks have in common: sum over j and c of min(p, q), in 0..1.

    p and q are the two masses, each divided by its sum (histogram intersection; Swain and Ballard 1991, equation 1). It is
    symmetric. Where basis functions sum to 1, as B-splines do within their grid, it is the share of the mass of one task
    that the other uses, whichever is taken as the one. Elsewhere the division keeps the size of the inputs out: all inputs
    of one unit use the same weights. NaN where a task uses nothing at all.

    Args:
        one, other: the :func:`mass` of a layer at each of the two tasks.

    >>> one, other = torch.tensor([[[1.0, 1.0, 0.0]]]), torch.tensor([[[0.0, 2.0, 2.0]]])
    >>> overlap(one, other)
    tensor([0.5000])
    """
    p, q = (m / m.sum((1, 2), keepdim=True) for m in (one, other))
    return torch.minimum(p, q).sum((1, 2))


def unused(masses: Float[Tensor, "S J C"]) -> Float[Tensor, "S"]:
    """Return the share of basis functions (of inputs, for layers without) that are exactly 0 at every sample, in 0..1.

    Args:
        masses: of :func:`mass`.
    """
    return (masses == 0).to(masses.dtype).mean((1, 2))


def off_grid(layer: nn.Module, calls: Sequence[Tensor]) -> Float[Tensor, "S"] | None:
    """Return the share of (sample, input) beyond the ends of the layer's grid, in 0..1, or None for layers without a grid.

    Args:
        layer, calls: as for :func:`mass`.
    """
    find = getattr(layer, "off_grid", None)
    if not callable(find):
        return None
    return torch.cat([find(x).flatten(1) for x in calls], 1).to(calls[0].dtype).mean(1)


def idle_drift(change: Float[Tensor, "S ..."], touched: Bool[Tensor, "S J C"]) -> Float[Tensor, "S"]:
    """Return |change of the coefficients that no sample touches| / |change of all|, Euclidean, in 0..1; NaN without change.

    Exactly 0 under SGD or a fresh Adam without decay in a layer whose inputs do not move (the first one).

    Args:
        change: of the layer's coefficients, (S, J, C, ...).
        touched: of :func:`touched`, for the samples that were trained on.
    """
    idle = change.masked_fill(over(touched, change), 0.0)
    return idle.flatten(1).norm(dim=1) / change.flatten(1).norm(dim=1)


def input_drift(then: Sequence[Tensor], now: Sequence[Tensor]) -> Float[Tensor, "S"]:
    """Return how far a layer's inputs moved, in standard deviations of what they were.

    sqrt(mean (x_now - x_then)^2) / sqrt(mean over inputs of the variance over samples of x_then); 0 if nothing moved, NaN or
    infinite where the inputs were constant.

    Args:
        then, now: a layer's inputs on the same samples, (S, B, ...) for each call of the layer in one pass.
    """
    before, after = (torch.cat([x.flatten(2) for x in calls], 1) for calls in (then, now))
    spread = before.var(1, correction=0).mean(1).sqrt()
    return (after - before).square().mean((1, 2)).sqrt() / spread


def over(mask: Bool[Tensor, "S J C"], coef: Float[Tensor, "S ..."]) -> Bool[Tensor, "S ..."]:
    """Give a mask of basis functions the trailing axes of their coefficients."""
    own = mask if coef.shape[1:3] == mask.shape[1:] else mask[:, 0]  # a table that all inputs share has no axis J
    return own.view(*own.shape, *[1] * (coef.ndim - own.ndim))


def _usages(layer: nn.Module, calls: Sequence[Tensor]) -> Iterator[Tensor]:
    """Yield (S, b, J, C) for parts of the samples."""
    if not has_usage(layer):
        yield from (x.flatten(2)[..., None] for x in calls)
        return
    coef = layer._parameters.get(coefficients_of(layer) or "")
    per_sample = 1 if coef is None else coef[0].numel()
    for x in calls:
        for part in in_parts(x, len(x) * per_sample):
            yield layer.usage(part)  # type: ignore[operator]
