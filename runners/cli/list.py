"""``kancl list``: what there is, what it can be set to, and everything about one name."""

import inspect
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import tyro

if TYPE_CHECKING:
    from rich.console import Console

    from kancl.registry import Builder, Registry


KINDS = ("scenarios", "architectures", "strategies")
AVALANCHE = "strategies of the avalanche runner (--runner avalanche)"


@dataclass(frozen=True)
class List:
    """List scenarios, architectures and strategies, with one line each, or tell everything about one of them by its name.

    Third-party packages add to the lists by entry points; a file of your own is named as path/to/file.py:function.
    """

    what: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="all|scenarios|architectures|strategies|NAME")] = "all"
    """What to list; of any name, metrics too: its description with formula and source, its options, an example."""
    verbose: Annotated[bool, tyro.conf.arg(aliases=["-v"])] = False
    """Show the options of each, with types and defaults, and the full description."""

    def execute(self) -> int:
        """Print the list and return the exit code."""
        from rich.text import Text

        from runners.cli.docstrings import print_folded
        from runners.cli.screen import make_console

        console = make_console()
        if self.what not in ("all", *KINDS):
            _print_one(console, self.what)
            return 0
        reserved, registries = _known()
        wanted = {title: known for title, known in registries.items() if self.what in ("all", title.split()[0])}
        found = {title: known.available() for title, known in wanted.items()}
        width = max(len(name) for builders in found.values() for name in builders)
        for place, (title, builders) in enumerate(found.items()):
            if self.verbose and place:
                console.print()
            console.print(Text(title, style="bold"))
            if self.verbose and title == "scenarios":
                console.print(Text(_common()), soft_wrap=True)
            for name, builder in builders.items():
                if self.verbose:
                    _print_details(console, name, builder, reserved[title](builder))
                else:
                    first_line = (inspect.getdoc(builder) or "").partition("\n")[0]
                    print_folded(console, first_line, f"  {name:{width}}  ", " " * (width + 4))
        return 0


def _known() -> "tuple[dict[str, Callable[[Any], tuple[str, ...]]], dict[str, Registry]]":
    """Return what builders of each kind have reserved, and the registries, both by title."""
    from kancl.models import architectures
    from runners.avalanche import avalanche_strategies
    from runners.strategies import strategies
    from scenarios import scenarios
    from scenarios.build import reserved_of

    reserved: dict[str, Callable[[Any], tuple[str, ...]]] = {
        "scenarios": reserved_of, "architectures": lambda _: ("problem",), "strategies": lambda _: (), AVALANCHE: lambda _: (),
    }  # fmt: skip
    registries = {
        "scenarios": scenarios, "architectures": architectures, "strategies": strategies, AVALANCHE: avalanche_strategies,
    }  # fmt: skip
    return reserved, registries


def _print_one(console: "Console", asked: str) -> None:
    """Print everything about a name: what it is of each kind that has it.

    Raises:
        InputError: nothing has that name.
    """
    from rich.text import Text

    from kancl.errors import InputError
    from kancl.metrics import METRICS
    from kancl.text import near_misses
    from runners.cli.docstrings import print_folded

    reserved, registries = _known()
    name = asked.partition(":")[0]
    holders = {title: known for title, known in registries.items() if name in known.names()}
    if not holders and name not in METRICS:
        names = [*KINDS, *METRICS, *(own for known in registries.values() for own in known.names())]
        near = near_misses(name, dict.fromkeys(names))
        hint = f"did you mean {' or '.join(near)}?" if near else "kancl list names them all"
        raise InputError(f"there is no scenario, architecture, strategy or metric {name!r}; {hint}")
    for place, (title, known) in enumerate(holders.items()):
        if place:
            console.print()
        builder, kind = known.get(name), title.split(" ")[0]
        singular = {"scenarios": "scenario", "architectures": "architecture", "strategies": "strategy"}[kind]
        console.print(Text(f"{singular}{title.removeprefix(kind)}", style="bold"))
        _print_details(console, name, builder, reserved[title](builder))
        if kind == "scenarios":
            console.print(Text(f"\n{_common()}"), soft_wrap=True)
        console.print(Text(f"      Code:    {_place(builder)}"), soft_wrap=True)
        for number, command in enumerate(examples(title, name, builder, reserved[title](builder))):
            console.print(Text(f"      {'' if number else 'Example:':8} {command}"), soft_wrap=True)
    if name in METRICS:
        console.print(Text("metric", style="bold"))
        console.print(Text(f"\n  {name}", style="bold cyan"))
        print_folded(console, METRICS[name].formula, " " * 4, " " * 4)


def examples(title: str, name: str, builder: "Builder", reserved: tuple[str, ...]) -> list[str]:
    """Return commands that use a name: as it is, and with an option of its own.

    Args:
        title: of the list in which it stands.
        name: of the builder.
        builder: whose options are looked at.
        reserved: arguments that are none.
    """
    from kancl.option_texts import written
    from kancl.options import schema

    known = [
        (key, own.default)
        for key, own in schema(builder, reserved).items()
        if own.default not in (None, inspect.Parameter.empty)
    ]
    option = f":{known[0][0]}={written(known[0][1])}" if known else ""
    ways = {
        "scenarios": "kancl run {} --architectures kan mlp --seeds 8",
        "architectures": "kancl run gaussian-peaks --architectures {} mlp --seeds 8",
        "strategies": "kancl run split-digits --architectures kan mlp --strategies naive {} --seeds 8",
        AVALANCHE: "kancl run split-digits --architectures mlp --strategies {} --runner avalanche --seeds 4",
    }
    said = dict.fromkeys(shlex.quote(text) for text in (name, f"{name}{option}"))
    return [ways[title].format(text) for text in said]


def _place(builder: "Builder") -> str:
    """Return where a builder is defined."""
    return f"{builder.__module__}.{getattr(builder, '__qualname__', type(builder).__name__)}"


def _common() -> str:
    """Return the options that every scenario has, with what they mean."""
    from scenarios.streams import COMMON, as_stream

    lines = (inspect.getdoc(as_stream) or "").partition("Args:\n")[2].partition("\n\n")[0].splitlines()
    meanings = dict(line.strip().split(": ", 1) for line in lines)
    shown = (f"      {_option(key, option)}\n          {meanings[key]}" for key, option in COMMON.items())
    return "\n".join(["    Every scenario, your own too, also has these options:", *shown, ""])


def _print_details(console: "Console", name: str, builder: "Builder", reserved: tuple[str, ...]) -> None:
    """Print a builder's name, its whole docstring, and its options with types and defaults."""
    from rich.text import Text

    from kancl.options import schema
    from runners.cli.docstrings import print_docstring, print_folded

    console.print(Text(f"\n  {name}", style="bold cyan"))
    print_docstring(console, inspect.getdoc(builder) or "no description", indent=4)
    options = schema(builder, reserved)
    if options:
        console.print()
    for key, option in options.items():
        print_folded(console, _option(key, option), " " * 6, " " * 10, style="cyan")


def _option(key: str, option: inspect.Parameter) -> str:
    from kancl.signatures import show_type

    default = "required" if option.default is inspect.Parameter.empty else repr(option.default)
    return f"{key}: {show_type(option)} = {default}"
