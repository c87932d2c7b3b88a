"""How a network is trained: the policy, a frozen dataclass of plain values that refuses what makes no sense.

A setting is one row here: its type, its default, what it is, and how a label says it. The request's fields, the command line's
options with their help, and the keys of experiment files follow from it (:mod:`runners.config.request`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from kancl.errors import InputError
from runners.config.optimizers import OPTIMIZERS, SEARCHING, Optimizer, OptimizerRow, defaults_of, joined

Schedule = Literal["constant", "cosine", "linear"]
Kind = Literal["coefficients", "base", "scales", "bias", "weights"]
"""Kinds of parameters, as :func:`runners.training.optimizers.kind_of` tells them apart: those of an edge's basis functions, of
the branch beside them, the factor of an edge, constants, and all others."""

MOST_STEPS = 10**9
"""Steps per task that anybody could wait for."""


def setting(help: str, word: Callable[[Any], str] | None = None, later: bool = False) -> dict[str, Any]:
    """Return what a field of the policy carries beside its type and its default.

    Args:
        help: what it is, for the command line as well.
        word: says it in a label, where it is not at its default; None for what another setting's word says.
        later: it is younger than the first stored results. At its default it means what was done before it existed, so it is
            left out of a cell's key then, and what is stored keeps its name.
    """
    return {"help": help, "word": word, "later": later}


@dataclass(frozen=True)
class Policy:
    """How a network is trained on each task: either so many steps or so many epochs, and what else is set below."""

    optimizer: Optimizer = field(
        default="adam",
        metadata=setting(
            f"The optimiser; the scenario's advice, else adam. {joined(SEARCHING)} takes full batches, one iteration a step.",
            lambda policy: policy.optimizer,
        ),
    )
    lr: float = field(
        default=1e-3,
        metadata=setting(
            f"Learning rate; the scenario's advice for that optimiser, else {defaults_of('lr')}.",
            lambda policy: f"lr={policy.lr:g}",
        ),
    )
    state: Literal["reset", "keep"] = field(
        default="reset",
        metadata=setting(
            "Drop the optimiser's state at every task (reset, the default) or carry it over (keep).",
            lambda policy: "state kept",
        ),
    )
    weight_decay: float = field(
        default=0.0,
        metadata=setting(
            "Weight decay: decoupled under adamw, otherwise part of the gradient; 0 if not given.",
            lambda policy: f"decay={policy.weight_decay:g}{policy._decayed}",
        ),
    )
    decay_on: tuple[Literal["all"] | Kind, ...] = field(
        default=("all",),
        metadata=setting(f"What weight decay touches: all (the default), or some of {', '.join(get_args(Kind))}.", later=True),
    )
    momentum: float = field(
        default=0.0,
        metadata=setting(
            f"Momentum of sgd; the scenario's advice, else {defaults_of('momentum')}.",
            lambda policy: f"momentum={policy.momentum:g}",
        ),
    )
    schedule: Schedule = field(
        default="constant",
        metadata=setting(
            "How the learning rate falls towards 0: constant (the default, it does not), cosine or linear.",
            lambda policy: f"{policy.schedule}{' over all tasks' if policy.schedule_over == 'sequence' else ''}",
            later=True,
        ),
    )
    schedule_over: Literal["task", "sequence"] = field(
        default="task",
        metadata=setting(
            "The schedule starts again at every task (the default), or runs once over the sequence: "
            "the last task is learned least.",
            later=True,
        ),
    )
    lazy: bool = field(
        default=False,
        metadata=setting(
            "Numbers whose gradient is exactly 0 in a step keep their value and their moments in it; off if not given.",
            lambda policy: "lazy",
            later=True,
        ),
    )
    clip: float | None = field(
        default=None,
        metadata=setting(
            "Scale a seed's gradient down to this norm where it is longer; no limit if not given.",
            lambda policy: f"clip={policy.clip:g}",
            later=True,
        ),
    )
    steps: int | None = field(
        default=None,
        metadata=setting(
            f"Optimiser steps per task; the scenario's advice, else {defaults_of('steps')}.",
            lambda policy: f"steps={policy.steps}",
        ),
    )
    epochs: int | None = field(
        default=None,
        metadata=setting(
            "Passes over each task's samples, instead of steps; in batches of 32 if no batch size is given or advised.",
            lambda policy: f"epochs={policy.epochs}",
        ),
    )
    batch_size: int | Literal["full"] = field(
        default="full",
        metadata=setting(
            "Samples per step, or full; the scenario's advice, else full.", lambda policy: f"batch={policy.batch_size}"
        ),
    )

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise InputError(f"unknown optimizer {self.optimizer!r}; known: {', '.join(OPTIMIZERS)}")
        said, kinds = set(self.decay_on), get_args(Kind)
        canonical = tuple(kind for kind in kinds if kind in said)  # in one order, so that equal policies are stored alike
        if not said or not said <= {"all", *kinds}:
            raise InputError(f"decay_on must name all, or some of {', '.join(kinds)}, got {list(self.decay_on)}")
        object.__setattr__(self, "decay_on", ("all",) if "all" in said or canonical == kinds else canonical)
        if (self.steps is None) == (self.epochs is None):
            raise InputError(f"give either steps or epochs per task, got {self.steps=} and {self.epochs=}".replace("self.", ""))
        for name in ("steps", "epochs", "batch_size"):
            value = getattr(self, name)
            if isinstance(value, int) and not 1 <= value <= MOST_STEPS:
                raise InputError(f"{name} must be at least 1 and at most {MOST_STEPS:,}, got {value}")
        if not 0 < self.lr < math.inf or not 0 <= self.weight_decay < math.inf or not 0 <= self.momentum < 1:
            got = f"got {self.lr}, {self.weight_decay} and {self.momentum}"
            raise InputError(f"needs finite lr > 0, finite weight_decay >= 0 and 0 <= momentum < 1, {got}")
        if self.row.searches and (self.batch_size != "full" or self.weight_decay):
            raise InputError(
                f"{self.optimizer} works on the full batch and without weight decay; choose another optimizer for either"
            )
        for own in {name: None for row in OPTIMIZERS.values() for name in row.own}:
            if getattr(self, own) and own not in self.row.own:
                having = joined(tuple(name for name, row in OPTIMIZERS.items() if own in row.own))
                raise InputError(f"{own} is an option of {having}, not of {self.optimizer}")
        if self.clip is not None and not 0 < self.clip < math.inf:
            raise InputError(f"clip must be a finite norm > 0, got {self.clip}; leave it out for no limit")
        self._check_combinations()

    def _check_combinations(self) -> None:
        """Refuse settings without effect: a result that names them would claim more than was done."""
        if self.row.searches and (self.schedule != "constant" or self.lazy or self.clip is not None):
            raise InputError(
                f"{self.optimizer} searches the length of every step, and mixes all numbers of a network in its direction: "
                "schedule, lazy and clip are for the other optimizers"
            )
        if self.lazy and not self.row.drifts and not self.momentum and not self.weight_decay:
            raise InputError(
                f"lazy has no effect: {self.optimizer} without momentum and weight_decay moves nothing idle anyway"
            )
        if self.decay_on != ("all",) and not self.weight_decay:
            raise InputError("decay_on tells what weight_decay touches, and that is 0; give weight_decay as well")
        if self.schedule_over != "task" and self.schedule == "constant":
            raise InputError(f"schedule_over={self.schedule_over} needs a schedule, cosine or linear, and it is constant")

    def steps_per_task(self, samples: int) -> int:
        """Return the number of training steps on a task with so many samples."""
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None
        batch = samples if self.batch_size == "full" else self.batch_size
        return self.epochs * -(-samples // batch)

    @property
    def row(self) -> OptimizerRow:
        """What is known of the optimiser."""
        return OPTIMIZERS[self.optimizer]

    def words(self, *, without: str = "") -> tuple[str, ...]:
        """Return the settings in short, each as it stands in :attr:`label`: the optimiser, its rate, and what is not usual.

        Args:
            without: a setting that is left out.
        """
        ordered = sorted(fields(self), key=lambda own: _PLACES.get(own.name, len(FIRST)))
        said = [own for own in ordered if own.name in ALWAYS or getattr(self, own.name) != own.default]
        return tuple(own.metadata["word"](self) for own in said if own.metadata["word"] and own.name != without)

    @property
    def label(self) -> str:
        """The settings in short, e.g. ``adam lr=0.003 steps=3000``."""
        return " ".join(self.words())

    @property
    def _decayed(self) -> str:
        return "" if self.decay_on == ("all",) else f" on {'+'.join(self.decay_on)}"


ALWAYS = ("optimizer", "lr")
"""Settings that a label says at their defaults as well."""
FIRST, LAST = ("optimizer", "lr", "steps", "epochs", "batch_size"), ("state",)
"""What a label begins with and what it ends with; the others are said in their own order."""
_PLACES = {name: place for place, name in enumerate(FIRST)} | dict.fromkeys(LAST, len(FIRST) + 1)

LATER = {own.name: own.default for own in fields(Policy) if own.metadata["later"]}
"""Settings that are younger than the first stored results, with their defaults; see :func:`setting`."""
