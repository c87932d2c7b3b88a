"""One scenario for many seeds: the tasks of all seeds stacked along a leading axis."""

from dataclasses import dataclass, replace
from functools import partial

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from kancl.errors import InputError
from kancl.options import Spec
from scenarios import Advice, Scenario, build_scenario
from scenarios.objectives import OBJECTIVES, Objective, best_constant

PLOT_POINTS = 500


@dataclass(frozen=True, eq=False)
class Samples:
    """Inputs, targets, and which task each sample belongs to (the same for every seed)."""

    x: Float[Tensor, "S N I"]
    y: Shaped[Tensor, "S N ..."]
    task: Int[Tensor, "N"]


@dataclass(frozen=True, eq=False)
class Stream:
    """A scenario as the runners see it.

    ``heads`` (T, O) marks the active output units of each task, or is None if all units always are.
    ``null`` gives, per score, what each task's best constant predictor reaches on its test samples.
    """

    seeds: tuple[int, ...]
    names: tuple[str, ...]
    setting: str
    outputs: int
    objective: Objective
    low: Float[Tensor, "S I"]
    high: Float[Tensor, "S I"]
    train: tuple[Samples, ...]
    test: tuple[Samples, ...]
    heads: Bool[Tensor, "T O"] | None
    null: dict[str, Float[Tensor, "S T"]]
    plot_x: Float[Tensor, "P 1"] | None
    plot_target: Float[Tensor, "P O"] | None
    advice: Advice

    @property
    def inputs(self) -> int:
        """The number of inputs."""
        return self.low.shape[1]

    @property
    def device(self) -> torch.device:
        """Where the samples are; networks are trained there."""
        return self.train[0].x.device

    def to(self, device: str) -> "Stream":
        """Return the stream with everything that a network meets on another device."""
        move = partial(_moved, device=device)
        return replace(
            self,
            low=self.low.to(device),
            high=self.high.to(device),
            train=tuple(map(move, self.train)),
            test=tuple(map(move, self.test)),
            heads=None if self.heads is None else self.heads.to(device),
            plot_x=None if self.plot_x is None else self.plot_x.to(device),
        )

    def mask(self, task: Int[Tensor, "... N"]) -> Bool[Tensor, "... N O"] | None:
        """Return the active output units of samples of these tasks."""
        return None if self.heads is None else self.heads[task]


def _moved(samples: Samples, device: str) -> Samples:
    return Samples(samples.x.to(device), samples.y.to(device), samples.task.to(device))


