"""Guards the benchmark: who is timed when, what ratios mean, what is written where. No test looks at speed."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from kancl import splines
from kancl.errors import InputError, StorageError
from kancl.models import parameters_per_seed
from runners.bench import PEER_NAMES, anatomy
from runners.bench.explain import explanation, parse_shape
from runners.bench.figures import draw_sweep, sweeps
from runners.bench.goals import goals, gpu_goals
from runners.bench.kernel import GRID_BACKWARD, PRODUCT, layer_makers
from runners.bench.loops import data, kancl_network, plain_loop, runner_loop
from runners.bench.memory import Peak, traced_peak
from runners.bench.peers import PEERS, Peer, build_peer, find_peers
from runners.bench.plan import FULL, QUICK, Shape
from runners.bench.report import MARKS, Report, markdown
from runners.bench.step import FULL_BATCH, SINGLE, STACKED, kancl_makers
from runners.bench.strategies import STRATEGIES
from runners.bench.whole import WHOLE
from runners.cli.bench import Bench
from runners.config.request import Request
from runners.experiment.expand import expand
from runners.measure.timing import Comparison, Contender, Timing, compare, race, threads_set_to
from runners.report.documents import write_between_marks
from runners.strategies import State, Step, strategies
from runners.strategies.registry import BUILT_IN
from runners.stream.stack import stack
from runners.training.step_time import FIRST, second_phase

Kancl = Callable[..., Any]
SHAPE = Shape((2, 3, 1), 5, 8)
OPTIONAL = set(splines.BACKENDS) - {"dense", "local"}
"""Backends that not every machine has."""

# The command.

STAND_IN = """
import torch

class KAN(torch.nn.Module):
    def __init__(self, widths, grid_size, spline_order):
        super().__init__()
        self.layer = torch.nn.Linear(widths[0], widths[-1])

    def forward(self, x):
        return self.layer(x)
