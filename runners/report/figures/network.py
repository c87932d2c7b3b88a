"""Networks among the figures: which of stored results are drawn, their data, and their drawing."""

from collections.abc import Iterator
from functools import partial

from kancl.errors import InputError
from kancl.locality import Probe
from runners.report.figures.data import Planned
from runners.report.figures.network_data import NetworkData, network
from runners.report.figures.network_drawing import draw_network
from runners.report.figures.network_moments import edge_layers
from runners.results.entry import Entry
from runners.results.networks import files_of, is_kancls_own, networks_of_seed
from runners.results.results import Results
from runners.stream.cache import StreamCache

__all__ = ["NetworkData", "draw_network", "kept_networks", "network", "networks_of"]

NETWORKS = 4
"""Networks among the figures of a comparison."""


def networks_of(results: Results, most: int = NETWORKS) -> Iterator[Planned]:
    """Yield the networks that stored results allow to draw; see :func:`kept_networks`."""
    return (planned for _, planned in kept_networks(results, most))


def kept_networks(results: Results, most: int = NETWORKS) -> Iterator[tuple[Entry, Planned]]:
    """Yield the networks that stored results allow to draw: of naive cells, one for each scenario and architecture.

    For a page: ``data()`` gives a :class:`NetworkData` of plain numbers, from which it draws its own picture (nodes and boxes
    have places from 0 to 1 in their rows, functions have the points of their edge and the span of their layer), and
    ``draw(data())`` matplotlib's. Nothing is said of what cannot be drawn: networks that were not kept, code that is not
    kancl's own, data that are not there any more. What else is raised while they are built again is raised by ``data()``, so
    that it is one figure that is lost.

    Args:
        results: of one experiment or several.
        most: networks.
    """
    streams, done = StreamCache(), set[tuple[str, str]]()
    for entry in results.entries:
        place = entry.labels["scenario"], entry.labels["architecture"]
        if len(done) >= most or place in done or entry.labels["strategy"] != "naive" or not entry.alive.any():
            continue
        seed = entry.cell.seeds[int(entry.alive.argmax())]
        stored = files_of(results.paths, entry, seed)
        if stored is None or not is_kancls_own(stored[1]):
            continue
        try:
            found = networks_of_seed(*stored, seed, streams, result=entry.result)
            edge_layers(Probe(found.at(min(found.states))), found)
            data = partial(network, found)
        except InputError:
            continue
        except Exception as error:
            data = partial(_raise, error)
        done.add(place)
        yield entry, Planned(f"{place[0]}-{place[1]}-network", data, draw_network)


def _raise(error: Exception) -> NetworkData:
    raise error
