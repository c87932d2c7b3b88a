"""From what the user wrote to a strategy of avalanche's; what is remarked on all its results."""

from kancl import options
from kancl.errors import InputError
from kancl.options import Spec, parse_spec
from runners.avalanche.keeper import UNKNOWN
from runners.avalanche.registry import avalanche_strategies, check_driven_name
from runners.avalanche.strategy import AvalancheStrategy

CORRECTED = "corrected"
"""The remark on results of a strategy in which something that avalanche does otherwise is put right."""


def remarks_on(name: str) -> tuple[str, ...]:
    """Return what has to be known of every result of a strategy of avalanche's, whatever its options.

    >>> remarks_on("ewc"), remarks_on("si")
    ((), ('corrected',))
    """
    try:
        corrected = getattr(avalanche_strategies.get(name), "corrected", False)
    except InputError:  # of a file that is not there any more
        corrected = False
    return (CORRECTED,) if corrected else ()


def caution_on(strategy: Spec) -> str:
    """Return what has to be said when a cell of a strategy begins; empty for nothing.

    Args:
        strategy: with every option.
    """
    adapter: AvalancheStrategy = options.build(avalanche_strategies.get(strategy.name), strategy)
    return UNKNOWN if adapter.carried is None else ""


def make_strategy(text: str) -> tuple[Spec, AvalancheStrategy]:
    """Return a strategy's name with every option, and the strategy.

    Raises:
        InputError: an unknown strategy or option, or one that is known and not driven.
    """
    given = parse_spec(text)
    check_driven_name(given.name)
    spec = options.complete(avalanche_strategies, given)
    adapter = options.build(avalanche_strategies.get(spec.name), spec)
    if not isinstance(adapter, AvalancheStrategy):
        raise InputError(f"strategy {text} must be a runners.avalanche.AvalancheStrategy, got {type(adapter).__name__}")
    return spec, adapter
