"""The help of ``kancl run`` in groups, with examples: the options are those that tyro prints, under titles."""

import re
from dataclasses import fields
from itertools import chain

from runners.cli.execution import Execution
from runners.config.policy import Policy
from runners.config.request import Request

EXAMPLES = (
    ("kancl run gaussian-peaks --architectures kan mlp --seeds 8", "the toy of the KAN paper"),
    ("kancl run split-digits --strategies naive ewc replay --seeds 8", "what is done about forgetting"),
    ("kancl run split-digits --match parameters --to kan --tune 8", "on equal terms: sizes and rates"),
    ("kancl run split-digits --lr 1e-3 1e-2 --dry-run", "what it would take; nothing is run"),
    ("kancl run ./mine.py:my_scenario --out runs/mine", "tasks of your own; again to go on"),
)
TERMS = ("match", "to", "tune", "tune_by", "tune_seeds", "tune_choices", "tune_range")
BOX = re.compile(r"^╭─ options ─+╮$")
OPTION = re.compile(r"^│ (?:-h, )?--([\w-]+)")


def groups() -> dict[str, list[str]]:
    """Return the options of ``kancl run`` by the title under which they stand; those that are named nowhere come last."""
    policy = [own.name for own in fields(Policy)]
    asked = [own.name for own in fields(Request) if own.name not in (*policy, *TERMS)]
    return {
        "what is trained, on what, and what is measured": asked,
        "how it is trained (several values: each with each)": policy,
        "on equal terms: sizes and rates": list(TERMS),
        "where and in which processes, and what is kept": [*(own.name for own in fields(Execution)), "threads", "device"],
        "this command": [],
    }


def in_groups(text: str) -> str:
    """Return a help text with examples, and with the box of its options as a box for each group.

    Args:
        text: as tyro prints it for a terminal without colours.
    """
    lines = re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()
    first = next((place for place, line in enumerate(lines) if BOX.match(line)), None)
    if first is None:
        return text
    last = next(place for place in range(first, len(lines)) if lines[place].startswith("╰"))
    width = len(lines[first])
    boxes = [_box(title, block, width) for title, block in _sorted(lines[first + 1 : last]).items() if block]
    whole = [*lines[:first], *_box("examples", _examples(width), width), *chain(*boxes), *lines[last + 1 :]]
    return "\n".join(whole).rstrip("\n") + "\n"


def _sorted(lines: list[str]) -> dict[str, list[str]]:
    """Return the lines of options by their group; what no group names is this command's."""
    known = groups()
    *_, own = known
    found: dict[str, list[str]] = {title: [] for title in known}
    title = own
    for line in lines:
        if option := OPTION.match(line):
            name = option.group(1).replace("-", "_")
            title = next((other for other, names in known.items() if name in names), own)
        found[title].append(line)
    return found


def _examples(width: int) -> list[str]:
    lines = [line for command, what in EXAMPLES for line in (command, f"    {what}")]
    return [f"│ {line:{width - 4}} │" for line in lines]


def _box(title: str, lines: list[str], width: int) -> list[str]:
    """Return lines between a title and an end."""
    return [f"╭─ {title} {'─' * (width - len(title) - 5)}╮", *lines, f"╰{'─' * (width - 2)}╯"]
