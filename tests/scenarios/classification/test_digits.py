"""Guards the digit scenarios: whose images, in which task, with which labels, split how; scikit-learn is the oracle."""

from typing import Literal

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from kancl.errors import InputError
from scenarios import Scenario, scenarios

IMAGES = 1797
split_digits, permuted_digits = scenarios.get("split-digits"), scenarios.get("permuted-digits")


def part_of(scenario: Scenario, part: Literal["train", "test"]) -> list[tuple[np.ndarray, np.ndarray]]:
    return [tuple(tensor.numpy() for tensor in getattr(task, part)) for task in scenario.tasks]


def rows(x: np.ndarray, y: np.ndarray) -> list[tuple[float, ...]]:
    """Images with their labels as comparable rows, pixels back in 0..16."""
    return [(*map(float, np.round(image * 16)), float(label)) for image, label in zip(x, y, strict=True)]


def all_rows(scenario: Scenario) -> list[tuple[float, ...]]:
    return [row for part in ("train", "test") for x, y in part_of(scenario, part) for row in rows(x, y)]


def source_rows() -> list[tuple[float, ...]]:
    data = load_digits()
    return rows(data.data / 16, data.target)


@pytest.mark.parametrize("classes_per_task", [1, 2, 5, 10])
def test_every_image_is_used_exactly_once(classes_per_task: int) -> None:
    used = all_rows(split_digits(seed=0, classes_per_task=classes_per_task))
    assert len(used) == IMAGES
    assert sorted(used) == sorted(source_rows())


def test_pixels_are_scaled_to_one() -> None:
    pixels = np.concatenate([x for x, _ in part_of(split_digits(seed=0), "train")])
    assert pixels.shape[1] == 64
    assert (pixels.min(), pixels.max()) == (0.0, 1.0)


@pytest.mark.parametrize("build", [split_digits, permuted_digits])
def test_no_test_image_is_a_training_image(build: type) -> None:
    for task in build(seed=3).tasks:
        train = set(rows(task.train[0].numpy(), task.train[1].numpy()))
        test = set(rows(task.test[0].numpy(), task.test[1].numpy()))
        assert train
        assert test
        assert not train & test


def test_a_fifth_of_every_class_is_tested() -> None:
    scenario = split_digits(seed=0, classes_per_task=1)
    for train, test in zip(part_of(scenario, "train"), part_of(scenario, "test"), strict=True):
        assert len(test[1]) == pytest.approx(0.2 * (len(train[1]) + len(test[1])), abs=0.5)


@pytest.mark.parametrize("build", [split_digits, permuted_digits])
def test_the_split_is_fixed_by_the_seed(build: type) -> None:
    one, again, other = (build(seed=seed) for seed in (4, 4, 5))
    for number in range(5):
        for part in ("train", "test"):
            for side in (0, 1):
                assert torch.equal(getattr(one.tasks[number], part)[side], getattr(again.tasks[number], part)[side])
    assert set(rows(*part_of(one, "test")[0])) != set(rows(*part_of(other, "test")[0]))


def test_split_shapes_do_not_depend_on_the_seed() -> None:
    shapes = {tuple(tuple(task.train[0].shape) for task in split_digits(seed=seed).tasks) for seed in range(4)}
    assert len(shapes) == 1


@pytest.mark.parametrize(
    ("setting", "outputs", "labels", "active"),
    [
        ("class", 10, [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9)], [None] * 5),
        ("task", 10, [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9)], [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9)]),
        ("domain", 2, [(0, 1)] * 5, [None] * 5),
    ],
)
def test_settings(
    setting: Literal["class", "task", "domain"],
    outputs: int,
    labels: list[tuple[int, int]],
    active: list[tuple[int, ...] | None],
) -> None:
    scenario = split_digits(seed=0, setting=setting)
    assert (scenario.setting, scenario.loss, scenario.outputs) == (setting, "cross-entropy", outputs)
    assert [task.active for task in scenario.tasks] == active
    for part in ("train", "test"):
        assert [tuple(np.unique(y)) for _, y in part_of(scenario, part)] == labels


def test_the_domain_label_is_the_class_within_its_task() -> None:
    by_class, by_domain = split_digits(seed=0), split_digits(seed=0, setting="domain")
    for number, (one, other) in enumerate(zip(part_of(by_class, "train"), part_of(by_domain, "train"), strict=True)):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1] - 2 * number, other[1])


@pytest.mark.parametrize("wrong", [0, -2, 3, 11])
def test_classes_per_task_must_divide_ten(wrong: int) -> None:
    with pytest.raises(InputError, match="classes_per_task"):
        split_digits(seed=0, classes_per_task=wrong)


def test_the_first_permuted_task_is_not_permuted() -> None:
    used = [row for part in ("train", "test") for row in rows(*part_of(permuted_digits(seed=0), part)[0])]
    assert sorted(used) == sorted(source_rows())


def test_later_tasks_are_the_same_pixels_in_one_order_for_training_and_test() -> None:
    scenario = permuted_digits(seed=0, tasks=4)
    assert len(scenario.tasks) == 4
    stacked, targets = [], []
    for train, test in zip(part_of(scenario, "train"), part_of(scenario, "test"), strict=True):
        stacked.append(np.concatenate([train[0], test[0]]))
        targets.append(np.concatenate([train[1], test[1]]))
    columns = [sorted(map(tuple, x.T)) for x in stacked]
    for number in range(1, 4):
        # A column is one pixel over all images: the same columns in another order is one permutation of the pixels.
        assert columns[number] == columns[0]
        assert not np.array_equal(stacked[number], stacked[0])
        np.testing.assert_array_equal(targets[number], targets[0])
    assert not np.array_equal(stacked[1], stacked[2])


def test_permutations_differ_between_seeds() -> None:
    """Over all images, in scikit-learn's order of rows, so that the split does not matter."""

    def column_sums(seed: int) -> list[float]:
        task = permuted_digits(seed=seed, tasks=2).tasks[1]
        return (task.train[0].sum(0) + task.test[0].sum(0)).tolist()

    assert sorted(column_sums(0)) == pytest.approx(sorted(column_sums(1)), rel=1e-4)
    assert column_sums(0) != pytest.approx(column_sums(1), rel=1e-4)


def test_permuted_digits_share_ten_outputs() -> None:
    scenario = permuted_digits(seed=0)
    assert (scenario.setting, scenario.outputs, len(scenario.tasks)) == ("domain", 10, 5)
    for _, y in part_of(scenario, "train"):
        assert tuple(np.unique(y)) == tuple(range(10))


def test_permuted_digits_need_a_task() -> None:
    with pytest.raises(InputError, match="tasks"):
        permuted_digits(seed=0, tasks=0)
