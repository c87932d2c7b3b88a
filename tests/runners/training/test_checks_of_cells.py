"""Guards what is refused before anything runs: seeds that are no repetitions, and policies that a network cannot follow."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kancl.errors import InputError
from runners.stream import batches as batches_module

# Seeds that are no repetitions.


DEAD = '''
from kancl.models import Network, Problem, architectures


def constant(problem: Problem) -> Network:
    """Weights without chance."""
    network = architectures.get("mlp")(problem, hidden=(3,))
    for parameter in network.parameters():
        parameter.data.fill_(0.5)
    return network
'''


IDLE = (
    DEAD
    + """
import torch


def idle(problem: Problem) -> Network:
    \"\"\"The same, with a number of each seed's own that takes no part.\"\"\"
    network = constant(problem)
    network.register_buffer("own", torch.tensor(problem.seeds, dtype=torch.float32))
    return network
"""
)


def test_seeds_that_differ_in_what_takes_no_part_are_refused(kancl: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "idle.py").write_text(IDLE)
    said = kancl(
        "run", "gaussian-peaks", "--architectures", f"{tmp_path}/idle.py:idle", "--seeds", 2, "--out", tmp_path / "out"
    )
    assert said.code == 2
    assert "seeds 0 and 1 compute the same initial function" in said.err


@pytest.mark.parametrize(
    ("line", "told"), [("clip = true", "clip: takes no true or false"), ("lr = false", "lr: takes no true")]
)
def test_true_and_false_are_no_numbers(kancl: Callable[..., Any], tmp_path: Path, line: str, told: str) -> None:
    (tmp_path / "x.toml").write_text(f'scenarios = ["gaussian-peaks"]\n{line}\n')
    said = kancl("run", "--file", tmp_path / "x.toml", "--out", tmp_path / "out")
    assert said.code == 2
    assert told in said.err


def test_a_grid_is_not_refined_without_end(monkeypatch: pytest.MonkeyPatch, tools: Any) -> None:
    from kancl.models import layers

    monkeypatch.setattr(layers, "MOST", 20)
    cell = tools.make_cell("gaussian-peaks:tasks=3", "kan:intervals=5,grid=refine", optimizer="adam", steps=1)
    with pytest.raises(InputError, match=r"refining once more would give \d+ coefficients per edge, more than 20"):
        tools.train(cell)


@pytest.mark.parametrize("seeds", [1, 2, "4,7,9"])
def test_an_architecture_that_ignores_its_seeds_is_refused(kancl: Callable[..., Any], tmp_path: Path, seeds: Any) -> None:
    (tmp_path / "dead.py").write_text(DEAD)
    out = tmp_path / "out"
    # Data and input ranges that differ from seed to seed do not bring the weights to life.
    said = kancl(
        "run", "gaussian-peaks:noise=0.1", "--architectures", f"{tmp_path}/dead.py:constant", "--seeds", seeds, "--out", out
    )
    assert said.code == 2
    assert "dead.py:constant" in said.err
    one, other = (4, 7) if seeds == "4,7,9" else (0, 1)
    assert f"seeds {one} and {other} have the same initial weights" in said.err
    assert not out.exists()


def test_options_that_leave_nothing_to_chance_are_refused(tools: Any) -> None:
    with pytest.raises(InputError, match="seeds 0 and 1 have the same initial weights"):
        tools.make_cell("gaussian-peaks", 'kan:hidden=[],noise=0.0,base="none"', optimizer="adam", steps=1)


def test_an_order_of_samples_that_the_seed_does_not_reach_is_refused(tools: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    living = batches_module.generator
    monkeypatch.setattr(batches_module, "generator", lambda seed, *purpose: living(0, *purpose))
    said = {"optimizer": "adam", "steps": 1}
    with pytest.raises(InputError, match="seeds 0 and 1 would see the samples of task 1 in the same order"):
        tools.make_cell("gaussian-peaks", "mlp", batch_size=8, **said)
    # A full batch has no order.
    for size in ("full", 100, 300):
        tools.make_cell("gaussian-peaks", "mlp", batch_size=size, **said)


def test_few_samples_do_not_look_dead_by_chance(tools: Any) -> None:
    """Two samples have two orders: one epoch of eight seeds is sure to hold equal ones."""
    cell = tools.make_cell("gaussian-peaks:samples=2", "mlp", optimizer="adam", steps=1, batch_size=1, seeds=8)
    assert cell.policy.batch_size == 1


# Policies that a network cannot follow.


def test_decay_that_would_touch_nothing_is_refused(tools: Any) -> None:
    with pytest.raises(InputError, match=r"mlp: weight decay on coefficients would touch nothing.*only bias, weights"):
        tools.make_cell("gaussian-peaks", "mlp", optimizer="adamw", weight_decay=0.1, decay_on=("coefficients",), steps=1)


def test_state_cannot_be_kept_for_parameters_that_grow(tools: Any) -> None:
    said = {"optimizer": "adam", "steps": 1, "state": "keep"}
    with pytest.raises(InputError, match=r"grid=refine.*use state=reset"):
        tools.make_cell("gaussian-peaks", "kan:grid=refine", **said)
    tools.make_cell("gaussian-peaks", "kan:grid=refine", "joint", **said)  # one phase after another, no new task
