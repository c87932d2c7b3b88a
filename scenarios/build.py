"""From a spec to a checked scenario: the one way by which runners and commands build them."""

import inspect
from pathlib import Path
from typing import Any

from kancl import options
from kancl.errors import InputError
from kancl.options import Spec
from kancl.registry import Builder
from scenarios.checks.scenario import check_scenario
from scenarios.data.files import DATA_ROOT, at_home
from scenarios.registry import scenarios
from scenarios.streams import COMMON, MOST_TASKS, as_stream
from scenarios.task import Scenario

COUNTS = ("tasks", "dims", "samples", "test_samples", "edge_samples")
"""Options that say how much a scenario holds."""
MOST_NUMBERS = 10**9
"""Inputs of all samples of a drawn scenario at most: 4 GB, and some times as much while they are drawn."""


def reserved_of(builder: Builder) -> tuple[str, ...]:
    """Return the parameters of a scenario builder that are filled in for it and are no options: the seed, and, for builders
    that ask for it, the folder of data files.

    Args:
        builder: of a scenario.
    """
    return ("seed", "data_root") if "data_root" in inspect.signature(builder).parameters else ("seed",)


def complete_scenario(spec: Spec) -> Spec:
    """Return ``spec`` with every option of its builder spelled out, and with those common options that are not at their
    defaults (:func:`scenarios.streams.as_stream`).

    Args:
        spec: the scenario's name and what is said of its options.

    Raises:
        InputError: an unknown scenario or option, or a value that an option does not take.

    >>> complete_scenario(Spec("sine-tasks", {"tasks": 3, "cycles": 2})).label
    'sine-tasks:tasks=3,samples=500,test_samples=200,setting=domain,windows=false,cycles=2'
    """
    builder = scenarios.get(spec.name)
    own, common = _parted(spec, builder)
    return Spec(spec.name, options.resolve(builder, own, reserved_of(builder)) | common)


def build_scenario(spec: Spec, seed: int, data_root: Path = DATA_ROOT) -> Scenario:
    """Build one seed's scenario and check it.

    Args:
        spec: the scenario and its options; those that are missing get their defaults.
        seed: determines everything that is drawn.
        data_root: the folder of data files, for builders with a parameter of that name.

    Raises:
        InputError: what cannot be built or run.

    For example ``build_scenario(Spec("sine-tasks", {"tasks": 3}), seed=0)``, or, with an option of every scenario,
    ``build_scenario(parse_spec("split-digits:cycles=2"), seed=0)`` (:func:`kancl.options.parse_spec`).
    """
    builder = scenarios.get(spec.name)
    own, common = _parted(spec, builder)
    _refuse_endless(Spec(spec.name, options.resolve(builder, own, reserved_of(builder))))
    given = {"seed": seed, "data_root": at_home(data_root)}
    built = options.build(builder, own, **{name: given[name] for name in reserved_of(builder)})
    scenario = check_scenario(built, spec.label)
    if not common:
        return scenario
    try:
        stream = as_stream(scenario, **common)
    except InputError as error:
        raise InputError(f"{spec.name}: {error}") from error
    return check_scenario(stream, spec.label)


def _refuse_endless(spec: Spec) -> None:
    """Refuse what would not fit into memory, or take days to draw, by what options are called that count something."""
    counted = {name: value for name, value in spec.options.items() if name in COUNTS and isinstance(value, int) and value > 0}
    if counted.get("tasks", 0) > MOST_TASKS:
        raise InputError(f"{spec.name}: tasks must be at most {MOST_TASKS:,}, got {counted['tasks']}")
    samples = sum(value for name, value in counted.items() if name.endswith("samples"))
    numbers = counted.get("tasks", 1) * counted.get("dims", 1) * max(1, samples)
    if numbers > MOST_NUMBERS:
        said = ", ".join(f"{name}={value}" for name, value in counted.items())
        raise InputError(f"{spec.name} with {said} would draw {numbers:,} numbers, and at most {MOST_NUMBERS:,} are drawn")


def _parted(spec: Spec, builder: Builder) -> tuple[Spec, dict[str, Any]]:
    """Return the spec with the options of its builder alone, and those common ones that are not at their defaults.

    Raises:
        InputError: an option is unknown, or the builder has one that is called like a common one.
    """
    own = options.schema(builder, reserved_of(builder))
    taken = [name for name in own if name in COMMON]
    if taken:
        raise InputError(
            f"{spec.name} has an option {taken[0]!r} of its own, and so has every scenario ({', '.join(COMMON)}); "
            "give its own another name"
        )
    options.check_names(spec, (*own, *COMMON))
    given = {name: value for name, value in spec.options.items() if name in COMMON}
    resolved = options.resolve(as_stream, Spec(spec.name, given), ("scenario",))
    common = {name: value for name, value in resolved.items() if value != COMMON[name].default}
    return Spec(spec.name, {name: value for name, value in spec.options.items() if name not in COMMON}), common
