"""A scenario and a strategy for kancl, in a package of their own."""

from kancl_moons.moons import turning_moons
from kancl_moons.stay_near import StayNear

__all__ = ["StayNear", "turning_moons"]
