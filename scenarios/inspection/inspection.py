"""Everything that is wrong or odd with a scenario of one's own, told at once: its file, its signature, its data, its seeds.

A scenario is built for a few seeds, and the first of them twice more: in another state of the global generators with the clock
moved on, and in another process.
"""

import inspect
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from subprocess import Popen
from typing import Any, Literal

from kancl import global_generators, options
from kancl.errors import InputError, is_interrupt, one_line
from kancl.options import Spec
from kancl.registry import Builder
from scenarios.build import build_scenario, complete_scenario, reserved_of
from scenarios.checks.scenario import FaultyScenario, check_scenario
from scenarios.data.files import DATA_ROOT, at_home
from scenarios.inspection.cautions import cautions
from scenarios.inspection.fingerprint import (
    Part,
    begin_elsewhere,
    difference,
    end_elsewhere,
    fingerprint,
    form_difference,
    size_difference,
)
from scenarios.registry import scenarios
from scenarios.task import Scenario, Task

SEEDS = (0, 1, 2)
SLOW = 2.0
"""Seconds of building one seed that are worth a warning."""
TICK = 1.1
"""Seconds between the two builds of one seed: more than one, so that a clock read in whole seconds has moved."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at, and what to do where it is not right.

    ``fault``: it cannot be run; ``warning``: it can, and is perhaps not meant.
    """

    level: Literal["fine", "warning", "fault"]
    text: str


@dataclass(frozen=True)
class Inspection:
    """What was found, and the scenario of the first seed if it could be built."""

    findings: tuple[Finding, ...]
    scenario: Scenario | None = None

    @property
    def faults(self) -> list[Finding]:
        """The findings for which the scenario cannot be run."""
        return [finding for finding in self.findings if finding.level == "fault"]


@dataclass
class _Attempt:
    """One seed built: what came, what is wrong with it, how long it took, which global generators it moved."""

    scenario: Scenario | None = None
    faults: list[str] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    seconds: float = 0.0
    moved: list[str] = field(default_factory=list)

    def without_data(self) -> "_Attempt":
        """Return what is needed for comparisons; of a large data set no more than one seed is kept."""
        return replace(self, scenario=None)


def inspect_scenario(
    spec: Spec, data_root: Path = DATA_ROOT, seeds: tuple[int, ...] = SEEDS, elsewhere: bool = True
) -> Inspection:
    """Look at a scenario from all sides and tell everything that is wrong with it.

    Args:
        spec: the scenario and its options; those that are missing get their defaults.
        data_root: the folder of data files, for builders with a parameter of that name.
        seeds: at least two; each is built.
        elsewhere: build the first seed in another process too, as far as nothing is wrong with it in this one.
    """
    try:
        builder = scenarios.get(spec.name)
        reserved = reserved_of(builder)
    except (InputError, TypeError, ValueError) as error:  # the latter: what can be called and has no signature
        return Inspection((Finding("fault", str(error)),))
    findings = [Finding("fault", fault) for fault in _signature_faults(spec, builder, reserved)]
    if findings:
        build = _call_of(builder, {"seed": seeds[0], "data_root": at_home(data_root)})
    else:
        findings.append(
            Finding("fine", f"loads, and takes a seed and {', '.join(complete_scenario(spec).options) or 'no options'}")
        )
        build = partial(build_scenario, spec, data_root=data_root)
    if not (builder.__doc__ or "").strip():
        findings.append(Finding("warning", "it has no docstring, whose first line is what lists show; say what its tasks are"))
    if build is None:
        return Inspection(tuple(findings))
    with global_generators.restored():
        began, first = time.monotonic(), _attempt(build, builder, seeds[0])
        attempts = {seeds[0]: first, **{seed: _attempt(build, builder, seed).without_data() for seed in seeds[1:]}}
        findings += _data_findings(attempts)
        runs = all(finding.level != "fault" for finding in findings)
        process = begin_elsewhere(spec, seeds[0], data_root) if elsewhere and runs else None
        if first.parts:
            time.sleep(max(0.0, TICK - (time.monotonic() - began)))
            global_generators.shift()
            findings += _seed_findings(attempts, _attempt(build, builder, seeds[0]).without_data())
        if process is not None:
            findings += _elsewhere_findings(seeds[0], first, process)
    findings += _speed_findings([attempt.seconds for attempt in attempts.values()])
    return Inspection(tuple(findings), first.scenario)


def _signature_faults(spec: Spec, builder: Builder, reserved: tuple[str, ...]) -> list[str]:
    """Return what is wrong with the builder's arguments, and with each of the options that are given."""
    found = options.signature_faults(builder, reserved)
    needed = {key: value for key, value in spec.options.items() if _is_required(builder, key)}
    for given in (spec.options, *({**needed, key: value} for key, value in spec.options.items())):
        try:
            complete_scenario(Spec(spec.name, given))
        except InputError as error:
            found.append(str(error))
    return list(dict.fromkeys(found))


def _is_required(builder: Builder, key: str) -> bool:
    parameter = inspect.signature(builder).parameters.get(key)
    return parameter is not None and parameter.default is inspect.Parameter.empty


