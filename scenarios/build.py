"""From a spec to a checked scenario: the one way by which runners and commands build them."""

import inspect
from pathlib import Path

from kancl import options
from kancl.options import Spec
from kancl.registry import Builder
from scenarios.checks import check_scenario
from scenarios.registry import scenarios
from scenarios.task import Scenario

DATA_ROOT = Path("data")
"""The folder of data files where nothing else is said."""


def reserved_of(builder: Builder) -> tuple[str, ...]:
    """Return the parameters of a scenario builder that are filled in for it and are no options: the seed, and, for builders
    that ask for it, the folder of data files."""
    return ("seed", "data_root") if "data_root" in inspect.signature(builder).parameters else ("seed",)


def complete_scenario(spec: Spec) -> Spec:
    """Return ``spec`` with every option of its builder spelled out.

    Raises:
        InputError: an unknown scenario or option, or a value that an option does not take.
    """
    return options.complete(scenarios, spec, reserved_of(scenarios.get(spec.name)))


def build_scenario(spec: Spec, seed: int, data_root: Path = DATA_ROOT) -> Scenario:
    """Build one seed's scenario and check it.

    Args:
        spec: the scenario and its options; those that are missing get their defaults.
        seed: determines everything that is drawn.
        data_root: the folder of data files, for builders with a parameter of that name.

    Raises:
        InputError: what cannot be built or run.
    """
    builder = scenarios.get(spec.name)
    given = {"seed": seed, "data_root": data_root}
    built = options.build(builder, spec, **{name: given[name] for name in reserved_of(builder)})
    return check_scenario(built, spec.label)
