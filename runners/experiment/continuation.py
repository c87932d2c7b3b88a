"""More tasks: a longer sequence goes on from the stored end of a shorter one, where that is its beginning to the bit.

Scores of the new tasks were not measured while the first ones were trained, and are NaN there: in R and the curves, but for the
row before any training and that at the end of the shorter sequence, for which the networks are at hand. Of the metrics the
windowed ones read them, and are NaN then.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from kancl import options
from kancl.models import Network
from runners.config.cell import Cell
from runners.measure.evaluate import Evaluator
from runners.measure.record import Checkpoint, Record
from runners.measure.result import Result
from runners.store.contents import family, kin
from runners.store.experiment import Store
from runners.store.history import ends
from runners.strategies import Strategy, strategies
from runners.stream.cache import StreamCache
from runners.stream.samples import Samples
from runners.stream.stream import Stream
from runners.training.networks import build_network
from runners.training.schedule import learning_rates

Row = dict[str, np.ndarray]


def continued(cell: Cell, stream: Stream, store: Store, streams: StreamCache) -> Checkpoint | None:
    """Return where a cell that has not begun can go on: the end of a stored one that it continues; None without one.

    The stored cell is the same but for options of its scenario, its tasks are the first ones of the cell's (all samples, ranges
    and outputs equal), and neither strategy nor schedule saw that there would be more.

    Args:
        cell: by the native runner, without pretraining, blur and locality record.
        stream: its scenario, on the device to train on.
        store: of the experiment.
        streams: for the scenarios of stored cells.
    """
    plain = stream.pretrain is None and not stream.groups and not stream.blur and stream.operator is None
    if cell.runner != "native" or cell.locality or not plain:
        return None
    for other in sorted(_alike(cell, stream, store), key=lambda found: -len(found[1].tasks)):
        found = _end_of(*other, cell, stream, store, streams)
        if found is not None:
            store.cell(cell.key).networks.take_over(store.cell(other[0].key).networks)
            store.tell(f"{cell.asked['scenario']} / {cell.asked['architecture']} / {cell.asked['strategy']} goes on from the "
                       f"end of {other[0].asked['scenario']}, which is stored")  # fmt: skip
            return found
    return None


def added_later(result: Result) -> tuple[str, ...]:
    """Return the remark on a result whose last tasks were added to a shorter sequence; none on others."""
    alive = result.R[result.score][result.alive]
    missing = np.isnan(alive[:, 1:]).any((0, 1)) if len(alive) else np.zeros(len(result.tasks), bool)
    first = int(missing.argmax())
    if not missing.any():
        return ()
    last = len(result.tasks)
    return (f"task {last} added later" if first + 1 == last else f"tasks {first + 1} to {last} added later",)


def _alike(cell: Cell, stream: Stream, store: Store) -> Iterator[tuple[Cell, Result]]:
    """Yield the finished cells that differ in options of the scenario alone, and have fewer tasks of the same names."""
    name = kin(cell)
    for key, record in store.listing().records.items():
        if record.get("kin") != name or record.get("family") == family(cell):
            continue
        stored = store.cell(key).load()
        if stored is None:
            continue
        tasks = stored[1].tasks
        if len(tasks) < len(stream.names) and tasks == stream.names[: len(tasks)]:
            yield stored


def _end_of(other: Cell, result: Result, cell: Cell, stream: Stream, store: Store, streams: StreamCache) -> Checkpoint | None:
    """Return the end of a stored cell as a checkpoint of this one, if it is its beginning."""
    before = streams.of(other).to(str(stream.device))
    strategy: Strategy = options.build(strategies.get(cell.strategy.name), cell.strategy)
    if not _begins_with(stream, before) or not _same_training(cell, strategy, stream, before):
        return None
    network = build_network(cell, stream)
    if not _same_state(network.state_dict(), build_network(other, before).state_dict()):
        return None
    if not _same_state(strategy.start(network, stream), strategy.start(network, before)):
        return None
    end = store.cell(other.key).load_checkpoint()
    if not isinstance(end, Checkpoint) or end.phases_done != len(before.names):
        return None
    record = _widened(end.record, cell, network, end, stream)
    return None if record is None else replace(end, record=record)


def _begins_with(stream: Stream, before: Stream) -> bool:
    """Tell whether a stream has another one's tasks first, to the bit."""
    count = len(before.names)
    shared = ("low", "high", "offset", "plot_x")
    tensors = [(getattr(stream, name), getattr(before, name)) for name in shared]
    if stream.heads is not None and before.heads is not None:
        tensors.append((stream.heads[:count], before.heads[:count]))
    plain = [
        (one.seeds, one.setting, one.outputs, one.blur, one.heads is None, one.pretrain is None) for one in (stream, before)
    ]
    scores = [tuple(one.objective.scores) for one in (stream, before)]
    return (
        len(set(plain)) == len(set(scores)) == 1
        and all(_equal(*pair) for pair in tensors)
        and all(_same_samples(*pair) for pair in zip(stream.train[:count], before.train, strict=True))
        and all(_same_samples(*pair) for pair in zip(stream.test[:count], before.test, strict=True))
    )


def _same_samples(one: Samples, other: Samples) -> bool:
    """Tell whether samples are equal in all that they hold."""
    return vars(one).keys() == vars(other).keys() and all(_equal(value, vars(other)[name]) for name, value in vars(one).items())


def _equal(one: object, other: object) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    return not isinstance(one, Tensor) and not isinstance(other, Tensor) and one == other


def _same_training(cell: Cell, strategy: Strategy, stream: Stream, before: Stream) -> bool:
    """Tell whether the first tasks are trained alike, however many come: on the same data, at the same rates."""
    tasks, count = len(stream.names), len(before.names)
    if strategy.acts_in("parameters_for") or not strategy.boundaries:
        return False
    counts = [cell.policy.steps_per_task(samples.x.shape[1]) for samples in stream.train]
    for phase in range(count):
        if tuple(strategy.data_of(phase, tasks)) != tuple(strategy.data_of(phase, count)):
            return False
        now, then = (learning_rates(cell.policy, own, phase) for own in (counts, counts[:count]))
        if list(now or ()) != list(then or ()):
            return False
    return True


def _same_state(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(_equal(tensor, other[name]) for name, tensor in one.items())


def _widened(record: Record, cell: Cell, network: Network, end: Checkpoint, stream: Stream) -> Record | None:
    """Return a record with columns for all tasks; None if what was measured cannot be measured again.

    Args:
        record: of the first tasks.
        cell: the configuration.
        network: with its initial weights.
        end: with those at the end of the first tasks.
        stream: with all tasks.
    """
    evaluator, trained = Evaluator(stream), build_network(cell, stream)
    trained.make_room(end.network)
    trained.load_state_dict(end.network)
    curve = [_with_room(row, len(stream.names)) for row in record.curve]
    for number, own in ((0, network), (-1, trained)):
        row = evaluator.scores(own)
        for name, values in record.curve[number].items():
            if not np.array_equal(row[name][:, : values.shape[1]], values, equal_nan=True):
                return None
        curve[number] = row
    return replace(record, curve=curve, rows=[curve[number] for number in ends(record.place)])


def _with_room(row: Row, tasks: int) -> Row:
    return {
        name: np.pad(values, ((0, 0), (0, tasks - values.shape[1])), constant_values=np.nan) for name, values in row.items()
    }
