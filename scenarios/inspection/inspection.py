"""Everything that is wrong or odd with a scenario of one's own, told at once: its file, its signature, its data, its seeds.

A scenario is built for a few seeds, and the first of them twice more: in another state of the global generators with the clock
moved on, and in another process.
"""

import inspect
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kancl import global_generators, options
from kancl.errors import InputError
from kancl.options import Spec
from kancl.registry import Builder
from scenarios.build import build_scenario, complete_scenario, reserved_of
from scenarios.data.files import DATA_ROOT, at_home
from scenarios.inspection.attempts import attempt, call_of
from scenarios.inspection.findings import Finding, data_findings, elsewhere_findings, seed_findings, speed_findings
from scenarios.inspection.fingerprint import begin_elsewhere
from scenarios.registry import scenarios
from scenarios.task import Scenario

SEEDS = (0, 1, 2)
TICK = 1.1
"""Seconds between the two builds of one seed: more than one, so that a clock read in whole seconds has moved."""


@dataclass(frozen=True)
class Inspection:
    """What was found, and the scenario of the first seed if it could be built."""

    findings: tuple[Finding, ...]
    scenario: Scenario | None = None

    @property
    def faults(self) -> list[Finding]:
        """The findings for which the scenario cannot be run."""
        return [finding for finding in self.findings if finding.level == "fault"]


def inspect_scenario(
    spec: Spec, data_root: Path = DATA_ROOT, seeds: tuple[int, ...] = SEEDS, elsewhere: bool = True, tick: float = TICK
) -> Inspection:
    """Look at a scenario from all sides and tell everything that is wrong with it.

    Args:
        spec: the scenario and its options; those that are missing get their defaults.
        data_root: the folder of data files, for builders with a parameter of that name.
        seeds: at least two; each is built.
        elsewhere: build the first seed in another process too, as far as nothing is wrong with it in this one.
        tick: seconds at least between the two builds of the first seed.

    Returns:
        Every finding, and the first seed's scenario; faults are findings, so nothing is raised for them.
    """
    try:
        builder = scenarios.get(spec.name)
        reserved = reserved_of(builder)
    except (InputError, TypeError, ValueError) as error:  # the latter: what can be called and has no signature
        return Inspection((Finding("fault", str(error)),))
    findings = [Finding("fault", fault) for fault in _signature_faults(spec, builder, reserved)]
    if findings:
        build = call_of(builder, {"seed": seeds[0], "data_root": at_home(data_root)})
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
        began, first = time.monotonic(), attempt(build, builder, seeds[0])
        attempts = {seeds[0]: first, **{seed: attempt(build, builder, seed).without_data() for seed in seeds[1:]}}
        findings += data_findings(attempts)
        runs = all(finding.level != "fault" for finding in findings)
        process = begin_elsewhere(spec, seeds[0], data_root) if elsewhere and runs else None
        if first.parts:
            time.sleep(max(0.0, tick - (time.monotonic() - began)))
            global_generators.shift()
            findings += seed_findings(attempts, attempt(build, builder, seeds[0]).without_data())
        if process is not None:
            findings += elsewhere_findings(seeds[0], first, process)
    findings += speed_findings([made.seconds for made in attempts.values()])
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
