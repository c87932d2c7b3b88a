"""Independent: a fresh network for every task, the measure of what could be learned."""

from dataclasses import dataclass

from runners.strategies.registry import strategies
from runners.strategies.strategy import Strategy


@strategies.register("independent")
@dataclass(frozen=True)
class Independent(Strategy):
    """Train a fresh network on each task alone: what could be learned if there were no past.

    The first network is the naive strategy's first. No network sees two tasks, so only learning scores are reported.
    """

    metrics = ("learning_score", "learned")

    def starts_anew(self, phase: int) -> bool:
        """Begin every phase but the first anew."""
        return phase > 0
