"""Architectures: families of networks with a leading seed axis, found by name in ``architectures``."""

from kancl.models.architecture import Network, Problem, copy_seed, parameters_per_seed, take_seed
from kancl.models.check import check_architecture
from kancl.models.cost import Cost, active_parameters, cost_of
from kancl.models.draws import Draws, Dropout, draws_numbers
from kancl.models.registry import architectures

__all__ = [
    "Cost",
    "Draws",
    "Dropout",
    "Network",
    "Problem",
    "active_parameters",
    "architectures",
    "check_architecture",
    "copy_seed",
    "cost_of",
    "draws_numbers",
    "parameters_per_seed",
    "take_seed",
]
