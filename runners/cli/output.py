"""Standard output and error that may fail: full, closed, or of an encoding that lacks a letter. No result depends on them."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any, TextIO


class Output:
    """A text stream in front of another: after the first error it is silent, and letters that the other lacks are escapes.

    Args:
        stream: standard output or error; None where the process has none.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self.stream = stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        """Write a text, as far as it can be."""
        with self._guarded() as stream:
            if stream is not None:
                try:
                    stream.write(text)
                except UnicodeEncodeError:
                    encoding = stream.encoding or "ascii"
                    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def flush(self) -> None:
        """Hand on what was written."""
        with self._guarded() as stream:
            if stream is not None:
                stream.flush()

    @contextmanager
    def _guarded(self) -> Iterator[TextIO | None]:
        try:
            yield None if self.error is not None else self.stream
        except ValueError as error:  # it was closed
            self.error = OSError(str(error))
        except OSError as error:
            self.error = error

    @property
    def encoding(self) -> str:
        """The stream's own."""
        return getattr(self.stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Tell whether it is a terminal."""
        return self.stream is not None and self.stream.isatty()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    @property
    def failed(self) -> str | None:
        """Why not all was written; None where it was, or where the reader had enough (``| head``)."""
        return None if self.error is None or isinstance(self.error, BrokenPipeError) else self.error.strerror or str(self.error)

    def abandon(self) -> None:
        """Let Python not try once more at its end, where it would complain, if writing failed."""
        if self.error is not None and self.stream is not None:
            with suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self.stream.fileno())
                os.close(nowhere)


@contextmanager
def outputs() -> Iterator[tuple[Output, Output]]:
    """Put an :class:`Output` before standard output and standard error for a while."""
    out, err = Output(sys.stdout), Output(sys.stderr)
    with redirect_stdout(out), redirect_stderr(err):
        try:
            yield out, err
        finally:
            for output in (out, err):
                output.flush()
                output.abandon()
