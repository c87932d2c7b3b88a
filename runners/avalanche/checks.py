"""What the avalanche runner refuses, before anything is trained."""

from typing import Protocol

from kancl.errors import InputError
from kancl.models import Network
from runners.avalanche.strategy import AvalancheStrategy
from runners.config.cell import Cell
from runners.config.optimizers import STEPPING, joined
from runners.config.request import Request
from runners.stream.stream import Stream
from runners.training.optimizers import decay_groups


def check_request(request: Request, device: str = "cpu") -> None:
    """Refuse what only the native runner has.

    Raises:
        InputError: which setting it is.
    """
    if request.locality == "on":
        raise InputError(
            "--locality on looks at all seeds side by side, and avalanche trains one at a time; use --runner native"
        )
    if request.match == "time":
        raise InputError("--match time measures steps of the native runner; with --runner avalanche match something else")
    if device != "cpu":
        raise InputError(f"the avalanche runner trains one small network at a time, on the CPU; leave --device {device} out")


class Told(Protocol):
    """What tells of a scenario that is more than tasks."""

    @property
    def operator(self) -> object:
        """What is trained instead of the outputs, or None."""

    @property
    def blur(self) -> float:
        """How far neighbouring tasks run into each other."""

    @property
    def pretrain(self) -> object:
        """What is learned before the first task; nothing if it is empty or None."""


def check_scenario(scenario: Told, name: str) -> None:
    """Refuse scenarios that avalanche's experiences cannot carry.

    Raises:
        InputError: what it is.
    """
    reason = None
    if scenario.operator is not None:
        reason = "it trains an operator of the network, and avalanche's strategies know outputs only"
    elif scenario.blur:
        reason = f"its tasks run into each other (blur={scenario.blur:g}), and avalanche's experiences have sharp borders"
    elif scenario.pretrain:
        reason = "it has tasks to pretrain on, which avalanche's strategies would take for old tasks"
    if reason is not None:
        raise InputError(f"the avalanche runner cannot train {name}: {reason}; use --runner native")


def check_cell(network: Network, cell: Cell, stream: Stream, strategy: AvalancheStrategy, text: str) -> None:
    """See that a policy and a strategy of avalanche's can be carried out on a network.

    Args:
        network: any of the cell's.
        cell: the configuration.
        stream: its scenario.
        strategy: its strategy, and
        text: the strategy as it was asked for.

    Raises:
        InputError: L-BFGS, an architecture that grows, weight decay on nothing, or what the strategy itself refuses.
    """
    policy, name = cell.policy, cell.asked["architecture"]
    if policy.row.searches:
        raise InputError(
            f"the avalanche runner takes {joined(STEPPING)}: avalanche computes one loss and one gradient a step, and "
            f"{policy.optimizer} asks for them again at every trial of its line search"
        )
    if network.grows:
        raise InputError(f"architecture {name} gets other parameters at every task; the avalanche runner takes a fixed set")
    try:
        decay_groups([(key, p) for key, p in network.named_parameters() if p.requires_grad], policy)
    except InputError as error:
        raise InputError(f"architecture {name}: {error}") from error
    strategy.check(network, stream, policy)
