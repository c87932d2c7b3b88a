"""What the native runner takes: its strategies, and what it refuses before anything is trained."""

from kancl import options
from kancl.errors import InputError
from kancl.models import Network
from kancl.options import Spec, parse_spec
from runners.config.cell import Cell
from runners.config.request import Request
from runners.strategies import Strategy, strategies
from runners.stream.stream import Stream
from runners.training.checks import check_mixed, check_policy
from runners.training.governed import check_strategy_governed
from runners.training.pretraining import check_pretraining


def make_strategy(text: str) -> tuple[Spec, Strategy]:
    """Return a strategy's name with every option, and the strategy.

    Raises:
        InputError: an unknown strategy or option, or what is no strategy.
    """
    spec = options.complete(strategies, parse_spec(text))
    built = options.build(strategies.get(spec.name), spec)
    if not isinstance(built, Strategy):
        raise InputError(f"strategy {text} must be a runners.strategies.Strategy, got {type(built).__name__}")
    return spec, built


def check_request(request: Request, device: str = "cpu") -> None:
    """Refuse nothing: every setting has a meaning here."""


def check_scenario(stream: Stream, name: str) -> None:
    """Refuse nothing: every scenario can be trained."""


def check_cell(network: Network, cell: Cell, stream: Stream, strategy: Strategy, text: str) -> None:
    """See that a cell can be carried out.

    Args:
        network: any of the cell's.
        cell: the configuration.
        stream: its scenario.
        strategy: its strategy.
        text: the strategy as it was asked for.

    Raises:
        InputError: why it cannot.
    """
    check_policy(network, stream, cell.policy, strategy, cell.asked["architecture"])
    check_mixed(strategy, stream, cell.policy, text)
    check_pretraining(strategy, network, stream, cell.policy, text)
    check_strategy_governed(strategy, cell.strategy, cell, stream)
    if cell.locality and strategy.acts_in("parameters_for"):
        raise InputError(
            f"--locality looks at one network for all tasks, and strategy {text} answers for each with other parameters; "
            "leave --locality out"
        )


def remarks_on(strategy: str) -> tuple[str, ...]:
    """Return what has to be known of every result of a strategy: nothing."""
    return ()


def caution_on(strategy: Spec) -> str:
    """Return what has to be said when a cell of a strategy begins: nothing, since each one goes on at a step."""
    return ""
