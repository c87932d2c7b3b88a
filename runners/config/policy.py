"""How a network is trained: the policy, a frozen dataclass of plain values that refuses what makes no sense."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from kancl.errors import InputError

Optimizer = Literal["adam", "adamw", "sgd", "lbfgs"]
Schedule = Literal["constant", "cosine", "linear"]
Kind = Literal["coefficients", "base", "scales", "bias", "weights"]
"""Kinds of parameters, as :func:`runners.training.optimizers.kind_of` tells them apart: those of an edge's basis functions, of
the branch beside them, the factor of an edge, constants, and all others."""

MOST_STEPS = 10**9
"""Steps per task that anybody could wait for."""


@dataclass(frozen=True)
class Policy:
    """How a network is trained on each task.

    Args:
        optimizer: adam, adamw and sgd run all seeds at once; lbfgs (strong Wolfe, history 10, one iteration a step) seed by
            seed.
        lr: learning rate.
        state: the optimiser's state is dropped at each task (reset) or carried over (keep).
        weight_decay: decoupled for adamw, added to the gradient otherwise (not for lbfgs).
        decay_on: the kinds of parameters that weight decay touches.
        momentum: for sgd.
        schedule: how the learning rate falls from ``lr`` towards 0; see :func:`runners.training.schedule.factor`.
        schedule_over: the schedule starts again at every task, or runs once over all of them: then the last task is learned at
            a small rate, and learned less.
        lazy: numbers whose gradient is exactly 0 in a step stay as they are in it, and so do their moments; see
            :class:`runners.training.updates.LazyUpdates`.
        clip: the largest norm of a seed's gradient; a longer one is scaled down to it. None for no limit.
        steps: training steps per task; or
        epochs: passes over the task's data.
        batch_size: samples per step, or ``full``.
    """

    optimizer: Optimizer = "adam"
    lr: float = 1e-3
    state: Literal["reset", "keep"] = "reset"
    weight_decay: float = 0.0
    momentum: float = 0.0
    steps: int | None = None
    epochs: int | None = None
    batch_size: int | Literal["full"] = "full"
    decay_on: tuple[Literal["all"] | Kind, ...] = ("all",)
    schedule: Schedule = "constant"
    schedule_over: Literal["task", "sequence"] = "task"
    lazy: bool = False
    clip: float | None = None

    def __post_init__(self) -> None:
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
        if self.optimizer == "lbfgs" and (self.batch_size != "full" or self.weight_decay):
            raise InputError("lbfgs works on the full batch and without weight decay; choose another optimizer for either")
        if self.momentum and self.optimizer != "sgd":
            raise InputError(f"momentum is an option of sgd, not of {self.optimizer}")
        if self.clip is not None and not 0 < self.clip < math.inf:
            raise InputError(f"clip must be a finite norm > 0, got {self.clip}; leave it out for no limit")
        self._check_combinations()

    def _check_combinations(self) -> None:
        """Refuse settings without effect: a result that names them would claim more than was done."""
        if self.optimizer == "lbfgs" and (self.schedule != "constant" or self.lazy or self.clip is not None):
            raise InputError(
                "lbfgs searches the length of every step, and mixes all numbers of a network in its direction: schedule, lazy "
                "and clip are for the other optimizers"
            )
        if self.lazy and self.optimizer == "sgd" and not self.momentum and not self.weight_decay:
            raise InputError("lazy has no effect: sgd without momentum and weight_decay moves nothing idle anyway")
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
    def label(self) -> str:
        """The settings in short, e.g. ``adam lr=0.003 steps=3000``."""
        parts = [self.optimizer, f"lr={self.lr:g}"]
        parts += [f"steps={self.steps}" if self.steps is not None else f"epochs={self.epochs}"]
        parts += [f"batch={self.batch_size}"] if self.batch_size != "full" else []
        on = "" if self.decay_on == ("all",) else f" on {'+'.join(self.decay_on)}"
        parts += [f"decay={self.weight_decay:g}{on}"] if self.weight_decay else []
        parts += [f"momentum={self.momentum:g}"] if self.momentum else []
        over = " over all tasks" if self.schedule_over == "sequence" else ""
        parts += [f"{self.schedule}{over}"] if self.schedule != "constant" else []
        parts += ["lazy"] if self.lazy else []
        parts += [f"clip={self.clip:g}"] if self.clip is not None else []
        parts += ["state kept"] if self.state == "keep" else []
        return " ".join(parts)


LATER = ("decay_on", "schedule", "schedule_over", "lazy", "clip")
"""Settings of the policy that are younger than the first stored results. At their defaults they mean what was done before
they existed, so they are left out of a cell's key then, and what is stored keeps its name."""
