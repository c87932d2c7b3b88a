"""What a scenario consists of, as hashes: those of one seed must agree always and everywhere, those of two seeds in form.

``python -m scenarios.inspection.fingerprint`` builds a scenario in a process of its own, where texts have other hashes, modules
are new and nothing was computed before; :func:`begin_elsewhere` starts that.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path

from torch import Tensor

from kancl.errors import InputError
from kancl.options import Spec
from scenarios.build import build_scenario
from scenarios.task import Scenario


@dataclass(frozen=True)
class Part:
    """One part of a scenario.

    Args:
        label: e.g. ``training inputs of task 2``.
        form: shape and kind, which must be the same for all seeds, but for the number of samples.
        digest: of the values.
        count: of samples, where it has any.
    """

    label: str
    form: str
    digest: str
    count: int | None = None


def fingerprint(scenario: Scenario) -> list[Part]:
    """Return the parts of a scenario, its tasks in order."""
    return [_part(label, value) for label, value in _values(scenario)]


def difference(one: Sequence[Part], other: Sequence[Part]) -> str:
    """Return the first part in which two fingerprints differ; nothing if they agree."""
    for ours, theirs in zip_longest(one, other):
        if ours is None or theirs is None or ours.label != theirs.label:
            return "the number of tasks"
        if ours != theirs:
            return ours.label
    return ""


def form_difference(one: Sequence[Part], other: Sequence[Part]) -> str:
    """Return the first part in whose form two fingerprints differ, with both forms; nothing if one cell can have both."""
    if len(one) != len(other):
        return "the number of tasks"
    for ours, theirs in zip(one, other, strict=True):
        if ours.form != theirs.form:
            return f"{ours.label}: {ours.form} and {theirs.form}"
    return ""


def size_difference(one: Sequence[Part], other: Sequence[Part]) -> str:
    """Return the first part of which two fingerprints of one form have other numbers of samples; nothing if they agree."""
    for ours, theirs in zip(one, other, strict=True):
        if ours.count != theirs.count:
            return f"{ours.label}: {ours.count} and {theirs.count} samples"
    return ""


def begin_elsewhere(spec: Spec, seed: int, data_root: Path) -> "subprocess.Popen[str]":
    """Start to build a scenario in another process; :func:`end_elsewhere` gives its fingerprint.

    Args:
        spec: the scenario and its options.
        seed: given to it.
        data_root: the folder of data files.
    """
    asked = {"name": spec.name, "options": dict(spec.options), "seed": seed, "data_root": str(data_root)}
    hashing = "1" if os.environ.get("PYTHONHASHSEED") == "0" else "0"  # other hashes of texts than here
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "scenarios.inspection.fingerprint", json.dumps(asked)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": hashing},
    )


def end_elsewhere(process: "subprocess.Popen[str]") -> list[Part]:
    """Wait for the other process.

    Args:
        process: of :func:`begin_elsewhere`.

    Raises:
        InputError: what went wrong there.
    """
    out, err = process.communicate()
    answer = out.rpartition(_MARK)[2]  # builders may print
    if process.returncode or not answer:
        said = err.strip().splitlines()
        raise InputError(said[-1] if said else f"it ended with exit code {process.returncode}")
    return [Part(**part) for part in json.loads(answer)]


_MARK = "fingerprint: "


def _main(asked: str) -> None:
    request = json.loads(asked)
    scenario = build_scenario(Spec(request["name"], request["options"]), request["seed"], Path(request["data_root"]))
    print("\n" + _MARK + json.dumps([asdict(part) for part in fingerprint(scenario)]))


def _values(scenario: Scenario) -> Iterator[tuple[str, object]]:
    for kind, tasks in (("pretrain task", scenario.pretrain), ("task", scenario.tasks)):
        for number, task in enumerate(tasks, 1):
            yield f"the name of {kind} {number}", task.name
            yield f"active outputs of {kind} {number}", (task.active,)
            for part, (x, y) in (("training", task.train), ("test", task.test)):
                yield f"{part} inputs of {kind} {number}", x
                yield f"{part} targets of {kind} {number}", y
    yield "the domain", str(scenario.domain)
    yield "loss, outputs, setting and blur", (scenario.loss, scenario.outputs, scenario.setting, scenario.blur)


def _part(label: str, value: object) -> Part:
    """Texts may vary with the seed; tuples are part of the form."""
    if isinstance(value, Tensor):
        content = value.detach().contiguous().numpy()
        kind = "numbers" if value.is_floating_point() else "labels"
        digest = hashlib.blake2b(str(value.dtype).encode() + content.tobytes(), digest_size=16).hexdigest()
        shape = ", ".join(["N", *map(str, value.shape[1:])])
        return Part(label, f"{kind} of shape ({shape})", digest, len(value) if value.ndim else None)
    return Part(label, "" if isinstance(value, str) else repr(value), repr(value))


if __name__ == "__main__":
    _main(sys.argv[1])
