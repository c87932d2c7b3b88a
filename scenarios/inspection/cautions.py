"""What can be run and is perhaps not meant: told to the author of a scenario as warnings, each with what to do.

Faults, which cannot be run, are in :mod:`scenarios.checks.scenario`.
"""

import hashlib
from collections.abc import Iterator

import torch
from torch import Tensor

from kancl.errors import InputError
from scenarios.checks.precision import (
    check_targets,
    merged_remark,
    merged_samples,
    null_remarks,
    offset_to_take_out,
    shift_remarks,
    without_offset,
)
from scenarios.objectives import best_constant
from scenarios.task import Scenario, Task, listed

LARGE_INPUT = 100.0
"""Inputs beyond this are far outside what initial weights are made for."""
TARGET_SPREAD = (0.01, 10.0)
"""Standard deviations of regression targets between which common learning rates work."""
TARGET_OFFSET = 10.0
"""Mean of regression targets, in their standard deviations, above which a network mostly learns the mean."""
NEAR = 1e-3
"""A test sample this close to a training sample, in usual distances between neighbours, is called the same sample."""
NEAR_SHARE = 0.1
"""Share of such test samples that is no chance: of points drawn uniformly on a line it is about 0.002."""
WORK = 200_000_000
"""Differences of numbers that the search for neighbours may take for each task."""


def cautions(scenario: Scenario) -> Iterator[str]:
    """Yield what is odd about the data of a scenario that can be run."""
    yield from _constant_inputs(scenario)
    yield from large_inputs(scenario)
    yield from _single_precision(scenario)
    if scenario.loss == "mse":
        yield from _target_scale(scenario)
    else:
        yield from _labels(scenario)
        yield from _setting(scenario)
    yield from _nothing_to_learn(scenario)
    yield from _identical_tasks(scenario)
    if scenario.test_is_train:
        yield from _separate_after_all(scenario)
    else:
        yield from _near_duplicates(scenario)


def _constant_inputs(scenario: Scenario) -> Iterator[str]:
    row = scenario.tasks[0].train[0][0]
    constant = torch.stack([(task.train[0] == row).all(0) for task in scenario.tasks]).all(0).nonzero()[:, 0].tolist()
    if len(constant) == scenario.inputs:
        yield "inputs are the same for every training sample, so nothing can be told from them; see what the builder puts there"
    elif constant and scenario.image_shape is None:  # the corners of pictures are often empty
        yield f"inputs {listed(constant)} never vary over the training samples; leave them out"


def large_inputs(scenario: Scenario) -> Iterator[str]:
    """Yield a line where inputs are far larger than what initial weights are made for."""
    largest = max(float(part[0].abs().max()) for task in scenario.tasks for part in (task.train, task.test))
    if largest > LARGE_INPUT:
        yield f"inputs reach {largest:.3g}; bring them to about [-1, 1], by the same formula for all tasks"


def _single_precision(scenario: Scenario) -> Iterator[str]:
    """Tell what a run in float32, the usual one, does with the numbers."""
    fitted = [(task.train if scenario.operator is None else task.test)[1] for task in scenario.tasks]
    best = [best_constant(scenario.loss, y, scenario.outputs or 0)[0] for y in fitted]
    try:
        check_targets(scenario, torch.float32)
        offset = offset_to_take_out(scenario, torch.float32)
    except InputError as error:
        yield str(error)
        return
    yield from shift_remarks(offset, torch.float32)
    yield from null_remarks(scenario, best, torch.float32)
    yield from merged_remark([0], [merged_samples(without_offset(scenario, offset), torch.float32)], torch.float32)


def _target_scale(scenario: Scenario) -> Iterator[str]:
    y = torch.cat([task.train[1] for task in scenario.tasks]).double()
    spread, mean = float(y.std(0, correction=0).max()), float(y.mean(0).abs().max())
    remedy = "standardise them, with one mean and one standard deviation for all tasks"
    if spread > 0 and not TARGET_SPREAD[0] <= spread <= TARGET_SPREAD[1]:
        yield f"training targets have a standard deviation of {spread:.2g}, far from 1; {remedy}"
    elif spread > 0 and mean > TARGET_OFFSET * spread:
        yield f"training targets have a mean of {mean:.2g} and a standard deviation of only {spread:.2g}; {remedy}"


