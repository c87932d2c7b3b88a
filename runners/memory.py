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
        self.entries[place] = choice

    def save(self) -> None:
        """Write everything down, whole or not at all."""
        write_json(self.path, {"format": FORMAT, "entries": self.entries})
