"""What an author is told of the seeds that were built: faults, warnings, and what is fine."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from subprocess import Popen
from typing import Literal

from kancl.errors import InputError
from scenarios.inspection.attempts import Attempt
from scenarios.inspection.cautions import cautions
from scenarios.inspection.fingerprint import difference, end_elsewhere, form_difference, size_difference

SLOW = 2.0
"""Seconds of building one seed that are worth a warning."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at, and what to do where it is not right.

    ``fault``: it cannot be run; ``warning``: it can, and is perhaps not meant.
    """

    level: Literal["fine", "warning", "fault"]
    text: str


def data_findings(attempts: Mapping[int, Attempt]) -> Iterator[Finding]:
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


def seed_findings(attempts: Mapping[int, Attempt], again: Attempt) -> Iterator[Finding]:
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


def elsewhere_findings(seed: int, first: Attempt, process: "Popen[str]") -> Iterator[Finding]:
    """Tell whether another process, begun by :func:`scenarios.inspection.fingerprint.begin_elsewhere`, gives the same data."""
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


def speed_findings(seconds: list[float]) -> Iterator[Finding]:
    """Tell that building is slow, by the seconds that each seed took."""
    usual = min(seconds)  # the first build also loads libraries
    if usual > SLOW:
        yield Finding(
            "warning",
            f"building one seed takes {usual:.1f} s, and a run builds each of its seeds; compute what seeds share once",
        )
