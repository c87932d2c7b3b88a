"""Configurations: frozen dataclasses of plain values, and how a request becomes cells.

What the user does not say is filled in from the scenario's advice and then from the defaults, and all of it is written out:
a stored configuration is complete. Precedence: default < advice of the scenario < experiment file < command line.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar, get_args, get_type_hints

import tyro

from kancl.errors import InputError
from kancl.options import Spec, parse_spec

if TYPE_CHECKING:
    from pydantic import TypeAdapter

FORMAT = 2
"""Number of the stored format; a change of what a configuration means gets a new one."""

DATA_ROOT = "data"
"""That of :mod:`scenarios.build`, which the command line's help does not wait for."""

Optimizer = Literal["adam", "adamw", "sgd", "lbfgs"]
Schedule = Literal["constant", "cosine", "linear"]
Runner = Literal["native", "avalanche"]
Kind = Literal["coefficients", "base", "scales", "bias", "weights"]
"""Kinds of parameters, as :func:`runners.training.optimizers.kind_of` tells them apart: those of an edge's basis functions, of
the branch beside them, the factor of an edge, constants, and all others."""

T = TypeVar("T")
Said = Annotated[T | None, tyro.conf.arg(help_behavior_hint="")]
"""What the user may say or leave unsaid (None); the command line's help then shows no default."""


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


LONGEST = 255
"""Bytes of a key: it names a folder, and file systems take no more."""


