"""Guards the options of every scenario: what skip, pretrain, cycles and blur make of a scenario, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kancl.errors import InputError
from kancl.options import Spec, parse_spec
from kancl.registry import Builder, Registry
from runners.stream.stack import stack
from scenarios import Scenario, Task, build_scenario, check_scenario, complete_scenario, scenarios
from scenarios.data.files import DATA_ROOT
from scenarios.streams import as_stream, blurred, pretrained, repeated, share_of_later, skipped

NAMES = scenarios.names()


def task(name: str, start: float, active: tuple[int, ...] | None = None) -> Task:
    x = torch.arange(8.0)[:, None] / 8 + start
    if active is None:
        return Task(name, (x[::2], x[::2]), (x[1::2], x[1::2]), active)
    y = torch.tensor(active).repeat(4 // len(active))
    return Task(name, (x[::2], y), (x[1::2], y), active)


def abcd(**more: Any) -> Scenario:
    tasks = tuple(task(name, start) for start, name in enumerate("ABCD"))
    overlap = {"joint": torch.arange(16.0).view(4, 4)}
    return Scenario(tasks, "mse", overlap=overlap, **more)


def names(scenario: Scenario) -> list[str]:
    return [own.name for own in scenario.tasks]


def spec(text: str) -> Spec:
    return complete_scenario(parse_spec(text))


@pytest.fixture
def mine(request: pytest.FixtureRequest) -> Any:
    """Register a builder under a name of this test."""
    added = []

    def register(builder: Builder) -> str:
        name = f"of-{request.node.name.partition('[')[0].replace('_', '-')}"
        scenarios.register(name)(builder)
        added.append(name)
        return name

    yield register
    registry: Registry = scenarios
    for name in added:
        del registry._entries[name]


# What each makes of the tasks.


@pytest.mark.parametrize(
    ("options", "beforehand", "sequence"),
    [
        ({}, "", "A B C D"),
        ({"skip": 1}, "", "B C D"),
        ({"pretrain": 2}, "A B", "C D"),
        ({"cycles": 3}, "", "A B C D A(2) B(2) C(2) D(2) A(3) B(3) C(3) D(3)"),
        ({"skip": 1, "pretrain": 1, "cycles": 2}, "B", "C D C(2) D(2)"),
        ({"skip": 2, "pretrain": 1, "cycles": 2, "blur": 0.5}, "C", "D D(2)"),
    ],
)
def test_the_order_of_tasks(options: dict[str, Any], beforehand: str, sequence: str) -> None:
    stream = as_stream(abcd(), **options)
    assert [own.name for own in stream.pretrain] == beforehand.split()
    assert [name.replace(" ", "") for name in names(stream)] == sequence.split()
    assert stream.blur == options.get("blur", 0.0)


def test_nothing_asked_for_changes_nothing() -> None:
    scenario = abcd()
    assert as_stream(scenario) is scenario


def test_a_later_visit_has_the_very_data_of_the_first() -> None:
    stream = repeated(abcd(), 2)
    for first, later in zip(stream.tasks[:4], stream.tasks[4:], strict=True):
        assert all(a is b for a, b in zip((*first.train, *first.test), (*later.train, *later.test), strict=True))


def test_the_overlap_follows_the_tasks() -> None:
    table = np.arange(16.0).reshape(4, 4)
    np.testing.assert_array_equal(skipped(abcd(), 1).overlap["joint"], table[1:, 1:])
    np.testing.assert_array_equal(pretrained(abcd(), 3).overlap["joint"], table[3:, 3:])
    np.testing.assert_array_equal(repeated(abcd(), 2).overlap["joint"], np.tile(table, (2, 2)))


def test_pretraining_of_the_option_comes_after_that_of_the_author() -> None:
    stream = pretrained(abcd(pretrain=(task("own", 9),)), 1)
    assert [own.name for own in stream.pretrain] == ["own", "A"]


def test_the_control_of_pretraining_has_the_same_networks() -> None:
    """Same inputs' range, same outputs: what was left out still counts for both."""
    one, other = pretrained(abcd(), 1), skipped(abcd(), 1)
    for end, expected in zip(one.input_range(), (0.0, 3.875), strict=True):
        assert end.tolist() == [expected]
    assert [end.tolist() for end in one.input_range()] == [end.tolist() for end in other.input_range()]
    classes = Scenario((task("A", 0, (0, 1, 2, 3)), task("B", 1, (0, 1))), "cross-entropy", setting="task")
    assert pretrained(classes, 1).outputs == skipped(classes, 1).outputs == 4


def test_outputs_and_range_include_pretraining() -> None:
    classes = [
        Task(str(c), (torch.rand(4, 2) + c, torch.full((4,), c)), (torch.rand(4, 2) + c, torch.full((4,), c))) for c in (0, 5)
    ]
    scenario = Scenario((classes[0],), "cross-entropy", pretrain=(classes[1],))
    assert scenario.outputs == 6
    low, high = scenario.input_range()
    assert (low < 1).all()
    assert (high > 5).all()


