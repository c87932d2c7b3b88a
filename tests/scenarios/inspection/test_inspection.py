"""Guards the inspection of scenarios: every fault and oddity an author can make is caused here, and is told with all others."""

import itertools
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from kancl.errors import InputError
from kancl.options import Spec, parse_spec
from kancl.seeding import generator
from scenarios import Scenario, Task, scenarios
from scenarios.inspection.inspection import TICK, Inspection, inspect_scenario
from scenarios.streams import pretrained

Builder = Callable[..., Any]


@pytest.fixture
def inspect() -> Iterator[Callable[..., Inspection]]:
    """Inspect a builder that is registered for the length of one test."""

    def inspected(builder: Builder, tick: float = 0.0, **options: Any) -> Inspection:
        scenarios.register("mine")(builder)
        return inspect_scenario(Spec("mine", options), elsewhere=False, tick=tick)

    yield inspected
    del scenarios._entries["mine"]


def told(found: Inspection, level: str) -> list[str]:
    return [finding.text for finding in found.findings if finding.level == level]


def uniform(seed: int, samples: int = 40, purpose: int = 0, inputs: int = 2) -> Tensor:
    return torch.rand(samples, inputs, generator=generator(seed, "inspected", purpose))


def task(seed: int, name: str = "a", **changed: Any) -> Task:
    purpose = sum(map(ord, name))
    x, fresh = uniform(seed, purpose=purpose), uniform(seed, purpose=purpose + 1000)
    return Task(name, **{"train": (x, x.sum(1, keepdim=True)), "test": (fresh, fresh.sum(1, keepdim=True)), **changed})


def regression(seed: int, *tasks: Task, **more: Any) -> Scenario:
    return Scenario(tasks or (task(seed, "a"), task(seed, "b")), "mse", **more)


def classes(seed: int, *labels: list[int], test: list[list[int]] | None = None, **more: Any) -> Scenario:
    tasks = []
    for number, (train, own) in enumerate(zip(labels, test or labels, strict=True)):
        parts = [(uniform(seed, len(y), 10 * number + k), torch.tensor(y)) for k, y in enumerate((train, own))]
        tasks.append(Task(f"task {number}", parts[0], parts[1]))
    return Scenario(tuple(tasks), "cross-entropy", **more)


def documented(seed: int, tasks: int = 2) -> Scenario:
    """Sums of two numbers."""
    return regression(seed)


def test_what_is_right_has_neither_fault_nor_warning(inspect: Callable[..., Inspection]) -> None:
    found = inspect(documented)
    assert told(found, "fault") == told(found, "warning") == []
    assert len(told(found, "fine")) == 4
    assert isinstance(found.scenario, Scenario)


# Files and signatures.


def faulty_signature(seed, scale, tasks: int = "three", *more, kind: Tensor = (), **rest):  # type: ignore[no-untyped-def]
    return regression(0)


def test_all_faults_of_a_signature_are_told_at_once(inspect: Callable[..., Inspection]) -> None:
    faults = told(inspect(faulty_signature), "fault")
    for part in ("'scale' of faulty_signature has no type", "takes *more", "takes *rest", "option tasks expects int", "'kind'"):
        assert [fault for fault in faults if part in fault], (part, faults)


def test_a_missing_seed_is_told_together_with_faulty_data(inspect: Callable[..., Inspection]) -> None:
    def mine(tasks=3):  # type: ignore[no-untyped-def]
        return regression(0, task(0, "a"), task(0, "a"))

    faults = " ".join(told(inspect(mine), "fault"))
    for part in ("must take the argument 'seed'", "'tasks' of mine has no type annotation", "task names must differ"):
        assert part in faults


def test_arguments_by_position_only_are_refused(inspect: Callable[..., Inspection]) -> None:
    def mine(seed: int, /) -> Scenario:
        return regression(seed)

    (fault,) = told(inspect(mine), "fault")
    assert "'seed' by position only" in fault


def test_all_options_that_are_given_wrongly_are_told(inspect: Callable[..., Inspection]) -> None:
    faults = told(inspect(documented, task=3, samples=2, tasks="many"), "fault")
    assert [fault for fault in faults if "did you mean tasks?" in fault]
    assert [fault for fault in faults if "'samples'" in fault]
    assert [fault for fault in faults if "tasks expects int, got 'many'" in fault]