def _labels(scenario: Scenario) -> Iterator[str]:
    for task in scenario.tasks:
        unseen = sorted(_classes(task.test[1]) - _classes(task.train[1]))
        if unseen:
            count = int(torch.isin(task.test[1], torch.tensor(unseen)).sum())
            yield (
                f"task {task.name!r}: labels {listed(unseen)} of {count} of its {len(task.test[1])} test samples are those of "
                "none of its training samples; draw training and test samples from the same classes"
            )
    used = set().union(*(_classes(part[1]) for task in scenario.all_tasks for part in (task.train, task.test)))
    idle = sorted(set(range(scenario.outputs or 0)) - used)
    if idle:
        yield f"output units {listed(idle)} are no sample's label; number classes from 0 without gaps, or say fewer outputs"


def _setting(scenario: Scenario) -> Iterator[str]:
    sets = [_classes(task.train[1]) for task in scenario.tasks]
    if len(sets) < 2:
        return
    if scenario.setting == "class" and all(labels == sets[0] for labels in sets):
        yield "setting='class' means new classes with every task, but all tasks have the same; say setting='domain'"
    if scenario.setting == "domain" and sum(map(len, sets)) == len(set().union(*sets)):
        yield "setting='domain' means the same classes in every task, but no class is in two tasks; say setting='class'"


def _nothing_to_learn(scenario: Scenario) -> Iterator[str]:
    for task in scenario.tasks:
        y = torch.cat([task.train[1], task.test[1]]) if scenario.operator is None else task.test[1]
        if bool((y == y[0]).all()):
            what = "class" if scenario.loss == "cross-entropy" else "target"
            yield (
                f"task {task.name!r}: all samples have the same {what}, so a constant is perfect and no retention can be said; "
                "give it a second one"
            )


def _identical_tasks(scenario: Scenario) -> Iterator[str]:
    groups: dict[str, list[str]] = {}
    for task in scenario.tasks:
        groups.setdefault(_digest(task), []).append(repr(task.name))
    for names in groups.values():
        if len(names) > 1:
            yield f"tasks {listed(names)} have the same training samples; right for tasks that come again, else vary them"


def _separate_after_all(scenario: Scenario) -> Iterator[str]:
    pairs = [(task.train[0], task.test[0]) for task in scenario.tasks]
    if not any(train.shape == test.shape and torch.equal(train, test) for train, test in pairs):
        yield "test_is_train=True, but no task's test inputs are its training inputs; leave it out, and leaks will be found"


def _near_duplicates(scenario: Scenario) -> Iterator[str]:
    for task in scenario.tasks:
        train, test = task.train[0].double(), task.test[0].double()
        width = train.std(0, correction=0)
        train, test = (x / torch.where(width > 0, width, 1.0) for x in (train, test))
        probes = max(8, min(64, WORK // train.numel()))
        usual = _nearest(_spread(train, probes), train, others=True)
        usual = usual[usual > 0]
        distances = _nearest(_spread(test, probes), train)
        if not len(usual):
            continue
        same = (distances > 0) & (distances < NEAR * usual.median())  # those at 0 are faults, told elsewhere
        share = float(same.double().mean())
        if int(same.sum()) > 1 and share > NEAR_SHARE:
            yield (
                f"task {task.name!r}: about {share:.0%} of its test samples are training samples but for tiny differences; "
                "separate the samples first, then add noise or vary them"
            )


def _nearest(probes: Tensor, among: Tensor, others: bool = False) -> Tensor:
    """Return each probe's distance to its nearest neighbour, or, with ``others``, to the nearest but itself."""
    rank = 2 if others and len(among) > 1 else 1
    return torch.cdist(probes, among, compute_mode="donot_use_mm_for_euclid_dist").topk(rank, dim=1, largest=False)[0][:, -1]


def _spread(x: Tensor, count: int) -> Tensor:
    """Return about ``count`` rows from all over ``x``."""
    return x[:: max(1, len(x) // count)][:count]


def _classes(labels: Tensor) -> set[int]:
    return set(labels.unique().tolist())


def _digest(task: Task) -> str:
    content = [(tensor + 0).numpy() for tensor in task.train]
    return hashlib.sha256(b"".join(repr(a.shape).encode() + a.tobytes() for a in content)).hexdigest()
