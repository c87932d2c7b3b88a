"""Labels that are ids are refused before anything is made for them, and renumbered by ``remap``."""

import numpy as np
import pytest
import torch

from kancl.errors import InputError
from scenarios import Scenario, Task, check_scenario, remap

RNG = np.random.default_rng(0)


def task(name: str, *ids: int, active: tuple[int, ...] | None = None) -> Task:
    labels = np.array(ids * 2)
    x = RNG.normal(size=(2 * len(labels), 2))
    return Task(name, (x[: len(labels)], labels), (x[len(labels) :], labels), active=active)


@pytest.mark.parametrize("first", [101, 100_000, 10**9, 2**40, 2**62])
def test_labels_that_are_ids_are_told_with_the_line_to_write(first: int) -> None:
    message = rf"labels {first}, {first + 2} would take .* {first + 1:,} of them .* Scenario\(remap\(tasks\), \.\.\.\)"
    with pytest.raises(InputError, match=message) as caught:
        Scenario((task("a", first, first + 2),), "cross-entropy")
    assert (f"outputs={first + 3}" in str(caught.value)) == (first < 2**20)
    assert Scenario(remap((task("a", first, first + 2),)), "cross-entropy").outputs == 2


def test_small_gaps_and_declared_outputs_stay_as_they_are() -> None:
    assert Scenario((task("a", 10, 12),), "cross-entropy").outputs == 13
    assert Scenario((task("a", 100, 101),), "cross-entropy").outputs == 102
    assert Scenario((task("a", 500, 501),), "cross-entropy", outputs=1000).outputs == 1000
    assert Scenario((task("a", *range(200, 400)),), "cross-entropy", outputs=400).outputs == 400


def test_an_id_has_one_unit_in_all_tasks_and_heads() -> None:
    tasks = (task("a", 4711, -1, active=(4711, -1)), task("b", 42, 4711, active=(42, 4711)))
    one, other = check_scenario(Scenario(remap(tasks), "cross-entropy", setting="task")).tasks
    assert one.train[1].tolist() == [2, 0, 2, 0]
    assert other.test[1].tolist() == [1, 2, 1, 2]
    assert (one.active, other.active) == ((2, 0), (1, 2))
    assert one.train[1].dtype == torch.int64
    assert one.train[0] is tasks[0].train[0]


def test_an_id_has_one_unit_for_all_seeds_where_all_ids_are_given() -> None:
    ids = np.array([900, 30, 2**40, 7])
    drawn = [remap((task("a", 7, 900),), ids), remap((task("a", 30, 7),), ids)]
    assert [tasks[0].train[1].tolist()[:2] for tasks in drawn] == [[3, 0], [1, 3]]


def test_what_cannot_be_renumbered_is_refused() -> None:
    with pytest.raises(InputError, match=r"labels 5, 8 are not among the 1 ids; give all of them"):
        remap((task("a", 5, 8),), [7])
    with pytest.raises(InputError, match=r"ids must differ, got 7 more than once"):
        remap((task("a", 7),), [7, 7])
    with pytest.raises(InputError, match=r"task 'a': remap takes labels"):
        remap((Task("a", ([[0.0]], [[1.0]]), ([[1.0]], [[1.0]])),))
    with pytest.raises(InputError, match=r"remap takes scenarios\.Task objects, got str"):
        remap(("a",))  # type: ignore[arg-type]


@pytest.mark.parametrize("labels", [[-1, -1], [-100, 0]])
def test_labels_below_0_are_told_what_to_do(labels: list[int]) -> None:
    with pytest.raises(InputError, match=rf"labels {labels[0]} are not among the 1 output units .* scenarios\.remap"):
        check_scenario(Scenario((task("a", *labels),), "cross-entropy"))
