"""Guards the mechanism behind split-, permuted- and rotated- scenarios, and that the digits' data and names stay."""

import hashlib
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kancl.errors import InputError
from kancl.options import Spec, parse_spec
from runners.config.request import Request
from runners.experiment.expand import expand
from runners.stream.stack import stack
from scenarios import Scenario, build_scenario, complete_scenario, scenarios
from scenarios.data.draw import draw
from scenarios.data.rotation import rotate_images, rotate_pairs
from scenarios.data.sources import DATA_SETS, FROM_FILES, load_data
from scenarios.registry import CLASSIFICATION


@pytest.fixture(autouse=True)
def _data(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(data_root.parent)


def build(text: str, seed: int = 0) -> Scenario:
    return build_scenario(parse_spec(text), seed)


def digest(scenario: Scenario) -> str:
    """A checksum of everything that a network can notice."""
    found = hashlib.sha256()
    for task in scenario.tasks:
        found.update(repr((task.name, task.active)).encode())
        for tensor in (*task.train, *task.test):
            found.update(repr((tuple(tensor.shape), str(tensor.dtype))).encode())
            found.update(tensor.contiguous().numpy().tobytes())
    found.update(repr((scenario.loss, scenario.outputs, scenario.setting, scenario.domain)).encode())
    return found.hexdigest()[:16]


STORED = {
    # From the time when each scenario of the digits was written by itself: data of seeds 0 and 3, and the key of a stored cell.
    "split-digits": ("72b3570f3c316fa4", "0d8bb695139dc919", "split-digits--kan--naive--ad613363d1"),
    "split-digits:classes_per_task=5,setting=task": (
        "e6fd1b8136026da6", "5dc8df0316792f85", "split-digits--kan--naive--c52cdbde85",
    ),
    "split-digits:setting=domain": ("2c7cb62b8d98c580", "e4ac4645b1a19e2c", "split-digits--kan--naive--8fd8ffca1a"),
    "permuted-digits": ("d8864e342a627679", "db3802771b2302b2", "permuted-digits--kan--naive--37851fcbae"),
    "permuted-digits:tasks=3": ("b4aeafac2b937475", "0711fb995a44a357", "permuted-digits--kan--naive--af9e252866"),
}  # fmt: skip


@pytest.mark.parametrize("text", STORED)
def test_stored_results_on_digits_are_found_and_made_again(text: str) -> None:
    (cell,) = expand([Request(scenarios=(text,), architectures=("kan",), seeds=2)])
    assert (digest(build(text, 0)), digest(build(text, 3)), cell.old_key) == STORED[text]


def test_a_new_option_of_the_digits_makes_another_cell() -> None:
    plain = complete_scenario(parse_spec("split-digits:order=numbered,samples=none"))
    assert plain.options == {"classes_per_task": 2, "setting": "class"}
    other = complete_scenario(parse_spec("split-digits:order=by-seed,samples=20"))
    assert other.options == {"classes_per_task": 2, "setting": "class", "order": "by-seed", "samples": 20}


def test_every_data_set_has_its_three_scenarios() -> None:
    assert set(CLASSIFICATION) == {f"{kind}-{name}" for kind in ("split", "permuted", "rotated") for name in DATA_SETS}
    for name in CLASSIFICATION:
        builder = scenarios.get(name)
        assert builder.__doc__
        assert "{" not in builder.__doc__, "a place in the text was not filled in"
        assert len(builder.__doc__.partition("\n")[0]) < 110


@pytest.mark.parametrize(("name", "setting"), [*product(DATA_SETS, ("class", "domain", "task"))])
def test_split_gives_every_class_once(name: str, setting: str, data_root: Path) -> None:
    data = load_data(name, data_root)
    per_task = {"wine": 3, "breast-cancer": 2}.get(name, 2)
    scenario = build(f"split-{name}:setting={setting},classes_per_task={per_task}", 1)
    whole = draw(data, 1, range(data.classes))
    assert scenario.outputs == (per_task if setting == "domain" else data.classes)
    assert [task.name for task in scenario.tasks] == [
        " ".join(map(str, range(first, first + per_task))) for first in range(0, data.classes, per_task)
    ]
    for part in ("train", "test"):
        xs, ys = zip(*(getattr(task, part) for task in scenario.tasks), strict=True)
        x, y = getattr(whole, part)
        assert torch.equal(torch.cat(xs), x)
        offsets = [number * per_task if setting == "domain" else 0 for number in range(len(ys))]
        assert torch.equal(torch.cat([own + offset for own, offset in zip(ys, offsets, strict=True)]), y)
    for number, task in enumerate(scenario.tasks):
        own = tuple(range(number * per_task, (number + 1) * per_task))
        assert task.active == (own if setting == "task" else None)


def test_tasks_of_a_split_are_views_of_one_tensor() -> None:
    inputs = [task.train[0] for task in build("split-mnist").tasks]
    assert len({x.untyped_storage().data_ptr() for x in inputs}) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("split-digits:classes_per_task=3", "1, 2, 5 or 10, got 3"),
        ("split-wine:classes_per_task=2", "1 or 3, got 2"),
        ("split-mnist:order=0x1x2x3x4", "1 or 5, got 2"),
        ("split-digits:order=0x1x2,classes_per_task=2", "1 or 3, got 2"),
        ("split-wine:setting=domain", "nothing to tell apart"),
        ("split-breast-cancer:setting=task", "nothing to tell apart"),
        ("split-digits:order=0x1x1x2", "different classes of 0 to 9"),
        ("split-digits:order=0x10", "different classes of 0 to 9"),
        ("split-digits:samples=0", "samples must be 1 to"),
        ("split-mnist:samples=7", "samples must be 1 to 6"),
        ("permuted-wine:tasks=0", "tasks must be at least 1"),
        ("rotated-wine:tasks=0", "needs tasks >= 1"),
        ("rotated-digits:degrees=0", "angle other than 0"),
        ("kanbefair:data=digits,features=random-conv", "at least 12 x 12"),
    ],
)
def test_impossible_options_are_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(text)


