"""``kancl run --dry-run``: the cells, what they will take, and what is there already."""

from collections.abc import Iterator, Sequence

from rich.console import Console

from kancl.text import counted
from runners.experiment.dry_run import DryRun, Planned
from runners.experiment.foresight import held_memory
from runners.report.sheet import Column, Sheet, Value, figures, note_text, tables
from runners.upkeep.survey import lasting

COLUMNS = (
    Column("architecture"), Column("strategy"), Column("policy"), figures("seeds", "count"), Column("state", fold=False),
    figures("time"), figures("memory"), figures("parameters", "count"), figures("steps", "count"), figures("FLOPs"),
)  # fmt: skip
MOST = 200
"""Cells that are shown one by one."""
MB = 1 << 20


def show(found: DryRun, console: Console) -> None:
    """Print what a run would do."""
    for matched in found.matched:
        console.print(str(matched), soft_wrap=True)
    for sheet in sheets(found.cells[:MOST]):
        for table in tables(sheet, console.width):
            console.print(table)
    for line in lines(found):
        console.print(note_text(line))


def sheets(cells: Sequence[Planned]) -> Iterator[Sheet]:
    """Yield a sheet for each scenario."""
    for scenario in dict.fromkeys(planned.cell.asked["scenario"] for planned in cells):
        rows = [_row(planned) for planned in cells if planned.cell.asked["scenario"] == scenario]
        yield Sheet(scenario, COLUMNS, tuple(rows), keys=3, first=4)


def _row(planned: Planned) -> tuple[Value, ...]:
    cell, forecast = planned.cell, planned.forecast
    policy = " ".join((*cell.policy.words(without="lr"), "lr to tune")) if planned.plan else cell.policy.label
    labels = (cell.labels["architecture"], cell.labels["strategy"], policy)
    known: tuple[Value, ...] = (None,) * 5
    if forecast is not None:
        time, memory = f"{lasting(planned.seconds)}", f"{forecast.memory / MB:,.0f} MB"
        known = (time, memory, forecast.parameters, forecast.steps, f"{forecast.flops:.1e}")
    return (*labels, len(cell.seeds), planned.state, *known)


def lines(found: DryRun) -> Iterator[str]:
    """Yield what is known of all cells together, and how."""
    if len(found.cells) > MOST:
        yield f"and {counted(len(found.cells) - MOST, 'more cell')}"
    states = [planned.state for planned in found.cells]
    said = ", ".join(f"{states.count(state):,} {state}" for state in dict.fromkeys(states))
    yield f"{counted(len(states), 'cell')} in {found.folder}{'' if found.folder.exists() else ' (not there yet)'}: {said}"
    for plan in dict.fromkeys(str(planned.plan) for planned in found.cells if planned.plan):
        yield f"{plan}; the times above include them"
    for planned in found.cells:
        if planned.said:
            yield f"{' / '.join(planned.cell.labels.values())} fails: {planned.said}"
    if found.warning:
        yield found.warning
    left = [planned for planned in found.cells if planned.forecast is not None]
    if left:
        memory = max(planned.forecast.memory for planned in left if planned.forecast)
        yield (
            f"To run: about {lasting(sum(planned.seconds for planned in left))} on one core, one cell after another; at most "
            f"{memory / MB:,.0f} MB, beside {held_memory() / MB:,.0f} MB of each process"
        )
        yield (
            "time: a few steps, evaluations and ends of tasks, measured here now, times their number (cells that were begun "
            "count whole). memory: the most that a rehearsal of one seed and of two held, times 1.5. FLOPs: of training all "
            "seeds. Nothing was written."
        )