# The mixture.


@pytest.mark.parametrize("blur", [0.0, 0.25, 1.0])
def test_the_share_rises_linearly_around_the_border(blur: float) -> None:
    for u in np.linspace(2.4, 3.6, 49):
        expected = np.interp(u, [3 - blur / 2, 3 + blur / 2], [0, 1]) if blur else float(u >= 3)
        assert share_of_later(float(u), 3, blur) == pytest.approx(expected, abs=1e-12)


def test_a_whole_blur_never_stands_still_between_the_first_and_the_last_half_phase() -> None:
    inner = [share_of_later(u, round(u), 1.0) for u in (0.6, 0.9, 1.2, 1.45, 1.6, 2.4)]
    assert inner == pytest.approx([0.1, 0.4, 0.7, 0.95, 0.1, 0.9])


# What is refused, and how.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("skip=4", "skip must be from 0 to 3, so that one of the 4 tasks is left, got 4"),
        ("skip=-1", "skip must be from 0 to 3, .* got -1"),
        ("pretrain=7", "pretrain must be from 0 to 3, .* got 7"),
        ("skip=2,pretrain=2", "pretrain must be from 0 to 1, so that one of the 2 tasks is left, got 2"),
        ("cycles=0", "cycles must be from 1 to 2500 for 4 tasks, got 0"),
        ("cycles=2501", "cycles must be from 1 to 2500 for 4 tasks, got 2501"),
        ("blur=1.5", r"blur must be from 0 .* to 1 .*, got 1.5"),
        ("blur=-0.1", r"got -0.1"),
    ],
)
def test_what_is_out_of_range_is_refused_with_the_numbers(mine: Callable[[Builder], str], options: str, message: str) -> None:
    name = mine(lambda seed: abcd())
    with pytest.raises(InputError, match=f"{name}: .*{message}"):
        build_scenario(spec(f"{name}:{options}"), 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("skip=half", "option skip expects int, got 'half'"),
        ("cycle=2", "has no option 'cycle'; did you mean cycles"),
        ("slop=1", "has no option 'slop'; did you mean slope"),
        ("xyz=1", "it has: .*slope.*, skip, pretrain, cycles, blur"),
    ],
)
def test_a_slip_is_met_where_options_are_completed(options: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        spec(f"gaussian-peaks:{options}")


@pytest.mark.parametrize("name", ["skip", "pretrain", "cycles", "blur"])
def test_an_own_option_of_such_a_name_is_refused(mine: Callable[[Builder], str], name: str) -> None:
    namespace: dict[str, Any] = {"abcd": abcd}
    exec(f"def build(seed: int, {name}: int = 1): return abcd()", namespace)
    said = mine(namespace["build"])
    with pytest.raises(InputError, match=f"{said} has an option '{name}' of its own, .* another name"):
        spec(said)


@pytest.mark.parametrize("text", ["gaussian-peaks", "split-digits:setting=task"])
def test_defaults_stay_out_of_the_spec(text: str) -> None:
    plain = spec(text)
    written = f"{text}{',' if ':' in text else ':'}skip=0,pretrain=0,cycles=1,blur=0"
    assert spec(written) == plain
    assert not {"skip", "pretrain", "cycles", "blur"} & plain.options.keys()
    assert spec(f"{text}{',' if ':' in text else ':'}cycles=2").options == {**plain.options, "cycles": 2}


# The check.


def faults_of(scenario: Scenario) -> str:
    with pytest.raises(InputError) as caught:
        check_scenario(scenario, "mine")
    return str(caught.value)


def test_pretraining_is_checked_like_the_sequence() -> None:
    good = task("P", 7)
    x, y = good.train
    wide = Task("P", (torch.cat([x, x], 1), y), good.test)
    assert "task 'P', train: inputs have 2 columns" in faults_of(abcd(pretrain=(wide,)))
    assert "pretrain must be scenarios.Task objects, got str" in faults_of(abcd(pretrain=("P",)))
    assert "task 'P', train: inputs hold NaN" in faults_of(abcd(pretrain=(Task("P", (x * torch.nan, y), good.test),)))
    assert "'P': 8 of 8 samples lie outside the domain" in faults_of(abcd(pretrain=(good,), domain=((0.0, 4.0),)))
    assert "task names must differ" in faults_of(abcd(pretrain=(task("A", 7),)))
    check_scenario(abcd(pretrain=(good,)))


def test_labels_and_heads_of_pretraining_are_checked() -> None:
    tasks = (task("A", 0, (0, 1)), task("B", 1, (2, 3)))
    bad = Task(
        "P",
        (torch.arange(4.0)[:, None] + 5, torch.tensor([0, 0, 3, 3])),
        (torch.arange(4.0)[:, None] + 9, torch.zeros(4).long()),
    )
    assert "give active=(...) to every task" in faults_of(Scenario(tasks, "cross-entropy", 4, "task", pretrain=(bad,)))
    headed = Task("P", bad.train, bad.test, active=(0, 1))
    assert "'P', train: labels 3 are not among" in faults_of(Scenario(tasks, "cross-entropy", 4, "task", pretrain=(headed,)))


def test_test_samples_in_pretraining_are_a_leak() -> None:
    first = abcd().tasks[0]
    leak = Task("P", (first.test[0], first.test[1]), (first.test[0] + 50, first.test[1]))
    assert "task 'A': 4 of 4 test samples are also training samples" in faults_of(abcd(pretrain=(leak,)))


@pytest.mark.parametrize("inputs", [3, 40])
def test_a_leak_is_found_whatever_the_width(inputs: int) -> None:
    """Wide samples are compared by digests."""
    x = torch.rand(20, inputs, generator=torch.Generator().manual_seed(0))
    x[3, 0], x[12] = 0.0, x[3]
    x[12, 0] = -0.0
    scenario = Scenario((Task("A", (x[:10], x[:10, :1]), (x[10:], x[10:, :1])),), "mse")
    assert "1 of 10 test samples are also training samples" in faults_of(scenario)


@pytest.mark.parametrize("blur", [-0.5, 1.01, float("nan"), True, "half"])
def test_a_blur_out_of_range_is_a_fault(blur: Any) -> None:
    assert "blur must be a number from 0 to 1" in faults_of(abcd(blur=blur))


def test_what_is_wrong_with_a_repeated_task_is_said_once() -> None:
    first = abcd().tasks[0]
    broken = Scenario((Task("A", (first.train[0], first.train[1] * torch.nan), first.test),), "mse")
    assert faults_of(repeated(broken, 3)).count("targets hold NaN") == 1


# Every registered scenario.


OPTIONS: tuple[dict[str, Any], ...] = ({"skip": 1}, {"pretrain": 1}, {"cycles": 2}, {"blur": 0.5})
ALL_OF_THEM: dict[str, Any] = {"skip": 1, "pretrain": 1, "cycles": 2, "blur": 1}


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_stream_too(name: str, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each option alone, as the seeds' scenarios are stacked, and all at once from the text that asks for them."""
    monkeypatch.chdir(data_root.parent)  # where the folder of data files is found by its usual name
    plain = build_scenario(spec(name), 3)
    count = len(plain.tasks)
    for options in OPTIONS:
        if sum(options.get(part, 0) for part in ("skip", "pretrain")) < count:
            alone = as_stream(plain, **options)
            check_scenario(alone, name)
            assert_a_stream_of(plain, options, list(alone.pretrain), list(alone.tasks), alone.blur)
    if count <= 2:
        pytest.skip(f"{name} has {count} tasks")
    stream = stack(spec(f"{name}:{','.join(f'{option}={value}' for option, value in ALL_OF_THEM.items())}"), (3, 1))
    pretrain = [] if stream.pretrain is None else [_as_task(stream.pretrain)]
    assert_a_stream_of(plain, ALL_OF_THEM, pretrain, list(map(_as_task, stream.train)), stream.blur)
    assert len(stream.test) == len(stream.train)
    rest = [own.name for own in plain.tasks[2:]]
    assert list(stream.names[: len(rest)]) == rest or stream.names[0] == "task 1"


def _as_task(samples: Any) -> Task:
    return Task("of the first seed", (samples.x[0], samples.y[0]), (samples.x[0], samples.y[0]))


def assert_a_stream_of(plain: Scenario, options: dict[str, Any], pretrain: list[Task], tasks: list[Task], blur: float) -> None:
    """The tasks that are left, in their order and as often as asked for, with the very samples of the plain scenario."""
    lost = options.get("skip", 0) + options.get("pretrain", 0)
    rest = plain.tasks[lost:] * options.get("cycles", 1)
    assert blur == options.get("blur", 0)
    assert len(pretrain) == options.get("pretrain", 0)
    for ours, theirs in zip([*pretrain, *tasks], [*plain.tasks[lost - len(pretrain) : lost], *rest], strict=True):
        for end, expected in zip(ours.train, theirs.train, strict=True):
            torch.testing.assert_close(end, expected, rtol=0, atol=0)


def test_the_folder_of_data_files_has_one_default() -> None:
    from runners.config.cell import Cell

    assert Path(Cell.data_root) == DATA_ROOT


def test_blur_of_an_author_is_kept() -> None:
    assert as_stream(abcd(blur=0.3), cycles=2).blur == 0.3
    assert blurred(abcd(blur=0.3), 0.7).blur == 0.7