def test_a_given_order_numbers_the_outputs_and_may_leave_classes_out() -> None:
    plain, given = build("split-digits:classes_per_task=1", 2), build("split-digits:order=7x2x9x0", 2)
    assert [task.name for task in given.tasks] == ["7 2", "9 0"]
    assert given.outputs == 4
    for task, classes in zip(given.tasks, ((7, 2), (9, 0)), strict=True):
        for number, label in enumerate(classes):
            place = (7, 2, 9, 0).index(label)
            assert torch.equal(task.train[0][task.train[1] == place], plain.tasks[label].train[0]), number


@pytest.mark.parametrize("name", ["digits", "wine", "fashion-mnist"])
def test_an_order_by_seed_differs_by_seed_and_can_be_stacked(name: str) -> None:
    names = [tuple(task.name for task in build(f"split-{name}:order=by-seed", seed).tasks) for seed in range(6)]
    classes = {tuple(sorted(" ".join(order).split())) for order in names}
    assert classes == {tuple(str(label) for label in range(3 if name == "wine" else 10))}
    assert len(set(names)) > 1
    setting = "class" if name == "wine" else "task"
    stream = stack(complete_scenario(Spec(f"split-{name}", {"order": "by-seed", "setting": setting})), tuple(range(4)))
    assert stream.names[0] == "task 1"


