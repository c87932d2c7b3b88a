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
        "avalanche": "scenarios.avalanche.benchmarks",
        "binary-addition": "scenarios.regression.addition",
        "decimal-addition": "scenarios.regression.addition",
        "feynman": "scenarios.regression.feynman",
        "gaussian-peaks": "scenarios.regression.gaussian_peaks",
        "heat-windows": "scenarios.regression.pde_windows",
        "image-bands": "scenarios.regression.image_bands",
        "kanbefair": "scenarios.classification.kanbefair",
        "overlap-dial": "scenarios.regression.overlap_dial",
        "peaks-nd": "scenarios.regression.peaks_nd",
        "piecewise-functions": "scenarios.regression.piecewise",
        "poisson-windows": "scenarios.regression.pde_windows",
        "sine-tasks": "scenarios.regression.sine_tasks",
        **dict.fromkeys(CLASSIFICATION, "scenarios.classification.builders"),
    },
)
register = scenarios.register
