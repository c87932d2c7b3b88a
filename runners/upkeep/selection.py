"""Which cells are meant: by what they were asked for, by key, by seeds, or those that failed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kancl.errors import InputError
from kancl.options import parse_spec
from runners.config.cell import Cell
from runners.config.seeds import parse_seeds
from runners.upkeep.survey import State, Survey

FAILED: tuple[State, ...] = ("failed", "damaged")
PLURALS = {"scenario": "scenarios", "architecture": "architectures", "strategy": "strategies"}


@dataclass(frozen=True)
class Selection:
    """What a cell must be to be meant; what is empty or None excludes nothing, and something must be said.

    Args:
        scenarios, architectures, strategies: one of these each, as the cell was asked for, or with at least these options:
            ``mlp`` is every mlp.
        cells: keys, or how they end (the column ``key`` of ``kancl runs status``).
        seeds: all of the cell's seeds are among these.
        failed: the cell failed, or its result is damaged.
    """

    scenarios: Sequence[str] = ()
    architectures: Sequence[str] = ()
    strategies: Sequence[str] = ()
    cells: Sequence[str] = ()
    seeds: str | None = None
    failed: bool = False

    def of(self, survey: Survey, load: Callable[[str], Cell | None]) -> list[str]:
        """Return the keys of the cells that are meant, in the survey's order, earlier cells (meant by key alone) after them.

        Args:
            survey: the cells that there are.
            load: gives the configuration of a cell by its key, None if it cannot be read: it is then meant by key alone.

        Raises:
            InputError: nothing is said, or something that no cell is.
        """
        named = {part: self._named(part) for part in PLURALS}
        if not any(named.values()) and not self.cells and self.seeds is None and not self.failed:
            raise InputError(
                "say which cells: --scenarios, --architectures, --strategies, --seeds, --cells KEY, --failed; all that is said "
                "must hold"
            )
        keys = [cell.key for cell in survey.cells]
        if self.cells:
            known = [*keys, *survey.earlier]
            wanted = {key for text in self.cells for key in _called(text, known)}
            keys = [key for key in known if key in wanted]
        if self.failed:
            failed = {cell.key for cell in survey.cells if cell.state in FAILED}
            keys = [key for key in keys if key in failed]
        if any(named.values()) or self.seeds is not None:
            found = {key: cell for key in keys if (cell := load(key)) is not None}
            for part, texts in named.items():
                _refuse_unknown(part, texts, list(found.values()))
            keys = [key for key, cell in found.items() if self._is(cell)]
        return keys

    def _named(self, part: str) -> Sequence[str]:
        said: Sequence[str] = getattr(self, PLURALS[part])
        return said

    def _is(self, cell: Cell) -> bool:
        if self.seeds is not None and not set(cell.seeds) <= set(parse_seeds(self.seeds)):
            return False
        named = ((part, self._named(part)) for part in PLURALS)
        return all(not texts or any(is_called(cell, part, text) for text in texts) for part, texts in named)


def is_called(cell: Cell, part: str, text: str) -> bool:
    """Tell whether a part of a cell is what a text names: as its label has it, or by its name with, at least, some options.

    Args:
        cell: the cell.
        part: scenario, architecture or strategy.
        text: as on the command line, e.g. ``mlp`` or ``mlp:hidden=4``.
    """
    if text in (cell.labels.get(part), cell.asked.get(part)):
        return True
    spec, own = parse_spec(text), getattr(cell, part)
    if spec.name.removeprefix("./") not in (own.name.removeprefix("./"), Path(own.name).name):
        return False
    return all(key in own.options and own.options[key] == value for key, value in spec.options.items())


def _called(text: str, keys: Sequence[str]) -> list[str]:
    found = [key for key in keys if key == text] or [key for key in keys if text and key.endswith(text)]
    if len(found) != 1:
        what = f"ends the keys of {len(found)} cells" if found else "is the key of no cell, and ends none"
        raise InputError(f"--cells {text} {what}; kancl runs status shows the keys")
    return found


def _refuse_unknown(part: str, texts: Sequence[str], cells: Sequence[Cell]) -> None:
    for text in texts:
        if not any(is_called(cell, part, text) for cell in cells):
            there = ", ".join(dict.fromkeys(cell.labels.get(part, "") for cell in cells)) or "none"
            raise InputError(f"no cell has the {part} {text}; there are: {there}")