@pytest.mark.parametrize("name", DATA_SETS)
def test_permuted_inputs_are_one_permutation_for_training_and_test(name: str) -> None:
    scenario = build(f"permuted-{name}:tasks=3", 5)
    first = scenario.tasks[0]
    whole = torch.cat([first.train[0], first.test[0]]).numpy()
    for task in scenario.tasks[1:]:
        again = torch.cat([task.train[0], task.test[0]]).numpy()
        # As sets of columns they are equal, as lists they are not.
        assert sorted(map(bytes, whole.T.copy())) == sorted(map(bytes, again.T.copy()))
        assert not np.array_equal(whole, again)
        assert torch.equal(task.train[1], first.train[1])


@pytest.mark.parametrize("name", DATA_SETS)
def test_rotated_tasks_turn_by_equal_steps(name: str, data_root: Path) -> None:
    scenario = build(f"rotated-{name}:tasks=3,degrees=90", 2)
    data = load_data(name, data_root)
    drawn = draw(data, 2, range(data.classes))
    assert [task.name for task in scenario.tasks] == ["0 degrees", "45 degrees", "90 degrees"]
    for task, angle in zip(scenario.tasks, (0.0, 45.0, 90.0), strict=True):
        for (x, y), (ours, label) in ((drawn.train, task.train), (drawn.test, task.test)):
            expected = rotate_pairs(x, angle) if data.image_shape is None else rotate_images(x, data.image_shape, angle)
            torch.testing.assert_close(ours, expected, atol=1e-6, rtol=0)
            assert torch.equal(label, y)


@pytest.mark.parametrize("name", FROM_FILES)
def test_features_are_what_a_network_sees(name: str) -> None:
    for kind in ("split", "permuted:tasks=2", "rotated:tasks=2"):
        mechanism, _, rest = kind.partition(":")
        scenario = build(f"{mechanism}-{name}:{rest + ',' if rest else ''}features=random-conv")
        assert scenario.inputs == 512
        assert scenario.domain == ((-3.0, 3.0),) * 512
        assert scenario.image_shape is None
        assert set(scenario.files)
        first = torch.cat([task.train[0] for task in scenario.tasks]) if mechanism == "split" else scenario.tasks[0].train[0]
        inside = (first.abs() < 2.99).all(0)  # columns of which nothing was held at 3 deviations
        assert inside.sum() > 100
        torch.testing.assert_close(first[:, inside].mean(0), torch.zeros(int(inside.sum())), atol=1e-4, rtol=0)
    split, upright = build(f"split-{name}:features=random-conv"), scenario.tasks[0]
    torch.testing.assert_close(torch.cat([task.train[0] for task in split.tasks]), upright.train[0], atol=1e-5, rtol=0)


def test_kanbefair_is_three_times_three_digits_under_nine_outputs() -> None:
    for text in ("kanbefair", "kanbefair:data=digits"):
        scenario = build(text)
        assert [task.name for task in scenario.tasks] == ["0 1 2", "3 4 5", "6 7 8"]
        assert (scenario.outputs, scenario.setting) == (9, "class")
        assert [task.train[1].unique().tolist() for task in scenario.tasks] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert not build("kanbefair:data=digits").files
    assert len(build("kanbefair").files) == 4


@pytest.mark.parametrize("name", ["permuted-wine", "rotated-breast-cancer", "rotated-digits"])
@pytest.mark.parametrize("architecture", ["kan", "mlp"])
def test_advice_teaches_both_every_task(name: str, architecture: str, run_naive: Any) -> None:
    """Right after a task each is far above its best constant, in one or two seconds for eight seeds."""
    result = run_naive(name, architecture)
    learned = np.stack([result.R["accuracy"][:, j + 1, j] for j in range(len(result.tasks))], 1)
    assert learned.mean() > 0.94
    assert (learned > result.null["accuracy"] + 0.2).all()


@pytest.fixture
def run_naive() -> Any:
    from runners.run import run_cell

    def run(name: str, architecture: str) -> Any:
        (cell,) = expand([Request(scenarios=(f"{name}:tasks=2",), architectures=(architecture,), seeds=2, evaluations=2)])
        return run_cell(cell, stack(cell.scenario, cell.seeds))

    return run
