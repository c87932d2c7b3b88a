"""The request: what the user asks for, on the command line or in an experiment file, before anything is filled in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar, get_args, get_origin, get_type_hints

import tyro

from kancl.errors import InputError
from kancl.precedence import laid_over
from runners.config.cell import DATA_ROOT, Runner
from runners.config.optimizers import OPTIMIZERS, by_optimizer
from runners.config.policy import Policy

T = TypeVar("T")
C = TypeVar("C")
Said = Annotated[T | None, tyro.conf.arg(help_behavior_hint="")]
"""What the user may say or leave unsaid (None); the command line's help then shows no default."""

Names = Annotated[tuple[str, ...] | None, tyro.conf.arg(metavar="NAME ...", help_behavior_hint="")]


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
    architectures: Names = None
    """Architectures, each NAME or NAME:option=value,...; kan and mlp if none is given."""
    strategies: Names = None
    """Strategies, each NAME or NAME:option=value,...; naive if none is given."""
    cells: Names = field(default=None, repr=False)  # the cells that come of it tell what was asked for
    """Pairs ARCHITECTURE/STRATEGY, instead of all architectures with all strategies: mlp/naive mlp/ewc kan/naive."""
    runner: Said[Runner] = None
    """Who trains: native (the default), all seeds at once, or avalanche, one by one, by that library's own strategies."""
    seeds: Said[int | str] = None
    """How many seeds (8 is 0 to 7), a range (16-31) or a list (3,5,8); 8 if not given."""
    dtype: Said[Literal["float32", "float64"]] = None
    """Number format; float32 if not given."""
    evaluations: Said[int] = None
    """Evaluations of all tasks during each task, at log-spaced steps; 12 if not given."""
    # What is asked for has the name that it had before there was this choice.
    curve_samples: Said[int | Literal["all"]] = field(default=None, repr=False)
    """Test samples of each task that the evaluations inside tasks are made on, classes alike, the same for all who learn it; at
    the ends of tasks it is always all of them. all if not given."""
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
        """Return this request with what it leaves unsaid taken from another one.

        Raises:
            InputError: this one names architectures or strategies, and the other one single cells.
        """
        return Request(**over(vars(self), vars(other)))

    def policy(self) -> dict[str, Any]:
        """Return what was said about the policy."""
        return {f.name: getattr(self, f.name) for f in fields(Policy) if getattr(self, f.name) is not None}


DEFAULTS = Request(
    architectures=("kan", "mlp"), strategies=("naive",), seeds=8, dtype="float32", evaluations=12, locality="off",
    runner="native",
    data_root=Path(DATA_ROOT),
)  # fmt: skip

PRODUCT = ("architectures", "strategies")
"""What ``cells`` stands in place of."""


def over(above: Mapping[str, Any], below: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was said with what is left unsaid, None, taken from below; single cells hide a product that is below them.

    Raises:
        InputError: single cells and a product are said together, or a part of a product above single cells.
    """
    said = {name: value for name, value in above.items() if value is not None}
    parts = [name for name in PRODUCT if name in said]
    if parts and (said.get("cells") is not None or below.get("cells") is not None):
        raise InputError(
            f"cells names single pairs of an architecture and a strategy, and {' and '.join(parts)} what is crossed; leave out "
            "one of the two"
        )
    hidden = PRODUCT if "cells" in said else ()
    return laid_over({name: value for name, value in below.items() if name not in hidden}, said)


def _single(kind: Any) -> bool:
    """Tell whether a setting has one value, which is no list."""
    return all(get_origin(part) is not tuple and part is not bool for part in (kind, *get_args(kind)))


AXES = (*(own.name for own in fields(Policy) if _single(get_type_hints(Policy)[own.name])), "runner", "dtype")
"""Settings of which several values may be said: each is asked for with each of the others."""


def with_axes(cls: type[C]) -> type[C]:
    """Decorate a command that is to be a dataclass and a :class:`Request`: of the axes it takes one value or more."""
    hints = get_type_hints(Request, include_extras=True)
    for name in AXES:
        kind: Any = reduce(or_, (part for part in get_args(get_args(hints[name])[0]) if part is not type(None)))
        text = next((own.metadata["help"] for own in fields(Policy) if own.name == name), None)
        shown = tyro.conf.arg(help=text, metavar=f"{_metavar(kind)} ...", help_behavior_hint="")
        cls.__annotations__[name] = Annotated[tuple[kind, ...] | None, shown]
        setattr(cls, name, None)
    return cls


def _metavar(kind: Any) -> str:
    """Return how the help says what a value can be."""
    if get_origin(kind) is Literal:
        return "{" + ",".join(get_args(kind)) + "}"
    return "|".join(map(_metavar, get_args(kind))) or kind.__name__.upper()
