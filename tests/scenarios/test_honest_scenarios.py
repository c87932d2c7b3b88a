"""Guards the honesty of scenarios: data come from the seed alone, tests are unseen, heads are declared, domains hold the data.

Whatever an author gets wrong here is told as an InputError, never as an exception from inside.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from kancl.errors import InputError
from kancl.options import Spec
from kancl.seeding import generator
from runners.stream.stack import stack
from scenarios import Scenario, Task, check_scenario, scenarios
from scenarios.regression.gaussian_peaks import gaussian_peaks

Builder = Callable[[int], Scenario]
COUNTER = itertools.count(1)


def inputs(columns: int = 1, start: float = 0.0, samples: int = 6) -> Tensor:
    """Samples inside (0, 1), all different; ``start`` below 0.5 keeps them inside."""
    return (torch.arange(samples * columns, dtype=torch.float32).view(samples, columns) / (2 * samples * columns)) + start


def task(name: str = "a", columns: int = 1, start: float = 0.0, **more: Any) -> Task:
    x, fresh = inputs(columns, start), inputs(columns, start + 0.01)
    return Task(name, (x, x[:, :1]), (fresh, fresh[:, :1]), **more)


def regression(*tasks: Task, **more: Any) -> Scenario:
    return Scenario(tasks or (task(),), "mse", **more)


@pytest.fixture
def registered() -> Iterator[Callable[[Builder], Spec]]:
    """Register builders for the length of one test."""
    added: list[str] = []

    def register(builder: Builder) -> Spec:
        def build(seed: int) -> Scenario:
            return builder(seed)

        added.append(f"of-this-test-{len(added)}")
        scenarios.register(added[-1])(build)
        return Spec(added[-1])

    yield register
    for name in added:
        del scenarios._entries[name]


# The seed determines the data.


def changed(part: str, side: int) -> Scenario:
    """A scenario of which one of four tensors is drawn from torch's global generator."""
    pairs = {"train": [inputs(), inputs()], "test": [inputs(start=0.01), inputs()]}
    pairs[part][side] = torch.rand(6, 1)
    return regression(Task("a", tuple(pairs["train"]), tuple(pairs["test"])))


UNDETERMINED: dict[str, Builder] = {
    "training inputs": lambda seed: changed("train", 0),
    "training targets": lambda seed: changed("train", 1),
    "test inputs": lambda seed: changed("test", 0),
    "test targets": lambda seed: changed("test", 1),
    "a count of calls": lambda seed: regression(task(start=next(COUNTER) / 1000)),
    "the number of samples": lambda seed: regression(
        Task("a", (inputs(samples=5 + next(COUNTER)),) * 2, (inputs(start=2.0),) * 2)
    ),
    "the domain": lambda seed: regression(domain=((-1.0, 1.0 + next(COUNTER)),)),
}


@pytest.mark.parametrize("seeds", [(0,), (4, 1, 2)])
@pytest.mark.parametrize("what", UNDETERMINED)
def test_what_the_seed_does_not_determine_is_refused(
    registered: Callable[[Builder], Spec], what: str, seeds: tuple[int, ...]
) -> None:
    with pytest.raises(
        InputError, match=rf"of-this-test-0: seed {seeds[0]} gave other data .* draw every number from the seed"
    ):
        stack(registered(UNDETERMINED[what]), seeds)


def test_what_the_seed_determines_is_taken(registered: Callable[[Builder], Spec]) -> None:
    def build(seed: int) -> Scenario:
        x = torch.rand(12, 1, generator=generator(seed, "data"))
        return regression(Task("a", (x[:6], x[:6]), (x[6:], x[6:])))

    stream = stack(registered(build), (4, 1, 2))
    for s, seed in enumerate((4, 1, 2)):
        assert torch.equal(stream.train[0].x[s], build(seed).tasks[0].train[0])


# Tests are unseen.


def with_tests(x: Tensor) -> Task:
    return Task("b", (inputs(2, 10.0), inputs()), (x, x[:, :1].float()))


LEAKS: dict[str, tuple[Tensor, int]] = {
    "all": (inputs(2), 6),
    "two in another order": (torch.cat([inputs(2)[[4, 1]], inputs(2, 20.0)]), 2),
    "one in float64": (torch.cat([inputs(2)[3:4], inputs(2, 20.0)]).double(), 1),
    "zero with a sign": (torch.cat([inputs(2)[:1] * torch.tensor([-1.0, 1.0]), inputs(2, 20.0)]), 1),
}


@pytest.mark.parametrize("what", LEAKS)
@pytest.mark.parametrize("first", [True, False], ids=["of an earlier task", "of a later task"])
def test_tests_among_the_training_samples_of_another_task_are_refused(what: str, first: bool) -> None:
    x, count = LEAKS[what]
    tasks = [task("a", 2), with_tests(x)]
    with pytest.raises(InputError, match=rf"task 'b': {count} of {len(x)} test samples are also training samples"):
        check_scenario(regression(*(tasks if first else tasks[::-1])))


