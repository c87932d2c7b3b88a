"""``kancl list``: what there is, and what it can be set to."""

import inspect
from dataclasses import dataclass
from typing import Literal

import tyro


@dataclass(frozen=True)
class List:
    """List scenarios, architectures and strategies, with one line each.

    Third-party packages add to the lists by entry points; a file of your own is named as path/to/file.py:function.
    """

    what: tyro.conf.Positional[Literal["all", "scenarios", "architectures", "strategies"]] = "all"
    """What to list."""
    verbose: bool = False
    """Show the options of each, with types and defaults, and the full description."""

    def execute(self) -> int:
        """Print the list and return the exit code."""
        from rich.text import Text

        from kancl.models import architectures
        from kancl.options import schema
        from runners.cli.screen import make_console
        from runners.strategies import strategies
        from scenarios import scenarios
        from scenarios.build import reserved_of

        console = make_console()
        reserved = {"scenarios": reserved_of, "architectures": lambda _: ("problem",), "strategies": lambda _: ()}
        registries = {"scenarios": scenarios, "architectures": architectures, "strategies": strategies}
        for title, registry in registries.items():
            if self.what not in ("all", title):
                continue
            console.print(Text(title, style="bold"))
            if self.verbose and title == "scenarios":
                console.print(Text(_common()), soft_wrap=True)
            for name, builder in registry.available().items():
                description = inspect.getdoc(builder) or ""
                console.print(Text(f"  {name:24}").append(description.partition("\n")[0]), soft_wrap=True)
                if self.verbose:
                    for key, option in schema(builder, reserved[title](builder)).items():
                        console.print(Text(f"      {_option(key, option)}", style="cyan"), soft_wrap=True)
                    rest = description.partition("\n")[2].strip("\n").replace("\n", "\n      ")
                    console.print(Text(f"\n      {rest}\n" if rest else ""), soft_wrap=True)
        return 0


def _common() -> str:
    """Return the options that every scenario has, with what they mean."""
    from scenarios.streams import COMMON, as_stream

    lines = (inspect.getdoc(as_stream) or "").partition("Args:\n")[2].partition("\n\n")[0].splitlines()
    meanings = dict(line.strip().split(": ", 1) for line in lines)
    shown = (f"      {_option(key, option)}\n          {meanings[key]}" for key, option in COMMON.items())
    return "\n".join(["    Every scenario, your own too, also has these options:", *shown, ""])


def _option(key: str, option: inspect.Parameter) -> str:
    from kancl.options import show_type

    default = "required" if option.default is inspect.Parameter.empty else repr(option.default)
    return f"{key}: {show_type(option)} = {default}"
