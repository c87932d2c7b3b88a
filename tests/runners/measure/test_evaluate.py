"""Scores of many tasks in one call are those of a loop over tasks, to the last bit."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from kancl.models import Network
from runners.measure.evaluate import Evaluator, thinned
from runners.stream.samples import Samples
from runners.stream.stream import Stream
from scenarios import Advice
from scenarios.objectives import OBJECTIVES, Score


class Fixed(Network):
    """A network whose outputs are any function of its inputs, the same for every stack."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.linspace(0.5, 3.0, outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(7 * x[..., :1] * self.scale) + x[..., 1:]


def stream_of(loss: str, sizes: list[int], seeds: int, outputs: int, heads: bool = False, shared: bool = False) -> Stream:
    rng = torch.Generator().manual_seed(sum(sizes) + seeds)
    tests = []
    for task, n in enumerate(sizes):
        x = torch.rand(1 if shared else seeds, n, 2, generator=rng)
        classes = torch.randint(outputs, x.shape[:2], generator=rng)
        y = classes if loss == "cross-entropy" else torch.rand(*x.shape[:2], outputs, generator=rng)
        tests.append(Samples(x.expand(seeds, n, 2), y.expand(seeds, *y.shape[1:]), torch.full((n,), task)))
    active = torch.rand(len(sizes), outputs, generator=rng) < 0.6
    active[:, 0] = True

    ends = torch.zeros(seeds, 2)
    return Stream(
        tuple(range(seeds)), tuple(map(str, range(len(sizes)))), "task" if heads else "domain", outputs, OBJECTIVES[loss],
        ends, ends + 1, tuple(tests), tuple(tests), active if heads else None, {}, None, None, Advice(),
    )  # fmt: skip


def one_by_one(stream: Stream, network: Network, answers: Any = lambda task: None) -> dict[str, np.ndarray]:
    """The definition: every task by itself."""
    columns: dict[str, list[torch.Tensor]] = {name: [] for name in stream.objective.scores}
    whole = network(torch.cat([samples.x for samples in stream.test], 1))
    for task, part in enumerate(whole.split([samples.x.shape[1] for samples in stream.test], dim=1)):
        samples, own = stream.test[task], answers(task)
        outputs = part if own is None else torch.func.functional_call(network, own, (samples.x,))
        mask = stream.mask(samples.task)
        for name, score in stream.objective.scores.items():
            columns[name].append(score.compute(outputs, samples.y, None if mask is None else mask.expand_as(outputs)))
    return {name: torch.stack(values, 1).double().numpy() for name, values in columns.items()}


CASES = {
    "equal sizes": ([30] * 9, 3, 4),
    "single samples": ([1] * 40, 2, 3),
    "odd sizes": ([37] * 5, 1, 1),
    "two sizes in turns": ([50, 13] * 4, 4, 2),
    "every size another": ([5, 6, 7, 8, 9], 2, 10),
    "one task": ([64], 5, 3),
    "long": ([4] * 300, 2, 1),
    "wide": ([700, 700, 300], 8, 10),
}


@pytest.mark.parametrize("limit", [None, 100], ids=["at once", "task by task"])
@pytest.mark.parametrize("loss", list(OBJECTIVES))
@pytest.mark.parametrize("case", list(CASES))
@torch.no_grad()
def test_scores_are_those_of_a_loop_over_tasks(case, loss, limit, monkeypatch):
    if limit:
        monkeypatch.setattr("kancl.parts.AT_ONCE", limit)
    sizes, seeds, outputs = CASES[case]
    network = Fixed(outputs)
    for heads in (False, True):
        stream = stream_of(loss, sizes, seeds, outputs, heads=heads, shared=case == "wide")
        ours, plain = Evaluator(stream).scores(network), one_by_one(stream, network)
        assert list(ours) == list(plain)
        for name in plain:
            np.testing.assert_array_equal(ours[name], plain[name])


@torch.no_grad()
def test_tasks_with_parameters_of_their_own_are_answered_by_them():
    network = Fixed(3)

    def answers(task: int) -> dict[str, torch.Tensor] | None:
        return {"scale": network.scale * (task + 2)} if task % 2 else None

    stream = stream_of("cross-entropy", [20, 20, 9, 20], 2, 3, heads=True)
    ours, plain = Evaluator(stream).scores(network, answers), one_by_one(stream, network, answers)
    for name in plain:
        np.testing.assert_array_equal(ours[name], plain[name])
    assert (ours["cross-entropy"][:, 1] != Evaluator(stream).scores(network)["cross-entropy"][:, 1]).all()


