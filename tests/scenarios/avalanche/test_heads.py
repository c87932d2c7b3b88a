"""Guards the mapping of avalanche's classes and task labels to output units; expectations are written out by hand."""

from typing import Any

import pytest
import torch
from torch import Tensor

from kancl.errors import InputError
from scenarios.avalanche.heads import Heads, heads_of


def heads(classes: list[list[int]], labels: list[Any], setting: Any = None) -> Heads:
    """Every class occurs in training and test, once and twice."""
    train = [torch.tensor(found) for found in classes]
    test = [torch.tensor(found + found) for found in classes]
    sets = [frozenset([label] if isinstance(label, int) else label) for label in labels]
    return heads_of(train, test, sets, setting)


def units(found: Heads, classes: list[list[int]]) -> list[list[int]]:
    return [found.relabelled(torch.tensor(labels), task).tolist() for task, labels in enumerate(classes)]


SPLIT, SAME, RESTART, RECUR = [[3, 1], [0, 7]], [[0, 1, 2], [2, 0, 1]], [[0, 1], [1, 0]], [[0, 1], [1, 2], [3, 0]]
CASES: list[tuple[str, list[list[int]], list[Any], str | None, str, int, list[list[int]], Any]] = [
    # what, classes, task labels, setting asked for -> setting, outputs, units, active
    ("new classes", SPLIT, [0, 0], None, "class", 8, SPLIT, [None, None]),
    ("the same classes", SAME, [0, 0], None, "domain", 3, SAME, [None, None]),
    ("one task", [[2, 5]], [0], None, "domain", 6, [[2, 5]], [None]),
    ("classes come back among others", RECUR, [0] * 3, None, "class", 4, RECUR, [None] * 3),
    ("labels, classes of their own", SPLIT, [0, 1], None, "task", 4, [[1, 0], [2, 3]], [(0, 1), (2, 3)]),
    ("labels, classes restart", RESTART, [0, 1], None, "task", 4, [[0, 1], [3, 2]], [(0, 1), (2, 3)]),
    ("labels in another order", RESTART, [5, 2], None, "task", 4, [[0, 1], [3, 2]], [(0, 1), (2, 3)]),
    ("a task comes back", [[0, 1], [2, 3], [1]], [0, 1, 0], None, "task", 4, [[0, 1], [2, 3], [1]], [(0, 1), (2, 3), (0, 1)]),
    ("its head too", [[0, 1], [0, 3], [4]], [0, 1, 0], None, "task", 5, [[0, 1], [3, 4], [2]], [(0, 1, 2), (3, 4), (0, 1, 2)]),
    ("domain asked for, same classes", SAME, [0, 1], "domain", "domain", 3, SAME, [None, None]),
    ("domain asked for, other classes", SPLIT, [0, 1], "domain", "domain", 2, [[1, 0], [0, 1]], [None, None]),
    ("class asked for, other classes", SPLIT, [0, 1], "class", "class", 8, SPLIT, [None, None]),
    ("class asked for, same classes", RESTART, [0, 1], "class", "class", 4, [[0, 1], [3, 2]], [None, None]),
    ("class asked for, one task", [[2, 5]], [0], "class", "class", 6, [[2, 5]], [None]),
    ("task asked for, no labels", SPLIT, [0, 0], "task", "task", 4, [[1, 0], [2, 3]], [(0, 1), (2, 3)]),
    ("task asked for, same classes", RESTART, [0, 0], "task", "task", 4, [[0, 1], [3, 2]], [(0, 1), (2, 3)]),
    ("class asked for, mixed labels", SPLIT, [[0, 1], [1]], "class", "class", 8, SPLIT, [None, None]),
]


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_units_and_heads(case: Any) -> None:
    _, classes, labels, asked, setting, outputs, expected, active = case
    found = heads(classes, labels, asked)
    assert (found.setting, found.outputs, list(found.active)) == (setting, outputs, active)
    assert units(found, classes) == expected


def test_classes_that_only_the_test_has_get_units() -> None:
    found = heads_of(
        [torch.tensor([0, 1])] * 2, [torch.tensor([1, 4]), torch.tensor([0])], [frozenset({k}) for k in (0, 1)], None
    )
    assert found.active == ((0, 1, 2), (3, 4))
    assert found.relabelled(torch.tensor([4, 1]), 0).tolist() == [2, 1]


def test_a_regression_has_no_heads() -> None:
    y: list[Tensor] = [torch.randn(4, 2)] * 2
    found = heads_of(y, y, [frozenset({0}), frozenset({1})], None)
    assert (found.setting, found.outputs, found.active) == ("domain", 2, (None, None))
    assert found.relabelled(y[0], 1) is y[0]
    for setting in ("class", "task"):
        with pytest.raises(InputError, match="class numbers"):
            heads_of(y, y, [frozenset({0})] * 2, setting)


def test_what_cannot_be_told_apart_is_refused() -> None:
    with pytest.raises(InputError, match=r"experience 0 holds the tasks \[0, 1\]"):
        heads(SPLIT, [[0, 1], [1]])
    with pytest.raises(InputError, match="all classes in common, or none"):
        heads(RECUR, [0] * 3, "domain")
