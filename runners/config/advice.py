"""What is not said is filled in: from the scenario's advice, and then from the defaults.

Precedence: default < advice of the scenario < experiment file < command line.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, get_type_hints

from kancl.errors import InputError
from kancl.options import Spec, parse_spec
from kancl.precedence import laid_over
from runners.config.optimizers import OPTIMIZERS
from runners.config.policy import Policy

if TYPE_CHECKING:
    from pydantic import TypeAdapter


def resolve_policy(advice: Mapping[str, Mapping[str, Any]], advised_optimizer: str, said: Mapping[str, Any]) -> Policy:
    """Return the policy from what the user said, the scenario's numbers for that optimiser, and the defaults.

    Args:
        advice: numbers by optimiser, the scenario's for one architecture.
        advised_optimizer: where the user names none.
        said: settings of the policy by name; None for those that were not given.

    Raises:
        InputError: an unknown optimiser or setting, or a value that a setting does not take.
    """
    from pydantic import ValidationError  # on use: slow to import

    optimizer = said.get("optimizer") or advised_optimizer
    if optimizer not in OPTIMIZERS:
        raise InputError(f"unknown optimizer {optimizer!r}; known: {', '.join(OPTIMIZERS)}")
    values: dict[str, Any] = {"optimizer": optimizer}
    for source in (OPTIMIZERS[optimizer].defaults, advice.get(optimizer, {}), said):
        values = laid_over(values, {key: value for key, value in source.items() if value is not None})
    if "epochs" in values and "batch_size" not in values and not OPTIMIZERS[optimizer].searches:
        values["batch_size"] = 32  # an epoch of one full batch would be a single step
    adapters = _policy_adapters()
    for key, value in values.items():
        if key not in adapters:
            raise InputError(f"unknown policy setting {key!r}; known: {', '.join(adapters)}")
        try:
            values[key] = adapters[key].validate_python(value)
        except ValidationError as error:
            raise InputError(f"policy setting {key}={value!r}: {error.errors()[0]['msg']}") from error
    return Policy(**values)


@cache
def _policy_adapters() -> "dict[str, TypeAdapter[Any]]":
    """Return what reads each setting of a policy."""
    from pydantic import TypeAdapter  # on use: slow to import

    return {key: TypeAdapter(kind) for key, kind in get_type_hints(Policy).items()}


def with_advice(text: str, advice: Mapping[str, Mapping[str, Any]]) -> Spec:
    """Return the spec with the scenario's advice for that name put under the options that were given."""
    spec = parse_spec(text)
    return replace(spec, options={**advice.get(spec.name, {}), **spec.options})
