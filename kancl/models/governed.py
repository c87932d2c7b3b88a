"""Whether what a network computes follows from its parameters and buffers: randomness that no seed governs is found here."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from kancl import global_generators
from kancl.global_generators import REASON, UngovernedError
from kancl.models.architecture import Network

ROWS = 64
"""Samples at least, so that a dropout of few numbers shows."""

ALONE = 1e-3
"""Share of the largest output that a seed alone may differ from itself in a stack: rounding, and far from another mask."""

INSTEAD = (
    "use kancl.models.Dropout(problem, p) in place of torch.nn.Dropout, and kancl.models.Draws(problem, purpose) for other "
    "noise: their numbers follow from the seed"
)


def check_governed(first: Network, second: Network, single: Network, s: int, x: Float[Tensor, "S B I"], name: str) -> None:
    """See that passes of a network follow from its parameters and buffers alone, in training and in evaluation.

    A second pass, gradients included, is repeated by another object that was given the first one's state, with the global
    generators elsewhere: what it holds beside its state, such as a generator of its own, is not in a checkpoint, and what it
    takes from elsewhere is another thing each time. And network s gives the same alone, but for rounding.

    Args:
        first, second: the same stack, built twice; used up.
        single: network s of the stack, built alone; used up.
        s: its place.
        x: a few inputs of each seed.
        name: for the message.

    Raises:
        UngovernedError: they do not, and what to do.
    """
    x = x.repeat(1, -(-ROWS // x.shape[1]), 1)
    before = global_generators.states()
    with global_generators.restored():
        _pass(first, x)
        state = {key: tensor.detach().clone() for key, tensor in _state(first).items()}
        ours = _pass(first, x)
        used = global_generators.moved(before)
        global_generators.shift()
        _give(second, state)
        theirs = _pass(second, x)
        if used:
            raise UngovernedError(
                f"architecture {name} draws from the global generator of {' and '.join(used)}, {REASON}; {INSTEAD}"
            )
        if not _equal(ours, theirs):
            raise UngovernedError(
                f"architecture {name} computes in training what does not follow from its parameters and buffers, so a run that "
                "is repeated or resumed would give other numbers: it draws from a source that no seed governs (a fresh "
                "generator, os.urandom, the time), or holds a count or a generator that no checkpoint has; "
                f"keep counts in buffers, and {INSTEAD}"
            )
        _give(single, {key: tensor[s : s + 1] for key, tensor in state.items()})
        alone, beside = _pass(single, x[s : s + 1])[0], ours[0][s : s + 1]
        if alone.isfinite().all() and (alone - beside).abs().max() > ALONE * beside.abs().max():
            raise UngovernedError(
                f"architecture {name}: network {s} of a stack gives other outputs in training than the same network alone, so "
                f"seeds are not independent; let nothing cross the seed axis, and for noise {INSTEAD}"
            )
        _check_evaluation(first, second, x, name)


def _check_evaluation(first: Network, second: Network, x: Tensor, name: str) -> None:
    """See that two objects of one state give the same outputs in evaluation, and draw nothing."""
    before = global_generators.states()
    with torch.no_grad():
        ours, theirs = (network.eval()(x) for network in (first, second))
    used = global_generators.moved(before)
    if used or not _equal([ours], [theirs]):
        source = f"the global generator of {' and '.join(used)}" if used else "a source that no seed governs"
        raise UngovernedError(
            f"architecture {name} draws from {source} in evaluation, where it is to be one function: its scores would be "
            "others each time; draw in training alone (self.training)"
        )


def _pass(network: Network, x: Tensor) -> list[Tensor]:
    """Return outputs and gradients in training."""
    network.train()
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    with torch.enable_grad():
        outputs = network(x)
        if not outputs.requires_grad:
            return [outputs]
        gradients = torch.autograd.grad(outputs.square().sum() + outputs.sum(), parameters, allow_unused=True)
    return [outputs.detach(), *(gradient for gradient in gradients if gradient is not None)]


def _state(network: Network) -> dict[str, Tensor]:
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


@torch.no_grad()
def _give(network: Network, state: Mapping[str, Tensor]) -> None:
    for key, tensor in _state(network).items():
        tensor.copy_(state[key])


def _equal(ours: list[Tensor], theirs: list[Tensor]) -> bool:
    pairs = zip(ours, theirs, strict=True)
    return all(bool(((one == other) | (one.isnan() & other.isnan())).all()) for one, other in pairs)