def _call_of(builder: Builder, reserved: Mapping[str, Any]) -> Callable[[int], Scenario] | None:
    """Return how to call a builder with a faulty signature all the same, at its own defaults, to see what else is wrong.

    None where it cannot be called like that.
    """
    signature = inspect.signature(builder)
    taken = {name: value for name, value in reserved.items() if name in signature.parameters}
    try:
        signature.bind(**taken)
    except TypeError:
        return None

    def call(seed: int) -> Scenario:
        try:
            built = builder(**(taken | ({"seed": seed} if "seed" in taken else {})))
        except InputError as error:
            raise InputError(str(error)) from error
        except BaseException as error:
            if is_interrupt(error):
                raise
            raise InputError(f"failed with {one_line(error)}{options.place_in(error, builder)}") from error
        return check_scenario(built, "it")

    return call


def _attempt(build: Callable[[int], Scenario], builder: Builder, seed: int) -> _Attempt:
    attempt, before, began = _Attempt(), global_generators.states(), time.perf_counter()
    try:
        attempt.scenario = build(seed)
    except FaultyScenario as error:
        attempt.scenario, attempt.faults = error.scenario, error.faults
    except InputError as error:
        refused = error.__cause__  # by the builder, or by a Task that it made: other errors say their place already
        attempt.faults = [f"{error}{options.place_in(refused, builder) if isinstance(refused, InputError) else ''}"]
    attempt.seconds = time.perf_counter() - began
    attempt.moved = [name for name, state in global_generators.states().items() if state != before[name]]
    made = () if attempt.scenario is None else attempt.scenario.all_tasks
    if attempt.scenario is not None and all(isinstance(task, Task) for task in made):
        attempt.parts = fingerprint(attempt.scenario)
    return attempt


def _data_findings(attempts: Mapping[int, _Attempt]) -> Iterator[Finding]:
    """Tell the faults of every seed, each once, and, where the first seed has none, what is odd about it."""
    (_, first), *others = attempts.items()
    for fault in first.faults:
        yield Finding("fault", fault)
    for other, attempt in others:
        for fault in attempt.faults:
            if fault not in first.faults:
                yield Finding("fault", f"seed {other}: {fault}")
    if not first.faults and first.scenario is not None:
        on_purpose = first.scenario.test_is_train
        tests = "tests are the training samples, as it says" if on_purpose else "no test sample is a training sample"
        yield Finding("fine", f"shapes, types, labels, domain and heads fit; {tests}")
        for caution in cautions(first.scenario):
            yield Finding("warning", caution)


def _seed_findings(attempts: Mapping[int, _Attempt], again: _Attempt) -> Iterator[Finding]:
    """Tell whether the first seed determines its data, and how the others differ from it."""
    (seed, first), *others = attempts.items()
    if not again.parts:
        yield Finding("fault", f"seed {seed} could be built once and not again: {again.faults[0]}")
        return
    changed = difference(first.parts, again.parts)
    moved = " and ".join(again.moved)
    if changed:
        guilty = f"it draws from the global generator of {moved}; " if moved else ""
        yield Finding(
            "fault",
            f"seed {seed} gave other data when built again ({changed}); {guilty}draw every number from "
            "kancl.seeding.generator(seed, ...), and take nothing from the clock or from earlier calls",
        )
    else:
        yield Finding("fine", f"seed {seed} gives the same data again, a second later and with other global generators")
        if moved:
            yield Finding(
                "warning",
                f"it moves the global generator of {moved}, on which others may depend; use one of its own, e.g. "
                "kancl.seeding.generator(seed, ...)",
            )
    built = {number: other for number, other in others if other.parts}
    uneven = {number: form_difference(first.parts, other.parts) for number, other in built.items()}
    for number, form in uneven.items():
        if form:
            yield Finding(
                "fault",
                f"the seeds of one cell must agree in all but their samples, but seeds {seed} and {number} differ in {form}",
            )
    sizes = [(n, size_difference(first.parts, other.parts)) for n, other in built.items() if not uneven[n]]
    for number, size in [(number, size) for number, size in sizes if size][:1]:
        yield Finding(
            "warning",
            f"tasks differ in size between seeds ({seed} and {number} in {size}), so seeds are trained one after another "
            "instead of side by side, which is slower; draw a fixed number of samples where that can be",
        )
    same = [number for number, other in built.items() if not difference(first.parts, other.parts)]
    if same:
        yield Finding(
            "warning",
            f"seeds {', '.join(map(str, (seed, *same)))} give the same data; right if nothing is to be drawn, else draw from "
            "kancl.seeding.generator(seed, ...)",
        )
    elif built and not changed and not any(uneven.values()):
        shapes = "" if any(size for _, size in sizes) else " of equal shapes"
        yield Finding("fine", f"seeds {', '.join(map(str, (seed, *built)))} give different data{shapes}")


def _elsewhere_findings(seed: int, first: _Attempt, process: "Popen[str]") -> Iterator[Finding]:
    try:
        changed = difference(first.parts, end_elsewhere(process))
    except InputError as error:
        yield Finding("fault", f"seed {seed} can be built here and not in another process: {error}")
        return
    if changed:
        yield Finding(
            "fault",
            f"seed {seed} gives other data in another process ({changed}); let nothing depend on hash(), the order of a set, "
            "or on what was drawn when the file was loaded",
        )
    else:
        yield Finding("fine", f"seed {seed} gives the same data in another process")


def _speed_findings(seconds: list[float]) -> Iterator[Finding]:
    usual = min(seconds)  # the first build also loads libraries
    if usual > SLOW:
        yield Finding(
            "warning",
            f"building one seed takes {usual:.1f} s, and a run builds each of its seeds; compute what seeds share once",
        )