"""
MACHINE = {"processor": "P", "cores": 2, "python": "3.11", "torch": "2", "kancl": "0", "commit": "abc"}
BEGIN, END = MARKS
DOCUMENT = f"above\n{BEGIN}\nold\n{END}\nbelow\n"


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, "subprocess.CompletedProcess[str]"]:
    """``kancl bench all --quick`` in a process of its own, with one peer that can be imported and two that fail."""
    desk = tmp_path_factory.mktemp("bench")
    (desk / "peers").mkdir()
    (desk / "peers" / "efficient_kan.py").write_text(STAND_IN)
    (desk / "peers" / "fastkan.py").write_text("import a_package_that_nobody_has\n")
    (desk / "peers" / "kan.py").write_text("raise OSError('no symbols')\n")
    (desk / "document.md").write_text(DOCUMENT)
    program = str(Path(sys.executable).with_name("kancl"))
    peers = ["pykan", "efficient-kan", "fast-kan", "mlp"]  # avalanche is slow to import; its own test times it
    command = [program, "bench", "--quick", "--peers", *peers, "--write", "document.md", "--figures", "figures"]
    paths = [str(desk / "peers"), *filter(None, [os.environ.get("PYTHONPATH")])]
    settings = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=desk, env=settings, capture_output=True, text=True, check=False, timeout=300)
    return desk, done


def test_the_quick_run_writes_its_figures(quick: tuple[Path, Any]) -> None:
    desk, done = quick
    assert done.returncode == 0, done.stderr
    found = json.loads((desk / "benchmarks" / "results" / "all-quick.json").read_text())
    assert found["command"] == {
        "suite": "all", "threads": [1], "device": "cpu", "quick": True, "peers": ["efficient-kan", "mlp"],
    }  # fmt: skip
    assert {"torch", "commit", "processor", "kancl"} <= set(found["machine"])
    assert found["peers"]["efficient-kan"].startswith("no version, sources sha256 ")
    assert found["goals"] == []
    groups = {comparison["group"].partition(":")[0] for comparison in found["comparisons"]}
    assert len(groups) == 13, groups
    for comparison in found["comparisons"]:
        if comparison["group"].startswith(STRATEGIES):
            continue  # the next test looks at them
        assert set(comparison["refused"]) <= {f"kancl {name}" for name in OPTIONAL}
        assert comparison["reference"] in {timing["name"] for timing in comparison["timings"]}
        for timing in comparison["timings"]:
            assert 0 < timing["low"] <= timing["median"] <= timing["high"]
            assert timing["iqr"] == pytest.approx(timing["high"] - timing["low"])
            assert timing["rounds"] == 2
    names = {timing["name"] for comparison in found["comparisons"] for timing in comparison["timings"]}
    expected = {"kancl auto", "kancl runner", "mlp", "mlp stack", "bare loop", "efficient-kan"}
    assert expected | {"kancl dense", "kancl local"} <= names
    assert {peak["name"] for peak in found["memory"]["peaks"]} >= {"kancl dense", "kancl local", "mlp"}


def test_the_quick_run_times_every_strategy_where_it_can_be_carried_out(quick: tuple[Path, Any]) -> None:
    desk, done = quick
    found = json.loads((desk / "benchmarks" / "results" / "all-quick.json").read_text())["comparisons"]
    comparisons = [comparison for comparison in found if comparison["group"].startswith(STRATEGIES)]
    refused = [set(comparison["refused"]) for comparison in comparisons]
    assert refused == [set(), {"lazy", "knot-anchor"}, {"packnet"}]
    for comparison, missing in zip(comparisons, refused, strict=True):
        assert {timing["name"] for timing in comparison["timings"]} | missing == set(BUILT_IN)
        assert comparison["reference"] == "naive"
        assert all(timing["rounds"] == 2 and timing["networks"] == 2 for timing in comparison["timings"])
    assert "in brackets: share of the naive" in done.stdout


@pytest.mark.parametrize("name", ["naive", "replay", "der++", "agem", "lwf", "packnet", "ewc", "si"])
def test_steps_of_the_second_task_are_timed_with_the_first_one_past(name: str) -> None:
    said = Request(("split-digits:setting=task",), ("mlp:hidden=4",), (name,), seeds=2, optimizer="adam")
    (cell,) = expand([said])
    stream, seen = stack(cell.scenario, cell.seeds), []

    class Watched(strategies.get(name)):  # type: ignore[misc]
        """Notes whether the second task's batches and the first one's traces take part."""

        def after_step(self, state: State, step: Step) -> None:
            seen.append((step.batch, dict(state)))
            super().after_step(state, step)

    second_phase(cell, stream, Watched())(2)
    assert len(seen) == FIRST + 2
    (first, _), (last, state) = seen[0], seen[-1]
    own, other = (set(map(tuple, stream.train[task].x[0].tolist())) for task in (1, 0))
    assert set(map(tuple, first.x[0].tolist())) <= other
    assert set(map(tuple, last.x[0, :32].tolist())) <= own
    traces = {
        "naive": lambda: not state, "replay": lambda: last.x.shape[1] == 64, "der++": lambda: len(last.extra) == 8,
        "agem": lambda: "reference/x" in last.extra, "lwf": lambda: "groups" in state,
        "packnet": lambda: bool(state["owner/layers.0.weight"].any()),
    }  # fmt: skip
    assert traces.get(name, lambda: any(key.startswith("importance/") for key in state))()


def test_the_quick_run_shows_tables_and_names_what_is_missing(quick: tuple[Path, Any]) -> None:
    _, done = quick
    assert "training step of one network (µs, 1 thread; in brackets: times faster than efficient-kan)" in done.stdout
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("not installed")]
    assert "pykan: pip install pykan (here it fails: OSError: no symbols)" in line
    assert "fast-kan: pip install git+https://github.com/ZiyaoLi/fast-kan" in line
    known = ("timed: ", "wrote ", "not installed", "not able to run here: kancl ")
    rest = [line for line in done.stderr.splitlines() if not line.startswith(known)]
    assert rest == []


def test_the_quick_run_writes_only_between_the_marks(quick: tuple[Path, Any]) -> None:
    desk, _ = quick
    text = (desk / "document.md").read_text()
    assert text.startswith(f"above\n{BEGIN}\nMeasured ")
    assert text.endswith(f"\n{END}\nbelow\n")
    assert "old" not in text
    assert "| kancl dense |" in text
    assert {path.name for path in desk.iterdir()} == {"peers", "document.md", "benchmarks", "figures"}


def test_the_quick_run_draws_the_sweeps(quick: tuple[Path, Any]) -> None:
    desk, _ = quick
    names = {f"bench-{name}.{kind}" for name in ("grid", "stack") for kind in ("png", "svg")}
    assert {path.name for path in (desk / "figures").iterdir()} == names
    ElementTree.parse(desk / "figures" / "bench-grid.svg")


LONG = "n" * 252
"""A file may have this name, but no temporary one beside it can be named after it."""
BAD_INPUT: dict[str, tuple[tuple[str, ...], str]] = {
    "no such suite": (("kernels",), "kernels"),
    "no such peer": (("--peers", "tensorflow"), "tensorflow"),
    "no GPU": (("--device", "cuda"), "--device cuda needs a CUDA device"),
    "no threads": (("--threads", "0"), "--threads must be at least 1 and at most 1024, got 0"),
    "a document that is not there": (("--write", "nowhere.md"), "nowhere.md cannot be read"),
    "a document without marks": (("--write", "plain.md"), BEGIN),
    "a folder for the JSON": (("--out", "folder"), "folder is a folder"),
    "a place that cannot be made": (("--out", "plain.md/x/y.json"), "plain.md/x cannot be made"),
    "a name too long for the JSON": (("--out", LONG), f"{LONG} cannot be written"),
    "a name too long for the document": (("--write", f"{LONG}.md"), f"{LONG}.md cannot be written"),
    "figures without sweeps": (("whole", "--figures", "figs"), "--figures draws the sweeps of the suite kernel, and whole"),
    "an explanation for no GPU": (("--explain", "B=2,I=1,O=1,G=3", "--device", "cuda"), "--device cuda needs a CUDA device"),
    "a size twice": (("--explain", "B=2,I=1,O=1,G=3,B=4"), "B twice"),
    "sizes beyond counting": (("--explain", "S=999999999,B=999999999,I=999999999,O=1,G=3"), "more numbers than a tensor"),
    "no sizes": (("--explain", "a layer"), "'a layer'"),
    "an unknown size": (("--explain", "B=2,I=1,O=1,G=3,Z=1"), "'Z=1'"),
    "a size missing": (("--explain", "B=2,I=1,G=3"), "O (outputs)"),
    "no inputs": (("--explain", "B=2,I=0,O=1,G=3"), "I must be at least 1"),
    "an impossible degree": (("--explain", "B=2,I=1,O=1,G=3,K=9"), "degree"),
}


@pytest.mark.parametrize("fault", BAD_INPUT)
def test_bad_input_is_refused_before_anything_is_timed(
    kancl: Kancl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain.md").write_text("no marks\n")
    (tmp_path / f"{LONG}.md").write_text(DOCUMENT)
    (tmp_path / "folder").mkdir()
    arguments, named = BAD_INPUT[fault]
    ended = kancl("bench", *arguments)
    assert ended.code == 2
    assert ended.out == ""
    assert named in " ".join(ended.err.replace("│", " ").split())
    assert not (tmp_path / "figs").exists()


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no folder here that takes no file")
def test_a_folder_for_figures_that_takes_no_file_is_refused(kancl: Kancl, tmp_path: Path) -> None:
    ended = kancl("bench", "kernel", "--quick", "--out", tmp_path / "out.json", "--figures", "/proc/self")
    assert (ended.code, ended.out) == (2, "")
    assert "/proc/self/bench-grid.png cannot be written" in ended.err
    assert not list(tmp_path.iterdir())


def test_a_disk_that_fails_after_the_timing_is_told_in_words_of_its_own(
    kancl: Kancl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise StorageError("out.json cannot be written: No space left on device")

    monkeypatch.setattr("runners.store.files.write_json", fails)
    monkeypatch.setattr(Bench, "_comparisons", lambda *_: iter([comparison("g", "c", kancl_auto=1.0)]))
    ended = kancl("bench", "whole", "--quick", "--peers", "mlp", "--out", tmp_path / "out.json")
    assert ended.code == 2
    assert "kancl auto" in ended.out
    assert "No space left on device; what was measured is in the tables above" in ended.err
    assert "same command" not in ended.err


def test_explain_tells_the_choice_and_every_backend(kancl: Kancl, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: Any) -> torch.Tensor:
        raise InputError("only for cubic splines\non Sundays")

    monkeypatch.setitem(splines.BACKENDS, "moody", refuses)
    ended = kancl("bench", "--explain", "S=3,B=256,I=2,O=1,G=20")
    assert (ended.code, ended.err) == (0, "")
    first, *rest = ended.out.splitlines()
    choice = splines.explain(torch.zeros(3, 256, 2), torch.zeros(3, 2, 23, 1), splines.UniformGrid.over(-1.0, 1.0, 20, 3))
    assert first.startswith(f"S 3, B 256, I 2, O 1, G 20, K 3: auto takes {choice.backend}: ")
    states = {line.split()[0]: line.split(maxsplit=1)[1] for line in rest}
    assert list(states) == list(splines.BACKENDS)
    assert states["dense"] == states["local"] == "available"
    assert states["moody"] == "cannot be used here: InputError: only for cubic splines"


def test_explain_asks_for_the_device_that_was_named() -> None:
    first, *rest = explanation(parse_shape("B=256,I=2,O=3,G=20"), "meta")
    assert "x is on meta" in first
    assert [line for line in rest if "native" in line] == ["  native   cannot be used here: it runs on a CPU, and x is on meta"]


def test_help_of_bench_imports_nothing_slow() -> None:
    script = (
        "import sys\nfrom runners.cli.main import main\ntry:\n    main(['bench', '--help'])\nexcept SystemExit:\n    pass\n"
        "print('imported:', *({'torch', 'numpy', 'matplotlib', 'avalanche'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.splitlines()[-1] == "imported:"
    assert "--explain" in done.stdout
    assert all(name in done.stdout for name in PEER_NAMES)


# Timing.


class Clock:
    """A clock that only the contenders move."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[tuple[str, int]] = []

    def __call__(self) -> float:
        return self.now

    def contender(self, name: str, seconds: float, **settings: Any) -> Contender:
        """One that takes so many seconds a step."""

        def run(steps: int) -> None:
            self.now += seconds * steps
            self.calls.append((name, steps))

        return Contender(name, run, **settings)


