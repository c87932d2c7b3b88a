"""Tell the author of an architecture what is wrong with it, before anything is trained."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from kancl import global_generators
from kancl.errors import InputError, one_line
from kancl.models.architecture import Network
from kancl.models.governed import check_governed


def check_architecture(
    build: Callable[[tuple[int, ...]], object], seeds: tuple[int, ...], x: Float[Tensor, "S B I"], outputs: int, name: str
) -> Network:
    """Return the networks of these seeds if they keep the contract.

    Checked are the type, the seed axis of every parameter and buffer, the shape of the outputs, and that a seed's initial
    weights depend on that seed alone: the same when built again, and when built without the others. So are its outputs and
    gradients (:func:`kancl.models.governed.check_governed`).

    Args:
        build: makes the stack of networks of some seeds.
        seeds: at least one.
        x: a few inputs.
        outputs: O.
        name: for the message.

    Raises:
        InputError: what is wrong, and what to do.
    """
    # One seed alone would hide a missing seed axis.
    asked = seeds if len(seeds) > 1 else (seeds[0], seeds[0] + 1)
    stack = _network(build, asked, name)
    if not any(parameter.requires_grad for parameter in stack.parameters()):
        raise InputError(f"architecture {name} has no parameters to train")
    second = _network(build, asked, name)
    singles = [_network(build, (seed,), name) for seed in asked]
    state, again, alone = _tensors(stack), _tensors(second), [_tensors(single) for single in singles]
    for key, tensor in state.items():
        if tensor.ndim == 0 or len(tensor) != len(asked) or alone[0][key].shape != (1, *tensor.shape[1:]):
            raise InputError(
                f"architecture {name}: {key} has shape {tuple(tensor.shape)} for {len(asked)} seeds; "
                "every parameter and buffer needs the seed axis first"
            )
        strays = [seed for s, seed in enumerate(asked) if not _same(tensor[s : s + 1], alone[s][key])]
        if strays or not _same(tensor, again[key]):
            raise InputError(
                f"architecture {name}: the initial {key} of seed {(strays or asked)[0]} is not determined by that seed alone; "
                "draw seed s's numbers from problem.generators()[s]"
            )
    network = _network(build, seeds, name)
    try:
        with torch.no_grad(), global_generators.restored():
            shape = tuple(network(x).shape)
    except Exception as error:
        raise InputError(f"architecture {name} failed on inputs of shape {tuple(x.shape)}: {one_line(error)}") from error
    if shape != (*x.shape[:2], outputs):
        raise InputError(f"architecture {name} gave outputs of shape {shape}, expected {(*x.shape[:2], outputs)}")
    check_governed(stack, second, singles[-1], len(asked) - 1, x.expand(len(asked), -1, -1) if len(seeds) == 1 else x, name)
    return network


def _tensors(network: Network) -> dict[str, Tensor]:
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool(((one == other) | (one.isnan() & other.isnan())).all())


def _network(build: Callable[[tuple[int, ...]], object], seeds: tuple[int, ...], name: str) -> Network:
    network = build(seeds)
    if not isinstance(network, Network):
        raise InputError(f"architecture {name} must return a kancl.models.Network, got {type(network).__name__}")
    return network
