"""Scenarios as avalanche benchmarks, for avalanche's own strategies."""

import importlib
from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.utils.data import TensorDataset

from kancl.errors import InputError
from scenarios.avalanche.incoming import MARK
from scenarios.avalanche.loading import import_avalanche
from scenarios.task import Scenario, Task


def to_avalanche(scenario: Scenario, *, images: bool = False) -> Any:
    """Return a scenario as an avalanche ``CLScenario`` with a ``train_stream`` and a ``test_stream``, one experience a task.

    Samples are (x, y, task label) over a ``TensorDataset`` that shares the scenario's memory: y is a class number (int64) for
    cross-entropy and a vector of real numbers for ``mse``. Task labels number the heads in order of appearance in the task
    setting, so that tasks with the same active outputs share a label, and are 0 otherwise; targets are counted over all outputs
    in every setting. Tasks to pretrain on become two further streams, ``pretrain_stream`` and ``pretrain_test_stream``.
    For classes, experiences know their ``classes_in_this_experience`` and its relatives, as avalanche's own do.

    :func:`scenarios.from_avalanche` gives the scenario back.

    Args:
        scenario: any scenario.
        images: give inputs the shape of pictures, (C, H, W) as torch has them, instead of (I,).

    Raises:
        InputError: what a benchmark, which is data alone, cannot say: an operator, blurred boundaries, or pictures of a
            scenario that has none.

    A scenario for one of avalanche's own strategies::

        benchmark = to_avalanche(build_scenario(Spec("split-digits", {}), seed=0))
        for experience in benchmark.train_stream:
            strategy.train(experience)
    """
    if scenario.operator is not None:
        raise InputError(
            "this scenario trains an operator of the network, not its outputs; an avalanche benchmark holds samples alone, and "
            "its strategies would fit the outputs to the operator's values"
        )
    if scenario.blur:
        raise InputError(
            f"this scenario's tasks run into each other (blur={scenario.blur:g}) as they are drawn into batches; the "
            "experiences of an avalanche benchmark have sharp boundaries. Build it with blur=0"
        )
    if images and scenario.image_shape is None:
        raise InputError("images=True needs a scenario with an image_shape; this one's inputs are no pictures")
    shape = scenario.image_shape if images else None
    import_avalanche()
    benchmarks = importlib.import_module("avalanche.benchmarks")
    heads = _numbered(scenario.all_tasks)
    streams = {"train": (scenario.tasks, "train"), "test": (scenario.tasks, "test")}
    if scenario.pretrain:
        streams |= {"pretrain": (scenario.pretrain, "train"), "pretrain_test": (scenario.pretrain, "test")}
    benchmark = benchmarks.benchmark_from_datasets(
        **{
            name: [_dataset(getattr(task, part), heads[task.active], shape) for task in tasks]
            for name, (tasks, part) in streams.items()
        }
    )
    if scenario.loss == "cross-entropy":
        benchmark = benchmarks.with_classes_timeline(benchmark)
    benchmark = benchmarks.with_task_labels(benchmark)
    setattr(benchmark, MARK, scenario)
    return benchmark


def _numbered(tasks: Sequence[Task]) -> dict[tuple[int, ...] | None, int]:
    """Number the heads in order of appearance."""
    return {active: number for number, active in enumerate(dict.fromkeys(task.active for task in tasks))}


def _dataset(samples: tuple[Tensor, Tensor], label: int, shape: tuple[int, ...] | None) -> Any:
    x, y = samples
    utils = importlib.import_module("avalanche.benchmarks.utils")
    if shape is not None:
        x = x.view(len(x), 1, *shape) if len(shape) == 2 else x.view(len(x), *shape).movedim(-1, 1)
    attributes = [utils.TaskLabels(utils.ConstantSequence(label, len(x)))]
    if y.is_floating_point():
        return utils.AvalancheDataset([TensorDataset(x, y)], data_attributes=attributes)
    attributes.append(utils.DataAttribute(y.tolist(), "targets"))
    return utils.TaskAwareSupervisedClassificationDataset([TensorDataset(x, y)], data_attributes=attributes)
