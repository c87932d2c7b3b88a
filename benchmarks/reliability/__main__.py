"""The soak: stored files damaged, runs killed, plug-ins that fail; figures of how many were named, lost and believed.

python benchmarks/reliability                       # everything, an hour or two
python benchmarks/reliability --quick               # a small part of each, about a minute: shows that it runs
python benchmarks/reliability --write docs/reliability.md
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from damage import damage_all
from kills import EXECUTORS, kill_again_and_again, undisturbed
from plugins import KINDS, fail_everywhere

from runners.report.documents import write_between_marks
from runners.report.sheet import Column, Sheet, as_markdown
from runners.store.environment import environment

KILLED = ("cells of the sweep", "kills of the run", "kills of its workers", "sweeps finished", "cells lost or doubled",
          "cells with other numbers", "workers that outlived their run")  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What a part of the soak found: the part's name, a table, and how often something was lost or believed."""

    name: str
    table: Sheet
    wrong: int


def damage(asked: argparse.Namespace) -> Iterator[Outcome]:
    """Damage stored files."""
    rows: dict[str, Any]
    rows, repaired = damage_all(bits=1 if asked.quick else 8, repairs=8 if asked.quick else 120)
    rows["whole command repeated on a damaged folder"] = repaired
    yield tallies("damage", "damage of", rows)


def kills(asked: argparse.Namespace) -> Iterator[Outcome]:
    """Kill processes, executor by executor."""
    with TemporaryDirectory() as folder:
        sweep = undisturbed(Path(folder))
        for name in asked.executors:
            found = kill_again_and_again(sweep, 2 if asked.quick else asked.kills, name, 60 * asked.minutes)
            table = Sheet("", (Column("executor"), *counts(*KILLED)), ((name, *vars(found).values()),))
            yield Outcome(f"kills by {name}", table, found.lost + found.different + found.orphans)


def plug_ins(asked: argparse.Namespace) -> Iterator[Outcome]:
    """Let plug-ins fail."""
    yield tallies("plug-ins", "plug-ins that fail", fail_everywhere(KINDS[:2] if asked.quick else KINDS))


PARTS: dict[str, Callable[[argparse.Namespace], Iterator[Outcome]]] = {"kills": kills, "damage": damage, "plug-ins": plug_ins}
"""The parts; runs that are killed are forks of this process, so they come before anything is trained in it."""


def main() -> int:
    """Run the soak and return the exit code: 1 if anything was lost or believed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small part of each")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=PARTS, help="some of the parts")
    parser.add_argument("--executors", choices=EXECUTORS, nargs="+", default=EXECUTORS, help="whose processes are killed")
    parser.add_argument("--kills", type=int, default=50, help="how many for each executor")
    parser.add_argument("--minutes", type=float, default=60.0, help="after which no more are killed for an executor")
    parser.add_argument("--write", type=Path, help="Markdown file that gets each table between marks of its own")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    wrong = 0
    for part in (name for name in PARTS if name in asked.only):
        began = time.perf_counter()
        for outcome in PARTS[part](asked):
            text = told(outcome.table, time.perf_counter() - began, asked.quick)
            print(text, flush=True)
            if asked.write:
                write_between_marks(asked.write, text, marks(outcome.name))
            wrong += outcome.wrong
            began = time.perf_counter()
    return 1 if wrong else 0


def marks(name: str) -> tuple[str, str]:
    """Return the lines of a document between which a table stands."""
    return f"<!-- soak, {name}: begin -->", f"<!-- soak, {name}: end -->"


def told(table: Sheet, seconds: float, quick: bool) -> str:
    """Return a table with where and when it was measured."""
    where = f"at commit {environment()['commit']}, Python {sys.version.split()[0]}, torch {torch.__version__}"
    line = f"Measured on {date.today()} {where}, in {max(1, round(seconds / 60))} minutes."
    return f"{line}{' A quick run: a part of the damages.' if quick else ''}\n\n{as_markdown(table)}"


def tallies(name: str, head: str, rows: Mapping[str, Any]) -> Outcome:
    """Return a row of counts for each of some tallies."""
    columns = (Column(head), *counts(*vars(next(iter(rows.values())))))
    table = Sheet("", columns, tuple((name, *vars(tally).values()) for name, tally in rows.items()))
    return Outcome(name, table, sum(tally.lost + tally.believed for tally in rows.values()))


def counts(*heads: str) -> tuple[Column, ...]:
    """Return columns of counts."""
    return tuple(Column(head, "count") for head in heads)


if __name__ == "__main__":
    sys.exit(main())
