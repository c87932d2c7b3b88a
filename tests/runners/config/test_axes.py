"""Guards settings with several values: they multiply or go together, and all that is wrong with them is told at once."""

from pathlib import Path
from typing import Any

import pytest

from kancl.errors import InputError
from runners.cli.asked import wanted
from runners.config.axes import Asked, said
from runners.config.file import lines_of, read_blocks, read_file
from runners.config.pairs import parse_pair
from runners.config.request import AXES, DEFAULTS, Request
from runners.experiment.contents import request_digest
from runners.experiment.expand import expand
from runners.experiment.faults import RefusedError
from runners.experiment.matching import Matched
from runners.experiment.prepare import prepare


def write(folder: Path, content: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(content)
    return path


def told(folder: Path, content: str, command: Asked | None = None) -> str:
    def ask() -> None:
        found = wanted(command or Asked({}), write(folder, content))
        with found.placed():
            expand(found.requests)

    with pytest.raises(InputError) as caught:
        ask()
    return str(caught.value).replace(str(folder / "mine.toml"), "FILE")


# Values.


def test_lists_multiply_and_the_last_one_moves_first(tmp_path: Path) -> None:
    requests = read_file(write(tmp_path, "lr = [0.1, 0.2]\nsteps = [5, 6, 7]\nseeds = [4, 9]\ntune_range = [0.1, 1.0]\n"))
    assert [(r.lr, r.steps) for r in requests] == [(lr, steps) for lr in (0.1, 0.2) for steps in (5, 6, 7)]
    assert {r.seeds for r in requests} == {"4,9,"}
    assert {r.tune_range for r in requests} == {(0.1, 1.0)}


def test_zipped_lists_go_together_and_multiply_with_the_others(tmp_path: Path) -> None:
    content = 'zip = [["lr", "steps"]]\nlr = [0.1, 0.2]\nstate = ["reset", "keep"]\nsteps = [5, 6]\n'
    requests = read_file(write(tmp_path, content))
    expected = [(0.1, 5, "reset"), (0.1, 5, "keep"), (0.2, 6, "reset"), (0.2, 6, "keep")]
    assert [(r.lr, r.steps, r.state) for r in requests] == expected


def test_architectures_can_go_with_settings_one_by_one(tmp_path: Path) -> None:
    content = 'zip = [["architectures", "batch-size"]]\narchitectures = ["kan", "mlp"]\nbatch-size = [8, "full"]\n'
    requests = read_file(write(tmp_path, content))
    assert [(r.architectures, r.batch_size) for r in requests] == [(("kan",), 8), (("mlp",), "full")]


def test_switches_and_lists_of_lists_have_several_values_in_files(tmp_path: Path) -> None:
    requests = read_file(write(tmp_path, 'lazy = [true, false]\ndecay_on = [["base"], ["bias", "weights"]]\n'))
    kinds = (("base",), ("bias", "weights"))
    assert [(r.lazy, r.decay_on) for r in requests] == [(lazy, on) for lazy in (True, False) for on in kinds]
    assert [r.decay_on for r in read_file(write(tmp_path, 'decay_on = ["bias", "weights"]\n'))] == [("bias", "weights")]


def test_what_has_one_value_is_no_axis() -> None:
    assert {"lr", "optimizer", "steps", "epochs", "batch_size", "dtype", "runner"} <= set(AXES)
    assert not {"seeds", "decay_on", "lazy", "tune", "tune_range", "match", "to", "data_root", "evaluations", "cells"} & set(
        AXES
    )


def test_the_command_line_goes_over_blocks_and_these_over_the_top(tmp_path: Path) -> None:
    content = "lr = [0.1, 0.2]\nsteps = 5\n[[block]]\nlr = 0.3\n[[block]]\nepochs = [1, 2]\n"
    found = wanted(said({"optimizer": ("sgd", "adam")}, None, ""), write(tmp_path, content))
    asked = [(r.optimizer, r.lr, r.steps, r.epochs) for r in found.requests]
    shared = [(lr, None, epochs) for lr in (0.1, 0.2) for epochs in (1, 2)]
    assert len(asked) == 10
    assert set(asked) == {(optimizer, *own) for optimizer in ("sgd", "adam") for own in [(0.3, 5, None), *shared]}
    upper = wanted(said({"lr": (0.5,), "steps": (7,)}, None, ""), write(tmp_path, content))
    assert [(r.lr, r.steps, r.epochs) for r in upper.requests] == [(0.5, 7, None)] * 2


def test_a_zip_of_the_command_line_replaces_that_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, 'zip = [["lr", "steps"]]\nlr = [0.1, 0.2]\nsteps = [5, 6]\n')
    assert len(wanted(Asked({}), path).requests) == 2
    assert len(wanted(said({}, [], ""), path).requests) == 4
    three = said({"weight_decay": (0.1, 0.2)}, ["lr,steps,weight-decay"], "")
    assert [(r.lr, r.weight_decay) for r in wanted(three, path).requests] == [(0.1, 0.1), (0.2, 0.2)]


