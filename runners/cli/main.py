"""``kancl``: reads the command line, hands over to one command, and turns errors into messages and exit codes."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

KEEPING = ("Run", "Bench")
"""Commands that write down what they print; for the others, what cannot be printed is lost."""


def main(arguments: list[str] | None = None) -> int:
    """Run ``kancl`` with these arguments (the process's own if None) and return the exit code.

    0: all went well. 1: a cell failed. 2: the input or the disk cannot be used. 130: interrupted. Whether all could be printed
    does not matter to what is stored; a reader that closes its pipe had enough.
    """
    from runners.cli.output import outputs

    with outputs() as (out, _), interrupts() as pressed:
        try:
            code, name = _executed(arguments)
        except KeyboardInterrupt:
            return _interrupted()
        except Exception:
            if pressed:  # some libraries make another error of it, while they are imported for example
                return _interrupted()
            raise
        out.flush()
        if out.failed is not None:
            print(f"kancl: standard output cannot be written: {out.failed}", file=sys.stderr)
            code = code if name in KEEPING else code or 2
        return _interrupted() if pressed else code


def _executed(arguments: list[str] | None) -> tuple[int, str]:
    """Return a command's exit code, and its name."""
    from kancl.errors import InputError, StorageError
    from runners.cli.commands import read

    if any("\0" in argument for argument in (sys.argv[1:] if arguments is None else arguments)):
        return _refused("an argument holds the character NUL, which no name can hold"), ""
    try:
        os.getcwd()
    except OSError as error:
        said = f"the folder you are in cannot be used ({error.strerror}): it was removed, perhaps; change to another"
        return _refused(said), ""
    command = read(arguments)
    try:
        code = command.execute()
    except InputError as error:
        code = _refused(str(error))
    except StorageError as error:
        code = _refused(f"{error}; what was finished is kept, and the same command goes on from there")
    return code, type(command).__name__


LONGEST = 5000
"""Characters of a message; what came may be of any length."""


def _refused(message: str) -> int:
    """Say what is wrong and return the exit code."""
    from kancl.text import visible

    shown = visible(message[:LONGEST], "\n\t")
    print(f"kancl: {shown}{'...' if len(message) > LONGEST else ''}", file=sys.stderr)
    return 2


def _interrupted() -> int:
    print("kancl: interrupted; the same command continues after the last finished task", file=sys.stderr)
    return 130


@contextmanager
def interrupts() -> Iterator[list[int]]:
    """Note the Ctrl-C that come; they raise KeyboardInterrupt as ever."""
    pressed: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        pressed.append(number)
        signal.default_int_handler(number, frame)

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield pressed
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


def entry() -> None:
    """Entry point of the ``kancl`` command."""
    sys.exit(main())
