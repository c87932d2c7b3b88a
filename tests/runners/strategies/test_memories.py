"""Guards what rehearsal, distillation and isolation compute, each beside a plain loop over seeds and samples."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from scipy.stats import chisquare
from torch import Tensor

from kancl.seeding import generator
from runners.strategies import State, Step, strategies
from runners.strategies.lwf import classes_apart, numbers_apart
from runners.strategies.packnet import largest
from runners.strategies.tools.anchors import trained
from runners.strategies.tools.memories import Draws, carried, carrying, joined, keep, recall
from runners.stream.batches import Batch, batches
from runners.stream.samples import Samples
from runners.stream.stream import Stream
from runners.training.networks import build_network

SEEDS = (3, 0, 5)


def tasks_of(sizes: tuple[int, ...], classes: int | None, seeds: int = 3) -> list[Samples]:
    """Samples whose input says which they are; labels in an order of each seed's own, some classes larger than others."""
    found = []
    for task, size in enumerate(sizes):
        x = (1000 * task + torch.arange(size)).float().expand(seeds, size)[..., None]
        random = torch.Generator().manual_seed(task)
        y = x.clone() if classes is None else (torch.rand(seeds, size, generator=random) ** 2 * classes).long()
        found.append(Samples(x, y, torch.full((size,), task)))
    return found


def filled(samples: list[Samples], size: int, balance: Any, seeds: tuple[int, ...] = SEEDS) -> list[State]:
    """The state after every task."""
    state: State = {"seeds": torch.tensor(seeds)}
    states = []
    for phase, task in enumerate(samples):
        state = keep(state, task, size, balance, phase)
        states.append(state)
    return states


def plainly_kept(samples: list[Samples], size: int, balance: str, s: int, seed: int) -> set[float]:
    """What one seed keeps of tasks, by a loop that meets each sample with its tag and drops one whenever there are too many."""
    memory: list[tuple[float, tuple[int, int], float]] = []
    for phase, task in enumerate(samples):
        tags = torch.rand(task.x.shape[1], generator=generator(seed, "memory", phase), dtype=torch.float64).tolist()
        for place, tag in enumerate(tags):
            label = 0 if task.y.is_floating_point() else int(task.y[s, place])
            memory.append((tag, (phase, label), float(task.x[s, place])))
            if len(memory) <= size:
                continue
            if balance == "reservoir":
                memory.remove(max(memory))
                continue
            counts = {group: sum(own == group for _, own, _ in memory) for _, group, _ in memory}
            most = max(counts.values())
            memory.remove(max(entry for entry in memory if counts[entry[1]] == most))
    return {x for _, _, x in memory}


@pytest.mark.parametrize("classes", [None, 3])
@pytest.mark.parametrize("balance", ["reservoir", "balanced"])
def test_a_memory_keeps_what_a_plain_loop_keeps(balance: str, classes: int | None) -> None:
    samples = tasks_of((40, 7, 60), classes)
    for size in (5, 23, 500):
        for done, state in enumerate(filled(samples, size, balance), 1):
            for s, seed in enumerate(SEEDS):
                kept = state["memory/x"][s, :, 0].tolist()
                assert len(kept) == min(size, sum(task.x.shape[1] for task in samples[:done]))
                assert set(kept) == plainly_kept(samples[:done], size, balance, s, seed)
                _assert_groups(state, s, samples[:done], size, balance)


def _assert_groups(state: State, s: int, samples: list[Samples], size: int, balance: str) -> None:
    """Whole samples were kept; and balanced groups differ by one at most, but where one has no more to give."""
    counts: dict[tuple[int, int], int] = {}
    for x, y, task in zip(
        state["memory/x"][s, :, 0].tolist(), state["memory/y"][s], state["memory/task"][s].tolist(), strict=True
    ):
        assert int(x) // 1000 == task
        label = samples[task].y[s, int(x) % 1000]
        assert torch.equal(y, label)
        group = (task, 0 if y.is_floating_point() else int(y))
        counts[group] = counts.get(group, 0) + 1
    if balance == "reservoir":
        return
    for number, task in enumerate(samples):
        labels = [0] * task.x.shape[1] if task.y.is_floating_point() else task.y[s].tolist()
        for label in set(labels):
            own = counts.get((number, label), 0)
            assert own == labels.count(label) or own >= max(counts.values()) - 1