def test_more_combinations_than_anybody_runs_are_refused_at_once() -> None:
    many = {name: tuple(range(1, 1000)) for name in ("lr", "steps", "clip", "batch_size")}
    with pytest.raises(InputError, match=r"999 x 999 x 999 x 999 = 996,005,996,001 combinations"):
        said(many, None, "").requests()


# Single cells.


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("mlp/naive", ("mlp", "naive")),
        ("kan:intervals=20/ewc:strength=3", ("kan:intervals=20", "ewc:strength=3")),
        ("path/to/file.py:Net/naive", ("path/to/file.py:Net", "naive")),
        ("./a/b.py:Net:width=3/c/d.py:Keep:much=1", ("./a/b.py:Net:width=3", "c/d.py:Keep:much=1")),
        ("mlp/../keep.py:Keep", ("mlp", "../keep.py:Keep")),
        ("net:file=a/b/naive", ("net:file=a/b", "naive")),
        ("net/ewc:file=a/b", ("net", "ewc:file=a/b")),
        ('net:file="a/b"/ewc:file="c/d"', ('net:file="a/b"', 'ewc:file="c/d"')),
        ("net:files=[a/b,c]/naive", ("net:files=[a/b,c]", "naive")),
    ],
)
def test_a_pair_is_split_at_the_slash_between_two_names(text: str, pair: tuple[str, str]) -> None:
    assert parse_pair(text) == pair


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mlp", "ARCHITECTURE/STRATEGY"),
        ("/naive", "ARCHITECTURE/STRATEGY"),
        ("mlp/", "ARCHITECTURE/STRATEGY"),
        ("net:f=a/ewc:g=b/naive", r"could be .* or .*; put the value that has a slash in quotes"),
        ("x" * 500, "xxx"),
    ],
)
def test_pairs_that_are_none_or_could_be_two_are_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_pair(text)
    assert len(str(caught.value)) < 300


QUICK = {"scenarios": ("gaussian-peaks:tasks=2",), "optimizer": "adam", "steps": 2, "seeds": 1}


def test_single_cells_are_the_cells_of_the_product() -> None:
    product = expand([Request(architectures=("mlp", "kan"), strategies=("naive", "ewc"), **QUICK)])
    single = expand([Request(cells=("mlp/naive", "mlp/ewc", "kan/naive"), lr=None, **QUICK)])
    assert [cell.key for cell in single] == [cell.key for cell in product[:3]]
    assert [cell.request for cell in single] == [cell.request for cell in product[:3]]


ASKED = {"scenario": "gaussian-peaks", "architecture": "mlp", "strategy": "naive"}


def test_a_digest_of_a_request_stays() -> None:
    request = Request(("gaussian-peaks",), ("mlp",), ("naive",), lr=0.1, seeds=2).over(DEFAULTS)
    assert request_digest(request, ASKED) == "a4542f8735063e6f"
    assert "cells" not in repr(request)


def test_single_cells_and_a_product_exclude_each_other(tmp_path: Path, kancl: Any) -> None:
    below = Request(architectures=("mlp",), strategies=("ewc",))
    assert Request(cells=("kan/naive",)).over(below).architectures is None
    ended = kancl("run", "gaussian-peaks", "--cells", "mlp/naive", "--strategies", "ewc")
    assert ended.code == 2
    assert "cells names single pairs" in ended.err
    message = told(tmp_path, 'cells = ["mlp/naive"]\n', said({"strategies": ("ewc",)}, None, "the command line"))
    assert "strategies what is crossed; leave out one of the two" in message


def test_widths_are_matched_in_single_cells(tmp_path: Path) -> None:
    request = Request(cells=("mlp/naive", "kan/naive", "mlp/ewc"), match="parameters", to="kan", **QUICK)
    heard: list[object] = []
    cells, _ = prepare([request], tmp_path / "out", Silent(), heard.append)
    widths = [cell.architecture.options.get("hidden") for cell in cells]
    assert [cell.strategy.name for cell in cells] == ["naive", "ewc", "naive"]
    assert widths[0] == widths[1] != widths[2]
    assert sum(isinstance(told, Matched) for told in heard) == 1, "the width is solved for once"


