"""``kancl show``: a network before the first task and after each, as the KAN paper draws it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from runners.cli.runs.folders import Flag
from runners.config.request import Said

if TYPE_CHECKING:
    from runners.config.cell import Cell
    from runners.store.cell import CellStore
    from runners.store.files import Tell

Names = Annotated[tuple[str, ...], tyro.conf.arg(help_behavior_hint="")]
CELLS = "cells"
LISTED = 20
"""Cells that are named where several fit."""


@dataclass(frozen=True)
class Show:
    """Draw a network before the first task and after each: the function on every edge, what moved of it, and where data lie.

    CELL is a folder that kancl run wrote, with options that leave one cell (kancl show runs/demo --architectures kan
    --strategies naive), or the folder of a cell itself (runs/demo/cells/KEY). Of networks without functions on their edges
    (mlp, linear) the weights are drawn. Files are written as PNG and SVG; --animate adds a GIF.
    """

    cell: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="CELL", help_behavior_hint="")]
    """Folder that kancl run wrote, or that of one of its cells."""
    scenarios: Names = ()
    """The cell of this scenario, as it was asked for; a name alone is every set of options of it."""
    architectures: Names = ()
    """The cell of this architecture, likewise."""
    strategies: Names = ()
    """The cell of this strategy, likewise."""
    cells: Names = ()
    """The cell of this key, or of the key that ends so; kancl runs status shows them."""
    seed: Said[int] = None
    """Which of the cell's seeds; its first one if not given."""
    animate: Flag = False
    """Write a GIF as well, a picture for each moment."""
    to: Said[Path] = None
    """Folder for the files; figures beside the cells if not given."""
    trust: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="FILE ...", help_behavior_hint="")] = ()
    """Files of yours whose code may be run: a scenario or an architecture that is a function of a file is built again."""

    def execute(self) -> int:
        """Draw, say where, and return the exit code."""
        from kancl.errors import InputError
        from runners.cli.screen import make_console
        from runners.report.drawing import draw_each, own_style
        from runners.report.figures.network import network
        from runners.report.figures.network_drawing import draw_network, write_animation
        from runners.results.networks import networks_of_seed
        from runners.store.files import file_name, refuse_elsewhere
        from scenarios.data.files import at_home

        notes = make_console(stderr=True)
        files, cell = self._chosen(lambda line: notes.print(f"damaged: {line}", style="yellow", soft_wrap=True))
        seed = cell.seeds[0] if self.seed is None else self.seed
        if seed not in cell.seeds:
            raise InputError(f"the cell has no seed {seed}; it has {', '.join(map(str, cell.seeds))}")
        trusted = [at_home(path) for path in self.trust]
        data = network(networks_of_seed(files, cell, seed, trusted=trusted, result=files.load_result()))
        folder = at_home(self.to or files.root / "figures")
        if self.to is None:
            refuse_elsewhere(folder, files.root)
        folder.mkdir(parents=True, exist_ok=True)
        name = file_name(f"network-{cell.key}-seed-{seed}")
        console, lost = make_console(), list[Exception]()
        for path in draw_each([(name, lambda: draw_network(data))], folder, lambda name, error: lost.append(error)):
            console.print(f"wrote {path}", soft_wrap=True)
        for error in lost:
            raise error
        if self.animate:
            path = folder / f"{name}.gif"
            with own_style():
                write_animation(path, data)
            console.print(f"wrote {path}", soft_wrap=True)
        return 0

    def _chosen(self, tell: "Tell") -> "tuple[CellStore, Cell]":
        """Return the files and the configuration of the one cell that is meant.

        Args:
            tell: hears of files that are damaged.

        Raises:
            InputError: there is none, or several.
        """
        from kancl.errors import InputError
        from runners.store.cell import CellStore
        from runners.upkeep.selection import Selection
        from runners.upkeep.survey import survey
        from scenarios.data.files import at_home

        if len(self.cell) != 1:
            raise InputError("name one folder that kancl run wrote, or one of its cells, e.g. kancl show runs/demo")
        path = at_home(self.cell[0])
        root, named = (path.parent.parent, [path.name]) if path.parent.name == CELLS else (path, [])
        chosen = Selection(self.scenarios, self.architectures, self.strategies, (*self.cells, *named))
        found = survey(root)
        if chosen == Selection():
            keys = [cell.key for cell in found.cells]
        else:
            keys = chosen.of(found, lambda key: CellStore(root / CELLS / key, root).load_cell())
        keys = self._exact(keys, root) or keys
        if len(keys) == 1:
            files = CellStore(root / CELLS / keys[0], root, tell)
            cell = files.load_cell()
            if cell is not None:
                return files, cell
        if not keys:
            raise InputError(f"no cell of {root} fits; kancl runs status {root} shows those that there are")
        words = {cell.key: cell.words for cell in found.cells}
        listed = "".join(f"\n  {key.rpartition('--')[2]}  {words.get(key, key)}" for key in keys[:LISTED])
        more = f"\n  and {len(keys) - LISTED:,} more" if len(keys) > LISTED else ""
        raise InputError(
            f"{len(keys):,} cells fit: leave one with --scenarios, --architectures, --strategies, or --cells KEY{listed}{more}"
        )

    def _exact(self, keys: "list[str]", root: Path) -> "list[str]":
        """Return the cells that were asked for as they are named here, in full: ``kan`` is then no ``kan:hidden=5``."""
        from runners.store.cell import CellStore

        asked = {"scenario": self.scenarios, "architecture": self.architectures, "strategy": self.strategies}
        cells = {key: CellStore(root / CELLS / key, root).load_cell() for key in keys}
        return [
            key
            for key, cell in cells.items()
            if cell is not None and all(not texts or cell.labels[part] in texts for part, texts in asked.items())
        ]
