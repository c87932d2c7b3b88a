"""What results come from: the commands that asked for them, the versions and machines that made them, their files' hashes."""

from dataclasses import dataclass
from typing import Any

from runners.report.sheet import Column, Sheet
from runners.results.entry import grouped
from runners.results.results import Results
from runners.upkeep.export import made_of


@dataclass(frozen=True)
class Provenance:
    """What the manifest of an export says, of the cells that are shown.

    Args:
        folders: the folder and the SHA-256 of the list of each experiment.
        commands: of each request the folder, the command as it was typed (empty from Python), the time and the version.
        cells: key, digest of the data, files' SHA-256 and environment of each stored cell.
    """

    folders: tuple[tuple[str, str], ...]
    commands: tuple[tuple[str, str, str, str], ...]
    cells: tuple[dict[str, Any], ...]


def provenance(results: Results) -> Provenance:
    """Return where results come from."""
    made = [made_of(path) for path in results.paths]
    data = {cell.key: cell.content.get("data", "") for entry in results.entries for cell in entry.stored}
    commands = [
        (own["folder"], *(str(request.get(name, "")) for name in ("command", "date", "version")))
        for own in made
        for request in own["requests"]
    ]
    cells = {cell["key"]: {**cell, "data": data[cell["key"]]} for own in made for cell in own["cells"] if cell["key"] in data}
    return Provenance(tuple((own["folder"], own["sha256"] or "") for own in made), tuple(commands), tuple(cells.values()))


def command_sheet(found: Provenance) -> Sheet:
    """Return the commands, a row each."""
    columns = (Column("command"), Column("folder"), Column("first asked for", fold=False), Column("kancl", fold=False))
    rows = tuple((command or "asked for from Python", folder, *when) for folder, command, *when in found.commands)
    return Sheet("Commands", columns, rows)


def environment_sheet(found: Provenance) -> Sheet:
    """Return versions and machines: a row for each thing, a column for each environment that cells were made in."""
    made = grouped(found.cells, lambda cell: tuple((name, str(value)) for name, value in (cell["environment"] or {}).items()))
    names = list(dict.fromkeys(name for environment in made for name, _ in environment))
    count = ("cells", *(f"{len(cells):,}" for cells in made.values()))
    rows = [(name, *(dict(environment).get(name, "") for environment in made)) for name in names]
    heads = ["made with"] if len(made) == 1 else [f"made with ({place})" for place in range(1, len(made) + 1)]
    return Sheet("Versions and machines", tuple(map(Column, ("", *heads))), (count, *rows))


def hash_sheet(found: Provenance) -> Sheet:
    """Return what each stored cell is made of and holds, by SHA-256."""
    columns = tuple(map(Column, ("cell", "data", "config.json", "arrays.npz")))
    rows = [
        (cell["key"], cell["data"], *(cell["sha256"].get(name) for name in ("config.json", "arrays.npz")))
        for cell in found.cells
    ]
    return Sheet("Cells and SHA-256", columns, tuple(rows))
