"""What would make a cell's numbers mean less than they claim, found before anything is trained."""

import math
from collections.abc import Callable, Sequence
from itertools import islice

import torch
from jaxtyping import Float
from torch import Tensor

from kancl.errors import InputError
from kancl.models import Network, draws_numbers
from runners.config.optimizers import STEPPING
from runners.config.policy import Policy
from runners.strategies import Strategy
from runners.stream.batches import epoch_orders
from runners.stream.stream import Stream
from runners.training.optimizers import decay_groups
from runners.training.training import is_mixed

CHANCE = 64
"""Bits of chance that the orders of samples are compared over, so that no two living seeds are alike by accident."""


def check_weights(
    build: Callable[[tuple[int, ...]], Network], seeds: tuple[int, ...], name: str, x: Float[Tensor, "1 B I"]
) -> None:
    """See that seeds are repetitions: no two have the same initial weights (and buffers).

    Numbers that differ and take no part are no difference: seeds that give the same outputs and gradients are alike too. One
    seed is compared with the next number, since other cells may hold the others.

    Args:
        build: makes the stack of networks of some seeds, all for the same ranges of inputs.
        seeds: at least one.
        name: of the architecture, for the message.
        x: samples on which outputs and gradients are compared.

    Raises:
        InputError: which seeds are alike, and in what.
    """
    asked = _with_another(seeds)
    network = build(asked)
    drawn = [*network.parameters(), *network.buffers()]
    # + 0, since -0 is 0.
    alike = _alike([b"".join((tensor[s].detach() + 0).cpu().numpy().tobytes() for tensor in drawn) for s in range(len(asked))])
    if alike:
        one, other = (asked[place] for place in alike)
        raise InputError(
            f"architecture {name}: seeds {one} and {other} have the same initial weights, so they would be one repetition "
            "counted twice: it does not draw seed s's numbers from problem.generators()[s], or its options leave nothing "
            "to be drawn"
        )
    if alike := _alike(_behaviour(network, x.expand(len(asked), -1, -1))):
        one, other = (asked[place] for place in alike)
        raise InputError(
            f"architecture {name}: seeds {one} and {other} compute the same initial function with the same gradients, so they "
            "would be one repetition counted twice: what differs between them takes no part"
        )


def check_orders(seeds: tuple[int, ...], policy: Policy, counts: Sequence[int]) -> None:
    """See that no two seeds meet the samples in the same order.

    Seeds may share their data (those of a deterministic scenario do), and full batches have no order. One seed is compared
    with the next number, as in :func:`check_weights`.

    Args:
        seeds: at least one.
        policy: tells the batch size.
        counts: the training samples of every task.

    Raises:
        InputError: which seeds do, and in which task.
    """
    asked = _with_another(seeds)
    for phase, count in enumerate(counts):
        if policy.batch_size == "full" or policy.batch_size >= count:
            continue
        epochs = math.ceil(CHANCE / (math.lgamma(count + 1) / math.log(2)))
        orders = torch.stack(list(islice(epoch_orders(asked, count, phase), epochs)), 1)  # (S, epochs, N)
        if alike := _alike([order.numpy().tobytes() for order in orders]):
            one, other = (asked[place] for place in alike)
            raise InputError(
                f"seeds {one} and {other} would see the samples of task {phase + 1} in the same order, so they would not be "
                "independent repetitions: the seed does not reach the order of samples (runners.stream.batches.epoch_orders)"
            )


def _with_another(seeds: tuple[int, ...]) -> tuple[int, ...]:
    return seeds if len(seeds) > 1 else (seeds[0], seeds[0] + 1)


def _behaviour(network: Network, x: Float[Tensor, "S B I"]) -> list[bytes]:
    """Return each seed's outputs and gradients as bytes; nothing to compare where no sample reaches any parameter."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    outputs = network(x)
    gradients = torch.autograd.grad(outputs.square().sum() + outputs.sum(), parameters, allow_unused=True)
    seen = [outputs, *(gradient for gradient in gradients if gradient is not None)]
    rows = [[(tensor[s].detach() + 0).cpu().numpy() for tensor in seen] for s in range(len(x))]
    # The place itself where all gradients are 0: such a network tells nothing of its seed here.
    return [b"".join(v.tobytes() for v in row) if any(v.any() for v in row[1:]) else bytes([s]) for s, row in enumerate(rows)]


def check_policy(network: Network, stream: Stream, policy: Policy, strategy: Strategy, name: str) -> None:
    """See that a policy and a strategy can be carried out on a network.

    Args:
        network: S networks with their initial weights.
        stream: the tasks.
        policy: of the cell.
        strategy: of the cell.
        name: of the architecture, for messages.

    Raises:
        InputError: weight decay would touch nothing, state is to be kept for parameters that change their shape, the strategy
            changes gradients under L-BFGS, or what the strategy itself refuses.
    """
    try:
        decay_groups([(key, p) for key, p in network.named_parameters() if p.requires_grad], policy)
    except InputError as error:
        raise InputError(f"architecture {name}: {error}") from error
    if network.grows and policy.state == "keep" and strategy.boundaries:
        raise InputError(
            f"architecture {name} has other parameters after every task, so no state of the optimiser can be kept; "
            "use state=reset"
        )
    if policy.row.searches and strategy.acts_in("correct"):
        raise InputError(
            f"the strategy changes gradients, and {policy.optimizer} searches along those of the loss; choose another optimizer"
        )
    if policy.row.searches and draws_numbers(network):
        raise InputError(
            f"architecture {name} draws random numbers at every pass (dropout, noise), and {policy.optimizer} compares losses "
            "of successive passes; choose another optimizer"
        )
    if stream.operator is not None and strategy.judges_outputs:
        raise InputError(
            f"strategy {type(strategy).__name__} judges outputs, and the scenario trains an operator of them; choose another"
        )
    strategy.check(network, stream, policy)


def check_mixed(strategy: Strategy, stream: Stream, policy: Policy, name: str) -> None:
    """See that a strategy and a policy can do without borders, where the stream has none.

    Args:
        strategy: must leave the hooks at borders alone.
        stream: the tasks.
        policy: must take batches that differ from step to step.
        name: of the strategy, for messages.

    Raises:
        InputError: they cannot; with the reason.
    """
    if not is_mixed(strategy, stream):
        return
    blur, phases = f"blur={stream.blur:g}", range(len(stream.train))
    if policy.row.searches:
        raise InputError(
            f"{blur} gives another batch at every step, and the line search of {policy.optimizer} needs one that stays; "
            f"name another optimizer, e.g. --optimizer {STEPPING[0]}"
        )
    if any(map(strategy.starts_anew, phases)):
        raise InputError(
            f"{blur} leaves no border at which strategy {name} could start with fresh networks; leave one of them out"
        )
    if strategy.acts_in("begin_task", "end_task"):
        raise InputError(
            f"{blur} tells nobody where a task begins or ends, and strategy {name} acts there; leave one of them out"
        )
    if any(strategy.data_of(phase, len(phases)) != range(phase, phase + 1) for phase in phases):
        raise InputError(f"{blur} mixes neighbouring tasks, and strategy {name} chooses others itself; leave one of them out")


def _alike(patterns: list[bytes]) -> tuple[int, int] | None:
    """Return the places of the first two patterns that are equal."""
    first: dict[bytes, int] = {}
    for place, pattern in enumerate(patterns):
        if pattern in first:
            return first[pattern], place
        first[pattern] = place
    return None
