"""``kancl``: reads the command line, hands over to one command, and turns errors into messages and exit codes."""

import os
import shlex
import sys
from contextlib import nullcontext
from dataclasses import replace

from runners.cli.signals import Signals

KEEPING = ("Run", "Bench")
"""Commands that write down what they print; for the others, what cannot be printed is lost."""


def main(arguments: list[str] | None = None) -> int:
    """Run ``kancl`` with these arguments (the process's own if None) and return the exit code.

    0: all went well. 1: a cell failed. 2: the input or the disk cannot be used. 130: interrupted; 143: terminated. Whether all
    could be printed does not matter to what is stored; a reader that closes its pipe had enough.
    """
    from runners.cli.output import outputs

    signals, words = Signals(), sys.argv[1:] if arguments is None else arguments
    with outputs() as (out, _), signals.heard():
        try:
            code, name = _executed(words, signals)
        except KeyboardInterrupt as error:
            return _interrupted(signals, words, str(error))
        except Exception:
            if signals.asked():  # some libraries make another error of it, while they are imported for example
                return _interrupted(signals, words)
            raise
        out.flush()
        if out.failed is not None:
            print(f"kancl: standard output cannot be written: {out.failed}", file=sys.stderr)
            code = code if name in KEEPING else code or 2
        return _interrupted(signals, words) if signals.asked() else code


def _executed(words: list[str], signals: Signals) -> tuple[int, str]:
    """Return a command's exit code, and its name."""
    import kancl
    from kancl.errors import InputError, StorageError
    from kancl.text import near_misses
    from runners.cli.commands import read, verbs
    from runners.cli.run import Run

    if any("\0" in word for word in words):
        return _refused("an argument holds the character NUL, which no name can hold"), ""
    try:
        os.getcwd()
    except OSError as error:
        said = f"the folder you are in cannot be used ({error.strerror}): it was removed, perhaps; change to another"
        return _refused(said), ""
    if words[:1] in (["--version"], ["-V"]):
        print(f"kancl {kancl.__version__}")
        return 0, ""
    if words and not words[0].startswith("-") and words[0] not in verbs():
        near = near_misses(words[0], verbs())
        hint = f"did you mean kancl {' or kancl '.join(near)}?" if near else f"there are {', '.join(verbs())}"
        return _refused(f"there is no command {words[0]!r}; {hint} (kancl --help)"), ""
    command = read(words)
    if isinstance(command, Run):
        command = replace(command, command=shlex.join(["kancl", *words]))
    name = type(command).__name__
    try:
        with signals.heard_in_training() if name in KEEPING else nullcontext():
            code = command.execute(signals) if isinstance(command, Run) else command.execute()
    except InputError as error:
        code = _refused(str(error))
    except StorageError as error:
        code = _refused(f"{error}; what was finished is kept, and the same command goes on from there")
    return code, name


LONGEST = 5000
"""Characters of a message; what came may be of any length."""


def _refused(message: str) -> int:
    """Say what is wrong and return the exit code."""
    from kancl.text import visible

    shown = visible(message[:LONGEST], "\n\t")
    print(f"kancl: {shown}{'...' if len(message) > LONGEST else ''}", file=sys.stderr)
    return 2


def _interrupted(signals: Signals, words: list[str], why: str = "") -> int:
    """Say that the command was stopped, and how to go on, and return the exit code.

    Args:
        signals: that came.
        words: of the command line, without ``kancl``.
        why: what has to be known of the place where it stopped.
    """
    print(f"kancl: {'interrupted' if signals.code == 130 else 'terminated'}{why and f'; {why}'}", file=sys.stderr)
    if words[:1] == ["run"]:
        print(f"What was done is kept. To go on:\n  {shlex.join(['kancl', *words])}", file=sys.stderr)
    return signals.code


def entry() -> None:
    """Entry point of the ``kancl`` command."""
    sys.exit(main())
