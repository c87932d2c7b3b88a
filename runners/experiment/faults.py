"""What is wrong with requests, collected: a refusal names all of it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from kancl.errors import InputError
from runners.config.axes import Asked
from runners.config.faults import Fault, Place, told
from runners.config.request import PRODUCT


class RefusedError(InputError):
    """Requests cannot be run.

    Args:
        found: each reason with the setting that it is about (empty: several), and the first request that it was met in.
    """

    def __init__(self, found: Sequence[tuple[str, str, int]]) -> None:
        self.found = found
        reasons = [reason for _, reason, _ in found]
        super().__init__(reasons[0] if len(reasons) == 1 else told([Fault("", reason) for reason in reasons]))

    def faults(self, asked: Sequence[Asked]) -> list[Fault]:
        """Return the reasons with the places of what was asked for.

        Args:
            asked: for every request that which it was made from.
        """
        faults = []
        for setting, reason, number in self.found:
            said, names = asked[number], (setting, "cells") if setting in PRODUCT else (setting,)
            place = next((said.places[name] for name in names if name in said.places), Place(said.place))
            faults.append(place.fault(reason))
        return faults


@dataclass
class Faults:
    """Collects what is wrong; each reason counts once, at the first request that it is met in."""

    number: int = 0
    found: dict[str, tuple[str, int]] = field(default_factory=dict)
    first: InputError | None = None

    @contextmanager
    def of(self, setting: str) -> Iterator[None]:
        """Note what is refused meanwhile, and go on after it.

        Args:
            setting: what was looked at.
        """
        try:
            yield
        except InputError as error:
            self.first = self.first or error
            self.found.setdefault(str(error), (setting, self.number))

    def refuse(self) -> None:
        """Raise what was found, if anything was."""
        if self.found:
            raise RefusedError([(setting, reason, number) for reason, (setting, number) in self.found.items()]) from self.first
