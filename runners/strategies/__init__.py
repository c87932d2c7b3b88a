"""Strategies: how the learner treats the past, found by name in ``strategies``."""

from runners.strategies.registry import strategies
from runners.strategies.strategy import State, Step, Strategy

__all__ = ["State", "Step", "Strategy", "strategies"]
