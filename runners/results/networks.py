"""The networks of a stored cell as they were before the first task and after each, with the data that they met.

Files hold parameters alone. The network is built again by its architecture, and the data by their scenario; both are code, and
a file may name anybody's, so only what kancl or an installed package brings is run, or a file that the caller names. What came
of it must score on every task as the result says, so that no changed code or data pass for those that were trained on.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from kancl import options
from kancl.errors import InputError
from kancl.models import Network, architectures
from runners.config.cell import Cell
from runners.measure.evaluate import Evaluator
from runners.measure.record import MisfitError
from runners.measure.result import Result
from runners.results.entry import Entry
from runners.store.cell import CellStore
from runners.store.files import DamageError
from runners.strategies import Strategy, strategies
from runners.stream.cache import StreamCache
from runners.stream.samples import Samples
from runners.stream.stream import Stream
from runners.training.networks import build_network
from runners.training.resume import restore_network
from scenarios import scenarios

SAMPLES = 256
"""Test samples of a task that networks are looked at on, evenly spaced."""
MOST_SAMPLES = 4096
"""Of all tasks together."""
TOLERANCE = 0.01
"""Share by which a score may differ from that of the result: rounding, since there a seed was one of a stack."""


@dataclass(frozen=True, eq=False)
class Networks:
    """The networks of one seed of a cell.

    Args:
        cell: whose; its seeds are all that were trained beside.
        seed: which.
        template: a network (1, ...) to put states into.
        states: parameters and buffers (1, ...) by moment: 0 before the first task, n after task n. Some may be missing.
        stream: the scenario for this seed alone.
        labels: what the cell is called: ``scenario``, ``architecture`` and ``strategy``.
        answers: whether these parameters answer for every task, and none that the strategy holds; None where that is not known.
    """

    cell: Cell
    seed: int
    template: Network
    states: Mapping[int, Mapping[str, Tensor]]
    stream: Stream
    labels: Mapping[str, str]
    answers: bool | None = True

    def at(self, moment: int) -> Network:
        """Return the network at a moment, until the next one is asked for.

        Raises:
            InputError: what is kept are other networks than the cell's.
        """
        try:
            restore_network(self.template, self.states[moment])
        except MisfitError as error:
            raise InputError(f"{self.cell.key}: what is kept of moment {moment} {error}") from error
        return self.template.eval()

    def met(self, task: int) -> Tensor:
        """Return inputs (1, N, I) of a task, from 0: some of its test samples."""
        return _thinned(self.stream.test[task], len(self.stream.test))


def networks_of_seed(
    files: CellStore,
    cell: Cell,
    seed: int,
    streams: StreamCache | None = None,
    trusted: Collection[Path] = (),
    result: Result | None = None,
) -> Networks:
    """Return the networks of a seed of a stored cell.

    Args:
        files: of the cell.
        cell: its configuration.
        seed: one of its seeds.
        streams: scenarios that were built before.
        trusted: files whose code may be run.
        result: of the cell, with this seed; what is built must score as it says. None where there is none yet.

    Raises:
        InputError: none are kept, they are damaged, code would have to be run that nobody named, or what is built now is not
            what was trained.
    """
    refuse_strangers(cell, trusted)
    try:
        states = files.load_networks(seed)
    except DamageError as error:
        raise InputError(f"{files.networks.path} {error}") from error
    if not states and files.networks_size():
        raise InputError(f"of the networks of {cell.key} none can be read; kancl runs verify names what is damaged")
    if not states:
        raise InputError(
            f"no networks of {cell.key} are kept: it was trained before kancl kept them, with --keep-networks off, or they "
            "take more than 16 MB; kancl run with --keep-networks on and another --out trains and keeps them"
        )
    one = replace(cell, seeds=(seed,))
    stream = (StreamCache() if streams is None else streams).of(one)
    answers = _answer_themselves(cell)
    found = Networks(cell, seed, build_network(one, stream), states, stream, cell.labels, answers)
    if result is not None and answers:
        _refuse_others(found, result)
    return found


def is_kancls_own(cell: Cell) -> bool:
    """Tell whether a cell's scenario and architecture are kancl's own, and nothing large is imported to build them."""
    own = scenarios.is_builtin(cell.scenario.name) and architectures.is_builtin(cell.architecture.name)
    return own and cell.scenario.name != "avalanche"


def refuse_strangers(cell: Cell, trusted: Collection[Path] = ()) -> None:
    """See that nothing has to be run that a result names and nobody else.

    Args:
        cell: as it is stored; may be anybody's.
        trusted: files that may be run.

    Raises:
        InputError: its scenario or its architecture is a function of another file.
    """
    known = {path.resolve() for path in trusted}
    for part in ("scenario", "architecture"):
        name: str = getattr(cell, part).name
        if ".py:" in name and Path(name.rpartition(":")[0]).resolve() not in known:
            file = name.rpartition(":")[0]
            raise InputError(
                f"the {part} of this cell is code in the file {file}, and kancl runs no code because a result names it; look "
                f"at the file, and allow it with --trust {file}"
            )


def files_of(paths: Collection[Path], entry: Entry, seed: int) -> tuple[CellStore, Cell] | None:
    """Return the files of the stored cell that has a seed of an entry, with the cell; None where no networks of it are kept."""
    cell = next(part for part in entry.stored if seed in part.seeds)
    for path in paths:
        files = CellStore(path / "cells" / cell.key, path)
        if files.networks_size():
            return files, cell
    return None


def _refuse_others(found: Networks, result: Result) -> None:
    """See that networks score on all tasks as was measured."""
    evaluator, place = Evaluator(found.stream), result.seeds.index(found.seed)
    for moment in found.states:
        for name, (now,) in evaluator.scores(found.at(moment)).items():
            then = result.R[name][place, moment]
            room = TOLERANCE * np.maximum(np.abs(then), np.abs(result.null[name][place]))
            if not (np.abs(now - then) <= room)[np.isfinite(then)].all():
                task = int(np.nanargmax(np.abs(now - then) / room))
                raise InputError(
                    f"{found.cell.key}: built again, the networks do not score as they did ({name} of task {task + 1} is "
                    f"{now[task]:.4g}, and was {then[task]:.4g}): the scenario's data or code have changed since"
                )


def _answer_themselves(cell: Cell) -> bool | None:
    """Tell whether a cell's scores are those of the networks that are kept; None where that is not known."""
    if cell.runner != "native":
        return True
    if not strategies.is_builtin(cell.strategy.name):  # code that is not run to be asked
        return None
    strategy: Strategy = options.build(strategies.get(cell.strategy.name), cell.strategy)
    return not strategy.acts_in("parameters_for")


def _thinned(samples: Samples, tasks: int) -> Tensor:
    count = max(2, min(SAMPLES, MOST_SAMPLES // tasks))
    every = -(-samples.x.shape[1] // count)
    return samples.x[:, ::every]
