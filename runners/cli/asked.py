"""What ``kancl run`` is asked for: the command line over each block of an experiment file, and all that is wrong with it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from kancl.errors import InputError
from runners.config.axes import Asked
from runners.config.faults import Fault, told
from runners.config.file import Read, code_named, read_blocks
from runners.config.request import Request
from runners.experiment.faults import RefusedError
from scenarios.data.files import at_home


@dataclass(frozen=True)
class Wanted:
    """Requests, each with that which it was made from."""

    requests: list[Request]
    asked: list[Asked]

    @contextmanager
    def placed(self) -> Iterator[None]:
        """Put to what is refused meanwhile where it was said."""
        try:
            yield
        except RefusedError as error:
            raise InputError(told(error.faults(self.asked))) from error


def wanted(said: Asked, file: Path | None) -> Wanted:
    """Return what is asked for; whose code the file will run is said first, since it may come from somebody else.

    Args:
        said: on the command line.
        file: the experiment file.

    Raises:
        InputError: all that is wrong with the file, and, if anything is, with what it names as well.
    """
    read = Read([Asked({})], []) if file is None else read_blocks(at_home(file))
    found, faults = Wanted([], []), list(read.faults)
    for block in read.blocks:
        try:
            whole = said.over(block)
        except InputError as error:
            faults.append(Fault("", str(error)))
            continue
        try:
            own = whole.requests()
        except InputError as error:
            faults.append(whole.fault(error))
            own = [whole.first()]  # whose names may be wrong, too
        found.requests.extend(own)
        found.asked.extend([whole] * len(own))
    if file is not None:
        _say_code(file, [block.first() for block in read.blocks])
    if faults:
        raise InputError(told([*faults, *_met(found)]))
    return found


def _say_code(file: Path, requests: list[Request]) -> None:
    for name in code_named(requests):
        with suppress(OSError, ValueError):  # a closed or full one is no reason not to go on
            print(f"kancl: the file {file} names code to run: {name}", file=sys.stderr, flush=True)


def _met(found: Wanted) -> list[Fault]:
    """Return what is wrong with that which can be read."""
    from runners.experiment.expand import expand  # on use: it brings torch

    try:
        expand(found.requests)
    except RefusedError as error:
        return error.faults(found.asked)
    except InputError:  # nothing is left, for example
        pass
    return []