class Silent:
    """Hears nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *said: None


# Faults.

BAD = """scenarios = ["gaussian-peaks:task=2", "split-digit"]
architectures = ["kna", "mlp:hiden=3"]
stepps = 3
lr = [0.1, "fast"]
[[block]]
strategies = ["ewc:strenght=1"]
zip = [["lr", "steps"]]
steps = [1,
  2, 3]
lr = [0.1, 0.2]
[[block]]
batch_size = -1
optimizer = "lbfgs"
seeds = "x"
"""


def test_all_that_is_wrong_with_a_file_is_told_with_its_place(tmp_path: Path) -> None:
    top, first, second = told(tmp_path, BAD, said({}, None, "the command line")).split("FILE")[1:]
    assert top.startswith(":\n")
    assert first.startswith(", block 1:\n")
    assert second.startswith(", block 2:\n")
    for part in (
        "stepps: unknown setting; did you mean steps? (line 3)", "lr: Input should be a valid number", "(line 4)",
        "no option 'task'; did you mean tasks? (line 1)", "unknown scenario 'split-digit'", "unknown architecture 'kna'",
        "mlp has no option 'hiden'; did you mean hidden? (line 2)",
    ):  # fmt: skip
        assert part in top
    assert "zip: lr has 2 values and steps has 3 values; settings that go together need as many values each (line 7)" in first
    assert "ewc has no option 'strenght'; did you mean strength? (line 6)" in first
    assert "got 'x' (line 14)" in second
    assert "batch_size must be at least 1" in second


def test_what_is_wrong_on_the_command_line_is_told_at_once(kancl: Any) -> None:
    ended = kancl("run", "gaussian-peak", "--architectures", "kna", "--strategies", "ewcc", "--seeds", "2")
    assert ended.code == 2
    assert all(name in ended.err for name in ("gaussian-peak", "kna", "ewcc"))


def test_half_a_match_is_told_with_all_else(kancl: Any) -> None:
    ended = kancl("run", "gaussian-peak", "--match", "flops", "--runner", "avalanche", "--locality", "on", "--seeds", "1")
    assert ended.code == 2
    assert all(part in ended.err for part in ("--match needs --to", "--locality", "gaussian-peak"))


def test_no_more_than_twenty_faults_are_told() -> None:
    names = tuple(f"nothing-{k}" for k in range(30))
    with pytest.raises(RefusedError) as caught:
        expand([Request(scenarios=names, architectures=("mlp",), seeds=1)])
    assert str(caught.value).count("unknown scenario") == 20
    assert "and 10 more" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('zip = ["lr", "steps"]', "zip: must be lists of names"),
        ('zip = [["lr"]]\nlr = [0.1]', "zip takes two settings or more together, got lr alone"),
        ('zip = [["lr", "stepz"]]\nlr = [0.1]', "stepz is none of the settings with several values"),
        ('zip = [["lr", "steps"]]\nlr = [0.1]', "zip: lr and steps are to go together, and steps has no values"),
        ('zip = [["lr", "steps"], ["lr", "state"]]\nlr = [0.1]\nsteps = [1]\nstate = ["keep"]', "lr is named twice"),
        ("lr = []", "lr is an empty list"),
        ("lr = [true]", "lr: takes no true or false, got true"),
        ("seeds = true", "seeds: must be a number, a range or a list, got true"),
        ("evaluations = [3, 4]", "evaluations: Input should be a valid integer"),
    ],
)
def test_axes_that_are_refused(tmp_path: Path, content: str, message: str) -> None:
    assert message in told(tmp_path, content)
    with pytest.raises(InputError):
        read_file(tmp_path / "mine.toml")


def test_lines_are_those_of_statements() -> None:
    text = 'a = """\nlr = 1\n"""\n# lr = 2\nlr = [\n  1,\n]\n\n[[ block ]]\n"steps" = 3\n[[block]]\n'
    assert lines_of(text) == [{"a": 1, "lr": 5}, {"steps": 10}, {}]


def test_what_can_be_read_of_a_file_is_kept(tmp_path: Path) -> None:
    read = read_blocks(write(tmp_path, "lr = 'x'\nsteps = 3\n"))
    assert read.blocks[0].values == {"steps": (3,)}
    assert len(read.faults) == 1
