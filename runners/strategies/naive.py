"""Naive: nothing is done about the past."""

from dataclasses import dataclass

from runners.strategies.registry import strategies
from runners.strategies.strategy import Strategy


@strategies.register("naive")
@dataclass(frozen=True)
class Naive(Strategy):
    """Train on each task as it comes and do nothing about the past."""
