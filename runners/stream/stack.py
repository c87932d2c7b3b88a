"""From a spec to a stream: the scenarios of all seeds are built, checked against each other and stacked."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from kancl.errors import InputError, is_interrupt, one_line
from kancl.options import Spec
from runners.stream.samples import Samples, SeedStacker, union
from runners.stream.stream import Stream
from scenarios import Scenario, build_scenario
from scenarios.checks.operators import same_operator
from scenarios.checks.precision import (
    check_targets,
    merged_remark,
    merged_samples,
    null_remarks,
    offset_to_take_out,
    shift_remarks,
    without_offset,
)
from scenarios.data.files import DATA_ROOT
from scenarios.inspection.cautions import large_inputs
from scenarios.objectives import OBJECTIVES, Objective, best_constant
from scenarios.task import listed

PLOT_POINTS = 500
LOOKED_AT = 4096
"""Samples of a task that stand for those of all seeds where these differ in number."""


def stack(spec: Spec, seeds: tuple[int, ...], dtype: torch.dtype = torch.float32, data_root: str | Path = DATA_ROOT) -> Stream:
    """Build the scenario for every seed and stack the seeds, those whose tasks differ in size in groups.

    The first seed is built a second time, to see that its seed determines it. At no time is more in memory than the stack and
    two seeds beside it, and data that are the same for all seeds are there once.

    Args:
        spec: the scenario.
        seeds: of the stack.
        dtype: of inputs and of targets that are no class numbers.
        data_root: the folder of data files.

    Raises:
        InputError: a scenario that cannot be run, or seeds that differ in more than their samples.
    """
    build = partial(build_scenario, spec, data_root=Path(data_root))
    first = build(seeds[0])
    if not _equal(first, build(seeds[0])):
        raise InputError(f"{spec.label}: seed {seeds[0]} gave other data when built again; draw every number from the seed")
    groups: dict[object, _Group] = {}
    merged: list[tuple[int, int]] = []
    hints: list[str] = []
    for seed in seeds:
        scenario = first if seed == seeds[0] else build(seed)
        _refuse_other_kind(spec, first, seeds[0], scenario, seed)
        try:
            offset = offset_to_take_out(scenario, dtype)
            check_targets(scenario, dtype)
        except InputError as error:
            raise InputError(f"{spec.label}: {error}") from error
        learned = without_offset(scenario, offset)
        group = groups.setdefault(_sizes(scenario), _Group(scenario, SeedStacker(len(seeds), dtype)))
        group.add(seed, learned, _About.of(scenario, offset, dtype))
        merged.append(merged_samples(learned, dtype))
        hints = hints or [f"{hint} (see kancl scenario check)" for hint in large_inputs(learned)]
        del learned
        del scenario  # or it would still be there while the next one is built
    made = [_stream(group.first, tuple(group.seeds), group.stacker.stacked(), group.about) for group in groups.values()]
    told = {seed: own.remarks for group in groups.values() for seed, own in zip(group.seeds, group.about, strict=True)}
    remarks = (*_said(seeds, [told[seed] for seed in seeds]), *merged_remark(seeds, merged, dtype), *hints)
    if len(made) == 1:
        return replace(made[0], remarks=remarks)
    named = listed(["+".join(map(str, group.seeds)) for group in made])
    return replace(
        together(made, seeds),
        remarks=(
            f"the tasks of its seeds differ in size, so seeds are trained in {len(made)} groups of equal sizes ({named}), one "
            "after another: the same numbers as ever, only later",
            *remarks,
        ),
    )


@dataclass(eq=False)
class _Group:
    """Seeds whose tasks have the same sizes: the scenario of the first, the samples of all, what is kept beside them."""

    first: Scenario
    stacker: SeedStacker
    seeds: list[int] = field(default_factory=list)
    about: list["_About"] = field(default_factory=list)

    def add(self, seed: int, learned: Scenario, about: "_About") -> None:
        self.stacker.add(_tensors(learned))
        self.seeds.append(seed)
        self.about.append(about)


def _refuse_other_kind(spec: Spec, first: Scenario, seed: int, scenario: Scenario, other: int) -> None:
    """Refuse seeds that differ in more than their values and the numbers of their samples."""
    ours, theirs = _kind(first), _kind(scenario)
    for part in ours:
        if ours[part] != theirs[part]:
            raise InputError(
                f"{spec.label}: the seeds of one cell must agree in all but their samples, but seed {seed} has {ours[part]} as "
                f"{part} and seed {other} has {theirs[part]}"
            )
    if not same_operator(first, scenario):
        raise InputError(
            f"{spec.label}: seeds are trained side by side with one operator, but those of seeds {seed} and {other} "
            "give different values; let what differs be an input of the samples"
        )


@dataclass(frozen=True, eq=False)
class _About:
    """What is kept of one seed's scenario beside its samples: best constants by task, range without offset, offset, names,
    curve, files, remarks."""

    constants: list[Tensor]
    low: Tensor
    high: Tensor
    offset: Tensor
    names: tuple[str, ...]
    curve: tuple[Tensor, Tensor] | None
    files: Mapping[str, str]
    remarks: tuple[str, ...]

    @staticmethod
    def of(scenario: Scenario, offset: Tensor, dtype: torch.dtype) -> "_About":
        fitted = [(task.train if scenario.operator is None else task.test)[1] for task in scenario.tasks]
        best = [best_constant(scenario.loss, targets, scenario.outputs or 0)[0] for targets in fitted]
        constants = [constant.to(dtype) for constant in best]
        low, high = ((end - offset).to(dtype) for end in scenario.input_range())
        names, curve = tuple(task.name for task in scenario.tasks), _curve(scenario, offset, dtype)
        remarks = (*shift_remarks(offset, dtype), *null_remarks(scenario, best, dtype))
        return _About(constants, low, high, offset, names, curve, scenario.files, remarks)


def _stream(first: Scenario, seeds: tuple[int, ...], tensors: list[Tensor], about: list[_About]) -> Stream:
    assert first.outputs is not None
    objective, heads, tasks = OBJECTIVES[first.loss], _heads(first), len(first.tasks)
    pairs = list(zip(tensors[::2], tensors[1::2], strict=True))
    train, test = (tuple(_numbered(pairs[part : 2 * tasks : 2])) for part in (0, 1))
    beforehand = _numbered(pairs[2 * tasks :], tasks)
    same_names = all(own.names == about[0].names for own in about)
    constants = [torch.stack([own.constants[number] for own in about]) for number in range(tasks)]
    plot_x, plot_target = _plot([own.curve for own in about])
    offsets = torch.stack([own.offset for own in about])
    return Stream(
        seeds=seeds,
        names=about[0].names if same_names else tuple(f"task {number + 1}" for number in range(tasks)),
        setting=first.setting,
        outputs=first.outputs,
        objective=objective,
        low=torch.stack([own.low for own in about]),
        high=torch.stack([own.high for own in about]),
        train=train,
        test=test,
        heads=heads,
        null=_null_scores(constants, test, heads, objective),
        plot_x=plot_x,
        plot_target=plot_target,
        advice=first.advice,
        pretrain=union(beforehand) if beforehand else None,
        blur=first.blur,
        files={name: digest for own in about for name, digest in own.files.items()},
        operator=first.operator,
        offset=offsets if bool(offsets.any()) else None,
    )


def together(groups: Sequence[Stream], seeds: tuple[int, ...]) -> Stream:
    """Return seeds whose tasks differ in size as one stream, in the order asked for; see :class:`Stream`."""
    first, having = groups[0], [seed for group in groups for seed in group.seeds]
    order = torch.tensor([having.index(seed) for seed in seeds])

    def gathered(parts: Iterable[Tensor]) -> Tensor:
        return torch.cat(list(parts))[order]

    def common(parts: Sequence[Samples]) -> Samples:
        count = min(LOOKED_AT, *(part.x.shape[1] for part in parts))
        x, y = (gathered(side[:, :count] for side in sides) for sides in ([p.x for p in parts], [p.y for p in parts]))
        return Samples(x, y, parts[0].task[:count])

    same_names = all(group.names == first.names for group in groups)
    pretrain = [group.pretrain for group in groups if group.pretrain is not None]
    zero = torch.zeros(1, first.inputs, dtype=torch.float64)
    offsets = [zero.expand(len(group.seeds), -1) if group.offset is None else group.offset for group in groups]
    plot_x, plot_target = _plot([_curve_of(group) for group in groups])
    return replace(
        first,
        seeds=seeds,
        names=first.names if same_names else tuple(f"task {number + 1}" for number in range(len(first.names))),
        low=gathered(group.low for group in groups),
        high=gathered(group.high for group in groups),
        train=tuple(map(common, zip(*(group.train for group in groups), strict=True))),
        test=tuple(map(common, zip(*(group.test for group in groups), strict=True))),
        null={name: gathered(group.null[name] for group in groups) for name in first.null},
        plot_x=plot_x,
        plot_target=plot_target,
        pretrain=common(pretrain) if pretrain else None,
        files={name: digest for group in groups for name, digest in group.files.items()},
        offset=None if all(group.offset is None for group in groups) else gathered(offsets),
        groups=tuple(groups),
    )


def _curve_of(stream: Stream) -> tuple[Tensor, Tensor] | None:
    return None if stream.plot_x is None or stream.plot_target is None else (stream.plot_x, stream.plot_target)


def _said(seeds: tuple[int, ...], remarks: list[tuple[str, ...]]) -> Iterator[str]:
    """Yield every remark once, with the seeds that it is about where it is not about all."""
    for text in dict.fromkeys(text for own in remarks for text in own):
        about = [seed for seed, own in zip(seeds, remarks, strict=True) if text in own]
        yield text if len(about) == len(seeds) else f"seed{'s' * (len(about) > 1)} {listed(about)}: {text}"


def _numbered(pairs: list[tuple[Tensor, Tensor]], first: int = 0) -> list[Samples]:
    return [Samples(x, y, torch.full((x.shape[1],), number)) for number, (x, y) in enumerate(pairs, first)]


def _tensors(scenario: Scenario) -> Iterator[Tensor]:
    """Yield inputs and targets: of each task's train and test, then of each pretraining task's train."""
    for task in scenario.tasks:
        yield from (*task.train, *task.test)
    for task in scenario.pretrain:
        yield from task.train


def _equal(one: Scenario, other: Scenario) -> bool:
    same_form = _kind(one) == _kind(other) and _sizes(one) == _sizes(other) and one.domain == other.domain
    return same_form and all(map(torch.equal, _tensors(one), _tensors(other))) and same_operator(one, other)


def _kind(scenario: Scenario) -> dict[str, object]:
    """Return, by name, what the seeds of a cell must agree in."""
    return {
        "loss": scenario.loss,
        "outputs": scenario.outputs,
        "inputs": scenario.inputs,
        "setting": scenario.setting,
        "number of tasks": len(scenario.tasks),
        "number of tasks in pretraining": len(scenario.pretrain),
        "what is trained": "outputs" if scenario.operator is None else "operator",
        "operator values": 0 if scenario.operator is None else scenario.tasks[0].train[1].shape[1],
        "blur": scenario.blur,
        "active outputs of its tasks": tuple(task.active for task in scenario.all_tasks),
    }


def _sizes(scenario: Scenario) -> tuple[int, ...]:
    """Return the numbers of samples; seeds that agree in these as well are stacked."""
    return tuple(len(x) for task in scenario.all_tasks for x, _ in (task.train, task.test))


def _heads(scenario: Scenario) -> Tensor | None:
    tasks = scenario.all_tasks
    if all(task.active is None for task in tasks):
        return None
    outputs = scenario.outputs or 0
    heads = torch.zeros(len(tasks), outputs, dtype=torch.bool)
    for row, task in zip(heads, tasks, strict=True):
        row[list(range(outputs) if task.active is None else task.active)] = True
    return heads


def _null_scores(
    constants: list[Tensor], test: tuple[Samples, ...], heads: Tensor | None, objective: Objective
) -> dict[str, Tensor]:
    null = {name: torch.empty(len(constants[0]), len(test), dtype=torch.float64) for name in objective.scores}
    for number, samples in enumerate(test):
        outputs = constants[number].expand(-1, samples.x.shape[1], -1)
        mask = None if heads is None else heads[number].expand_as(outputs)
        for name, score in objective.scores.items():
            null[name][:, number] = score.compute(outputs, samples.y, mask)
    return null


def _curve(scenario: Scenario, offset: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor] | None:
    """Return points and values of a one-dimensional target."""
    if scenario.target is None or scenario.inputs != 1:
        return None
    low, high = scenario.input_range()
    x = torch.linspace(low.item(), high.item(), PLOT_POINTS, dtype=scenario.tasks[0].train[0].dtype)[:, None]
    try:
        y = scenario.target(x)
    except BaseException as error:  # the user's own code
        if is_interrupt(error):
            raise
        raise InputError(f"target failed on the domain: {one_line(error)}") from error
    if tuple(y.shape) != (PLOT_POINTS, scenario.outputs):
        raise InputError(f"target gave shape {tuple(y.shape)} for inputs {tuple(x.shape)}, expected (N, {scenario.outputs})")
    return (x - offset).to(dtype) if offset.any() else x.to(dtype), y.to(dtype)


def _plot(curves: list[tuple[Tensor, Tensor] | None]) -> tuple[Tensor | None, Tensor | None]:
    """Return points and target of the function figure; nothing where there is no target, or another one for each seed."""
    first = curves[0]
    if first is None or not all(c is not None and all(map(torch.equal, c, first)) for c in curves):
        return None, None
    return first
