"""``kancl list``: what there is, and what it can be set to."""

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

if TYPE_CHECKING:
    from rich.console import Console

    from kancl.registry import Builder


@dataclass(frozen=True)
class List:
    """List scenarios, architectures and strategies, with one line each.

    Third-party packages add to the lists by entry points; a file of your own is named as path/to/file.py:function.
    """

    what: tyro.conf.Positional[Literal["all", "scenarios", "architectures", "strategies"]] = "all"
    """What to list."""
    verbose: Annotated[bool, tyro.conf.arg(aliases=["-v"])] = False
    """Show the options of each, with types and defaults, and the full description."""

    def execute(self) -> int:
        """Print the list and return the exit code."""
        from rich.text import Text

        from kancl.models import architectures
        from runners.avalanche import avalanche_strategies
        from runners.cli.docstrings import print_folded
        from runners.cli.screen import make_console
        from runners.strategies import strategies
        from scenarios import scenarios
        from scenarios.build import reserved_of

        console = make_console()
        reserved = {"scenarios": reserved_of, "architectures": lambda _: ("problem",), "strategies": lambda _: ()}
        registries = {"scenarios": scenarios, "architectures": architectures, "strategies": strategies}
        own = "strategies of the avalanche runner (--runner avalanche)"
        registries[own], reserved[own] = avalanche_strategies, lambda _: ()
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
