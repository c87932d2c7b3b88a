"""Which of two words on the same settings counts."""

from collections.abc import Mapping
from typing import Any

EITHER = ("steps", "epochs")
"""How long a task is trained is said in one of two ways; a policy has one of them."""


def laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with others laid over them, one by one; of two ways to say the same thing the upper word alone counts.

    >>> laid_over({"lr": 1, "steps": 5}, {"epochs": 2})
    {'lr': 1, 'epochs': 2}
    """
    hidden = EITHER if any(name in above for name in EITHER) else ()
    return {**{name: value for name, value in below.items() if name not in hidden}, **above}
