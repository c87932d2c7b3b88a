"""Guards check_scenario: each fault an author can make is named, and several are listed at once."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from kancl.errors import InputError
from scenarios import Advice, Scenario, Task, check_scenario

Pair = tuple[Any, Any]


def numbers(samples: int = 6, inputs: int = 2, outputs: int = 1, start: int = 0) -> Pair:
    """Regression samples, all different."""
    x = torch.arange(start, start + samples * inputs, dtype=torch.float32).view(samples, inputs)
    return x, torch.ones(samples, outputs)


def classes(labels: list[int], start: int = 0) -> Pair:
    return numbers(len(labels), start=start)[0], torch.tensor(labels)


def regression(*tasks: Task, **more: Any) -> Scenario:
    return Scenario(tasks or (good("a"),), "mse", **more)


def classification(*tasks: Task, **more: Any) -> Scenario:
    return Scenario(tasks, "cross-entropy", **more)


def good(name: str, **changed: Any) -> Task:
    return Task(name, **{"train": numbers(), "test": numbers(start=100), **changed})


def poisoned(value: float, side: int, start: int = 0) -> Pair:
    pair = [tensor.clone() for tensor in numbers(start=start)]
    pair[side][2, 0] = value
    return pair[0], pair[1]


def labelled(labels: list[int], test: list[int] | None = None, **more: Any) -> Task:
    return Task("digits", classes(labels), classes(test or [0, 1], start=100), **more)


FAULTS: dict[str, tuple[Callable[[], Scenario], str]] = {
    "unknown loss": (lambda: Scenario((good("a"),), "hinge"), r"loss must be one of mse, cross-entropy, got 'hinge'"),
    "unknown setting": (lambda: regression(setting="online"), r"setting must be domain, class or task, got 'online'"),
    "a loss that is no text": (lambda: Scenario((good("a"),), ["mse"]), r"loss must be one of .*, got \['mse'\]"),  # type: ignore[arg-type]
    "a name that is no text": (lambda: regression(good(3)), r"task names must be texts, got 3"),  # type: ignore[arg-type]
    "outputs that are no whole number": (lambda: regression(outputs=1.0), r"outputs must be a whole number .*, got 1.0"),
    "no outputs": (
        lambda: regression(good("a", train=numbers(outputs=0), test=numbers(outputs=0))),
        r"outputs must be .* got 0",
    ),
    "no inputs": (lambda: regression(good("a", train=numbers(inputs=0))), r"task 'a', train: inputs have no column"),
    "advice of another type": (lambda: regression(advice={"kan": {}}), r"advice must be a scenarios.Advice, got dict"),
    "advice of another form": (lambda: regression(advice=Advice({"kan": 3})), r"advice: architectures is not of the form"),  # type: ignore[dict-item]
    "policies of another form": (
        lambda: regression(advice=Advice(own_policies={"kan": {"adam": 3}})),  # type: ignore[dict-item]
        r"advice: own_policies is not of the form",
    ),
    "files without a text": (lambda: regression(files={"a.bin": 3}), r"files must give a SHA-256 as text"),
    "pictures of another size": (lambda: regression(image_shape=(8, 8)), r"image_shape must be .* the 2 inputs, got \(8, 8\)"),
    "pictures without a shape": (lambda: regression(image_shape="12"), r"image_shape must be .* got '12'"),
    "overlaps of other tasks": (lambda: regression(overlap={"joint": torch.eye(3)}), r"overlap must give .* shape \(1, 1\)"),
    "overlaps in lists": (lambda: regression(overlap={"joint": [[1.0]]}), r"overlap must give a tensor"),
    "overlaps without names": (lambda: regression(overlap=torch.eye(1)), r"overlap must give a tensor"),
    "a stranger in pretraining": (
        lambda: regression(outputs=1, pretrain=(3,)),
        r"pretrain must be scenarios.Task objects, got int",
    ),
    "no task": (lambda: Scenario((), "mse"), r"no task"),
    "a task of another type": (lambda: Scenario((good("a"), "task two"), "mse", outputs=1), r"Task objects, got str"),
    "equal names": (lambda: regression(good("a"), good("a")), r"names must differ"),
    "one-dimensional inputs": (
        lambda: regression(good("a", train=(torch.ones(6), torch.ones(6, 1)))),
        r"task 'a', train: inputs must be real numbers of shape \(N, I\), got float32 of shape \(6,\)",
    ),
    "a single number": (
        lambda: regression(good("a", train=(1.0, 2.0))),
        r"task 'a', train: expected arrays of samples, got single numbers",
    ),
    "whole-number inputs": (
        lambda: regression(good("a", train=(torch.ones(6, 2, dtype=torch.long), torch.ones(6, 1)))),
        r"task 'a', train: inputs must be real numbers .* got int64",
    ),
    "no samples": (
        lambda: regression(good("a", test=(torch.ones(0, 2), torch.ones(0, 1)))),
        r"task 'a', test: there are no samples",
    ),
    "other columns": (
        lambda: regression(good("a"), good("b", test=numbers(inputs=3))),
        r"task 'b', test: inputs have 3 columns, those of the first task 2",
    ),
    "targets without a column": (
        lambda: regression(good("a", train=(torch.ones(6, 2), torch.ones(6)))),
        r"task 'a', train: targets must be real numbers of shape \(N, 1\), got float32 of shape \(6,\)",
    ),
    "whole-number targets": (
        lambda: regression(good("a", train=(torch.ones(6, 2), torch.ones(6, 1, dtype=torch.long)))),
        r"task 'a', train: targets must be real numbers",
    ),
    "other outputs": (
        lambda: regression(good("a"), good("b", train=numbers(outputs=2)), outputs=1),
        r"task 'b', train: targets must be real numbers of shape \(N, 1\), got float32 of shape \(6, 2\)",
    ),
    "real class numbers": (
        lambda: classification(Task("a", (numbers()[0], torch.ones(6)), classes([0, 1], 100)), outputs=2),
        r"task 'a', train: targets must be class numbers of shape \(N,\), got float32",
    ),
    "more outputs than anybody has": (
        lambda: classification(labelled([0, 1]), outputs=10**9),
        r"outputs must be at most 1,048,576, got 1,000,000,000; scenarios\.remap",
    ),
    "one-hot classes": (
        lambda: classification(Task("a", (numbers()[0], torch.ones(6, 2).long()), classes([0, 1], 100)), outputs=2),
        r"task 'a', train: targets must be class numbers of shape \(N,\), got int64 of shape \(6, 2\)",
    ),
    "other lengths": (
        lambda: regression(good("a", train=(torch.ones(6, 2), torch.ones(5, 1)))),
        r"task 'a', train: 6 inputs but 5 targets",
    ),
    "NaN inputs": (
        lambda: regression(good("a", train=poisoned(np.nan, 0))),
        r"task 'a', train: inputs hold NaN or infinity in 1 of 6 samples",
    ),
    "infinite inputs": (
        lambda: regression(good("a", test=poisoned(np.inf, 0))),
        r"task 'a', test: inputs hold NaN or infinity in 1 of 6",
    ),
    "NaN targets": (
        lambda: regression(good("a", train=poisoned(np.nan, 1))),
        r"task 'a', train: targets hold NaN or infinity in 1 of 6",
    ),
    "labels above the outputs": (
        lambda: classification(labelled([0, 1, 7]), outputs=2),
        r"task 'digits', train: labels 7 are not among the 2 output units from 0; .* scenarios\.remap",
    ),
    "negative labels": (
        lambda: classification(labelled([0, -1])),
        r"train: labels -1 are not among the 2 output units from 0; leave samples without a label out",
    ),
    "labels outside the head": (
        lambda: classification(labelled([2, 3], test=[2, 0], active=(2, 3)), outputs=4),
        r"task 'digits', test: labels 0 are not among the active output units 2, 3",
    ),
    "no active unit": (lambda: classification(labelled([0, 1], active=()), outputs=2), r"active must name"),
    "an active unit twice": (
        lambda: classification(labelled([0, 1], active=(0, 0, 1)), outputs=2),
        r"active must name different",
    ),
    "an active unit that is not there": (
        lambda: classification(labelled([0, 1], active=(0, 1, 2)), outputs=2),
        r"active must name different output units below 2, got \(0, 1, 2\)",
    ),
    "test samples among the training samples": (
        lambda: regression(good("a", test=numbers())),
        r"task 'a': 6 of 6 test samples are also training samples",
    ),
    "too few ranges": (lambda: regression(domain=((0.0, 1.0),)), r"domain has 1 ranges for 2 inputs"),
    "an empty range": (lambda: regression(domain=((0.0, 1.0), (2.0, 2.0))), r"domain needs finite low < high"),
    "a NaN range": (lambda: regression(domain=((0.0, 1.0), (np.nan, 2.0))), r"domain needs finite low < high"),
    "an infinite range": (lambda: regression(domain=((0.0, 1.0), (-np.inf, 2.0))), r"domain needs"),
}


def test_what_is_right_passes() -> None:
    for scenario in (
        regression(good("a"), good("b")),
        regression(domain=((-100.0, 200.0), (-100.0, 200.0))),
        regression(good("a", test=numbers()), test_is_train=True),
        classification(labelled([2, 3], test=[3, 2], active=(2, 3)), outputs=4, setting="task"),
    ):
        assert check_scenario(scenario) is scenario


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_named(fault: str) -> None:
    build, message = FAULTS[fault]
    with pytest.raises(InputError, match=message) as caught:
        check_scenario(build(), "my_tasks")
    assert str(caught.value).startswith("my_tasks cannot be run")


@pytest.mark.parametrize("returned", [None, [], "gaussian-peaks"])
def test_a_builder_must_return_a_scenario(returned: object) -> None:
    with pytest.raises(InputError, match=rf"my_tasks must return a scenarios.Scenario, got {type(returned).__name__}"):
        check_scenario(returned, "my_tasks")


def test_several_faults_are_listed_at_once() -> None:
    scenario = regression(
        good("a", train=poisoned(np.nan, 0)),
        good("a", test=poisoned(np.inf, 1, start=100)),
        good("c", test=numbers()),
        setting="online",
        domain=((0.0, 1.0),),
    )
    with pytest.raises(InputError) as caught:
        check_scenario(scenario)
    listed = re.findall(r"^  - (.*)$", str(caught.value), re.MULTILINE)
    for part in (
        "setting",
        "names must differ",
        "'a', train: inputs hold NaN",
        "'a', test: targets hold",
        "'c': 6 of 6",
        "domain",
    ):
        assert [line for line in listed if part in line], f"{part} is missing in {listed}"
    assert len(listed) == 6


def test_all_misshapen_parts_are_listed_at_once() -> None:
    scenario = regression(
        good("a", train=(torch.ones(6, 2), torch.ones(5, 1))),
        good("b", train=numbers(inputs=3), test=(torch.ones(0, 2), torch.ones(0, 1))),
    )
    with pytest.raises(InputError) as caught:
        check_scenario(scenario)
    for part in ("'a', train: 6 inputs but 5", "'b', train: inputs have 3 columns", "'b', test: there are no samples"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (None, "train must be a pair"),
        ((torch.ones(3, 1),), "train must be a pair"),
        ((["a", "b"], [0, 1]), "train inputs are texts"),
        (([[1.0, 2.0], [3.0]], [[0.0], [1.0]]), "train inputs have rows of different lengths"),
        ((object(), [0, 1]), "train inputs are of type object; give an array"),
        ((torch.ones(3, 1) * 1j, torch.ones(3, 1)), "train inputs are complex numbers"),
    ],
)
def test_a_task_refuses_what_is_no_pair_of_numbers(train: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"task 'a': {message}"):
        Task("a", train, numbers())


@pytest.mark.parametrize("make", [np.array, list, torch.tensor])
def test_arrays_and_lists_become_tensors(make: Callable[[Any], Any]) -> None:
    task = Task("a", (make([[0.5], [1.5]]), make([0, 1])), (make([[2.5]]), make([1])))
    assert task.train[0].is_floating_point()
    assert task.train[1].dtype == torch.int64
    assert task.train[0].tolist() == [[0.5], [1.5]]


def test_samples_are_plain_numbers_whatever_they_were_computed_from() -> None:
    x = torch.ones(3, 2, requires_grad=True)
    task = Task("a", (x, (2 * x).sum(1, keepdim=True)), (x.detach().to_sparse(), torch.ones(3, 1)))
    assert not any(tensor.requires_grad or tensor.is_sparse for tensor in (*task.train, *task.test))
    assert task.test[0].tolist() == x.tolist()


def test_active_units_and_a_domain_may_be_lists_arrays_and_tensors() -> None:
    given: list[Any] = [[2, 3], np.array([2, 3]), torch.tensor([2, 3]), range(2, 4)]
    assert {labelled([2, 3], active=units).active for units in given} == {(2, 3)}
    with pytest.raises(InputError, match="task 'digits': active must list output units by number, got 2"):
        labelled([2, 3], active=2)
    for make in (np.array, torch.tensor):
        assert regression(domain=make([[0.0, 1.0], [0.0, 2.0]])).domain == [[0.0, 1.0], [0.0, 2.0]]


def test_outputs_are_taken_from_the_tasks() -> None:
    assert regression(good("a", train=numbers(outputs=3), test=numbers(outputs=3, start=100))).outputs == 3
    assert classification(labelled([0, 1], test=[4])).outputs == 5
