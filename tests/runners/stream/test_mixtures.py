"""Guards streams without borders: the shares of the mixture, its draws, who is told of tasks, and what is refused."""

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from kancl.errors import InputError
from kancl.options import parse_spec
from runners.config.cell import Cell
from runners.config.request import Request
from runners.experiment.expand import expand
from runners.experiment.sweep import run
from runners.measure.record import Checkpoint, Progress
from runners.run import run_cell
from runners.store.experiment import Store
from runners.strategies import State, Strategy, strategies
from runners.stream.batches import Batch
from runners.stream.cache import StreamCache
from runners.stream.mixtures import mixtures, seen_in
from runners.stream.samples import Samples
from runners.stream.stack import stack
from runners.stream.stream import Stream
from runners.training.phase import begin_phase, end_phase
from runners.training.steps import StackedLearner
from runners.training.training import start, training_of
from scenarios import Scenario, Task, scenarios
from scenarios.build import complete_scenario
from scenarios.streams import share_of_later

SEEDS = (4, 0, 7)
STEPS = 40


def stream_of(text: str, seeds: tuple[int, ...] = SEEDS) -> Stream:
    return stack(complete_scenario(parse_spec(text)), seeds)


def drawn(stream: Stream, phase: int, size: Any = 64, steps: int = STEPS) -> list[Batch]:
    return list(islice(mixtures(stream, size, phase, steps), steps))


@pytest.fixture(scope="module")
def three() -> Any:
    """Three tasks with 5, 3 and 4 samples, whose inputs tell the task and the sample: task + sample / 10."""

    def build(seed: int) -> Scenario:
        xs = [task + torch.arange(float(count))[:, None] / 10 for task, count in enumerate((5, 3, 4))]
        return Scenario(tuple(Task(str(t), (x, x * 2), (x + 0.05, x * 2)) for t, x in enumerate(xs)), "mse")

    scenarios.register("three-tasks")(build)
    yield "three-tasks"
    del scenarios._entries["three-tasks"]


def shares(stream: Stream, phase: int, size: int = 64) -> np.ndarray:
    """The share of every task at every step of a phase: (steps, T), over all seeds and draws."""
    found = [batch.x.floor().long().flatten() for batch in drawn(stream, phase, size)]
    return np.array([np.bincount(tasks.numpy(), minlength=3) / len(tasks) for tasks in found])


@pytest.mark.parametrize("blur", [0.3, 1.0])
def test_the_shares_are_those_of_the_ramp(three: str, blur: float) -> None:
    stream = stream_of(f"{three}:blur={blur}", tuple(range(60)))
    for phase in range(3):
        # size is bounded by the task's samples, so there are 60 seeds x 3 to 5 draws a step.
        found = shares(stream, phase)
        for k, row in enumerate(found):
            u = phase + (k + 0.5) / STEPS
            up = [np.interp(u, [m - blur / 2, m + blur / 2], [0, 1]) for m in (1, 2)]
            expected = np.array([1 - up[0], up[0] - up[1], up[1]])
            spread = np.sqrt(expected * (1 - expected) / 180)
            assert (np.abs(row - expected) <= 5 * spread).all(), (u, row, expected)


def test_samples_of_a_task_are_drawn_alike_and_with_their_targets(three: str) -> None:
    stream = stream_of(f"{three}:blur=1", tuple(range(100)))
    batches = drawn(stream, 1)
    x, y = torch.cat([batch.x for batch in batches], 1), torch.cat([batch.y for batch in batches], 1)
    torch.testing.assert_close(y, 2 * x)
    values, counts = (10 * x).round().long().unique(return_counts=True)
    assert values.tolist() == [0, 1, 2, 3, 4, 10, 11, 12, 20, 21, 22, 23]
    for own in (counts[:5], counts[5:8], counts[8:]):
        mean = own.double().mean()
        assert ((own - mean).abs() < 5 * mean.sqrt()).all()


def test_without_a_ramp_in_reach_only_the_own_task_is_seen(three: str) -> None:
    batches = drawn(stream_of(f"{three}:blur=0.1"), 1)
    assert all((batch.x.floor() == 1).all() for batch in batches[2:-2])
    assert any((batch.x.floor() != 1).any() for batch in (*batches[:2], *batches[-2:]))


