"""Guards what is said before a run of seeds that are too few: as many as compare will then find missing, and nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import runners
from runners.choices.plans import Choice, Plan
from runners.config.request import Request
from runners.experiment.expand import expand
from runners.results.beforehand import seeds_line
from runners.results.verdicts import compare

SCENARIO = "gaussian-peaks:tasks=2,samples=10"


def line(seeds: int, choices: int | None = None, **said: Any) -> str | None:
    asked = {"architectures": ("kan:hidden=2,intervals=3", "mlp:hidden=4"), "strategies": ("naive",)} | said
    cells = expand([Request(scenarios=(SCENARIO,), seeds=seeds, steps=3, **asked)])
    plan = None
    if choices is not None:
        own = [tuple(range(first, seeds, choices)) for first in range(choices)]
        plan = Plan(3, "learning", (1e-3, 1e-1), tuple(Choice(reported, (100 + n,)) for n, reported in enumerate(own)))
    return seeds_line([(cell, plan) for cell in cells])


@pytest.mark.parametrize(
    ("said", "needed"),
    [
        ({}, 6),
        ({"strategies": ("naive", "ewc")}, 7),
        ({"strategies": ("naive", "joint")}, 6),
        ({"architectures": ("kan:hidden=2,intervals=3", "mlp:hidden=4", "linear", "lookup")}, 7),
    ],
)
def test_as_many_seeds_are_said_to_be_needed_as_the_family_takes(said: dict[str, Any], needed: int) -> None:
    told = line(needed - 1, **said)
    assert told is not None
    assert f"{needed - 1} seeds cannot reach 5 %" in told
    assert f"{needed} seeds can (--seeds {needed})" in told
    assert line(needed, **said) is None


def test_one_architecture_and_training_on_all_tasks_at_once_have_no_verdicts() -> None:
    assert line(2, architectures=("mlp:hidden=4",)) is None
    assert line(2, strategies=("joint",)) is None


def test_choices_count_where_they_are_fewer_than_seeds() -> None:
    told = line(12, choices=4)
    assert told is not None
    assert "4 tunings cannot reach 5 %" in told
    assert "(--tune-choices 6)" in told
    assert line(12, choices=6) is None


def test_it_is_said_before_the_run_and_agrees_with_compare(kancl: Callable[..., Any], tmp_path: Path) -> None:
    asked = ("run", SCENARIO, "--architectures", "kan:hidden=2,intervals=3", "mlp:hidden=4", "--strategies", "naive", "ewc")
    command = (*asked, "--steps", "3", "--seeds", "2", "--evaluations", "2", "--out", tmp_path / "out")
    looked, said = kancl(*command, "--dry-run"), kancl(*command)
    (needed,) = {comparison.verdict.needed for comparison in compare(runners.load(tmp_path / "out"), metric="final")}
    for out in (looked.out, said.out):
        assert f"{needed} seeds can" in out
    assert said.out.index("seeds can") < said.out.index("[1/4]")
