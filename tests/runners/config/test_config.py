"""Guards how a request becomes cells: seeds, precedence, experiment files, policies, and the keys that name results."""

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kancl.errors import InputError
from kancl.options import Spec
from runners.config.advice import resolve_policy
from runners.config.cell import Cell, cell_from_json
from runners.config.file import read_file
from runners.config.policy import Policy
from runners.config.request import Request
from runners.config.seeds import parse_seeds
from runners.experiment.expand import expand

PLUG_IN = '''
import torch

from scenarios import Advice, Scenario, Task


def mine(seed: int, samples: int = 4) -> Scenario:
    """Two tasks, and advice."""
    x = torch.arange(2.0 * samples)[:, None] + seed
    tasks = [Task(name, (x[:samples] + k, x[:samples]), (x[samples:] + k + 0.5, x[samples:])) for k, name in enumerate("ab")]
    advice = Advice(
        architectures={"mlp": {"hidden": (7,), "activation": "gelu"}},
        optimizers={"mlp": "sgd"},
        policies={"sgd": {"lr": 0.125, "momentum": 0.5, "epochs": 3, "batch_size": 2}, "adam": {"lr": 0.25, "steps": 9}},
    )
    return Scenario(tuple(tasks), "mse", advice=advice)
'''


@pytest.fixture
def plug_in(tmp_path: Path) -> str:
    path = tmp_path / "mine.py"
    path.write_text(PLUG_IN)
    return f"{path}:mine"


def one_cell(**said: Any) -> Cell:
    said.setdefault("architectures", ("mlp",))
    (cell,) = expand([Request(**{"scenarios": ("gaussian-peaks",), "seeds": 1, **said})])
    return cell


