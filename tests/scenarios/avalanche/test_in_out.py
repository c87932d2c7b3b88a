"""Guards the way from avalanche to kancl and back: sample by sample, against tensors sorted out by hand."""

import importlib
import random
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, TensorDataset

from kancl.errors import InputError
from kancl.options import Spec
from scenarios import Scenario, Task, build_scenario, check_scenario, from_avalanche, scenarios, to_avalanche
from scenarios.avalanche.incoming import MARK
from scenarios.avalanche.loading import import_avalanche
from scenarios.regression.gaussian_peaks import gaussian_peaks

KEPT = 12
"""Samples of each part of a task in the round trips: enough to see an order, few enough to be quick."""

permuted_digits, split_digits = scenarios.get("permuted-digits"), scenarios.get("split-digits")


@pytest.fixture(scope="module")
def av() -> ModuleType:
    import_avalanche()
    return importlib.import_module("avalanche.benchmarks")


@pytest.fixture(scope="module")
def utils(av: ModuleType) -> ModuleType:
    return importlib.import_module("avalanche.benchmarks.utils")


def cut(scenario: Scenario) -> Scenario:
    """The scenario at toy size: evenly spaced samples of every part."""

    def few(task: Task) -> Task:
        parts = []
        for x, y in (task.train, task.test):
            rows = torch.linspace(0, len(x) - 1, min(KEPT, len(x))).long()
            parts.append((x[rows], y[rows]))
        return Task(task.name, parts[0], parts[1], task.active)

    return replace(scenario, tasks=tuple(map(few, scenario.tasks)), pretrain=tuple(map(few, scenario.pretrain)))


def assert_same(one: Scenario, other: Scenario, names: bool = True) -> None:
    assert (one.loss, one.setting, one.outputs, len(one.tasks)) == (other.loss, other.setting, other.outputs, len(other.tasks))
    for ours, theirs in zip(one.all_tasks, other.all_tasks, strict=True):
        assert ours.active == theirs.active
        assert ours.name == theirs.name or not names
        for mine, its in zip((*ours.train, *ours.test), (*theirs.train, *theirs.test), strict=True):
            torch.testing.assert_close(mine, its, rtol=0, atol=0)  # dtypes and shapes too


def unmarked(av: ModuleType, benchmark: Any) -> Any:
    """The benchmark without what only kancl knows of it."""
    return av.CLScenario(list(benchmark.streams.values()))


def samples(experience: Any) -> list[tuple[Tensor, Any, int]]:
    data = experience.dataset.eval()
    return [(x.flatten(), torch.as_tensor(y), int(label)) for x, y, label in (data[row] for row in range(len(data)))]


# From kancl to avalanche and back.


@pytest.mark.parametrize("name", scenarios.names())
def test_every_scenario_comes_back(av: ModuleType, data_root: Path, name: str) -> None:
    built = build_scenario(Spec(name), 0, data_root)
    if built.operator is not None:
        pytest.skip(f"{name} trains an operator, which a benchmark cannot say")
    toy = cut(built)
    benchmark = to_avalanche(toy)
    assert isinstance(benchmark, av.CLScenario)
    back = from_avalanche(benchmark)
    assert_same(back, toy)
    for field in ("domain", "test_is_train", "target", "advice", "image_shape", "files"):
        assert getattr(back, field) is getattr(toy, field)


@pytest.mark.parametrize(
    "scenario",
    [
        split_digits(0),
        split_digits(0, setting="task"),
        split_digits(0, setting="domain"),
        split_digits(0, classes_per_task=5, setting="task"),
        permuted_digits(0, tasks=3),
        gaussian_peaks(0),
        gaussian_peaks(0, dims=3, test="fresh"),
    ],
    ids=lambda scenario: f"{scenario.setting}-{len(scenario.tasks)}-{scenario.inputs}",
)
def test_setting_and_heads_are_found_from_the_data_alone(av: ModuleType, scenario: Scenario) -> None:
    assert_same(from_avalanche(unmarked(av, to_avalanche(cut(scenario)))), cut(scenario), names=False)