def test_tests_that_are_training_samples_are_taken_if_that_is_said() -> None:
    scenario = regression(task("a", 2), with_tests(inputs(2)), test_is_train=True)
    assert check_scenario(scenario) is scenario


def test_tests_that_two_tasks_share_are_no_leak() -> None:
    scenario = regression(task("a", 2), Task("b", (inputs(2, 10.0), inputs()), task("a", 2).test))
    assert check_scenario(scenario) is scenario


# Heads are declared.


def digits(*heads: tuple[int, ...] | None, setting: str) -> Scenario:
    tasks = []
    for number, head in enumerate(heads):
        y = torch.tensor([head[0] if head else 0] * 6)
        tasks.append(Task(f"task {number}", (inputs(start=number), y), (inputs(start=number + 0.01), y), active=head))
    return Scenario(tuple(tasks), "cross-entropy", outputs=4, setting=setting)  # type: ignore[arg-type]


@pytest.mark.parametrize("heads", [(None, None), ((0, 1), None), (None, (2, 3)), (None,)])
def test_the_task_setting_without_heads_is_refused(heads: tuple[tuple[int, ...] | None, ...]) -> None:
    with pytest.raises(InputError, match=r"setting='task' means .* give active="):
        check_scenario(digits(*heads, setting="task"))


@pytest.mark.parametrize("setting", ["domain", "class"])
@pytest.mark.parametrize("heads", [((0, 1), (2, 3)), ((0, 1), None), ((0, 1, 2, 3),)])
def test_heads_outside_the_task_setting_are_refused(heads: tuple[tuple[int, ...] | None, ...], setting: str) -> None:
    with pytest.raises(InputError, match=r"active outputs, .* say setting='task'"):
        check_scenario(digits(*heads, setting=setting))


@pytest.mark.parametrize("setting", ["domain", "class", "task"])
def test_heads_that_fit_the_setting_pass(setting: str) -> None:
    scenario = digits(*(((0, 1), (2, 3)) if setting == "task" else (None, None)), setting=setting)
    assert check_scenario(scenario) is scenario


# Domains hold the data.


def test_samples_inside_the_domain_pass() -> None:
    scenario = regression(task("a", 2), domain=((0.0, 1.0), (0.0, 1.0)))
    assert check_scenario(scenario) is scenario


def moved(part: str, column: int, value: float) -> Task:
    """Task b, of whose inputs one lies elsewhere."""
    pairs = {"train": inputs(2, 0.02), "test": inputs(2, 0.03)}
    pairs[part][3, column] = value
    return Task("b", (pairs["train"], inputs()), (pairs["test"], inputs()))


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize(("column", "value"), [(0, 1.1), (0, -0.1), (1, 1.01), (1, -0.01), (1, 1e6)])
def test_a_sample_outside_the_domain_is_refused(part: str, column: int, value: float) -> None:
    with pytest.raises(InputError, match=r"task 'b': 1 of 12 samples lie outside the domain") as caught:
        check_scenario(regression(task("a", 2), moved(part, column, value), domain=((0.0, 1.0), (0.0, 1.0))))
    assert "task 'a'" not in str(caught.value)


MALFORMED: dict[str, Any] = {
    "one range for two inputs": (-1, 1),
    "one number": 3,
    "a text": "ab",
    "a text per input": ("ab", "cd"),
    "a text of digits per input": ("02", "02"),
    "texts": (("a", "b"), ("c", "d")),
    "texts that look like numbers": (("-1", "2"), ("-1", "2")),
    "one text among numbers": ((-1.0, 2.0), (-1.0, "2")),
    "three ends": ((-1.0, 0.0, 2.0), (-1.0, 0.0, 2.0)),
    "one end": ((2.0,), (2.0,)),
    "nothing for an end": ((None, 2.0), (-1.0, 2.0)),
    "nothing for a range": (None, None),
    "complex ends": ((-1j, 2j), (-1.0, 2.0)),
    "an end beyond all floats": ((-1.0, 10**400), (-1.0, 2.0)),
    "no range": (),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_domain_is_refused_in_words(registered: Callable[[Builder], Spec], what: str) -> None:
    with pytest.raises(InputError, match=r"(?s)of-this-test-0 cannot be run:.*domain"):
        stack(registered(lambda seed: regression(task("a", 2), domain=MALFORMED[what])), (0, 1))


# Targets for figures.


def refuse(x: Tensor) -> Tensor:
    raise ValueError("no such point")


WRONG_TARGETS: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "raises": (refuse, r"target failed on inputs of shape \(3, 1\): ValueError: no such point"),
    "is no function": (3, r"target failed on inputs of shape \(3, 1\): TypeError"),  # type: ignore[dict-item]
    "has no column": (lambda x: x[:, 0], r"target must return a tensor of shape \(3, 1\) .* got \(3,\)"),
    "has two columns": (lambda x: x.expand(-1, 2), r"target must return a tensor of shape \(3, 1\) .* got \(3, 2\)"),
    "is one number": (lambda x: x.mean(), r"target must return a tensor of shape \(3, 1\) .* got \(\)"),
    "is an array": (lambda x: x.numpy(), r"target must return a tensor of shape \(3, 1\) .* got ndarray"),
    "is nothing": (lambda x: None, r"target must return a tensor of shape \(3, 1\) .* got NoneType"),
}


