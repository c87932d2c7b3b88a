"""Guards addition: every table against Python's own sums, and what the published binary tasks can and cannot show."""

from collections import Counter
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
import torch

from kancl.errors import InputError
from runners.config.request import Request
from runners.experiment.expand import expand
from runners.run import run_cell
from runners.stream.stack import stack
from scenarios import Scenario, Task, check_scenario
from scenarios.regression.addition import binary_addition, decimal_addition


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    torch.set_num_threads(1)


def digits_of(task: Task, part: str = "train") -> list[tuple[int, ...]]:
    return [tuple(row) for row in (getattr(task, part)[0] * 10).round().int().tolist()]


def check_sums(task: Task, part: str = "train", carry: int = 10) -> None:
    for digits, (unit, carried) in zip(digits_of(task, part), getattr(task, part)[1].tolist(), strict=True):
        written = f"{sum(digits):02d}"
        assert (round(unit * 10), round(carried * carry)) == (int(written[1]), int(written[0]))


def test_decimal_defaults_are_the_papers() -> None:
    scenario = decimal_addition(seed=0)
    assert (scenario.loss, scenario.inputs, scenario.outputs, scenario.test_is_train) == ("mse", 2, 2, True)
    assert len(scenario.tasks) == 5
    for t, task in enumerate(scenario.tasks, 1):
        check_sums(task)
        assert Counter(digits_of(task)) == Counter([(t, i) for i in range(10)] + [(i, t) for i in range(10)])
        assert torch.equal(task.train[0], task.test[0])
        assert torch.equal(task.train[1], task.test[1])


@pytest.mark.parametrize(("by", "tasks"), [("first", 5), ("first", 3), ("first", 10), ("sum", 5), ("sum", 19), ("random", 7)])
def test_other_splits_take_every_sum_once(by: Any, tasks: int) -> None:
    scenario = decimal_addition(seed=1, by=by, tasks=tasks)
    check_scenario(scenario)
    assert len(scenario.tasks) == tasks
    found = [digits for task in scenario.tasks for digits in digits_of(task)]
    assert sorted(found) == sorted(product(range(10), repeat=2))
    keys = [{digits[0] if by == "first" else sum(digits) for digits in digits_of(task)} for task in scenario.tasks]
    for task in scenario.tasks:
        check_sums(task)
    if by != "random":
        assert [min(own) for own in keys] == sorted(min(own) for own in keys)
        for one, other in combinations(keys, 2):
            assert max(one) < min(other)
    sizes = [len(task.train[0]) for task in scenario.tasks]
    if (by, tasks) in {("first", 5), ("random", 7)}:
        assert max(sizes) - min(sizes) <= 1
    if (by, tasks) == ("sum", 5):
        assert all(15 <= size <= 25 for size in sizes)


def test_a_random_split_is_drawn_by_the_seed() -> None:
    one, other = (digits_of(decimal_addition(seed=seed, by="random").tasks[0]) for seed in (0, 1))
    assert one != other
    for seed in (0, 1):
        for by in ("operand", "first", "sum"):
            assert digits_of(decimal_addition(seed=seed, by=by).tasks[2]) == digits_of(decimal_addition(seed=9, by=by).tasks[2])


def test_more_operands_and_balanced_targets() -> None:
    scenario = decimal_addition(seed=0, by="sum", operands=3, targets="balanced", tasks=4)
    assert scenario.inputs == 3
    assert sum(len(task.train[0]) for task in scenario.tasks) == 1000
    for task in scenario.tasks:
        check_sums(task, carry=1)


