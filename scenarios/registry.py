"""The registry of scenarios."""

from kancl.registry import Registry

scenarios = Registry(
    "scenario",
    {
        "gaussian-peaks": "scenarios.gaussian_peaks",
        "permuted-digits": "scenarios.digits",
        "split-digits": "scenarios.digits",
    },
)
register = scenarios.register