def test_contenders_take_turns_and_each_round_starts_with_another() -> None:
    clock = Clock()
    field = [clock.contender(name, 1.0, steps=2) for name in "abc"]
    timings = race(field, rounds=4, block=1.0, clock=clock)
    assert "".join(name for name, _ in clock.calls) == "abc" + "bca" + "cab" + "abc"
    assert [timing.name for timing in timings] == ["a", "b", "c"]
    assert {timing.rounds for timing in timings} == {4}


def test_times_are_medians_per_step_and_network() -> None:
    clock, durations = Clock(), iter([1.0, 5.0, 2.0, 4.0, 3.0])

    def run(steps: int) -> None:
        clock.now += next(durations)

    (timing,) = race([Contender("a", run, networks=5, steps=2)], rounds=5, block=1.0, clock=clock)
    assert (timing.low, timing.median, timing.high, timing.iqr) == pytest.approx((0.2, 0.3, 0.4, 0.2))


@pytest.mark.parametrize("seconds", [1e-5, 0.003, 0.049, 2.0])
def test_a_block_is_about_as_long_as_asked_for(seconds: float) -> None:
    clock = Clock()
    (timing,) = race([clock.contender("a", seconds)], rounds=1, block=0.05, clock=clock)
    assert timing.steps == max(1, round(0.05 / seconds))
    assert timing.median == pytest.approx(seconds)