# Seeds.


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        (3, (0, 1, 2)),
        ("3", (0, 1, 2)),
        (" 3 ", (0, 1, 2)),
        (1, (0,)),
        ("4-6", (4, 5, 6)),
        ("5-5", (5,)),
        ("3,5,8", (3, 5, 8)),
        ("8,3", (8, 3)),
        ("7,", (7,)),
    ],
)
def test_parse_seeds(text: int | str, seeds: tuple[int, ...]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", [0, -1, "0", "", "a", "6-4", "1-", "-3", "1,1", "1.5", "1,,2", "1-2-3", "1-3,5", ","])
def test_parse_seeds_refuses(text: int | str) -> None:
    with pytest.raises(InputError, match="seeds must be"):
        parse_seeds(text)


# Precedence.


def test_defaults_hold_where_nothing_is_said() -> None:
    cells = expand([Request(scenarios=("gaussian-peaks",))])
    assert [(cell.architecture.name, cell.strategy.name) for cell in cells] == [("kan", "naive"), ("mlp", "naive")]
    assert {cell.seeds for cell in cells} == {tuple(range(8))}
    assert {(cell.dtype, cell.evaluations) for cell in cells} == {("float32", 12)}


def test_every_option_is_spelled_out() -> None:
    cell = one_cell()
    assert dict(cell.scenario.options) == {
        "tasks": 5, "samples": 100, "width": 0.2, "slope": 0.0, "shift": 0.0, "noise": 0.0, "dims": 1,
        "order": "left-to-right", "test": "train",
    }  # fmt: skip
    assert dict(cell.architecture.options) == {"hidden": [13, 12], "activation": "tanh"}


def test_advice_goes_over_defaults(plug_in: str) -> None:
    cell = one_cell(scenarios=(plug_in,))
    assert dict(cell.architecture.options) == {"hidden": [7], "activation": "gelu"}
    assert cell.policy == Policy("sgd", lr=0.125, momentum=0.5, epochs=3, batch_size=2)


@pytest.mark.parametrize(
    ("optimizer", "policy"),
    [
        ("adam", Policy("adam", lr=1e-3, steps=1000)),
        ("adamw", Policy("adamw", lr=1e-3, steps=1000)),
        ("sgd", Policy("sgd", lr=1e-2, momentum=0.9, steps=1000)),
        ("lbfgs", Policy("lbfgs", lr=1.0, steps=100)),
    ],
)
def test_every_optimiser_has_defaults_and_advice_replaces_them_one_by_one(optimizer: str, policy: Policy) -> None:
    """The numbers are those of the command line's help."""
    assert resolve_policy({}, optimizer, {}) == policy
    assert resolve_policy({optimizer: {"lr": 0.5}}, optimizer, {}) == replace(policy, lr=0.5)
    assert resolve_policy({optimizer: {"steps": 7}}, optimizer, {}) == replace(policy, steps=7)
    assert resolve_policy({optimizer: {"epochs": 7}}, optimizer, {}) == replace(
        policy, steps=None, epochs=7, batch_size="full" if optimizer == "lbfgs" else 32
    )


def test_adam_unless_something_else_is_advised(plug_in: str) -> None:
    assert one_cell(scenarios=(plug_in,), architectures=("kan",)).policy == Policy("adam", lr=0.25, steps=9)
    assert one_cell(scenarios=(plug_in,), optimizer="adamw").policy == Policy("adamw", lr=1e-3, steps=1000)


def test_a_file_goes_over_advice_and_the_command_line_over_the_file(plug_in: str, tmp_path: Path) -> None:
    path = tmp_path / "experiment.toml"
    path.write_text("lr = 0.5\nmomentum = 0.25\nseeds = 3\n")
    (from_file,) = read_file(path)
    said = Request(scenarios=(plug_in,), architectures=("mlp:activation=relu",), lr=2.0)
    (cell,) = expand([said.over(from_file)])
    assert (cell.policy.lr, cell.policy.momentum, cell.policy.epochs, cell.policy.batch_size) == (2.0, 0.25, 3, 2)
    assert cell.seeds == (0, 1, 2)
    assert dict(cell.architecture.options) == {"hidden": [7], "activation": "relu"}


def test_zero_is_something_that_was_said(plug_in: str) -> None:
    assert one_cell(scenarios=(plug_in,), momentum=0.0).policy.momentum == 0.0
    assert Request(weight_decay=0.0).over(Request(weight_decay=0.1)).weight_decay == 0.0


@pytest.mark.parametrize(("said", "advised"), [("steps", "epochs"), ("epochs", "steps")])
def test_steps_replace_advised_epochs_and_the_other_way_round(said: str, advised: str) -> None:
    policy = resolve_policy({"adam": {advised: 7}}, "adam", {said: 5})
    assert getattr(policy, said) == 5
    assert getattr(policy, advised) is None


def test_advice_is_that_of_the_optimiser_in_use() -> None:
    advice = {"adam": {"lr": 0.5, "steps": 3}, "sgd": {"lr": 0.25, "momentum": 0.9, "steps": 4}}
    assert resolve_policy(advice, "adam", {}) == Policy("adam", lr=0.5, steps=3)
    assert resolve_policy(advice, "adam", {"optimizer": "sgd"}) == Policy("sgd", lr=0.25, momentum=0.9, steps=4)
    assert resolve_policy(advice, "lbfgs", {}) == Policy("lbfgs", lr=1.0, steps=100)


def test_unknown_advice_is_refused() -> None:
    with pytest.raises(InputError, match=r"unknown policy setting 'learning_rate'"):
        resolve_policy({"adam": {"learning_rate": 1}}, "adam", {})


# Files.


def test_blocks_are_requests_that_override_what_is_shared(tmp_path: Path) -> None:
    path = tmp_path / "experiment.toml"
    path.write_text(
        """
scenarios = ["gaussian-peaks:tasks=2"]
architectures = ["mlp"]
seeds = "2-3"
steps = 5

[[block]]
optimizer = "adam"

[[block]]
optimizer = "sgd"
lr = 0.5
steps = 6
weight-decay = 0.25
"""
    )
    first, second = expand(read_file(path))
    assert (first.policy.optimizer, first.policy.steps, first.policy.lr) == ("adam", 5, 3e-3)
    assert (second.policy.optimizer, second.policy.steps, second.policy.lr) == ("sgd", 6, 0.5)
    assert (first.policy.weight_decay, second.policy.weight_decay) == (0.0, 0.25)
    assert first.seeds == second.seeds == (2, 3)


def test_a_file_without_blocks_is_one_request(tmp_path: Path) -> None:
    path = tmp_path / "experiment.toml"
    path.write_text('scenarios = ["split-digits"]\nbatch_size = "full"\n')
    assert read_file(path) == [Request(scenarios=("split-digits",), batch_size="full")]


def test_equal_cells_of_two_blocks_run_once() -> None:
    request = Request(scenarios=("gaussian-peaks",), architectures=("mlp",), seeds=1)
    assert len(expand([request, request, replace(request, lr=0.5)])) == 2


def test_all_faults_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "experiment.toml"
    path.write_text('lr = "fast"\nlearning_rate = 1\noptimizer = "adamm"\nsteps = 1.5\nscenarios = 3\nstate = "kept"\n')
    with pytest.raises(InputError) as caught:
        read_file(path)
    message = str(caught.value)
    assert str(path) in message
    for key in ("lr", "learning_rate", "optimizer", "steps", "scenarios", "state"):
        assert f"- {key}: " in message
    assert message.count("\n  - ") == 6


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("lr = ", "not valid TOML"),
        ("block = 3", r"\[\[block\]\]"),
        ("[block]\nlr = 1.0", r"\[\[block\]\]"),
        ("[[block]]\nlr = 1.0\n[[block]]\nrate = 1.0", "block 2:\n  - rate"),
        ("scenarios = 'gaussian-peaks'", "scenarios"),
        ("\x00", "not valid TOML"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "experiment.toml"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_file(path)


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.write_bytes(b"\xff\xfe\xff")])
def test_unreadable_files_are_refused_by_name(tmp_path: Path, make: Any) -> None:
    path = tmp_path / "experiment.toml"
    make(path)
    with pytest.raises(InputError, match=r"experiment\.toml"):
        read_file(path)


