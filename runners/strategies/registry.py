"""The registry of strategies."""

from kancl.registry import Registry

BUILT_IN = (
    "agem", "cumulative", "der++", "ewc", "independent", "joint", "knot-anchor", "l2-init", "lazy", "lwf", "mas", "naive",
    "packnet", "replay", "si",
)  # fmt: skip

strategies = Registry("strategy", {name: f"runners.strategies.{name.replace('-', '_').replace('+', 'p')}" for name in BUILT_IN})