FILES = {
    "syntax": ("def mine(seed: int):\n    return (\n", r"file\.py cannot be imported: SyntaxError: .*line 2"),
    "import": ("import kancl\nimport nobody_has_this\n", r"file\.py cannot be imported: ModuleNotFoundError: .*file\.py:2\)"),
    "no function": ("def other(seed: int): ...\n", r"has no scenario 'mine'; it defines: other"),
    "exception": (
        'def mine(seed: int):\n    "X."\n    return helper()\n\n\ndef helper():\n    return 1 / 0\n',
        r"ZeroDivisionError.*file\.py:7\)",
    ),
    "no scenario": ('def mine(seed: int):\n    "X."\n', r"must return a scenarios\.Scenario, got NoneType"),
    "refused": (
        'from scenarios import Task\n\n\ndef mine(seed: int):\n    "X."\n    return Task("a", 1, 2)\n',
        r"train must be a pair .*file\.py:6\)",
    ),
    "exit": ('def mine(seed: int):\n    "X."\n    raise SystemExit(3)\n', r"failed with SystemExit: 3 .*file\.py:3\)"),
}


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Callable[[str], Spec]]:
    def write(content: str) -> Spec:
        (tmp_path / "file.py").write_text(content)
        return parse_spec(f"{tmp_path}/file.py:mine")

    yield write
    sys.modules.pop(f"_kancl_file_{(tmp_path / 'file.py').resolve()}", None)


@pytest.mark.parametrize("what", FILES)
def test_files_are_told_with_the_line(file: Callable[[str], Spec], what: str) -> None:
    import re

    content, message = FILES[what]
    (fault,) = told(inspect_scenario(file(content), elsewhere=False, tick=0), "fault")
    assert re.search(message, fault, re.DOTALL), fault


# Data.


def test_all_faults_of_the_data_are_told_beside_those_of_the_seeds(inspect: Callable[..., Inspection]) -> None:
    count = itertools.count(1)

    def mine(seed: int) -> Scenario:
        """Everything is wrong."""
        broken = torch.full((3, 2), torch.nan)
        leak = task(seed, "b")
        first = Task("a", (broken, torch.ones(3, 1)), (uniform(seed, 3), torch.full((3, 1), float(next(count)))))
        return regression(seed, first, Task("b", leak.train, leak.train), domain=((0.0, 1.0),))

    faults = " ".join(told(inspect(mine), "fault"))
    for part in ("NaN or infinity in 3 of 3", "40 of 40 test samples are also", "domain has 1 ranges", "gave other data"):
        assert part in faults


def test_faults_of_one_seed_alone_name_it(inspect: Callable[..., Inspection]) -> None:
    def mine(seed: int) -> Scenario:
        """Good for two seeds."""
        if seed == 1:
            raise InputError("no such seed")
        return regression(seed, setting="domain" if seed != 2 else "online")  # type: ignore[arg-type]

    faults = told(inspect(mine), "fault")
    assert [fault for fault in faults if fault.startswith("seed 1: ") and "no such seed" in fault]
    assert [fault for fault in faults if fault.startswith("seed 2: setting must be")]


def nearly(seed: int) -> Scenario:
    x = uniform(seed, 100)
    shaken = torch.cat([x[:60] + 1e-7, uniform(seed, 40, 1)])
    return regression(seed, Task("a", (x, x[:, :1]), (shaken, shaken[:, :1])))


def constant_column(seed: int) -> Scenario:
    x, fresh = (uniform(seed, purpose=k) * torch.tensor([1.0, 0.0]) for k in (1, 2))
    return regression(seed, Task("a", (x, x[:, :1]), (fresh, fresh[:, :1])))


def constant_inputs(seed: int) -> Scenario:
    x, fresh = torch.ones(9, 2), torch.zeros(9, 2)
    return regression(seed, Task("a", (x, uniform(seed, 9, inputs=1)), (fresh, uniform(seed, 9, inputs=1))))


def scaled(seed: int, inputs: float = 1.0, targets: float = 1.0, offset: float = 0.0) -> Scenario:
    x, fresh = uniform(seed, purpose=1), uniform(seed, purpose=2)
    return regression(
        seed, Task("a", (x * inputs, x[:, :1] * targets + offset), (fresh * inputs, fresh[:, :1] * targets + offset))
    )


def twice_the_same(seed: int) -> Scenario:
    one = task(seed, "a")
    return regression(seed, one, Task("again", one.train, one.test))


def separate_tests(seed: int) -> Scenario:
    return regression(seed, test_is_train=True)


def constant_targets(seed: int) -> Scenario:
    x, fresh = uniform(seed, purpose=1), uniform(seed, purpose=2)
    return regression(seed, task(seed, "a"), Task("flat", (x, torch.ones(40, 1)), (fresh, torch.ones(40, 1))))