def test_double_precision_several_outputs_and_tasks_that_come_back(av: ModuleType) -> None:
    x, y = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 2)
    scenario = Scenario((Task("a", (x, y), (x[:2] + 1, y[:2])), Task("b", (x + 2, y), (x + 3, y))), "mse")
    assert_same(from_avalanche(unmarked(av, to_avalanche(scenario))), scenario, names=False)
    a, b = split_digits(0, setting="task").tasks[:2]
    again = replace(split_digits(0, setting="task"), tasks=(a, b, Task("a again", a.train, a.test, a.active)), outputs=4)
    benchmark = to_avalanche(again)
    assert [experience.task_label for experience in benchmark.train_stream] == [0, 1, 0]
    assert_same(from_avalanche(unmarked(av, benchmark)), again, names=False)


def picture_scenario(channels: int) -> Scenario:
    """Two tasks of pictures of 2 x 3 pixels, each number another."""
    count = 2 * 3 * channels
    x = torch.arange(4.0 * count).view(4, count)
    y = torch.tensor([0, 1, 0, 1])
    tasks = (Task("a", (x, y), (x + 1000, y)), Task("b", (x + 2000, y + 2), (x + 3000, y + 2)))
    return Scenario(tasks, "cross-entropy", setting="class", image_shape=(2, 3) if channels == 1 else (2, 3, channels))


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_get_their_shape_and_lose_it_again(av: ModuleType, channels: int) -> None:
    scenario = picture_scenario(channels)
    benchmark = to_avalanche(scenario, images=True)
    (picture, _, _) = benchmark.train_stream[1].dataset[3]
    assert picture.shape == (channels, 2, 3)
    flat = scenario.tasks[1].train[0][3]
    for row, column, channel in np.ndindex(2, 3, channels):
        assert picture[channel, row, column] == flat[(row * 3 + column) * channels + channel]
    assert_same(from_avalanche(benchmark), scenario)
    plain = from_avalanche(unmarked(av, benchmark))
    assert_same(plain, scenario, names=False)
    assert plain.image_shape == scenario.image_shape
    assert plain.domain == ((0.0, 3000.0 + 24 * channels - 1),) * (6 * channels)


def test_pretraining_tasks_are_two_further_streams(av: ModuleType) -> None:
    whole = cut(split_digits(0, classes_per_task=5, setting="task"))
    scenario = replace(whole, tasks=whole.tasks[1:], pretrain=whole.tasks[:1])
    benchmark = to_avalanche(scenario)
    assert set(benchmark.streams) == {"train", "test", "pretrain", "pretrain_test"}
    assert [len(benchmark.pretrain_stream), benchmark.pretrain_stream[0].task_label] == [1, 1]
    assert_same(from_avalanche(benchmark), scenario)
    assert not from_avalanche(unmarked(av, benchmark)).pretrain


def test_what_a_benchmark_cannot_say_is_refused() -> None:
    peaks = gaussian_peaks(0)
    for wrong, message in (
        ({"operator": lambda network, x: network(x)}, "operator"),
        ({"blur": 0.5}, r"blur=0\.5.*sharp boundaries"),
    ):
        with pytest.raises(InputError, match=message):
            to_avalanche(replace(peaks, **wrong))
    with pytest.raises(InputError, match="image_shape"):
        to_avalanche(peaks, images=True)


@pytest.mark.parametrize("setting", ["class", "task", "domain"])
def test_experiences_know_their_classes_and_share_memory(av: ModuleType, setting: Any) -> None:
    scenario = split_digits(0, setting=setting)
    benchmark = to_avalanche(scenario)
    for number, (experience, task) in enumerate(zip(benchmark.train_stream, scenario.tasks, strict=True)):
        assert set(experience.classes_in_this_experience) == set(task.train[1].tolist())
        assert list(experience.dataset.targets) == task.train[1].tolist()
        assert experience.task_label == (number if setting == "task" else 0)
        x, y, label = experience.dataset[2]
        assert (y.dtype, label) == (torch.int64, experience.task_label)
        assert x.data_ptr() == task.train[0][2].data_ptr()


