"""Coefficients of local bases, and how much of a task's inputs lies on each: what strategies made for splines share."""

import torch
from jaxtyping import Float
from torch import Tensor

from kancl.errors import InputError
from kancl.locality import Probe, coefficients_of, key_of, mass
from kancl.models import Network
from kancl.parts import in_parts
from runners.stream.stream import Stream

IDLE = 1e-3
"""A basis function is idle at a point where it is at most this share of the largest one there."""

SEEN = 64
"""Samples on which bases are looked at."""


def check_local(network: Network, stream: Stream) -> None:
    """See that some coefficient belongs to a basis that is local at every task.

    Args:
        network: S networks.
        stream: the tasks of all seeds.

    Raises:
        InputError: there is none.
    """
    found = [local_coefficients(network, samples.x[:, :SEEN]) for samples in stream.train]
    if not set.intersection(*found):
        raise InputError(
            "the strategy is for coefficients of local basis functions, and this architecture has none"
            f"{' at some tasks' if any(found) else ''}: every function it has acts on every input; choose an architecture such "
            "as kan, or more intervals, or a strategy for all parameters, such as ewc"
        )


def local_coefficients(network: Network, x: Float[Tensor, "S B I"]) -> set[str]:
    """Return the names of the trained parameters that hold coefficients of bases that are local at these samples.

    A basis is local if every input at every sample leaves some of its functions idle.

    Args:
        network: S networks.
        x: a few samples of a task.
    """
    probe, found = Probe(network), set()
    seen = probe.run(x).inputs
    for key, name in _coefficients(network, probe).items():
        sizes = [probe.layers[name].usage(given).abs() for given in seen.get(name, [])]  # type: ignore[operator]
        if sizes and all(bool((used <= IDLE * used.amax(-1, keepdim=True)).any(-1).all()) for used in sizes):
            found.add(key)
    return found


def masses(network: Network, x: Float[Tensor, "S N I"]) -> dict[str, Float[Tensor, "S ..."]]:
    """Return, for every trained parameter of coefficients, how much of the samples lies on each: the mean of |B_c(x_j)|.

    Where basis functions sum to 1, as B-splines do within their grid, the masses of an input's coefficients sum to 1. They have
    the parameter's axes, of length 1 where a basis function is shared, as it is by all outputs. Which parameters are measured
    does not depend on the samples: one that is measured at a task is measured at all.

    Args:
        network: S networks.
        x: the samples of a task.
    """
    probe, parameters = Probe(network), dict(network.named_parameters())
    totals: dict[str, Tensor] = {}
    coefficients = _coefficients(network, probe)
    for part in in_parts(x):
        seen = probe.run(part).inputs
        for key, name in coefficients.items():
            if name not in seen:
                continue
            # Summed in double precision: the size of a part follows from the number of seeds, and a mass must not.
            found = mass(probe.layers[name], seen[name], torch.float64) * (part.shape[1] / x.shape[1])
            share = _over(found, parameters[key])
            totals[key] = totals[key] + share if key in totals else share
    return {key: total.to(x.dtype) for key, total in totals.items()}


def _coefficients(network: Network, probe: Probe) -> dict[str, str]:
    """Return the names of the trained parameters that hold coefficients of basis functions, each with its layer's name."""
    trained = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    held = {name: coefficients_of(layer) for name, layer in probe.layers.items()}
    named = {key_of(name, own): name for name, own in held.items() if own is not None}
    return {key: name for key, name in named.items() if key in trained}


def _over(found: Float[Tensor, "S J C"], coef: Tensor) -> Float[Tensor, "S ..."]:
    """Give a number for each basis function the trailing axes of its coefficients."""
    own = found if coef.shape[1:3] == found.shape[1:] else found[:, 0]  # a table that all inputs share has no axis J
    return own.reshape(*own.shape, *[1] * (coef.ndim - own.ndim))
