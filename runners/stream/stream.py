"""One scenario for many seeds: the tasks of all seeds stacked along a leading axis."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from runners.stream.digest import digest_of
from runners.stream.samples import Samples, moved
from scenarios import Advice
from scenarios.objectives import Objective
from scenarios.task import Operator

NO_DATA = ("null", "objective", "advice", "files", "operator", "plot_x", "plot_target", "remarks", "groups")
"""Of a stream: what follows from its data, what a cell says in its settings, and functions, which their files tell."""


@dataclass(frozen=True, eq=False)
class Stream:
    """A scenario as the runners see it: S seeds, T tasks, I inputs, O outputs.

    Args:
        seeds: in the order of the seed axis.
        names: of the tasks.
        setting: what changes from task to task: ``domain``, ``class`` or ``task``.
        outputs: O.
        objective: the loss, its gradient and the scores.
        low, high: the range of every input.
        train: the training samples of each task.
        test: the test samples of each task; their targets are always the network's outputs.
        heads: marks the active output units of each task, those of pretraining after the others (H of them in all); None if all
            units always are.
        null: by score what each task's best constant predictor reaches on its test samples; it is fitted to the task's training
            targets, or, where these are the values of an operator, to the test targets.
        plot_x, plot_target: points of a one-dimensional scenario for figures, and its noiseless function there.
        advice: what suits the scenario.
        pretrain: the samples of all tasks of pretraining.
        blur: how far neighbouring tasks run into each other, 0 to 1.
        files: the SHA-256 of every data file that was read, by name.
        operator: what is trained instead of the outputs, the same for all seeds.
        offset: what was subtracted from the inputs, their ranges and ``plot_x`` before they were converted
            (:mod:`scenarios.checks.precision`); None where nothing was.
        remarks: what a user has to know of the numbers.
        groups: are there where seeds have tasks of different sizes: they are trained group by group
            (:func:`runners.run.run_cell`). The stream itself then holds the first samples of every task, as many as
            all seeds have, for those who only look at it: checks, times, widths.
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
    heads: Bool[Tensor, "H O"] | None
    null: dict[str, Float[Tensor, "S T"]]
    plot_x: Float[Tensor, "P 1"] | None
    plot_target: Float[Tensor, "P O"] | None
    advice: Advice
    pretrain: Samples | None = None
    blur: float = 0.0
    files: Mapping[str, str] = field(default_factory=dict)
    operator: Operator | None = None
    offset: Float[Tensor, "S I"] | None = None
    remarks: tuple[str, ...] = ()
    groups: tuple["Stream", ...] = ()

    @property
    def inputs(self) -> int:
        """The number of inputs."""
        return self.low.shape[1]

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of all that networks meet: samples of every seed as they are trained on, their order, heads, range."""
        return digest_of([group.digest for group in self.groups]) if self.groups else digest_of(self, NO_DATA)

    @property
    def device(self) -> torch.device:
        """Where the samples are; networks are trained there."""
        return self.train[0].x.device

    def to(self, device: str) -> "Stream":
        """Return the stream with everything that a network meets on another device.

        Args:
            device: as torch names it, ``cpu`` or ``cuda``.
        """
        move = partial(moved, device=device)
        return replace(
            self,
            low=self.low.to(device),
            high=self.high.to(device),
            train=tuple(map(move, self.train)),
            test=tuple(map(move, self.test)),
            pretrain=None if self.pretrain is None else move(self.pretrain),
            heads=None if self.heads is None else self.heads.to(device),
            plot_x=None if self.plot_x is None else self.plot_x.to(device),
            groups=tuple(group.to(device) for group in self.groups),
        )

    def of_places(self, own: slice) -> "Stream":
        """Return the stream of some of the seeds, those at ``own`` on the seed axis; seeds in groups have no such places."""
        assert not self.groups

        def cut(samples: Samples) -> Samples:
            return Samples(samples.x[own], samples.y[own], samples.task)

        return replace(
            self,
            seeds=self.seeds[own],
            low=self.low[own],
            high=self.high[own],
            train=tuple(map(cut, self.train)),
            test=tuple(map(cut, self.test)),
            null={name: values[own] for name, values in self.null.items()},
            pretrain=None if self.pretrain is None else cut(self.pretrain),
            offset=None if self.offset is None else self.offset[own],
        )

    def mask(self, task: Int[Tensor, "... N"]) -> Bool[Tensor, "... N O"] | None:
        """Return the active output units of samples of these tasks; None where all units always are.

        Args:
            task: the task of each sample, from 0.
        """
        return None if self.heads is None else self.heads[task]
