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
        "avalanche": "scenarios.avalanche",
        "binary-addition": "scenarios.addition",
        "decimal-addition": "scenarios.addition",
        "feynman": "scenarios.feynman",
        "gaussian-peaks": "scenarios.gaussian_peaks",
        "heat-windows": "scenarios.pde_windows",
        "image-bands": "scenarios.image_bands",
        "kanbefair": "scenarios.kanbefair",
        "overlap-dial": "scenarios.overlap_dial",
        "peaks-nd": "scenarios.peaks_nd",
        "piecewise-functions": "scenarios.piecewise",
        "poisson-windows": "scenarios.pde_windows",
        "sine-tasks": "scenarios.sine_tasks",
        **dict.fromkeys(CLASSIFICATION, "scenarios.classification"),
    },
)
register = scenarios.register