@pytest.mark.parametrize("most", [1, 3, 70, 10_000])
def test_a_block_has_no_more_steps_than_it_may_have(most: int) -> None:
    clock = Clock()
    (timing,) = race([clock.contender("a", 1e-5, most=most)], rounds=1, block=0.05, clock=clock)
    assert max(steps for _, steps in clock.calls) == timing.steps == min(most, 5000)


def test_threads_are_set_and_restored() -> None:
    def fail() -> None:
        with threads_set_to(2):
            raise KeyError(torch.get_num_threads())

    with pytest.raises(KeyError, match="2"):
        fail()
    assert torch.get_num_threads() == 1


def test_who_cannot_run_is_reported_and_the_others_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: Any) -> torch.Tensor:
        raise InputError("too many outputs")

    monkeypatch.setitem(splines.BACKENDS, "broken", refuses)
    makers = layer_makers(Shape((2, 3), 5, 8), backward=True)
    found = compare(makers, group="g", case="c", threads=1, rounds=1, block=1e-4, reference=("kancl nobody", "kancl local"))
    assert found.refused["kancl broken"] == "InputError: too many outputs"
    assert {timing.name for timing in found.timings} | set(found.refused) == {
            PRODUCT, *(f"kancl {name}" for name in splines.BACKENDS),
        }  # fmt: skip
    assert {"kancl dense", "kancl local"} <= {timing.name for timing in found.timings}
    assert found.reference == "kancl local"


