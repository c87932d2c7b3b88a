"""What is recorded of a cell's contents, and what changed since."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from runners.config.cell import Cell

DATA, SETTINGS = "data", "settings"
BUILT = ("architecture: as built", "strategy: as built")
BY_SEED = (DATA, BUILT[0])
"""Contents that are others for other seeds."""


def same_content(one: Cell, other: Cell, but: str = "strategy") -> bool:
    """Tell whether two cells depend on the same contents; cells without a record are believed.

    Args:
        one, other: the cells.
        but: the part whose contents may differ.
    """
    ours, theirs = ({k: v for k, v in c.content.items() if not k.startswith(f"{but}: ")} for c in (one, other))
    return ours == theirs or not one.content or not other.content


def family(cell: Cell) -> str:
    """Return the name of all cells that are this one but for their seeds, and for what depends on these."""
    own = {name: digest for name, digest in cell.content.items() if name not in BY_SEED}
    return replace(cell, seeds=(), content=own).key


def kin(cell: Cell) -> str:
    """Return the name of all cells that are this one but for options of its scenario, and for what depends on these.

    Tasks may be the first ones of another's where two cells have one name.
    """
    own = {name: digest for name, digest in cell.content.items() if name not in BY_SEED}
    return replace(cell, scenario=replace(cell.scenario, options={}), content=own).key


def recorded(cell: Cell) -> dict[str, str]:
    """Return what may change while the same is asked for, by name: contents, files that were read, and what was filled in."""
    filled = [cell.scenario.options, cell.architecture.options, cell.strategy.options, cell.policy.label]
    settings = hashlib.sha256(json.dumps(filled, sort_keys=True).encode(errors="surrogatepass")).hexdigest()
    return {**cell.content, **{f"file: {name}": digest for name, digest in cell.sources.items()}, SETTINGS: settings}


def changed(cell: Cell, before: Mapping[str, str], other_seeds: bool = False) -> str:
    """Return in words what differs from an earlier record of the same request, e.g. ``the data of `two` ``.

    Args:
        cell: as it is now.
        before: the record.
        other_seeds: whether that was of other seeds, whose data say nothing where something else differs.
    """
    now = recorded(cell)
    names = [name for name in dict.fromkeys([*now, *before]) if now.get(name) != before.get(name)]
    if other_seeds:
        names = [name for name in names if name not in BY_SEED] or names
    coded = {name.partition(": ")[0] for name in names if name not in BUILT}
    names = [name for name in names if name not in BUILT or name.partition(": ")[0] not in coded]  # what follows from the code
    told = [_words(name, cell) for name in names if name != SETTINGS and not name.startswith("file: ")]
    told = told or [_words(name, cell) for name in names if name != SETTINGS]  # a data file shows in the data, if it matters
    return _joined(told or ["defaults or advice"])


def _words(name: str, cell: Cell) -> str:
    if name == DATA:
        return f"the data of `{cell.labels.get('scenario', cell.scenario.name)}`"
    part, _, thing = name.partition(": ")
    if part == "file" or thing.startswith("package "):
        return thing
    file = getattr(cell, part).name.rpartition(":")[0]
    if name in BUILT:
        return f"what {file or getattr(cell, part).name} builds"
    return file if not file or Path(file).name == thing else f"{thing} beside {file}"


def _joined(words: Iterable[str]) -> str:
    *most, last = dict.fromkeys(words)
    return f"{', '.join(most)} and {last}" if most else last
