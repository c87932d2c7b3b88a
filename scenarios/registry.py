"""The registry of scenarios."""

from kancl.registry import Registry

CLASSIFICATION = tuple(
    f"{mechanism}-{data}"
    for mechanism in ("split", "permuted", "rotated")
    for data in ("digits", "wine", "breast-cancer", "mnist", "fashion-mnist", "cifar10")
)

scenarios = Registry(
    "scenario",
    {
        "gaussian-peaks": "scenarios.gaussian_peaks",
        "kanbefair": "scenarios.kanbefair",
        **dict.fromkeys(CLASSIFICATION, "scenarios.classification"),
    },
)
register = scenarios.register
