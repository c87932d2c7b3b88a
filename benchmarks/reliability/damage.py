"""Damage: every bit of every kind of stored file flipped, and every prefix cut, one at a time."""

import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from commands import as_bytes, here, numbers, start

from runners.choices.file import Choices
from runners.store.cell import CellStore
from runners.store.experiment import Store
from runners.store.files import read_or_tell

EXPERIMENT = (
    "run", "gaussian-peaks:tasks=3,samples=20", "--architectures", "kan:hidden=[2],intervals=3", "mlp:hidden=4", "--match",
    "parameters", "--to", "kan:hidden=[2],intervals=3", "--tune", 2, "--optimizer", "adam", "--seeds", 2, "--evaluations", 3,
)  # fmt: skip
FINISHED, BEGUN = ("--steps", 6), ("--steps", 4000)
"""The second takes long enough to be killed between two tasks."""
MOMENTS = 4
"""Before the first task, and after each."""


@dataclass(frozen=True)
class Tally:
    """What became of so many damages.

    Args:
        tried: how many.
        named: a line named the file, and the file counted as absent.
        harmless: what was read was what had been written.
        lost: reading ended with an error, or what was not damaged could not be read any more.
        believed: something else than what had been written was read.
    """

    tried: int = 0
    named: int = 0
    harmless: int = 0
    lost: int = 0
    believed: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))


Read = Callable[[Path, Callable[[str], object]], Any]
"""Reads a stored file, as ``kancl`` does, into something that can be compared; None if it counts as absent."""


def _listing(path: Path, tell: Callable[[str], object]) -> Any:
    listing = Store(path.parent, tell).listing()
    return sorted(listing.cells), listing.records


def _choices(path: Path, tell: Callable[[str], object]) -> Any:
    return Choices(path, tell).entries or None


def _config(path: Path, tell: Callable[[str], object]) -> Any:
    return CellStore(path.parent, path.parents[2], tell).load_cell()


def _status(path: Path, tell: Callable[[str], object]) -> Any:
    return CellStore(path.parent, path.parents[2], tell).load_status()


def _result(path: Path, tell: Callable[[str], object]) -> Any:
    result = CellStore(path.parent, path.parents[2], tell).load_result()
    return None if result is None else as_bytes(result.to_arrays())


def _checkpoint(path: Path, tell: Callable[[str], object]) -> Any:
    checkpoint = CellStore(path.parent, path.parents[2], tell).load_checkpoint()
    return None if checkpoint is None else repr(_plain(vars(checkpoint)))


def _plain(value: Any) -> Any:
    """Return tensors and arrays in nested values as bytes."""
    if isinstance(value, torch.Tensor):
        return value.dtype, value.shape, value.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
    if hasattr(value, "tobytes"):
        return value.dtype, value.shape, value.tobytes()
    if isinstance(value, dict):
        return {key: _plain(own) for key, own in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(own) for own in value]
    return _plain(vars(value)) if hasattr(value, "__dict__") else value


def _networks(path: Path, tell: Callable[[str], object]) -> Any:
    files = CellStore(path.parent, path.parents[2], tell)
    cell = files.load_cell()
    assert cell is not None
    read_or_tell(path, lambda: files.networks.check(ended=True), tell)
    found = {seed: files.load_networks(seed) for seed in cell.seeds}
    return repr(_plain(found)) if len(found[cell.seeds[0]]) == MOMENTS else None


KINDS: dict[str, Read] = {
    "experiment.json": _listing, "matching.json": _choices, "tuning.json": _choices, "cells/*/config.json": _config,
    "cells/*/status.json": _status, "cells/*/arrays.npz": _result, "cells/*/checkpoint.pt": _checkpoint,
    "cells/*/history.bin": _checkpoint, "cells/*/networks.bin": _networks,
}  # fmt: skip