@pytest.mark.parametrize("key", ["scenarios", "architectures", "strategies"])
def test_an_empty_list_is_nothing_to_run_and_refused(key: str) -> None:
    with pytest.raises(InputError, match=key[:6]):
        expand([Request(**{"scenarios": ("gaussian-peaks",), "seeds": 1, key: ()})])


@pytest.mark.parametrize("evaluations", [1, 0, -3])
def test_too_few_evaluations_are_refused(evaluations: int) -> None:
    with pytest.raises(InputError, match="evaluations must be at least 2"):
        one_cell(evaluations=evaluations)


# Policies.


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"steps": None}, "either steps or epochs"),
        ({"epochs": 3}, "either steps or epochs"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"steps": None, "epochs": 0}, "epochs must be at least 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"batch_size": -4}, "batch_size must be at least 1"),
        ({"lr": 0.0}, "lr > 0"),
        ({"lr": -1.0}, "lr > 0"),
        ({"lr": np.nan}, "lr"),
        ({"lr": np.inf}, "lr"),
        ({"weight_decay": -0.1}, "weight_decay >= 0"),
        ({"weight_decay": np.nan}, "weight_decay"),
        ({"optimizer": "sgd", "momentum": 1.0}, "momentum < 1"),
        ({"optimizer": "sgd", "momentum": -0.1}, "0 <= momentum"),
        ({"optimizer": "adam", "momentum": 0.9}, "momentum is an option of sgd, not of adam"),
        ({"optimizer": "lbfgs", "batch_size": 8}, "lbfgs works on the full batch"),
        ({"optimizer": "lbfgs", "weight_decay": 0.1}, "without weight decay"),
    ],
)
def test_policies_that_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Policy(**{"steps": 5, **wrong})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"batch_size": "half"}, "batch_size"),
        ({"state": "kept"}, "state"),
        ({"lr": "fast"}, "lr"),
        ({"lr": [0.1]}, "lr"),
        ({"steps": 2.5}, "steps"),
        ({"lr": -1.0}, "lr"),
    ],
)
def test_advice_of_the_wrong_type_is_refused(wrong: dict[str, Any], message: str) -> None:
    """Advice comes from the authors of plug-ins, who may mistype it."""
    with pytest.raises(InputError, match=message):
        resolve_policy({"adam": {"steps": 5, **wrong}}, "adam", {})


def test_advice_of_an_unknown_optimiser_is_refused() -> None:
    with pytest.raises(InputError, match="rmsprop"):
        resolve_policy({}, "rmsprop", {"steps": 5})


@pytest.mark.parametrize(
    ("said", "samples", "steps"),
    [
        ({"steps": 7, "batch_size": 3}, 10, 7),
        ({"epochs": 2}, 10, 2),
        ({"epochs": 2, "batch_size": 10}, 10, 2),
        ({"epochs": 2, "batch_size": 4}, 10, 6),
        ({"epochs": 3, "batch_size": 100}, 10, 3),
    ],
)
def test_steps_per_task(said: dict[str, Any], samples: int, steps: int) -> None:
    assert Policy(**said).steps_per_task(samples) == steps


def test_a_request_has_the_settings_of_the_policy() -> None:
    settings, asked = [own.name for own in fields(Policy)], [own.name for own in fields(Request)]
    first = asked.index("seeds") + 1
    assert asked[first : first + len(settings)] == settings
    assert all(getattr(Request(), name) is None for name in asked)
    assert Request(lr=0.5, lazy=False).policy() == {"lr": 0.5, "lazy": False}
    with pytest.raises(TypeError, match="unexpected keyword argument 'rate'"):
        Request(rate=0.5)


def test_a_label_says_what_is_not_usual() -> None:
    policy = Policy("sgd", 0.5, "keep", 0.1, ("bias",), 0.9, "cosine", "sequence", lazy=True, clip=2.0, epochs=3, batch_size=8)
    said = "epochs=3 batch=8 decay=0.1 on bias momentum=0.9 cosine over all tasks lazy clip=2 state kept"
    assert policy.label == f"sgd lr=0.5 {said}"
    assert " ".join(policy.words(without="lr")) == f"sgd {said}"
    assert Policy(steps=5).words() == ("adam", "lr=0.001", "steps=5")


