"""The fuzz: experiment files, texts of options and stored files of all kinds, a hundred thousand of them; what came of each.

python benchmarks/reliability/fuzz.py --count 100000 --write docs/reliability.md

Nothing may be raised but refusals, and nothing written outside of the folder that is worked in.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import torch
from fuzz_inputs import NAMES, damaged, experiment_file, resealed, spec

from kancl.errors import InputError, StorageError
from kancl.models import architectures
from kancl.options import complete, parse_spec
from runners.choices.file import Choices
from runners.choices.tuned import tunings_of
from runners.config.file import code_named, read_file
from runners.config.request import DEFAULTS
from runners.config.seeds import parse_seeds
from runners.report.tables import summary_tables
from runners.results.results import load
from runners.results.verdicts import compare
from runners.store.cell import CellStore
from runners.store.claims import holder
from runners.store.environment import environment
from runners.store.experiment import Store
from runners.store.files import DamageError, read_or_tell
from runners.store.networks import NETWORKS
from runners.strategies import strategies
from runners.trackers.tracking import Told
from runners.upkeep.survey import survey
from runners.upkeep.verify import verify
from scenarios import complete_scenario

ROOT = Path(__file__).resolve().parents[2]
MARKS = "<!-- fuzz: begin -->", "<!-- fuzz: end -->"
REFUSALS = (InputError, StorageError, DamageError)


@dataclass
class Tally:
    """What came of inputs of one kind.

    Args:
        tried: how many.
        refused: by an error that says what is wrong.
        named: read as far as they can be, with a line that names what cannot.
        accepted: read without a word.
        raised: the tracebacks of everything else, with the input.
    """

    tried: int = 0
    refused: int = 0
    named: int = 0
    accepted: int = 0
    raised: list[str] = field(default_factory=list)

    def note(self, act: Callable[[], bool], about: object) -> None:
        """Do something that tells whether it named anything, and count what came of it."""
        self.tried += 1
        try:
            named = act()
        except REFUSALS:
            self.refused += 1
        except (Exception, SystemExit):
            self.raised.append(f"{about!r:.2000}\n{traceback.format_exc()}")
        else:
            self.named += named
            self.accepted += not named


def fuzz_files(count: int, draw: random.Random, folder: Path) -> Tally:
    """Read experiment files."""
    examples, tally = [path.read_bytes() for path in sorted((ROOT / "examples").glob("*.toml"))], Tally()
    path = folder / "experiment.toml"
    for _ in range(count):
        data = experiment_file(draw, examples)
        path.write_bytes(data)

        def act() -> bool:
            requests = read_file(path)
            code_named(requests)
            for request in requests:
                request.over(DEFAULTS).policy()
                parse_seeds(request.over(DEFAULTS).seeds or 1)
            return False

        tally.note(act, data)
    path.unlink(missing_ok=True)
    return tally


def fuzz_options(count: int, draw: random.Random) -> Tally:
    """Read texts of options, each as all that it could be."""
    tally = Tally()
    for _ in range(count):
        text = spec(draw)
        own = text.partition(":")[0]
        kind = draw.randrange(3) if own not in NAMES else NAMES.index(own) // 3 % 3

        def act(text: str = text, kind: int = kind) -> bool:
            asked = parse_spec(text)
            if kind == 0:
                complete_scenario(asked)
            else:
                complete(*((architectures, asked, ("problem",)) if kind == 1 else (strategies, asked)))
            return False

        tally.note(act, text)
    return tally


def fuzz_stored(count: int, draw: random.Random, whole: Path, folder: Path) -> dict[str, Tally]:
    """Damage stored files, or change them and seal them again, and read the experiment as every command does.

    Args:
        count: how many.
        draw: at random.
        whole: an experiment of at least two cells.
        folder: where the copy is made that is damaged.
    """
    out = folder / "out"
    shutil.copytree(whole, out)
    files = sorted(path for path in out.rglob("*.*") if path.is_file() and path.suffix in (".json", ".npz", ".pt", ".bin"))
    tallies = {"stored files, damaged": Tally(), "stored files, changed and sealed again": Tally()}
    for _ in range(count):
        path = draw.choice(files)
        kept, sealed = path.read_bytes(), path.suffix != ".bin" and path.name != "claim.json" and draw.random() < 0.5
        if sealed:
            resealed(draw, path)
        else:
            path.write_bytes(damaged(draw, kept))
        tally = tallies["stored files, changed and sealed again" if sealed else "stored files, damaged"]
        tally.note(lambda path=path: _read(out, path, draw.random() < 0.1), (path.name, path.read_bytes()[:1500]))  # type: ignore[misc]
        path.write_bytes(kept)
    return tallies


def _read(out: Path, path: Path, all_of_it: bool) -> bool:
    """Read what a file belongs to, and tell whether anything was named."""
    said: list[str] = []
    if path.parent.parent.name in ("cells", "blocks"):
        files = CellStore(path.parent, out, said.append)
        files.load()
        if path.suffix != ".npz":
            files.load_status()
        if path.suffix in (".pt", ".bin"):
            files.load_checkpoint()
        if path.name == NETWORKS:
            read_or_tell(path, lambda: files.networks.check(ended=True), said.append)
        holder(path.parent)
    elif path.parent.parent.name == "tracking":
        Told(path.parent, said.append).is_complete("x")
    else:
        Store(out, said.append).listing()
        Choices(out / path.name, said.append)
        if path.name == "tuning.json":
            tunings_of(out, [cell for key in Store(out).listing().cells if (cell := Store(out).cell(key).load_cell())])
    if all_of_it or (path.suffix == ".npz" and not said):
        said += _consumed(out, path)
    return bool(said)


def _consumed(out: Path, path: Path) -> list[str]:
    """Read the whole experiment, as kancl compare and kancl runs do; the cells that were not touched must be there."""
    survey(out)
    found = verify(out)
    results = load(out)
    for name in ("summary", "retention", "curves", "overlap", "occupancy", "drift", "ledger"):
        len(getattr(results, name))
    summary_tables(results, 80)
    compare(results)
    if "cells" in path.relative_to(out).parts:
        own = path.relative_to(out).parts[1]
        others = {folder.name for folder in (out / "cells").iterdir() if folder.name != own}
        there = {cell.key for entry in results.entries for cell in entry.stored}
        assert others <= there, f"cells that were not touched are gone: {others - there}"
    return [*results.damaged, *map(str, found.findings)]


def experiment(folder: Path) -> Path:
    """Return a small experiment with a file of every kind."""
    from runners.cli.main import main

    out = folder / "whole"
    command = ["run", "gaussian-peaks:tasks=2,samples=8", "--architectures", "mlp:hidden=3", "kan:hidden=[2],intervals=3"]
    command += [
        "--match",
        "parameters",
        "--to",
        "kan:hidden=[2],intervals=3",
        "--tune",
        "2",
        "--tune-seeds",
        "1",
        "--seeds",
        "2",
    ]
    command += ["--optimizer", "adam", "--steps", "3", "--evaluations", "2", "--locality", "on", "--out", str(out)]
    with _silent():
        assert main(command) == 0
    (out / "tracking" / "tool").mkdir(parents=True)
    Told(out / "tracking" / "tool").note("a--b--c--0", complete=True)
    return out


@contextmanager
def _silent() -> Iterator[None]:
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


WRITES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "os.link", "os.symlink", "shutil.rmtree")


def watch(inside: Sequence[Path]) -> list[str]:
    """Return the list of what is written outside of some folders, from now on until the process ends."""
    outside: list[str] = []
    roots = tuple(f"{path.resolve()}/" for path in inside)

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            name, mode, flags = arguments
            writes = (isinstance(mode, str) and set(mode) & set("wax+")) or (isinstance(flags, int) and flags & 0o1103)
            if not writes or isinstance(name, int):
                return
        elif event not in WRITES:
            return
        path = arguments[0]
        if isinstance(path, bytes | str | Path) and not f"{Path(str(path)).absolute()}/".startswith((*roots, "/dev/null")):
            outside.append(f"{event} {path}")

    sys.addaudithook(hear)
    return outside


def main() -> int:
    """Fuzz, print the table and return the exit code: 1 if anything was raised or written outside."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path, help="Markdown file that gets the table between its marks")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    draw, began = random.Random(asked.seed), time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        whole = experiment(Path(name))
        outside = watch([Path(name)])
        stored = asked.count * 15 // 100  # each takes as long as some sixty of the others
        files = (asked.count - stored) // 2
        tallies = {"experiment files": fuzz_files(files, draw, Path(name))}
        tallies["texts of options"] = fuzz_options(asked.count - stored - files, draw)
        tallies |= fuzz_stored(stored, draw, whole, Path(name))
        outside = list(outside)  # what is tidied up is no matter
    text = _table(tallies, outside, time.perf_counter() - began)
    print(text)
    print(*dict.fromkeys(outside), sep="\n", file=sys.stderr)
    for kind, tally in tallies.items():
        for error in tally.raised[:20]:
            print(f"\n{kind}: {error}", file=sys.stderr)
    if asked.write:
        from runners.report.documents import write_between_marks

        write_between_marks(asked.write, text, MARKS)
    return 1 if outside or any(tally.raised for tally in tallies.values()) else 0


def _table(tallies: dict[str, Tally], outside: Sequence[str], seconds: float) -> str:
    from runners.report.sheet import Column, Sheet, as_markdown

    heads = (Column("what"), *(Column(head, "count") for head in ("tried", "refused", "named", "accepted", "raised otherwise")))
    rows = tuple((kind, t.tried, t.refused, t.named, t.accepted, len(t.raised)) for kind, t in tallies.items())
    said = f"Measured on {date.today()} at commit {environment()['commit']}, in {seconds / 60:.0f} minutes; "
    return f"{said}{len(outside)} writes outside of the folder.\n\n{as_markdown(Sheet('', heads, rows))}"


if __name__ == "__main__":
    sys.exit(main())
