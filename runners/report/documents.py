"""Documents that hold what was measured: what stands between two marks of a page is replaced, and nothing else."""

import re
from pathlib import Path

from kancl.errors import InputError
from runners.store.files import write_atomically


def check_marks(path: Path, marks: tuple[str, str]) -> str:
    """Return the text of a document that has these two marks.

    Raises:
        InputError: it cannot be read, or does not have the two marks, each once and in order.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}); --write needs a text file that exists") from error
    begin, end = marks
    if (text.count(begin), text.count(end)) != (1, 1) or text.index(begin) > text.index(end):
        raise InputError(f"{path} needs the line {begin} once, and {end} once after it; the tables go between them")
    return text


def write_between_marks(path: Path, inner: str, marks: tuple[str, str]) -> None:
    """Replace what stands between the marks of a document, and nothing else."""
    begin, end = marks
    before, after = re.split(f"{re.escape(begin)}.*{re.escape(end)}", check_marks(path, marks), flags=re.DOTALL)
    text = f"{before}{begin}\n{inner.strip()}\n{end}{after}"
    write_atomically(path, lambda file: file.write(text.encode()))
