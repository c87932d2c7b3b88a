"""What suits the data sets: sizes of networks, and policies with which they are learned."""

from collections.abc import Mapping
from typing import Any

from scenarios.task import Advice
from scenarios.tools.advice import usual_policies
from scenarios.tools.sizes import rivals_of_kan

HIDDEN = {"wine": (8,), "breast-cancer": (8,), "mnist": (16,), "fashion-mnist": (16,), "cifar10": (16,)}
"""Hidden units of the KAN by data set; its rivals have about as many trained numbers."""


def _policies(rate: float, epochs: int, batch_size: int, steps: int) -> dict[str, dict[str, Any]]:
    """Adam's rate, the passes and batches of the stochastic optimisers, and the steps of L-BFGS on the full batch."""
    passes = {"epochs": epochs, "batch_size": batch_size}
    return usual_policies({"lr": rate, **passes}, {"lr": 0.05, **passes}, lbfgs=steps)


POLICIES: Mapping[str, dict[str, dict[str, Any]]] = {
    "digits": _policies(1e-3, epochs=20, batch_size=32, steps=50),
    "wine": _policies(3e-3, epochs=40, batch_size=16, steps=50),
    "breast-cancer": _policies(3e-3, epochs=20, batch_size=32, steps=50),
    "mnist": _policies(1e-3, epochs=3, batch_size=128, steps=20),
    "fashion-mnist": _policies(1e-3, epochs=3, batch_size=128, steps=20),
    "cifar10": _policies(1e-3, epochs=3, batch_size=128, steps=20),
}

DIGITS_SIZES: Mapping[str, dict[str, Any]] = {
    # 10,656 parameters for ten outputs; mlp and lookup 10,660, mlp-bspline 10,634, linear 650. A joint grid of 64 pixels has
    # 2^64 tiles even with two for each, so the table is hashed.
    "kan": {"hidden": (16,), "intervals": 5},
    "mlp": {"hidden": (142,)},
    "kan-chebyshev": {"hidden": (16,), "degree": 7},
    "kan-fourier": {"hidden": (18,), "frequencies": 3},
    "kan-rbf": {"hidden": (16,), "intervals": 7},
    "mlp-bspline": {"hidden": (128,), "intervals": 5},
    "lookup": {"tiles": 2, "hashed": 1066},
}
"""Written out: they are part of stored configurations, whatever becomes of the formulas."""


def advice_for(data: str, inputs: int, outputs: int) -> Advice:
    """Return the advice for sequences of tasks from a data set.

    Args:
        data: its name.
        inputs, outputs: of the networks.
    """
    sizes = DIGITS_SIZES if data == "digits" else rivals_of_kan(inputs, outputs, hidden=HIDDEN[data])
    return Advice(architectures=sizes, policies=POLICIES[data])