def stack(spec: Spec, seeds: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Stream:
    """Build the scenario for every seed and stack the seeds.

    The first seed is built a second time, to see that its seed determines it.

    Raises:
        InputError: a scenario that cannot be run, or seeds whose tasks differ in more than their values.
    """
    built = [build_scenario(spec, seed) for seed in seeds]
    first = built[0]
    if not _equal(first, build_scenario(spec, seeds[0])):
        raise InputError(f"{spec.label}: seed {seeds[0]} gave other data when built again; draw every number from the seed")
    for seed, other in zip(seeds[1:], built[1:], strict=True):
        ours, theirs = _form(first), _form(other)
        if ours != theirs:
            raise InputError(
                f"{spec.label}: seeds are trained side by side, so their tasks must have equal shapes, "
                f"but seed {seeds[0]} has {ours} and seed {seed} has {theirs}"
            )
    assert first.outputs is not None
    objective = OBJECTIVES[first.loss]
    of_task = partial(_stack_samples, built, dtype)
    count = range(len(first.tasks))
    train, test = (tuple(of_task(part, number) for number in count) for part in ("train", "test"))
    ranges = [scenario.input_range() for scenario in built]
    same_names = all([t.name for t in s.tasks] == [t.name for t in first.tasks] for s in built)
    names = tuple(t.name for t in first.tasks) if same_names else tuple(f"task {number + 1}" for number in count)
    heads = _heads(first)
    plot_x, plot_target = _plot(built, dtype)
    return Stream(
        seeds=seeds,
        names=names,
        setting=first.setting,
        outputs=first.outputs,
        objective=objective,
        low=torch.stack([low for low, _ in ranges]).to(dtype),
        high=torch.stack([high for _, high in ranges]).to(dtype),
        train=train,
        test=test,
        heads=heads,
        null=_null_scores(built, test, heads, objective, dtype),
        plot_x=plot_x,
        plot_target=plot_target,
        advice=first.advice,
    )


def _equal(one: Scenario, other: Scenario) -> bool:
    def tensors(scenario: Scenario) -> list[Tensor]:
        return [tensor for task in scenario.tasks for tensor in (*task.train, *task.test)]

    same_form = _form(one) == _form(other) and one.domain == other.domain
    return same_form and all(map(torch.equal, tensors(one), tensors(other)))


def _form(scenario: Scenario) -> tuple[object, ...]:
    shapes = tuple((*(tuple(t.shape) for t in (*task.train, *task.test)), task.active) for task in scenario.tasks)
    return (scenario.loss, scenario.outputs, scenario.setting, *shapes)


def _stack_samples(built: list[Scenario], dtype: torch.dtype, part: str, number: int) -> Samples:
    pairs = [getattr(scenario.tasks[number], part) for scenario in built]
    x, y = (_stack_or_share([pair[side] for pair in pairs]) for side in (0, 1))
    return Samples(
        x.to(dtype), y.to(dtype) if y.is_floating_point() else y, torch.full((x.shape[1],), number, dtype=torch.long)
    )


def _stack_or_share(tensors: list[Tensor]) -> Tensor:
    """Stack, or, where all seeds see the same data, keep them once in memory."""
    if all(torch.equal(tensors[0], other) for other in tensors[1:]):
        return tensors[0][None].expand(len(tensors), *tensors[0].shape)
    return torch.stack(tensors)


def _heads(scenario: Scenario) -> Tensor | None:
    if all(task.active is None for task in scenario.tasks):
        return None
    outputs = scenario.outputs or 0
    heads = torch.zeros(len(scenario.tasks), outputs, dtype=torch.bool)
    for row, task in zip(heads, scenario.tasks, strict=True):
        row[list(range(outputs) if task.active is None else task.active)] = True
    return heads


def _null_scores(
    built: list[Scenario], test: tuple[Samples, ...], heads: Tensor | None, objective: Objective, dtype: torch.dtype
) -> dict[str, Tensor]:
    null = {name: torch.empty(len(built), len(test), dtype=torch.float64) for name in objective.scores}
    for number, samples in enumerate(test):
        count = samples.x.shape[1]
        constants = [best_constant(s.loss, s.tasks[number].train[1], s.outputs or 0)[0] for s in built]
        outputs = torch.stack(constants).to(dtype).expand(-1, count, -1)
        mask = None if heads is None else heads[number].expand_as(outputs)
        for name, score in objective.scores.items():
            null[name][:, number] = score.compute(outputs, samples.y, mask)
    return null


def _plot(built: list[Scenario], dtype: torch.dtype) -> tuple[Tensor | None, Tensor | None]:
    """Return points and target of the function figure; nothing where there is no target, or another one for each seed."""
    curves = []
    for scenario in built:
        if scenario.target is None or scenario.inputs != 1:
            return None, None
        low, high = scenario.input_range()
        x = torch.linspace(low.item(), high.item(), PLOT_POINTS)[:, None]
        try:
            y = scenario.target(x)
        except Exception as error:  # the user's own code
            raise InputError(f"target failed on the domain: {type(error).__name__}: {error}") from error
        if tuple(y.shape) != (PLOT_POINTS, scenario.outputs):
            raise InputError(
                f"target gave shape {tuple(y.shape)} for inputs {tuple(x.shape)}, expected (N, {scenario.outputs})"
            )
        curves.append((x.to(dtype), y.to(dtype)))
    x, y = curves[0]
    if all(torch.equal(x, other_x) and torch.equal(y, other_y) for other_x, other_y in curves[1:]):
        return x, y
    return None, None
