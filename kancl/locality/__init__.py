"""Locality: which basis functions a task uses, which of them tasks share, and what the damage to old tasks came from.

Everything is per seed and defined for every architecture. A layer with basis functions, or with a table, has a method
``usage(x)``, from inputs x (S, B, J) to the values of its functions (S, B, J, C); its coefficients are the parameter ``coef``,
or the one that its attribute ``used_parameter`` names, of shape (S, J, C, ...). With a grid that ends it also has a method
``off_grid(x)``, which tells (S, B, J) of every input whether it lies beyond.
"""

from kancl.locality.history import Phase, same
from kancl.locality.ledger import GROUPS, Ledger, explain_damage, ledger
from kancl.locality.probe import Pass, Probe, State, coefficients_of, key_of, layers_of
from kancl.locality.usage import idle_drift, input_drift, mass, off_grid, overlap, touched, unused

__all__ = [
    "GROUPS",
    "Ledger",
    "Pass",
    "Phase",
    "Probe",
    "State",
    "coefficients_of",
    "explain_damage",
    "idle_drift",
    "input_drift",
    "key_of",
    "layers_of",
    "ledger",
    "mass",
    "off_grid",
    "overlap",
    "same",
    "touched",
    "unused",
]