@dataclass(frozen=True)
class Cell:
    """The unit that is run, stored and resumed: one scenario, architecture, strategy and policy with a block of seeds.

    Each spec is there twice: as it was asked for (it names the results), and with every option spelled out. ``sources`` has the
    SHA-256 of the plug-in and data files, by name; ``data_root`` says where the data files were, which makes no difference.
    ``content`` has digests of everything that the numbers depend on, by name (:mod:`runners.experiment.contents`): the data of
    all seeds as they were built, and the code of others; it is empty in cells that were stored before it was recorded.
    ``request`` is a digest of what was asked for, by which a cell of other contents is known again.
    """

    scenario: Spec
    architecture: Spec
    strategy: Spec
    policy: Policy
    seeds: tuple[int, ...]
    dtype: Literal["float32", "float64"] = "float32"
    evaluations: int = 12
    locality: bool = False
    runner: Runner = "native"
    asked: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    data_root: str = DATA_ROOT
    content: Mapping[str, str] = field(default_factory=dict)
    request: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the configuration as plain values; equal configurations give equal JSON."""
        return {"format": FORMAT, **asdict(self)}

    @property
    def labels(self) -> dict[str, str]:
        """What the cell is called where people read: as it was asked for, and who carries out its strategy if not kancl."""
        if self.runner == "native":
            return dict(self.asked)
        from runners.avalanche.strategies import label_of  # on use: it needs this module

        return {**self.asked, "strategy": label_of(self.asked["strategy"])}

    @cached_property
    def key(self) -> str:
        """The name of the cell's directory: readable, and ending in a hash of everything that determines its numbers."""
        config = self.to_json()
        for part in ("asked", "data_root", "request"):
            config = _without(config, part)
        if not self.content:
            config = _without(config, "content")
        if not self.locality:  # as before there was a choice, so that older runs are still found
            config = _without(config, "locality")
        if self.runner == "native":
            config = _without(config, "runner")
        defaults = {f.name: f.default for f in fields(Policy) if f.name in LATER}
        config["policy"] = {k: v for k, v in config["policy"].items() if k not in defaults or v != defaults[k]}
        for part in ("scenario", "architecture", "strategy"):  # a file counts by its contents, not by its folder
            config[part] = {**config[part], "name": Path(config[part]["name"]).name}
        digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:10]
        names = [Path(spec.name).name.split(":")[-1] for spec in (self.scenario, self.architecture, self.strategy)]
        names[2] = names[2] if self.runner == "native" else f"{self.runner}-{names[2]}"
        said = [re.sub(r"[^\w.-]", "_", name) for name in names]
        if len("--".join([*said, digest]).encode()) > LONGEST:  # the digest tells apart what is cut
            said = [name.encode()[: LONGEST // 3 - 6].decode(errors="ignore") for name in said]
        return "--".join([*said, digest])

    @property
    def old_key(self) -> str:
        """The name of the directory in folders that were written before contents were recorded."""
        return replace(self, content={}).key

    @property
    def asked_key(self) -> str:
        """The key without any content: the same whatever files and data hold."""
        return replace(self, content={}, sources={}).key


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


POLICIES: Mapping[str, Mapping[str, Any]] = {
    "adam": {"lr": 1e-3, "steps": 1000},
    "adamw": {"lr": 1e-3, "steps": 1000},
    "sgd": {"lr": 1e-2, "momentum": 0.9, "steps": 1000},
    "lbfgs": {"lr": 1.0, "steps": 100},
}
"""Numbers by optimiser, for scenarios that advise none."""

DEFAULTS = Request(
    architectures=("kan", "mlp"), strategies=("naive",), seeds=8, dtype="float32", evaluations=12, locality="off",
    runner="native",
    data_root=Path(DATA_ROOT),
)  # fmt: skip


MOST_SEEDS = 10_000
"""Seeds of one cell: all their networks and samples are in memory at once."""


def parse_seeds(text: int | str) -> tuple[int, ...]:
    """Read seeds: a number of them (``8`` is 0 to 7), a range ``16-31``, or a list ``3,5,8``.

    >>> parse_seeds("3-5")
    (3, 4, 5)
    """
    written = "" if isinstance(text, bool) else str(text).strip()
    if match := re.fullmatch(r"(\d{1,18})-(\d{1,18})", written):
        seeds: Sequence[int] = range(int(match[1]), int(match[2]) + 1)
    elif re.fullmatch(r"\d{1,18}(,\d{1,18})*,?", written):
        numbers = tuple(int(part) for part in written.split(",") if part)
        seeds = numbers if "," in written else range(numbers[0])
    else:
        shown = repr(text) if len(written) < 60 else f"{written[:60]!r}..."
        raise InputError(f"seeds must be a number (8), a range (16-31) or a list (3,5,8), each below 10^18, got {shown}")
    if len(seeds) > MOST_SEEDS:
        raise InputError(f"seeds must be at most {MOST_SEEDS:,}, got {len(seeds):,} ({written[:60]})")
    if not seeds or len(set(seeds)) < len(seeds):
        raise InputError(f"seeds must be at least one and all different, got {written[:60]!r}")
    return tuple(seeds)


def resolve_policy(advice: Mapping[str, Mapping[str, Any]], advised_optimizer: str, said: Mapping[str, Any]) -> Policy:
    """Return the policy from what the user said, the scenario's numbers for that optimiser, and the defaults."""
    from pydantic import ValidationError  # on use: slow to import

    optimizer = said.get("optimizer") or advised_optimizer
    if optimizer not in POLICIES:
        raise InputError(f"unknown optimizer {optimizer!r}; known: {', '.join(POLICIES)}")
    values: dict[str, Any] = {"optimizer": optimizer}
    for source in (POLICIES[optimizer], advice.get(optimizer, {}), said):
        given = {key: value for key, value in source.items() if value is not None}
        if "steps" in given or "epochs" in given:  # two ways to say the same thing: the later word counts
            values = {key: value for key, value in values.items() if key not in ("steps", "epochs")}
        values |= given
    if "epochs" in values and "batch_size" not in values and optimizer != "lbfgs":
        values["batch_size"] = 32  # an epoch of one full batch would be a single step
    adapters = _policy_adapters()
    for key, value in values.items():
        if key not in adapters:
            raise InputError(f"unknown policy setting {key!r}; known: {', '.join(adapters)}")
        try:
            values[key] = adapters[key].validate_python(value)
        except ValidationError as error:
            raise InputError(f"policy setting {key}={value!r}: {error.errors()[0]['msg']}") from error
    return Policy(**values)


@cache
def _policy_adapters() -> "dict[str, TypeAdapter[Any]]":
    """Return what reads each setting of a policy."""
    from pydantic import TypeAdapter  # on use: slow to import

    return {key: TypeAdapter(kind) for key, kind in get_type_hints(Policy).items()}


def cell_from_json(config: Mapping[str, Any]) -> Cell:
    """Read what :meth:`Cell.to_json` wrote."""
    if config.get("format") != FORMAT:
        raise InputError(f"stored format {config.get('format')} is not the one this version reads ({FORMAT})")
    values = _without(config, "format")
    for part in ("scenario", "architecture", "strategy"):
        values[part] = Spec(**values[part])
    values["policy"] = Policy(**values["policy"])
    values["seeds"] = tuple(values["seeds"])
    return Cell(**values)


def with_advice(text: str, advice: Mapping[str, Mapping[str, Any]]) -> Spec:
    """Return the spec with the scenario's advice for that name put under the options that were given."""
    spec = parse_spec(text)
    return replace(spec, options={**advice.get(spec.name, {}), **spec.options})


def _without(mapping: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {k: v for k, v in mapping.items() if k != key}