@pytest.mark.parametrize("what", WRONG_TARGETS)
def test_a_wrong_target_is_refused(what: str) -> None:
    target, message = WRONG_TARGETS[what]
    with pytest.raises(InputError, match=message):
        check_scenario(regression(target=target))


def bounded(x: Tensor) -> Tensor:
    """Defined near the first samples only."""
    return x if bool((x < 0.25).all()) else refuse(x)


FAILS_LATER: dict[str, Callable[[Tensor], Tensor]] = {
    "away from the first samples": bounded,
    "shaped for three points": lambda x: torch.zeros(3, 1),
}


@pytest.mark.parametrize("what", FAILS_LATER)
def test_a_target_that_fails_only_at_the_points_of_the_figure_is_refused(
    registered: Callable[[Builder], Spec], what: str
) -> None:
    with pytest.raises(InputError, match="target"):
        stack(registered(lambda seed: regression(target=FAILS_LATER[what])), (0,))


def test_a_target_written_for_float32_serves_a_run_in_float64(registered: Callable[[Builder], Spec]) -> None:
    stream = stack(registered(lambda seed: regression(target=lambda x: x @ torch.ones(1, 1))), (0,), torch.float64)
    assert stream.plot_target is not None
    assert stream.plot_target.dtype == torch.float64


@pytest.mark.parametrize("seeds", [(3,), (0, 1, 2)])
def test_a_target_that_all_seeds_share_gives_points_for_a_figure(
    registered: Callable[[Builder], Spec], seeds: tuple[int, ...]
) -> None:
    stream = stack(registered(lambda seed: regression(target=lambda x: 3 * x, domain=((-1.0, 2.0),))), seeds)
    assert stream.plot_x is not None
    assert stream.plot_target is not None
    assert (stream.plot_x.min().item(), stream.plot_x.max().item()) == (-1.0, 2.0)
    torch.testing.assert_close(stream.plot_target, 3 * stream.plot_x)


DIFFERENT: dict[str, Builder] = {
    "slope": lambda seed: regression(target=lambda x: seed * x, domain=((-1.0, 2.0),)),
    "slope of one seed of three": lambda seed: regression(target=lambda x: max(seed, 1) * x, domain=((-1.0, 2.0),)),
    "range": lambda seed: regression(target=lambda x: 0 * x, domain=((-1.0, 2.0 + seed),)),
    "presence": lambda seed: regression(target=(lambda x: x) if seed else None, domain=((-1.0, 2.0),)),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_a_target_that_differs_between_seeds_gives_no_points(registered: Callable[[Builder], Spec], what: str) -> None:
    spec = registered(DIFFERENT[what])
    stream = stack(spec, (0, 1, 2))
    assert (stream.plot_x, stream.plot_target) == (None, None)
    alone = stack(spec, (2,))
    assert alone.plot_x is not None


# The toy keeps its own rules.


def test_the_toy_keeps_exactly_minus_one_to_one_by_default() -> None:
    assert gaussian_peaks(seed=0).domain == ((-1.0, 1.0),)
    for dims in (1, 3):
        assert gaussian_peaks(seed=0, dims=dims).domain == ((-1.0, 1.0),) * dims


def test_the_toy_widens_its_domain_with_its_intervals() -> None:
    """The outer centres are -0.8 and 0.8: moved by 0.2 and widened by 0.5 the intervals reach from -1.1 to 1.5."""
    (ends,) = gaussian_peaks(seed=0, shift=0.2, width=0.5).domain or ()
    assert ends == pytest.approx((-1.1, 1.5), abs=1e-12)


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"slope": 1, "shift": 0.2},
        {"slope": 1, "shift": -0.3},
        {"shift": 0.2, "width": 0.5},
        {"tasks": 3, "width": 1.5, "dims": 3, "test": "fresh"},
        {"tasks": 7, "shift": 0.1, "test": "fresh", "order": "random"},
    ],
)
def test_no_sample_of_the_toy_lies_outside_its_domain(options: dict[str, Any], seeds: tuple[int, ...]) -> None:
    stream = stack(Spec("gaussian-peaks", options), seeds)
    low, high = stream.low[:, None], stream.high[:, None]
    for samples in (*stream.train, *stream.test):
        assert bool(((samples.x >= low) & (samples.x <= high)).all())
    assert np.isfinite(stream.null["rmse"].numpy()).all()