def damage_all(bits: int, repairs: int) -> tuple[dict[str, Tally], Tally]:
    """Return what became of damages by kind of file, and of commands repeated on damaged folders.

    Args:
        bits: how many bits of every byte are flipped, each alone.
        repairs: of how many damages, drawn at random, the whole command is repeated on the damaged folder. Named is then that
            it says the file's name, harmless that it need not; lost that it fails, or ends with other numbers than a run that
            was never disturbed.
    """
    with tempfile.TemporaryDirectory() as name:
        finished, begun = Path(name, "finished"), Path(name, "begun")
        ended = here((*EXPERIMENT, *FINISHED, "--out", finished))
        assert ended.code == 0, ended.said
        _begin(begun, Path(name, "log"))
        counts = {}
        for kind, read in KINDS.items():
            folder = begun if kind.endswith(("checkpoint.pt", "history.bin")) else finished
            counts[kind] = _damage(next(iter(sorted(folder.glob(kind)))), read, bits)
        return counts, _repair(finished, begun, repairs, Path(name))


def _begin(out: Path, log: Path) -> None:
    """Leave an experiment between two tasks of its first cell."""
    process = start((*EXPERIMENT, *BEGUN, "--out", out), log)
    while not list(out.glob("cells/*/checkpoint.pt")):
        assert process.poll() is None, log.read_text(errors="replace")
        time.sleep(0.001)
    process.kill()
    process.wait()


def _damages(whole: bytes, bits: int) -> Iterator[bytes]:
    for place in range(len(whole)):
        for bit in range(bits):
            yield whole[:place] + bytes((whole[place] ^ 1 << (place + bit) % 8,)) + whole[place + 1 :]
    for size in range(len(whole)):
        yield whole[:size]


def _damage(path: Path, read: Read, bits: int) -> Tally:
    whole, tally = path.read_bytes(), Tally()
    right = read(path, lambda line: None)
    assert right is not None, f"{path} cannot be read undamaged"
    for damaged in _damages(whole, bits):
        path.write_bytes(damaged)
        said: list[str] = []
        try:
            came = read(path, said.append)
        except Exception:
            tally += Tally(1, lost=1)
            continue
        named = any(path.name in line for line in said)
        listed = path.name == "experiment.json" and came[0] == right[0]  # then the cells' own files say what there is
        if came == right and not named:
            tally += Tally(1, harmless=1)
        elif named and (came is None or listed or came == right):
            tally += Tally(1, named=1)
        else:
            tally += Tally(1, believed=1) if came is not None else Tally(1, lost=1)
    path.write_bytes(whole)
    return tally


def _repair(finished: Path, begun: Path, repairs: int, folder: Path) -> Tally:
    """Repeat the command on copies of the folders, each with one damage; a begun one is compared with one run through."""
    through = folder / "through"
    assert here((*EXPERIMENT, *BEGUN, "--out", through)).code == 0
    draw, tally = random.Random(0), Tally()
    cases = [(finished, FINISHED, numbers(finished)), (begun, BEGUN, numbers(through))]
    for number in range(repairs):
        whole, steps, right = cases[number % 8 == 0]
        copy = folder / f"copy-{number}"
        shutil.copytree(whole, copy)
        kinds = [kind for kind in KINDS if list(copy.glob(kind))]
        path = draw.choice(sorted(copy.glob(draw.choice(kinds))))
        data = path.read_bytes()
        place = draw.randrange(len(data))
        cut = number % 2
        path.write_bytes(
            data[:place] if cut else data[:place] + bytes((data[place] ^ 1 << draw.randrange(8),)) + data[place + 1 :]
        )
        ended = here((*EXPERIMENT, *steps, "--out", copy))
        if ended.code != 0 or ended.escaped is not None:
            print(f"  {path.name} {'cut' if cut else 'flipped'} at {place}: exit {ended.code}: {ended.said[-300:]}")
            tally += Tally(1, lost=1)
        elif numbers(copy) != right:
            tally += Tally(1, believed=1)
        else:
            tally += Tally(1, named=1) if path.name in ended.said.replace("\n", "") else Tally(1, harmless=1)
        shutil.rmtree(copy)
    return tally