@pytest.mark.parametrize("scenario", [split_digits(0), gaussian_peaks(0)], ids=["classes", "regression"])
def test_naive_learns_on_it_as_it_is(av: ModuleType, scenario: Scenario) -> None:
    """One epoch with all of avalanche's usual evaluation, loss and accuracy; the loss it reports is the network's own."""
    training = importlib.import_module("avalanche.training")
    metrics = importlib.import_module("avalanche.evaluation.metrics")
    plugins = importlib.import_module("avalanche.training.plugins")
    small = cut(replace(scenario, tasks=scenario.tasks[:2]))
    benchmark = to_avalanche(small)
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="No loggers specified")
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(small.inputs, 5), nn.Tanh(), nn.Linear(5, small.outputs or 0))
        criterion = nn.CrossEntropyLoss() if small.loss == "cross-entropy" else nn.MSELoss()
        evaluator = plugins.EvaluationPlugin(metrics.loss_metrics(experience=True), metrics.accuracy_metrics(experience=True))
        strategy = training.Naive(
            model=network, optimizer=torch.optim.SGD(network.parameters(), lr=0.1), criterion=criterion,
            train_mb_size=4, train_epochs=1, eval_mb_size=64, device="cpu", evaluator=evaluator,
        )  # fmt: skip
        for experience in benchmark.train_stream:
            before = [parameter.detach().clone() for parameter in network.parameters()]
            strategy.train(experience)
            assert not any(map(torch.equal, before, network.parameters()))
        report = strategy.eval(benchmark.test_stream)
    for number, task in enumerate(small.tasks):
        (loss,) = [value for key, value in report.items() if key.startswith("Loss_Exp") and key.endswith(f"Exp{number:03}")]
        assert loss == pytest.approx(criterion(network(task.test[0]), task.test[1]).item(), rel=1e-5)


# From avalanche to kancl and back.

CLASSES = torch.tensor([0, 1, 2, 3] * 5)
PIXELS = torch.arange(20.0 * 6).view(20, 1, 2, 3)
TEST_CLASSES = torch.tensor([3, 2, 1, 0] * 2)
TEST_PIXELS = -1 - torch.arange(8.0 * 6).view(8, 1, 2, 3)


