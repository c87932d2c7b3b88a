"""Benchmarks: how long kernels, training steps and whole runs take, beside the packages that people use otherwise."""

from typing import Literal, get_args

Suite = Literal["kernel", "step", "whole"]
"""Layers and memory; one training step; a whole run."""
PeerName = Literal["pykan", "efficient-kan", "fast-kan", "mlp", "avalanche"]
"""What kancl is compared with. Kept free of torch, for the command line's help."""

SUITES: tuple[Suite, ...] = get_args(Suite)
PEER_NAMES: tuple[PeerName, ...] = get_args(PeerName)

__all__ = ["PEER_NAMES", "SUITES", "PeerName", "Suite"]
