"""What was chosen before the cells of an experiment were known, kept beside them so that it is chosen once."""

import json
from pathlib import Path
from typing import Any

from kancl.errors import InputError
from runners.files import write_json

FORMAT = 1


class Memory:
    """A JSON file of choices by place; read at once, written on request."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: dict[str, Any] = {}
        self.changed = self.taken_over = False
        try:
            content = json.loads(path.read_text())
            if content["format"] == FORMAT:
                self.entries = dict(content["entries"])
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"{path} cannot be read ({type(error).__name__}); it holds what an earlier run chose; choose another --out"
            ) from error

    def get(self, place: str) -> Any:
        """Return what was chosen there, or None."""
        return self.entries.get(place)

    def put(self, place: str, choice: Any) -> None:
        """Note a choice; :meth:`save` writes it."""
        self.changed = self.changed or self.entries.get(place) != choice
        self.entries[place] = choice

    def take_over(self, old: str, place: str) -> Any:
        """Return what was chosen at a place, or else at an old one, from where it is moved: it is believed once."""
        if place not in self.entries and old in self.entries:
            self.put(place, self.entries.pop(old))
            self.taken_over = True
        return self.get(place)

    def save(self) -> None:
        """Write everything down, whole or not at all."""
        write_json(self.path, {"format": FORMAT, "entries": self.entries})
