"""Addition as a sequence of tasks: digit by digit, and bit by bit (Rahman et al., arXiv 2511.12828, AAAI 2026).

"Catastrophic Forgetting in Kolmogorov-Arnold Networks" trains KANs of a few units on tables of sums, in its published code one
sample a step with AdamW (rate 1e-3, decay 1e-4, state kept from task to task), grids of 5 to 20 intervals on [-1, 1] and five
runs, and relates what is forgotten to the support that two tasks share. The tables are finite, so the test samples are the
training samples, as in the source.
"""

from collections import Counter
from itertools import pairwise, product
from operator import itemgetter
from typing import Literal

import torch
from torch import Tensor

from kancl.errors import InputError
from kancl.seeding import generator
from scenarios.registry import register
from scenarios.task import Advice, Scenario, Task
from scenarios.tools.advice import usual_policies
from scenarios.tools.sizes import rivals_of_kan

BITS = 5
"""Positions of a sum in binary-addition: two numbers of four bits and the last carry."""

Digits = tuple[int, ...]

ROWS = 8
"""Of the full adder's table: two bits and a carry."""


@register("decimal-addition")
def decimal_addition(
    seed: int,
    by: Literal["operand", "first", "sum", "random"] = "operand",
    tasks: int = 5,
    operands: int = 2,
    targets: Literal["tenths", "balanced"] = "tenths",
    held_out: float = 0.0,
) -> Scenario:
    """Sums of two digits, a few at a time: (a, b) / 10 gives the units and the carry (arXiv 2511.12828).

    The defaults are the paper's, as its code has them: task t of five, t = 1 .. 5, holds the sums t + i and i + t for
    i = 0 .. 9. These are 20 samples, t + t twice, and a pair (t, s) with s <= 5 is in task s as well. Inputs and targets, the
    units of the sum and the carry, are divided by 10; so the carry, 0 or 0.1, hardly counts in the loss. No two tasks conflict,
    yet every task uses the whole range of either input, so that splines, each of one coordinate, share their coefficients with
    every other task. The paper trains a KAN [2,3,2] for 10 or 100 epochs and finds forgetting about proportional to that
    overlap. All tasks follow one rule, a sawtooth of a + b: a deep tanh MLP that has found it forgets little, the KAN much.
    Options other than ``by=operand`` are kancl's: their tasks hold disjoint parts of the table of all sums.

    Args:
        by: how the table is split: ``operand``: the paper's; ``first``: by the first digit, neighbouring values together, so
            that tasks share no value of it; ``sum``: by the sum, in parts of about equal size; ``random``: drawn by the seed.
        tasks: number of tasks; for two digits at most 9 for ``operand``, 10 for ``first``, 19 for ``sum``, 100 for ``random``.
        operands: digits that are added, 2 to 4; 2 for ``operand``. The carry of more digits is up to 3.
        targets: ``tenths``: both divided by 10; ``balanced``: the carry is 0 or 1, so that it counts like the units.
        held_out: the share of each task's sums, drawn by the seed, that is tested and not trained: what is tested then has to
            be found by interpolation. With 0 the test samples are the training samples. Not for ``operand``, whose tasks
            share sums.
    """
    if not 2 <= operands <= 4 or (operands > 2 and by == "operand"):
        raise InputError(f"operands must be 2 to 4, and 2 for by=operand, got {operands} for by={by}")
    most = {"operand": 9, "first": 10, "sum": 9 * operands + 1, "random": 10**operands}[by]
    if not 1 <= tasks <= most:
        raise InputError(f"tasks must be 1 to {most} for by={by}, got {tasks}")
    if not 0 <= held_out < 1 or (held_out and by == "operand"):
        raise InputError(f"held_out must be from 0 to below 1, and 0 for by=operand, got {held_out} for by={by}")
    random = generator(seed, "decimal-addition")
    scale = torch.tensor([10.0, 10.0 if targets == "tenths" else 1.0])

    def samples(sums: list[Digits]) -> tuple[Tensor, Tensor]:
        x = torch.tensor(sums)
        total = x.sum(1)
        return x / 10, torch.stack([total % 10, total // 10], 1) / scale

    def task(name: str, sums: list[Digits]) -> Task:
        if not held_out:
            return Task(name, samples(sums), samples(sums))
        tested = min(max(1, round(held_out * len(sums))), len(sums) - 1)
        if not tested:
            raise InputError(f"task {name!r} has a single sum, which cannot be both trained and held out; use fewer tasks")
        order = torch.randperm(len(sums), generator=random).tolist()
        return Task(name, samples([sums[n] for n in order[tested:]]), samples([sums[n] for n in order[:tested]]))

    return Scenario(
        tasks=tuple(task(name, sums) for name, sums in _sums(by, tasks, operands, random)),
        loss="mse",
        domain=((0.0, 1.0),) * operands,
        test_is_train=not held_out,
        advice=_advice(operands, (3,), intervals=10, steps=2000),
    )


def _sums(by: str, tasks: int, operands: int, random: torch.Generator) -> list[tuple[str, list[Digits]]]:
    """Return each task's name and the digits of its sums."""
    if by == "operand":
        return [(f"{t} + i", [digits for i in range(10) for digits in ((t, i), (i, t))]) for t in range(1, tasks + 1)]
    table = list(product(range(10), repeat=operands))
    if by == "random":
        drawn = [table[n] for n in torch.randperm(len(table), generator=random).tolist()]
        ends = [t * len(table) // tasks for t in range(tasks + 1)]
        return [(f"part {t}", drawn[start:end]) for t, (start, end) in enumerate(pairwise(ends), 1)]
    word, key = ("a", itemgetter(0)) if by == "first" else ("sum", sum)
    counts = Counter(map(key, table))
    parts = _split([counts[value] for value in range(len(counts))], tasks)
    return [(f"{word} = {part[0]} to {part[-1]}", [digits for digits in table if key(digits) in part]) for part in parts]


def _split(counts: list[int], parts: int) -> list[range]:
    """Cut the values 0 .. len(counts) - 1 into runs of about equal total count, none of them empty."""
    ends, total, seen = [0], sum(counts), 0
    for value, count in enumerate(counts):
        left = len(counts) - value - 1
        missing = parts - len(ends)
        seen += count
        full = seen >= total * len(ends) / parts - count / 2
        if missing and ((full and left >= missing) or left == missing):
            ends.append(value + 1)
    return [range(start, end) for start, end in zip(ends, [*ends[1:], len(counts)], strict=True)]


@register("binary-addition")
def binary_addition(
    seed: int,
    by: Literal["number", "position"] = "number",
    tasks: int = 5,
    tables: Literal["shared", "distinct", "position"] = "shared",
) -> Scenario:
    """Full adders: two bits and a carry give the sum's bit and the next carry; all tasks share one table unless told otherwise.

    In the paper (arXiv 2511.12828) task t adds t and each of 0 .. 9, in both orders, bit by bit with the same small network (a
    KAN [3,2,2] under the squared error). kancl gives the true carry where the paper feeds back the network's own.

    **As published this measures nothing:** every task asks for rows of one table of eight. Whoever has learned the first task
    can do the others, up to rows that it lacks, so "retention" is about 1 for every architecture, MLPs included.
    ``tables=distinct`` is the control: the same inputs have other answers in every task, and nothing tells the tasks apart, so
    every architecture forgets. ``tables=position`` does tell: the task's number is a further input, and a network that binds
    what it learns to it, as `lookup` does, can keep everything.

    Args:
        by: ``number``: the paper's tasks, 100 rows each (20 sums of 5 bits), so that common rows weigh more, and some numbers
            lack a row; ``position``: one bit position a task, each of the eight rows once.
        tasks: number of tasks, at most 15; with ``by=number`` task t adds t.
        tables: ``shared``: the full adder in all tasks; ``distinct``: the full adder in the first task; in every other
            some of its bits are flipped, drawn by the seed, so that no two tasks agree on all rows that both have;
            ``position``: the same, with a further input, 0 for the first task to 1 for the last.
    """
    if not 1 <= tasks <= 15:
        raise InputError(f"tasks must be 1 to 15, got {tasks}")
    rows = [_rows_of_sums(t) if by == "number" else list(range(ROWS)) for t in range(1, tasks + 1)]
    adders = _tables(seed, [set(own) for own in rows]) if tables != "shared" else [_full_adder()] * tasks
    inputs = torch.tensor(list(product((0.0, 1.0), repeat=3)))

    def task(number: int) -> Task:
        x, y = inputs[rows[number]], adders[number][rows[number]]
        if tables == "position":
            x = torch.cat([x, torch.full((len(x), 1), number / max(1, tasks - 1))], 1)
        name = f"add {number + 1}" if by == "number" else f"position {number + 1}"
        return Task(name, (x, y), (x, y))

    told = tables == "position"
    return Scenario(
        tasks=tuple(task(number) for number in range(tasks)),
        loss="mse",
        domain=((0.0, 1.0),) * (3 + told),
        test_is_train=True,
        advice=_advice(3 + told, (2,) if tables == "shared" else (8,), intervals=5, steps=2000),
    )


def _full_adder() -> Tensor:
    """Return the sum's bit and the carry out, (8, 2), for row number 4 a + 2 b + carry."""
    totals = [a + b + carry for a, b, carry in product((0, 1), repeat=3)]
    return torch.tensor([(total % 2, total // 2) for total in totals], dtype=torch.float32)


def _rows_of_sums(number: int) -> list[int]:
    """Return the numbers of the table's rows that adding ``number`` and 0 .. 9, in both orders, goes through, bit by bit."""
    rows = []
    for other in range(10):
        for a, b in ((number, other), (other, number)):
            carry = 0
            for place in range(BITS):
                bits = (a >> place & 1, b >> place & 1)
                rows.append(4 * bits[0] + 2 * bits[1] + carry)
                carry = (sum(bits) + carry) // 2
    return rows


def _tables(seed: int, used: list[set[int]]) -> list[Tensor]:
    """Return a table (8, 2) for each task, the first one the full adder; any two differ on the rows that both tasks have."""
    random = generator(seed, "binary-addition")
    found: list[Tensor] = [_full_adder()]
    while len(found) < len(used):
        table = (found[0] + torch.randint(2, (ROWS, 2), generator=random)) % 2
        own = used[len(found)]
        common = [sorted(own & other) for other in used[: len(found)]]
        if all(not torch.equal(table[rows], other[rows]) for rows, other in zip(common, found, strict=True)):
            found.append(table)
    return found


def _advice(inputs: int, hidden: tuple[int, ...], intervals: int, steps: int) -> Advice:
    """The paper's optimiser for everyone; its KAN has grids on [-1, 1], whatever the range of the inputs.

    An MLP of one hidden layer, or at the paper's rate and number of steps, does not learn the decimal tables.
    """
    sizes = rivals_of_kan(inputs, 2, hidden=hidden, intervals=intervals, depth=3, activation="tanh")
    return Advice(
        architectures=sizes | {"kan": sizes["kan"] | {"range": (-1.0, 1.0)}},
        optimizers=dict.fromkeys([*sizes, "linear"], "adamw"),
        policies=usual_policies(
            adam={"lr": 1e-2, "steps": 1000},
            adamw={"lr": 1e-3, "weight_decay": 1e-4, "state": "keep", "steps": steps, "batch_size": 1},
            sgd={"lr": 0.1, "steps": 2000},
            lbfgs=100,
        ),
        own_policies={"mlp": {"adamw": {"lr": 5e-3, "steps": 2 * steps}}},
    )