@pytest.mark.parametrize("by", ["first", "sum", "random"])
def test_held_out_sums_are_tested_and_not_trained(by: Any) -> None:
    scenario = decimal_addition(seed=2, by=by, held_out=0.25)
    assert not scenario.test_is_train
    check_scenario(scenario)
    whole = decimal_addition(seed=2, by=by)
    for task, all_of_it in zip(scenario.tasks, whole.tasks, strict=True):
        check_sums(task, "test")
        check_sums(task)
        trained, tested = digits_of(task), digits_of(task, "test")
        assert not set(trained) & set(tested)
        assert sorted(trained + tested) == sorted(digits_of(all_of_it))
        assert len(tested) == round(0.25 * len(digits_of(all_of_it)))
    assert digits_of(scenario.tasks[0], "test") != digits_of(decimal_addition(seed=3, by=by, held_out=0.25).tasks[0], "test")


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"tasks": 0}, "tasks"),
        ({"tasks": 10}, "operand"),
        ({"by": "first", "tasks": 11}, "tasks"),
        ({"held_out": 0.2}, "held_out"),
        ({"by": "first", "held_out": 1.0}, "held_out"),
        ({"by": "random", "tasks": 100, "held_out": 0.5}, "single sum"),
        ({"operands": 3}, "operands"),
        ({"by": "sum", "operands": 5}, "operands"),
    ],
    ids=str,
)
def test_impossible_decimal_options_are_refused(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        decimal_addition(seed=0, **wrong)


def table_of(task: Task) -> dict[tuple[int, ...], tuple[int, ...]]:
    """The task's table; a row that is given twice must be given alike."""
    table: dict[tuple[int, ...], tuple[int, ...]] = {}
    for row, answer in zip(task.train[0][:, :3].int().tolist(), task.train[1].int().tolist(), strict=True):
        assert table.setdefault(tuple(row), tuple(answer)) == tuple(answer)
    return table


@pytest.mark.parametrize("tasks", [5, 15])
def test_binary_rows_are_the_bits_of_the_papers_sums(tasks: int) -> None:
    """Read back: the sum bits of five rows, lowest first, are the sum of the numbers that their inputs are."""
    scenario = binary_addition(seed=0, tasks=tasks)
    for t, task in enumerate(scenario.tasks, 1):
        x, y = (tensor.int().view(20, 5, -1) for tensor in task.train)
        weights = 2 ** torch.arange(5)
        a, b, total = (x[..., 0] * weights).sum(1), (x[..., 1] * weights).sum(1), (y[..., 0] * weights).sum(1)
        assert torch.equal(a + b, total)
        expected = Counter([(t, i) for i in range(10)] + [(i, t) for i in range(10)])
        assert Counter(zip(a.tolist(), b.tolist(), strict=True)) == expected
        assert not x[:, 0, 2].any()
        assert torch.equal(x[:, 1:, 2], y[:, :-1, 1])
        for (first, second, carry), (bit, out) in table_of(task).items():
            assert first + second + carry == 2 * out + bit


def test_by_position_every_task_has_each_row_once() -> None:
    for task in binary_addition(seed=0, by="position").tasks:
        assert len(table_of(task)) == len(task.train[0]) == 8


@pytest.mark.parametrize("by", ["number", "position"])
@pytest.mark.parametrize("tables", ["distinct", "position"])
def test_distinct_tables_differ_on_the_rows_that_tasks_share(by: Any, tables: Any) -> None:
    def found(seed: int) -> list[dict[tuple[int, ...], tuple[int, ...]]]:
        return [table_of(task) for task in binary_addition(seed, by=by, tasks=15, tables=tables).tasks]

    for seed in range(3):
        own = found(seed)
        assert own[0] == table_of(binary_addition(0, by=by).tasks[0])
        for one, other in combinations(own, 2):
            assert any(one[row] != other[row] for row in one.keys() & other.keys())
    changed = np.mean([
        a != b for table, plain in zip(own, [table_of(task) for task in binary_addition(0, by=by, tasks=15).tasks], strict=True)
        for row in table for a, b in zip(table[row], plain[row], strict=True)
    ])  # fmt: skip
    assert changed == pytest.approx(0.5, abs=0.12)
    assert found(0) != found(1)


def test_the_position_is_told_by_a_further_input() -> None:
    scenario = binary_addition(seed=0, tables="position")
    assert [task.train[0][:, 3].unique().tolist() for task in scenario.tasks] == [[0.0], [0.25], [0.5], [0.75], [1.0]]
    assert scenario.inputs == 4
    plain = binary_addition(seed=0, tables="distinct")
    for one, other in zip(scenario.tasks, plain.tasks, strict=True):
        assert torch.equal(one.train[0][:, :3], other.train[0])
        assert torch.equal(one.train[1], other.train[1])
    assert check_scenario(binary_addition(seed=0, tasks=1, tables="position"))


def test_too_many_tasks_are_refused() -> None:
    with pytest.raises(InputError, match="1 to 15"):
        binary_addition(seed=0, tasks=16)


def retention(scenario: str, architecture: str, **said: Any) -> tuple[float, float]:
    """Return the share of all but the last tasks' gains that was there right after learning, and at the end."""
    request = Request(
        scenarios=(scenario,),
        architectures=(architecture,),
        seeds=2,
        batch_size="full",
        optimizer="adam",
        evaluations=2,
        **said,
    )
    (cell,) = expand([request])
    result = run_cell(cell, stack(cell.scenario, cell.seeds))
    R, null = result.R["rmse"], result.null["rmse"]
    learned = np.diagonal(R[:, 1:], axis1=1, axis2=2)
    return float((1 - learned / null).mean()), float((1 - R[:, -1] / null)[:, :-1].mean())


@pytest.mark.parametrize("architecture", ["kan", "mlp"])
def test_a_shared_table_is_kept_by_everyone_and_distinct_ones_by_nobody(architecture: str) -> None:
    learned, kept = retention("binary-addition:by=position,tasks=3", architecture, steps=150, lr=0.03)
    assert learned > 0.8
    assert kept > 0.9 * learned
    learned, kept = retention("binary-addition:by=position,tasks=3,tables=distinct", architecture, steps=150, lr=0.03)
    assert learned > 0.8
    assert kept < 0


def test_told_the_position_a_table_keeps_everything() -> None:
    """So the control is free of conflict for those who use it jointly with the bits."""
    tiles = "lookup:tiles=3"
    learned, kept = retention("binary-addition:by=position,tables=position,tasks=3", tiles, steps=100, lr=0.1)
    assert learned > 0.95
    assert kept == pytest.approx(learned, abs=0.02)


def test_scenarios_without_anything_drawn_do_not_depend_on_the_seed() -> None:
    def same(one: Scenario, other: Scenario) -> bool:
        pairs = zip(one.tasks, other.tasks, strict=True)
        return all(torch.equal(a, b) for p, q in pairs for a, b in zip(p.train, q.train, strict=True))

    assert same(decimal_addition(0), decimal_addition(1))
    assert same(binary_addition(0), binary_addition(1))
