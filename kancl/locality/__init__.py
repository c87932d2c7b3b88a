"""Locality: which basis functions a task uses, which of them tasks share, and what the damage to old tasks came from.

Everything is per seed and defined for every architecture; a layer says what it uses through one method, ``usage``.
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