class Labelled(TensorDataset):
    """Tensors with ``targets``, as torchvision's data sets have them; avalanche wants whole numbers."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        super().__init__(x, y)
        self.targets = y.tolist()

    def __getitem__(self, row: int) -> Any:
        return self.tensors[0][row], int(self.tensors[1][row])


def raw() -> tuple[Labelled, Labelled]:
    return Labelled(PIXELS, CLASSES), Labelled(TEST_PIXELS, TEST_CLASSES)


def benchmark_of(av: ModuleType, what: str) -> Any:
    order = {"fixed_class_order": [2, 0, 3, 1]}
    if what == "class-incremental":
        return av.nc_benchmark(*raw(), 2, False, **order)
    if what == "task-incremental":
        return av.nc_benchmark(*raw(), 2, True, **order)
    if what == "task-incremental, restarting":
        return av.nc_benchmark(*raw(), 2, True, class_ids_from_zero_in_each_exp=True, **order)
    if what == "permuted":  # as PermutedMNIST is made
        (train, test), orders = raw(), (torch.arange(6), torch.tensor([5, 3, 1, 0, 2, 4]))
        sets = [
            [Labelled(d.tensors[0].flatten(1)[:, o].view(-1, 1, 2, 3), d.tensors[1]) for o in orders] for d in (train, test)
        ]
        return av.nc_benchmark(
            *sets, 2, False, shuffle=False, class_ids_from_zero_in_each_exp=True, one_dataset_per_exp=True
        )  # fmt: skip
    if what == "new instances":
        return av.ni_benchmark(*raw(), 4, balance_experiences=True, shuffle=False)
    parts = [[(x[y == k], y[y == k]) for k in range(4)] for x, y in ((PIXELS, CLASSES), (TEST_PIXELS, TEST_CLASSES))]
    return av.tensors_benchmark(*parts, task_labels=[0, 0, 0, 0])


EXPECTED: dict[str, tuple[str, int, list[list[int]], list[Any]]] = {
    # setting, outputs, the classes of each task as they were, active units
    "class-incremental": ("class", 4, [[0, 2], [1, 3]], [None, None]),
    "task-incremental": ("task", 4, [[0, 2], [1, 3]], [(0, 1), (2, 3)]),
    "task-incremental, restarting": ("task", 4, [[0, 2], [1, 3]], [(0, 1), (2, 3)]),
    "permuted": ("domain", 4, [[0, 1, 2, 3]] * 2, [None, None]),
    "new instances": ("domain", 4, [[0, 1, 2, 3]] * 4, [None] * 4),
    "tensors": ("class", 4, [[0], [1], [2], [3]], [None] * 4),
}


@pytest.mark.parametrize("what", EXPECTED)
def test_from_avalanche_and_back(av: ModuleType, what: str) -> None:
    benchmark = benchmark_of(av, what)
    scenario = check_scenario(from_avalanche(benchmark))
    setting, outputs, classes, active = EXPECTED[what]
    assert (scenario.loss, scenario.setting, scenario.outputs, scenario.image_shape) == (
        "cross-entropy",
        setting,
        outputs,
        (2, 3),
    )
    assert [task.active for task in scenario.tasks] == active
    for number, task in enumerate(scenario.tasks):
        # Every number occurs in one picture only, so a picture's sum tells which it was: its class stands in the source.
        for (x, _), pixels, source in ((task.train, PIXELS, CLASSES), (task.test, TEST_PIXELS, TEST_CLASSES)):
            sums = pixels.flatten(1).sum(1).tolist()
            assert sorted({int(source[sums.index(value)]) for value in x.sum(1).tolist()}) == classes[number]
    again = to_avalanche(scenario, images=True)
    units = [{k: k for k in range(4)}] * len(classes)
    if "task" in what:
        units = [{0: 0, 1: 1}, {0: 2, 1: 3}] if "restarting" in what else [{0: 0, 2: 1}, {1: 2, 3: 3}]
    for stream in ("train", "test"):
        ours = list(getattr(again, f"{stream}_stream"))
        theirs = list(getattr(benchmark, f"{stream}_stream"))
        theirs = theirs * len(ours) if len(theirs) == 1 else theirs
        assert len(ours) == len(theirs)
        for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            assert one.task_labels == list(other.task_labels)
            for (x, y, label), (its_x, its_y, its_label) in zip(samples(one), samples(other), strict=True):
                assert torch.equal(x, its_x)
                assert (int(y), label) == (units[number][int(its_y)], its_label)


def test_a_regression_benchmark(av: ModuleType, utils: ModuleType) -> None:
    x, y = torch.randn(6, 4), torch.randn(6)
    sets = [utils.AvalancheDataset([TensorDataset(x + k, y * k)]) for k in range(3)]
    scenario = from_avalanche(av.benchmark_from_datasets(train=sets[:2], test=sets[1:]))
    assert (scenario.loss, scenario.outputs, scenario.setting, scenario.image_shape) == ("mse", 1, "domain", None)
    for number, task in enumerate(scenario.tasks):
        for (inputs, targets), k in ((task.train, number), (task.test, number + 1)):
            assert torch.equal(inputs, x + k)
            assert torch.equal(targets, (y * k)[:, None])
    whole = from_avalanche(av.benchmark_from_datasets(train=sets[:2], test=sets[2:]))
    assert [task.test[0] is whole.tasks[0].test[0] for task in whole.tasks] == [True, True]
    few = from_avalanche(av.benchmark_from_datasets(train=sets[:2], test=sets[2:]), samples=4, test_samples=1)
    assert [(len(task.train[0]), len(task.test[0])) for task in few.tasks] == [(4, 1), (4, 1)]


def test_one_test_experience_is_divided_by_class(av: ModuleType) -> None:
    train = [(PIXELS[CLASSES.eq(k)], CLASSES[CLASSES.eq(k)]) for k in range(4)]
    benchmark = av.tensors_benchmark(train, [(TEST_PIXELS, TEST_CLASSES)], task_labels=[0] * 4, complete_test_set_only=True)
    for k, task in enumerate(from_avalanche(benchmark).tasks):
        assert torch.equal(task.test[0], TEST_PIXELS[TEST_CLASSES.eq(k)].flatten(1))


def test_eval_transforms_are_applied_and_nothing_is_drawn_from_the_global_generators(av: ModuleType) -> None:
    def train_only(x: Tensor) -> Tensor:
        raise AssertionError("a train transform was applied")

    def noisy(x: Tensor) -> Tensor:
        return x + torch.rand(1) + np.random.rand() + random.random()

    benchmark = av.nc_benchmark(*raw(), 2, False, seed=0, train_transform=train_only, eval_transform=lambda x: 10 * x)
    torch.testing.assert_close(from_avalanche(benchmark).tasks[0].train[0].sum(0) % 10, torch.zeros(6), rtol=0, atol=0)
    noise = av.nc_benchmark(*raw(), 2, False, fixed_class_order=[0, 1, 2, 3], eval_transform=noisy)
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    one, again, other = (from_avalanche(noise, seed=seed).tasks[0].train[0] for seed in (3, 3, 4))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert torch.equal(states[0], torch.get_rng_state())
    assert np.array_equal(states[1], np.random.get_state()[1])
    assert states[2] == random.getstate()


class Pictures(Dataset[Any]):
    """Pictures as PIL has them; counts how many were opened."""

    def __init__(self, array: np.ndarray, classes: Sequence[int]) -> None:
        self.array, self.targets, self.opened = array, list(classes), 0

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, row: int) -> Any:
        self.opened += 1
        return importlib.import_module("PIL.Image").fromarray(self.array[row]), self.targets[row]


def test_pictures_of_pil_are_scaled_and_only_those_kept_are_opened(av: ModuleType) -> None:
    array = np.random.default_rng(0).integers(0, 256, (40, 4, 5, 3), dtype=np.uint8)
    train, test = Pictures(array[:30], [0, 1] * 15), Pictures(array[30:], [0, 1] * 5)
    benchmark = av.nc_benchmark(train, test, 1, False, shuffle=False)
    scenario = from_avalanche(benchmark, samples=4, test_samples=2, seed=5)
    assert (train.opened, test.opened) == (8, 4)
    assert scenario.image_shape == (4, 5, 3)
    x, y = scenario.tasks[0].train
    assert y.bincount().tolist() == [4, 4]
    flat = array.reshape(40, -1).astype(np.float32) / 255
    rows = [int(np.abs(flat - image.numpy()).sum(1).argmin()) for image in x]
    np.testing.assert_allclose(x.numpy(), flat[rows], atol=1e-7)
    assert [row % 2 for row in rows] == y.tolist()
    assert max(rows) < 30
    assert rows == sorted(rows, key=lambda row: (row % 2, row))  # class after class, as avalanche has them
    other = from_avalanche(benchmark, samples=4, seed=6).tasks[0].train[0]
    assert not torch.equal(other, x)
    assert torch.equal(from_avalanche(benchmark, samples=4, seed=5).tasks[0].train[0], x)


class Experience:
    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset


class Benchmark:
    """As little as a benchmark can be."""

    def __init__(self, train: list[Any], test: list[Any]) -> None:
        self.train_stream = [Experience(data) for data in train]
        self.test_stream = [Experience(data) for data in test]


def pairs(*targets: Any, shape: tuple[int, ...] = (2,)) -> list[tuple[Tensor, Any]]:
    return [(torch.rand(shape), target) for target in targets]


GOOD = pairs(0, 1)
WRONG: dict[str, tuple[Any, str]] = {
    "no benchmark": (42, "train_stream and a test_stream, got int"),
    "no experience": (Benchmark([], [GOOD]), "train_stream has no experience"),
    "no dataset": (Benchmark([None], [GOOD]), "train experience 0 has no dataset"),
    "no samples": (Benchmark([GOOD], [[]]), "test experience 0 has no samples"),
    "no pairs": (Benchmark([[torch.rand(2)]], [GOOD]), r"samples must be \(input, target"),
    "boxes": (Benchmark([pairs({"boxes": 1})], [GOOD]), "targets must be class numbers or real numbers"),
    "several classes": (Benchmark([pairs(torch.tensor([0, 1]))], [GOOD]), r"one whole number, got one of shape \(2,\)"),
    "negative classes": (Benchmark([pairs(-1, 0)], [GOOD]), "begin at 0, got -1"),
    "texts": (Benchmark([[("a picture", 0)]], [GOOD]), "inputs must be tensors, arrays or pictures, got str"),
    "sizes in one": (Benchmark([[*GOOD, *pairs(1, shape=(3,))]], [GOOD]), r"shapes \(2,\) and \(3,\)"),
    "sizes": (Benchmark([GOOD], [pairs(0, 1, shape=(3,))]), r"inputs of one shape, got \(2,\) and \(3,\)"),
    "kinds": (Benchmark([GOOD], [pairs(0.5, 1.0)]), "whole numbers in some experiences"),
    "two tests of three": (Benchmark([GOOD] * 3, [GOOD] * 2), "3 training and 2 test experiences"),
    "nothing to test": (Benchmark([GOOD, pairs(2)], [GOOD]), r"no sample of the classes \[2\] of train experience 1"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_scenario_is_refused(what: str) -> None:
    benchmark, message = WRONG[what]
    with pytest.raises(InputError, match=message):
        from_avalanche(benchmark)


def test_labels_that_the_test_contradicts_and_empty_limits_are_refused(av: ModuleType) -> None:
    with pytest.raises(InputError, match="task labels"):
        from_avalanche(av.ni_benchmark(*raw(), 2, task_labels=True, shuffle=False))
    assert from_avalanche(av.ni_benchmark(*raw(), 2, task_labels=True, shuffle=False), setting="domain").setting == "domain"
    with pytest.raises(InputError, match="at least 1"):
        from_avalanche(Benchmark([GOOD], [GOOD]), samples=0)


def test_samples_without_targets_beside_them_are_limited_too() -> None:
    data = pairs(*([0] * 5 + [1] * 3))
    task = from_avalanche(Benchmark([data], [GOOD]), samples=2).tasks[0]
    assert task.train[1].tolist() == [0, 0, 1, 1]


def test_a_benchmark_that_lost_tasks_is_read_by_its_data(av: ModuleType) -> None:
    """The scenario that a benchmark was made from says nothing of one with another number of tasks."""
    benchmark = to_avalanche(split_digits(0))
    shorter = av.CLScenario([getattr(benchmark, f"{name}_stream")[:3] for name in ("train", "test")])
    setattr(shorter, MARK, getattr(benchmark, MARK))
    found = from_avalanche(shorter)
    assert (len(found.tasks), found.outputs, found.tasks[0].name) == (3, 6, "experience 1")


@pytest.mark.parametrize("samples", [None, 3])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_training_samples_that_are_test_samples_are_left_out(av: ModuleType, samples: int | None, seed: int) -> None:
    """Published sets hold a few. Where there are enough others every seed has as many samples as before."""
    pixels = PIXELS.clone()
    pixels[0], pixels[5] = TEST_PIXELS[0], TEST_PIXELS[3]  # of class 0 and class 1; each has five samples
    (train, test), twice = raw(), Labelled(pixels, CLASSES)
    plain = av.nc_benchmark(train, test, 2, False, fixed_class_order=[2, 0, 3, 1])
    scenario = from_avalanche(
        av.nc_benchmark(twice, test, 2, False, fixed_class_order=[2, 0, 3, 1]), samples=samples, seed=seed
    )
    assert check_scenario(scenario) is scenario
    seen = [task.train[0] for task in scenario.tasks]
    kept = torch.cat(seen)[:, 0].tolist()  # the first pixel tells a sample
    assert len(set(kept)) == len(kept)
    assert set(kept) <= set(PIXELS.flatten(1)[:, 0].tolist()) - {PIXELS.flatten(1)[k, 0].item() for k in (0, 5)}
    assert [len(x) for x in seen] == ([9, 9] if samples is None else [6, 6])
    before = from_avalanche(plain, samples=samples, seed=seed)
    assert all(torch.equal(one.test[0], two.test[0]) for one, two in zip(before.tasks, scenario.tasks, strict=True))


def test_where_tests_are_the_training_samples_nothing_is_left_out(av: ModuleType) -> None:
    benchmark = av.nc_benchmark(raw()[0], raw()[0], 2, False, fixed_class_order=[2, 0, 3, 1])
    assert [len(task.train[0]) for task in from_avalanche(benchmark).tasks] == [10, 10]
