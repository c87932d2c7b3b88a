"""What was chosen before the cells of an experiment were known, kept beside them so that it is chosen once."""

from pathlib import Path
from typing import Any

from runners.store.files import DamageError, Tell, read_or_tell
from runners.store.formats import refuse_newer
from runners.store.locks import locked
from runners.store.seals import read_sealed, write_sealed

FORMAT = 1


class Choices:
    """A JSON file of choices by place; read at once, written on request.

    Args:
        path: the file. One that cannot be read, or is not what was written, counts as absent: what was chosen is chosen again.
        tell: hears what is wrong with it.

    Raises:
        InputError: it is of a newer version, which would be written over.
    """

    def __init__(self, path: Path, tell: Tell = lambda line: None) -> None:
        self.path, self.tell = path, tell
        refuse_newer(path)
        read = read_or_tell(path, self._read, tell)
        self.entries: dict[str, Any] = read or {}
        self.changed = False
        self._own: dict[str, Any] = {}  # what was put, and None for what was let go, since the file was read
        self.lost = read is None and path.is_file()
        """Whether something was chosen before and cannot be read."""

    def _read(self) -> dict[str, Any]:
        content, _ = read_sealed(self.path, self.path.parent, self.path.name)
        entries = content.get("entries")
        if content.get("format") != FORMAT or not isinstance(entries, dict):
            raise DamageError(f"holds no choices in format {FORMAT}")
        if not all(isinstance(choice, dict) for choice in entries.values()):
            raise DamageError("holds choices that are none")
        return entries

    def get(self, place: str) -> Any:
        """Return what was chosen there, or None."""
        return self.entries.get(place)

    def put(self, place: str, choice: Any) -> None:
        """Note a choice; :meth:`save` writes it."""
        self.changed = self.changed or self.entries.get(place) != choice
        self.entries[place] = self._own[place] = choice

    def take_over(self, old: str, place: str) -> Any:
        """Return what was chosen at a place, or else at an old one, from where it is moved: it is believed once."""
        if place not in self.entries and old in self.entries:
            self.put(place, self.entries.pop(old))
            self._own[old] = None
        return self.get(place)

    def distrust(self, place: str, why: str) -> None:
        """Let go of a choice that cannot have been made, and say so."""
        self.tell(f"{self.path} holds {why}; it counts as absent")
        del self.entries[place]
        self._own[place] = None
        self.changed = self.lost = True

    def refresh(self) -> None:
        """Take what other processes chose meanwhile, under what was put here and is not saved yet."""
        read = read_or_tell(self.path, self._read, self.tell)
        both = {**(self.entries if read is None else read), **self._own}
        self.entries = {place: choice for place, choice in both.items() if choice is not None}

    def save(self) -> None:
        """Write everything down, whole or not at all, with what other processes chose meanwhile."""
        with locked(self.path.parent):
            self.refresh()
            write_sealed(self.path, self.path.name, {"format": FORMAT, "entries": self.entries})
        self._own, self.changed = {}, False


class Looked(Choices):
    """Choices that are looked at, and never written."""

    def save(self) -> None:
        """Write nothing."""
