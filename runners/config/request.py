"""The request: what the user asks for, on the command line or in an experiment file, before anything is filled in."""

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import tyro

from runners.config.cell import DATA_ROOT, Runner
from runners.config.policy import Kind, Optimizer, Policy, Schedule

T = TypeVar("T")
Said = Annotated[T | None, tyro.conf.arg(help_behavior_hint="")]
"""What the user may say or leave unsaid (None); the command line's help then shows no default."""


@dataclass(frozen=True)
class Request:
    """What the user asks for: every combination of scenarios, architectures and strategies under one policy.

    None means: not said. The names are those of the command line's options and of the keys of an experiment file.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    scenarios: Said[tuple[str, ...]] = None
    """Scenarios, each NAME, NAME:option=value,... or path/to/file.py:function."""
    architectures: Said[tuple[str, ...]] = None
    """Architectures, each NAME or NAME:option=value,...; kan and mlp if none is given."""
    strategies: Said[tuple[str, ...]] = None
    """Strategies, each NAME or NAME:option=value,...; naive if none is given."""
    runner: Said[Runner] = None
    """Who trains: native (the default), all seeds at once, or avalanche, one by one, by that library's own strategies."""
    seeds: Said[int | str] = None
    """How many seeds (8 is 0 to 7), a range (16-31) or a list (3,5,8); 8 if not given."""
    optimizer: Said[Optimizer] = None
    """The optimiser; the scenario's advice, else adam. lbfgs takes full batches, one iteration a step."""
    lr: Said[float] = None
    """Learning rate; the scenario's advice for that optimiser, else 0.001 (sgd 0.01, lbfgs 1)."""
    state: Said[Literal["reset", "keep"]] = None
    """Drop the optimiser's state at every task (reset, the default) or carry it over (keep)."""
    weight_decay: Said[float] = None
    """Weight decay: decoupled under adamw, otherwise part of the gradient; 0 if not given."""
    decay_on: Said[tuple[Literal["all"] | Kind, ...]] = None
    """What weight decay touches: all (the default), or some of coefficients, base, scales, bias, weights."""
    momentum: Said[float] = None
    """Momentum of sgd; the scenario's advice, else 0.9."""
    schedule: Said[Schedule] = None
    """How the learning rate falls towards 0: constant (the default, it does not), cosine or linear."""
    schedule_over: Said[Literal["task", "sequence"]] = None
    """The schedule starts again at every task (the default), or runs once over the sequence: the last task is learned least."""
    lazy: Said[bool] = None
    """Numbers whose gradient is exactly 0 in a step keep their value and their moments in it; off if not given."""
    clip: Said[float] = None
    """Scale a seed's gradient down to this norm where it is longer; no limit if not given."""
    steps: Said[int] = None
    """Optimiser steps per task; the scenario's advice, else 1000 (lbfgs 100)."""
    epochs: Said[int] = None
    """Passes over each task's samples, instead of steps; in batches of 32 if no batch size is given or advised."""
    batch_size: Said[int | Literal["full"]] = None
    """Samples per step, or full; the scenario's advice, else full."""
    dtype: Said[Literal["float32", "float64"]] = None
    """Number format; float32 if not given."""
    evaluations: Said[int] = None
    """Evaluations of all tasks during each task, at log-spaced steps; 12 if not given."""
    data_root: Said[Path] = field(default=None, repr=False)  # what is asked for has the same name wherever the files are
    """Folder of data files, for scenarios that read some; data if not given."""
    locality: Said[Literal["on", "off"]] = None
    """Record at every task end what tasks share and where damage came from (some % of the time); off if not given."""

    match: Said[Literal["parameters", "flops", "active", "time"]] = None
    """Scale the other architectures until they cost as much as --to: parameters, FLOPs of a forward pass, active parameters
    per sample, or measured time per step."""
    to: Said[str] = None
    """The architecture that the others are matched to, as in --architectures."""
    tune: Said[int] = None
    """Trials per scenario, architecture and strategy to choose the learning rate (and what the architecture names)."""
    tune_by: Said[Literal["learning", "final"]] = None
    """What decides: the score right after each task was learned (learning, the default), or the average at the end (final)."""
    tune_seeds: Said[int | str] = None
    """Seeds of the trials, none of them reported: how many for each choice (after the largest reported one; 2), or a range or
    list of all of them."""
    tune_choices: Said[int] = None
    """How often the choice is made, each time on seeds of its own and for an equal part of the reported ones: for every
    reported seed if not given. With fewer than 6 no verdict can be reached, with 1 there is none."""
    tune_range: Said[tuple[float, float]] = None
    """Smallest and largest learning rate of the trials; 0.0001 0.1 (sgd 0.001 1, lbfgs 0.01 1) if not given."""

    def over(self, other: "Request") -> "Request":
        """Return this request with what it leaves unsaid taken from another one."""
        said = {key: value for key, value in vars(self).items() if value is not None}
        if "steps" in said or "epochs" in said:  # two ways to say the same thing: the stronger word counts
            other = replace(other, steps=None, epochs=None)
        return replace(other, **said)

    def policy(self) -> dict[str, Any]:
        """Return what was said about the policy."""
        return {f.name: getattr(self, f.name) for f in fields(Policy) if getattr(self, f.name) is not None}


DEFAULTS = Request(
    architectures=("kan", "mlp"), strategies=("naive",), seeds=8, dtype="float32", evaluations=12, locality="off",
    runner="native",
    data_root=Path(DATA_ROOT),
)  # fmt: skip
