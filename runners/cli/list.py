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
            for name, builder in registry.available().items():
                description = inspect.getdoc(builder) or ""
                console.print(Text(f"  {name:24}").append(description.partition("\n")[0]), soft_wrap=True)
                if self.verbose:
                    for key, option in schema(builder, reserved[title](builder)).items():
                        console.print(Text(f"      {_option(key, option)}", style="cyan"), soft_wrap=True)
                    rest = description.partition("\n")[2].strip("\n").replace("\n", "\n      ")
                    console.print(Text(f"\n      {rest}\n" if rest else ""), soft_wrap=True)
        return 0


def _option(key: str, option: inspect.Parameter) -> str:
    from kancl.options import show_type

    default = "required" if option.default is inspect.Parameter.empty else repr(option.default)
    return f"{key}: {show_type(option)} = {default}"