# Peers and loops.


def test_missing_and_broken_peers_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(module: str) -> Callable[[], Any]:
        def fails() -> Any:
            raise ModuleNotFoundError(module) if module == "kan" else RuntimeError("no symbols")

        return fails

    monkeypatch.setitem(PEERS, "pykan", Peer("pykan", "pip install pykan", load("kan")))
    monkeypatch.setitem(PEERS, "fast-kan", Peer("fastkan", "from its repository", load("fastkan")))
    found, missing = find_peers(("mlp", "pykan", "fast-kan"))
    assert found == {"mlp": torch.__version__}
    assert missing["pykan"] == "pip install pykan"
    assert missing["fast-kan"] == "from its repository (here it fails: RuntimeError: no symbols)"


@pytest.mark.parametrize("shape", [*FULL.shapes[:4], *QUICK.shapes], ids=lambda shape: shape.label)
def test_the_mlp_has_as_many_parameters_as_the_kan(shape: Shape) -> None:
    own = parameters_per_seed(kancl_network(shape, 1))
    assert own == shape.parameters
    sizes = [parameters_per_seed(kancl_network(shape, 1, "mlp")), sum(p.numel() for p in build_peer("mlp", shape).parameters())]
    one_unit = shape.widths[0] + shape.widths[-1] + 1
    assert sizes[0] == sizes[1]
    assert abs(sizes[0] - own) <= one_unit


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_runner_and_the_bare_loop_do_the_same(seeds: int) -> None:
    x, y = data(SHAPE, seeds)
    ours, bare = kancl_network(SHAPE, seeds), kancl_network(SHAPE, seeds)
    before = [parameter.clone() for parameter in bare.parameters()]
    runner_loop(ours, x, y, SHAPE.batch)(5)
    plain_loop(bare, x, y)(5)
    for own, other, first in zip(ours.parameters(), bare.parameters(), before, strict=True):
        torch.testing.assert_close(own, other)
        assert not torch.equal(own, first)