def test_a_batch_is_of_its_seed_phase_and_step_alone(three: str) -> None:
    text = f"{three}:blur=1"
    for phase in range(3):
        stacked, alone = drawn(stream_of(text), phase), drawn(stream_of(text, (0,)), phase)
        for one, other in zip(stacked, alone, strict=True):
            assert torch.equal(one.x[1:2], other.x)
            assert torch.equal(one.y[1:2], other.y)
        seen = torch.cat([batch.x for batch in stacked], 1)
        assert not torch.equal(seen[0], seen[1])
        assert not torch.equal(seen[:, : seen.shape[1] // 2], seen[:, seen.shape[1] // 2 :])


def test_steps_beyond_one_draw_go_on(three: str) -> None:
    """Many steps are drawn at a time; where one such block ends makes no difference to how samples are spread."""
    from runners.stream import mixtures as blur

    stream = stream_of(f"{three}:blur=1")
    blocks = list(islice(blur._draws(SEEDS, 1 << 13, 0), 10))  # 4 steps a block
    assert len({tuple(block[0, 0, :4].tolist()) for block in blocks}) == 10
    assert all(part.shape == (2, 3, 1 << 13) and part.min() >= 0 and part.max() < 1 for part in blocks)
    assert len(drawn(stream, 0, steps=9)) == 9


@pytest.mark.parametrize(("size", "expected"), [("full", [5, 3, 4]), (2, [2, 2, 2]), (4, [4, 3, 4]), (100, [5, 3, 4])])
def test_the_size_of_batches(three: str, size: Any, expected: list[int]) -> None:
    stream = stream_of(f"{three}:blur=0.5")
    assert [drawn(stream, phase, size)[0].x.shape[1] for phase in range(3)] == expected


def test_heads_go_by_sample() -> None:
    stream = stream_of("split-digits:setting=task,blur=1")
    assert stream.heads is not None
    mixed = 0
    for batch in drawn(stream, 1, 32):
        assert batch.mask is not None
        assert (batch.mask.sum(-1) == 2).all()
        assert batch.mask.gather(-1, batch.y[..., None]).all()
        mixed += int(len(batch.mask[0].unique(dim=0)) > 1)
    assert mixed > STEPS / 2


def test_one_task_has_no_border(three: str) -> None:
    stream = stream_of(f"{three}:skip=2,blur=1")
    assert all((batch.x.floor() == 2).all() for batch in drawn(stream, 0))
    assert list(seen_in(0, stream)) == [0]


# In the loop.


def cell_of(tools: Any, text: str, architecture: str = "mlp", strategy: str = "naive", **said: Any) -> Any:
    (cell,) = expand([Request((text,), (architecture,), (strategy,), **{"seeds": "4,0,7", "steps": STEPS, **said})])
    return cell


@pytest.mark.parametrize("architecture", ["kan", "mlp"])
def test_a_seed_alone_equals_the_seed_in_a_stack(tools: Any, architecture: str) -> None:
    said = {"dtype": "float64", "optimizer": "adam", "steps": 10, "evaluations": 2}
    cell = cell_of(tools, "split-digits:classes_per_task=5,blur=1", architecture, batch_size=16, **said)
    full = run_cell(cell, stack(cell.scenario, cell.seeds, torch.float64))
    alone = run_cell(replace(cell, seeds=(0,)), stack(cell.scenario, (0,), torch.float64))
    for name, R in full.R.items():
        np.testing.assert_allclose(R[1:2], alone.R[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("locality", ["on", "off"])
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_going_on_after_any_phase_gives_the_same_numbers(tools: Any, locality: Any, schedule: Any) -> None:
    text = "gaussian-peaks:tasks=3,samples=20,pretrain=1,cycles=2,blur=0.8"
    cell = cell_of(tools, text, "kan", optimizer="adam", batch_size=8, locality=locality, schedule=schedule)
    stream, saved = StreamCache().of(cell), []

    def keep(checkpoint: Checkpoint) -> None:
        import copy

        saved.append(copy.deepcopy(checkpoint))

    whole = run_cell(cell, stream, save=keep)
    assert [checkpoint.phases_done for checkpoint in saved] == [0, 1, 2, 3, 4]
    for checkpoint in saved[:-1]:
        again = run_cell(cell, stream, resume=checkpoint)
        np.testing.assert_array_equal(again.R["rmse"], whole.R["rmse"])
        assert again.steps == whole.steps
        if locality == "on":
            np.testing.assert_array_equal(again.locality.overlap, whole.locality.overlap)
            np.testing.assert_array_equal(again.locality.parts, whole.locality.parts)
    assert (whole.locality is not None) == (locality == "on")


def test_the_watch_changes_no_number(tools: Any) -> None:
    text = "gaussian-peaks:tasks=3,blur=1"
    plain, watched = (cell_of(tools, text, "kan", optimizer="adam", locality=locality) for locality in ("off", "on"))
    results = [run_cell(cell, StreamCache().of(cell)) for cell in (plain, watched)]
    np.testing.assert_array_equal(results[0].R["rmse"], results[1].R["rmse"])


def test_idle_coefficients_do_not_move_though_neighbours_are_mixed(tools: Any) -> None:
    """No base, one layer, SGD: what no sample of a phase's mixture can reach stays as it is, to the bit."""
    cell = cell_of(tools, "gaussian-peaks:blur=1", "kan", optimizer="sgd", lr=0.1, momentum=0.0, locality="on")
    record = run_cell(cell, StreamCache().of(cell)).locality
    assert record is not None
    assert (np.nan_to_num(record.idle_drift) == 0).all()


def test_the_optimiser_is_never_reset_and_no_task_is_told(tools: Any) -> None:
    told: list[int] = []
    cell = cell_of(tools, "gaussian-peaks:tasks=4,blur=0.5", "mlp", optimizer="adam", schedule="linear")
    stream = StreamCache().of(cell)
    training = training_of(cell, stream)
    training.network.begin_task = lambda x: told.append(x.shape[1])  # type: ignore[method-assign]
    start(training)
    learners, falling = [], []
    for phase in range(training.tasks):
        begun = begin_phase(training, phase)
        assert begun.learner.rates is not None
        falling += list(begun.learner.rates)
        learners.append(begun.learner)
        end_phase(training, begun)
    assert len(told) == len(set(map(id, learners))) == 1
    assert isinstance(learners[0], StackedLearner)
    assert len(falling) == 4 * STEPS
    assert all(a > b for a, b in pairwise(falling))


def test_joint_sees_everything_anyway(tools: Any) -> None:
    results = []
    for text in ("gaussian-peaks:tasks=3", "gaussian-peaks:tasks=3,blur=0.7"):
        cell = cell_of(tools, text, strategy="joint", optimizer="adam")
        results.append(run_cell(cell, StreamCache().of(cell)).R["rmse"])
    np.testing.assert_array_equal(*results)


class Acts(Strategy):
    def end_task(self, state: State, network: Any, samples: Samples, phase: int) -> State:
        return state


class Chooses(Strategy):
    def data_of(self, phase: int, tasks: int) -> range:
        return range(phase + 1)


class Carries(Strategy):
    boundaries: ClassVar[bool] = False


@pytest.mark.parametrize(
    ("strategy", "said", "message"),
    [
        ("naive", {"optimizer": "lbfgs"}, "blur=0.5 gives another batch at every step, .* line search of lbfgs"),
        ("independent", {}, "blur=0.5 leaves no border at which strategy independent could start with fresh networks"),
        (Acts, {}, "tells nobody where a task begins or ends, and strategy acts acts there"),
        (Chooses, {}, "mixes neighbouring tasks, and strategy chooses chooses others itself"),
        (Carries, {"optimizer": "lbfgs"}, None),
        ("naive", {}, None),
    ],
)
def test_what_needs_borders_is_refused(enrol: Any, strategy: Any, said: dict[str, Any], message: str | None) -> None:
    if not isinstance(strategy, str):
        enrol(strategies, strategy.__name__.lower(), strategy)
        strategy = strategy.__name__.lower()
    request = Request(("gaussian-peaks:blur=0.5",), ("mlp",), (strategy,), **{"seeds": 2, "optimizer": "adam", **said})
    if message is None:
        assert expand([request])
        return
    with pytest.raises(InputError, match=message):
        expand([request])


class StopsIn:
    """A listener that presses Ctrl-C in one phase of the training."""

    def __init__(self, task: int | None) -> None:
        self.task = task

    def begin_cell(self, cell: Cell, number: int, count: int) -> None: ...

    def progress(self, cell: Cell, progress: Progress) -> None:
        if progress.task == self.task:
            raise KeyboardInterrupt

    def end_cell(self, cell: Cell, outcome: str) -> None: ...


def test_a_killed_run_goes_on(tmp_path: Path) -> None:
    """Stopped after a checkpoint in the middle; the same command ends with the numbers of an undisturbed run."""
    cells = expand([Request(("gaussian-peaks:tasks=4,blur=1",), ("mlp",), seeds=2, optimizer="adam", steps=30)])
    with pytest.raises(KeyboardInterrupt):
        run(cells, Store(tmp_path / "a"), StopsIn(3))
    checkpoint = Store(tmp_path / "a").cell(cells[0].key).load_checkpoint()
    assert checkpoint is not None
    assert checkpoint.phases_done == 2
    one, other = (run(cells, Store(tmp_path / folder), StopsIn(None)).results[cells[0].key] for folder in "ab")
    np.testing.assert_array_equal(one.R["rmse"], other.R["rmse"])


def test_the_first_and_the_last_moment_are_pure() -> None:
    assert share_of_later(0.0, 1, 1.0) == 0.0
    assert share_of_later(3.0, 2, 1.0) == 1.0


def test_names_say_blur(kancl: Callable[..., Any]) -> None:
    said = kancl("list", "scenarios", "--verbose").out
    for option in ("skip: int = 0", "pretrain: int = 0", "cycles: int = 1", "blur: float = 0.0"):
        assert len(re.findall(re.escape(option) + r"\n +\w", said)) == 1, option
    assert "blur" not in kancl("list", "scenarios").out
