"""From what the user wrote to a strategy of avalanche's, and to its label."""

from kancl import options
from kancl.errors import InputError
from kancl.options import Spec, parse_spec
from kancl.registry import Registry
from runners.avalanche.registry import avalanche_strategies, check_driven_name
from runners.avalanche.strategy import AvalancheStrategy
from runners.config.cell import Runner
from runners.strategies import strategies


def registry_of(runner: Runner) -> Registry:
    """Return the strategies of a runner."""
    return avalanche_strategies if runner == "avalanche" else strategies


def label_of(asked: str) -> str:
    """Return what a strategy of avalanche's is called in tables.

    >>> label_of("ewc:ewc_lambda=3"), label_of("si")
    ('avalanche:ewc:ewc_lambda=3', 'avalanche:si (corrected)')
    """
    try:
        corrected = getattr(avalanche_strategies.get(parse_spec(asked).name), "corrected", False)
    except InputError:  # of a file that is not there any more
        corrected = False
    return f"avalanche:{asked}{' (corrected)' if corrected else ''}"


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