def test_a_network_takes_the_backend_that_it_is_named_after(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def spy(*inputs: Any) -> torch.Tensor:
        calls.append(len(inputs))
        return splines.dense.evaluate(*inputs)

    monkeypatch.setitem(splines.BACKENDS, "local", spy)
    kancl_makers(SHAPE, 2)["kancl dense"]().run(3)
    assert calls == []
    kancl_makers(SHAPE, 2)["kancl local"]().run(3)
    assert len(calls) == 3 * len(SHAPE.layers)


def test_the_peak_is_the_most_that_was_held_at_once() -> None:
    megabyte = 1 << 20

    def step() -> None:
        first = torch.empty(megabyte, dtype=torch.uint8)
        del first
        held = [torch.empty(megabyte, dtype=torch.uint8) for _ in range(2)]
        held.clear()

    peak = traced_peak(step)
    assert peak is not None
    assert 2 * megabyte <= peak < 2.1 * megabyte


# Ratios, goals and documents.


def timing(name: str, median: float) -> Timing:
    return Timing(name, median, median, median, rounds=1, steps=1)


def comparison(group: str, case: str, threads: int = 1, scale: float = 1e6, **medians: float) -> Comparison:
    named = {name.replace("_", " ").replace("efficient kan", "efficient-kan"): value for name, value in medians.items()}
    return Comparison(group, case, threads, tuple(timing(*pair) for pair in named.items()), next(iter(named)), scale=scale)


def test_parts_of_a_step_are_shown_as_shares_of_it() -> None:
    timings = tuple(Timing(name, seconds, seconds, seconds, 3, 10) for name, seconds in (("whole", 4e-4), ("part", 1e-4)))
    comparison = Comparison("parts", "[1,1]", 1, timings, "whole", shares=True)
    text = markdown(Report("2030-01-02T03:04:05", {}, MACHINE, {}, {}, [comparison]))
    assert "in brackets: share of the whole" in text
    assert "| part | 100 (25%) |" in text


def test_what_is_taken_apart_does_what_the_step_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernels that are timed alone are called as often, and on tensors of the same sizes, as in a step."""
    from kancl.splines import native

    shape, called = Shape((2, 3, 1), 5, 8), []
    for name, kernel in (("forward", native.forward), ("backward", native.backward)):

        def noted(*args: Any, name: str = name, run: Any = kernel) -> Any:
            need = args[-3:] if name == "backward" else None
            called.append((name, need, [tuple(arg.shape) for arg in args if isinstance(arg, torch.Tensor)]))
            return run(*args)

        monkeypatch.setattr(native, name, noted)
    anatomy.kernels_alone(shape)(1)
    alone, called[:] = sorted(called, key=str), []
    anatomy.network_alone(shape)(1)
    assert alone == sorted(called, key=str)


def test_plans_move_to_another_device_whole() -> None:
    plan = FULL.on("meta")
    moved = [*plan.shapes, *plan.stacked, *plan.sweep_layers, plan.memory]
    assert {shape.device for shape in moved} == {"meta"}
    assert [shape.label for shape in plan.shapes] == [shape.label for shape in FULL.shapes]


def test_goals_on_a_gpu_are_those_of_stacks() -> None:
    case = FULL.stacked[0].label
    group = f"{STACKED}: S {FULL.stack}"
    timings = tuple(Timing(name, t, t, t, 3, 10) for name, t in (("kancl runner", 1e-5), ("efficient-kan", 2e-4)))
    judged = gpu_goals([Comparison(group, case, 1, timings, "efficient-kan")])
    assert [(goal.where, goal.measured, goal.met) for goal in judged[:2]] == [
        (case, pytest.approx(20.0), True), (FULL.stacked[1].label, None, None),
    ]  # fmt: skip


def test_a_ratio_is_the_others_time_over_ones_own() -> None:
    found = comparison("g", "c", efficient_kan=3e-3, kancl_auto=1.5e-3)
    assert found.times_faster("kancl auto", "efficient-kan") == 2.0
    assert found.times_faster("efficient-kan", "kancl auto") == 0.5
    assert found.times_faster("kancl auto", "pykan") is None


def test_goals_are_judged_by_ratios_of_medians_with_one_thread() -> None:
    toy, small, wide = FULL.shapes[0].label, FULL.shapes[1].label, FULL.shapes[4].label
    where = "[64,32] B256"
    stacked = f"{STACKED}: S {FULL.stack}"
    measured = [
        comparison(SINGLE, toy, efficient_kan=7.0, pykan=10.0, kancl_auto=4.0, kancl_native=2.0),
        comparison(SINGLE, small, efficient_kan=7.0, pykan=10.0, kancl_auto=1.0),
        comparison(SINGLE, wide, threads=2, efficient_kan=7.0, pykan=999.0, kancl_auto=1.0),
        comparison(stacked, toy, efficient_kan=200.0, kancl_native=1.0, mlp_stack=0.5),
        comparison(f"{FULL_BATCH}: kan", "S 1", kancl_runner=1.05, bare_loop=1.0),
        comparison(f"{FULL_BATCH}: mlp", "S 8", kancl_runner=1.2, bare_loop=1.0),
        comparison(f"{WHOLE}, 5 tasks of 10 steps", "kan, 32 seeds", scale=10, kancl=1.0, avalanche_Naive=20.0),
        comparison(f"{WHOLE}, 5 tasks of 10 steps", "mlp, 32 seeds", scale=30, kancl=1.0, avalanche_Naive=40.0),
        comparison(f"{GRID_BACKWARD}: {where}", "G 5", kancl_dense=1.0, kancl_local=2.0),
        comparison(f"{GRID_BACKWARD}: {where}", "G 200", kancl_dense=30.0, kancl_local=2.5),
    ]
    peaks = [Peak("kancl native", "c", peak=300, gradients=100, resident=None, basis=400, full=1000)]
    judged = {(goal.what, goal.where): (goal.measured, goal.met) for goal in goals(measured, peaks)}
    assert judged["training step, kancl native faster than efficient-kan", toy] == (3.5, True)
    assert judged["training step, kancl native faster than pykan", toy] == (5.0, True)
    assert judged["training step, kancl auto faster than efficient-kan", small] == (7.0, False)
    assert judged["training step, kancl auto faster than pykan", wide] == (None, None)
    assert judged["per network at S 128, kancl native faster than efficient-kan one by one", toy] == (200.0, True)
    assert judged["step of kancl native to step of MLPs with as many parameters, S 128", toy] == (2.0, False)
    assert judged[f"time of {FULL_BATCH}, the worst case", "mlp S 8"] == (1.2, False)
    whole = judged["whole run of gaussian-peaks, kancl faster than avalanche Naive", "KAN and MLP, 32 seeds"]
    assert whole == ((20 * 10 + 40 * 30) / (10 + 30), True)
    assert judged[f"{GRID_BACKWARD}: kancl local at G 200 to G 5", where] == (1.25, True)
    assert judged["peak of a step, kancl native, to one tensor (B, I, G+K, O)", "c"] == (0.3, True)
    assert [value for (what, _), value in judged.items() if "without gradients" in what] == [(0.5, True)]


def test_the_document_is_written_between_its_marks_alone(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(DOCUMENT.replace("above", "above \\1 | µ"))
    for inner in ("new \\g<0>", "newer"):
        write_between_marks(path, inner, MARKS)
        assert path.read_text() == f"above \\1 | µ\n{BEGIN}\n{inner}\n{END}\nbelow\n"


@pytest.mark.parametrize("text", ["", BEGIN, f"{END}\n{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_a_document_without_the_two_marks_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "page.md"
    path.write_text(text)
    with pytest.raises(InputError, match="needs the line"):
        write_between_marks(path, "new", MARKS)
    assert path.read_text() == text


def test_the_markdown_holds_medians_ratios_and_goals() -> None:
    found = replace(
        comparison(SINGLE, FULL.shapes[0].label, efficient_kan=3.5e-4, kancl_auto=1e-4),
        refused={"pykan": "no memory", "kancl gpu": "no GPU"},
    )
    other = comparison(STACKED, "c", pykan=1.0)
    report = Report(
        "2030-01-02T03:04:05", {}, MACHINE, {"mlp": "2"}, {"fast-kan": "x"}, [found, other], goals=goals([found], [])
    )
    lines = markdown(report).splitlines()
    assert "Measured 2030-01-02 on P (2 cores)" in lines[0]
    assert "| efficient-kan | 350 |" in lines
    assert "| kancl auto | 100 (3.50x) |" in lines
    assert "pykan left out: no memory" in lines
    assert "Not here, so left out: fast-kan." in lines
    assert [line for line in lines if "gpu" in line] == ["Not able to run here: kancl gpu (no GPU)."]
    assert any(line.startswith("| training step, kancl auto faster than efficient-kan | [1,1]") for line in lines)
    (row,) = [line for line in lines if "kancl auto faster than efficient-kan | [1,1]" in line]
    assert row.endswith("| at least 3.50x | 3.50x | yes |")


def test_a_sweep_is_data_before_it_is_drawn() -> None:
    def at(place: int | None, threads: int = 1, group: str = GRID_BACKWARD) -> Comparison:
        own = Timing("kancl", 2e-6 * (place or 1), 1e-6, 9e-6, 3, 5)
        timings = (own, Timing("mlp", 1e-6, 1e-6, 1e-6, 3, 5)) if place == 10 else (own,)
        return Comparison(group, f"G={place}", threads, timings, "kancl", place=place)

    found = sweeps([at(5), at(10), at(None), at(20, threads=2), at(7, group="other")])
    assert list(found) == ["bench-grid"]
    (panel,) = found["bench-grid"].panels
    assert panel.places == (5, 10)
    assert list(panel.lines["kancl"].x) == [5, 10]
    assert list(panel.lines["kancl"].middle) == pytest.approx([10, 20])
    assert list(panel.lines["kancl"].high) == pytest.approx([9, 9])
    assert list(panel.lines["mlp"].x) == [10]
    assert found["bench-grid"].title == "time against G, 1 thread"
    (ax,) = draw_sweep(found["bench-grid"]).axes
    assert [str(line.get_label()) for line in ax.lines] == ["kancl", "mlp"]
    assert sweeps([]) == {}