def test_the_label_tells_policies_apart() -> None:
    policies = [
        Policy(steps=5), Policy(epochs=5), Policy("adamw", steps=5), Policy(lr=0.5, steps=5), Policy(steps=5, batch_size=3),
        Policy(steps=5, weight_decay=0.1), Policy("sgd", steps=5, momentum=0.5), Policy("sgd", steps=5),
        Policy(steps=5, state="keep"),
    ]  # fmt: skip
    assert len({policy.label for policy in policies}) == len(policies)


# Keys.


def test_a_cell_survives_json(plug_in: str) -> None:
    for scenario in ("gaussian-peaks:tasks=3", "split-digits:setting=task", plug_in):
        for cell in expand([Request(scenarios=(scenario,), strategies=("naive", "joint"), seeds="3,5")]):
            read = cell_from_json(json.loads(json.dumps(cell.to_json())))
            assert read == cell
            assert read.key == cell.key


@pytest.mark.parametrize("format_number", [0, 1, None, "2"])
def test_a_cell_of_another_format_is_refused(format_number: Any) -> None:
    with pytest.raises(InputError, match="format"):
        cell_from_json({**one_cell().to_json(), "format": format_number})


CHANGES: list[tuple[str, Any]] = [
    ("scenario", Spec("gaussian-peaks", {"tasks": 4})),
    ("scenario", Spec("other", {"tasks": 3})),
    ("architecture", Spec("mlp", {"hidden": [4], "activation": "tanh"})),
    ("architecture", Spec("kan", {"hidden": [3], "activation": "tanh"})),
    ("strategy", Spec("joint", {})),
    ("seeds", (0, 1, 2)),
    ("seeds", (1, 0)),
    ("dtype", "float64"),
    ("evaluations", 13),
    ("curve_samples", 100),
    ("locality", True),
    ("runner", "avalanche"),
    ("sources", {"mine.py": "abc"}),
    ("content", {"data": "abc"}),
    *(
        ("policy", Policy(**{"optimizer": "sgd", "steps": 5, **change}))
        for change in (
            {"optimizer": "adam"}, {"lr": 0.5}, {"state": "keep"}, {"weight_decay": 0.1}, {"momentum": 0.5}, {"steps": 6},
            {"steps": None, "epochs": 5}, {"batch_size": 3},
        )
    ),
]  # fmt: skip


def plain_cell() -> Cell:
    return Cell(
        Spec("gaussian-peaks", {"tasks": 3}), Spec("mlp", {"hidden": [3], "activation": "tanh"}), Spec("naive", {}),
        Policy("sgd", steps=5), (0, 1),
    )  # fmt: skip


def test_the_changes_below_are_of_every_field() -> None:
    assert {name for name, _ in CHANGES} | {"asked", "data_root", "request", "question"} == {f.name for f in fields(Cell)}


@pytest.mark.parametrize(("name", "value"), CHANGES, ids=[f"{name}-{place}" for place, (name, _) in enumerate(CHANGES)])
def test_the_key_changes_with_what_matters(name: str, value: Any) -> None:
    cell = plain_cell()
    assert getattr(cell, name) != value
    assert replace(cell, **{name: value}).key != cell.key


def test_the_key_does_not_change_with_how_it_was_asked() -> None:
    cell = plain_cell()
    assert replace(cell, asked={"scenario": "x"}).key == cell.key
    assert replace(cell, data_root="elsewhere").key == cell.key
    assert replace(cell, request="another", question="another").key == cell.key
    assert replace(cell, curve_samples="all").key == cell.key
    written_out = one_cell(
        scenarios=("gaussian-peaks:tasks=5,samples=100",), architectures=("mlp:hidden=13x12,activation=tanh",)
    )
    assert written_out.key == one_cell().key
    assert written_out.asked != one_cell().asked


def test_the_key_is_a_folder_name(plug_in: str) -> None:
    key = one_cell(scenarios=(plug_in,)).key
    assert key.startswith("mine--mlp--naive--")
    assert not set(key) & set("/\\: ")


def test_the_key_changes_with_the_contents_of_a_plug_in_file(plug_in: str) -> None:
    before = one_cell(scenarios=(plug_in,))
    path = Path(plug_in.rpartition(":")[0])
    path.write_text(path.read_text() + "# changed\n")
    after = one_cell(scenarios=(plug_in,))
    assert before.key != after.key
    assert before.sources.keys() == after.sources.keys() == {path.name}
