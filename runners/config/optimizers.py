"""The optimisers by name: the numbers that hold where nobody says any, the rates that tuning tries, and what each can do.

Another optimiser is one row here and one in :data:`runners.training.optimizers.MAKERS`, which needs torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal


@dataclass(frozen=True)
class OptimizerRow:
    """What is known of an optimiser.

    Args:
        defaults: settings of the policy, for scenarios that advise none.
        rates: the smallest and the largest learning rate that tuning tries.
        own: settings of the policy that are for this optimiser, and not for those that do not name them.
        drifts: it moves numbers whose gradient is 0 whatever its settings are: by what it remembers of earlier steps.
        searches: it searches along a line for the length of every step, seed by seed, and combines gradients of successive
            steps: all steps of a task need the same full batch, and nothing but the loss may change gradients or steps.
    """

    defaults: Mapping[str, float | int]
    rates: tuple[float, float]
    own: tuple[str, ...] = ()
    drifts: bool = True
    searches: bool = False


OPTIMIZERS: Mapping[str, OptimizerRow] = {
    "adam": OptimizerRow({"lr": 1e-3, "steps": 1000}, (1e-4, 1e-1)),
    "adamw": OptimizerRow({"lr": 1e-3, "steps": 1000}, (1e-4, 1e-1)),
    "sgd": OptimizerRow({"lr": 1e-2, "momentum": 0.9, "steps": 1000}, (1e-3, 1.0), own=("momentum",), drifts=False),
    "lbfgs": OptimizerRow({"lr": 1.0, "steps": 100}, (1e-2, 1.0), searches=True),
}

if TYPE_CHECKING:
    Optimizer = str
else:
    Optimizer = Literal[tuple(OPTIMIZERS)]

SEARCHING = tuple(name for name, row in OPTIMIZERS.items() if row.searches)
STEPPING = tuple(name for name, row in OPTIMIZERS.items() if not row.searches)


def by_optimizer(texts: Mapping[str, str]) -> str:
    """Return what holds for the first of the optimisers, and in brackets those for which something else does.

    >>> by_optimizer({"adam": "0.001", "adamw": "0.001", "sgd": "0.01"})
    '0.001 (sgd 0.01)'
    """
    first = next(iter(texts.values()))
    others = ", ".join(f"{name} {text}" for name, text in texts.items() if text != first)
    return f"{first} ({others})" if others else first


def defaults_of(setting: str) -> str:
    """Return the default of a setting as :func:`by_optimizer` does, for the optimisers that have one.

    >>> defaults_of("steps")
    '1000 (lbfgs 100)'
    """
    return by_optimizer({name: f"{row.defaults[setting]:g}" for name, row in OPTIMIZERS.items() if setting in row.defaults})


def joined(names: tuple[str, ...]) -> str:
    """Return names as they are said: ``adam, adamw and sgd``."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)
