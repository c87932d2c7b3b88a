"""The registry of strategies."""

from kancl.registry import Registry

BUILT_IN = ("independent", "joint", "naive")

strategies = Registry("strategy", {name: f"runners.strategies.{name}" for name in BUILT_IN})
