"""The soak: stored files damaged, runs killed, plug-ins that fail; figures of how many were named, lost and believed.

python benchmarks/reliability                       # everything, some fifteen minutes
python benchmarks/reliability --quick               # a small part of each, about a minute: shows that it runs
python benchmarks/reliability --write docs/reliability.md
"""

import argparse
import sys
import time
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import torch
from damage import damage_all
from kills import EXECUTORS, Kills, kill_again_and_again
from plugins import KINDS, fail_everywhere

from runners.report.documents import write_between_marks
from runners.report.sheet import Column, Sheet, as_markdown
from runners.store.environment import environment

MARKS = "<!-- soak: begin -->", "<!-- soak: end -->"
KILLED = ("cells of the sweep", "kills of the run", "kills of its workers", "sweeps finished", "cells lost or doubled",
          "cells with other numbers", "workers that outlived their run")  # fmt: skip
PARTS = ("damage", "kills", "plug-ins")


def main() -> int:
    """Run the soak and return the exit code: 1 if anything was lost or believed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small part of each")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=PARTS, help="some of the parts; what is written is these")
    parser.add_argument("--kills", type=int, default=50, help="how many for each executor")
    parser.add_argument("--write", type=Path, help="Markdown file that gets the tables between its marks")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    began, quick = time.perf_counter(), asked.quick
    damaged: dict[str, Any] = {}
    failed: Mapping[str, Any] = {}
    killed: dict[str, Kills] = {}
    if "damage" in asked.only:
        damaged, repaired = damage_all(bits=1 if quick else 8, repairs=8 if quick else 120)
        damaged["whole command repeated on a damaged folder"] = repaired
    if "kills" in asked.only:
        killed = {name: kill_again_and_again(2 if quick else asked.kills, name) for name in EXECUTORS}
    if "plug-ins" in asked.only:
        failed = fail_everywhere(KINDS[:2] if quick else KINDS)
    commit, seconds = environment()["commit"], time.perf_counter() - began
    lines = [
        f"Measured on {date.today()} at commit {commit}, Python {sys.version.split()[0]}, torch {torch.__version__}, in "
        f"{seconds / 60:.0f} minutes." + (" A quick run: a part of the damages." if quick else ""),
        "",
        *(as_markdown(tallies(head, rows)) for head, rows in (("damage of", damaged), ("plug-ins that fail", failed)) if rows),
    ]
    if killed:
        rows = tuple((name, *vars(found).values()) for name, found in killed.items())
        lines.append(as_markdown(Sheet("", (Column("executor"), *counts(*KILLED)), rows)))
    text = "\n".join(lines)
    print(text)
    if asked.write:
        write_between_marks(asked.write, text, MARKS)
    wrong = sum(found.lost + found.different + found.orphans for found in killed.values())
    wrong += sum(tally.lost + tally.believed for tally in (*damaged.values(), *failed.values()))
    return 1 if wrong else 0


def tallies(head: str, rows: Mapping[str, Any]) -> Sheet:
    """Return a row of counts for each of some tallies."""
    columns = (Column(head), *counts(*vars(next(iter(rows.values())))))
    return Sheet("", columns, tuple((name, *vars(tally).values()) for name, tally in rows.items()))


def counts(*heads: str) -> tuple[Column, ...]:
    """Return columns of counts."""
    return tuple(Column(head, "count") for head in heads)


if __name__ == "__main__":
    sys.exit(main())