ODDITIES: dict[str, tuple[Callable[[int], Scenario], str]] = {
    "near duplicates": (nearly, "of its test samples are training samples but for tiny differences"),
    "a constant input": (constant_column, "inputs 1 never vary"),
    "constant inputs": (constant_inputs, "inputs are the same for every training sample"),
    "large inputs": (lambda seed: scaled(seed, inputs=255), "inputs reach 25"),
    "large targets": (lambda seed: scaled(seed, targets=1e4), "e+03, far from 1; standardise"),
    "small targets": (lambda seed: scaled(seed, targets=1e-4), "far from 1; standardise"),
    "targets with an offset": (lambda seed: scaled(seed, offset=100.0), "have a mean of 1e+02"),
    "constant targets": (constant_targets, "task 'flat': all samples have the same target"),
    "one class": (lambda seed: classes(seed, [0, 1] * 9, [2] * 9, setting="class"), "all samples have the same class"),
    "equal tasks": (twice_the_same, "tasks 'a', 'again' have the same training samples"),
    "separate tests": (separate_tests, "test_is_train=True, but no task's test inputs"),
    "unseen labels": (
        lambda seed: classes(seed, [0, 1] * 9, test=[[0, 1, 2, 2]]),
        "'task 0': labels 2 of 2 of its 4 test samples are those of none",
    ),
    "idle outputs": (lambda seed: classes(seed, [0, 2] * 9, [0, 2] * 9, outputs=5), "units 1, 3, 4 are no sample's label"),
    "class setting without new classes": (
        lambda seed: classes(seed, [0, 1] * 9, [0, 1] * 9, setting="class"), "all tasks have the same; say setting='domain'"
    ),
    "domain setting with new classes": (
        lambda seed: classes(seed, [0, 1] * 9, [2, 3] * 9), "no class is in two tasks; say setting='class'"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", ODDITIES)
def test_oddities_are_warnings(inspect: Callable[..., Inspection], what: str) -> None:
    make, message = ODDITIES[what]

    def mine(seed: int) -> Scenario:
        """Odd."""
        return make(seed)

    found = inspect(mine)
    assert told(found, "fault") == []
    assert [text for text in told(found, "warning") if message in text], told(found, "warning")


def test_labels_of_pretraining_are_no_gap(inspect: Callable[..., Inspection]) -> None:
    def mine(seed: int) -> Scenario:
        """The first two classes are learned beforehand."""
        return pretrained(classes(seed, [0, 1] * 9, [2, 3] * 9, [4, 5] * 9, setting="class"), 1)

    assert told(inspect(mine), "warning") == []


def test_strangers_in_pretraining_are_a_fault(inspect: Callable[..., Inspection]) -> None:
    def mine(seed: int) -> Scenario:
        """Not a task."""
        return replace(classes(seed, [0, 1] * 9), pretrain=("task",))  # type: ignore[arg-type]

    assert any("pretrain must be scenarios.Task objects, got str" in text for text in told(inspect(mine), "fault"))


def test_what_is_close_by_chance_or_by_design_is_no_leak(inspect: Callable[..., Inspection]) -> None:
    """Random points on a line lie close together now and then; pixels beside each other are no copies; corners are empty."""

    def line(seed: int) -> Scenario:
        """Random points on a line."""
        x, fresh = (uniform(seed, 5000, k, inputs=1) for k in (1, 2))
        return regression(seed, Task("a", (x, x), (fresh, fresh)))

    assert told(inspect(line), "warning") == []
    for name in ("split-digits", "permuted-digits", "gaussian-peaks:test=fresh,noise=0.1"):
        texts = told(inspect_scenario(parse_spec(name), elsewhere=False, tick=0), "warning")
        assert [text for text in texts if "tiny differences" in text] == []


# Seeds.


def drawn_from(source: Callable[[], Any]) -> Callable[[int], Scenario]:
    def mine(seed: int) -> Scenario:
        """Not by the seed."""
        base = task(seed, "a")
        return regression(seed, Task("a", (base.train[0], base.train[1] + float(source())), base.test))

    return mine


SOURCES: dict[str, tuple[Callable[[], Any], str]] = {
    "torch": (lambda: torch.rand(()), "global generator of torch;"),
    "numpy": (lambda: np.random.rand(), "global generator of numpy.random;"),
    "random": (random.random, "global generator of random;"),
    "earlier calls": (itertools.count().__next__, "nothing from the clock or from earlier calls"),
    # In microseconds, of which single precision can tell any two apart, however long the machine has been on.
    "the clock": (lambda: time.perf_counter_ns() // 1000 % 10**6, "training targets of task 1"),
}


@pytest.mark.parametrize("what", SOURCES)
def test_what_the_seed_does_not_determine_is_a_fault(inspect: Callable[..., Inspection], what: str) -> None:
    source, message = SOURCES[what]
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    (fault,) = told(inspect(drawn_from(source)), "fault")
    assert "seed 0 gave other data when built again (training targets of task 1)" in fault
    assert message in fault
    assert torch.equal(states[0], torch.get_rng_state())
    np.testing.assert_array_equal(states[1], np.random.get_state()[1])
    assert states[2] == random.getstate()


def test_a_clock_in_whole_seconds_is_met(inspect: Callable[..., Inspection]) -> None:
    (fault,) = told(inspect(drawn_from(lambda: int(time.time()) % 1000), tick=TICK), "fault")
    assert "gave other data when built again" in fault


def test_global_generators_that_are_seeded_are_a_warning(inspect: Callable[..., Inspection]) -> None:
    def mine(seed: int) -> Scenario:
        """Seeds what others use too."""
        np.random.seed(seed)
        torch.manual_seed(seed)
        x, fresh = torch.rand(9, 2), torch.from_numpy(np.random.rand(9, 2))
        return regression(seed, Task("a", (x, x[:, :1]), (fresh, fresh[:, :1])))

    found = inspect(mine)
    assert told(found, "fault") == []
    (warning,) = told(found, "warning")
    assert "it moves the global generator of torch and numpy.random" in warning


def test_seeds_that_give_the_same_data_are_a_warning(inspect: Callable[..., Inspection]) -> None:
    def mine(seed: int) -> Scenario:
        """Deterministic."""
        return regression(7)

    (warning,) = told(inspect(mine), "warning")
    assert "seeds 0, 1, 2 give the same data" in warning


@pytest.mark.parametrize("part", ["columns", "tasks", "outputs"])
def test_seeds_of_other_shapes_are_a_fault(inspect: Callable[..., Inspection], part: str) -> None:
    def mine(seed: int) -> Scenario:
        """Other shapes."""
        if part == "tasks":
            return regression(seed, *(task(seed, f"t{k}") for k in range(1 + seed)))
        if part == "outputs":
            return classes(seed, [0, 1] * 9, outputs=2 + seed)
        x, fresh = uniform(seed, 20, 1, 2 + seed), uniform(seed, 20, 2, 2 + seed)
        return regression(seed, Task("a", (x, x[:, :1]), (fresh, fresh[:, :1])))

    faults = told(inspect(mine), "fault")
    form = {"columns": "training inputs of task 1: numbers of shape (N, 2) and numbers of shape (N, 3)",
            "tasks": "the number of tasks", "outputs": "loss, outputs"}[part]  # fmt: skip
    assert len(faults) == 2
    assert f"seeds 0 and 1 differ in {form}" in faults[0]
    assert "seeds 0 and 2 differ" in faults[1]


def test_seeds_of_other_sizes_are_a_warning(inspect: Callable[..., Inspection]) -> None:
    def mine(seed: int) -> Scenario:
        """Other sizes."""
        x, fresh = uniform(seed, 20 + seed, 1), uniform(seed, 20, 2)
        return regression(seed, Task("a", (x, x[:, :1]), (fresh, fresh[:, :1])))

    found = inspect(mine)
    assert not told(found, "fault")
    (warning,) = told(found, "warning")
    assert "(0 and 1 in training inputs of task 1: 20 and 21 samples)" in warning
    assert "seeds 0, 1, 2 give different data" in told(found, "fine")


def test_slow_building_is_a_warning(inspect: Callable[..., Inspection], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scenarios.inspection.findings.SLOW", 0.02)

    def mine(seed: int) -> Scenario:
        """Slow."""
        time.sleep(0.05)
        return regression(seed)

    (warning,) = told(inspect(mine), "warning")
    assert "building one seed takes 0.1 s" in warning


def test_a_builder_without_docstring_is_a_warning(inspect: Callable[..., Inspection]) -> None:
    def mine(seed: int) -> Scenario:
        return regression(seed)

    (warning,) = told(inspect(mine), "warning")
    assert "docstring" in warning


# Another process.

HEAD = "import torch\nfrom scenarios import Scenario, Task\n"
BODY = """
def mine(seed: int) -> Scenario:
    "X."
    x = torch.rand(9, 1, generator=torch.Generator().manual_seed(seed))
    print("a builder may print")
    return Scenario((Task("a", (x, x * SCALE), (x + 1, x)),), "mse")
"""


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("SCALE = 2.0", "fine"),
        ("SCALE = hash('a text') % 1000 + 1.0", "fault"),
        ("import os\nSCALE = float(os.getpid())", "fault"),
    ],
    ids=["right", "hashes of texts", "drawn on loading"],
)
def test_another_process_must_give_the_same_data(file: Callable[[str], Spec], line: str, level: str) -> None:
    texts = told(inspect_scenario(file(f"{HEAD}{line}\n{BODY}"), tick=0), level)
    assert len([text for text in texts if "in another process" in text]) == 1
