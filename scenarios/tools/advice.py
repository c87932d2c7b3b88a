"""Numbers of the four optimisers for ``Advice.policies``, from the few of them in which scenarios differ."""

from collections.abc import Mapping
from typing import Any

Numbers = Mapping[str, Any]
"""Of an optimiser: the rate ``lr``, ``steps`` or ``epochs``, ``batch_size`` (none for all samples) and what else it has."""


def usual_policies(adam: Numbers, sgd: Numbers, lbfgs: int, adamw: Numbers | None = None) -> dict[str, dict[str, Any]]:
    """Return the numbers by optimiser: AdamW has Adam's, SGD a momentum of 0.9, L-BFGS the rate 1 on the full batch.

    Args:
        adam: of Adam.
        sgd: of SGD.
        lbfgs: steps of L-BFGS.
        adamw: of AdamW where they are not Adam's.

    >>> usual_policies(adam={"lr": 1e-2, "steps": 100}, sgd={"lr": 0.1, "steps": 200}, lbfgs=20)["sgd"]
    {'lr': 0.1, 'momentum': 0.9, 'steps': 200}
    """
    return {
        "adam": dict(adam),
        "adamw": dict(adam if adamw is None else adamw),
        "sgd": {"lr": sgd["lr"], "momentum": 0.9} | dict(sgd),
        "lbfgs": {"lr": 1.0, "steps": lbfgs},
    }