def test_every_sample_of_the_past_is_kept_with_the_same_chance() -> None:
    """Over many seeds, whichever task it came with; and of two samples both are as often as they should be."""
    seeds = tuple(range(3000))
    samples = tasks_of((10, 4, 16), None, len(seeds))
    kept = filled(samples, 6, "reservoir", seeds)[-1]["memory/x"][..., 0].long()
    places = kept % 1000 + torch.tensor([0, 10, 14])[kept // 1000]
    counts = torch.bincount(places.flatten(), minlength=30).numpy()
    assert chisquare(counts).pvalue > 1e-3
    both = sum(bool((row == 0).any() and (row == 20).any()) for row in places)
    expected = len(seeds) * 6 * 5 / (30 * 29)
    assert abs(both - expected) < 4 * expected**0.5


def test_draws_take_every_place_once_before_any_twice() -> None:
    draws, alone = (Draws(seeds, 7, torch.device("cpu"), "x", 1) for seeds in (SEEDS, SEEDS[2:]))
    sizes = [3, 5, 1, 7, 7, 2, 700, 1500]
    taken = torch.cat([draws.take(size) for size in sizes], 1)
    assert torch.equal(taken[2:], torch.cat([alone.take(size) for size in sizes], 1))
    whole = taken[:, : taken.shape[1] // 7 * 7].unflatten(1, (-1, 7))
    assert torch.equal(whole.sort(-1).values, torch.arange(7).expand_as(whole))
    assert not torch.equal(taken[0], taken[1])
    assert len({tuple(row) for row in whole[0].tolist()}) > 200, "every pass has an order of its own"
    other = Draws(SEEDS, 7, torch.device("cpu"), "x", 2)
    assert not torch.equal(other.take(700), taken[:, :700])


# On networks.


class Ground:
    """A stack of small networks on split-digits, with a memory that has met the first two tasks."""

    def __init__(self, tools: Any, setting: str, strategy: str, **options: Any) -> None:
        said = {"optimizer": "sgd", "lr": 0.1, "momentum": 0.0, "steps": 1, "batch_size": 16, "dtype": "float64"}
        scenario = "gaussian-peaks:tasks=3,samples=20" if setting == "numbers" else f"split-digits:setting={setting}"
        cell = replace(tools.make_cell(scenario, "mlp:hidden=6,activation=tanh", **said), seeds=SEEDS)
        self.stream: Stream = tools.stream_of(cell)
        self.network = build_network(cell, self.stream)
        self.strategy = strategies.get(strategy)(**options)
        self.state = self.strategy.start(self.network, self.stream)
        for phase in (0, 1):
            self.state = self.strategy.end_task(self.state, self.network, self.stream.train[phase], phase)
        with torch.no_grad():  # the networks have moved since
            for number, parameter in enumerate(self.network.parameters()):
                noise = torch.randn(parameter.shape, generator=generator(number, "noise"), dtype=parameter.dtype)
                parameter.add_(noise, alpha=0.3)
        self.before = {name: parameter.detach().clone() for name, parameter in trained(self.network).items()}
        self.state = self.strategy.begin_task(self.state, self.network, self.stream.train[2], 2)

    def source(self) -> Iterator[Batch]:
        """The task's batches."""
        return batches(self.stream, self.stream.train[2], 16, 2)

    def batch(self) -> Batch:
        """The first batch with what the strategy adds."""
        return next(self.strategy.batches(self.state, self.source(), self.stream, 2))

    def step(self, batch: Batch) -> Step:
        """A step on it."""
        return Step(self.network, batch, self.network(batch.x), self.stream.objective)


def plain_loss(outputs: Tensor, y: Tensor, mask: Tensor | None, s: int, b: int) -> float:
    """The loss of one sample."""
    values = outputs[s, b].detach().numpy()
    if y.is_floating_point():
        return float(((values - y[s, b].numpy()) ** 2).mean())
    active = np.arange(len(values)) if mask is None else mask[s, b].nonzero()[:, 0].numpy()
    return -float(log_softmax(values[active])[list(active).index(int(y[s, b]))])


@pytest.mark.parametrize("replayed", [5, "batch", "all"])
@pytest.mark.parametrize("setting", ["class", "task", "numbers"])
def test_replay_joins_each_batch_with_whole_samples_of_the_past(tools: Any, setting: str, replayed: Any) -> None:
    ground = Ground(tools, setting, "replay", memory=30, replayed=replayed)
    plain, past = list(islice(ground.source(), 4)), {}
    for task, samples in enumerate(ground.stream.train[:2]):
        for s in range(3):
            every = zip(map(tuple, samples.x[s].tolist()), samples.y[s].tolist(), strict=True)
            past |= {(s, x): (y, task) for x, y in every}
    for own, batch in zip(plain, ground.strategy.batches(ground.state, ground.source(), ground.stream, 2), strict=False):
        size = own.x.shape[1]
        count = {"batch": size, "all": 30}.get(replayed, replayed)
        assert batch.x.shape[1] == size + count
        assert torch.equal(batch.x[:, :size], own.x)
        outputs = ground.network(batch.x)
        losses = ground.stream.objective.loss(outputs, batch.y, batch.mask)
        for s in range(3):
            for b in range(size, size + count):
                y, task = past[s, tuple(batch.x[s, b].tolist())]
                assert batch.y[s, b].tolist() == y
                if batch.mask is not None:
                    assert batch.mask[s, b].nonzero()[:, 0].tolist() == [2 * task, 2 * task + 1]
            every = [plain_loss(outputs, batch.y, batch.mask, s, b) for b in range(size + count)]
            assert losses[s].item() == pytest.approx(np.mean(every), rel=1e-12)


def test_batches_are_joined_and_carried_with_their_masks() -> None:
    x, y, mask = torch.randn(2, 3, 1), torch.zeros(2, 3, dtype=torch.long), torch.ones(2, 3, 4, dtype=torch.bool)
    one, other = Batch(x, y, mask), Batch(x + 1, y + 1, ~mask, {"outputs": x})
    both = joined(one, other)
    assert torch.equal(both.mask, torch.cat([mask, ~mask], 1))
    loaded = carrying(carrying(one, "a", other), "b", Batch(x, y, None))
    back = carried(loaded.of_seed(1), "a")
    assert back is not None
    assert torch.equal(back.extra["outputs"], x[1:])
    assert torch.equal(back.mask, ~mask[1:])
    second = carried(loaded, "b")
    assert second is not None
    assert second.mask is None
    assert carried(one, "a") is None


@pytest.mark.parametrize("setting", ["class", "task", "numbers"])
def test_der_penalty_equals_a_plain_loop(tools: Any, setting: str) -> None:
    ground = Ground(tools, setting, "der++", memory=30, alpha=0.7, beta=0.2, replayed=9)
    batch = ground.batch()
    found = ground.strategy.penalty(ground.state, ground.step(batch))
    stored, labelled = carried(batch, "outputs"), carried(batch, "targets")
    assert stored is not None
    assert labelled is not None
    assert not torch.equal(stored.x, labelled.x), "two independent draws"
    now = ground.network(stored.x).detach()
    said = ground.network(labelled.x).detach()
    with torch.no_grad():
        for name, parameter in trained(ground.network).items():  # as the networks were when the samples were stored
            noise = torch.randn(
                parameter.shape, generator=generator(list(ground.before).index(name), "noise"), dtype=parameter.dtype
            )
            parameter.sub_(noise, alpha=0.3)
        then = ground.network(stored.x)
    for s in range(3):
        squares = []
        for b in range(9):
            active = range(now.shape[2]) if stored.mask is None else stored.mask[s, b].nonzero()[:, 0].tolist()
            squares += [(now[s, b, o] - then[s, b, o]).item() ** 2 for o in active]
        losses = [plain_loss(said, labelled.y, labelled.mask, s, b) for b in range(9)]
        assert found is not None
        assert found[s].item() == pytest.approx(0.7 * np.mean(squares) + 0.2 * np.mean(losses), rel=1e-9)


def test_der_forgets_its_own_part_without_weight(tools: Any) -> None:
    for options, names in (({"beta": 0.0}, {"outputs"}), ({"alpha": 0.0}, {"targets"}), ({"alpha": 0.0, "beta": 0.0}, set())):
        ground = Ground(tools, "class", "der++", memory=10, **options)
        assert {key.split("/")[0] for key in ground.batch().extra} == names


@pytest.mark.parametrize("setting", ["task", "numbers"])
def test_agem_turns_each_seed_by_itself(tools: Any, setting: str) -> None:
    ground = Ground(tools, setting, "agem", memory=30, replayed=9)
    batch = ground.batch()
    reference = carried(batch, "reference")
    assert reference is not None
    parameters = trained(ground.network)
    loss = ground.stream.objective.loss(ground.network(reference.x), reference.y, reference.mask)
    wanted = torch.autograd.grad(loss.sum(), list(parameters.values()))
    # The first seed goes against the memory, the second along with it, the third against it and elsewhere too.
    given = [torch.randn(g.shape, generator=generator(n, "given"), dtype=g.dtype) for n, g in enumerate(wanted)]
    for parameter, g, noise in zip(parameters.values(), wanted, given, strict=True):
        parameter.grad = torch.stack([-2 * g[0], 0.5 * g[1], noise[2] - 3 * g[2]])
    before = [np.concatenate([p.grad[s].numpy().ravel() for p in parameters.values()]) for s in range(3)]
    ground.strategy.correct(ground.state, ground.step(batch))
    for s in range(3):
        after = np.concatenate([p.grad[s].numpy().ravel() for p in parameters.values()])
        r = np.concatenate([g[s].numpy().ravel() for g in wanted])
        if before[s] @ r >= 0:
            np.testing.assert_array_equal(after, before[s])
            assert s == 1
        else:
            np.testing.assert_allclose(after, before[s] - (before[s] @ r) / (r @ r) * r, rtol=1e-8, atol=1e-12)
            assert abs(after @ r) < 1e-9 * (r @ r)
            assert s != 1


# Distillation.


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_distances_equal_plain_loops(temperature: float) -> None:
    random = torch.Generator().manual_seed(0)
    y, z = (3 * torch.randn(2, 4, 6, generator=random, dtype=torch.float64) for _ in range(2))
    groups = torch.tensor(
        [[[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 1, 0]], [[0, 1, 1, 0, 0, 0], [0, 0, 0, 0, 1, 1]]], dtype=torch.bool
    )
    classes, numbers = classes_apart(y, z, groups, temperature), numbers_apart(y, z, groups)
    for s in range(2):
        entropies, squares = [], []
        for g in range(2):
            own = groups[s, g].nonzero()[:, 0].numpy()
            for b in range(4):
                now, then = y[s, b].numpy()[own] / temperature, z[s, b].numpy()[own] / temperature
                entropies.append(-(softmax(then) * log_softmax(now)).sum() / 4)
                squares.append((temperature**2) * ((now - then) ** 2).mean() / 4)
        assert classes[s].item() == pytest.approx(temperature**2 * sum(entropies), rel=1e-12)
        assert numbers[s].item() == pytest.approx(sum(squares), rel=1e-12)


def test_the_gradient_of_classes_apart_is_right_and_stays_in_its_groups() -> None:
    y = torch.randn(1, 3, 5, dtype=torch.float64, requires_grad=True)
    z = torch.randn(1, 3, 5, dtype=torch.float64)
    groups = torch.tensor([[[1, 1, 0, 0, 0], [0, 0, 1, 1, 0]]], dtype=torch.bool)
    assert torch.autograd.gradcheck(lambda y: classes_apart(y, z, groups, 2.0), y)
    classes_apart(y, z, groups, 2.0).sum().backward()
    assert y.grad is not None
    assert not y.grad[..., 4].any()
    assert y.grad[..., :4].all()


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("task", [[0, 1], [2, 3]]),
        ("class", [[0, 1, 2, 3]]),
        ("domain", [[0, 1]]),
        ("numbers", [[0]]),
    ],
)
def test_lwf_keeps_the_answers_that_were_given_so_far(tools: Any, setting: str, expected: list[list[int]]) -> None:
    """On the new inputs: the distance is 0 while nothing has moved, and then that of the plain definition."""
    ground = Ground(tools, setting, "lwf", strength=3.0)
    for groups in ground.state["groups"]:
        assert sorted(group.nonzero()[:, 0].tolist() for group in groups) == expected
    batch = ground.batch()
    then = ground.network(batch.x).detach()
    at_first = ground.strategy.penalty(ground.state, ground.step(batch))
    (slope,) = torch.autograd.grad(at_first.sum(), [next(ground.network.parameters())])
    assert slope.abs().max() < 1e-12
    with torch.no_grad():
        next(ground.network.parameters()).add_(0.2)
    step = ground.step(batch)
    found = ground.strategy.penalty(ground.state, step)
    apart = numbers_apart if setting == "numbers" else lambda y, z, g: classes_apart(y, z, g, 2.0)
    torch.testing.assert_close(found, 3.0 * apart(step.outputs, then, ground.state["groups"]))
    assert not torch.allclose(found, at_first)
    left = ground.strategy.end_task(ground.state, ground.network, ground.stream.train[2], 2)
    assert not any(key.startswith("teacher/") for key in left)


