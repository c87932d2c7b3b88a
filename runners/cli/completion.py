"""``kancl completion``: a script with which a shell completes commands, options and their values."""

import ast
import re
from dataclasses import dataclass
from typing import Any, Literal

import tyro

SPEC = re.compile(r"^COMPLETION_SPEC = (\{.*\})$", re.MULTILINE)
NO_OPTIONS = ("--command",)
"""Fields that are filled in, and no options."""


@dataclass(frozen=True)
class Completion:
    """Print a script that lets a shell complete commands, options and their values with the tab key.

    bash: add to ~/.bashrc the line eval "$(kancl completion bash)"

    zsh: kancl completion zsh > ~/.zfunc/_kancl, with fpath+=~/.zfunc before compinit in ~/.zshrc
    """

    shell: tyro.conf.Positional[Literal["bash", "zsh"]]
    """The shell."""
    script: tyro.conf.Suppress[str] = ""
    """What is printed."""

    def execute(self) -> int:
        """Print the script and return the exit code."""
        print(self.script, end="")
        return 0


def cleaned(script: str) -> str:
    """Return tyro's script with descriptions of one line, of which shells make no words, and with values that can be given.

    Args:
        script: as ``--tyro-print-completion`` prints it.
    """
    return SPEC.sub(lambda found: f"COMPLETION_SPEC = {_clean(ast.literal_eval(found.group(1)))!r}", script)


def _clean(spec: Any) -> Any:
    if isinstance(spec, dict):
        return {key: _clean(value) for key, value in spec.items()}
    if isinstance(spec, list):
        return [_clean(own) for own in spec if own != "None" and not _is_no_option(own)]
    return " ".join(spec.split()).replace("%%", "%") if isinstance(spec, str) else spec


def _is_no_option(spec: Any) -> bool:
    return isinstance(spec, dict) and any(flag in NO_OPTIONS for flag in spec.get("flags", ()))
