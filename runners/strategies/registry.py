"""The registry of strategies."""

from kancl.registry import Registry

BUILT_IN = ("ewc", "independent", "joint", "knot-anchor", "l2-init", "lazy", "mas", "naive", "si")

strategies = Registry("strategy", {name: f"runners.strategies.{name.replace('-', '_')}" for name in BUILT_IN})