# Isolation.


def test_the_largest_are_those_of_a_plain_loop() -> None:
    random = torch.Generator().manual_seed(0)
    values = torch.rand(3, 5, 4, generator=random)
    among = torch.rand(3, 5, 4, generator=random) < torch.tensor([0.3, 0.9, 0.0])[:, None, None]
    for share in (0.0, 0.25, 0.4, 1.0):
        found = largest(values, among, share)
        for s in range(3):
            own = sorted(values[s][among[s]].tolist(), reverse=True)
            kept = int(np.ceil(share * len(own) - 1e-9))
            assert sorted(values[s][found[s]].tolist(), reverse=True) == own[:kept]
            assert not bool((found[s] & ~among[s]).any())


@pytest.mark.parametrize("strategy", ["replay", "der++", "agem"])
def test_an_empty_memory_adds_nothing(tools: Any, strategy: str) -> None:
    ground = Ground(tools, "class", strategy, memory=0)
    assert recall(ground.state, ground.stream, "batch", "x") is None
    batch: Callable[[], Batch] = ground.batch
    assert torch.equal(batch().x, next(ground.source()).x)
    assert not batch().extra


def test_packnet_takes_gradients_from_what_is_held_and_notes_the_others(tools: Any) -> None:
    ground = Ground(tools, "task", "packnet")
    name, parameter = "layers.0.weight", trained(ground.network)["layers.0.weight"]
    ground.state[f"held/{name}"][:, :, :2] = True
    batch = next(ground.source())
    for own in trained(ground.network).values():
        own.grad = torch.ones_like(own)
    parameter.grad[:, :, 3] = 0.0
    ground.strategy.correct(ground.state, ground.step(batch))
    assert not parameter.grad[:, :, :2].any()
    assert bool((parameter.grad[:, :, [2, 4, 5]] == 1).all())
    assert not ground.state[f"used/{name}"][:, :, 3].any()
    assert bool(ground.state[f"used/{name}"][:, :, [2, 4, 5]].all())
    value = parameter.detach().clone()
    with torch.no_grad():
        parameter.add_(1.0)
    ground.strategy.after_step(ground.state, ground.step(batch))
    assert torch.equal(parameter[:, :, :2], value[:, :, :2])
    assert torch.equal(parameter[:, :, 2:], value[:, :, 2:] + 1)


def test_packnet_prunes_after_its_share_of_steps(tools: Any) -> None:
    for retrain, expected in ((0.3, 7), (0.0, 10), (0.96, 1)):
        ground = Ground(tools, "task", "packnet", retrain=retrain)
        state = ground.strategy.expect(ground.state, 10)
        marked = [
            number
            for number, batch in enumerate(islice(ground.strategy.batches(state, ground.source(), ground.stream, 2), 12), 1)
            if "prune" in batch.extra
        ]
        assert marked == [expected]
