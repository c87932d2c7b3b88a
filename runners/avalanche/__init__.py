"""The avalanche runner: the same cells, driven through the strategies of the avalanche library, one seed at a time.

Avalanche is imported when a cell is run, never before.
"""

from runners.avalanche.registry import avalanche_strategies
from runners.avalanche.strategy import AvalancheStrategy

__all__ = ["AvalancheStrategy", "avalanche_strategies"]