@torch.no_grad()
def test_scores_are_computed_once_for_each_size_and_not_for_each_task():
    stream, calls = stream_of("mse", [6] * 500 + [4] * 500, 2, 2), []
    plain = stream.objective.scores["rmse"]

    def counted(*given: Any) -> torch.Tensor:
        calls.append(1)
        return plain.compute(*given)

    scores = {"rmse": Score(counted, plain.higher_is_better)}
    stream = replace(stream, objective=replace(stream.objective, scores=scores))
    assert Evaluator(stream).scores(Fixed(2))["rmse"].shape == (2, 1000)
    assert len(calls) == 2


@pytest.mark.parametrize("shared", [True, False])
def test_some_samples_are_the_same_for_a_seed_alone_and_all_classes_alike(shared: bool) -> None:
    stream = stream_of("cross-entropy", [40, 7, 40], 3, 3, heads=True, shared=shared)
    some = thinned(stream, 9)
    assert [samples.x.shape[1] for samples in some.test] == [9, 7, 9]
    assert some.test[1] is stream.test[1]
    assert not torch.equal(some.test[0].x, some.test[2].x)
    for s in range(3):
        own = replace(stream, test=tuple(Samples(p.x[s : s + 1], p.y[s : s + 1], p.task) for p in stream.test))
        for part, alone, whole in zip(some.test, thinned(own, 9).test, stream.test, strict=True):
            assert torch.equal(part.x[s], alone.x[0])
            assert torch.equal(part.y[s], alone.y[0])
            assert torch.equal(part.task, whole.task[: part.x.shape[1]])
            pairs = {(*x.tolist(), int(y)) for x, y in zip(whole.x[s], whole.y[s], strict=True)}
            assert len({(*x.tolist(), int(y)) for x, y in zip(part.x[s], part.y[s], strict=True)} & pairs) == part.x.shape[1]
        for part in (some.test[0], some.test[2]):
            assert part.y[s].bincount(minlength=3).tolist() == [3, 3, 3]
    assert all((samples.x.stride(0) == 0) == shared for samples in (some.test[0], some.test[2]))  # once in memory


def test_few_of_a_rare_class_are_all_taken_and_numbers_have_no_classes() -> None:
    stream = stream_of("cross-entropy", [30], 1, 2)
    y = torch.tensor([[1, 1, 1] + [0] * 27])
    rare = replace(stream, test=(replace(stream.test[0], y=y),))
    assert thinned(rare, 10).test[0].y.sum() == 3
    numbers = stream_of("mse", [30], 2, 2)
    some = thinned(numbers, 10).test[0]
    places = [(numbers.test[0].x[s][:, None] == some.x[s]).all(-1).nonzero()[:, 0].tolist() for s in range(2)]
    assert places[0] == places[1]  # of the same places for every seed
    assert len(places[0]) == 10
    assert thinned(numbers, "all") is numbers


def test_curves_on_some_samples_have_the_rows_of_all(tools: Any) -> None:
    said: dict[str, Any] = {"steps": 4, "lr": 0.01, "optimizer": "adam", "evaluations": 3, "seeds": 2}
    cell = tools.make_cell("split-digits", "mlp:hidden=4", **said)
    few = tools.make_cell("split-digits", "mlp:hidden=4", curve_samples=20, **said)
    many = tools.make_cell("split-digits", "mlp:hidden=4", curve_samples=10_000, **said)
    assert len({cell.key, few.key, many.key}) == 3
    assert tools.make_cell("split-digits", "mlp:hidden=4", curve_samples="all", **said).key == cell.key
    whole, part, same = (tools.train(one).result for one in (cell, few, many))
    assert (whole.remarks, part.remarks, same.remarks) == ((), ("curves on 20 samples",), ())
    assert 0 < part.evaluation_seconds < part.seconds
    ends = np.concatenate([whole.curve_task[1:] != whole.curve_task[:-1], [True]])
    for name in whole.R:
        np.testing.assert_array_equal(part.R[name], whole.R[name])
        np.testing.assert_array_equal(part.curves[name][:, ends], whole.R[name])
        assert not np.array_equal(part.curves[name][:, ~ends], whole.curves[name][:, ~ends])
        np.testing.assert_array_equal(same.curves[name], whole.curves[name])
    steps = part.curves["accuracy"][:, ~ends] * 20
    np.testing.assert_allclose(steps, steps.round(), atol=1e-4)  # of 20 samples
