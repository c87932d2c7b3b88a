"""Strategies: how the learner treats the past, found by name in ``strategies``."""

from runners.strategies.registry import strategies
from runners.strategies.strategy import State, Strategy

__all__ = ["State", "Strategy", "strategies"]
