"""All that is wrong with what is asked for, told at once, each thing with its place."""

from collections.abc import Sequence
from dataclasses import dataclass

from kancl.errors import InputError


class SettingError(InputError):
    """Something is wrong with what was said of a setting."""

    def __init__(self, setting: str, reason: str) -> None:
        self.setting = setting
        super().__init__(reason)


FAULTS = 20
"""How many faults are told at most."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong.

    Args:
        place: where: a file, one of its blocks, or empty.
        said: what, beginning with the setting's name if it is about one.
    """

    place: str
    said: str


@dataclass(frozen=True)
class Place:
    """Where something was said: a file or one of its blocks, and the line if it is known; or the command line."""

    name: str
    line: int | None = None

    def fault(self, reason: str) -> Fault:
        """Return what is wrong with it there."""
        return Fault(self.name, reason if self.line is None else f"{reason} (line {self.line})")


def told(faults: Sequence[Fault]) -> str:
    """Return faults as a message, place by place: at most :data:`FAULTS` of them, and how many more there are."""
    different = list(dict.fromkeys(faults))
    if [fault.place for fault in different] == [""]:
        return different[0].said
    shown, left = different[:FAULTS], len(different) - FAULTS
    lines: list[str] = []
    for place in dict.fromkeys(fault.place for fault in shown):
        own = [f"\n  - {fault.said}" for fault in shown if fault.place == place]
        lines.append(f"{place or 'several things are wrong'}:" + "".join(own))
    return "\n".join(lines) + (f"\n  - and {left} more" if left > 0 else "")
