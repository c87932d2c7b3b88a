"""The request: what the user asks for, on the command line or in an experiment file, before anything is filled in."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar, get_type_hints

import tyro

from kancl.precedence import laid_over
from runners.config.cell import DATA_ROOT, Runner
from runners.config.optimizers import OPTIMIZERS, by_optimizer
from runners.config.policy import Policy

T = TypeVar("T")
C = TypeVar("C")
Said = Annotated[T | None, tyro.conf.arg(help_behavior_hint="")]
"""What the user may say or leave unsaid (None); the command line's help then shows no default."""


def with_policy(after: str) -> Callable[[type[C]], type[C]]:
    """Decorate a class that is to be a dataclass: it gets a field for each setting of the policy, unsaid if not given.

    Args:
        after: the field after which they come.
    """

    def decorate(cls: type[C]) -> type[C]:
        types, own = get_type_hints(Policy), dict(cls.__annotations__)
        names = list(own)
        settings = {
            f.name: Annotated[types[f.name] | None, tyro.conf.arg(help=f.metadata["help"], help_behavior_hint="")]
            for f in fields(Policy)
        }
        before = names[: names.index(after) + 1]
        cls.__annotations__ = {name: own[name] for name in before} | settings | own
        for name in settings:
            setattr(cls, name, None)
        return cls

    return decorate


RANGES = (
    "Smallest and largest learning rate of the trials; "
    + by_optimizer({name: f"{row.rates[0]:g} {row.rates[1]:g}" for name, row in OPTIMIZERS.items()})
    + " if not given."
)


@dataclass(frozen=True)
@with_policy(after="seeds")
class Request:
    """What the user asks for: every combination of scenarios, architectures and strategies under one policy.

    None means: not said. The names are those of the command line's options and of the keys of an experiment file. The settings
    of the policy are fields too, with the names, types and help of :class:`runners.config.policy.Policy`.
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
    per sample, or measured time per step of the second task."""
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
    tune_range: Annotated[tuple[float, float] | None, tyro.conf.arg(help=RANGES, help_behavior_hint="")] = None

    if TYPE_CHECKING:  # what the decorator and dataclass do

        def __init__(
            self,
            scenarios: tuple[str, ...] | None = None,
            architectures: tuple[str, ...] | None = None,
            strategies: tuple[str, ...] | None = None,
            **said: Any,
        ) -> None: ...
        def __getattr__(self, name: str) -> Any: ...

    def over(self, other: "Request") -> "Request":
        """Return this request with what it leaves unsaid taken from another one."""
        return Request(**laid_over(vars(other), {key: value for key, value in vars(self).items() if value is not None}))

    def policy(self) -> dict[str, Any]:
        """Return what was said about the policy."""
        return {f.name: getattr(self, f.name) for f in fields(Policy) if getattr(self, f.name) is not None}


DEFAULTS = Request(
    architectures=("kan", "mlp"), strategies=("naive",), seeds=8, dtype="float32", evaluations=12, locality="off",
    runner="native",
    data_root=Path(DATA_ROOT),
)  # fmt: skip
