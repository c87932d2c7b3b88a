"""Anchors: what the strategies share that hold parameters near what they were.

The state names its tensors by the parameters they belong to: ``anchor/<parameter>`` is the value that a parameter is pulled
to, ``importance/<parameter>`` how strongly; both have the parameter's shape, seed axis first.
"""

import copy
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from kancl.errors import InputError
from kancl.models import Network
from runners.strategies.strategy import State
from runners.stream.stream import Stream

ANCHOR, IMPORTANCE = "anchor/", "importance/"


def trained(network: Network) -> dict[str, Tensor]:
    """Return the parameters that are trained, by name, each (S, ...): themselves, no copies.

    Args:
        network: S networks.
    """
    return {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}


def snapshot(network: Network) -> dict[str, Tensor]:
    """Return copies of the parameters that are trained, by name, each (S, ...): no step that follows changes them.

    Args:
        network: S networks.
    """
    return {name: parameter.detach().clone() for name, parameter in trained(network).items()}


def named(prefix: str, tensors: Mapping[str, Tensor]) -> State:
    """Return tensors under their names in the state.

    Args:
        prefix: of the names, such as :data:`ANCHOR`.
        tensors: by the name of a parameter, each with the seed axis first.

    >>> import torch
    >>> list(named(ANCHOR, {"layers.0.weight": torch.zeros(1, 2)}))
    ['anchor/layers.0.weight']
    """
    return {prefix + name: tensor for name, tensor in tensors.items()}


def check_strength(**numbers: float) -> None:
    """See that numbers are 0 or larger.

    Args:
        numbers: options by name.

    Raises:
        InputError: which one is not, and what it is.
    """
    for name, value in numbers.items():
        if not value >= 0:
            raise InputError(f"{name} must be a number >= 0, got {value}")


def check_parameters_stay(network: Network, stream: Stream) -> None:
    """See that a parameter still means at later tasks what it meant at earlier ones.

    Args:
        network: left as it is; a copy of it is told of the first two tasks.
        stream: the tasks of all seeds.

    Raises:
        InputError: the network grows, or it rewrites its parameters when a task begins, as one does whose grid moves.
    """
    if network.grows:
        raise InputError("the strategy holds parameters near old values, and this architecture gets other ones at every task")
    if len(stream.train) == 1:
        return
    told = copy.deepcopy(network)
    told.begin_task(stream.train[0].x)
    before = snapshot(told)
    told.begin_task(stream.train[1].x)
    if any(not torch.equal(before[name], parameter) for name, parameter in trained(told).items()):
        raise InputError(
            "the strategy holds parameters near old values, and this architecture rewrites its parameters when a task begins "
            "(its grid moves): old values then belong to another basis; use a grid that stays, e.g. grid=fixed or first-task"
        )


def quadratic_penalty(state: State, network: Network, strength: float) -> Float[Tensor, "S"] | None:
    """Return strength / 2 * sum over parameters of importance * (parameter - anchor)^2, or None where nothing is anchored.

    An anchored parameter without an importance has the importance 1.

    Args:
        state: holds ``anchor/<parameter>`` and ``importance/<parameter>``, each of the parameter's shape (S, ...).
        network: S networks, in whose parameters the penalty can be differentiated.
        strength: >= 0.
    """
    parts = []
    for name, parameter in trained(network).items():
        anchor = state.get(ANCHOR + name)
        if anchor is None:
            continue
        importance = state.get(IMPORTANCE + name)
        moved = (parameter - anchor).flatten(1)
        weighted = moved if importance is None else moved * importance.flatten(1)
        parts.append(torch.linalg.vecdot(weighted, moved))
    return torch.stack(parts).sum(0) * (strength / 2) if parts else None


@torch.no_grad()
def add_anchor(state: State, network: Network, importance: Mapping[str, Tensor]) -> State:
    """Return the state with the parameters' present values as a further anchor, each with its importance.

    With importances F_t >= 0 and anchors a_t, the sum over t of F_t (p - a_t)^2 is F (p - a)^2 plus a constant, for
    F = sum_t F_t and a = sum_t F_t a_t / F. So one anchor stands for all, with the same gradient; the constant is left out.

    Args:
        state: with the anchor so far, or without one.
        network: S networks, as they are to be remembered.
        importance: of parameters by name, (S, ...), each number >= 0; those that are missing are not anchored.
    """
    parameters, found = trained(network), dict(state)
    for name, new in importance.items():
        value = parameters[name].detach()
        old, anchor = state.get(IMPORTANCE + name), state.get(ANCHOR + name)
        if old is None or anchor is None:
            total, mean = new, value.clone()
        else:
            total = old + new
            share = torch.where(total > 0, new / total, 1.0)
            # A share of 1 gives the value itself: rounding must leave no pull where there was none before.
            mean = torch.where(share == 1, value, anchor + share * (value - anchor))
        found |= {IMPORTANCE + name: total, ANCHOR + name: mean}
    return found


def accumulated(state: State, found: Mapping[str, Tensor], kept: float = 1.0) -> dict[str, Tensor]:
    """Return importances that were found at a task's end on top of a share ``kept`` of those that the state holds.

    Args:
        state: holds the old ones as ``importance/<parameter>``, or none.
        found: the new ones by the name of a parameter, each (S, ...).
        kept: 0 to 1.
    """
    old = {name: state.get(IMPORTANCE + name) for name in found}
    return {name: new if (before := old[name]) is None else kept * before + new for name, new in found.items()}


def move_anchor(state: State, network: Network, importance: Mapping[str, Tensor]) -> State:
    """Return the state with the parameters' present values as the only anchor, with these importances.

    Args:
        state: whose anchor is replaced.
        network: S networks, as they are to be remembered.
        importance: by the name of a parameter, each (S, ...).
    """
    return {**state, **named(IMPORTANCE, importance), **named(ANCHOR, snapshot(network))}
