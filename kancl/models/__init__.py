"""Architectures: families of networks with a leading seed axis, found by name in ``architectures``."""

from kancl.models.architecture import Network, Problem, copy_seed, parameters_per_seed, take_seed
from kancl.models.check import check_architecture
from kancl.models.registry import architectures

__all__ = ["Network", "Problem", "architectures", "check_architecture", "copy_seed", "parameters_per_seed", "take_seed"]
