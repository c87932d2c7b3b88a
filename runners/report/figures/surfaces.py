"""Learned functions of two inputs as images: the network of one seed after every task, beside the targets that it was shown."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float

from kancl.errors import InputError
from kancl.text import counted
from runners.report.figures.data import short_name, tasks_told
from runners.report.thinning import evenly
from runners.results.entry import Entry
from runners.results.networks import Networks, files_of, is_kancls_own, networks_of_seed
from runners.results.results import Results
from runners.stream.cache import StreamCache
from runners.stream.stream import Stream

SIDE = 30
"""Fields along a side of an image."""
TASKS = 6
"""Tasks after which the function is shown."""
CELLS = 8
"""Cells of a scenario that are shown."""
SAMPLES = 400
"""Test samples that stand for the target."""


@dataclass(frozen=True, eq=False)
class Surface:
    """The network of one seed: its output at SIDE x SIDE places, the second input downwards from its largest value.

    Args:
        entry: the cell.
        seed: which.
        after: an image after each task that is shown.
    """

    entry: Entry
    seed: int
    after: tuple[Float[np.ndarray, "P P"], ...]


@dataclass(frozen=True, eq=False)
class SurfacesData:
    """Functions of two inputs of the cells of one scenario.

    Args:
        heading: lines over the figure.
        titles: what stands over each image: after which task.
        low, high: the range of both inputs.
        x: test samples of all tasks.
        y: their targets.
        surfaces: one per cell.
    """

    heading: tuple[str, ...]
    titles: tuple[str, ...]
    low: Float[np.ndarray, "2"]
    high: Float[np.ndarray, "2"]
    x: Float[np.ndarray, "N 2"]
    y: Float[np.ndarray, "N"]
    surfaces: tuple[Surface, ...]


def surfaces(results: Results, entries: Sequence[Entry]) -> SurfacesData | None:
    """Return the images of a scenario's cells; None where it has not two inputs and one output, or no networks are kept.

    Only kancl's own scenarios and architectures are built again: no code is run because a result names it.

    Args:
        results: with the folders.
        entries: cells of one scenario.
    """
    streams = StreamCache()
    result = entries[0].result
    if result.setting != "domain" or result.higher_is_better[result.score]:  # before data are built: classes have many outputs
        return None
    kept = _kept(results, entries[:CELLS], streams)
    if not kept:
        return None
    stream, names = kept[0][1].stream, result.tasks
    shown = evenly(len(names), TASKS)
    found = tuple(
        Surface(entry, own.seed, _images(own, shown)) for entry, own in kept if {n + 1 for n in shown} <= set(own.states)
    )
    if not found:
        return None
    more = len(entries) - len(found)
    scenario = entries[0].labels["scenario"]
    what = f"{scenario}: the learned function of two inputs after {tasks_told(len(shown), len(names))}"
    told = (
        "the network of the first seed that lived; beside it test samples of all tasks, in the colours of their targets",
        f"of {counted(more, 'further cell')} no networks are kept, or there is no room" if more else "",
    )
    titles = tuple(f"after task {number + 1}\n{short_name(names[number])}" for number in shown)
    low, high = (ends[0].double().numpy() + _offset(stream) for ends in (stream.low, stream.high))
    return SurfacesData((what, *told), titles, low, high, *_samples(stream), found)


def _kept(results: Results, entries: Sequence[Entry], streams: StreamCache) -> list[tuple[Entry, Networks]]:
    """Return the networks of a living seed of each cell, as far as there are some and they are what was trained.

    None are of a scenario that has not two inputs and one output, of which cells have the same.
    """
    found = []
    for entry in entries:
        if not entry.alive.any():
            continue
        seed = entry.cell.seeds[int(entry.alive.argmax())]
        stored = files_of(results.paths, entry, seed)
        if stored is None or not is_kancls_own(stored[1]):
            continue
        try:
            stream = streams.of(replace(stored[1], seeds=(seed,)))
            if (stream.inputs, stream.outputs) != (2, 1):
                return []
            found.append((entry, networks_of_seed(*stored, seed, streams, result=entry.result)))
        except InputError:  # its data are gone or others, for example
            continue
    return found


def _offset(stream: Stream) -> Float[np.ndarray, "2"]:
    return np.zeros(2) if stream.offset is None else stream.offset[0].double().numpy()


def _samples(stream: Stream) -> tuple[Float[np.ndarray, "N 2"], Float[np.ndarray, "N"]]:
    x = torch.cat([samples.x[0] for samples in stream.test]).double().numpy() + _offset(stream)
    y = torch.cat([samples.y[0] for samples in stream.test]).double().numpy()[:, 0]
    kept = evenly(len(x), SAMPLES)
    return x[kept], y[kept]


def _images(networks: Networks, shown: Sequence[int]) -> tuple[Float[np.ndarray, "P P"], ...]:
    low, high = networks.stream.low[0], networks.stream.high[0]
    shares = (torch.arange(SIDE) + 0.5) / SIDE
    first, second = (low[place] + shares * (high[place] - low[place]) for place in (0, 1))
    grid = torch.cartesian_prod(second.flip(0), first).flip(1).to(low.dtype)
    images = []
    for number in shown:
        with torch.no_grad():
            outputs = networks.at(number + 1)(grid[None])
        images.append(outputs[0, :, 0].double().numpy().reshape(SIDE, SIDE))
    return tuple(images)
